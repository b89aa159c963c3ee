import { describe, expect, test } from 'vitest';
import { CellControl } from '../../agent/cell-control.ts';
import type { Request } from '../../agent/cell-conversation.ts';
import { CellLog, type FlowMod, type Logged } from '../../agent/cell-log.ts';
import { Barriers } from '../../agent/channel/barriers.ts';
import {
  decode,
  encode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  type Match,
  type Message,
  type MessageInit,
  type MessageInitOf,
  messageXid,
} from '../../openflow/index.ts';
import { FakeHost, image } from '../support/agent-world.ts';

const flowMod = (init: Omit<MessageInitOf<'flow_mod'>, 'type'> = {}): Uint8Array =>
  encode({ type: 'flow_mod', ...init });
const DEFAULTS = { memoryMiB: 16, runMs: 50 };

const setUp = (id = 7) => {
  const passed: Message[] = [];
  const answered: Message[] = [];
  const counters = { sent: 0, passed: 0, refused: 0, errors: 0, overflow: 0 };
  const control = new CellControl(id, counters, (reply, asker) => {
    passed.push(reply);
    asker?.answer(reply);
  });
  const asker = { answer: (reply: Message) => answered.push(reply) };
  /** As a controller's message. */
  const forward = (message: Uint8Array, more: Partial<Request> = {}) =>
    control.forward(message, { asker, xid: messageXid(message), ...more });
  const host = new FakeHost();
  host.events = { message: (_cell: unknown, bytes: Uint8Array) => control.receive(bytes) } as never;
  let cell = host.last;
  host.open({
    ...{ id, program: image('openflow'), limits: DEFAULTS },
    callback: (_error, handle) => {
      cell = handle as typeof cell;
    },
  });
  return { control, counters, passed, answered, forward, cell };
};

