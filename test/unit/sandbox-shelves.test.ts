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
