/** The sandbox host as a process: its walls, its death and its successor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CellEnd } from '../../sandbox/client/types.ts';
import { builtInPrograms, PollLoop, type ProgramImage, SandboxHost } from '../../sandbox/index.ts';
import {
  makeFrame,
  NO_KEY,
  openCell,
  Recorder,
  rawProgram,
  type TestFrame,
  testLogger,
} from '../support/sandbox.ts';

const root = process.getuid?.() === 0;
const loop = new PollLoop();
beforeAll(() => loop.start());
afterAll(() => loop.stop());

const ECHO = rawProgram('echo');
let host: SandboxHost<TestFrame> | undefined;
let events: Recorder;
afterEach(async () => {
  await host?.close();
  host = undefined;
});

async function start(programs: ProgramImage[]): Promise<SandboxHost<TestFrame>> {
  events = new Recorder();
  host = await SandboxHost.start({ tenant: 5, loop, events, programs, poolSize: 1, logger: testLogger() });
  return host;
}

/** Undefined for a thread that ended, or a descriptor that was closed, after it had been listed. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return undefined;
  }
}

/** A process that ended may wait for its parent (or init) to look: it is no process any more. */
function exists(pid: number): boolean {
  return !['Z', 'X', undefined].includes(unlessGone(() => statusOf(pid))?.get('State')?.[0]);
}

/** Resolves when the process is gone; there is no event to be had for another's child. */
async function gone(pid: number): Promise<void> {
  while (exists(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

function statusOf(pid: number): Map<string, string[]> {
  const lines = fs.readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.split(/\s+/).slice(1)]));
}

/** One packet through a new cell. */
async function works(on: SandboxHost<TestFrame>, id: number): Promise<void> {
  const cell = await openCell(on, id, ECHO);
  cell.push(makeFrame(id), NO_KEY);
  on.kick();
  await events.until(() => events.count(id) === 1);
}

