/**
 * Overload: one, two and four times what can be sustained, of new flows, of packet-ins to the controller, of packets
 * through cells. What matters is what is left of the goodput, what happens to others meanwhile, and whether everything
 * that was dropped is counted. What can be sustained is measured first, in the same run. `--part=NAME` measures one of
 * the three: new-flows, packets, packet-ins.
 */
import type { Bench, Session } from './lib/bench.ts';
import { type ControllerName, measure } from './lib/controllers.ts';
import { type Datapath, flowcellDatapath, ovsDatapath } from './lib/datapaths.ts';
import { FloodedDevice, type FloodResult, PROBE_PORT, RECOVERY_LIMIT_MS } from './lib/flood.ts';
import { floodController } from './lib/flood-controller.ts';
import type { ProbeResult, Trips } from './lib/probes.ts';
import { median, round, spread } from './lib/report.ts';

const ROUNDS = 5;
const LOADS: readonly number[] = [1, 2, 4];
const QUICK_LOADS: readonly number[] = [2];
const SECONDS = 1.5;
/** New flows under way at once, when it is measured how many can be set up; the first seconds use up what was in store. */
const WINDOW = 16;
const WARM_UP_MS = 1000;
const COUNT_MS = 750;
/** So that cells of flows that are over make room for others, seconds. */
const IDLE_TIMEOUT = 2;
const MIB = 2 ** 20;

/** One flood. Rates are a second, times milliseconds, memory MiB. */
interface Sample {
  sustainable: number;
  offered: number;
  goodput: number;
  sent: number;
  uncounted: number;
  drops: Record<string, number>;
  memory: { before: number; peak: number; after: number };
  recovery: number;
  probes: ProbeResult;
}

/** How often the sustainable rate each flood is, and what is called before it. */
interface Loads {
  loads: readonly number[];
  starts(load: number): void;
}

type Row = Record<string, string | number>;

const DATAPATHS: readonly Datapath[] = [
  flowcellDatapath({ idleTimeout: IDLE_TIMEOUT, secondController: PROBE_PORT }),
  ovsDatapath('testcontroller', PROBE_PORT),
];
const CONTROLLERS: readonly ControllerName[] = ['flowcell', 'os-ken'];

const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

const sampleOf = ({ rate, recoveryMs, ...flood }: FloodResult, sustainable: number): Sample => ({
  ...{ sustainable, goodput: rate, recovery: recoveryMs },
  ...{ offered: flood.offered, sent: flood.sent, drops: flood.drops, memory: flood.memory },
  ...{ probes: flood.probes, uncounted: flood.sent - flood.delivered - sum(Object.values(flood.drops)) },
});

async function withDevice<T>(datapath: Datapath, use: (device: FloodedDevice) => Promise<T>): Promise<T> {
  const device = await FloodedDevice.start(datapath);
  try {
    return await use(device);
  } finally {
    await device.stop();
  }
}

type Samples = Map<number, Sample>;

/** Each load on a device of its own: the cells that one flood has left behind are not the next one's. */
async function floodNewFlows(datapath: Datapath, { loads, starts }: Loads): Promise<Samples> {
  const samples: Samples = new Map();
  for (const load of loads) {
    starts(load);
    const sample = await withDevice(datapath, async (device) => {
      const sustainable = device.sustainableFlows(WINDOW, WARM_UP_MS, COUNT_MS);
      return sampleOf(await device.flood('new flows', sustainable * load, SECONDS), sustainable);
    });
    samples.set(load, sample);
  }
  return samples;
}

/** One device that is warm: of few flows nothing is left. */
const floodPackets = (datapath: Datapath, { loads, starts }: Loads): Promise<Samples> =>
  withDevice(datapath, async (device) => {
    await device.flood('packets', 0, WARM_UP_MS / 1000);
    const { rate: sustainable } = await device.flood('packets', 0, SECONDS);
    const samples: Samples = new Map();
    for (const load of loads) {
      starts(load);
      samples.set(load, sampleOf(await device.flood('packets', sustainable * load, SECONDS), sustainable));
    }
    return samples;
  });

async function floodControllers(name: ControllerName, { loads, starts }: Loads): Promise<Samples> {
  const load = { version: 4, switches: 1, mode: 'throughput', macs: 1000, buffered: false } as const;
  const closed = await measure(name, { ...load, warmUpMs: 1000, roundMs: 500, rounds: 3 });
  const sustainable = median(closed.answered);
  const samples: Samples = new Map();
  for (const times of loads) {
    starts(times);
    const { offered, rate, sent, answered, refused, memory, probes, drainMs } = await floodController(
      name,
      sustainable * times,
      SECONDS,
    );
    const drops = { 'not read by the controller': refused };
    const rest = { offered, sent, uncounted: sent - answered - refused, drops, memory, probes };
    samples.set(times, { sustainable, goodput: rate, recovery: drainMs, ...rest });
  }
  return samples;
}

const shown = (trips: Trips | undefined, of: 'p50' | 'p99'): number | string =>
  trips === undefined ? '-' : round(trips[of], 2);

