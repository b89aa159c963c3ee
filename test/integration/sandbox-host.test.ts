/** Cells in a real sandbox host process: what goes in and out, and what ends them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { H, RX_OFFSET, SLOT, SLOT_BYTES, TX, TX_OFFSET, TX_WORDS } from '../../sandbox/channel/layout.ts';
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

async function start(programs: ProgramImage[], poolSize = 2): Promise<void> {
  events = new Recorder();
  host = await SandboxHost.start({ tenant: 0, loop, events, programs, poolSize, logger: testLogger() });
}

/** Pushes frames as room comes, and waits until all have come back. */
async function pump(cell: CellHandle<TestFrame>, frames: TestFrame[]): Promise<void> {
  const back = () => events.count(cell.id);
  const end = back() + frames.length;
  for (const frame of frames) {
    while (!cell.push(frame, NO_KEY)) {
      const drains = events.drains;
      await events.until(() => events.drains > drains);
    }
  }
  host.kick();
  await events.until(() => back() >= end);
}

function frames(count: number, length = 64): TestFrame[] {
  return Array.from({ length: count }, (_, i) => makeFrame(i, length));
}

const ECHO = rawProgram('echo');
const LIMITS = { memoryMiB: 16, runMs: 50 };

describe('a cell', () => {
  test('gets packets in order and byte for byte, and gives them back so', async () => {
    await start([ECHO]);
    const cell = await openCell(host, 7, ECHO);
    const pushed = frames(1000);
    await pump(cell, pushed);
    expect(events.sent.map(({ serial }) => serial)).toEqual(pushed.map(({ serial }) => serial));
    for (const [i, frame] of pushed.entries()) {
      const { head, port, cell: id } = events.sent[i]!;
      expect(Buffer.compare(head, frame.bytes)).toBe(0);
      expect([port, id]).toEqual([frame.inPort, 7]);
    }
    expect(cell.inFlight).toBe(0);
    expect(events.lostFrames).toEqual([]);
  });

  test('sees the meta words, the key and the head of a long frame', async () => {
    const { FRAME_LEN, HEAD_LEN, FLAGS, CSUM_START, CSUM_OFFSET, L3_OFFSET, L4_OFFSET, KEY } = SLOT;
    const fields = [FRAME_LEN, HEAD_LEN, FLAGS, CSUM_START, CSUM_OFFSET, L3_OFFSET, L4_OFFSET, KEY, KEY + 31];
    const program = rawProgram('meta', {
      packet: `data.set(new Uint8Array(Int32Array.from([${fields}], (field) => slot[field]).buffer));`,
    });
    await start([program]);
    const cell = await openCell(host, 1, program);
    cell.push(
      { ...makeFrame(3, 65_000), flags: 3, csumStart: 34, csumOffset: 16 },
      new Uint32Array(32).map((_, i) => i + 100),
    );
    host.kick();
    await events.until(() => events.sent.length === 1);
    const seen = new Int32Array(events.sent[0]!.head.slice(0, fields.length * 4).buffer);
    expect([...seen]).toEqual([65_000, 256, 3, 34, 16, 14, 34, 100, 131]);
  });

  test('gets control bytes of any length in order, and its answers come back whole', async () => {
    await start([ECHO]);
    const cell = await openCell(host, 1, ECHO);
    const messages = [8, 100, 5000, 60_000, 8, 65_535].map((length, i) => {
      const message = new Uint8Array(length).map((_, at) => at * (i + 3));
      new DataView(message.buffer).setUint16(2, length);
      return message;
    });
    for (const message of messages) expect(cell.send(message)).toBe(true);
    await events.until(() => events.messages.length === messages.length);
    for (const [i, message] of messages.entries()) {
      expect(Buffer.compare(events.messages[i]!, message)).toBe(0);
    }
  });

  test('is refused more control bytes than its queue is long', async () => {
    const deaf = rawProgram('deaf', { run: 'return 0;' });
    await start([deaf]);
    const cell = await openCell(host, 1, deaf);
    const message = new Uint8Array(60_000);
    expect([1, 2, 3, 4, 5, 6].map(() => cell.send(message))).toEqual([true, true, true, true, false, false]);
  });

  test('has a timer that needs no packets', async () => {
    const timer = rawProgram('timer', {
      load: 'let ticks = 0;',
      run: `const now = words[${H.NOW_MS}];
        if (words[${H.TIMER_SET}] && ((words[${H.TIMER_MS}] - now) | 0) <= 0) ticks++;
        words[${H.TIMER_SET}] = ticks < 3 ? 1 : 0;
        words[${H.TIMER_MS}] = now + 5;
        if (ticks === 3) { ticks++; send([4, 2, 0, 8, 0, 0, 0, 9]); }`,
    });
    await start([timer]);
    await openCell(host, 5, timer);
    await events.until(() => events.messages.length === 1);
    expect([...events.messages[0]!]).toEqual([4, 2, 0, 8, 0, 0, 0, 9]);
  });

  test('has its number in the region before it is attached', async () => {
    const program = rawProgram('number', {
      attach: `send([4, 2, 0, 12, 0, 0, 0, 0, 0, 0, id, words[${H.CELL_ID}]]);`,
    });
    await start([program]);
    await openCell(host, 77, program);
    await events.until(() => events.messages.length === 1);
    expect([...events.messages[0]!.subarray(10)]).toEqual([77, 77]);
  });

  test('one of 200 gets its own packets and no others', async () => {
    await start([ECHO], 32);
    const cells = await Promise.all(Array.from({ length: 200 }, (_, i) => openCell(host, i + 1, ECHO)));
    await Promise.all(cells.map((cell) => pump(cell, frames(100))));
    for (const cell of cells) {
      const serials = events.sent.filter((sent) => sent.cell === cell.id).map(({ serial }) => serial);
      expect(serials).toEqual(frames(100).map(({ serial }) => serial));
    }
    expect(host.stats()).toMatchObject({ live: 200, opened: 200, frames: 20_000, records: 20_000 });
  });

  test('finds its region empty, whatever the cell before left there', async () => {
    const inspector = rawProgram('inspector', {
      attach: `let found = 0;
        for (let i = ${RX_OFFSET + SLOT_BYTES}; i < bytes.length; i++) if (bytes[i] !== 0) found++;
        words[${H.CELL_ID}] = found;`,
      packet: `const dirt = words[${H.CELL_ID}];
        slot[${SLOT.IN_PORT}] = dirt;
        bytes.fill(0xaa, ${RX_OFFSET + SLOT_BYTES});`,
    });
    await start([inspector], 0);
    const indexes: number[] = [];
    for (const id of [1, 2, 3]) {
      const cell = await openCell(host, id, inspector);
      indexes.push((cell as unknown as { index: number }).index);
      await pump(cell, frames(1));
      cell.close();
      await events.until(() => events.ends.length === id);
    }
    expect(new Set(indexes).size).toBeLessThan(3);
    expect(events.sent.map(({ port }) => port)).toEqual([0, 0, 0]);
  });
});

