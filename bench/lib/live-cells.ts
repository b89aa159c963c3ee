/** One device with more and more live cells: what each takes, how fast they come and go, how fast packets get through all of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../../mininet/topology.ts';
import type { CellWall } from '../../sandbox/index.ts';
import type { Session } from './bench.ts';
import { flowcellDatapath, until } from './datapaths.ts';
import { cpuPerPacket, type Forwarded, forwarding, kpps } from './forwarding.ts';
import { flowFrame } from './frames.ts';
import { throwAway } from './load-hosts.ts';
import { pssBytes } from './processes.ts';
import { median, round, spread, writeResult } from './report.ts';
import { startTestBed, type TestBed } from './test-bed.ts';
import { Wire } from './wire.ts';

const FRAME_BYTES = 60;
const POOL = 64;
/** New flows under way at a time while the cells are made. */
const WINDOW = 48;
/** Of these so many packets are sent in turn, as the hot ones among all. */
export const HOT = 100;
/** Cells are collected when they were idle for a second; memory is read after that. */
const SETTLE_MS = 4000;
/** Cells of what h2 says by itself meanwhile (IPv6): they stay when h1's port goes. */
const CHATTER = 32;
/** Nothing new lives for so long: some flow got lost. */
const STALLED_MS = 3000;
/** So often all are sent again before it is given up. */
const MOST_STALLS = 20;
const FEED_MS = 5;
const ROUNDS = 5;
const LOAD = { size: 64, startMs: 500, countMs: 1000 };
/** The memory of cells that have ended is back by then, and a host that is empty too. */
const LATER_MS = 45_000;
const LATER_QUICK_MS = 2000;
/** Longest time that the end of all cells may take. */
const DISPOSE_MS = 120_000;

export interface LiveCells {
  readonly wall: CellWall;
  readonly cells: number;
  readonly MiB_per_cell: number;
  readonly setup_per_s: number;
  /** 64-byte UDP flat out: packets of all cells in turn, and of the hot ones. */
  readonly kpps_all: number;
  readonly kpps_all_spread: string;
  readonly us_cpu_per_packet_all: number;
  /** The agent's part of that; the rest is the sandbox hosts'. */
  readonly us_cpu_agent_all: number;
  readonly kpps_hot: number;
  readonly kpps_hot_spread: string;
  readonly us_cpu_per_packet_hot: number;
  readonly hosts: number;
}

export interface Scale {
  readonly wall: CellWall;
  readonly steps: readonly LiveCells[];
  /** Undefined when they did not end in time. */
  readonly disposing: Disposing | undefined;
}

export interface Disposing {
  readonly cells: number;
  /** From the port's going down to the last cell's end, with the controller's deleting every rule. */
  readonly seconds: number;
  /** Of all the device's processes: with the cells, when the last has ended, and a while later; before there were any. */
  readonly MiB_full: number;
  readonly MiB_ended: number;
  readonly MiB_later: number;
  readonly MiB_before: number;
  readonly hosts_later: number;
}

export async function measureLiveCells(
  session: Session,
  wall: CellWall,
  counts: readonly number[],
): Promise<Scale> {
  const bed = await startTestBed(flowcellDatapath({ poolSize: POOL, idleTimeout: 3600, wall }));
  try {
    await throwAway(bed.net.hosts.h2);
    return await measure(session, bed, wall, counts);
  } finally {
    await bed.stop();
  }
}

async function measure(
  session: Session,
  bed: TestBed,
  wall: CellWall,
  counts: readonly number[],
): Promise<Scale> {
  const { net, running } = bed;
  const { h1 } = net.hosts;
  const hosts = async () => (await running.state!('/hosts')) as { live: number; warm: number }[];
  const live = async () => (await hosts()).reduce((sum, host) => sum + host.live, 0);
  const memory = () => pssBytes(...running.pids());
  const before = await live();
  const bytesBefore = memory();
  const steps: LiveCells[] = [];
  for (const count of counts) {
    session.progress(`${count} cells, wall ${wall}`);
    const step = await session.attempt(`${count} cells, wall ${wall}`, async () => {
      const from = steps.at(-1)?.cells ?? 0;
      const seconds = await makeCells(session, bed, from, count, async () => (await live()) - before);
      await sleep(SETTLE_MS);
      const bytes = memory() - bytesBefore;
      return {
        wall,
        cells: count,
        MiB_per_cell: bytes / count / 2 ** 20,
        setup_per_s: (count - from) / seconds,
        ...(await forward(bed, count, session.rounds(ROUNDS))),
        hosts: (await hosts()).length,
      };
    });
    // More cells will not come either.
    if (step === undefined) break;
    steps.push(step);
    // A run that is cut off has left what it had by then.
    writeResult(`scale-${wall}.jsonl`, lines(steps));
    session.progress(described(step));
  }
  session.progress('disposing them');
  const disposing = await session.attempt(`disposing, wall ${wall}`, () =>
    dispose(h1, {
      ...{ live, hosts, memory },
      left: before + CHATTER,
      memoryBefore: bytesBefore,
      laterMs: session.quick ? LATER_QUICK_MS : LATER_MS,
    }),
  );
  if (disposing !== undefined) session.progress(described(disposing));
  return { wall, steps, disposing };
}

