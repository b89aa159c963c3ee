/**
 * Forwarding from h1 to h2 with every packet through its cell, nothing cached: UDP flat out, one probe at a time, and TCP
 * with the hosts' offloads on; each datapath in turn on the same topology. Delivered frames are h2's interface counter
 * over the middle of a run. `--part=flows`, `--part=entries`: a half of it.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Host, type Network, singleSwitch, stop } from '../mininet/topology.ts';
import {
  type Datapath,
  flowcellDatapath,
  linuxBridge,
  ovsDatapath,
  plainForwarder,
} from './lib/datapaths.ts';
import { flowFrame } from './lib/frames.ts';
import { median, round } from './lib/report.ts';
import type { SenderOptions } from './lib/sender.ts';
import { cpuSeconds, Wire } from './lib/wire.ts';
import type { Bench } from './run.ts';

const node = new URL('../bin/node', import.meta.url).pathname;
const sender = new URL('./lib/sender.ts', import.meta.url).pathname;

const quick = process.argv.includes('--quick');
const RUNS = quick ? 1 : 5;
const SECONDS = 2;
/** The first part of a run is start-up: new flows are set up and code is compiled in it. */
const START_MS = 500;
const PROBES = quick ? 500 : 2000;
const LOST_AFTER_MS = 200;
/** A datapath that loses so many is not waited for any longer. */
const MOST_LOST = 10;
/** Probes to a switch that has slept meanwhile: how many, and how far apart. */
const LONE_PROBES = quick ? 50 : 200;
const LONE_MS = 15;
/** Over which the CPU of a switch with nothing to do is counted. */
const IDLE_MS = quick ? 1000 : 5000;
/** Frame sizes as wires count them: with the 4 bytes of the checksum, which are not in the frame here. */
const CHECKSUM = 4;

interface Load {
  size: number;
  flows: number;
  /** All in one cell; 0: what the learning switch has put in. */
  entries: number;
}

const ONE_FLOW: Load = { size: 64, flows: 1, entries: 0 };
/** Cells for each flow; and as many flows as no machine has cells for, in one cell for two hosts. */
const FEW_FLOWS: Load[] = [
  ONE_FLOW,
  { size: 1500, flows: 1, entries: 0 },
  { size: 64, flows: 100, entries: 0 },
];
const MANY_FLOWS: Load[] = [{ size: 64, flows: 10_000, entries: 0 }];
/** An entry for each flow, in one table of one cell. */
const TABLES: Load[] = [1, 100, 10_000].map((entries) => ({ size: 64, flows: entries, entries }));

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

type Net = Network<'s1', string>;

async function received(host: Host): Promise<number> {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', host.interface]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
}

interface Sample {
  kpps: number;
  offeredKpps: number;
  cpuPerMpkt: number;
}

