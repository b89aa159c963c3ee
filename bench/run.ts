/**
 * npm run bench -- [NAME ...] [--json] [--quick] [--cells=N] [--part=NAME]
 * Runs the named benchmarks (all without a name) and writes what came of each to bench/results/. Benchmarks print
 * figures; they assert nothing. Exit code: 0; 1 when one of them failed or cannot run here; 2 for words not understood.
 */
import { spawnSync } from 'node:child_process';
import { cells } from './cells.ts';
import { codec } from './codec.ts';
import { controller } from './controller.ts';
import { fastpath } from './fastpath.ts';
import { machine, table } from './lib/report.ts';
import { type Outcome, writeResults } from './lib/results.ts';
import { mininet } from './mininet.ts';
import { overload } from './overload.ts';
import { scale } from './scale.ts';
import { setup } from './setup.ts';

export interface BenchResult {
  /** Ours to each peer's, the first thing to read. */
  ratios: Record<string, number>;
  rows: Record<string, string | number>[];
  /** Tables of other columns, by name. */
  more?: Record<string, Record<string, string | number>[]>;
  /** A picture as SVG. Default: the ratios as bars. */
  plot?: string;
}

export interface Bench {
  readonly name: string;
  /** What is measured and under which conditions, in a line. */
  readonly title: string;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  /** It makes no network namespaces. */
  readonly anyUser?: boolean;
  /** `quick`: one run in place of the median of several, to see whether it works. */
  run(progress: (step: string) => void, quick?: boolean): Promise<BenchResult>;
}

const benches: readonly Bench[] = [cells, fastpath, setup, scale, controller, overload, codec, mininet];

const PACKAGES = 'openvswitch-switch openvswitch-testcontroller python3-os-ken mininet util-linux';
/** `--cells=` belongs to `scale`, `--part=` to `scale`, `overload`, `setup` and `cells`. */
const FLAGS = ['--json', '--quick', '--cells=', '--part='];

const matches = (word: string, known: string) =>
  known.endsWith('=') ? word.startsWith(known) : word === known;

const words = process.argv.slice(2);
const quick = words.includes('--quick');
const names = words.filter((word) => !word.startsWith('-'));
const unknown = names.find((name) => !benches.some((bench) => bench.name === name));
const flag = words.find((word) => word.startsWith('-') && !FLAGS.some((known) => matches(word, known)));
if (unknown !== undefined || flag !== undefined) {
  const known = benches.map((bench) => bench.name).join(', ');
  process.stderr.write(
    unknown === undefined
      ? `bench: there is no flag '${flag}'; there are: ${FLAGS.join(', ')}\n`
      : `bench: there is no benchmark '${unknown}'; there are: ${known}\n`,
  );
  process.exit(2);
}

/** Why this benchmark cannot run here. */
function hindrance({ needs, anyUser }: Bench): string | undefined {
  if (anyUser !== true && process.getuid?.() !== 0) return 'network namespaces need root; run it as root';
  const missing = needs.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  return missing === undefined
    ? undefined
    : `${missing} is not installed; apt-get install ${PACKAGES} has all that benchmarks need`;
}

function print(title: string, { ratios, rows, more = {} }: BenchResult): void {
  const lines = Object.entries(ratios).map(([name, value]) => `  ${name}: ${value}`);
  process.stdout.write(`\n${title}\n${lines.join('\n')}\n${table(rows)}\n`);
  for (const [name, other] of Object.entries(more)) process.stdout.write(`\n${name}\n${table(other)}\n`);
}

const outcomes: Outcome[] = [];
for (const bench of benches) {
  const { name } = bench;
  const title = quick ? `${bench.title} (quick: fewer runs)` : bench.title;
  if (names.length > 0 && !names.includes(name)) continue;
  process.stderr.write(`${name}: ${title}\n`);
  const why = hindrance(bench);
  if (why !== undefined) {
    process.stderr.write(`  cannot run here: ${why}\n`);
    outcomes.push({ name, title, error: why });
    continue;
  }
  try {
    const progress = (step: string) => void process.stderr.write(`  ${step} ...\n`);
    const result = await bench.run(progress, quick);
    print(title, result);
    outcomes.push({ name, title, result });
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`  failed: ${text}\n`);
    outcomes.push({ name, title, error: `failed: ${text.split('\n')[0]}` });
  }
}

const date = new Date().toISOString();
const written = writeResults(outcomes, machine(), date);
process.stderr.write(`written: ${written.join(', ')}\n`);
const ok = outcomes.every(({ error }) => error === undefined);
if (words.includes('--json')) {
  const all = outcomes.map(({ name, title, result, error }) => {
    const { plot: _, ...figures } = result ?? {};
    return [name, { title, ...(error === undefined ? figures : { error }) }];
  });
  process.stdout.write(
    `${JSON.stringify({ ok, machine: machine(), date, benches: Object.fromEntries(all) })}\n`,
  );
}
process.exit(ok ? 0 : 1);
