/** One device with more and more live cells: what each takes, how fast they come and go, how fast packets get through all of them. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Host, type Network, singleSwitch } from '../../mininet/topology.ts';
import type { CellWall } from '../../sandbox/index.ts';
import { flowcellDatapath, type Running, until } from './datapaths.ts';
import { flowFrame } from './frames.ts';
import { median, round, writeResult } from './report.ts';
import type { SenderOptions } from './sender.ts';
import { cpuSeconds, memoryBytes, Wire } from './wire.ts';

const node = new URL('../../bin/node', import.meta.url).pathname;
const sender = new URL('./sender.ts', import.meta.url).pathname;

const SIZE = 64 - 4;
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
const RUNS = 3;
/** Of the receiving host while packets to the address it had are measured. */
const OTHER_MAC = '02:00:00:00:fe:fe';
/** The memory of cells that have ended is back by then, and a host that is empty too. */
const LATER_MS = 45_000;
/** Longest time that the end of all cells may take. */
const DISPOSE_MS = 120_000;
const SECONDS = 3;
const WARM_UP_MS = 1000;

export interface LiveCells {
  readonly wall: CellWall;
  readonly cells: number;
  readonly MiB_per_cell: number;
  readonly setup_per_s: number;
  /** 64-byte UDP flat out: packets of all cells in turn, and of the hot ones. */
  readonly kpps_all: number;
  readonly us_cpu_per_packet_all: number;
  /** The agent's part of that; the rest is the sandbox hosts'. */
  readonly us_cpu_agent_all: number;
  readonly kpps_hot: number;
  readonly us_cpu_per_packet_hot: number;
  readonly hosts: number;
}

export interface Scale {
  readonly wall: CellWall;
  readonly steps: readonly LiveCells[];
  readonly disposing: Disposing;
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

type Net = Network<'s1', string>;

export async function measureLiveCells(
  wall: CellWall,
  counts: readonly number[],
  progress: (step: string) => void,
  runs = RUNS,
): Promise<Scale> {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await flowcellDatapath({ poolSize: POOL, idleTimeout: 3600, wall }).start(
      net.switches.s1,
    );
    try {
      // Both ends are heard from first, so that h2's place is known.
      await net.hosts.h1.exec(['ping', '-c', '2', '-i', '0.2', net.hosts.h2.ip], { anyExit: true });
      // What it does not take for its own it throws away at once: its answers to closed ports were a third of the work.
      await net.hosts.h2.configure([`link set dev ${net.hosts.h2.interface} address ${OTHER_MAC}`]);
      return await measure(net, running, { wall, counts, runs }, progress);
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

async function measure(
  net: Net,
  running: Running,
  { wall, counts, runs }: { wall: CellWall; counts: readonly number[]; runs: number },
  progress: (step: string) => void,
): Promise<Scale> {
  const { h1, h2 } = net.hosts;
  const flows = { size: SIZE, flows: 0, srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip };
  const wire = new Wire(h1.namespace, h1.interface, false);
  const hosts = async () => (await running.state!('/hosts')) as { live: number; warm: number }[];
  const live = async (): Promise<number> => sum((await hosts()).map((host) => host.live));
  const memory = () => sum(running.pids().map((pid) => memoryBytes(pid).pss));
  const before = await live();
  const bytesBefore = memory();
  const steps: LiveCells[] = [];
  let made = 0;
  for (const count of counts) {
    progress(`${count} cells, wall ${wall}`);
    const start = performance.now();
    const from = made;
    let sent = from;
    let stalled = performance.now();
    while (made < count) {
      const now = (await live()) - before;
      if (now > made) stalled = performance.now();
      made = now;
      for (; sent < Math.min(count, made + WINDOW); sent++) wire.send(flowFrame(flows, sent));
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (performance.now() - stalled < STALLED_MS) continue;
      // A packet was lost, or a cell: once more from the start.
      progress(`only ${made} live; sending all again`);
      for (let i = 0; i < sent; i++) {
        wire.send(flowFrame(flows, i));
        if (i % WINDOW === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      stalled = performance.now();
    }
    const seconds = (performance.now() - start) / 1000;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const bytes = memory() - bytesBefore;
    const all = await forward(net, running, count, runs);
    const hot = await forward(net, running, Math.min(HOT, count), runs);
    const step: LiveCells = {
      wall,
      cells: count,
      MiB_per_cell: bytes / count / 2 ** 20,
      setup_per_s: (count - from) / seconds,
      kpps_all: all.kpps,
      us_cpu_per_packet_all: all.cpuUs,
      us_cpu_agent_all: all.agentUs,
      kpps_hot: hot.kpps,
      us_cpu_per_packet_hot: hot.cpuUs,
      hosts: (await hosts()).length,
    };
    steps.push(step);
    // A run that is cut off has left what it had by then.
    writeResult(`scale-${wall}.jsonl`, lines(steps));
    progress(described(step));
  }
  progress('disposing them');
  const disposing = await dispose(h1, {
    ...{ live, hosts, memory },
    left: before + CHATTER,
    memoryBefore: bytesBefore,
  });
  progress(described(disposing));
  return { wall, steps, disposing };
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
}

/** Takes h1's port away, and its cells with it. */
async function dispose(h1: Host, device: Device): Promise<Disposing> {
  const MiB = (bytes: number): number => bytes / 2 ** 20;
  const { live, left, hosts, memory, memoryBefore } = device;
  const cells = await live();
  const full = memory();
  const start = performance.now();
  await h1.configure([`link set dev ${h1.interface} down`]);
  await until('the cells ending', async () => (await live()) <= left, DISPOSE_MS);
  const seconds = (performance.now() - start) / 1000;
  const ended = memory();
  await new Promise((resolve) => setTimeout(resolve, LATER_MS));
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

interface Forwarded {
  readonly kpps: number;
  /** CPU time for each packet: of the agent and its hosts, and of the agent alone. */
  readonly cpuUs: number;
  readonly agentUs: number;
}

async function forward(net: Net, running: Running, flows: number, runs: number): Promise<Forwarded> {
  const samples: Forwarded[] = [];
  for (let run = 0; run < runs; run++) samples.push(await forwardOnce(net, running, flows));
  const middle = (name: keyof Forwarded): number => median(samples.map((sample) => sample[name]));
  return { kpps: middle('kpps'), cpuUs: middle('cpuUs'), agentUs: middle('agentUs') };
}

async function forwardOnce(net: Net, running: Running, flows: number): Promise<Forwarded> {
  const { h1, h2 } = net.hosts;
  const options: SenderOptions = {
    ...{ namespace: h1.namespace, interface: h1.interface, size: SIZE, flows, seconds: SECONDS, rate: 0 },
    ...{ srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip },
  };
  const child = h1.spawn([node, sender, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  const total = once(lines, 'line');
  const { agent, host } = running.parts();
  const sample = async () => ({
    packets: await received(h2),
    agent: sum(agent.map(cpuSeconds)),
    hosts: sum(host.map(cpuSeconds)),
    time: performance.now(),
  });
  child.stdin!.write('go\n');
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  const from = await sample();
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000 - WARM_UP_MS));
  const to = await sample();
  await total;
  const packets = to.packets - from.packets;
  const agentUs = ((to.agent - from.agent) / packets) * 1e6;
  const hostsUs = ((to.hosts - from.hosts) / packets) * 1e6;
  return { kpps: packets / (to.time - from.time), cpuUs: agentUs + hostsUs, agentUs };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function received(host: Host): Promise<number> {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', host.interface]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
}
