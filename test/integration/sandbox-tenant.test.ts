/** The hosts of one tenant: cells spread over processes, and what ends with one of them. */
import { afterEach, expect, test, vi } from 'vitest';
import {
  type CellHandle,
  type CellLimits,
  type OpenCallback,
  PollLoop,
  type ProgramImage,
  TenantHosts,
} from '../../sandbox/index.ts';
import { makeFrame, NO_KEY, Recorder, rawProgram, type TestFrame, testLogger } from '../support/sandbox.ts';

const LIMITS: CellLimits = { memoryMiB: 16, runMs: 900 };
const echo = rawProgram('echo');

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start(options: { cells?: number; maxHosts?: number; maxApart?: number; idleMs?: number }) {
  const loop = new PollLoop();
  loop.start();
  cleanUps.push(() => loop.stop());
  const events = new Recorder();
  const hosts = await TenantHosts.start<TestFrame>({
    tenant: 0,
    loop,
    events,
    programs: [echo],
    poolSize: 1,
    logger: testLogger(),
    ...options,
  });
  cleanUps.push(() => hosts.close());
  const open = (id: number, limits = LIMITS, program: ProgramImage = echo): Promise<CellHandle<TestFrame>> =>
    new Promise((resolve, reject) => {
      const callback: OpenCallback<TestFrame> = (error, cell) => (cell ? resolve(cell) : reject(error));
      hosts.open({ id, program, limits, callback });
    });
  const openAll = (from: number, count: number, limits = LIMITS) =>
    Promise.all(Array.from({ length: count }, (_, i) => open(from + i, limits)));
  /** Every one of these cells forwards a frame. */
  const exchange = async (cells: readonly CellHandle<TestFrame>[]): Promise<void> => {
    const before = cells.map(({ id }) => events.count(id));
    for (const cell of cells) expect(cell.push(makeFrame(cell.id), NO_KEY)).toBe(true);
    await events.until(() => cells.every(({ id }, i) => events.count(id) === before[i] + 1));
  };
  return { hosts, events, open, openAll, exchange };
}

const live = (hosts: TenantHosts<TestFrame>): number =>
  hosts.view().reduce((sum, host) => sum + host.live, 0);

test('a tenant has as many hosts as its cells need, and no more than it may', async () => {
  const { hosts, openAll, exchange, open } = await start({ cells: 4, maxHosts: 3 });
  const cells = await openAll(1, 10);
  expect(new Set(hosts.view().map(({ pid }) => pid)).size).toBe(3);
  await exchange(cells);
  await openAll(11, 2);
  await expect(open(13)).rejects.toMatchObject({ code: 'FC_NO_RESOURCES' });
  expect(live(hosts)).toBe(12);
  expect(hosts.counters).toMatchObject({ started: 3, refused: 1 });
});

test('another host is there before the last one is full', async () => {
  const { hosts, openAll } = await start({ cells: 8, maxHosts: 2 });
  await openAll(1, 7);
  await vi.waitFor(() => expect(hosts.view()).toHaveLength(2), 30_000);
  expect(hosts.view()[0].live).toBe(7);
});

test("a host's death ends its own cells and no others; it comes back", async () => {
  const { hosts, events, openAll, exchange, open } = await start({ cells: 4, maxHosts: 2 });
  const cells = await openAll(1, 8);
  const [{ pid }] = hosts.view();
  process.kill(pid, 'SIGKILL');
  await events.until(() => events.ends.length === 4);
  expect(new Set(events.ends.map(({ end }) => end))).toEqual(new Set(['host-died']));
  const others = cells.filter(({ alive }) => alive);
  expect(others).toHaveLength(4);
  await exchange(others);
  await exchange([await open(9)]);
  expect(
    hosts
      .view()
      .map(({ live }) => live)
      .sort(),
  ).toEqual([1, 4]);
});

test('a host that comes back needs no other beside it', async () => {
  const { hosts, events, open, exchange } = await start({ cells: 8 });
  await open(1);
  process.kill(hosts.view()[0].pid, 'SIGKILL');
  await events.until(() => events.ends.length === 1);
  await exchange([await open(2)]);
  expect(hosts.counters.started).toBe(1);
});

