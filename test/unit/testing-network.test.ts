import { expect, test } from 'vitest';
import { learningSwitch } from '../../apps/learning-switch.ts';
import { single, VirtualNetwork } from '../../testing/index.ts';

test('first', async () => {
  for (const mode of ['flow', 'plain'] as const) {
    const net = await VirtualNetwork.create({ ...single(3), mode, apps: [learningSwitch()] });
    const out = await net.ping(net.hosts.h1, net.hosts.h2);
    console.log(out.trace);
    console.log(out.ok, net.problems, net.controller.datapaths.size);
    await net.close();
  }
});
