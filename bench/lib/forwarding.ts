/** How much a datapath carries: UDP flat out, counted at the receiving hosts over the middle of a run. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../mininet/topology.ts';
import type { Running } from './datapaths.ts';
import { generator, received } from './load-hosts.ts';
import { cpuSeconds } from './processes.ts';

/** Frame sizes as wires count them: with the 4 bytes of the checksum, which are not in a frame here. */
const CHECKSUM = 4;
/** Looking at the counters takes time as well: the generators go on for so long. */
const END_MS = 200;

export interface Stream {
  readonly from: Host;
  readonly to: Host;
  /** The generator's. Default: any. */
  readonly core?: number;
}

export interface LoadShape {
  /** Bytes of a frame, checksum included. */
  readonly size: number;
  readonly flows: number;
  /** Not counted: cells are set up, code is compiled. */
  readonly startMs: number;
  readonly countMs: number;
}

export interface Forwarded {
  /** Delivered, over `ms`. */
  readonly packets: number;
  readonly ms: number;
  readonly offeredKpps: number;
  /** CPU seconds meanwhile, by part of the datapath; without its controller. */
  readonly cpu: Readonly<Record<string, number>>;
}

export async function forwarding(
  running: Running,
  streams: readonly Stream[],
  { size, flows, startMs, countMs }: LoadShape,
): Promise<Forwarded> {
  const seconds = (startMs + countMs + END_MS) / 1000;
  const shape = { size: size - CHECKSUM, flows, seconds };
  const generators = streams.map(({ from, to, core }) => generator(from, to, shape, core));
  try {
    await Promise.all(generators.map((one) => one.line()));
    for (const one of generators) one.say('go');
    await sleep(startMs);
    const before = await look(running, streams);
    await sleep(countMs);
    const after = await look(running, streams);
    let sent = 0;
    for (const one of generators) sent += Number(await one.line());
    const cpu = Object.entries(after.cpu).map(([part, used]) => [part, used - (before.cpu[part] ?? 0)]);
    return {
      packets: after.packets - before.packets,
      ms: after.time - before.time,
      offeredKpps: sent / seconds / 1000,
      cpu: Object.fromEntries(cpu),
    };
  } finally {
    await Promise.all(generators.map((one) => one.stop()));
  }
}

async function look(running: Running, streams: readonly Stream[]) {
  let packets = 0;
  for (const { to } of streams) packets += await received(to);
  const { controller: _, ...parts } = running.parts();
  const cpu = Object.entries(parts).map(([part, pids]) => [part, cpuSeconds(...pids)] as const);
  return { packets, cpu: Object.fromEntries(cpu), time: performance.now() };
}

export const kpps = ({ packets, ms }: Forwarded): number => packets / ms;

/** CPU microseconds for each packet delivered, or seconds for a million of them: of these parts, or of all. */
export function cpuPerPacket({ cpu, packets }: Forwarded, parts = Object.keys(cpu)): number {
  return (parts.reduce((sum, part) => sum + cpu[part], 0) / packets) * 1e6;
}
