import { describe, expect, test } from 'vitest';
import { Admission } from '../../agent/dispatcher/admission.ts';
import { Holding } from '../../agent/dispatcher/hold.ts';
import { type Frame, FramePool } from '../../agent/ports/frames.ts';

const pool = new FramePool(64);
const take = (): Frame => pool.take()!;

describe('hold queues', () => {
  test('frames come out in the order they went in', () => {
    const holding = new Holding({ perFlow: 9, perRunningFlow: 9, perTenant: 9, total: 9 });
    const queue = holding.queueFor(0);
    const frames = [take(), take(), take()];
    for (const frame of frames) expect(holding.push(queue, frame)).toBe(true);
    expect([holding.shift(queue), holding.shift(queue)]).toEqual(frames.slice(0, 2));
    const more = take();
    holding.push(queue, more);
    expect([holding.shift(queue), holding.shift(queue), holding.shift(queue)]).toEqual([
      frames[2],
      more,
      null,
    ]);
    expect(holding.held).toBe(0);
  });

  test('each limit holds and is counted', () => {
    const holding = new Holding({ perFlow: 2, perRunningFlow: 3, perTenant: 3, total: 4 });
    const [a, b, c] = [holding.queueFor(1), holding.queueFor(1), holding.queueFor(2)];
    expect([a, a, a].map((queue) => holding.push(queue, take()))).toEqual([true, true, false]);
    expect([b, b].map((queue) => holding.push(queue, take()))).toEqual([true, false]);
    expect([c, c].map((queue) => holding.push(queue, take()))).toEqual([true, false]);
    expect(holding.refused).toEqual({ perFlow: 1, perTenant: 1, total: 1 });
    holding.shift(a);
    expect(holding.push(c, take())).toBe(true);
  });

  test('moving keeps order and counts, and refuses nothing', () => {
    const holding = new Holding({ perFlow: 2, perRunningFlow: 2, perTenant: 8, total: 8 });
    const [from, to] = [holding.queueFor(0), holding.queueFor(5)];
    const frames = [take(), take(), take(), take()];
    holding.push(to, frames[0]);
    holding.push(to, frames[1]);
    holding.push(from, frames[2]);
    holding.push(from, frames[3]);
    holding.move(from, to);
    expect(to.count).toBe(4);
    expect(from.usage.held).toBe(0);
    expect(frames.map(() => holding.shift(to))).toEqual(frames);
  });
});

describe('admission', () => {
  test('a port gets its rate and its burst, no more', () => {
    const admission = new Admission({ perPort: 200, perTenant: 0 });
    let admitted = 0;
    for (let i = 0; i < 100; i++) if (admission.admit(1, 0, 0)) admitted++;
    expect(admitted).toBe(20);
    expect(admission.counters.refusedByPort).toBe(80);
    // 200 a second: 2 in 10 ms, each port for itself.
    for (let i = 0; i < 10; i++) if (admission.admit(1, 0, 10)) admitted++;
    expect(admitted).toBe(22);
    expect(admission.admit(2, 0, 10)).toBe(true);
  });

  test('a tenant limit spans ports; what one limit refuses costs the other nothing', () => {
    const admission = new Admission({ perPort: 0, perTenant: 100 });
    let admitted = 0;
    for (let i = 0; i < 100; i++) if (admission.admit(i, 7, 0)) admitted++;
    expect(admitted).toBe(16);
    expect(admission.counters.refusedByTenant).toBe(84);
    expect(admission.admit(1, 8, 0)).toBe(true);
  });

  test('no limit admits everything', () => {
    const admission = new Admission({ perPort: 0, perTenant: 0 });
    for (let i = 0; i < 1000; i++) expect(admission.admit(1, 0, 0)).toBe(true);
  });
});

describe('frame pool', () => {
  test('the last reference gives the frame back; an empty pool says so and counts', () => {
    const small = new FramePool(2);
    const [a, b] = [small.take()!, small.take()!];
    expect(small.take()).toBeNull();
    expect(small.exhausted).toBe(1);
    a.refs++;
    small.release(a);
    expect(small.available).toBe(0);
    small.release(a);
    expect(small.take()).toBe(a);
    expect(b.address - a.address).toBe(b.base - a.base);
  });
});
