import { expect, test } from 'vitest';
import { Session } from '../../bench/lib/bench.ts';
import { inTurn, type TestBed } from '../../bench/lib/test-bed.ts';

function session(part?: string) {
  const steps: string[] = [];
  const one = new Session({ quick: false, part, cells: 10, progress: (step) => steps.push(step) });
  return { one, steps };
}

test('a step that fails is named and shown, and the others go on', async () => {
  const { one, steps } = session();
  const broken = () => {
    throw new Error('no such program\nsecond line');
  };
  expect(await one.attempt('peer', broken)).toBeUndefined();
  expect(await one.attempt('ours', async () => 7)).toBe(7);
  expect(one.failed).toEqual({ peer: 'Error: no such program' });
  expect(steps.join()).toContain('second line');
});

test('a part has its own parts, and not those that only begin like it', () => {
  const { one } = session('entries');
  expect(['entries', 'entries-100', 'entriesless', 'flows'].map((part) => one.wants(part))).toEqual([
    ...[true, true, false, false],
  ]);
  expect(session().one.wants('flows')).toBe(true);
});

test('what is compared has its turn in each round; what fails has none any more and keeps what it had', async () => {
  const { one } = session();
  const [ours, peer, broken] = ['ours', 'peer', 'broken'].map((name) => ({ name }) as TestBed);
  const turns: string[] = [];
  const samples = await inTurn(one, 'load', [ours, broken, peer], 3, async ({ name }) => {
    turns.push(name);
    if (name === 'broken' && turns.length > 3) throw new Error('it ended');
    return turns.length;
  });
  expect(turns).toEqual(['ours', 'broken', 'peer', 'ours', 'broken', 'peer', 'ours', 'peer']);
  expect([...samples]).toEqual([
    [ours, [1, 4, 7]],
    [broken, [2]],
    [peer, [3, 6, 8]],
  ]);
  expect(one.failed).toEqual({ 'broken, load': 'Error: it ended' });
});

test('what never gave a sample is left out', async () => {
  const { one } = session();
  const bed = { name: 'ours' } as TestBed;
  const samples = await inTurn(one, 'load', [bed], 2, () => Promise.reject(new Error('refused')));
  expect(samples.size).toBe(0);
});
