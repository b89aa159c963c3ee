/** Transactions in a cell: all messages or none (docs/protocol.md, transaction). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BadRequestCode,
  ErrorType,
  FlowModFailedCode,
  FlowModFlag,
  GroupModFailedCode,
  type InstructionInit,
  type Message,
  type MessageInit,
  type MessageInitOf,
  TableConfigFlag,
  TransactionPhase,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { RUN } from '../../sandbox/channel/layout.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { MAX_TRANSACTION_BYTES } from '../../sandbox/guest/openflow/transaction.ts';
import { GuestHarness, slowHarness } from '../support/guest-harness.ts';

const phase = (value: number, xid = 0): MessageInit => ({ type: 'transaction', phase: value, xid });
const begin = phase(TransactionPhase.BEGIN);
const commit = phase(TransactionPhase.COMMIT, 99);
const abort = phase(TransactionPhase.ABORT, 98);
const barrier = (xid: number): MessageInit => ({ type: 'barrier_request', xid });

const outputTo = (port: number): InstructionInit[] => [
  { type: 'apply_actions', actions: [{ type: 'output', port }] },
];
const flow = (init: Partial<MessageInitOf<'flow_mod'>>): MessageInit => ({
  type: 'flow_mod',
  flags: FlowModFlag.SEND_FLOW_REM,
  ...init,
});
const failing: MessageInit = { type: 'flow_mod', table_id: 254, xid: 5 };
const EPERM = [99, ErrorType.BAD_REQUEST, BadRequestCode.EPERM];
const frame = ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp() }) });

/** [type, xid] or, of errors, [xid, type, code]. */
const brief = (answers: Message[]) =>
  answers.map((one) => (one.type === 'error' ? [one.xid, one.error_type, one.code] : [one.type, one.xid]));

/** Everything a controller can ask of a cell's entries, groups, meters and settings. */
function state(harness: GuestHarness): Message[] {
  const bodies = ['flow', 'table', 'group', 'group_desc', 'meter', 'meter_config'] as const;
  const asked = bodies.map((type) => ({ type: 'multipart_request', body: { type } }) as MessageInit);
  const query: MessageInit = { type: 'table_config', table_id: 255, flags: TableConfigFlag.QUERY };
  const sorted = harness.ask(...asked, query);
  // The order in which entries stand says nothing.
  for (const one of sorted) {
    if (one.type !== 'multipart_reply') continue;
    for (const list of Object.values(one.body)) {
      if (Array.isArray(list)) list.sort((a, b) => (text(a) < text(b) ? -1 : 1));
    }
  }
  return sorted;
}
const text = (value: unknown) =>
  JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one));

