/**
 * Flow set-up: every frame is a flow never seen before (new source MAC, source address, source port). Closed
 * loop: one frame, its arrival at h2, the next. Window: so many under way at once. In rounds, of which the median counts;
 * Flowcell and its peers in turn. Flowcell twice: with flows that end while new ones come, so that isolates are used again
 * for as long as it lasts; and by itself, with flows that stay, whose pool of isolates lasts for all rounds, and then for none
 * of the flows that follow. CPU time is that of the longest measurement: the sustained rate, or the rounds.
 * `--part=end`: Flowcell with flows that end, without peers; `stay`; `peers`.
 */
import type { Bench, Session } from './lib/bench.ts';
import { type Datapath, flowcellDatapath, ovsDatapath, type Running } from './lib/datapaths.ts';
import { newFlowFrame, numberIn } from './lib/frames.ts';
import { cpuSeconds, pssBytes } from './lib/processes.ts';
import { column, quantile, round } from './lib/report.ts';
import { LIVE } from './lib/short-flows.ts';
import { inTurn, type TestBed, withTestBeds } from './lib/test-bed.ts';
import { Wire } from './lib/wire.ts';

const WARM_UP = 100;
const ROUNDS = 5;
/** Flows in a round, one after the other and by how many are under way. */
const CLOSED = 60;
const WINDOWS = [
  { window: 16, flows: 60 },
  { window: 128, flows: 200 },
] as const;
/** Isolates for flows that stay: one for each. */
const poolOf = (rounds: number) => WARM_UP + rounds * WINDOWS.reduce((sum, { flows }) => sum + flows, CLOSED);
/** For flows that end: those that live, and as many as are under way at once. */
const POOL_AGAIN = LIVE + WINDOWS[1].window;
/** What is measured when the pool is empty takes so long, and of a round what goes on and on. */
const AFTER_MS = 3000;
const SUSTAINED_MS = 2000;
const LOST_AFTER_MS = 1000;

type Net = TestBed['net'];

/** Reads frames at h2 until the one numbered `number`; false if it does not come. */
function awaitNumber(wire: Wire, number: number): boolean {
  for (;;) {
    const length = wire.receive(LOST_AFTER_MS);
    if (length === 0) return false;
    if (numberIn(wire.received, length) === number) return true;
  }
}

/** Sends flows never seen before from h1 and awaits them at h2. */
class Probe {
  lost = 0;
  #number = 0;
  readonly #net: Net;
  readonly #a: Wire;
  readonly #b: Wire;

  constructor(net: Net) {
    const { h1, h2 } = net.hosts;
    this.#net = net;
    this.#a = new Wire(h1.namespace, h1.interface);
    this.#b = new Wire(h2.namespace, h2.interface);
  }

  /** Flows so far. */
  get count(): number {
    return this.#number;
  }

