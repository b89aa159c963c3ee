/** Results for people and for scripts. */
import { table } from '../../bench/lib/report.ts';
import { GROUPS, type Group } from './patterns.ts';
import type { Outcome } from './run-case.ts';

export interface Count {
  passed: number;
  failed: number;
  total: number;
}

export interface Report extends Count {
  /** Every case passed. */
  ok: boolean;
  target: string;
  /** '1.3' */
  openflow: string;
  seconds: number;
  groups: Record<Group, Count>;
  failures: { name: string; reason: string }[];
}

function count(outcomes: readonly Outcome[]): Count {
  const failed = outcomes.filter(({ failure }) => failure !== undefined).length;
  return { passed: outcomes.length - failed, failed, total: outcomes.length };
}

/** Several versions' reports in one. */
export interface Summary extends Count {
  ok: boolean;
  target: string;
  openflow: 'all';
  seconds: number;
  versions: Report[];
}

const tenths = (seconds: number) => Math.round(seconds * 10) / 10;

export function summary(target: string, versions: Report[]): Summary {
  const sum = (key: 'passed' | 'failed' | 'total' | 'seconds') =>
    versions.reduce((total, one) => total + one[key], 0);
  return {
    ok: versions.every(({ ok }) => ok),
    ...{ target, openflow: 'all', passed: sum('passed'), failed: sum('failed'), total: sum('total') },
    seconds: tenths(sum('seconds')),
    versions,
  };
}

export function report(
  target: string,
  openflow: string,
  outcomes: readonly Outcome[],
  seconds: number,
): Report {
  const all = count(outcomes);
  const groups = GROUPS.map((group) => [group, count(outcomes.filter((one) => one.group === group))]);
  return {
    ok: all.failed === 0,
    target,
    openflow,
    ...all,
    seconds: tenths(seconds),
    groups: Object.fromEntries(groups) as Record<Group, Count>,
    failures: outcomes.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [{ name, reason: failure }],
    ),
  };
}

/** Reasons without the particulars of a packet, so that failures of one cause are counted as one. */
const cause = (reason: string) => reason.replace(/: [0-9a-f]+ instead of .*| at \{.*/, '');

/** Failures by file and cause, then passed and failed by group. */
export function text({ groups, failures, ...all }: Report): string {
  const byCause = new Map<string, number>();
  for (const { name, reason } of failures) {
    const key = `${name.slice(0, name.indexOf(':'))}: ${cause(reason)}`;
    byCause.set(key, (byCause.get(key) ?? 0) + 1);
  }
  const rows = [...GROUPS.map((group) => ({ group, ...groups[group] })), { group: 'all', ...all }];
  return [
    ...[...byCause].map(([key, number]) => `${String(number).padStart(4)}  ${key}`),
    ...(byCause.size === 0 ? [] : ['']),
    table(rows.map(({ group, passed, failed, total }) => ({ group, passed, failed, total }))),
  ].join('\n');
}
