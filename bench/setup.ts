/**
 * Flow set-up: every frame is a flow never seen before (new source MAC, source address, source port). Closed
 * loop: one frame, its arrival at h2, the next. Window: so many under way at once. In rounds, of which the median
 * counts. Flowcell twice: with flows that end while new ones come, so that isolates are used again for as long as it lasts; and
 * with flows that stay, whose pool of isolates lasts for all rounds, and then for none of the flows that follow. CPU time is that of
 * the longest measurement: the sustained rate, or the rounds. `--part=end`, `stay` or `peers` for one of them.
 */
import { type Network, singleSwitch } from '../mininet/topology.ts';
import { type Datapath, flowcellDatapath, ovsDatapath, type Running } from './lib/datapaths.ts';
import { newFlowFrame, numberIn } from './lib/frames.ts';
import { median, quantile, round } from './lib/report.ts';
import { LIVE } from './lib/short-flows.ts';
import { cpuSeconds, memoryBytes, Wire } from './lib/wire.ts';
import type { Bench } from './run.ts';

const WARM_UP = 100;
const ROUNDS = 5;
/** Flows in a round, one after the other and by how many are under way. */
const CLOSED = 60;
const WINDOWS = [
  { window: 16, flows: 60 },
  { window: 128, flows: 200 },
] as const;
/** Isolates for flows that stay. */
const poolFor = (rounds: number) =>
  WARM_UP + rounds * WINDOWS.reduce((sum, { flows }) => sum + flows, CLOSED);
/** For flows that end: those that live, and as many as are under way at once. */
const POOL_AGAIN = LIVE + WINDOWS[1].window;
/** What is measured when the pool is empty takes so long, and what goes on and on. */
const AFTER_MS = 3000;
const SUSTAINED_MS = 10_000;
const LOST_AFTER_MS = 1000;

type Net = Network<'s1', string>;

/** Reads frames at h2 until the one numbered `number`; false if it does not come. */
function awaitNumber(wire: Wire, number: number): boolean {
  for (;;) {
    const length = wire.receive(LOST_AFTER_MS);
    if (length === 0) return false;
    if (numberIn(wire.received, length) === number) return true;
  }
}

interface Round {
  latencies: number[];
  /** By WINDOWS. */
  rates: number[];
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

  #frame(): Uint8Array {
    const { h2 } = this.#net.hosts;
    return newFlowFrame(this.#number++, h2.mac, h2.ip);
  }
}

function oneRound(probe: Probe): Round {
  const latencies = probe.closedLoop(CLOSED);
  return { latencies, rates: WINDOWS.map(({ window, flows }) => probe.windowed(window, flows)) };
}

const cpuOf = (running: Running) =>
  Object.entries(running.parts()).map(([part, pids]) => ({
    part,
    seconds: pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
  }));

/** From now on until the answer is called: CPU microseconds per flow, of each part. */
function costOf(running: Running, probe: Probe): () => string {
  const before = cpuOf(running);
  const first = probe.count;
  return () => {
    const flows = probe.count - first;
    const perFlow = (seconds: number) => Math.round((seconds * 1e6) / flows);
    return cpuOf(running)
      .map(({ part, seconds }, i) => `${part} ${perFlow(seconds - before[i].seconds)}`)
      .join(', ');
  };
}

/** stay: as long as the pool lasts, and after that; end: on and on. */
async function run(label: string, datapath: Datapath, flows: 'stay' | 'end', roundCount: number) {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    try {
      // Both ends are heard from first, so that h2's place is known.
      await net.hosts.h1.exec(['ping', '-c', '2', '-i', '0.2', net.hosts.h2.ip], { anyExit: true });
      const probe = new Probe(net);
      const memory = running.pids().reduce((sum, pid) => sum + memoryBytes(pid).pss, 0);
      probe.closedLoop(WARM_UP);
      const inRounds = costOf(running, probe);
      const rounds = Array.from({ length: roundCount }, () => oneRound(probe));
      let cpu = inRounds();
      let sustained: number | '-' = '-';
      if (flows === 'end') {
        const inAll = costOf(running, probe);
        sustained = Math.round(probe.windowed(WINDOWS[1].window, Infinity, SUSTAINED_MS));
        cpu = inAll();
      }
      return {
        datapath: label,
        p50_us: Math.round(median(rounds.map(({ latencies }) => quantile(latencies, 0.5)))),
        p99_us: Math.round(median(rounds.map(({ latencies }) => quantile(latencies, 0.99)))),
        ...Object.fromEntries(
          WINDOWS.map(({ window }, i) => [
            `flows_per_s_${window}`,
            Math.round(median(rounds.map(({ rates }) => rates[i]))),
          ]),
        ),
        flows_per_s_sustained: sustained,
        flows_per_s_after: flows === 'stay' ? Math.round(probe.windowed(16, Infinity, AFTER_MS)) : '-',
        lost: probe.lost,
        cpu_us_per_flow: cpu,
        pss_mib: Math.round(memory / 2 ** 20),
      };
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

const SHORT_FLOWS = new URL('./lib/short-flows.ts', import.meta.url).pathname;
const WIDEST = `flows_per_s_${WINDOWS[1].window}`;

export const setup: Bench = {
  name: 'setup',
  title: `First packet in to first packet out of new flows: medians of ${ROUNDS} rounds of ${CLOSED} one by one, ${WINDOWS.map(
    ({ window, flows }) => `${flows} with ${window} under way`,
  ).join(
    ', ',
  )}, and ${SUSTAINED_MS / 1000} s of them; with flows that end, ${LIVE} at a time, and flows that stay (a pool of ${poolFor(ROUNDS)} isolates for all, and flows after that)`,
  needs: ['ovs-vswitchd', 'ovs-testcontroller', 'osken-manager'],
  async run(progress, quick = false) {
    const roundCount = quick ? 1 : ROUNDS;
    const again = flowcellDatapath({ poolSize: POOL_AGAIN, app: SHORT_FLOWS });
    const cases: [string, Datapath, 'stay' | 'end'][] = [
      ['flowcell', again, 'end'],
      ['flowcell, flows stay', flowcellDatapath({ poolSize: poolFor(roundCount) }), 'stay'],
      ['ovs-userspace + testcontroller', ovsDatapath('testcontroller'), 'end'],
      ['ovs-userspace + os-ken', ovsDatapath('os-ken'), 'end'],
    ];
    const rows: Record<string, string | number>[] = [];
    const part = process.argv.find((word) => word.startsWith('--part='))?.slice(7);
    for (const [label, datapath, flows] of cases) {
      if (part !== undefined && part !== (label.startsWith('flowcell') ? flows : 'peers')) continue;
      progress(label);
      rows.push(await run(label, datapath, flows, roundCount));
    }
    const ours = rows.find(({ datapath }) => datapath === 'flowcell');
    const peers = rows.filter(({ datapath }) => String(datapath).startsWith('ovs'));
    const ratios: Record<string, number> = {};
    for (const peer of ours === undefined ? [] : peers) {
      for (const figure of ['p50_us', WIDEST, 'flows_per_s_sustained']) {
        ratios[`${figure} flowcell/${peer.datapath}`] = round(Number(ours![figure]) / Number(peer[figure]));
      }
    }
    return { ratios, rows };
  },
};