const lasting = (ms: number): number | string =>
  Number.isFinite(ms) ? Math.round(ms) : `more than ${RECOVERY_LIMIT_MS}`;

/** The run in the middle by goodput stands for all in what is not a rate. */
function row(what: string, who: string, load: number, samples: readonly Sample[]): Row {
  const middle = [...samples].sort((a, b) => a.goodput - b.goodput)[samples.length >> 1];
  const { probes, memory, drops } = middle;
  const lost =
    probes.flow === undefined ? '-' : round(100 * (1 - probes.flow.answered / probes.flow.sent), 1);
  const dropped = Object.entries(drops).filter(([, count]) => count > 0);
  return {
    what,
    who,
    load: `${load}x`,
    offered_per_s: Math.round(median(samples.map((s) => s.offered))),
    goodput_per_s: Math.round(median(samples.map((s) => s.goodput))),
    of_sustainable: round(median(samples.map((s) => s.goodput / s.sustainable))),
    spread: spread(
      samples.map((s) => s.goodput / s.sustainable),
      2,
    ),
    recovery_ms: lasting(median(samples.map((s) => s.recovery))),
    'other flow lost %': lost,
    'other flow p50 ms': shown(probes.flow, 'p50'),
    'other flow p99 ms': shown(probes.flow, 'p99'),
    'echo of device p99 ms': shown(probes.deviceEcho, 'p99'),
    'barrier p99 ms': shown(probes.deviceBarrier, 'p99'),
    'echo of controller p99 ms': shown(probes.controllerEcho, 'p99'),
    'its other device p99 ms': shown(probes.controllerAnswer, 'p99'),
    'MiB before': Math.round(memory.before / MIB),
    'MiB peak': Math.round(memory.peak / MIB),
    'MiB after': Math.round(memory.after / MIB),
    sent: middle.sent,
    'dropped and not counted': who === 'flowcell' ? middle.uncounted : '-',
    'dropped by': who === 'flowcell' ? dropped.map(([name, count]) => `${name} ${count}`).join(', ') : '-',
  };
}

/** What is flooded, and who: each by its name. */
interface Case {
  part: string;
  what: string;
  who: string;
  flood: (loads: Loads) => Promise<Samples>;
}

const CASES: readonly Case[] = [
  ...DATAPATHS.map((datapath) => ({
    ...{ part: 'new-flows', what: 'new flows', who: datapath.name },
    flood: (loads: Loads) => floodNewFlows(datapath, loads),
  })),
  ...DATAPATHS.map((datapath) => ({
    ...{ part: 'packets', what: 'packets', who: datapath.name },
    flood: (loads: Loads) => floodPackets(datapath, loads),
  })),
  ...CONTROLLERS.map((who) => ({
    ...{ part: 'packet-ins', what: 'packet-ins', who },
    flood: (loads: Loads) => floodControllers(who, loads),
  })),
];
const PARTS = [...new Set(CASES.map(({ part }) => part))];

/** Floods of one kind, ours and the peer's in turn, round by round. */
async function inTurn(session: Session, part: string): Promise<Row[]> {
  const cases = CASES.filter((one) => one.part === part);
  const floods = new Map<Case, Samples[]>(cases.map((one) => [one, []]));
  const rounds = session.rounds(ROUNDS);
  const loads = session.quick ? QUICK_LOADS : LOADS;
  for (let round = 1; round <= rounds; round++) {
    for (const [one, samples] of floods) {
      const starts = (load: number) =>
        session.progress(`${one.what}, ${one.who}, round ${round} of ${rounds}, ${load}x`);
      // What fails once may do so because of the flood: the other rounds show it.
      const flood = await session.attempt(`${one.what}, ${one.who}, round ${round}`, () =>
        one.flood({ loads, starts }),
      );
      if (flood !== undefined) samples.push(flood);
    }
  }
  return [...floods]
    .filter(([, samples]) => samples.length > 0)
    .flatMap(([{ what, who }, all]) =>
      loads.map((load) =>
        row(
          what,
          who,
          load,
          all.map((samples) => samples.get(load)!),
        ),
      ),
    );
}

export const overload: Bench = {
  name: 'overload',
  title:
    'Once, twice and four times the sustainable rate of new flows, packets (64 bytes) and packet-ins, ' +
    `${SECONDS} s each; medians of ${ROUNDS} rounds in turn`,
  needs: ['ovs-vswitchd', 'ovs-testcontroller', 'osken-manager', 'taskset'],
  minutes: 12,
  parts: PARTS,
  async run(session) {
    const rows: Row[] = [];
    for (const part of PARTS) if (session.wants(part)) rows.push(...(await inTurn(session, part)));
    const beyond = rows.filter(({ load }) => load !== `${LOADS[0]}x`);
    const ratios = beyond.map(
      ({ what, who, load, of_sustainable }) =>
        [`${what}, ${who}: goodput at ${load} / sustainable`, Number(of_sustainable)] as const,
    );
    return { ratios: Object.fromEntries(ratios), rows };
  },
};
