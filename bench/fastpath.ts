/**
 * The kernel fast path beside the cells and beside Linux' bridge: 64-byte UDP from one generator, and from two in opposite
 * directions, one on each core (then all that a packet costs, whoever does it, shows in the rate); TCP with the hosts'
 * offloads on. The datapaths in turn, round by round, each between hosts of its own.
 */
import type { Bench, Session } from './lib/bench.ts';
import { type Datapath, flowcellDatapath, linuxBridge } from './lib/datapaths.ts';
import { type Forwarded, forwarding, kpps } from './lib/forwarding.ts';
import { tcpGbit, throwAway } from './lib/load-hosts.ts';
import { column, round } from './lib/report.ts';
import { inTurn, type TestBed, withTestBeds } from './lib/test-bed.ts';

const ROUNDS = 5;
const COUNT_MS = 700;
const START_MS = 600;
/** Before the first round, not counted: cells are set up, flows earn their entries, code is compiled. */
const FIRST_MS = 2500;
/** USER_HZ */
const TICK_SECONDS = 0.01;
const SIZE = 64;
const FLOWS = [1, 10_000];

const FAST_PATH = 'flowcell, fast path';
const CELLS = 'flowcell';
const BRIDGE = linuxBridge.name;

type Row = Record<string, string | number>;
type Figures = Map<TestBed, Forwarded[]>;

const flowsOf = (flows: number): string => `${flows} ${flows === 1 ? 'flow' : 'flows'}`;

/** Over all rounds, and no less than the clock can tell: one round of the kernel's work takes less than its tick. */
function cpuPerMpkt({ running }: TestBed, samples: readonly Forwarded[]): number {
  if (running.pids().length === 0) return 0;
  const packets = samples.reduce((sum, one) => sum + one.packets, 0);
  const used = samples.reduce((sum, { cpu }) => sum + cpu.agent + cpu.host, 0);
  return (Math.max(used, TICK_SECONDS) / packets) * 1e6;
}

async function rates(
  session: Session,
  beds: readonly TestBed[],
  flows: number,
  both: boolean,
): Promise<Figures> {
  const run = async ({ net, running }: TestBed, startMs: number) => {
    const { h1, h2 } = net.hosts;
    const streams = both
      ? [
          { from: h1, to: h2, core: 0 },
          { from: h2, to: h1, core: 1 },
        ]
      : [{ from: h1, to: h2 }];
    return await forwarding(running, streams, { size: SIZE, flows, startMs, countMs: COUNT_MS });
  };
  const label = `${flowsOf(flows)}, ${both ? 'two generators' : 'one generator'}`;
  const begun = await inTurn(session, `${label}, start`, beds, 1, (bed) => run(bed, FIRST_MS));
  return await inTurn(session, label, [...begun.keys()], session.rounds(ROUNDS), (bed) => run(bed, START_MS));
}

async function measure(session: Session, beds: readonly TestBed[], flows: number): Promise<Row[]> {
  const tcp = ({ net: { hosts } }: TestBed) => tcpGbit(hosts.h1, hosts.h2);
  const streams =
    flows === 1
      ? await inTurn(session, 'TCP', beds, session.rounds(ROUNDS), tcp)
      : new Map<TestBed, number[]>();
  for (const { net } of beds) for (const host of [net.hosts.h1, net.hosts.h2]) await throwAway(host);
  const single = await rates(session, beds, flows, false);
  const both = await rates(session, beds, flows, true);
  return beds.map((bed) => {
    const row: Row = { datapath: bed.name, flows };
    for (const [suffix, samples] of [
      ['', single.get(bed)],
      ['_saturated', both.get(bed)],
    ] as const) {
      if (samples === undefined) continue;
      Object.assign(row, column(`kpps${suffix}`, samples.map(kpps), 1));
      row[`process_cpu_s_per_mpkt${suffix}`] = round(cpuPerMpkt(bed, samples), 3);
    }
    if (streams.has(bed)) Object.assign(row, column('tcp_gbit', streams.get(bed)!, 2));
    return row;
  });
}

/** As many cells as flows are more than one host has: theirs is a cell for each port. */
const datapaths = (flows: number): [string, Datapath][] => {
  const granularity = flows === 1 ? 'five-tuple' : 'port';
  return [
    [FAST_PATH, flowcellDatapath({ granularity, fastPath: true })],
    [CELLS, flowcellDatapath({ granularity })],
    [BRIDGE, linuxBridge],
  ];
};

function ratiosOf(rows: readonly Row[], flows: number): [string, number][] {
  const of = (name: string) => rows.find((row) => row.datapath === name && row.flows === flows);
  const [ours, cells, bridge] = [of(FAST_PATH), of(CELLS), of(BRIDGE)];
  const ratios: [string, number][] = [];
  const ratio = (name: string, figure: string, from: Row | undefined, to: Row | undefined) => {
    const value = Number(from?.[figure]) / Number(to?.[figure]);
    if (Number.isFinite(value)) ratios.push([`${name}, ${figure}, ${flowsOf(flows)}`, round(value)]);
  };
  for (const figure of ['kpps', 'kpps_saturated', 'tcp_gbit'])
    ratio(`fast path/${BRIDGE}`, figure, ours, bridge);
  for (const figure of ['kpps', 'kpps_saturated', 'tcp_gbit'])
    ratio(`fast path/${CELLS}`, figure, ours, cells);
  for (const figure of ['process_cpu_s_per_mpkt', 'process_cpu_s_per_mpkt_saturated'])
    ratio('cells/fast path', figure, cells, ours);
  return ratios;
}

export const fastpath: Bench = {
  name: 'fastpath',
  title: `64-byte UDP h1 - switch - h2, one generator and two; TCP with offloads; medians of ${ROUNDS} rounds of ${COUNT_MS} ms in turn`,
  needs: ['iperf3', 'taskset'],
  minutes: 4,
  parts: FLOWS.map(String),
  targets: [
    { of: `fast path/${BRIDGE}`, atLeast: 1 },
    { of: 'cells/fast path', atLeast: 10 },
  ],
  async run(session) {
    const rows: Row[] = [];
    for (const flows of FLOWS) {
      if (!session.wants(String(flows))) continue;
      const measured = await session.attempt(flowsOf(flows), () =>
        withTestBeds(session, datapaths(flows), (beds) => measure(session, beds, flows)),
      );
      rows.push(...(measured ?? []));
    }
    return { ratios: Object.fromEntries(FLOWS.flatMap((flows) => ratiosOf(rows, flows))), rows };
  },
};