  /** Microseconds of each that arrived. */
  closedLoop(count: number): number[] {
    const latencies: number[] = [];
    for (let i = 0; i < count; i++) {
      const expected = this.#number;
      const bytes = this.#frame();
      const start = performance.now();
      this.#a.send(bytes);
      if (awaitNumber(this.#b, expected)) latencies.push((performance.now() - start) * 1000);
      else this.lost++;
    }
    return latencies;
  }

  /** Flows a second with `window` under way, until there were so many or the time is over. */
  windowed(window: number, count: number, milliseconds = Infinity): number {
    const first = this.#number;
    const start = performance.now();
    let sent = 0;
    let arrived = 0;
    let lost = 0;
    while (arrived + lost < count && performance.now() - start < milliseconds) {
      for (; sent < count && sent - arrived - lost < window; sent++) this.#a.send(this.#frame());
      const length = this.#b.receive(LOST_AFTER_MS);
      if (length === 0) lost = sent - arrived;
      // Not one that was late in the measurement before this.
      else if (numberIn(this.#b.received, length) >= first) arrived++;
    }
    this.lost += lost;
    return arrived / ((performance.now() - start) / 1000);
  }

  close(): void {
    this.#a.close();
    this.#b.close();
  }

  #frame(): Uint8Array {
    const { h2 } = this.#net.hosts;
    return newFlowFrame(this.#number++, h2.mac, h2.ip);
  }
}

/** CPU seconds so far, by part. */
const cpuOf = (running: Running): [string, number][] =>
  Object.entries(running.parts()).map(([part, pids]) => [part, cpuSeconds(...pids)]);

/** Flows that came in the time measured, and CPU seconds of each part of the datapath for them. */
interface Cost {
  flows: number;
  seconds: Record<string, number>;
}

function costOf(running: Running, probe: Probe, work: () => void): Cost {
  const [before, first] = [cpuOf(running), probe.count];
  work();
  const seconds = cpuOf(running).map(([part, used], i) => [part, used - before[i][1]]);
  return { flows: probe.count - first, seconds: Object.fromEntries(seconds) };
}

interface Round {
  latencies: number[];
  /** By WINDOWS. */
  rates: number[];
  sustained?: number;
  cost: Cost;
}

/** `endless`: the flows do not take from a pool, so that there can be as many as fit into a while. */
function oneRound(running: Running, probe: Probe, endless: boolean): Round {
  let latencies: number[] = [];
  let rates: number[] = [];
  const cost = costOf(running, probe, () => {
    latencies = probe.closedLoop(CLOSED);
    rates = WINDOWS.map(({ window, flows }) => probe.windowed(window, flows));
  });
  if (!endless) return { latencies, rates, cost };
  let sustained = 0;
  const lasting = costOf(running, probe, () => {
    sustained = probe.windowed(WINDOWS[1].window, Infinity, SUSTAINED_MS);
  });
  return { latencies, rates, sustained, cost: lasting };
}

/** Microseconds per flow over all rounds, by part. */
function cpuPerFlow(costs: readonly Cost[]): string {
  const flows = costs.reduce((sum, one) => sum + one.flows, 0);
  const each = (part: string) =>
    Math.round((costs.reduce((sum, one) => sum + one.seconds[part], 0) / flows) * 1e6);
  return Object.keys(costs[0].seconds)
    .map((part) => `${part} ${each(part)}`)
    .join(', ');
}

type Row = Record<string, string | number>;

async function measure(session: Session, beds: readonly TestBed[], endless: boolean): Promise<Row[]> {
  const probes = new Map(beds.map((bed) => [bed, new Probe(bed.net)]));
  const memory = new Map(beds.map((bed) => [bed, pssBytes(...bed.running.pids())]));
  for (const probe of probes.values()) probe.closedLoop(WARM_UP);
  const kind = endless ? 'new flows' : 'new flows that stay';
  const all = await inTurn(session, kind, beds, session.rounds(ROUNDS), async (bed) =>
    oneRound(bed.running, probes.get(bed)!, endless),
  );
  const rows = [...all].map(([bed, rounds]): Row => {
    const probe = probes.get(bed)!;
    const of = (pick: (round: Round) => number) => rounds.map(pick);
    const latencies = rounds.flatMap((round) => round.latencies);
    return {
      datapath: bed.name,
      ...column(
        'p50_us',
        of((round) => quantile(round.latencies, 0.5)),
      ),
      p99_us: Math.round(quantile(latencies, 0.99)),
      ...Object.assign(
        {},
        ...WINDOWS.map(({ window }, i) =>
          column(
            `flows_per_s_${window}`,
            of(({ rates }) => rates[i]),
          ),
        ),
      ),
      ...(endless
        ? column(
            SUSTAINED,
            of(({ sustained = 0 }) => sustained),
          )
        : { flows_per_s_after: Math.round(probe.windowed(WINDOWS[0].window, Infinity, AFTER_MS)) }),
      lost: probe.lost,
      cpu_us_per_flow: cpuPerFlow(rounds.map(({ cost }) => cost)),
      pss_mib: Math.round(memory.get(bed)! / 2 ** 20),
    };
  });
  for (const probe of probes.values()) probe.close();
  return rows;
}

const SHORT_FLOWS = new URL('./lib/short-flows.ts', import.meta.url).pathname;
const WIDEST = `flows_per_s_${WINDOWS[1].window}`;
const SUSTAINED = 'flows_per_s_sustained';
const OURS = 'flowcell';

/** Beside each other, by part. */
const IN_TURN: readonly { part: string; name: string; datapath: Datapath }[] = [
  { part: 'end', name: OURS, datapath: flowcellDatapath({ poolSize: POOL_AGAIN, app: SHORT_FLOWS }) },
  { part: 'peers', name: 'ovs-userspace + testcontroller', datapath: ovsDatapath('testcontroller') },
  { part: 'peers', name: 'ovs-userspace + os-ken', datapath: ovsDatapath('os-ken') },
];

export const setup: Bench = {
  name: 'setup',
  title: `First packet in to first packet out of new flows: medians of ${ROUNDS} rounds in turn of ${CLOSED} one by one, ${WINDOWS.map(
    ({ window, flows }) => `${flows} with ${window} under way`,
  ).join(
    ', ',
  )}, and ${SUSTAINED_MS / 1000} s of them; with flows that end, ${LIVE} at a time, and flows that stay (a pool of ${poolOf(ROUNDS)} isolates for all, and flows after that)`,
  needs: ['ovs-vswitchd', 'ovs-testcontroller', 'osken-manager'],
  minutes: 2,
  parts: ['end', 'peers', 'stay'],
  targets: [
    { of: SUSTAINED, atLeast: 12_800 },
    { of: 'p50_us', atMost: 400 },
  ],
  async run(session) {
    const rows: Row[] = [];
    const together = async (name: string, list: readonly [string, Datapath][], endless: boolean) => {
      if (list.length === 0) return;
      const measured = await session.attempt(name, () =>
        withTestBeds(session, list, (beds) => measure(session, beds, endless)),
      );
      rows.push(...(measured ?? []));
    };
    const wanted = IN_TURN.filter(({ part }) => session.wants(part));
    await together(
      'new flows',
      wanted.map(({ name, datapath }) => [name, datapath]),
      true,
    );
    if (session.wants('stay'))
      await together(
        'new flows that stay',
        [[`${OURS}, flows stay`, flowcellDatapath({ poolSize: poolOf(session.rounds(ROUNDS)) })]],
        false,
      );
    const ours = rows.find(({ datapath }) => datapath === OURS);
    if (ours === undefined) return { ratios: {}, rows };
    const ratios: Record<string, number> = {};
    for (const peer of rows.filter(({ datapath }) => String(datapath).startsWith('ovs'))) {
      for (const figure of ['p50_us', WIDEST, SUSTAINED])
        ratios[`${OURS}/${peer.datapath}, ${figure}`] = round(Number(ours[figure]) / Number(peer[figure]));
    }
    const figures = { p50_us: Number(ours.p50_us), [SUSTAINED]: Number(ours[SUSTAINED]) };
    return { ratios, figures, rows };
  },
};
