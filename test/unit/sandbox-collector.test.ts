import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Collector } from '../../sandbox/host/collector.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A cell that is collected by telling it so. */
function cell() {
  const done = Promise.withResolvers<void>();
  return { ...done, ranAt: performance.now(), here: true, begun: 0 };
}

const add = (collector: Collector, one: ReturnType<typeof cell>): void =>
  collector.add({
    alive: () => one.here,
    lastRun: () => one.ranAt,
    collect: () => {
      one.begun++;
      return one.promise;
    },
  });

test('a cell is collected once, when it came to rest', async () => {
  const collector = new Collector();
  const one = cell();
  add(collector, one);
  for (let ms = 0; ms < 5000; ms += 100) {
    one.ranAt = performance.now();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(one.begun).toBe(0);
  await vi.advanceTimersByTimeAsync(1000);
  expect(one.begun).toBe(1);
  one.resolve();
  await vi.advanceTimersByTimeAsync(5000);
  expect(one.begun).toBe(1);
  // Nobody waits, so nothing wakes the host.
  expect(vi.getTimerCount()).toBe(0);
});

test('one at a time; who works does not keep the others waiting, who is gone is left out', async () => {
  const collector = new Collector();
  const cells = Array.from({ length: 100 }, cell);
  for (const one of cells) add(collector, one);
  for (const one of cells.slice(0, 50)) one.ranAt = Infinity;
  cells[60].here = false;
  await vi.advanceTimersByTimeAsync(2000);
  const begun = cells.flatMap((one, i) => (one.begun > 0 ? [i] : []));
  expect(begun).toHaveLength(1);
  // It ends while it is collected.
  const [first] = begun;
  cells[first].here = false;
  cells[first].reject(new Error('Isolate is disposed'));
  for (const one of cells) one.resolve();
  await vi.advanceTimersByTimeAsync(2000);
  const expected = [...Array(50).fill(0), ...Array(10).fill(1), 0, ...Array(39).fill(1)];
  expect(cells.map((one) => one.begun)).toEqual(expected);
});
