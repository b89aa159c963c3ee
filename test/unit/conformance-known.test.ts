/** docs/conformance.md says what the runner and its list of known failures say. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CAUSES, knownFailures } from '../conformance/known.ts';
import { GROUPS } from '../conformance/patterns.ts';
import { PROTOCOLS } from '../conformance/protocol.ts';

const docs = readFileSync(new URL('../../docs/conformance.md', import.meta.url), 'utf8');
/** Rows of all tables, by cells. */
const rows = docs
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

test.each(PROTOCOLS.map(({ name }) => name))('the score of OpenFlow %s', (openflow) => {
  const failures = knownFailures(openflow);
  const scores = rows.filter(([version]) => version === openflow);
  expect(scores.map(([, group]) => group)).toEqual(
    openflow === '1.0' ? ['action', 'match', 'all'] : [...GROUPS, 'all'],
  );
  for (const [, group, flowcell] of scores) {
    const [passed, total] = flowcell.split(' of ').map(Number);
    const failed = failures.filter((name) => group === 'all' || name.startsWith(`${group}/`)).length;
    expect([group, passed]).toEqual([group, total - failed]);
  }
  const sums = scores.slice(0, -1).reduce((sum, [, , score]) => sum + Number(score.split(' of ')[1]), 0);
  expect(Number(scores.at(-1)?.[2].split(' of ')[1])).toBe(sums);
});

test.each(CAUSES.map((cause) => [cause.reason, cause] as const))(
  '%s',
  (reason, { section, openflow, names }) => {
    const row = rows.find((cells) => cells.includes(reason));
    expect(row).toEqual([String(names.length), openflow.join(', '), expect.anything(), reason, section]);
    const files = new Set(names.map((name) => name.slice(0, name.indexOf(':'))));
    expect([...(row?.[2].matchAll(/`([^`]+)`/g) ?? [])].map(([, file]) => file).sort()).toEqual(
      [...files].sort(),
    );
  },
);
