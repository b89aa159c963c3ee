import { expect, test } from 'vitest';
import { spread } from '../../bench/lib/report.ts';
import { page } from '../../bench/lib/results.ts';
import { goalsOf } from '../../bench/lib/targets.ts';

test('the page has every result with its machine and date, and why others have none', () => {
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 7.8, kernel: '6.18', node: 'v26', load: 0.3 };
  const rows: Record<string, string | number>[] = [
    { who: 'a|b', rate: 5 },
    { rate: 7, only: 'here' },
  ];
  const text = page(
    [
      {
        ...{ name: 'cells', title: 'Packets', machine, date: '2026-01-02' },
        ...{ ratios: { 'ours/theirs': 2.5 }, rows, more: { walls: [{ wall: 'isolate' }] } },
      },
    ],
    [{ name: 'codec', title: 'Codec', error: 'osken-manager is not installed' }],
  );
  const lines = text.split('\n');
  expect(lines).toContain(
    '2026-01-02: a CPU, 2 cores, 7.8 GiB, Linux 6.18, Node v26, load 0.3 before the run',
  );
  expect(lines).toContain('| 1 | 2.5 |  | ours/theirs |');
  // Columns are those of all rows, and what is in a cell of the table cannot end it.
  expect(lines).toContain('| who | rate | only |');
  expect(lines).toContain('| a\\|b | 5 |  |');
  expect(lines).toContain('|  | 7 | here |');
  expect(lines).toContain('### walls');
  expect(lines).toContain('codec: osken-manager is not installed');
});

test('what was wanted stands beside what came of it', () => {
  const result = {
    ratios: { 'kpps ours/a, 1 flow': 1.5, 'kpps ours/b': 9 },
    figures: { p50_us: 400 },
    rows: [],
  };
  const goals = goalsOf(
    [
      { of: 'kpps ours/a', atLeast: 2 },
      { of: 'p50_us', atMost: 400 },
    ],
    result,
  );
  expect(goals).toEqual([
    { of: 'p50_us', measured: 400, target: 'at most 400', met: true },
    { of: 'kpps ours/a, 1 flow', measured: 1.5, target: 'at least 2', met: false },
  ]);
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 7.8, kernel: '6.18', node: 'v26', load: 0.3 };
  const kept = { name: 'cells', title: 'Packets', machine, date: '2026-01-02', ...result, goals };
  const lines = page([kept], []).split('\n');
  expect(lines).toContain('| cells | 1.5 | at least 2 | no | kpps ours/a, 1 flow |');
  expect(lines).toContain('| cells | 400 | at most 400 | yes | p50_us |');
  expect(lines).toContain('| 1 | 1.5 | at least 2 | kpps ours/a, 1 flow |');
  expect(lines).toContain('| 2 | 9 |  | kpps ours/b |');
});

test('what failed stands beside the figures of the rest', () => {
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 7.8, kernel: '6.18', node: 'v26', load: 0.3 };
  const failed = { 'the peer, starting': 'Error: no such program' };
  const kept = { name: 'cells', title: '', machine, date: '', ratios: {}, rows: [{ kpps: 5 }], failed };
  const lines = page([kept], []).split('\n');
  expect(lines).toContain('Failed: the peer, starting: Error: no such program');
  expect(lines).toContain('| 5 |');
});

test('a spread is the least and the most', () => {
  expect(spread([3.14, 1, 2], 1)).toBe('1 - 3.1');
  expect(spread([])).toBe('-');
});
