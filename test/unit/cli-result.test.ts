import { expect, test } from 'vitest';
import { check, type DemoResult, emptyResult } from '../../cli/demo/result.ts';

const GOOD: DemoResult = {
  ok: true,
  flows: 60,
  cells: 61,
  setup_us: { p50: 900, p99: 2000 },
  bytes: 1e6,
  bytes_ok: true,
  ping_ok: true,
  new_flows: { count: 50, answered: 50 },
  isolation: { killed_cell: 57, new_cell: 61, other_flows_lost: 0, recovered: true },
};
const allGood = (result: DemoResult) => check(result).every(({ good }) => good);

test('a demo in which all went well is good, without ping on the machine too', () => {
  expect(allGood(GOOD)).toBe(true);
  expect(allGood({ ...GOOD, ping_ok: null })).toBe(true);
});

test.each<Partial<DemoResult>>([
  { ping_ok: false },
  { bytes_ok: false },
  { flows: 0 },
  { new_flows: { count: 50, answered: 49 } },
  { isolation: { ...GOOD.isolation, other_flows_lost: 1 } },
  { isolation: { ...GOOD.isolation, recovered: false } },
])('one thing wrong is not good (%#)', (wrong) => {
  expect(check({ ...GOOD, ...wrong }).filter(({ good }) => !good)).toHaveLength(1);
});

test('a demo that did nothing proves nothing', () => {
  expect(allGood(emptyResult())).toBe(false);
  expect(check(emptyResult()).filter(({ good }) => good).length).toBeLessThanOrEqual(1);
});