describe('a transaction', () => {
  it('does nothing before its commit, then everything', () => {
    const harness = new GuestHarness();
    const before = state(harness);
    expect(harness.ask(begin, flow({ instructions: outputTo(2) }))).toEqual([]);
    expect(harness.send(frame)).toEqual([]);
    expect(brief(harness.ask(commit, barrier(7)))).toEqual([['barrier_reply', 7]]);
    expect(harness.send(frame).map(({ port }) => port)).toEqual([2]);
    expect(text(state(harness))).not.toEqual(text(before));
  });

  it('does nothing at all when a message fails, and sends no more than the errors', () => {
    const harness = new GuestHarness();
    harness.ask(
      { type: 'group_mod', command: 0, group_id: 1, buckets: [{ actions: [{ type: 'output', port: 3 }] }] },
      { type: 'meter_mod', command: 0, meter_id: 1, flags: 1, bands: [{ type: 'drop', rate: 1000 }] },
      flow({ cookie: 1n, idle_timeout: 5, instructions: outputTo(2) }),
      flow({ cookie: 2n, table_id: 1, instructions: [{ type: 'meter', meter_id: 1 }] }),
      flow({
        cookie: 3n,
        table_id: 2,
        instructions: [{ type: 'write_actions', actions: [{ type: 'group', group_id: 1 }] }],
      }),
    );
    harness.send(frame);
    const before = state(harness);
    const answers = harness.ask(
      begin,
      flow({ cookie: 9n, flags: FlowModFlag.RESET_COUNTS, instructions: outputTo(5) }),
      flow({ cookie: 8n, priority: 5 }),
      flow({ command: 1, flags: FlowModFlag.RESET_COUNTS, instructions: outputTo(6) }),
      { type: 'group_mod', command: 1, group_id: 1, buckets: [] },
      {
        type: 'group_mod',
        command: 0,
        group_id: 4,
        buckets: [{ actions: [{ type: 'group', group_id: 1 }] }],
      },
      { type: 'table_config', table_id: 255, flags: TableConfigFlag.MISS_TO_CONTROLLER },
      { type: 'meter_mod', command: 2, meter_id: 0xffffffff },
      { type: 'group_mod', command: 2, group_id: 0xfffffffc },
      flow({ command: 3, table_id: 255 }),
      barrier(11),
      failing,
      barrier(12),
      commit,
    );
    expect(brief(answers)).toEqual([
      ['barrier_reply', 11],
      [5, ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_TABLE_ID],
      ['barrier_reply', 12],
      EPERM,
    ]);
    expect(state(harness)).toEqual(before);
    expect(harness.send(frame).map(({ port }) => port)).toEqual([2]);
    // Its timeout still counts.
    harness.now = 5000;
    harness.run(0);
    expect(harness.messages()).toMatchObject([{ type: 'flow_removed', cookie: 1n, packet_count: 2n }]);
  });

  it('takes several runs if it is long, and no packet or message comes in between', () => {
    const harness = slowHarness();
    harness.ask(flow({ instructions: outputTo(2) }));
    const mods = Array.from({ length: 100 }, (_, n) => flow({ priority: n + 1, table_id: 1 }));
    harness.ask(begin, flow({ flags: 0, instructions: outputTo(3) }), ...mods);
    harness.push(frame);
    harness.control(commit, barrier(1));
    const runs: number[] = [];
    do runs.push(harness.run());
    while ((runs.at(-1)! & RUN.MORE) !== 0);
    // One for each message: nothing was sent meanwhile.
    expect(runs.filter((bits) => bits === RUN.MORE).length).toBeGreaterThan(100);
    expect(brief(harness.messages())).toEqual([['barrier_reply', 1]]);
    expect(harness.take().map(({ port }) => port)).toEqual([3]);
  });

  it('sends what was removed when it succeeds', () => {
    const harness = new GuestHarness();
    harness.ask(flow({ cookie: 4n }));
    const answers = harness.ask(begin, barrier(1), flow({ command: 3 }), barrier(2), commit);
    expect(answers.map(({ type }) => type)).toEqual(['barrier_reply', 'flow_removed', 'barrier_reply']);
  });

  it('sees what it did itself', () => {
    const harness = new GuestHarness();
    const add: MessageInit = { type: 'group_mod', command: 0, group_id: 1 };
    expect(harness.ask(begin, add, { ...add, command: 1 }, commit)).toEqual([]);
    expect(brief(harness.ask(begin, { ...add, command: 2 }, add, { ...add, xid: 6 }, commit))).toEqual([
      [6, ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.GROUP_EXISTS],
      EPERM,
    ]);
  });

  it('can be given up', () => {
    const harness = new GuestHarness();
    const before = state(harness);
    expect(brief(harness.ask(begin, flow({}), failing, barrier(3), abort))).toEqual([['barrier_reply', 3]]);
    expect(state(harness)).toEqual(before);
    expect(brief(harness.ask(commit))).toEqual([EPERM]);
  });

  it('is one at a time', () => {
    const harness = new GuestHarness();
    expect(brief(harness.ask(begin, flow({}), phase(TransactionPhase.BEGIN, 4)))).toEqual([
      [4, ErrorType.BAD_REQUEST, BadRequestCode.EPERM],
    ]);
    expect(harness.ask(commit)).toEqual([]);
    expect(brief(harness.ask(abort, phase(7, 1)))).toEqual([
      [98, ErrorType.BAD_REQUEST, BadRequestCode.EPERM],
      [1, ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE],
    ]);
  });

  it('has a bounded number of bytes; with more it fails as a whole', () => {
    const harness = new GuestHarness();
    const before = state(harness);
    harness.ask(begin);
    harness.ask(flow({}));
    const actions = Array.from({ length: 4000 }, () => ({ type: 'output', port: 1 }) as const);
    const large = flow({ xid: 3, instructions: [{ type: 'apply_actions', actions }] });
    const count = Math.floor(MAX_TRANSACTION_BYTES / (64 + 4000 * 16));
    for (let n = 0; n < count; n++) expect(harness.ask(large)).toEqual([]);
    expect(brief(harness.ask(large))).toEqual([[3, ErrorType.BAD_REQUEST, BadRequestCode.EPERM]]);
    expect(brief(harness.ask(flow({}), barrier(2), commit))).toEqual([['barrier_reply', 2], EPERM]);
    expect(state(harness)).toEqual(before);
  });

  it('does not hold up packets that are sent out, nor what becomes of ports', () => {
    const harness = new GuestHarness();
    harness.ask(begin, { type: 'packet_out', xid: 4, actions: [{ type: 'output', port: 6 }] });
    expect(harness.send(frame, { packetOut: 4 }).map(({ port }) => port)).toEqual([6]);
  });

  it('answers a request in several replies as its entries are just then', () => {
    const harness = new GuestHarness();
    for (let i = 0; i < 300; i++) harness.control({ type: 'flow_mod', priority: i });
    harness.ask();
    const statistics: MessageInit = { type: 'multipart_request', body: { type: 'flow' } };
    const answers = harness.ask(begin, statistics, { type: 'flow_mod', command: 3, table_id: 0xff }, commit);
    const flows = answers.flatMap((one) =>
      one.type === 'multipart_reply' && one.body.type === 'flow' ? one.body.flows : [],
    );
    expect([answers.length, flows.length]).toEqual([2, 300]);
  });

  it('puts back an entry that was evicted', () => {
    const harness = new GuestHarness(new OpenFlowProgram(undefined, 1));
    harness.ask({ type: 'table_config', table_id: 0, flags: TableConfigFlag.EVICTION }, flow({ cookie: 1n }));
    const before = state(harness);
    expect(brief(harness.ask(begin, flow({ cookie: 2n, priority: 3 }), failing, commit))).toHaveLength(2);
    expect(state(harness)).toEqual(before);
  });
});

