/**
 * The codec as others install it: packed, unpacked into a project that has nothing of ours, run there by the
 * system's Node and type-checked with strict options. Nothing here needs the network.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SYSTEM_PATH, unpackPackage } from '../support/packed.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
let temporary: string;
let project: string;
let installed: string;

/** Runs a module in the project and returns what it prints, by line. */
async function lines(file: string): Promise<string[]> {
  const { stdout } = await run('node', [file], { cwd: project, env: { PATH: SYSTEM_PATH } });
  return stdout.trimEnd().split('\n');
}

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'flowcell-package-'));
  project = join(temporary, 'project');
  installed = join(project, 'node_modules/@flowcell/openflow');
  await unpackPackage({ source: 'openflow', to: installed, temporary });
  await writeFile(join(project, 'package.json'), '{ "type": "module" }');
}, 300_000);

afterAll(() => rm(temporary, { recursive: true, force: true }));

const manifest = async () =>
  JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as {
    exports: Record<string, { types: string; default: string }>;
    dependencies?: unknown;
  };
const examples = async () => {
  const readme = await readFile(join(installed, 'README.md'), 'utf8');
  return [...readme.matchAll(/```ts\n(import [\s\S]*?)```/g)].map(([, code]) => code);
};

test('the package has its licence and README, JavaScript and declarations, and no sources', async () => {
  expect((await readdir(installed)).sort()).toEqual([
    'LICENSE',
    'README.md',
    'REFERENCE.md',
    'dist',
    'package.json',
  ]);
  const files = await readdir(join(installed, 'dist'), { recursive: true });
  expect(files.filter((name) => name.includes('.') && !/\.(d\.ts|js)$/.test(name))).toEqual([]);
  expect((await manifest()).dependencies).toBeUndefined();
});

test('nothing in it imports what is not in it', async () => {
  const dist = join(installed, 'dist');
  const files = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith('.js'));
  expect(files.length).toBeGreaterThan(50);
  for (const name of files) {
    const code = await readFile(join(dist, name), 'utf8');
    const imported = [...code.matchAll(/^(?:import|export)\b.*? from '(.*)'|^import '(.*)'/gm)];
    for (const [, from, bare] of imported) expect(from ?? bare, name).toMatch(/^\.\.?\/.*\.js$/);
  }
});

test('every entry is there, and loads', async () => {
  const names = Object.keys((await manifest()).exports);
  expect(names).toEqual(
    [
      '',
      '/versions',
      '/translate',
      '/nicira',
      '/v10',
      '/v11',
      '/v12',
      '/v13',
      '/v14',
      '/v15',
      '/reference',
    ].map((name) => `.${name}`),
  );
  const imports = names.map(
    (name, at) =>
      `import * as e${at} from '@flowcell/openflow${name.slice(1)}'; console.log(Object.keys(e${at}).length);`,
  );
  await writeFile(join(project, 'entries.js'), imports.join('\n'));
  for (const count of await lines('entries.js')) expect(Number(count)).toBeGreaterThan(1);
});

test('each example of its README runs and prints what it says', async () => {
  const codes = await examples();
  expect(codes).toHaveLength(2);
  for (const [at, code] of codes.entries()) {
    await writeFile(join(project, `example${at}.js`), code);
    const promised = [...code.matchAll(/^\/\/ (\d.*)$/gm)].map((line) => line[1]);
    expect(await lines(`example${at}.js`)).toEqual(promised);
  }
});

test('a program that uses it type-checks: exact types, and mistakes are found', async () => {
  for (const [at, code] of (await examples()).entries()) {
    await writeFile(join(project, `example${at}.ts`), code);
  }
  await writeFile(
    join(project, 'consumer.ts'),
    `import { decode, encode, type MessageOf } from '@flowcell/openflow';
import { NxRole } from '@flowcell/openflow/nicira';
import { createDialect, type Dialect } from '@flowcell/openflow/translate';
import * as v10 from '@flowcell/openflow/v10';
import * as v11 from '@flowcell/openflow/v11';
import * as v12 from '@flowcell/openflow/v12';
import * as v13 from '@flowcell/openflow/v13';
import * as v14 from '@flowcell/openflow/v14';
import * as v15 from '@flowcell/openflow/v15';
import { codecs, decodeAny } from '@flowcell/openflow/versions';

const message = decode(new Uint8Array(8));
if (message.type === 'packet_in') {
  const cookie: bigint = message.cookie;
  const port: number | undefined = message.match.in_port;
  const whole: MessageOf<'packet_in'> = message;
  console.log(cookie, port, whole.data.length);
  // @ts-expect-error: a packet_in has no command
  console.log(message.command);
}
const bytes: Uint8Array = v10.encode({ type: 'nx_role_request', role: NxRole.MASTER });
// @ts-expect-error: the actions of 1.0 have no groups
v10.encode({ type: 'packet_out', actions: [{ type: 'group', group_id: 1 }] });
v11.encode({ type: 'packet_out', actions: [{ type: 'set_mpls_label', mpls_label: 1 }] });
v12.encode({ type: 'flow_mod', match: { ipv4_src: ['10.0.0.0', '255.0.0.0'], reg0: 1 } });
v13.encode({ type: 'onf_bundle_control', bundle_id: 1, ctrl_type: 0 });
v14.encode({ type: 'flow_mod', importance: 1 });
// @ts-expect-error: importance is a number
v14.encode({ type: 'flow_mod', importance: '1' });
v15.encode({ type: 'packet_out', match: { in_port: 1 }, actions: [{ type: 'meter', meter_id: 1 }] });
codecs[6].encode({ type: 'echo_request' });
const any = decodeAny(bytes);
if (any.version === 6 && any.message.type === 'controller_status') console.log(any.message.status);
// @ts-expect-error: a message has a type
encode({ xid: 1 });
const dialect: Dialect | undefined = createDialect(1);
console.log(dialect?.version);
`,
  );
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023', 'dom'],
    types: [],
    noEmit: true,
  };
  const check = { compilerOptions: options, files: ['consumer.ts', 'example0.ts', 'example1.ts'] };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(check));
  const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['-p', project]).catch(
    (error: { stdout: string }) => error,
  );
  expect(stdout).toBe('');
});
