/**
 * Scale: one device with 100 to 10,000 live cells, 1 to 100,000 dispatch rules, and the walls beside each other.
 * `--cells=N` leaves out more cells than that, as is what would not fit into the memory there is. `--part=NAME` measures one
 * of rules, walls, isolate, context (the last two: live cells). What live cells have shown by then is in
 * bench/results/scale-WALL.jsonl when a run is cut off.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Bench, BenchResult } from './lib/bench.ts';
import { HOT, type LiveCells, measureLiveCells, type Scale } from './lib/live-cells.ts';
import { barPlot, linePlot } from './lib/plot.ts';
import { round, writeResult } from './lib/report.ts';
import { exactRule, measureLookups, type RuleLookups, wildcardRule } from './lib/rule-lookups.ts';
import { measureWall, type WallCost } from './lib/walls.ts';

/** Isolates beyond 3,000 take minutes and most of a machine's memory: 10,000 some 25 GiB. */
const COUNTS = { isolate: [100, 1000, 3000], context: [100, 1000, 3000, 10_000] } as const;
/** With --quick. */
const FEW = 1000;
const RULES = [1, 100, 1000, 10_000, 100_000];
const WILDCARD_RULES = 1000;
/** What a cell may need at most while many are made; counts that would not fit are left out. */
const MIB = { isolate: 3, context: 1 };
const ROUNDS = 5;
const WALLS = ['context', 'isolate', 'process'] as const;

type Row = Record<string, string | number>;

export const scale: Bench = {
  name: 'scale',
  title: `Live cells on one device, dispatch rules, and walls; hot: ${HOT} cells among all`,
  needs: [],
  minutes: 9,
  parts: ['rules', 'walls', 'isolate', 'context'],
  targets: [{ of: 'live cells, wall context', atLeast: 10_000 }],
  async run(session): Promise<BenchResult> {
    const most = Math.min(session.cells, session.quick ? FEW : Infinity);
    const walls: WallCost[] = [];
    const devices: Scale[] = [];
    let lookups: Lookups | undefined;
    if (session.wants('rules')) {
      session.progress('dispatch rules');
      lookups = await session.attempt('dispatch rules', measureRules);
    }
    for (const wall of session.wants('walls') ? WALLS : []) {
      session.progress(`wall ${wall}`);
      const cost = await session.attempt(`wall ${wall}`, () => measureWall(wall, session.rounds(ROUNDS)));
      if (cost !== undefined) walls.push(cost);
    }
    for (const wall of ['isolate', 'context'] as const) {
      if (!session.wants(wall)) continue;
      const fitting = COUNTS[wall].filter((count) => count <= most && count * MIB[wall] < availableMiB());
      const device = await session.attempt(`live cells, wall ${wall}`, () =>
        measureLiveCells(session, wall, fitting),
      );
      if (device !== undefined) devices.push(device);
    }
    if (walls.length > 0) plotWalls(walls);
    if (lookups !== undefined) plotLookups(lookups);
    return {
      ...(devices.length === 0 ? {} : { plot: plotDevices(devices) }),
      ratios: {
        ...Object.fromEntries(devices.flatMap(growth)),
        ...memoryRatio(walls),
      },
      figures: Object.fromEntries(
        devices.map(({ wall, steps }) => [`live cells, wall ${wall}`, steps.at(-1)?.cells ?? 0]),
      ),
      rows: devices.flatMap(({ steps }) => steps.map(rounded)),
      more: {
        disposing: devices.map(({ wall, disposing = {} }) => rounded({ wall, ...disposing })),
        walls: walls.map(rounded),
        rules: lookups === undefined ? [] : lookupRows(lookups).map(rounded),
      },
    };
  },
};

/** The picture of forwarding; that of memory is written. */
function plotDevices(devices: readonly Scale[]): string {
  const series = devices.flatMap(({ wall, steps }) => [
    { name: `${wall}: all cells in turn`, points: points(steps, ({ us_cpu_per_packet_all: us }) => us) },
    { name: `${wall}: ${HOT} of them`, points: points(steps, ({ us_cpu_per_packet_hot: us }) => us) },
  ]);
  const x = { label: 'live cells', scale: 'log' } as const;
  const title = 'CPU per packet by number of live cells (64-byte UDP, flat out)';
  const y = { label: 'CPU microseconds per packet' };
  writeResult(
    'scale-memory.svg',
    linePlot({
      ...{ title: 'Memory per live cell', x, y: { label: 'MiB per cell' } },
      series: devices.map(({ wall, steps }) => ({
        name: wall,
        points: points(steps, ({ MiB_per_cell: MiB }) => MiB),
      })),
    }),
  );
  return linePlot({ title, x, y, series });
}

const points = (steps: readonly LiveCells[], value: (step: LiveCells) => number): [number, number][] =>
  steps.map((step) => [step.cells, value(step)]);

function plotLookups({ exact }: Lookups): void {
  writeResult(
    'scale-rules.svg',
    linePlot({
      title: 'Finding a dispatch rule',
      x: { label: 'rules, a 5-tuple each', scale: 'log' },
      y: { label: 'nanoseconds' },
      series: [
        { name: 'packets of 100 flows', points: exact.map((r) => [r.rules, r.hotNs]) },
        { name: 'packets of all flows, in random order', points: exact.map((r) => [r.rules, r.allNs]) },
      ],
    }),
  );
}

function plotWalls(walls: readonly WallCost[]): void {
  writeResult(
    'scale-walls.svg',
    barPlot({
      title: 'Walls: memory of a cell',
      y: { label: 'MiB', scale: 'log' },
      names: ['MiB per cell'],
      groups: walls.map(({ wall, MiB_per_cell }) => ({ name: wall, values: [MiB_per_cell] })),
    }),
  );
}

function memoryRatio(walls: readonly WallCost[]): Record<string, number> {
  const of = (name: string) => walls.find(({ wall }) => wall === name)?.MiB_per_cell;
  const [context, isolate] = [of('context'), of('isolate')];
  if (context === undefined || isolate === undefined) return {};
  return { 'memory, context / isolate': round(context / isolate) };
}

const lookupRows = ({ exact, wild }: Lookups): object[] => [
  ...exact.map((r) => ({ kind: 'exact', ...r })),
  { kind: 'wildcard', ...wild },
];

/** How much dearer a packet is with the most cells than with the fewest. */
function growth({ wall, steps }: Scale): [string, number][] {
  const [few] = steps;
  const many = steps.at(-1);
  if (few === undefined || many === undefined) return [];
  const name = `CPU per packet, wall ${wall}, ${many.cells} cells / ${few.cells}`;
  return [
    [`${name}, all in turn`, round(many.us_cpu_per_packet_all / few.us_cpu_per_packet_all)],
    [`${name}, ${HOT} hot`, round(many.us_cpu_per_packet_hot / few.us_cpu_per_packet_hot)],
  ];
}

const availableMiB = (): number =>
  Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) / 1024;

interface Lookups {
  readonly exact: readonly RuleLookups[];
  readonly wild: RuleLookups;
}

function measureRules(): Lookups {
  setFlagsFromString('--expose-gc');
  globalThis.gc = runInNewContext('gc');
  return {
    exact: RULES.map((count) => measureLookups(count, exactRule)),
    wild: measureLookups(WILDCARD_RULES, wildcardRule),
  };
}

const rounded = (row: object): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'number' ? round(value, 3) : value]),
  );
