import { describe, expect, test } from 'vitest';
import { CellControl } from '../../agent/cell-control.ts';
import { CellLog, type FlowMod } from '../../agent/cell-log.ts';
import { Barriers } from '../../agent/channel/barriers.ts';
import {
  decode,
  encode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  type Match,
  type Message,
  type MessageInitOf,
  messageXid,
} from '../../openflow/index.ts';
import { FakeHost, image } from '../support/agent-world.ts';

const flowMod = (init: Omit<MessageInitOf<'flow_mod'>, 'type'> = {}): Uint8Array =>
  encode({ type: 'flow_mod', ...init });
const DEFAULTS = { memoryMiB: 16, runMs: 50 };

const setUp = (id = 7) => {
  const passed: Message[] = [];
  const counters = { sent: 0, passed: 0, refused: 0, overflow: 0 };
  const control = new CellControl(id, counters, (reply) => passed.push(reply));
  const host = new FakeHost();
  host.events = { message: (_cell: unknown, bytes: Uint8Array) => control.receive(bytes) } as never;
  let cell = host.last;
  host.open(id, image('openflow'), DEFAULTS, (_error, handle) => {
    cell = handle as typeof cell;
  });
  return { control, counters, passed, cell };
};

describe('the conversation with a cell', () => {
  test("the cell sees numbers of the agent's own; an error comes back with the controller's", () => {
    const { control, passed, cell } = setUp();
    control.attach(cell);
    const message = flowMod({ xid: 0xabcdef01, priority: 3 });
    expect(control.forward(message)).toBe(true);
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

  test('what one connection asked is not answered to the next', () => {
    const { control, passed, cell } = setUp();
    control.attach(cell);
    control.forward(flowMod({ xid: 5 }));
    control.forward(encode({ type: 'multipart_request', xid: 6, body: { type: 'flow' } }));
    control.disown();
    control.forward(flowMod({ xid: 5 }));
    const [first, second, third] = cell.sent.map(messageXid);
    cell.say({ type: 'error', xid: first, error_type: 5, code: 1 });
    cell.say({ type: 'multipart_reply', xid: second, body: { type: 'flow', flows: [] } });
    expect(passed).toEqual([]);
    cell.say({ type: 'error', xid: third, error_type: 5, code: 2 });
    expect(passed).toMatchObject([{ type: 'error', xid: 5, code: 2 }]);
  });

  test('what a cell may not say is counted and goes no further', () => {
    const { control, passed, counters, cell } = setUp();
    control.attach(cell);
    control.forward(flowMod({ xid: 5 }));
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
      const { control, passed, cell } = setUp(id);
      control.attach(cell);
      control.forward(encode({ type: 'multipart_request', xid: 77, body: { type: 'flow' } }));
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
    const { control, cell } = setUp();
    control.forward(flowMod({ priority: 1 }));
    control.forward(flowMod({ priority: 2 }));
    control.attach(cell);
    control.forward(flowMod({ priority: 3 }));
    cell.takesMessages = false;
    control.forward(flowMod({ priority: 4 }));
    expect(control.waiting).toBe(true);
    cell.takesMessages = true;
    control.forward(flowMod({ priority: 5 }));
    control.pump();
    expect(cell.messages.map((message) => (message as FlowMod).priority)).toEqual([1, 2, 3, 4, 5]);
  });

  test('what waits is bounded', () => {
    const { control, counters } = setUp();
    const one = flowMod();
    let taken = 0;
    while (control.forward(one)) taken++;
    expect(taken).toBeGreaterThan(1000);
    expect(taken).toBeLessThan(5000);
    expect(counters.overflow).toBe(1);
    let done = 0;
    control.barrier(() => done++);
    expect(done).toBe(1);
  });

  test('after a barrier nothing before it can be answered any more', () => {
    const { control, passed, cell } = setUp();
    control.attach(cell);
    control.forward(flowMod({ xid: 5 }));
    control.barrier(() => {});
    control.forward(flowMod({ xid: 6 }));
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
});
