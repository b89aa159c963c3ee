/** The pipeline against the reference: random tables, random packets, byte for byte. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import { scenario } from '../support/pipeline-arbitrary.ts';
import { buildFrame, type Description, Unspecified } from '../support/reference-packet.ts';
import { type Entry, type Outcome, referencePipeline } from '../support/reference-pipeline.ts';

/** Later FLOW_MODs with the same match, table and priority replace earlier ones. */
function withoutReplaced(entries: Entry[]): Entry[] {
  const name = ({ table_id, priority, match }: Entry) =>
    JSON.stringify([table_id, priority, match], (_, v) => (typeof v === 'bigint' ? `${v}` : v));
  return [...new Map(entries.map((entry) => [name(entry), entry])).values()];
}

/** What the reference says; undefined: it is open. */
function expectation(entries: Entry[], packet: Description, inPort: number): Outcome[] | undefined {
  try {
    return referencePipeline(entries, packet, inPort);
  } catch (error) {
    if (error instanceof Unspecified) return undefined;
    throw error;
  }
}

describe.each([
  ['compiled tables', 1],
  ['tables as they are', Number.POSITIVE_INFINITY],
])('the pipeline with %s', (_, compileAfter) => {
  it('does what the specification says', () => {
    let outcomes = 0;
    let open = 0;
    fc.assert(
      fc.property(scenario, ({ entries, sent: packets }) => {
        const harness = new GuestHarness(new OpenFlowProgram(compileAfter));
        const answers = harness.ask(...entries.map((entry) => ({ type: 'flow_mod' as const, ...entry })));
        expect(answers).toEqual([]);
        const kept = withoutReplaced(entries);
        for (const [packet, inPort] of packets) {
          const sent = harness.send(buildFrame(packet), { inPort }).map((record) => ({
            kind: record.kind,
            port: record.port,
            frame: Buffer.from(record.frame).toString('hex'),
            tableId: record.kind === 'controller' ? record.tableId : 0,
            cookie: record.kind === 'controller' ? record.cookie : 0n,
            metadata: record.kind === 'controller' ? record.metadata : 0n,
          }));
          const expected = expectation(kept, packet, inPort);
          if (expected !== undefined) expect(sent).toEqual(expected);
          outcomes += expected?.length ?? 0;
          if (expected === undefined) open++;
        }
      }),
      { numRuns: 700 },
    );
    // The generator is worth something only while packets get through.
    expect(outcomes).toBeGreaterThan(700);
    expect(open).toBeLessThan(outcomes / 10);
  });
});