/** Sends one packet of each flow until there are so many cells; seconds that it takes. `live`: how many there are. */
async function makeCells(
  session: Session,
  { net }: TestBed,
  from: number,
  count: number,
  live: () => Promise<number>,
): Promise<number> {
  const { h1, h2 } = net.hosts;
  const flows = { size: FRAME_BYTES, flows: 0, srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip };
  const wire = new Wire(h1.namespace, h1.interface, false);
  const start = performance.now();
  try {
    let [made, sent, stalls] = [from, from, 0];
    let stalled = start;
    while (made < count) {
      const now = await live();
      if (now > made) stalled = performance.now();
      made = now;
      for (; sent < Math.min(count, made + WINDOW); sent++) wire.send(flowFrame(flows, sent));
      await sleep(FEED_MS);
      if (performance.now() - stalled < STALLED_MS) continue;
      if (++stalls > MOST_STALLS) throw new Error(`only ${made} of ${count} cells live`);
      // A packet was lost, or a cell: once more from the start.
      session.progress(`only ${made} live; sending all again`);
      for (let i = 0; i < sent; i++) {
        wire.send(flowFrame(flows, i));
        if (i % WINDOW === 0) await sleep(FEED_MS);
      }
      stalled = performance.now();
    }
  } finally {
    wire.close();
  }
  return (performance.now() - start) / 1000;
}

const described = (figures: object): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? round(value) : value}`)
    .join(', ');

const lines = (steps: readonly LiveCells[]): string =>
  steps.map((step) => `${JSON.stringify(step)}\n`).join('');

interface Device {
  /** Cells, but for `left` that are not h1's. */
  live(): Promise<number>;
  left: number;
  hosts(): Promise<unknown[]>;
  /** Bytes of all its processes, now and before there were cells. */
  memory(): number;
  memoryBefore: number;
  /** When it is looked at again. */
  laterMs: number;
}

/** Takes h1's port away, and its cells with it. */
async function dispose(h1: Host, device: Device): Promise<Disposing> {
  const MiB = (bytes: number): number => bytes / 2 ** 20;
  const { live, left, hosts, memory, memoryBefore, laterMs } = device;
  const cells = await live();
  const full = memory();
  const start = performance.now();
  await h1.configure([`link set dev ${h1.interface} down`]);
  await until('the cells ending', async () => (await live()) <= left, DISPOSE_MS);
  const seconds = (performance.now() - start) / 1000;
  const ended = memory();
  await sleep(laterMs);
  return {
    cells,
    seconds,
    MiB_full: MiB(full),
    MiB_ended: MiB(ended),
    MiB_later: MiB(memory()),
    MiB_before: MiB(memoryBefore),
    hosts_later: (await hosts()).length,
  };
}

type Forwarding = Omit<LiveCells, 'wall' | 'cells' | 'MiB_per_cell' | 'setup_per_s' | 'hosts'>;

/** Packets of all cells in turn, then of the hot ones, in rounds. */
async function forward({ net, running }: TestBed, cells: number, rounds: number): Promise<Forwarding> {
  const streams = [{ from: net.hosts.h1, to: net.hosts.h2 }];
  const all: Forwarded[] = [];
  const hot: Forwarded[] = [];
  for (let round = 0; round < rounds; round++) {
    all.push(await forwarding(running, streams, { ...LOAD, flows: cells }));
    hot.push(await forwarding(running, streams, { ...LOAD, flows: Math.min(HOT, cells) }));
  }
  return {
    kpps_all: median(all.map(kpps)),
    kpps_all_spread: spread(all.map(kpps)),
    us_cpu_per_packet_all: median(all.map((one) => cpuPerPacket(one))),
    us_cpu_agent_all: median(all.map((one) => cpuPerPacket(one, ['agent']))),
    kpps_hot: median(hot.map(kpps)),
    kpps_hot_spread: spread(hot.map(kpps)),
    us_cpu_per_packet_hot: median(hot.map((one) => cpuPerPacket(one))),
  };
}
