/**
 * npm run bench -- [NAME ...] [--json]
 * Runs the named benchmarks (all without a name). Benchmarks print figures; they assert nothing.
 */
import { spawnSync } from 'node:child_process';
import { cells } from './cells.ts';
import { codec } from './codec.ts';
import { controller } from './controller.ts';
import { machine, table } from './lib/report.ts';
import { mininet } from './mininet.ts';
import { scale } from './scale.ts';
import { setup } from './setup.ts';

export interface BenchResult {
  /** Ours to each peer's, the first thing to read. */
  ratios: Record<string, number>;
  rows: Record<string, string | number>[];
  /** Tables of other columns, by name. */
  more?: Record<string, Record<string, string | number>[]>;
}

export interface Bench {
  readonly name: string;
  /** What is measured and under which conditions, in a line. */
  readonly title: string;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  run(progress: (step: string) => void): Promise<BenchResult>;
}

const benches: readonly Bench[] = [cells, setup, scale, controller, codec, mininet];

const json = process.argv.includes('--json');
const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const chosen = names.length === 0 ? benches : benches.filter((bench) => names.includes(bench.name));
const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));

function fail(sentence: string): never {
  process.stderr.write(`bench: ${sentence}\n`);
  process.exit(2);
}

if (unknown.length > 0) {
  fail(`there is no benchmark '${unknown[0]}'; there are: ${benches.map((bench) => bench.name).join(', ')}`);
}
if (process.getuid?.() !== 0) fail('network namespaces need root; run it as root');
for (const program of new Set(chosen.flatMap((bench) => bench.needs))) {
  if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) {
    fail(
      `${program} is not installed; apt-get install openvswitch-switch openvswitch-testcontroller python3-os-ken`,
    );
  }
}

const results: Record<string, BenchResult & { title: string }> = {};
for (const bench of chosen) {
  process.stderr.write(`${bench.name}: ${bench.title}\n`);
  const result = await bench.run((step) => process.stderr.write(`  ${step} ...\n`));
  results[bench.name] = { title: bench.title, ...result };
  const lines = Object.entries(result.ratios).map(([name, value]) => `  ${name}: ${value}`);
  process.stdout.write(`\n${bench.title}\n${lines.join('\n')}\n${table(result.rows)}\n`);
  for (const [name, rows] of Object.entries(result.more ?? {}))
    process.stdout.write(`\n${name}\n${table(rows)}\n`);
}
if (json) process.stdout.write(`${JSON.stringify({ ok: true, machine: machine(), benches: results })}\n`);
process.exit(0);
