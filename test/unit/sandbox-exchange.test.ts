import { afterEach, beforeEach, expect, test } from 'vitest';
import { Frame } from '../../agent/ports/frames.ts';
import { KEY_WORDS } from '../../packet/index.ts';
import { C, regionOffset } from '../../sandbox/channel/control.ts';
import { HostCell } from '../../sandbox/client/cell.ts';
import { Exchange } from '../../sandbox/client/exchange.ts';
import { SharedPages } from '../../sandbox/client/shared-pages.ts';
import type { CellEvents, ProgramImage } from '../../sandbox/client/types.ts';
import type { PollLoop } from '../../sandbox/sys/loop.ts';

/** A loop that turns when it is told to. */
class SteppedLoop {
  more = false;
  turn = (): unknown => undefined;
  sleep = (): boolean => false;
  watch(): void {}
  unwatch(): void {}
  remove(): void {}
  afterWake(): void {}
  each(fn: () => unknown): void {
    this.turn = fn;
  }
  beforeSleep(fn: () => boolean): void {
    this.sleep = fn;
  }
}

let pages: SharedPages;
let loop: SteppedLoop;
let cell: HostCell<Frame>;

beforeEach(() => {
  pages = new SharedPages('test', 1);
  loop = new SteppedLoop();
  const cells: (HostCell<Frame> | null)[] = [null];
  const exchange = new Exchange<Frame>({
    pages,
    loop: loop as unknown as PollLoop,
    cells,
    batchEnd: () => undefined,
    release: () => undefined,
    wrong: () => undefined,
    distrust: () => undefined,
    closeCell: () => undefined,
    returned: () => false,
  });
  const init = { id: 1, program: {} as ProgramImage, events: {} as CellEvents<Frame> };
  cell = new HostCell(exchange, 0, regionOffset(0), init);
  cells[0] = cell;
  Atomics.store(pages.words, C.HOST_SLEEPING, 1);
});
afterEach(() => pages.release());

const bytes = new Uint8Array(256);
const push = () => {
  const frame = new Frame(bytes, new Int32Array(bytes.buffer), 0, 0);
  frame.length = 60;
  expect(cell.push(frame, new Uint32Array(KEY_WORDS))).toBe(true);
};
const isAsleep = () => Atomics.load(pages.words, C.HOST_SLEEPING) === 1;
const isReady = () => Atomics.load(pages.words, C.READY_HEAD) === 1;

test('the last packet that is there wakes the host at once', () => {
  push();
  loop.turn();
  expect(isAsleep()).toBe(false);
});

test('while more are there packets are gathered, for some turns', () => {
  loop.more = true;
  push();
  loop.turn();
  // A host that is awake would see it.
  expect([isReady(), isAsleep()]).toEqual([true, true]);
  for (let turn = 2; turn <= 4; turn++) loop.turn();
  expect(isAsleep()).toBe(false);
});

test.each<[string, () => void]>([
  ['a message', () => void cell.send(new Uint8Array(8))],
  ['half of what a cell holds', () => Array.from({ length: 32 }, push)],
])('%s does not wait', (_name, act) => {
  loop.more = true;
  act();
  loop.turn();
  expect(isAsleep()).toBe(false);
});

test('nothing that was gathered is left when the agent goes to sleep', () => {
  loop.more = true;
  push();
  loop.turn();
  loop.sleep();
  expect(isAsleep()).toBe(false);
});
