/**
 * Forwarding from h1 to h2 with every packet through its cell, nothing cached: UDP flat out, one probe at a time, and TCP
 * with the hosts' offloads on; the datapaths in turn, round by round, each between hosts of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchResult, Session } from './lib/bench.ts';
import {
  type Datapath,
  flowcellDatapath,
  linuxBridge,
  ovsDatapath,
  plainForwarder,
} from './lib/datapaths.ts';
import { cpuPerPacket, type Forwarded, forwarding, kpps } from './lib/forwarding.ts';
import { flowFrame } from './lib/frames.ts';
import { tcpGbit, throwAway } from './lib/load-hosts.ts';
import { cpuSeconds } from './lib/processes.ts';
import { column, median, round } from './lib/report.ts';
import { inTurn, type TestBed, withTestBeds } from './lib/test-bed.ts';
import { Wire } from './lib/wire.ts';

const ROUNDS = 5;
/** The first part of a round is start-up: new flows are set up and code is compiled in it. */
const START_MS = 500;
const COUNT_MS = 800;
/** Probes of a round: one after the other, and to a switch that has slept meanwhile, so far apart. */
const PROBES = 400;
const LONE_PROBES = 40;
const LONE_MS = 15;
const PROBE_FRAME_BYTES = 60;
const LOST_AFTER_MS = 200;
/** A datapath that loses so many in a round is not waited for any longer. */
const MOST_LOST = 10;
/** Over which the CPU of a switch with nothing to do is counted. */
const IDLE_MS = 1000;

interface Load {
  size: number;
  flows: number;
  /** All in one cell; 0: what the learning switch has put in. */
  entries: number;
}

/** Datapaths that are measured together. */
interface Group {
  part: string;
  flowcell: Datapath;
  peers: readonly Datapath[];
  loads: readonly Load[];
  /** Also what does not depend on a load. */
  latency: boolean;
}

/** A cell for each flow. */
const FEW_FLOWS: Load[] = [
  { size: 64, flows: 1, entries: 0 },
  { size: 1500, flows: 1, entries: 0 },
  { size: 64, flows: 100, entries: 0 },
];
/** As many flows as no machine has cells for, in one cell for two hosts. */
const MANY_FLOWS: Load = { size: 64, flows: 10_000, entries: 0 };
/** An entry for each flow, in one table of one cell. */
const TABLES: Load[] = [1, 100, 10_000].map((entries) => ({ size: 64, flows: entries, entries }));

const OURS = 'flowcell';
const PEERS = [plainForwarder, ovsDatapath('none'), linuxBridge] as const;

const GROUPS: readonly Group[] = [
  {
    part: 'flows',
    flowcell: flowcellDatapath({ poolSize: 128 }),
    peers: PEERS,
    loads: FEW_FLOWS,
    latency: true,
  },
  {
    part: 'many',
    flowcell: flowcellDatapath({ granularity: 'host-pair' }),
    peers: PEERS,
    loads: [MANY_FLOWS],
    latency: false,
  },
  ...TABLES.map(
    (load): Group => ({
      part: `entries-${load.entries}`,
      flowcell: flowcellDatapath({ entries: load.entries }),
      peers: [ovsDatapath({ entries: load.entries })],
      loads: [load],
      latency: false,
    }),
  ),
];

/** One frame at a time from h1 to h2, `apart` ms after the last: median of the microseconds it takes. */
async function probe({ net }: TestBed, count: number, apart: number): Promise<number> {
  const { h1, h2 } = net.hosts;
  const a = new Wire(h1.namespace, h1.interface, false);
  const b = new Wire(h2.namespace, h2.interface);
  const addresses = { srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip };
  const frame = flowFrame({ ...addresses, size: PROBE_FRAME_BYTES, flows: 1 }, 0);
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
  return median(times);
}

/** Per cent of a CPU that a switch takes while nobody sends anything. */
async function idleCpu({ running }: TestBed): Promise<number> {
  const [before, start] = [cpuSeconds(...running.pids()), performance.now()];
  await sleep(IDLE_MS);
  return ((cpuSeconds(...running.pids()) - before) / (performance.now() - start)) * 1e5;
}

type Row = Record<string, string | number>;

const LATENCIES = ['probe_p50_us', 'lone_probe_p50_us', 'idle_cpu_percent', 'tcp_gbit_s'] as const;

const latencies = async (bed: TestBed): Promise<Record<(typeof LATENCIES)[number], number>> => ({
  probe_p50_us: await probe(bed, PROBES, 0),
  lone_probe_p50_us: await probe(bed, LONE_PROBES, LONE_MS),
  idle_cpu_percent: await idleCpu(bed),
  tcp_gbit_s: await tcpGbit(bed.net.hosts.h1, bed.net.hosts.h2),
});

