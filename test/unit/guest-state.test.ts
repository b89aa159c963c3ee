/** Random flow_mods, group_mods, meter_mods, transactions, packets and seconds against a plain model of the tables. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  type Action,
  BadRequestCode,
  type Bucket,
  ErrorType,
  type Instruction,
  type Match,
  type Message,
  type MessageInit,
  type MessageOf,
  TransactionPhase,
} from '../../openflow/index.ts';
import { ethernet } from '../../packet/index.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import {
  type Done,
  type Filter,
  type FlowMod,
  type GroupMod,
  type MeterMod,
  type Mod,
  ReferenceTables,
} from '../support/reference-tables.ts';

const ANY = 0xffffffff;
const ENTRIES = 4;

// What is sent ----------------------------------------------------------------------------------------------

const groupIds = fc.integer({ min: 1, max: 3 });
const meterIds = fc.integer({ min: 1, max: 2 });
const macs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', '03:00:00:00:00:01');
const match: fc.Arbitrary<Match> = fc.record(
  {
    in_port: fc.constantFrom(1, 2),
    eth_dst: fc.oneof(
      macs,
      fc.constantFrom<[string, string]>(
        ['02:00:00:00:00:00', 'ff:00:00:00:00:00'],
        ['00:00:00:00:00:01', '00:00:00:00:00:ff'],
      ),
    ),
  },
  { requiredKeys: [] },
);
/** Mostly right. */
const rarely = <T>(right: fc.Arbitrary<T>, ...wrong: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 25, arbitrary: right }, fc.constantFrom(...wrong));
const action: fc.Arbitrary<Action> = fc.oneof(
  rarely(fc.constantFrom(1, 2, 3), 0).map((port) => ({ type: 'output' as const, port, max_len: 0 })),
  groupIds.map((group_id) => ({ type: 'group' as const, group_id })),
);
const actions = fc.array(action, { maxLength: 2 });
const instructions: fc.Arbitrary<Instruction[]> = fc
  .record({
    meter: fc.option(meterIds, { freq: 6 }),
    apply: fc.option(actions, { freq: 2 }),
    write: fc.option(actions, { freq: 3 }),
    goto: fc.option(fc.constantFrom(1, 2, 2, 2), { freq: 4 }),
  })
  .map(({ meter, apply, write, goto: next }) => [
    ...(meter === null ? [] : [{ type: 'meter' as const, meter_id: meter }]),
    ...(apply === null ? [] : [{ type: 'apply_actions' as const, actions: apply }]),
    ...(write === null ? [] : [{ type: 'write_actions' as const, actions: write }]),
    ...(next === null ? [] : [{ type: 'goto_table' as const, table_id: next }]),
  ]);

const cookies = fc.constantFrom(0n, 1n, 2n, 3n);
const filter: fc.Arbitrary<Filter> = fc.record({
  table_id: fc.constantFrom(0, 1, 255, 255),
  out_port: fc.constantFrom(ANY, ANY, ANY, 1, 2),
  out_group: fc.constantFrom(ANY, ANY, ANY, 1, 2),
  cookie: cookies,
  cookie_mask: fc.constantFrom(0n, 0n, 1n, 0xffffffffffffffffn),
  match: fc.oneof(fc.constant({}), match),
});
const flags = fc.subarray([1, 1, 2, 4, 8, 16]).map((bits) => bits.reduce((all, bit) => all | bit, 0));
const flowMod: fc.Arbitrary<FlowMod> = fc
  .record({
    command: rarely(fc.constantFrom(0, 0, 0, 0, 0, 1, 2, 3, 4), 5),
    filter,
    table: rarely(fc.constantFrom(0, 0, 1), 254, 255),
    all: fc.boolean(),
    rest: fc.record({
      priority: fc.nat(2),
      flags: rarely(flags, 0x40),
      idle_timeout: fc.constantFrom(0, 0, 1, 3),
      hard_timeout: fc.constantFrom(0, 0, 2, 5),
      match,
      instructions,
    }),
  })
  .map(({ command, filter, table, all, rest }) => {
    const table_id = all && (command === 3 || command === 4) ? 255 : table;
    return { type: 'flow_mod', ...filter, ...rest, command, table_id };
  });

