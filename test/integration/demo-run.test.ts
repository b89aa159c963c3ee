import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, type TestContext, test } from 'vitest';
import type { DemoResult } from '../../cli/demo/result.ts';
import { NETNS_DIR } from '../../mininet/owner.ts';
import { exec } from '../../mininet/run.ts';
import { descendants, isRunning } from '../support/processes.ts';
import { describeNetwork } from '../support/suites.ts';

const FLOWCELL = join(import.meta.dirname, '../../bin/flowcell');
const QUICK = ['--connections', '4', '--megabytes', '20'];

const env = (runDir: string) => ({ ...process.env, FLOWCELL_RUN_DIR: runDir });

/** A folder for the test's own demo, removed when it is over. */
async function ownRunDir({ onTestFinished }: TestContext): Promise<string> {
  const runDir = await mkdtemp(join(tmpdir(), 'flowcell-demo-test-'));
  onTestFinished(() => rm(runDir, { recursive: true, force: true }));
  return runDir;
}

/** Namespaces of demos there are, by the pid in their names. */
async function namespacesOf(pid: number): Promise<string[]> {
  return (await readdir(NETNS_DIR)).filter((name) => name.startsWith(`fc.${pid}.`));
}

const running = (pids: readonly number[]) => pids.filter(isRunning);

/** Starts a demo and waits until it says this; it is killed when the test is over. */
async function startUntil(
  word: string,
  { onTestFinished }: TestContext,
  runDir: string,
  ...options: string[]
): Promise<ChildProcess> {
  const child = spawn(FLOWCELL, ['demo', '--json', ...QUICK, ...options], {
    env: env(runDir),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const reader = createInterface({ input: child.stdout! });
  return await new Promise((resolve, reject) => {
    reader.on('line', (line) => {
      if (line.includes(word)) resolve(child);
    });
    reader.once('close', () => reject(new Error(`the demo ended without saying '${word}'`)));
  });
}

/** A demo that has shown everything and stays up. */
const kept = (context: TestContext, runDir: string) =>
  startUntil('Ctrl-C ends it', context, runDir, '--keep');

function lastLine(text: string): DemoResult {
  return JSON.parse(text.trimEnd().split('\n').at(-1)!);
}

function expectGood(result: DemoResult): void {
  expect(result).toMatchObject({
    ok: true,
    bytes: 20e6,
    bytes_ok: true,
    new_flows: { count: 50, answered: 50 },
    isolation: { other_flows_lost: 0, recovered: true },
  });
  // 50 UDP flows, 4 connections, two probes, and what it takes to find the hosts.
  expect(result.flows).toBeGreaterThanOrEqual(56);
  expect(result.cells).toBeGreaterThan(result.flows);
  expect(result.setup_us.p50).toBeGreaterThan(0);
  expect(result.setup_us.p99).toBeGreaterThanOrEqual(result.setup_us.p50);
  expect(result.isolation.new_cell).not.toBe(result.isolation.killed_cell);
}

describeNetwork('flowcell demo', () => {
  test('runs to a good end and leaves nothing behind', async (context) => {
    const runDir = await ownRunDir(context);
    const { stdout } = await exec([FLOWCELL, 'demo', '--json', ...QUICK], { env: env(runDir) });
    expectGood(lastLine(stdout));
    expect(stdout).not.toContain('\x1b');
    expect(await readdir(runDir)).toEqual([]);
  });

  test('while it stays up, the listing commands show it; Ctrl-C ends it and leaves nothing', async (context) => {
    const runDir = await ownRunDir(context);
    const demo = await kept(context, runDir);
    const pids = descendants(demo.pid!);
    // Controller, agent, its sandbox host, two servers, the reaper.
    expect(pids.length).toBeGreaterThanOrEqual(6);
    const list = async (what: string) =>
      (await exec([FLOWCELL, what, '--run-dir', runDir])).stdout.trimEnd().split('\n');
    // A heading and at least the two probes' flows.
    for (const what of ['cells', 'rules', 'flows']) expect((await list(what)).length).toBeGreaterThan(2);
    const parsed = JSON.parse((await exec([FLOWCELL, 'cells', '--json', '--run-dir', runDir])).stdout);
    expect(Object.keys(parsed)).toEqual(['0000000000000001']);
    expect(await namespacesOf(demo.pid!)).toHaveLength(4);

    const end = once(demo, 'close');
    demo.kill('SIGINT');
    expect(await end).toEqual([0, null]);
    expect(await namespacesOf(demo.pid!)).toEqual([]);
    expect(await readdir(runDir)).toEqual([]);
    expect(running(pids)).toEqual([]);
    await expect(exec([FLOWCELL, 'cells', '--run-dir', runDir])).rejects.toMatchObject({
      result: { code: 2, stderr: expect.stringContaining('no agent runs here') },
    });
  });

  test.for(['port 3', 'controller runs', 'cells warm', 'TCP:', 'killed'])(
    'Ctrl-C leaves nothing, whatever it was doing (%s)',
    async (word, context) => {
      const runDir = await ownRunDir(context);
      const demo = await startUntil(word, context, runDir);
      const pids = descendants(demo.pid!);
      const end = once(demo, 'close');
      demo.kill('SIGINT');
      expect(await end).toEqual([130, null]);
      expect(await namespacesOf(demo.pid!)).toEqual([]);
      expect(await readdir(runDir)).toEqual([]);
      expect(running(pids)).toEqual([]);
    },
  );

  test('killed -9 it leaves neither namespaces nor processes', async (context) => {
    // Everything that it starts is there.
    const demo = await startUntil('killed', context, await ownRunDir(context), '--keep');
    expect(await namespacesOf(demo.pid!)).toHaveLength(4);
    const pids = descendants(demo.pid!);
    demo.kill('SIGKILL');
    await expect.poll(() => namespacesOf(demo.pid!), { timeout: 30_000 }).toEqual([]);
    await expect.poll(() => running(pids), { timeout: 30_000 }).toEqual([]);
  });

  test('an agent that dies under it ends it with the reason', async (context) => {
    const runDir = await ownRunDir(context);
    const demo = await kept(context, runDir);
    const pids = descendants(demo.pid!);
    const { stdout: pid } = await exec(['pgrep', '-f', `agent .*--run-dir ${runDir}`]);
    let said = '';
    demo.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const end = once(demo, 'close');
    process.kill(Number(pid), 'SIGKILL');
    expect(await end).toEqual([1, null]);
    expect(lastLine(said)).toMatchObject({
      ok: false,
      error: expect.stringContaining('the agent ended (SIGKILL)'),
    });
    // Its sandbox host ends itself when it notices.
    await expect.poll(() => running(pids), { timeout: 30_000 }).toEqual([]);
    expect(await readdir(runDir)).toEqual([]);
  });

  test('runs without root in a user namespace', async (context) => {
    const runDir = await ownRunDir(context);
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const possible = await exec([...asNobody, 'unshare', '--user', '--map-root-user', '--net', 'true'], {
      anyExit: true,
    });
    if (possible.code !== 0) context.skip('this kernel has no user namespaces for everyone');
    await chown(runDir, 65534, 65534);
    const { stdout } = await exec([...asNobody, FLOWCELL, 'demo', '--json', ...QUICK], {
      env: { ...env(runDir), HOME: runDir },
    });
    expectGood(lastLine(stdout));
    expect(await readdir(runDir)).toEqual([]);
  });
});
