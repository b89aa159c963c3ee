import { afterEach, describe, expect, test } from 'vitest';
import {
  addressOf,
  check,
  closeFd,
  EventFd,
  memfdCreate,
  punchHole,
  raw,
  SystemCallError,
} from '../../sandbox/sys/libc.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { MappedMemory, PageWindow } from '../../sandbox/sys/memory.ts';

const PAGES = 16 * 4096;

describe('shared memory', () => {
  test('shows the same bytes in a mapping and through a SharedArrayBuffer, until its pages are punched out', () => {
    const fd = memfdCreate('test', 2 * PAGES);
    const memory = new MappedMemory(fd, 2 * PAGES);
    const window = new PageWindow(PAGES);
    window.map(fd, PAGES);
    const [outside, inside] = [
      new Uint8Array(memory.buffer, PAGES),
      new Uint8Array(window.shared, window.offset, PAGES),
    ];
    outside[0] = 1;
    inside[PAGES - 1] = 2;
    expect([inside[0], outside[PAGES - 1]]).toEqual([1, 2]);
    punchHole(fd, PAGES, PAGES);
    expect(inside.every((byte) => byte === 0)).toBe(true);
    expect(addressOf(outside)).toBe(memory.address + BigInt(PAGES));
    memory.unmap();
    expect([outside.length, memory.buffer.byteLength]).toEqual([0, 0]);
    closeFd(fd);
  });

  test('keeps its size whoever holds it', () => {
    const fd = memfdCreate('test', PAGES);
    expect(() => check('ftruncate', raw.ftruncate(fd, 0))).toThrow(SystemCallError);
    expect(() => check('ftruncate', raw.ftruncate(fd, 0))).toThrow('ftruncate failed: EPERM');
    closeFd(fd);
    expect(() => closeFd(fd)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'close' }));
  });
});

describe('the loop', () => {
  let loop: PollLoop;
  const open: EventFd[] = [];
  afterEach(() => {
    loop.stop();
    for (const event of open.splice(0)) event.close();
  });

  function watched(onReadable: (event: EventFd) => void): EventFd {
    const event = new EventFd();
    open.push(event);
    loop.watch(event.fd, () => onReadable(event));
    return event;
  }

  test.each([0, 100])('wakes for descriptors, timers and immediates alike (spin %i us)', async (spinUs) => {
    loop = new PollLoop({ spinUs });
    loop.start();
    await new Promise<void>((resolve) => {
      const event = watched(() => {
        event.drain();
        resolve();
      });
      setTimeout(() => setImmediate(() => event.signal()), 5);
    });
    expect(loop.turns).toBeGreaterThan(0);
  });

  test('calls for one descriptor while it is readable, and never after unwatch', async () => {
    loop = new PollLoop();
    const calls: string[] = [];
    await new Promise<void>((resolve) => {
      const first = watched((event) => {
        calls.push('first');
        if (calls.length < 3) return;
        event.drain();
        loop.unwatch(event.fd);
        event.signal();
        const second = watched((other) => {
          calls.push('second');
          loop.unwatch(other.fd);
          resolve();
        });
        second.signal();
      });
      first.signal();
      loop.start();
    });
    expect(calls).toEqual(['first', 'first', 'first', 'second']);
  });

  test('watches more descriptors than fit at first', async () => {
    loop = new PollLoop();
    let left = 100;
    await new Promise<void>((resolve) => {
      const events = Array.from({ length: left }, () =>
        watched((event) => {
          event.drain();
          if (--left === 0) resolve();
        }),
      );
      loop.start();
      for (const event of events) event.signal();
    });
    expect(left).toBe(0);
    expect(() => loop.watch(open[0]!.fd, () => {})).toThrow('watched already');
  });

  test('does not sleep when the last look finds work, and tells of each wake', async () => {
    loop = new PollLoop();
    let work = false;
    let wakes = 0;
    await new Promise<void>((resolve) => {
      loop.beforeSleep(() => {
        work = true;
        return true;
      });
      loop.afterWake(() => wakes++);
      loop.each(() => {
        if (!work) return false;
        work = false;
        if (wakes >= 3) resolve();
        return true;
      });
      loop.start();
    });
    expect(wakes).toBeGreaterThanOrEqual(3);
  });

  test('gives promises and immediates a turn while there is always work', async () => {
    loop = new PollLoop();
    let turns = 0;
    loop.each(() => {
      turns++;
      return true;
    });
    loop.start();
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toBeGreaterThan(0);
  });

  test('asks a source that can be seen to be ready, and leaves a paused one alone', async () => {
    loop = new PollLoop();
    const event = new EventFd();
    open.push(event);
    const state = { ready: true, paused: true };
    let calls = 0;
    event.signal();
    loop.watch(event.fd, () => calls++, state);
    const another = watched(() => {});
    another.signal();
    loop.start();
    while (loop.turns < 100) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBe(0);
    another.drain();
    state.paused = false;
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    // Nothing more for the kernel to see, in turns that there is work in.
    event.drain();
    another.signal();
    const seen = calls;
    const turns = loop.turns;
    while (loop.turns < turns + 100) await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toBeGreaterThan(seen);
  });

  test('sleeps through a pause, and wakes at its end', async () => {
    loop = new PollLoop();
    const event = new EventFd();
    open.push(event);
    let pausedAsked = 0;
    await new Promise<void>((resolve) => {
      const source = {
        ready: false,
        get paused() {
          return ++pausedAsked < 50;
        },
      };
      loop.watch(
        event.fd,
        () => {
          event.drain();
          resolve();
        },
        source,
      );
      event.signal();
      loop.start();
    });
    expect(pausedAsked).toBeGreaterThanOrEqual(50);
  });

  test('forgets functions that are removed', async () => {
    loop = new PollLoop();
    let calls = 0;
    const each = () => {
      calls++;
    };
    loop.each(each);
    loop.remove(each);
    loop.start();
    await new Promise((resolve) => setTimeout(resolve, 0));
    await new Promise((resolve) => setImmediate(resolve));
    expect(loop.turns).toBeGreaterThan(0);
    expect(calls).toBe(0);
  });
});
