import { expect, test } from 'vitest';
import { missingPackages, PACKAGES } from '../support/packages.ts';
import { count, type VitestReport } from '../support/results.ts';

const file = (status: string, ...tests: string[]): VitestReport['testResults'][number] => ({
  name: 'x.test.ts',
  status,
  assertionResults: tests.map((one) => ({ status: one, fullName: 'x' })),
});
const report = (...testResults: VitestReport['testResults']): VitestReport => ({
  success: testResults.every((one) => one.status === 'passed'),
  testResults,
});

test('tests are counted as what they are; all that is neither passed nor failed was skipped', () => {
  expect(
    count(
      report(file('passed', 'passed', 'skipped', 'todo', 'pending'), file('failed', 'passed', 'failed')),
      1,
    ),
  ).toEqual({ passed: 2, failed: 1, skipped: 3 });
});

test('a file that could not be loaded is a failure', () => {
  expect(count(report(file('failed'), file('passed', 'passed')), 1)).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
  });
});

test('a run that failed without a failing test is a failure', () => {
  expect(count(report(file('passed', 'passed')), 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  expect(count({ ...report(file('passed', 'passed')), success: false }, 0).failed).toBe(1);
  expect(count(undefined, null).failed).toBe(1);
  expect(count(report(file('passed', 'passed')), 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
});

test('only what is missing is named', () => {
  expect(missingPackages(() => true)).toEqual([]);
  expect(missingPackages((command) => command !== 'tshark').map((entry) => entry.name)).toEqual(['tshark']);
  expect(missingPackages(() => false)).toEqual(PACKAGES);
});
