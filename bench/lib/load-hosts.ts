/** What the benchmarks of forwarding do with their hosts: load from one, what comes to another, and TCP between them. */
import { once } from 'node:events';
import { type Host, type NetNode, stop } from '../../mininet/topology.ts';
import { Helper } from './helper.ts';
import type { SenderOptions } from './sender.ts';

const node = new URL('../../bin/node', import.meta.url).pathname;
const here = (name: string) => new URL(name, import.meta.url).pathname;

/** A script of this folder as a process in a namespace, on this core if one is given. */
export const helper = (where: NetNode, script: string, options: object, core?: number): Helper => {
  const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
  const command = [...pinned, node, here(script), JSON.stringify(options)];
  return new Helper(where.spawn(command, { stdio: ['pipe', 'pipe', 'inherit'] }));
};

/** The generator (sender.ts) from one host to another; its first line says that it is ready, 'go' starts it. */
export const generator = (
  from: Host,
  to: Host,
  shape: Pick<SenderOptions, 'size' | 'flows' | 'seconds'> & { rate?: number },
  core?: number,
): Helper => {
  const ends = { srcMac: from.mac, dstMac: to.mac, srcIp: from.ip, dstIp: to.ip };
  const place = { namespace: from.namespace, interface: from.interface };
  return helper(from, 'sender.ts', { rate: 0, ...place, ...ends, ...shape } satisfies SenderOptions, core);
};

/** Both are heard from, so that a learning switch knows where they are. */
export const meet = async (a: Host, b: Host): Promise<void> => {
  await a.exec(['ping', '-c', '2', '-i', '0.2', b.ip], { anyExit: true });
};

/** Packets that have come to the host's interface. */
export const received = async (host: Host): Promise<number> => {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', host.interface]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
};

/**
 * Gives the host another address than the frames have, so that it throws them away at once. Else its answers to closed ports
 * (ICMP), sent on the forwarding process's time, are a third of what is measured, the same for every datapath.
 */
export const throwAway = (host: Host): Promise<unknown> =>
  host.configure([`link set dev ${host.interface} address 02:00:00:00:ff:${host.mac.slice(-2)}`]);

/** Gbit/s that arrive in a second of TCP; 0 when nothing gets through. */
export const tcpGbit = async (from: Host, to: Host): Promise<number> => {
  const server = to.spawn(['iperf3', '-s', '-1', '--forceflush'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await once(server.stdout!, 'data');
    const argv = ['timeout', '5', 'iperf3', '-c', to.ip, '-t', '1', '-J', '--connect-timeout', '1000'];
    const { code, stdout } = await from.exec(argv, { anyExit: true });
    if (code !== 0) return 0;
    // A test that got no further than connecting has no sums.
    const { end } = JSON.parse(stdout) as { end: { sum_received?: { bits_per_second: number } } };
    return (end.sum_received?.bits_per_second ?? 0) / 1e9;
  } finally {
    await stop(server);
  }
};