describe('the conversation with a cell', () => {
  test("the cell sees numbers of the agent's own; an error comes back with the controller's", () => {
    const { control, forward, passed, cell } = setUp();
    control.attach(cell);
    const message = flowMod({ xid: 0xabcdef01, priority: 3 });
    expect(forward(message)).toBe(true);
    expect(messageXid(message)).toBe(0xabcdef01);
    const own = messageXid(cell.sent[0]);
    expect(own).not.toBe(0xabcdef01);
    cell.say({ type: 'error', xid: own, error_type: 5, code: 1, data: cell.sent[0] });
    expect(passed).toMatchObject([{ type: 'error', xid: 0xabcdef01, error_type: 5, code: 1 }]);
    expect((passed[0] as { data: Uint8Array }).data).toEqual(message);
    // Once only.
    cell.say({ type: 'error', xid: own, error_type: 5, code: 1 });
    expect(passed).toHaveLength(1);
  });

  test('each controller gets the answers to its own requests, with the bytes that it sent', () => {
    const { control, answered, forward, cell } = setUp();
    control.attach(cell);
    const second: Message[] = [];
    const original = new TextEncoder().encode(
      'what the second controller wrote in its own version'.padEnd(80),
    );
    forward(flowMod({ xid: 5 }));
    forward(flowMod({ xid: 5 }), { asker: { answer: (reply) => second.push(reply) }, head: original });
    const [first, other] = cell.sent.map(messageXid);
    cell.say({ type: 'error', xid: other, error_type: 5, code: 2, data: cell.sent[1] });
    expect(answered).toEqual([]);
    expect(second).toMatchObject([{ type: 'error', xid: 5, code: 2, data: original }]);
    cell.say({ type: 'error', xid: first, error_type: 5, code: 1, data: cell.sent[0] });
    expect(answered).toMatchObject([{ type: 'error', xid: 5, code: 1, data: flowMod({ xid: 5 }) }]);
  });

  test('whoever asked is told that the cell refused, once', () => {
    const { control, forward, cell } = setUp();
    control.attach(cell);
    let refused = 0;
    forward(flowMod(), { refused: () => refused++ });
    const own = messageXid(cell.sent[0]);
    cell.say({ type: 'error', xid: own, error_type: 5, code: 1 });
    cell.say({ type: 'error', xid: own, error_type: 5, code: 1 });
    expect(refused).toBe(1);
  });

  test('a transaction: begin, messages, commit, with no barrier inside; the outcome at the barrier after it', () => {
    const { control, answered, forward, cell } = setUp();
    control.attach(cell);
    for (let i = 0; i < 250; i++) forward(flowMod());
    cell.answerBarriers();
    const asker = { answer: (reply: Message) => answered.push(reply) };
    const messages = [1, 2, 3, 4, 5, 6, 7, 8].map((xid) => {
      return { bytes: flowMod({ xid }), request: { asker, xid } };
    });
    const outcomes: boolean[] = [];
    const run = () => control.transaction(messages, (committed) => outcomes.push(committed));
    expect(run()).toBe(true);
    const types = cell.messages.map((message) => message.type);
    expect(types).toEqual([
      'transaction',
      ...messages.map(() => 'flow_mod'),
      'transaction',
      'barrier_request',
    ]);
    expect(cell.messages.filter(({ type }) => type === 'transaction')).toMatchObject([
      { phase: 0 },
      { phase: 1 },
    ]);
    cell.answerBarriers();
    expect(outcomes).toEqual([true]);

    run();
    const [, , wrong] = cell.sent.map(messageXid);
    const commit = messageXid(cell.sent[messages.length + 1]);
    cell.say({ type: 'error', xid: wrong, error_type: 5, code: 1 });
    cell.say({ type: 'error', xid: commit, error_type: 1, code: 5 });
    expect(answered).toMatchObject([{ xid: 2, error_type: 5 }]);
    expect(outcomes).toEqual([true]);
    cell.answerBarriers();
    expect(outcomes).toEqual([true, false]);

    run();
    control.ended();
    expect(outcomes).toEqual([true, false, false]);
  });

  test('a transaction for which there is no room is not begun', () => {
    const { control, forward, cell } = setUp();
    const request = { asker: { answer: () => {} }, xid: 1 };
    const messages = Array.from({ length: 3000 }, () => ({ bytes: flowMod(), request }));
    expect(control.transaction(messages, () => {})).toBe(true);
    expect(control.transaction(messages, () => {})).toBe(false);
    control.attach(cell);
    expect(cell.messages.filter(({ type }) => type === 'transaction')).toHaveLength(2);
    expect(forward(flowMod())).toBe(true);
  });

  test('what a cell may not say is counted and goes no further', () => {
    const { control, forward, passed, counters, cell } = setUp();
    control.attach(cell);
    forward(flowMod({ xid: 5 }));
    cell.say({ type: 'error', xid: 999, error_type: 1, code: 1 });
    cell.say({ type: 'packet_in', total_len: 0, reason: 0 });
    cell.say({ type: 'hello' });
    cell.say({ type: 'multipart_reply', xid: 999, body: { type: 'flow', flows: [] } });
    cell.say({ type: 'barrier_reply', xid: messageXid(cell.sent[0]) });
    control.receive(Uint8Array.of(4, 11, 0, 12, 0, 0, 0, 0, 1, 2, 3, 4));
    expect(passed).toEqual([]);
    expect(counters.refused).toBe(6);
  });

  test('matches get the field `cell`, but not those of the default cell', () => {
    for (const [id, cellField] of [
      [7, { cell: 7 }],
      [0, {}],
    ] as const) {
      const { control, forward, passed, cell } = setUp(id);
      control.attach(cell);
      forward(encode({ type: 'multipart_request', xid: 77, body: { type: 'flow' } }));
      const flows = [{ match: { eth_type: 0x0806 } }];
      cell.say({
        type: 'multipart_reply',
        xid: messageXid(cell.sent[0]),
        flags: 1,
        body: { type: 'flow', flows },
      });
      cell.say({ type: 'multipart_reply', xid: messageXid(cell.sent[0]), body: { type: 'flow', flows: [] } });
      cell.say({ type: 'multipart_reply', xid: messageXid(cell.sent[0]), body: { type: 'flow', flows: [] } });
      cell.say({ type: 'flow_removed', xid: 4, reason: 0, match: { eth_type: 0x0806, cell: 3 } });
      expect(passed).toMatchObject([
        { xid: 77, body: { flows: [{ match: { eth_type: 0x0806, ...cellField } }] } },
        { xid: 77, body: { flows: [] } },
        { type: 'flow_removed', xid: 0, match: { eth_type: 0x0806 } },
      ]);
      expect(passed).toHaveLength(3);
      if (id === 7) expect((passed[2] as { match: Match }).match.cell).toBe(7);
    }
  });

  test("the agent's own requests never reach the controller", () => {
    const { control, passed, cell } = setUp();
    control.attach(cell);
    const replies: unknown[] = [];
    control.request(encode({ type: 'multipart_request', body: { type: 'table' } }), (reply) =>
      replies.push(reply),
    );
    cell.say({ type: 'multipart_reply', xid: messageXid(cell.sent[0]), body: { type: 'table', tables: [] } });
    control.request(encode({ type: 'multipart_request', body: { type: 'table' } }), (reply) =>
      replies.push(reply),
    );
    control.ended();
    expect(replies).toMatchObject([{ type: 'multipart_reply' }, undefined]);
    expect(passed).toEqual([]);
  });

  test('messages wait for a cell that is not there yet, in order', () => {
    const { control, forward, cell } = setUp();
    forward(flowMod({ priority: 1 }));
    forward(flowMod({ priority: 2 }));
    control.attach(cell);
    forward(flowMod({ priority: 3 }));
    cell.takesMessages = false;
    forward(flowMod({ priority: 4 }));
    expect(control.waiting).toBe(true);
    cell.takesMessages = true;
    forward(flowMod({ priority: 5 }));
    control.pump();
    expect(cell.messages.map((message) => (message as FlowMod).priority)).toEqual([1, 2, 3, 4, 5]);
  });

  test('what waits is bounded', () => {
    const { control, forward, counters } = setUp();
    const one = flowMod();
    let taken = 0;
    while (forward(one)) taken++;
    expect(taken).toBeGreaterThan(1000);
    expect(taken).toBeLessThan(5000);
    expect(counters.overflow).toBe(1);
    let done = 0;
    // A barrier tells of what is before it, so it has to wait with that; barriers are bounded by themselves.
    control.barrier(() => done++);
    expect(done).toBe(0);
    for (let i = 0; done === 0 && i < 10_000; i++) control.barrier(() => done++);
    expect(done).toBe(1);
    expect(counters.overflow).toBe(2);
  });

  test('a new cell is told all that the one before knew, however much, and then its barrier', () => {
    const { control, counters, cell } = setUp();
    const known = Array.from({ length: 10_000 }, (_, i) => flowMod({ priority: i }));
    cell.takesMessages = false;
    control.attach(cell);
    let done = false;
    control.restore(known, () => {
      done = true;
    });
    cell.takesMessages = true;
    control.pump();
    const added = cell.messages.filter(({ type }) => type === 'flow_mod');
    expect(added.map((message) => (message as FlowMod).priority)).toEqual(known.map((_, i) => i));
    expect([done, counters.overflow]).toEqual([false, 0]);
    cell.answerBarriers();
    expect(done).toBe(true);
  });

  test('after a barrier nothing before it can be answered any more', () => {
    const { control, forward, passed, cell } = setUp();
    control.attach(cell);
    forward(flowMod({ xid: 5 }));
    control.barrier(() => {});
    forward(flowMod({ xid: 6 }));
    const [first, , second] = cell.sent.map(messageXid);
    cell.answerBarriers();
    cell.say({ type: 'error', xid: first, error_type: 5, code: 0 });
    cell.say({ type: 'error', xid: second, error_type: 5, code: 0 });
    expect(passed).toMatchObject([{ xid: 6 }]);
  });
});

