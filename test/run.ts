/**
 * `npm test`: gets what the tests need, then type-checks, lints and runs every test. The last line counts.
 *
 *   npm test                          everything
 *   npm test -- test/unit/x.test.ts   only these test files (and the checks)
 *   npm test -- --json                one JSON object as the last line
 */

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRoot } from './support/environment.ts';
import { type DebianPackage, install, missingPackages } from './support/packages.ts';
import { type Counts, count, type VitestReport } from './support/results.ts';

const root = join(import.meta.dirname, '..');
const tool = (name: string) => join(root, 'node_modules', '.bin', name);
const node = join(root, 'bin', 'node');

const args = process.argv.slice(2);
const json = args.includes('--json');
const filters = args.filter((arg) => arg !== '--json');

function say(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}

/** Runs a program whose output is the user's to see. Resolves to its exit code, null when a signal ended it. */
function run(argv: readonly string[]): Promise<number | null> {
  return new Promise((resolve) => {
    const child = spawn(argv[0], argv.slice(1), { cwd: root, stdio: 'inherit' });
    child.once('error', (error) => {
      say(`${argv[0]} could not start: ${error.message}`);
      resolve(null);
    });
    child.once('close', (code) => resolve(code));
  });
}

/** Installs missing packages where that is possible; says in one sentence what is missing where it is not. */
async function prepare(): Promise<DebianPackage[]> {
  const missing = missingPackages();
  if (missing.length === 0) return [];
  const names = missing.map((entry) => entry.name);
  const skipped = 'the tests that need them are skipped until they are installed';
  if (!isRoot) {
    say(
      `Missing Debian packages: ${names.join(', ')}; ${skipped} (sudo apt-get install ${names.join(' ')}).`,
    );
    return missing;
  }
  say(`Installing Debian packages that tests need: ${names.join(', ')} ...`);
  try {
    await install(names);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, ' ') : String(error);
    const left = missingPackages();
    say(
      `Debian packages could not be installed: ${left.map((entry) => entry.name).join(', ')}; ${skipped} (${reason}).`,
    );
    return left;
  }
  return missingPackages();
}

/** One check of the whole tree, counted as one test. */
async function check(title: string, argv: readonly string[], counts: Counts): Promise<void> {
  say(`${title} ...`);
  if ((await run(argv)) === 0) counts.passed++;
  else {
    counts.failed++;
    say(`${title} failed; see above.`);
  }
}

async function vitest(): Promise<Counts> {
  const folder = await mkdtemp(join(tmpdir(), 'flowcell-test-'));
  try {
    const output = join(folder, 'vitest.json');
    const code = await run([
      node,
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${output}`,
      ...filters,
    ]);
    let report: VitestReport | undefined;
    try {
      report = JSON.parse(await readFile(output, 'utf8')) as VitestReport;
    } catch (error) {
      say(
        `vitest left no report (${error instanceof Error ? error.message : error}); counted as one failure.`,
      );
    }
    return count(report, code);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const began = performance.now();
const missing = await prepare();
if (!isRoot) {
  say('Not root: tests on real networks (test/integration) are skipped; run them with sudo npm test.');
}
const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
await check('Type check (tsc)', [tool('tsc'), '--noEmit', '-p', root], counts);
await check('Lint (biome)', [tool('biome'), 'check', '.'], counts);
say('Tests (vitest) ...');
const tests = await vitest();
counts.passed += tests.passed;
counts.failed += tests.failed;
counts.skipped += tests.skipped;

say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
if (json) {
  say(
    JSON.stringify({
      ok: counts.failed === 0,
      ...counts,
      seconds: Math.round((performance.now() - began) / 100) / 10,
      missing_packages: missing.map((entry) => entry.name),
    }),
  );
}
process.exitCode = counts.failed === 0 ? 0 : 1;