describe('a cell ends', () => {
  /** Runs one bad cell beside a good one; the good one must lose nothing. */
  async function misbehave(packet: string, limits = LIMITS): Promise<void> {
    const bad = rawProgram('bad', { packet });
    await start([ECHO, bad]);
    const [good, villain] = [await openCell(host, 1, ECHO), await openCell(host, 2, bad, limits)];
    await pump(good, frames(200));
    expect(villain.push(makeFrame(9999), NO_KEY)).toBe(true);
    host.kick();
    // While the bad one is being found out, and after.
    await pump(good, frames(200));
    await events.until(() => events.ends.length > 0);
    await pump(good, frames(200));
    expect(events.sent.filter(({ cell }) => cell === 1).length).toBe(600);
    expect(events.lostFrames.length + events.count(2)).toBe(1);
    expect(villain.alive).toBe(false);
    expect(villain.push(makeFrame(1), NO_KEY)).toBe(false);
    expect(host.stats()).toMatchObject({ live: 1, restarts: 0 });
  }

  test('as cpu when it loops for ever', async () => {
    await misbehave('for (;;);');
    expect(events.ends).toMatchObject([{ cell: 2, end: 'cpu' }]);
  });

  test('as cpu when it waits for ever', async () => {
    await misbehave(`Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`);
    expect(events.ends).toMatchObject([{ cell: 2, end: 'cpu' }]);
  });

  test('not as cpu when a run of a built-in program takes longer than its limit by the clock', async () => {
    const slow = rawProgram('slow', { packet: 'for (const end = Date.now() + 150; Date.now() < end; );' });
    await start([slow]);
    await pump(await openCell(host, 1, slow, { ...LIMITS, runMs: 100 }), frames(1));
    expect(events.ends).toEqual([]);
  });

  test('as memory when it eats memory', async () => {
    await misbehave('const all = []; for (;;) all.push(new Array(10_000).fill({}));', {
      memoryMiB: 16,
      // Time enough to find out: collecting garbage close to the limit takes long.
      runMs: 900,
    });
    expect(events.ends).toMatchObject([{ cell: 2, end: 'memory' }]);
  });

  test('as exception when it throws, with the words', async () => {
    await misbehave(`throw new RangeError('no such thing');`);
    expect(events.ends).toMatchObject([{ cell: 2, end: 'exception', detail: 'no such thing' }]);
  });

  const record = TX_OFFSET / 4;
  test.each([
    ['a record for a slot without a packet', `words[${record + TX.SLOT}] = 17; tx++;`],
    ['a record for a slot that does not exist', `words[${record + TX.SLOT}] = 1 << 30; tx++;`],
    ['a transmit position out of range', `tx += 100000;`],
    ['a control position out of range', `ctlOut += 100000; send([]);`],
    ['a message shorter than its header', `send([4, 0, 0, 7, 0, 0, 0, 0]);`],
    ['a head outside of the region', `write({ offset: ${1 << 16}, length: 64 })`],
    ['a head that wraps around', `write({ offset: -8, length: 64 })`],
    ['a head longer than the region', `write({ offset: 512, length: -1 })`],
    ['a head without an Ethernet header', `write({ offset: 512, length: 13 })`],
    ['more of the frame than there is', `write({ consumed: 65 })`],
    ['a kind that does not exist', `write({ kind: 3 })`],
  ])('as exception when it writes %s', async (_name, act) => {
    const helper = `
      const write = ({ kind = 1, offset = 512, length = 64, consumed = 64 }) => {
        words.set([kind, place, 1, offset, length, consumed], ${record} + (tx & 255) * ${TX_WORDS});
        tx++;
      };`;
    await misbehave(helper + act);
    expect(events.ends).toMatchObject([{ cell: 2, end: 'exception' }]);
    expect(host.stats().badRecords).toBe(1);
  });

  test('as closed at the wish of the agent, with its packets handed back', async () => {
    const silent = rawProgram('silent', { run: 'return 0;' });
    await start([silent]);
    const cell = await openCell(host, 4, silent);
    for (const frame of frames(64)) expect(cell.push(frame, NO_KEY)).toBe(true);
    expect(cell.push(makeFrame(64), NO_KEY)).toBe(false);
    cell.close();
    expect(events.ends).toEqual([{ cell: 4, end: 'closed', detail: '' }]);
    expect(events.lostFrames).toEqual(frames(64).map(({ serial }) => serial));
  });
});