describe('the walls', () => {
  test.runIf(root)('stand when a host is ready, around every thread', async () => {
    const { pid } = await start([ECHO]);
    for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
      const status = unlessGone(() => statusOf(Number(thread)));
      if (status === undefined && Number(thread) !== pid) continue;
      expect(status?.get('Uid')).toEqual(['64005', '64005', '64005', '64005']);
      expect(status?.get('Gid')).toEqual(['64005', '64005', '64005', '64005']);
      expect(status?.get('Groups')).toEqual(['']);
      expect(status?.get('CapEff')).toEqual(['0000000000000000']);
      expect(status?.get('NoNewPrivs')).toEqual(['1']);
      expect(status?.get('Seccomp')).toEqual(['2']);
    }
    for (const namespace of ['net', 'ipc', 'uts']) {
      const own = fs.readlinkSync(`/proc/self/ns/${namespace}`);
      expect(fs.readlinkSync(`/proc/${pid}/ns/${namespace}`)).not.toBe(own);
    }
    // Not dumpable: what is in its memory belongs to root.
    expect(fs.statSync(`/proc/${pid}/mem`).uid).toBe(0);
    const environment = fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    expect(environment.filter((entry) => !/^(PATH=.*|)$/.test(entry))).toEqual([]);
    const descriptors = fs
      .readdirSync(`/proc/${pid}/fd`)
      .flatMap((fd) => unlessGone(() => fs.readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? []);
    expect(descriptors.length).toBeGreaterThan(2);
    expect(descriptors.filter((target) => /io_uring|^\/(?!dev\/null|memfd:)/.test(target))).toEqual([]);
  });

  test('withstand an attempt from the inside', async () => {
    const [bootstrap, probe] = ['../../sandbox/host/bootstrap.ts', '../support/lockdown-probe.ts'].map(
      (path) => fileURLToPath(new URL(path, import.meta.url)),
    );
    const child = spawn(process.execPath, [...process.execArgv, bootstrap!, probe!, '64009'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await once(child, 'close');
    expect(JSON.parse(output)).toEqual({
      notices: root ? [] : [expect.stringContaining('keeps uid')],
      uid: root ? 64009 : process.getuid?.(),
      readableBefore: 'worked',
      read: 'EPERM',
      write: 'EPERM',
      spawn: 'EPERM',
      killOther: 'EPERM',
      killSelf: 'worked',
      thread: 'worked',
      socket: 'EPERM',
      ptrace: 'EPERM',
      unshare: 'EPERM',
      bpf: 'EPERM',
      io_uring: 'EPERM',
    });
  });

  test('hold uploaded programs too, which get no code from strings and no growing buffers', async () => {
    const code = `flowcell.program({
      packet(packet) {
        const attempts = [
          () => new Function('return 1')(), () => eval('1'), () => (() => {}).constructor('return 1')(),
          () => new ArrayBuffer(8, { maxByteLength: 16 }).resize(16), () => new WebAssembly.Memory({ initial: 1 }),
          () => __region.byteLength, () => Atomics.wait(new Int32Array(1), 0, 0),
        ];
        let worked = 0;
        attempts.forEach((attempt, i) => { try { attempt(); worked |= 1 << i; } catch {} });
        packet.output(worked + 1);
      },
    });`;
    const uploaded = { name: 'uploaded', hash: 'uploaded', code, trusted: false };
    const on = await start([ECHO]);
    const cell = await openCell(on, 1, uploaded);
    cell.push(makeFrame(1), NO_KEY);
    on.kick();
    await events.until(() => events.sent.length === 1);
    expect(events.sent[0]!.port).toBe(1);
  });
});

describe('a host that dies', () => {
  async function expectSuccessor(on: SandboxHost<TestFrame>, first: number, ends: CellEnd[]): Promise<void> {
    await events.until(() => events.ends.length === 2);
    expect(events.ends.map(({ end }) => end)).toEqual(ends);
    expect(events.lostFrames).toEqual([4242]);
    await works(on, 3);
    expect(on.pid).not.toBe(first);
    expect(exists(first)).toBe(false);
    expect(on.stats()).toMatchObject({ live: 1, restarts: 1 });
  }

  test('by kill -9 takes its cells along, and another takes its place', async () => {
    const silent = rawProgram('silent', { run: 'return 0;' });
    const on = await start([ECHO, silent]);
    const first = on.pid;
    await works(on, 1);
    const cell = await openCell(on, 2, silent);
    cell.push(makeFrame(4242), NO_KEY);
    on.kick();
    process.kill(first, 'SIGKILL');
    await expectSuccessor(on, first, ['host-died', 'host-died']);
  });

  test('because a cell cannot be interrupted is killed and followed by another; the cell is to blame', async () => {
    const stuck = rawProgram('stuck', { packet: '[].lastIndexOf.call({ length: 2 ** 53 - 1 }, 1);' });
    const on = await start([ECHO, stuck]);
    const first = on.pid;
    await works(on, 1);
    const cell = await openCell(on, 2, stuck, { memoryMiB: 16, runMs: 50 });
    cell.push(makeFrame(4242), NO_KEY);
    on.kick();
    await expectSuccessor(on, first, ['cpu', 'host-died']);
  });

  test('leaves requests waiting, which its successor answers', async () => {
    const on = await start([ECHO]);
    process.kill(on.pid, 'SIGKILL');
    await Promise.all([works(on, 1), works(on, 2), works(on, 3)]);
    expect(on.stats()).toMatchObject({ live: 3, openFailed: 0, restarts: 1 });
  });
});

describe('no process is left', () => {
  test('after close(), which tells of every cell and refuses new ones', async () => {
    const on = await start([ECHO]);
    const { pid } = on;
    await works(on, 1);
    await works(on, 2);
    await on.close();
    expect(exists(pid)).toBe(false);
    expect(events.ends).toMatchObject([
      { cell: 1, end: 'closed' },
      { cell: 2, end: 'closed' },
    ]);
    await expect(openCell(on, 3, ECHO)).rejects.toMatchObject({ code: 'FC_HOST_UNAVAILABLE' });
  });

  test('after close() in the middle of a restart', async () => {
    const on = await start([ECHO]);
    const { pid } = on;
    process.kill(pid, 'SIGKILL');
    await gone(pid);
    const asked = openCell(on, 1, ECHO).catch((error) => error.code);
    await on.close();
    expect(await asked).toBe('FC_HOST_UNAVAILABLE');
    expect(on.pid === -1 || !exists(on.pid)).toBe(true);
  });

  test('after the agent was killed', async () => {
    const agent = fileURLToPath(new URL('../support/sandbox-agent.ts', import.meta.url));
    const child: ChildProcess = spawn(process.execPath, [...process.execArgv, agent], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = await once(child.stdout!, 'data');
    const pid = Number(String(output));
    expect(exists(pid)).toBe(true);
    child.kill('SIGKILL');
    await gone(pid);
  });
});

describe('built-in programs', () => {
  test('all load, and handle a packet', async () => {
    const programs = await builtInPrograms();
    expect(programs.map(({ name }) => name)).toEqual(['openflow', 'learning-switch']);
    const on = await start([...programs]);
    for (const [i, program] of programs.entries()) {
      const cell = await openCell(on, i, program);
      cell.push(makeFrame(1), NO_KEY);
      on.kick();
      await events.until(() => events.count(i) > 0);
      expect(cell.inFlight).toBe(0);
    }
    expect(events.ends).toEqual([]);
  });
});