describe('barriers across cells', () => {
  test('answered when the last cell has answered; untouched cells are not asked', () => {
    const [a, b, c] = [setUp(1), setUp(2), setUp(3)];
    for (const { control, cell } of [a, b, c]) control.attach(cell);
    const ran: unknown[] = [];
    const barriers = new Barriers((cell) => ran.push(cell));
    const records = [a, b, c].map(({ control }) => ({ control }) as never);
    let replies = 0;
    barriers.request(() => replies++);
    expect(replies).toBe(1);
    barriers.touched(records[0]);
    barriers.touched(records[1]);
    barriers.request(() => replies++);
    expect(c.cell.sent).toEqual([]);
    a.cell.answerBarriers();
    expect([replies, ran]).toEqual([1, [records[0]]]);
    b.cell.answerBarriers();
    expect(replies).toBe(2);
  });

  test('a second barrier waits for the first; a cell that ends counts as answered', () => {
    const a = setUp(1);
    a.control.attach(a.cell);
    const order: string[] = [];
    const barriers = new Barriers(() => {});
    barriers.touched({ control: a.control } as never);
    const record = { control: a.control } as never;
    barriers.touched(record);
    barriers.request(() => order.push('first'));
    barriers.request(() => order.push('second'));
    expect(order).toEqual([]);
    a.control.ended();
    expect(order).toEqual(['first', 'second']);
  });

  test('a cell that has ended since it got its last message is not waited for', () => {
    const { control, cell } = setUp(1);
    control.attach(cell);
    const barriers = new Barriers(() => {});
    barriers.touched({ control } as never);
    control.ended();
    let replies = 0;
    barriers.request(() => replies++);
    expect(replies).toBe(1);
    expect(cell.sent).toEqual([]);
  });
});

