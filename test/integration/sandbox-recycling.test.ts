/** Isolates of cells that ended, in a real sandbox host: which are used again, and what the next cell finds. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { decode, encode, type MessageInit, Port } from '../../openflow/index.ts';
import { CTL_IN_OFFSET, H, RENEW, RUN, RX_OFFSET } from '../../sandbox/channel/layout.ts';
import { builtInPrograms } from '../../sandbox/client/programs.ts';
import { type CellHandle, PollLoop, type ProgramImage, SandboxHost } from '../../sandbox/index.ts';
import {
  makeFrame,
  NO_KEY,
  openCell,
  Recorder,
  rawProgram,
  type TestFrame,
  testLogger,
} from '../support/sandbox.ts';

const loop = new PollLoop();
beforeAll(() => loop.start());
afterAll(() => loop.stop());

let host: SandboxHost<TestFrame>;
let events: Recorder;
afterEach(() => host.close());

const [OPENFLOW] = await builtInPrograms();

async function start(program: ProgramImage): Promise<void> {
  events = new Recorder();
  // One isolate is ever there: what is opened next is what was closed last, or is made anew.
  host = await SandboxHost.start({
    tenant: 0,
    loop,
    events,
    programs: [program],
    poolSize: 1,
    cells: 1,
    logger: testLogger(),
  });
}

async function ask(cell: CellHandle<TestFrame>, ...messages: MessageInit[]) {
  const before = events.messages.length;
  for (const message of messages) cell.send(encode(message));
  host.kick();
  await events.until(() => events.messages.length > before);
  return events.messages.slice(before).map((message) => decode(message));
}

const flood: MessageInit = {
  type: 'flow_mod',
  xid: 1,
  instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: Port.FLOOD }] }],
};
const flows: MessageInit = { type: 'multipart_request', xid: 2, body: { type: 'flow' } };

test('a cell that ended well leaves its isolate to the next, which finds nothing of it', async () => {
  await start(OPENFLOW);
  for (let id = 1; id <= 20; id++) {
    const cell = await openCell(host, id, OPENFLOW);
    const [, { body }] = [undefined, (await ask(cell, flows))[0]] as unknown as [
      unknown,
      { body: { flows: unknown[] } },
    ];
    expect(body.flows).toEqual([]);
    await ask(cell, flood, { type: 'barrier_request', xid: 3 });
    cell.push(makeFrame(id), NO_KEY);
    host.kick();
    await events.until(() => events.count(id) === 1);
    expect(events.sent.at(-1)).toMatchObject({ cell: id, port: Port.FLOOD, serial: id });
    // Packets inside do not matter: they are handed back.
    cell.push(makeFrame(100 + id), NO_KEY);
    cell.close(true);
  }
  const last = await openCell(host, 99, OPENFLOW);
  expect(last.alive).toBe(true);
  expect(host.stats()).toMatchObject({ recycled: 20, opened: 21, live: 1, notRecycled: {} });
});

test('who is not said to have ended well, or does not know how to begin anew, is disposed', async () => {
  await start(OPENFLOW);
  const first = await openCell(host, 1, OPENFLOW);
  first.close();
  await openCell(host, 2, OPENFLOW);
  expect(host.stats()).toMatchObject({ recycled: 0, opened: 2 });
  await host.close();

  const echo = rawProgram('echo');
  await start(echo);
  (await openCell(host, 1, echo)).close(true);
  await openCell(host, 2, echo);
  expect(host.stats()).toMatchObject({ recycled: 0, notRecycled: { program: 1 }, opened: 2 });
});

test('an isolate that holds on to memory is disposed, one with garbage is collected first', async () => {
  const renewing = (name: string, keeps: string) =>
    rawProgram(name, {
      load: `let held = Array.from({ length: 100 }, (_, i) => new Array(12_000).fill(i));`,
      renew: keeps,
    });
  const holds = renewing('holds', '');
  await start(holds);
  (await openCell(host, 1, holds)).close(true);
  await openCell(host, 2, holds);
  expect(host.stats()).toMatchObject({ recycled: 0, notRecycled: { heap: 1 } });
  await host.close();

  const lets = renewing('lets go', 'held = [];');
  await start(lets);
  (await openCell(host, 1, lets)).close(true);
  await openCell(host, 2, lets);
  expect(host.stats()).toMatchObject({ recycled: 1, notRecycled: {} });
});

test('an isolate that fails while it is reset is gone, and its place is not', async () => {
  const fails = rawProgram('fails', { renew: `throw new Error('no');` });
  await start(fails);
  (await openCell(host, 1, fails)).close(true);
  const next = await openCell(host, 2, fails);
  expect(next.alive).toBe(true);
  expect(host.stats()).toMatchObject({ recycled: 0, notRecycled: { ended: 1 } });
});

test('a cell is ended whose isolate turns out not to be reset', async () => {
  const forgets = rawProgram('forgets', { renew: `if (given !== ${RENEW}) return ${RUN.PRODUCED};` });
  await start(forgets);
  // The first time the host asks before anybody gets it.
  (await openCell(host, 1, forgets)).close(true);
  (await openCell(host, 2, forgets)).close(true);
  await openCell(host, 3, forgets);
  host.kick();
  await events.until(() => events.ends.some(({ cell }) => cell === 3));
  expect(events.ends.at(-1)).toMatchObject({ cell: 3, end: 'exception' });
});

test('the region of the next cell holds nothing but what the host writes', async () => {
  const looks = rawProgram('looks', {
    attach: `let other = 0;
      for (let i = 0; i < words.length; i++) if (words[i] !== 0 && i !== ${H.CELL_ID} && i !== ${H.NOW_MS}) other++;
      send([4, 2, 0, 8, 0, 0, other >> 8, other]);
      // Whatever the agent does not look at.
      bytes.fill(255, ${RX_OFFSET}, ${CTL_IN_OFFSET});`,
    renew: `if (given === ${RENEW}) bytes.fill(255);`,
  });
  await start(looks);
  for (let id = 1; id <= 3; id++) {
    const cell = await openCell(host, id, looks);
    host.kick();
    await events.until(() => events.messages.length === id);
    expect(decode(events.messages.at(-1)!)).toMatchObject({ type: 'echo_request', xid: 0 });
    cell.close(true);
  }
  await openCell(host, 9, looks);
  expect(host.stats().recycled).toBe(3);
});
