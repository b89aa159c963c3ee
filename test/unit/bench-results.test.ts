import { expect, test } from 'vitest';
import { page } from '../../bench/lib/results.ts';

test('the page has every result with its machine and date, and why others have none', () => {
  const machine = { cpu: 'a CPU', cores: 2, memoryGiB: 7.8, kernel: '6.18', node: 'v26' };
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
  expect(lines).toContain('2026-01-02: a CPU, 2 cores, 7.8 GiB, Linux 6.18, Node v26');
  expect(lines).toContain('| 1 | 2.5 | ours/theirs |');
  // Columns are those of all rows, and what is in a cell of the table cannot end it.
  expect(lines).toContain('| who | rate | only |');
  expect(lines).toContain('| a\\|b | 5 |  |');
  expect(lines).toContain('|  | 7 | here |');
  expect(lines).toContain('### walls');
  expect(lines).toContain('codec: osken-manager is not installed');
});
