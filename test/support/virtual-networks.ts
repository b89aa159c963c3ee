/** Networks of the test kit that are closed when their test is over. */
import { afterEach } from 'vitest';
import { type NetworkOptions, VirtualNetwork } from '../../testing/index.ts';

const open: VirtualNetwork[] = [];

export const create = async <const S extends string, const H extends string>(
  options: NetworkOptions<S, H>,
) => {
  const net = await VirtualNetwork.create(options);
  open.push(net);
  return net;
};

afterEach(async () => {
  for (const net of open.splice(0)) await net.close();
});

export const output = (port: number) => ({ type: 'output' as const, port });
