/** Reading vitest's JSON report. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The parts of vitest's JSON report that count. */
export interface VitestReport {
  success: boolean;
  testResults: {
    name: string;
    status: string;
    message?: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

/**
 * Counts tests. A file that fails without a failing test (it could not be loaded, a hook threw) counts as one
 * failed, and so does a run that failed for a reason no test shows (an unhandled error, a crash).
 */
export function count(report: VitestReport | undefined, exitCode: number | null): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report?.testResults ?? []) {
    let failedHere = 0;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') counts.passed++;
      else if (test.status === 'failed') failedHere++;
      else counts.skipped++;
    }
    if (failedHere === 0 && file.status === 'failed') failedHere = 1;
    counts.failed += failedHere;
  }
  if (counts.failed === 0 && (exitCode !== 0 || report === undefined || !report.success)) counts.failed = 1;
  return counts;
}