async function measure(net: Net, pids: () => number[], { size, flows }: Load): Promise<Sample> {
  const { h1, h2 } = net.hosts;
  const options: SenderOptions = {
    ...{ namespace: h1.namespace, interface: h1.interface, size: size - CHECKSUM, flows, seconds: SECONDS },
    ...{ rate: 0, srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip },
  };
  const child = h1.spawn([node, sender, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  const total = once(lines, 'line');
  const cpu = () => pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  child.stdin!.write('go\n');
  await sleep(START_MS);
  const [packets0, cpu0, time0] = [await received(h2), cpu(), performance.now()];
  await sleep(SECONDS * 1000 - 2 * START_MS);
  const [packets1, cpu1, time1] = [await received(h2), cpu(), performance.now()];
  const sent = Number((await total)[0]);
  const packets = packets1 - packets0;
  return {
    kpps: packets / (time1 - time0),
    offeredKpps: sent / SECONDS / 1000,
    cpuPerMpkt: ((cpu1 - cpu0) / packets) * 1e6,
  };
}

/** One frame at a time from h1 to h2, `apart` ms after the last: median of the microseconds it takes, and how many were lost. */
async function probe(net: Net, count: number, apart: number): Promise<{ p50: number; lost: number }> {
  const { h1, h2 } = net.hosts;
  const a = new Wire(h1.namespace, h1.interface, false);
  const b = new Wire(h2.namespace, h2.interface);
  const addresses = { srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip };
  const frame = flowFrame({ ...addresses, size: 64 - CHECKSUM, flows: 1 }, 0);
  const times: number[] = [];
  let lost = 0;
  for (let i = 0; i < count && lost < MOST_LOST; i++) {
    if (apart > 0) await sleep(apart);
    const start = performance.now();
    a.send(frame);
    if (b.receive(LOST_AFTER_MS) === 0) lost++;
    else times.push((performance.now() - start) * 1000);
  }
  a.close();
  b.close();
  return { p50: median(times), lost };
}

/** Per cent of a CPU that a switch takes while nobody sends anything. */
async function idleCpu(pids: readonly number[]): Promise<number> {
  const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const [before, start] = [cpu(), performance.now()];
  await sleep(IDLE_MS);
  return ((cpu() - before) / (performance.now() - start)) * 1e5;
}

/** Gbit/s that arrive in a second of TCP; 0 when nothing gets through. */
async function tcp(net: Net): Promise<number> {
  const { h1, h2 } = net.hosts;
  const server = h2.spawn(['iperf3', '-s', '-1', '--forceflush'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await once(server.stdout!, 'data');
    const argv = ['timeout', '5', 'iperf3', '-c', h2.ip, '-t', '1', '-J', '--connect-timeout', '1000'];
    const { code, stdout } = await h1.exec(argv, { anyExit: true });
    if (code !== 0) return 0;
    // A test that got no further than connecting has no sums.
    const { end } = JSON.parse(stdout) as { end: { sum_received?: { bits_per_second: number } } };
    return (end.sum_received?.bits_per_second ?? 0) / 1e9;
  } finally {
    await stop(server);
  }
}

interface Row extends Record<string, string | number> {
  datapath: string;
  size: number;
  flows: number;
  entries: number | '-';
  kpps: number;
  offered_kpps: number;
  cpu_s_per_mpkt: number;
  /** Of the datapath, said once. */
  probe_p50_us: number | '-';
  lone_probe_p50_us: number | '-';
  idle_cpu_percent: number | '-';
  tcp_gbit_s: number | '-';
}

type Said = Pick<Row, 'probe_p50_us' | 'lone_probe_p50_us' | 'idle_cpu_percent' | 'tcp_gbit_s'>;
const NOT_SAID: Said = {
  probe_p50_us: '-',
  lone_probe_p50_us: '-',
  idle_cpu_percent: '-',
  tcp_gbit_s: '-',
};

async function sayOnce(net: Net, pids: readonly number[]): Promise<Said> {
  const idle = await idleCpu(pids);
  const lone = await probe(net, LONE_PROBES, LONE_MS);
  const { p50 } = await probe(net, PROBES, 0);
  const rates: number[] = [];
  for (let i = 0; i < RUNS; i++) rates.push(await tcp(net));
  return {
    probe_p50_us: round(p50, 1),
    lone_probe_p50_us: round(lone.p50, 1),
    idle_cpu_percent: round(idle, 1),
    tcp_gbit_s: round(median(rates)),
  };
}

/** `whole`: also what is said of a datapath once. */
async function run(datapath: Datapath, loads: readonly Load[], whole: boolean): Promise<Row[]> {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    try {
      const { h1, h2 } = net.hosts;
      // Both ends are heard from before the load, so that a learning switch knows where they are.
      await h1.exec(['ping', '-c', '2', '-i', '0.2', h2.ip], { anyExit: true });
      const said = whole ? await sayOnce(net, running.pids()) : NOT_SAID;
      // With another address h2 throws all of it away at once. Else its answers to closed ports (ICMP), sent on the
      // forwarding process's time, are a third of what is measured, the same for every datapath.
      await h2.configure([`link set dev ${h2.interface} address 02:00:00:00:ff:02`]);
      const rows: Row[] = [];
      for (const load of loads) {
        const samples: Sample[] = [];
        for (let i = 0; i < RUNS; i++) samples.push(await measure(net, running.pids, load));
        rows.push({
          datapath: datapath.name,
          ...load,
          entries: load.entries || '-',
          kpps: round(median(samples.map((s) => s.kpps)), 1),
          offered_kpps: round(median(samples.map((s) => s.offeredKpps)), 1),
          cpu_s_per_mpkt: round(median(samples.map((s) => s.cpuPerMpkt))),
          ...(load === ONE_FLOW ? said : NOT_SAID),
        });
      }
      return rows;
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

const ours = 'flowcell';

type Case = [Datapath, readonly Load[], boolean];

export const cells: Bench = {
  name: 'cells',
  title: `UDP flat out, one probe at a time and TCP, h1 -> h2, each packet through its cell; medians of ${RUNS} (--quick: 1)`,
  needs: ['ovs-vswitchd', 'iperf3'],
  async run(progress) {
    const plain = [...FEW_FLOWS, ...MANY_FLOWS];
    const part = process.argv.find((word) => word.startsWith('--part='))?.slice(7);
    const flows: Case[] = [
      [flowcellDatapath({ poolSize: 128 }), FEW_FLOWS, true],
      [flowcellDatapath({ granularity: 'host-pair' }), MANY_FLOWS, false],
      [plainForwarder, plain, true],
      [ovsDatapath('none'), plain, true],
      [linuxBridge, plain, true],
    ];
    const entries = TABLES.flatMap((load): Case[] => [
      [flowcellDatapath({ entries: load.entries }), [load], false],
      [ovsDatapath({ entries: load.entries }), [load], false],
    ]);
    const cases = part === 'flows' ? flows : part === 'entries' ? entries : [...flows, ...entries];
    const rows: Row[] = [];
    for (const [datapath, loads, withTcp] of cases) {
      progress(`${datapath.name}, ${loads.map(({ flows }) => flows).join(' and ')} flows`);
      rows.push(...(await run(datapath, loads, withTcp)));
    }
    const find = (name: string, { size, flows, entries }: Load) =>
      rows.find(
        (row) =>
          row.datapath === name &&
          row.size === size &&
          row.flows === flows &&
          row.entries === (entries || '-'),
      );
    const ratios: Record<string, number> = {};
    for (const load of [...plain, ...TABLES]) {
      const table = load.entries > 0 ? `, an entry for each` : '';
      const label = `${load.size} bytes, ${load.flows} ${load.flows === 1 ? 'flow' : 'flows'}${table}`;
      const mine = find(ours, load);
      if (mine === undefined) continue;
      for (const peer of ['ovs-userspace', 'no-cells', 'linux-bridge']) {
        const other = find(peer, load);
        if (other === undefined) continue;
        ratios[`kpps ${ours}/${peer}, ${label}`] = round(mine.kpps / other.kpps);
        if (other.cpu_s_per_mpkt === 0) continue;
        ratios[`packets per CPU second ${ours}/${peer}, ${label}`] = round(
          other.cpu_s_per_mpkt / mine.cpu_s_per_mpkt,
        );
      }
    }
    return { ratios, rows };
  },
};