async function latencyRows(session: Session, beds: readonly TestBed[]): Promise<Row[]> {
  const all = await inTurn(session, 'latency, rest and TCP', beds, session.rounds(ROUNDS), latencies);
  return [...all].map(([{ name: datapath }, samples]): Row => {
    const columns = LATENCIES.map((figure) =>
      column(
        figure,
        samples.map((sample) => sample[figure]),
        1,
      ),
    );
    return Object.assign({ datapath }, ...columns);
  });
}

async function loadRows(session: Session, beds: readonly TestBed[], load: Load): Promise<Row[]> {
  const { size, flows, entries } = load;
  const forward = ({ net: { hosts }, running }: TestBed): Promise<Forwarded> =>
    forwarding(running, [{ from: hosts.h1, to: hosts.h2 }], {
      size,
      flows,
      startMs: START_MS,
      countMs: COUNT_MS,
    });
  const all = await inTurn(session, labelOf(load), beds, session.rounds(ROUNDS), forward);
  return [...all].map(([{ name: datapath }, samples]) => ({
    ...{ datapath, size, flows, entries: entries || '-' },
    ...column('kpps', samples.map(kpps), 1),
    offered_kpps: round(median(samples.map((one) => one.offeredKpps)), 1),
    ...column(
      'cpu_s_per_mpkt',
      samples.map((one) => cpuPerPacket(one)),
      2,
    ),
  }));
}

const labelOf = ({ size, flows, entries }: Load): string =>
  `${size} bytes, ${flows} ${flows === 1 ? 'flow' : 'flows'}${entries > 0 ? ', an entry for each' : ''}`;

/** Figures of one load, or those that belong to none: ours to each peer's. */
function ratiosOf(rows: readonly Row[], label: string): [string, number][] {
  const ours = rows.find(({ datapath }) => datapath === OURS);
  if (ours === undefined) return [];
  const ratios: [string, number][] = [];
  for (const peer of rows) {
    const ratio = (name: string, from: Row, to: Row, figure: string) => {
      if (Number(from[figure]) > 0 && Number(to[figure]) > 0)
        ratios.push([
          `${name} ${OURS}/${peer.datapath}${label}`,
          round(Number(from[figure]) / Number(to[figure])),
        ]);
    };
    if (peer === ours) continue;
    ratio('kpps', ours, peer, 'kpps');
    ratio('packets per CPU second', peer, ours, 'cpu_s_per_mpkt');
    ratio('TCP Gbit/s', ours, peer, 'tcp_gbit_s');
    ratio('microseconds of a frame', ours, peer, 'probe_p50_us');
    ratio('microseconds of a frame after a rest', ours, peer, 'lone_probe_p50_us');
  }
  return ratios;
}

async function measure(
  session: Session,
  group: Group,
  result: Required<Pick<BenchResult, 'ratios' | 'rows' | 'more'>>,
) {
  const datapaths = [group.flowcell, ...group.peers].map((datapath) => [datapath.name, datapath] as const);
  await withTestBeds(session, datapaths, async (beds) => {
    if (group.latency) {
      const rows = await latencyRows(session, beds);
      result.more['one frame at a time, at rest, and TCP'] = rows;
      Object.assign(result.ratios, Object.fromEntries(ratiosOf(rows, '')));
    }
    for (const { net } of beds) await throwAway(net.hosts.h2);
    for (const load of group.loads) {
      const rows = await loadRows(session, beds, load);
      result.rows.push(...rows);
      Object.assign(result.ratios, Object.fromEntries(ratiosOf(rows, `, ${labelOf(load)}`)));
    }
  });
}

export const cells: Bench = {
  name: 'cells',
  title: `UDP flat out, one frame at a time and TCP, h1 -> h2, each packet through its cell; medians of ${ROUNDS} rounds in turn`,
  needs: ['ovs-vswitchd', 'iperf3'],
  minutes: 7,
  parts: GROUPS.map(({ part }) => part),
  targets: [
    { of: `kpps ${OURS}/ovs-userspace`, atLeast: 2 },
    { of: `packets per CPU second ${OURS}/ovs-userspace`, atLeast: 2 },
    { of: `kpps ${OURS}/no-cells`, atLeast: 0.67 },
  ],
  async run(session) {
    const result = { ratios: {}, rows: [], more: {} };
    for (const group of GROUPS) {
      if (!session.wants(group.part)) continue;
      await session.attempt(`${group.part}, ${group.loads.map(labelOf).join('; ')}`, () =>
        measure(session, group, result),
      );
    }
    return result;
  },
};
