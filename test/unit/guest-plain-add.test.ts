/** The short way of the plainest FLOW_MODs and the codec's way come to the same entry, or the short way is not taken. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ActionInit, decode, encode, type InstructionInit, Port } from '../../openflow/index.ts';
import { makeEntry } from '../../sandbox/guest/openflow/entry.ts';
import { readPlainAdd } from '../../sandbox/guest/openflow/plain-add.ts';
import { flowSetUp } from '../../sandbox/guest/openflow/warm-messages.ts';

const FLOW_MOD = 14;
const everything = { hasGroup: () => true, hasMeter: () => true };

/** The entry that the codec's way leads to; throws what is wrong with it. */
function byCodec(bytes: Uint8Array) {
  const message = decode(bytes);
  if (message.type !== 'flow_mod') throw new TypeError(message.type);
  return makeEntry(message, everything);
}

const port = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(...Object.values(Port)),
  fc.integer({ min: 0, max: 0xffffffff }),
);
const action: fc.Arbitrary<ActionInit> = fc.oneof(
  { weight: 6, arbitrary: port.map((port) => ({ type: 'output' as const, port, max_len: 64 })) },
  fc.constantFrom<ActionInit>({ type: 'pop_vlan' }, { type: 'set_queue', queue_id: 1 }),
);
const instruction: fc.Arbitrary<InstructionInit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(action, { maxLength: 3 })
      .map((actions) => ({ type: 'apply_actions' as const, actions })),
  },
  fc.constantFrom<InstructionInit>({ type: 'clear_actions' }, { type: 'goto_table', table_id: 9 }),
);
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const flowMod = fc
  .record({
    cookie: fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }),
    command: fc.constantFrom(0, 0, 0, 0, 1, 3),
    table_id: fc.constantFrom(0, 0, 3, 253, 254),
    priority: fc.constantFrom(0, 1, 0xffff),
    idle_timeout: fc.constantFrom(0, 7),
    hard_timeout: fc.constantFrom(0, 300),
    flags: fc.constantFrom(0, 0, 0, 1, 2),
    buffer_id: fc.constantFrom(0xffffffff, 0xffffffff, 0xffffffff, 5),
    match: fc.record({
      in_port: sometimes(fc.integer({ min: 0, max: 0xffffffff })),
      cell: sometimes(fc.integer({ min: 0, max: 0xffffffff })),
      eth_type: fc.constantFrom(undefined, undefined, undefined, 0x0800),
    }),
    instructions: fc.array(instruction, { maxLength: 2 }),
  })
  .map((message) => encode({ type: 'flow_mod', ...message }));

/** Some bytes are others than the encoder's; the length stays the message's. */
const damaged = fc
  .tuple(flowMod, fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }))
  .map(([bytes, changes]) => {
    const copy = bytes.slice();
    for (const [at, value] of changes) {
      const index = at % copy.length;
      if (index !== 1 && index !== 2 && index !== 3) copy[index] = value;
    }
    return copy;
  });

test('an entry that is read in one go is the one that the codec makes', () => {
  fc.assert(
    fc.property(fc.oneof(flowMod, damaged), (bytes) => {
      const plain = readPlainAdd(bytes.slice());
      if (plain === undefined) return;
      const entry = byCodec(bytes);
      const { source: _, ...fields } = plain as unknown as Record<string, unknown>;
      const { source: __, ...expected } = entry as unknown as Record<string, unknown>;
      expect(fields).toEqual(expected);
      const { cookie, match, instructions } = plain;
      expect({ cookie, match, instructions }).toEqual({
        cookie: entry.cookie,
        match: entry.match,
        instructions: entry.instructions,
      });
    }),
    { numRuns: 5000 },
  );
});

test('what a learning switch sets a cell up with is read in one go', () => {
  const mods = flowSetUp().filter((bytes) => bytes[1] === FLOW_MOD);
  expect(mods.map((bytes) => readPlainAdd(bytes) !== undefined)).toEqual([
    false,
    false,
    false,
    true,
    true,
    true,
  ]);
});
