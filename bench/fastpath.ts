/**
 * The kernel fast path beside the cells and beside Linux' bridge, on the same topology: 64-byte UDP from one generator,
 * and from two in opposite directions, one on each core (then all that a packet costs, whoever does it, shows in the rate);
 * TCP with the hosts' offloads on.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { type Host, type Network, singleSwitch } from '../mininet/topology.ts';
import { type Datapath, flowcellDatapath, linuxBridge, type Running, until } from './lib/datapaths.ts';
import { median, round } from './lib/report.ts';
import type { SenderOptions } from './lib/sender.ts';
import { cpuSeconds } from './lib/wire.ts';
import type { Bench } from './run.ts';

const node = new URL('../bin/node', import.meta.url).pathname;
const sender = new URL('./lib/sender.ts', import.meta.url).pathname;

/** Of each figure, one after the other: the generators go on meanwhile. */
const RUNS = Number(process.env.FASTPATH_RUNS ?? 5);
const ROUND_MS = 500;
const TCP_SECONDS = 1;
/** Cells are set up, flows earn their entries, code is compiled. */
const START_MS = 2500;
/** USER_HZ */
const TICK_SECONDS = 0.01;
/** Looking at the counters takes time as well. */
const END_MS = 1000;
const SIZE = 64 - 4;
/** FASTPATH_FLOWS=1 and FASTPATH_RUNS=1 make it shorter still. */
const FLOWS = process.env.FASTPATH_FLOWS?.split(',').map(Number) ?? [1, 10_000];

type Net = Network<'s1', string>;
type Row = Record<string, string | number>;

const received = async (host: Host): Promise<number> => {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', host.interface]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
};

class Generator {
  readonly child: ChildProcess;
  readonly #lines: Interface;
  readonly ready: Promise<unknown>;

  constructor(from: Host, to: Host, flows: number, core?: number) {
    const options: SenderOptions = {
      ...{ namespace: from.namespace, interface: from.interface, size: SIZE, flows, rate: 0 },
      seconds: (RUNS * ROUND_MS + START_MS + END_MS) / 1000,
      ...{ srcMac: from.mac, dstMac: to.mac, srcIp: from.ip, dstIp: to.ip },
    };
    const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
    const command = [...pinned, node, sender, JSON.stringify(options)];
    this.child = from.spawn(command, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.child.stdout! });
    this.ready = once(this.#lines, 'line');
  }

  async run(): Promise<void> {
    const total = once(this.#lines, 'line');
    this.child.stdin!.write('go\n');
    await total;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Packets delivered a millisecond (median), and seconds of the datapath's processes for a million of them. */
async function rate(net: Net, running: Running, flows: number, both: boolean) {
  const { h1, h2 } = net.hosts;
  const generators = both
    ? [new Generator(h1, h2, flows, 0), new Generator(h2, h1, flows, 1)]
    : [new Generator(h1, h2, flows)];
  for (const generator of generators) await generator.ready;
  const done = Promise.all(generators.map((generator) => generator.run()));
  await pause(START_MS);
  const look = async () => ({
    packets: (await received(h2)) + (both ? await received(h1) : 0),
    cpu: running.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    time: performance.now(),
  });
  const rates = [];
  const first = await look();
  let before = first;
  for (let i = 0; i < RUNS; i++) {
    await pause(ROUND_MS);
    const after = await look();
    rates.push((after.packets - before.packets) / (after.time - before.time));
    before = after;
  }
  await done;
  // Over all rounds, and no less than the clock can tell: one round of the kernel's work takes less than its tick.
  const cpu = running.pids().length === 0 ? 0 : Math.max(before.cpu - first.cpu, TICK_SECONDS);
  return { kpps: median(rates), cpu: (cpu / (before.packets - first.packets)) * 1e6 };
}

async function tcp(net: Net): Promise<number> {
  const { h1, h2 } = net.hosts;
  const server = h2.spawn(['iperf3', '-s', '-1'], { stdio: 'ignore' });
  try {
    const listens = async () => (await h2.exec(['ss', '-Hltn', 'sport = :5201'])).stdout !== '';
    await until('iperf3 listening', listens);
    const client = ['timeout', '15', 'iperf3', '-c', h2.ip, '-t', String(TCP_SECONDS), '-J'];
    const { stdout } = await h1.exec(client);
    return JSON.parse(stdout).end.sum_received.bits_per_second / 1e9;
  } finally {
    server.kill();
  }
}

async function measure(datapath: Datapath, flows: number): Promise<Row> {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    try {
      const { h1, h2 } = net.hosts;
      await h1.exec(['ping', '-c', '2', '-i', '0.2', h2.ip], { anyExit: true });
      const streams = [];
      for (let i = 0; i < RUNS && flows === 1; i++) streams.push(await tcp(net));
      // With other addresses the hosts throw the frames away at once. Their answers to closed ports (ICMP) would be part
      // of what is measured.
      for (const [i, host] of [h1, h2].entries())
        await host.configure([`link set dev ${host.interface} address 02:00:00:00:ff:0${i + 1}`]);
      const single = await rate(net, running, flows, false);
      const both = await rate(net, running, flows, true);
      return {
        datapath: datapath.name,
        flows,
        kpps: round(single.kpps, 1),
        kpps_saturated: round(both.kpps, 1),
        tcp_gbit: flows === 1 ? round(median(streams), 2) : '-',
        process_cpu_s_per_mpkt: round(single.cpu, 3),
        process_cpu_saturated: round(both.cpu, 3),
      };
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

/** As many cells as flows are more than one host has: theirs is a cell for each port. */
const datapaths = (flows: number): Datapath[] => {
  const granularity = flows === 1 ? 'five-tuple' : 'port';
  return [flowcellDatapath({ granularity, fastPath: true }), flowcellDatapath({ granularity }), linuxBridge];
};

export const fastpath: Bench = {
  name: 'fastpath',
  title: `64-byte UDP h1 - switch - h2, one generator and two; TCP with offloads; medians of ${RUNS} rounds of ${ROUND_MS / 1000} s`,
  needs: ['iperf3', 'taskset'],
  async run(progress) {
    const rows: Row[] = [];
    for (const flows of FLOWS) {
      for (const datapath of datapaths(flows)) {
        progress(`${datapath.name}, ${flows} ${flows === 1 ? 'flow' : 'flows'}`);
        rows.push(await measure(datapath, flows));
      }
    }
    const ratios: Record<string, number> = {};
    const of = (name: string, flows: number) =>
      rows.find((row) => row.datapath === name && row.flows === flows)!;
    for (const flows of FLOWS) {
      const ours = of('flowcell, fast path', flows);
      for (const peer of ['linux-bridge', 'flowcell']) {
        const theirs = of(peer, flows);
        for (const figure of ['kpps', 'kpps_saturated', 'tcp_gbit']) {
          if (typeof ours[figure] !== 'number') continue;
          ratios[`fast path/${peer}, ${figure}, ${flows} ${flows === 1 ? 'flow' : 'flows'}`] = round(
            Number(ours[figure]) / Number(theirs[figure]),
          );
        }
      }
      const cells = of('flowcell', flows);
      for (const figure of ['process_cpu_s_per_mpkt', 'process_cpu_saturated']) {
        ratios[`cells/fast path, ${figure}, ${flows} ${flows === 1 ? 'flow' : 'flows'}`] = round(
          Number(cells[figure]) / Number(ours[figure]),
        );
      }
    }
    return { ratios, rows };
  },
};