const bucket: fc.Arbitrary<Bucket> = fc.record({
  weight: rarely(fc.constant(0), 1),
  watch_port: fc.constant(ANY),
  watch_group: fc.constant(ANY),
  actions: actions,
});
const groupMod: fc.Arbitrary<GroupMod> = fc.record({
  type: fc.constant('group_mod' as const),
  command: rarely(fc.constantFrom(0, 0, 0, 1, 2), 3),
  group_id: rarely(groupIds, 0xfffffffc, 0xfffffffd),
  group_type: fc.constantFrom(0, 2),
  buckets: fc.array(bucket, { minLength: 1, maxLength: 2 }),
});
const meterMod: fc.Arbitrary<MeterMod> = fc.record({
  type: fc.constant('meter_mod' as const),
  command: rarely(fc.constantFrom(0, 0, 1, 2), 3),
  meter_id: rarely(meterIds, 0, 0xffffffff),
  flags: fc.constant(1),
  // Never exceeded.
  bands: fc.array(fc.constant({ type: 'drop' as const, rate: 10_000_000, burst_size: 0 }), { maxLength: 2 }),
});
const mod: fc.Arbitrary<Mod> = fc.oneof(
  { weight: 5, arbitrary: flowMod },
  { weight: 3, arbitrary: groupMod },
  meterMod,
);

const FIRST: Mod[] = [
  ...[1, 2].map((group_id): GroupMod => {
    return { type: 'group_mod', command: 0, group_id, group_type: 0, buckets: [] };
  }),
  { type: 'meter_mod', command: 0, meter_id: 1, flags: 1, bands: [] },
];

type Step =
  | { do: 'mod'; mod: Mod }
  | { do: 'transaction'; mods: Mod[] }
  | { do: 'packets'; packets: { in_port: number; eth_dst: string }[] }
  | { do: 'seconds'; count: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: mod.map((mod): Step => ({ do: 'mod', mod })) },
  {
    weight: 2,
    arbitrary: fc.array(mod, { maxLength: 6 }).map((mods): Step => ({ do: 'transaction', mods })),
  },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.record({ in_port: fc.constantFrom(1, 2, 3), eth_dst: macs }), { minLength: 1, maxLength: 4 })
      .map((packets): Step => ({ do: 'packets', packets })),
  },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 3 }).map((count): Step => ({ do: 'seconds', count })) },
);

// What comes back -------------------------------------------------------------------------------------------

const text = (value: unknown) =>
  JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one));
/** The order in which things are listed says nothing, nor that of an object's members. */
const inOrder = (list: readonly object[]) =>
  list
    .map((one) => Object.fromEntries(Object.entries(one).sort(([x], [y]) => (x < y ? -1 : 1))))
    .sort((x, y) => (text(x) < text(y) ? -1 : 1));

type ReplyBody<T> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;
type Asked = Extract<MessageInit, { type: 'multipart_request' }>['body'];

function ask<T extends Asked['type'] & MessageOf<'multipart_reply'>['body']['type']>(
  harness: GuestHarness,
  type: T,
  rest: object = {},
): ReplyBody<T> {
  const [answer] = harness.ask({ type: 'multipart_request', body: { type, ...rest } as Asked });
  if (answer?.type !== 'multipart_reply' || answer.body.type !== type)
    throw new Error(`not ${type}: ${text(answer)}`);
  return answer.body as ReplyBody<T>;
}

function compare(harness: GuestHarness, model: ReferenceTables, asked: Filter): void {
  const everything: Filter = {
    ...asked,
    table_id: 255,
    out_port: ANY,
    out_group: ANY,
    cookie_mask: 0n,
    match: {},
  };
  for (const filter of [everything, asked]) {
    expect(inOrder(ask(harness, 'flow', filter).flows)).toEqual(inOrder(model.flows(filter)));
    expect(ask(harness, 'aggregate', filter)).toMatchObject(model.aggregate(filter));
  }
  const { tables } = ask(harness, 'table');
  expect([0, 1, 2].map((id) => tables[id])).toEqual([0, 1, 2].map((id) => model.table(id)));
  expect(inOrder(ask(harness, 'group_desc').groups)).toEqual(inOrder(model.groupDescriptions()));
  const all = { group_id: 0xfffffffc };
  expect(inOrder(ask(harness, 'group', all).groups)).toEqual(inOrder(model.groupStatistics()));
  expect(inOrder(ask(harness, 'meter_config').meters)).toEqual(inOrder(model.meterConfigurations()));
  expect(inOrder(ask(harness, 'meter').meters)).toEqual(inOrder(model.meterStatistics()));
}