test('a host that stays empty is ended, the first never', async () => {
  const { hosts, openAll } = await start({ cells: 4, maxHosts: 3, idleMs: 50 });
  const cells = await openAll(1, 12);
  for (const cell of cells) cell.close();
  await vi.waitFor(() => expect(hosts.view()).toHaveLength(1), 30_000);
  expect(hosts.counters).toMatchObject({ started: 3, ended: 2 });
});

test('a cell behind the wall process has a host of its own, which ends with it', async () => {
  const { hosts, events, open, exchange } = await start({ cells: 4, maxApart: 2 });
  const apart = { ...LIMITS, wall: 'process' } as const;
  const shared = await open(1);
  const [one, two] = await Promise.all([open(2, apart), open(3, apart)]);
  expect(hosts.view().map(({ cells }) => cells)).toEqual([4, 1, 1]);
  await exchange([shared, one, two]);
  await expect(open(4, apart)).rejects.toMatchObject({ code: 'FC_NO_RESOURCES' });

  const victim = hosts.view()[1].pid;
  process.kill(victim, 'SIGKILL');
  await events.until(() => events.ends.length === 1);
  const [{ cell, end }] = events.ends;
  expect(end).toBe('host-died');
  const left = [shared, one, two].filter(({ id }) => id !== cell);
  await exchange(left);
  expect(events.lostFrames).toEqual([]);
  // It is not started again by itself: whoever wants the cell back opens another.
  expect(hosts.view()).toHaveLength(2);
  await exchange([await open(5, apart)]);

  left[1].close();
  await vi.waitFor(() => expect(hosts.view()).toHaveLength(2), 30_000);
  await exchange([shared]);
});

const CONTEXT = { memoryMiB: 8, runMs: 900, wall: 'context' } as const;
/** The in_port of a frame that makes a cell use memory without end, or never come back. */
const hostile = rawProgram('hostile', {
  packet: `
    if (slot[0] === 98) for (const hog = []; ; ) hog.push(new Array(1000).fill(1.5));
    if (slot[0] === 99) for (;;);
  `,
});
const HOG = makeFrame(97);
const LOOP = makeFrame(98);

test.each([
  // Time enough to find out: collecting garbage close to the limit takes long.
  ['memory', HOG, CONTEXT],
  // Found out long before the agent gives up a host that does not answer.
  ['cpu', LOOP, { ...CONTEXT, runMs: 50 }],
] as const)('cells in one isolate end together, by whose doing is told: %s', async (end, poison, context) => {
  const { events, open, exchange } = await start({ cells: 200 });
  const apart = await open(1, LIMITS, hostile);
  const cells = [];
  for (let id = 2; id <= 6; id++) cells.push(await open(id, context, hostile));
  await exchange([apart, ...cells]);
  cells[2].push(poison, NO_KEY);
  await events.until(() => events.ends.length === 5);
  const ends = Object.fromEntries(events.ends.map(({ cell, end }) => [cell, end]));
  expect(ends).toEqual({ 2: 'host-died', 3: 'host-died', 4: end, 5: 'host-died', 6: 'host-died' });
  expect(events.ends.find(({ cell }) => cell === 2)?.detail).toContain('cell 4, which shared its isolate');
  // What was warm in that isolate is not given out any more.
  await exchange([apart, await open(7, context, hostile), await open(8, context, hostile)]);
  expect(events.ends).toHaveLength(5);
});

test('a context that is closed leaves the others alone; more than one isolate takes are in several', async () => {
  const { events, open, openAll, exchange } = await start({ cells: 200 });
  const cells = await openAll(1, 70, CONTEXT);
  await exchange(cells);
  for (const cell of cells.splice(10, 50)) cell.close();
  await exchange(cells);
  expect(events.ends.every(({ end }) => end === 'closed')).toBe(true);
  await expect(open(99, CONTEXT, { ...echo, trusted: false })).rejects.toMatchObject({
    code: 'FC_BAD_LIMITS',
  });
});
