/**
 * The package `flowcell` as the writer of an app installs it: packed, unpacked into a project of its own, type-checked
 * there, and run. Nothing here needs the network of the machine.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_PATH, unpackPackage } from '../support/packed.ts';
import { describeNetwork } from '../support/suites.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const tool = (name: string) => join(root, 'node_modules/.bin', name);

/** What `npm run build` takes. */
const PARTS = [
  ...['openflow', 'packet', 'sandbox', 'agent', 'controller', 'apps', 'cli', 'mininet', 'testing', 'bin'],
  ...['package.json', 'tsconfig.json', 'tsconfig.build.json', 'README.md', 'LICENSE'],
];
/** No native module is among them: apps and their tests do without. */
const NEEDED = ['pino', 'vitest', '@types/node'];

let temporary: string;
let project: string;
let installed: string;

/** A project with the package, and with these packages of the repository beside it. */
async function projectWith(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(temporary, name);
  for (const one of packages) {
    const link = join(folder, 'node_modules', one);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, 'node_modules', one), link);
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  return folder;
}

/** The apps and tests of a page, by the names of their files. */
const documented = async (page: string): Promise<Record<string, string>> => {
  const text = await readFile(join(root, 'docs', page), 'utf8');
  const blocks = [...text.matchAll(/```ts (?:example ?([\w-]*)|run=mine\/(\S+))\n([\s\S]*?)```/g)];
  return Object.fromEntries(
    blocks.map(([, example, file, code]) => [file ?? `${page}-${example}.test.ts`, code]),
  );
};

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'flowcell-package-'));
  project = await projectWith('project', NEEDED);
  installed = join(project, 'node_modules/flowcell');
  await unpackPackage({ source: '', parts: PARTS, to: installed, temporary });
}, 300_000);

afterAll(() => rm(temporary, { recursive: true, force: true }));

test('it has what runs and what describes it, and nothing else', async () => {
  const files = await readdir(installed, { recursive: true, withFileTypes: true });
  const names = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  const inside = names.map((name) => name.slice(installed.length + 1));
  expect(inside.filter((name) => !name.startsWith('dist/')).sort()).toEqual([
    'LICENSE',
    'README.md',
    'bin/flowcell',
    'bin/node',
    'mininet/flowcell.py',
    'mininet/pyproject.toml',
    'package.json',
  ]);
  const built = inside.filter((name) => name.startsWith('dist/'));
  expect(built.filter((name) => !/\.(d\.ts|js)$/.test(name))).toEqual([]);
  expect(built.filter((name) => /^dist\/(test|bench|openflow\/reference)\//.test(name))).toEqual([]);
});

test('every public export loads on the Node of the system, without native modules', async () => {
  const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  // Vitest wants to be loaded by its own runner: below.
  const names = Object.keys(manifest.exports).filter((name) => !/vitest|json/.test(name));
  expect(names).toEqual(['./openflow', './packet', './controller', './learning-switch', './testing']);
  const imports = names.map(
    (name, at) => `import * as e${at} from 'flowcell${name.slice(1)}'; console.log(Object.keys(e${at})[0]);`,
  );
  await writeFile(join(project, 'entries.js'), imports.join('\n'));
  const { stdout } = await run('node', ['entries.js'], { cwd: project, env: { PATH: SYSTEM_PATH } });
  expect(stdout.trim().split('\n')).toHaveLength(names.length);
  expect(stdout).not.toContain('undefined');
});

test("the pages' apps and tests type-check there, and mistakes are found", async () => {
  const codes: Record<string, string> = {
    ...(await documented('apps.md')),
    ...(await documented('testing.md')),
    ...(await documented('mininet.md')),
    'mistakes.ts': `import { defineApp } from 'flowcell/controller';
import { single, VirtualNetwork } from 'flowcell/testing';
const net = await VirtualNetwork.create(single(2));
// @ts-expect-error: a switch has no such thing
net.switches.s1.nothing;
// @ts-expect-error: an app has a name
defineApp({});
`,
  };
  expect(Object.keys(codes)).toHaveLength(7);
  for (const [file, code] of Object.entries(codes)) await writeFile(join(project, file), code);
  const compilerOptions = {
    strict: true,
    module: 'nodenext',
    target: 'es2023',
    types: ['node'],
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { stdout } = await run(tool('tsc'), ['-p', project]).catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});

test("the pages' tests pass there", async () => {
  const codes = { ...(await documented('testing.md')), ...(await documented('mininet.md')) };
  for (const [file, code] of Object.entries(codes)) await writeFile(join(project, file), code);
  const vitest = join(project, 'node_modules/vitest/vitest.mjs');
  const output = join(project, 'report.json');
  const argv = [vitest, 'run', '--reporter=json', `--outputFile=${output}`, 'testing.md', 'only-ping'];
  await run(tool('node'), argv, { cwd: project, env: { PATH: SYSTEM_PATH } });
  const report = JSON.parse(await readFile(output, 'utf8')) as {
    numPassedTests: number;
    numTotalTests: number;
  };
  expect(report.numTotalTests).toBeGreaterThan(5);
  expect(report.numPassedTests).toBe(report.numTotalTests);
});

describeNetwork('the command', () => {
  test('controller, agent and cells run from the installed package', async () => {
    const all = (await readdir(join(root, 'node_modules'))).filter((name) => !name.startsWith('.'));
    const whole = await projectWith('whole', all);
    await run('cp', ['-r', installed, join(whole, 'node_modules/flowcell')]);
    const flowcell = join(whole, 'node_modules/flowcell/bin/flowcell');
    const argv = ['demo', '--json', '--connections', '1', '--megabytes', '1'];
    const { stdout } = await run(flowcell, argv, {
      cwd: whole,
      env: { PATH: SYSTEM_PATH, FLOWCELL_RUN_DIR: whole },
    });
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ ok: true });
  });
});