describe('opening a cell', () => {
  test('fails with the words of a program that does not load', async () => {
    const broken = rawProgram('broken', { load: `throw new Error('cannot start today');` });
    await start([ECHO]);
    const error = await openCell(host, 1, broken).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'FC_BAD_PROGRAM', message: 'cannot start today' });
    // The host goes on.
    await pump(await openCell(host, 2, ECHO), frames(1));
  });

  test('fails for a program without the entries of the guest runtime', async () => {
    const bare = { name: 'bare', hash: 'bare', code: 'let x = 1;', trusted: true };
    await start([ECHO]);
    await expect(openCell(host, 1, bare)).rejects.toMatchObject({ code: 'FC_BAD_PROGRAM' });
  });

  test.each([
    [{ memoryMiB: 7, runMs: 50 }],
    [{ memoryMiB: 16.5, runMs: 50 }],
    [{ memoryMiB: 16, runMs: 0 }],
    [{ memoryMiB: 16, runMs: Number.NaN }],
  ])('fails for limits %o', async (limits) => {
    await start([ECHO]);
    await expect(openCell(host, 1, ECHO, limits)).rejects.toMatchObject({ code: 'FC_BAD_LIMITS' });
  });

  test('with more memory gives more memory', async () => {
    const hungry = rawProgram('hungry', {
      packet: 'globalThis.kept = Array.from({ length: 96 }, () => new Array(131072).fill(0.5));',
    });
    await start([hungry]);
    await pump(await openCell(host, 1, hungry, { memoryMiB: 256, runMs: 900 }), frames(1));
    const small = await openCell(host, 2, hungry, { ...LIMITS, runMs: 900 });
    small.push(makeFrame(1), NO_KEY);
    host.kick();
    await events.until(() => events.ends.length > 0);
    expect(events.ends).toMatchObject([{ cell: 2, end: 'memory' }]);
  });

  test('is answered from the pool at once', async () => {
    await start([ECHO], 4);
    const first = await openCell(host, 1, ECHO);
    // The one for the first request came first; the pool's own follow.
    await pump(first, frames(1));
    const warm = host.stats().warm;
    let opened = 0;
    const callback = () => opened++;
    for (let i = 0; i < warm; i++) host.open({ id: i + 2, program: ECHO, limits: LIMITS, callback });
    expect(opened).toBe(warm);
  });
});
