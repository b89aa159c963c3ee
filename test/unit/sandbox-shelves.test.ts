import { expect, test } from 'vitest';
import { Shelves, type Waiter } from '../../sandbox/client/shelves.ts';
import type { FrameRef } from '../../sandbox/client/types.ts';

test('an isolate goes to whoever waits longest and has not given up', () => {
  const shelves = new Shelves<FrameRef>();
  const wanted = new Map([1, 2, 3, 4].map((id) => [id, true]));
  for (const id of wanted.keys()) {
    shelves.wait('kind', { id, wanted: () => wanted.get(id) } as unknown as Waiter<FrameRef>);
  }
  shelves.wait('kind', { id: 5 } as Waiter<FrameRef>);
  wanted.set(1, false).set(3, false);
  expect([1, 2, 3, 4].map(() => shelves.next('kind')?.id)).toEqual([2, 4, 5, undefined]);
  expect(shelves.waiting).toEqual([]);
});

test('what nobody needed since the last time is surplus, but for what is kept; the longest unused goes first', () => {
  const shelves = new Shelves<FrameRef>();
  const pooled = new Set(['pooled']);
  for (let index = 0; index < 40; index++) shelves.put('pooled', index);
  for (let index = 100; index < 140; index++) shelves.put('other', index);
  // They have only just come.
  expect(shelves.surplus(pooled, 10)).toEqual([]);
  const taken = Array.from({ length: 25 }, () => shelves.take('pooled')!);
  expect(taken[0]).toBe(39);
  for (const index of taken) shelves.put('pooled', index);
  // 15 were left over at the least, of which 10 are kept; and of the other kind 40, of which 16 are.
  const surplus = shelves.surplus(pooled, 10);
  expect(surplus).toEqual([0, 1, 2, 3, 4, ...Array.from({ length: 24 }, (_, i) => 100 + i)]);
  // Those put back came to lie on top of the others.
  const below = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
  expect(shelves.surplus(pooled, 10)).toEqual([...below, ...taken.slice(0, 15)]);
  expect(shelves.surplus(pooled, 10)).toEqual([]);
});
