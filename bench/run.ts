/**
 * npm run bench -- [NAME ...] [--json] [--quick] [--list] [--part=NAME] [--cells=N]
 * Runs the named benchmarks (all without a name) and writes what came of each to bench/results/. Benchmarks print
 * figures; they assert nothing. Exit code: 0; 1 when one of them or a part of it failed or cannot run here; 2 for words
 * not understood.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { cells } from './cells.ts';
import { codec } from './codec.ts';
import { controller } from './controller.ts';
import { fastpath } from './fastpath.ts';
import { type Bench, type BenchResult, isPartOf, Session } from './lib/bench.ts';
import { machine, table } from './lib/report.ts';
import { goalRows, ratioRows, writeResults } from './lib/results.ts';
import { goalsOf, type Outcome } from './lib/targets.ts';
import { mininet } from './mininet.ts';
import { overload } from './overload.ts';
import { scale } from './scale.ts';
import { setup } from './setup.ts';

const benches: readonly Bench[] = [cells, fastpath, setup, scale, controller, overload, codec, mininet];

const PACKAGES = 'openvswitch-switch openvswitch-testcontroller python3-os-ken mininet util-linux';

function usage(problem: string): never {
  process.stderr.write(`bench: ${problem}\n`);
  process.exit(2);
}

function readWords() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        part: { type: 'string' },
        cells: { type: 'string' },
      },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
}

const { values: flags, positionals: names } = readWords();
const most = Number(flags.cells ?? Infinity);
if (Number.isNaN(most)) usage(`--cells takes a number, not '${flags.cells}'`);
const unknown = names.find((name) => !benches.some((bench) => bench.name === name));
if (unknown !== undefined)
  usage(`there is no benchmark '${unknown}'; there are: ${benches.map(({ name }) => name).join(', ')}`);
const chosen = benches.filter(({ name }) => names.length === 0 || names.includes(name));
const { part } = flags;
const partless = chosen.find(
  ({ parts = [] }) => part !== undefined && !parts.some((one) => isPartOf(one, part)),
);
if (partless !== undefined)
  usage(`${partless.name} has no part '${part}'; it has: ${partless.parts?.join(', ') ?? 'none'}`);

if (flags.list) {
  const rows = chosen.map(({ name, minutes, parts = [] }) => ({ name, minutes, parts: parts.join(', ') }));
  process.stdout.write(`${table(rows)}\n`);
  process.exit(0);
}

/** Why this benchmark cannot run here. */
function hindrance({ needs, anyUser }: Bench): string | undefined {
  if (anyUser !== true && process.getuid?.() !== 0) return 'network namespaces need root; run it as root';
  const missing = needs.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  return missing === undefined
    ? undefined
    : `${missing} is not installed; apt-get install ${PACKAGES} has all that benchmarks need`;
}

async function outcomeOf(bench: Bench): Promise<Outcome> {
  const name = part === undefined ? bench.name : `${bench.name}.${part}`;
  const title = flags.quick ? `${bench.title} (quick: one round)` : bench.title;
  process.stderr.write(`${name}: ${title}; ${bench.minutes} minutes if all of it runs\n`);
  const why = hindrance(bench);
  if (why !== undefined) {
    process.stderr.write(`  cannot run here: ${why}\n`);
    return { name, title, error: why };
  }
  const begun = performance.now();
  const elapsed = () => Math.round((performance.now() - begun) / 1000);
  const session = new Session({
    ...{ quick: flags.quick, part, cells: most },
    progress: (step) => void process.stderr.write(`  ${elapsed()} s: ${step}\n`),
  });
  const result = await session.attempt(name, () => bench.run(session));
  const seconds = elapsed();
  process.stderr.write(`  ${seconds} s\n`);
  if (result === undefined) return { name, title, error: `failed: ${session.failed[name]}` };
  return {
    name,
    title,
    result,
    goals: goalsOf(bench.targets ?? [], result),
    failed: session.failed,
    seconds,
  };
}

function print({ title, result, goals = [], failed = {} }: Outcome & { result: BenchResult }): void {
  process.stdout.write(`\n${title}\n`);
  const targets = goalRows(goals);
  const tables = { ratios: ratioRows(result, goals), targets, figures: result.rows, ...result.more };
  for (const [name, rows] of Object.entries(tables)) {
    if (rows.length > 0) process.stdout.write(`\n${name}\n${table(rows)}\n`);
  }
  for (const [step, why] of Object.entries(failed)) process.stdout.write(`failed: ${step}: ${why}\n`);
}

const outcomes: Outcome[] = [];
const where = machine();
const date = new Date().toISOString();
for (const bench of chosen) {
  const outcome = await outcomeOf(bench);
  outcomes.push(outcome);
  if (outcome.result !== undefined) print({ ...outcome, result: outcome.result });
  // After each of them: a run that is cut off has left what it had by then.
  const written = writeResults(outcomes, where, date, flags.quick ? 'quick' : '');
  process.stderr.write(`  written: ${written.join(', ')}\n`);
}

const ok = outcomes.every(
  ({ error, failed = {} }) => error === undefined && Object.keys(failed).length === 0,
);
if (flags.json) {
  const all = outcomes.map(({ name, result, ...rest }) => {
    const { plot: _, ...figures } = result ?? {};
    return [name, { ...rest, ...figures }];
  });
  process.stdout.write(`${JSON.stringify({ ok, machine: where, date, benches: Object.fromEntries(all) })}\n`);
}
process.exit(ok ? 0 : 1);