const removals = (answers: readonly Message[]): object[] =>
  answers.map((answer) => {
    if (answer.type !== 'flow_removed') throw new Error(`unexpected: ${text(answer)}`);
    const { type, xid, ...rest } = answer;
    return rest;
  });

const failure = (answer: Message | undefined) =>
  answer?.type === 'error' ? [answer.error_type, answer.code] : answer?.type;

function expectAnswers(answers: Message[], { errors, removed }: Done, more: unknown[] = []): void {
  if (errors.length === 0) {
    expect(inOrder(removals(answers))).toEqual(inOrder(removed));
    return;
  }
  const [first, ...rest] = answers.map(failure);
  expect(errors).toContainEqual(first);
  expect(rest).toEqual(more);
}

const phase = (value: number): MessageInit => ({ type: 'transaction', phase: value });
const NOT_DONE = [[ErrorType.BAD_REQUEST, BadRequestCode.EPERM]];

it('tables, groups and meters are what the messages so far make them', () => {
  const seen = { errors: new Set<string>(), reasons: new Set<number>(), undone: 0, done: 0, matched: 0 };
  const note = ({ errors, removed }: Done) => {
    for (const error of errors) seen.errors.add(error.join('/'));
    for (const one of removed) seen.reasons.add((one as { reason: number }).reason);
  };
  fc.assert(
    fc.property(fc.array(fc.tuple(step, filter), { minLength: 20, maxLength: 50 }), (steps) => {
      const harness = new GuestHarness(new OpenFlowProgram(3, ENTRIES));
      const model = new ReferenceTables(ENTRIES);
      // So that most of what follows refers to something.
      for (const one of FIRST) expectAnswers(harness.ask(one), model.mod(one));
      for (const [step, filter] of steps) {
        if (step.do === 'mod') {
          const done = model.mod(step.mod);
          expectAnswers(harness.ask(step.mod), done);
          note(done);
        } else if (step.do === 'transaction') {
          const answers = harness.ask(
            phase(TransactionPhase.BEGIN),
            ...step.mods,
            phase(TransactionPhase.COMMIT),
          );
          const done = model.transaction(step.mods);
          expectAnswers(answers, done, NOT_DONE);
          note(done);
          if (done.errors.length > 0) seen.undone++;
          else if (step.mods.length > 0) seen.done++;
        } else if (step.do === 'packets') {
          for (const { in_port, eth_dst } of step.packets) {
            const frame = ethernet({ dst: eth_dst, type: 0x88b5, payload: new Uint8Array(50) });
            if (model.packet({ in_port, eth_dst }, frame.length)) harness.send(frame, { inPort: in_port });
          }
        } else {
          for (let i = 0; i < step.count; i++) {
            const removed = model.second();
            harness.now = model.now;
            expect(inOrder(removals(harness.ask()))).toEqual(inOrder(removed));
            note({ errors: [], removed });
          }
        }
        compare(harness, model, filter);
      }
    }),
    { numRuns: 80 },
  );
  // Every error and every reason that the model knows was met.
  expect([...seen.errors].sort()).toEqual(
    ['2/4', '2/9', '3/2', '5/1', '5/2', '5/3', '5/6', '5/7']
      .concat(['6/0', '6/1', '6/7', '6/8', '6/9', '6/11', '12/1', '12/2', '12/3', '12/4'])
      .sort(),
  );
  expect([...seen.reasons].sort()).toEqual([0, 1, 2, 3]);
  expect(Math.min(seen.done, seen.undone)).toBeGreaterThan(20);
});