describe('the log of entries', () => {
  const record = (log: CellLog, init: Omit<MessageInitOf<'flow_mod'>, 'type'>, now = 0) => {
    const bytes = flowMod(init);
    log.record(decode(bytes) as FlowMod, bytes, now);
  };
  const replayed = (log: CellLog, now = 0) =>
    [...log.replay(now)].map((bytes) => {
      const { command, priority, table_id, cookie, hard_timeout } = decode(bytes) as FlowMod;
      return { command, priority, table_id, cookie, hard_timeout };
    });
  const ip = (dst: string): Match => ({ eth_type: 0x0800, ipv4_dst: dst, cell: 4 });

  test('an ADD replaces one with the same table, priority and match', () => {
    const log = new CellLog();
    record(log, { priority: 1, match: ip('10.0.0.1'), cookie: 1n });
    record(log, { priority: 2, match: ip('10.0.0.1'), cookie: 2n });
    record(log, { priority: 1, match: ip('10.0.0.1'), cookie: 3n });
    record(log, { table_id: 1, priority: 1, match: ip('10.0.0.1'), cookie: 4n });
    expect(replayed(log).map(({ cookie }) => cookie)).toEqual([2n, 3n, 4n]);
  });

  test('deletions take entries out: strict, within a match, by table', () => {
    const log = new CellLog();
    record(log, { priority: 1, match: ip('10.0.0.1') });
    record(log, { priority: 2, match: ip('10.0.0.2') });
    record(log, { priority: 3, match: { eth_type: 0x0806 } });
    record(log, { priority: 4, table_id: 2, match: ip('10.0.0.3') });
    record(log, { command: FlowModCommand.DELETE_STRICT, priority: 1, match: ip('10.0.0.1') });
    expect(log.size).toBe(3);
    record(log, { command: FlowModCommand.DELETE, table_id: 0, match: { eth_type: 0x0800 } });
    expect(replayed(log).map(({ priority }) => priority)).toEqual([3, 4]);
    record(log, { command: FlowModCommand.DELETE, table_id: 0xff, match: {} });
    expect(log.size).toBe(0);
  });

  test('what cannot be folded stays in its place', () => {
    const log = new CellLog();
    record(log, { priority: 1, match: ip('10.0.0.1') });
    record(log, { command: FlowModCommand.MODIFY, match: ip('10.0.0.1') });
    record(log, { command: FlowModCommand.DELETE, out_port: 3, match: {} });
    record(log, { priority: 2, match: ip('10.0.0.2') });
    expect(replayed(log).map(({ command }) => command)).toEqual([0, 1, 3, 0]);
  });

  test('a modify of OpenFlow 1.0 is kept as what it was in the cell: an add, or a modify', () => {
    const log = new CellLog();
    const [flags, MODIFY] = [FLOW_MOD_UPSERT | 1, FlowModCommand.MODIFY];
    const STRICT = FlowModCommand.MODIFY_STRICT;
    const seen = () => [...log.replay(0)].map((bytes) => decode(bytes) as FlowMod);
    record(log, { command: STRICT, flags, priority: 1, match: ip('10.0.0.1') });
    record(log, { command: MODIFY, flags, priority: 2, match: ip('10.0.0.2') });
    expect(seen()).toMatchObject([0, 0].map((command) => ({ command, flags: 1 })));
    record(log, { command: MODIFY, flags, match: { eth_type: 0x0800 } });
    record(log, { command: STRICT, flags, priority: 1, match: ip('10.0.0.1') });
    expect(seen()).toMatchObject([0, 0, MODIFY, STRICT].map((command) => ({ command, flags: 1 })));
    // Deleted, and not added again when the log is played.
    record(log, { command: FlowModCommand.DELETE, match: {} });
    expect(seen()).toMatchObject([MODIFY, STRICT].map((command) => ({ command, flags: 1 })));
  });

  test('entries that ran out do not come back; hard timeouts go on from where they were', () => {
    const log = new CellLog();
    record(log, { priority: 1, hard_timeout: 10, match: ip('10.0.0.1') }, 0);
    record(log, { priority: 2, hard_timeout: 100, match: ip('10.0.0.1') }, 0);
    record(log, { priority: 3, idle_timeout: 5, match: ip('10.0.0.3') }, 0);
    expect(replayed(log, 30_000)).toMatchObject([{ priority: 2, hard_timeout: 70 }, { priority: 3 }]);
    log.removed(0, 3, { eth_type: 0x0800, ipv4_dst: '10.0.0.3' });
    expect(replayed(log, 30_000)).toMatchObject([{ priority: 2 }]);
  });

  test('a full log says that it is not complete', () => {
    const log = new CellLog(2);
    for (let priority = 0; priority < 3; priority++) record(log, { priority });
    expect([log.size, log.complete]).toEqual([2, false]);
  });

  describe('groups and meters', () => {
    const note = (log: CellLog, message: MessageInit) => {
      const bytes = encode(message);
      return log.record(decode(bytes) as Logged, bytes, 0);
    };
    const group = (command: number, group_id: number, to?: number, group_type = 0): MessageInit => {
      const actions = to === undefined ? [] : [{ type: 'group' as const, group_id: to }];
      return {
        type: 'group_mod',
        command,
        group_id,
        group_type,
        buckets: command === 2 ? [] : [{ actions }],
      };
    };
    const meter = (command: number, meter_id: number, rate = 1): MessageInit => {
      return { type: 'meter_mod', command, meter_id, flags: 1, bands: [{ type: 'drop', rate }] };
    };
    const story = (log: CellLog) =>
      [...log.replay(0)].map((bytes) => {
        const message = decode(bytes);
        if (message.type === 'group_mod')
          return `${['add', 'modify'][message.command]} group ${message.group_id}`;
        if (message.type === 'meter_mod')
          return `${['add', 'modify'][message.command]} meter ${message.meter_id}`;
        return message.type;
      });
    const entry = (priority: number, more: Partial<MessageInitOf<'flow_mod'>>): MessageInit => {
      return { type: 'flow_mod', priority, ...more };
    };
    const toGroup = (group_id: number): MessageInitOf<'flow_mod'>['instructions'] => [
      { type: 'write_actions', actions: [{ type: 'group', group_id }] },
    ];

    test('come back before the entries, as they were last', () => {
      const log = new CellLog();
      note(log, entry(1, { instructions: toGroup(1) }));
      note(log, group(0, 1));
      note(log, meter(0, 7, 100));
      note(log, meter(1, 7, 200));
      note(log, group(0, 2));
      note(log, group(2, 2));
      expect(story(log)).toEqual(['add meter 7', 'add group 1', 'flow_mod']);
      expect(decode([...log.replay(0)][0])).toMatchObject({ command: 0, bands: [{ rate: 200 }] });
    });

    test('groups that lead to groups: all are there before any leads anywhere', () => {
      const log = new CellLog();
      note(log, group(0, 1, undefined, 2));
      note(log, group(0, 2));
      note(log, group(1, 1, 2, 2));
      expect(story(log)).toEqual(['add group 1', 'add group 2', 'modify group 1']);
      const [placeholder, , modified] = [...log.replay(0)].map((bytes) => decode(bytes));
      expect(placeholder).toMatchObject({ group_type: 2, buckets: [{ actions: [] }] });
      expect(modified).toMatchObject({ buckets: [{ actions: [{ type: 'group', group_id: 2 }] }] });
    });

    test('with a group or a meter go the entries that need it', () => {
      const log = new CellLog();
      for (const id of [1, 2]) note(log, group(0, id));
      note(log, meter(0, 5));
      note(log, entry(1, { instructions: toGroup(1) }));
      note(log, entry(2, { instructions: toGroup(2) }));
      note(log, entry(3, { instructions: [{ type: 'meter', meter_id: 5 }] }));
      note(log, entry(4, {}));
      note(log, group(2, 1));
      expect(log.size).toBe(3);
      note(log, group(2, 0xfffffffc));
      note(log, meter(2, 0xffffffff));
      expect(story(log)).toEqual(['flow_mod']);
    });

    test('what the cell refused is taken back', () => {
      const log = new CellLog();
      const before = () => [...log.replay(0)].map((bytes) => Buffer.from(bytes).toString('hex'));
      note(log, group(0, 1));
      note(log, entry(1, { cookie: 1n, instructions: toGroup(1) }));
      const were = before();
      for (const message of [
        group(0, 1, 9),
        group(1, 1, 9),
        group(0, 3),
        group(1, 4),
        group(2, 1),
        meter(0, 1),
        entry(1, { cookie: 2n }),
        entry(2, {}),
        entry(1, { command: 1 }),
        entry(1, { command: 3, table_id: 0xff }),
        entry(1, { command: 4 }),
      ]) {
        note(log, message)();
        expect(before()).toEqual(were);
      }
    });

    test('are bounded', () => {
      const log = new CellLog();
      for (let id = 0; id < 4096; id++) note(log, meter(0, id + 1));
      expect(log.complete).toBe(true);
      note(log, meter(1, 1, 9));
      expect(log.complete).toBe(true);
      note(log, meter(0, 5000));
      expect([log.objects.size, log.complete]).toEqual([4096, false]);
    });
  });
});
