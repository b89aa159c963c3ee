/**
 * Scale: one device with 100 to 10,000 live cells, 1 to 100,000 dispatch rules, and the walls beside each other.
 * `--cells=N` leaves out more cells than that, as is what would not fit into the memory there is: 10,000
 * isolates take some 25 GiB, and minutes.
 */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HOT, measureLiveCells, type Scale } from './lib/live-cells.ts';
import { barPlot, linePlot } from './lib/plot.ts';
import { round, writeResult } from './lib/report.ts';
import { exactRule, measureLookups, type RuleLookups, wildcardRule } from './lib/rule-lookups.ts';
import { measureWall, type WallCost } from './lib/walls.ts';
import type { Bench, BenchResult } from './run.ts';

const COUNTS = [100, 1000, 3000, 6000, 10_000];
const RULES = [1, 100, 1000, 10_000, 100_000];
const WILDCARD_RULES = 1000;
/** What a cell may need at most while many are made; counts that would not fit are left out. */
const MIB = { isolate: 3, context: 1 };
const WALLS = ['context', 'isolate', 'process'] as const;

type Row = Record<string, string | number>;

export const scale: Bench = {
  name: 'scale',
  title: `Live cells on one device, dispatch rules, and walls; hot: ${HOT} cells among all`,
  needs: [],
  async run(progress): Promise<BenchResult> {
    progress('dispatch rules');
    const lookups = measureRules();
    const walls: WallCost[] = [];
    for (const wall of WALLS) {
      progress(`wall ${wall}`);
      walls.push(await measureWall(wall));
    }
    const most = Number(process.argv.find((word) => word.startsWith('--cells='))?.slice(8) ?? Infinity);
    const devices: Scale[] = [];
    for (const wall of ['isolate', 'context'] as const) {
      const fitting = COUNTS.filter((count) => count <= most && count * MIB[wall] < availableMiB());
      devices.push(await measureLiveCells(wall, fitting, progress));
    }
    writeResult(
      'scale-forwarding.svg',
      linePlot({
        title: 'CPU per packet by number of live cells (64-byte UDP, flat out)',
        x: { label: 'live cells', scale: 'log' },
        y: { label: 'CPU microseconds per packet' },
        series: devices.flatMap(({ wall, steps }) => [
          {
            name: `${wall}: all cells in turn`,
            points: steps.map((s) => [s.cells, s.us_cpu_per_packet_all]),
          },
          { name: `${wall}: ${HOT} of them`, points: steps.map((s) => [s.cells, s.us_cpu_per_packet_hot]) },
        ]),
      }),
    );
    writeResult(
      'scale-memory.svg',
      linePlot({
        title: 'Memory per live cell',
        x: { label: 'live cells', scale: 'log' },
        y: { label: 'MiB per cell' },
        series: devices.map(({ wall, steps }) => ({
          name: wall,
          points: steps.map((s) => [s.cells, s.MiB_per_cell]),
        })),
      }),
    );
    writeResult(
      'scale-rules.svg',
      linePlot({
        title: 'Finding a dispatch rule',
        x: { label: 'rules, a 5-tuple each', scale: 'log' },
        y: { label: 'nanoseconds' },
        series: [
          { name: 'packets of 100 flows', points: lookups.exact.map((r) => [r.rules, r.hotNs]) },
          {
            name: 'packets of all flows, in random order',
            points: lookups.exact.map((r) => [r.rules, r.allNs]),
          },
        ],
      }),
    );
    writeResult(
      'scale-walls.svg',
      barPlot({
        title: 'Walls: memory of a cell',
        y: { label: 'MiB', scale: 'log' },
        names: ['MiB per cell'],
        groups: walls.map(({ wall, MiB_per_cell }) => ({ name: wall, values: [MiB_per_cell] })),
      }),
    );
    return {
      ratios: {
        ...Object.fromEntries(devices.flatMap(growth)),
        'memory, context / isolate': round(walls[0].MiB_per_cell / walls[1].MiB_per_cell),
      },
      rows: devices.flatMap(({ steps }) => steps.map(rounded)),
      more: {
        disposing: devices.map(({ wall, disposed, disposeSeconds }) => ({
          ...{ wall, cells: disposed, seconds: round(disposeSeconds, 1) },
        })),
        walls: walls.map(rounded),
        rules: [
          ...lookups.exact.map((r) => ({ kind: 'exact', ...r })),
          { kind: 'wildcard', ...lookups.wild },
        ].map(rounded),
      },
    };
  },
};

/** How much dearer a packet is with the most cells than with the fewest. */
function growth({ wall, steps }: Scale): [string, number][] {
  const [few] = steps;
  const many = steps[steps.length - 1];
  const name = `CPU per packet, wall ${wall}, ${many.cells} cells / ${few.cells}`;
  return [
    [`${name}, all in turn`, round(many.us_cpu_per_packet_all / few.us_cpu_per_packet_all)],
    [`${name}, ${HOT} hot`, round(many.us_cpu_per_packet_hot / few.us_cpu_per_packet_hot)],
  ];
}

const availableMiB = (): number =>
  Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1] ?? 0) / 1024;

function measureRules(): { exact: RuleLookups[]; wild: RuleLookups } {
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
