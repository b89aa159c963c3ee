import { expect, test } from 'vitest';
import { ruleMessage } from '../../controller/rules.ts';
import { Wall } from '../../openflow/index.ts';

test.each([
  [undefined, Wall.ISOLATE],
  ['isolate', Wall.ISOLATE],
  ['process', Wall.PROCESS],
  ['context', Wall.CONTEXT],
] as const)('an answer with wall %s is a rule with wall %i', (wall, number) => {
  const answer = { match: { in_port: 1 }, entries: [], wall };
  const frame = { cookie: 0n, queryId: 1, tenant: 0 };
  expect(ruleMessage(answer, frame, () => undefined)).toMatchObject({ wall: number });
});
