/**
 * The controller as cbench measures controllers: switches send packet-ins, the learning switch answers. Each controller
 * is a fresh process on one CPU, the load generator (lib/load.ts) has the other.
 */
import type { Bench } from './lib/bench.ts';
import { type ControllerName, measure } from './lib/controllers.ts';
import type { LoadOptions } from './lib/load.ts';
import { median, round, spread } from './lib/report.ts';

const ROUNDS = 5;
const ROUND_MS = 400;
const WARM_UP_MS = 1000;
/** Stations of each switch. */
const MACS = 1000;

const VERSIONS = [1, 4] as const;
const OPENFLOW = { 1: '1.0', 4: '1.3' } as const;
/** The part of what has no peer at each size: 1,000 switches, packet-ins with data, dispatch queries. */
const MORE = 'more';
/** Flow_mods and packet_outs, on one core. */
const RESPONSES = 'responses a second';
/** Loads that the target is for. */
const ONE_SWITCH = new Set<string | number>(VERSIONS.map((version) => `${OPENFLOW[version]} throughput x1`));
/** What ovs-testcontroller takes. */
const MOST_SWITCHES: Readonly<Partial<Record<ControllerName, number>>> = { testcontroller: 16 };

interface Case {
  part: string;
  controller: ControllerName;
  version: (typeof VERSIONS)[number];
  mode: LoadOptions['mode'];
  switches: number;
  /** Default true. */
  buffered?: boolean;
}

export type Row = Record<string, string | number>;

const name = ({ version, mode, switches, buffered }: Case): string =>
  `${OPENFLOW[version]} ${mode}${buffered === false ? ' with data' : ''} x${switches}`;

/** Peers side by side, one kind of load after the other. */
export function controllerCases(): Case[] {
  const cases: Case[] = [];
  for (const version of VERSIONS) {
    const part = OPENFLOW[version];
    cases.push({ part, controller: 'nothing', version, mode: 'throughput', switches: 1 });
    for (const mode of ['throughput', 'latency'] as const) {
      for (const switches of [1, 16, 256]) {
        for (const controller of ['flowcell', 'os-ken', 'testcontroller'] as const) {
          if (switches > (MOST_SWITCHES[controller] ?? switches)) continue;
          cases.push({ part, controller, version, mode, switches });
        }
      }
    }
  }
  const own = { part: MORE, controller: 'flowcell', version: 4 } as const;
  cases.push({ ...own, mode: 'throughput', switches: 1, buffered: false });
  for (const controller of ['flowcell', 'os-ken'] as const) {
    cases.push({ part: MORE, controller, version: 4, mode: 'throughput', switches: 1000 });
  }
  for (const switches of [1, 16]) cases.push({ ...own, mode: 'queries', switches });
  return cases;
}

export async function runController(one: Case, rounds: number): Promise<Row> {
  const { controller, version, mode, switches, buffered = true } = one;
  const result = await measure(controller, {
    version,
    mode,
    switches,
    buffered,
    macs: MACS,
    warmUpMs: WARM_UP_MS,
    roundMs: ROUND_MS,
    rounds,
  });
  const mean = result.answered.reduce((sum, rate) => sum + rate, 0) / result.answered.length;
  return {
    load: name(one),
    controller,
    answered_per_s: Math.round(median(result.answered)),
    'answered spread': spread(result.answered),
    responses_per_s: Math.round(median(result.responses)),
    cpu_us_per_answer: round((result.controllerCpu / result.seconds / mean) * 1e6),
    controller_cpu: round(result.controllerCpu / result.seconds),
    generator_cpu: round(result.generatorCpu / result.seconds),
    connect_ms: Math.round(result.connectMs),
    MiB: Math.round(result.memoryMiB),
  };
}

/** Answered packet-ins of ours to each peer's under the same load. */
export function controllerRatios(rows: readonly Row[]): Record<string, number> {
  const ratios: Record<string, number> = {};
  for (const ours of rows.filter((row) => row.controller === 'flowcell')) {
    for (const peer of rows) {
      if (peer.load !== ours.load || peer.controller === 'flowcell' || peer.controller === 'nothing')
        continue;
      const ratio = Number(ours.answered_per_s) / Number(peer.answered_per_s);
      ratios[`${ours.load}: flowcell/${peer.controller}`] = round(ratio);
    }
  }
  return ratios;
}

export const controller: Bench = {
  name: 'controller',
  title:
    `Packet-ins answered a second by the learning switch on one CPU (responses: flow_mods and packet_outs, as cbench counts), ` +
    `and dispatch queries; medians of ${ROUNDS} rounds of ${ROUND_MS} ms`,
  needs: ['taskset', 'ovs-testcontroller', 'osken-manager'],
  anyUser: true,
  minutes: 4,
  parts: [...VERSIONS.map((version) => OPENFLOW[version]), MORE],
  targets: [{ of: RESPONSES, atLeast: 300_000 }],
  async run(session) {
    const rows: Row[] = [];
    for (const one of controllerCases()) {
      if (!session.wants(one.part)) continue;
      const step = `${name(one)}, ${one.controller}`;
      session.progress(step);
      const row = await session.attempt(step, () => runController(one, session.rounds(ROUNDS)));
      if (row !== undefined) rows.push(row);
    }
    const own = rows.filter(({ controller, load }) => controller === 'flowcell' && ONE_SWITCH.has(load));
    const figures = own.map((row) => [`${RESPONSES}, ${row.load}`, Number(row.responses_per_s)] as const);
    return { ratios: controllerRatios(rows), figures: Object.fromEntries(figures), rows };
  },
};