it('whatever its messages are: one that fails leaves no trace, one that succeeds is the same as without it', () => {
  const id = fc.integer({ min: 1, max: 3 });
  const command = fc.integer({ min: 0, max: 2 });
  const instructions = fc.oneof(
    id.map(outputTo),
    id.map((meter_id): InstructionInit[] => [{ type: 'meter', meter_id }]),
    id.map((group_id): InstructionInit[] => [
      { type: 'apply_actions', actions: [{ type: 'group', group_id }] },
    ]),
  );
  const message: fc.Arbitrary<MessageInit> = fc.oneof(
    fc
      .record({ command: fc.integer({ min: 0, max: 4 }), priority: id, table_id: fc.nat(1), instructions })
      .map((init) => flow(init)),
    fc.record({ command, group_id: id, next: fc.option(id) }).map(
      ({ next, ...init }): MessageInit => ({
        type: 'group_mod',
        ...init,
        buckets: next === null ? [] : [{ actions: [{ type: 'group', group_id: next }] }],
      }),
    ),
    fc
      .record({ command, meter_id: id })
      .map((init): MessageInit => ({ type: 'meter_mod', flags: 1, ...init })),
    fc.record({ table_id: fc.nat(1), flags: fc.constantFrom(0, 1, 4) }).map(
      (init): MessageInit => ({
        type: 'table_config',
        ...init,
      }),
    ),
  );
  let failed = 0;
  let succeeded = 0;
  fc.assert(
    fc.property(fc.array(message, { maxLength: 8 }), fc.array(message, { maxLength: 6 }), (first, then) => {
      const [harness, plain] = [new GuestHarness(), new GuestHarness()];
      harness.ask(...first);
      plain.ask(...first);
      const before = state(harness);
      const answers = harness.ask(begin, ...then, commit);
      const wanted = plain.ask(...then);
      if (wanted.some(({ type }) => type === 'error')) {
        failed++;
        expect(answers.every(({ type }) => type === 'error')).toBe(true);
        expect(answers).toHaveLength(2);
        expect(state(harness)).toEqual(before);
      } else {
        succeeded++;
        expect(answers).toEqual(wanted);
        expect(state(harness)).toEqual(state(plain));
      }
    }),
    { numRuns: 400 },
  );
  expect(Math.min(failed, succeeded)).toBeGreaterThan(40);
});
