import { describe, expect, test, vi } from 'vitest';
import { ONF_EXPERIMENTER } from '../../agent/channel/onf.ts';
import { PortError } from '../../agent/ports/socket.ts';
import {
  ControllerRole,
  decode,
  encode,
  FlowModCommand,
  type MessageInit,
  type MessageOf,
  messageXid,
} from '../../openflow/index.ts';
import { BundleCtrlType } from '../../openflow/v14/constants.ts';
import { Channel, type FakeController } from '../support/agent-channel.ts';

const { EQUAL, MASTER, SLAVE, NOCHANGE } = ControllerRole;
const role = (role: number, generation_id = 0n): MessageInit => ({
  type: 'role_request',
  role,
  generation_id,
});
const flowRemoved: MessageInit = { type: 'flow_removed', reason: 0, priority: 5, match: {} };
const packetIn = { cell: 0, inPort: 1, reason: 1, tableId: 0, cookie: 0n, metadata: 0n };
const data = new Uint8Array(60);
const sendPacketIn = (channel: Channel, reason = 1) =>
  channel.sessions.packetIn({ ...packetIn, reason, data, totalLength: data.length } as never);
const changePort = (channel: Channel) => channel.sessions.portChanged(channel.world.ports[0], 'modify');
const errorOf = (controller: FakeController) => controller.received.at(-1) as MessageOf<'error'>;

describe('a barrier for one cell', () => {
  const inCell = (cell: number, xid: number): MessageInit => ({
    type: 'cell_message',
    cell,
    message: encode({ type: 'barrier_request', xid }),
  });

  test('waits for no other cell, and a barrier for all waits for it', () => {
    const channel = new Channel();
    const controller = channel.connect();
    const { world } = channel;
    for (const in_port of [1, 2]) world.flows.add(world.rule({ match: { in_port } }));
    const [one, other] = world.host.cells.slice(-2);
    for (const { id } of [one, other]) controller.say({ type: 'flow_mod', match: { cell: id } });
    controller.say(inCell(one.id, 61));
    controller.say(inCell(other.id, 62));
    expect(world.cells.get(one.id)?.phase).toBe('primed');
    one.answerBarriers();
    expect(controller.received.at(-1)).toMatchObject({ type: 'barrier_reply', xid: 61 });
    expect(world.cells.get(one.id)?.phase).toBe('running');
    controller.say({ type: 'barrier_request', xid: 63 });
    expect(controller.received.at(-1)).toMatchObject({ xid: 61 });
    other.answerBarriers();
    expect(controller.received.slice(-2)).toMatchObject([{ xid: 62 }, { xid: 63 }]);
  });
});

describe('roles', () => {
  test('one master at most; the generation is common to all and only goes forward', () => {
    const channel = new Channel();
    const [a, b, c] = [channel.connect(), channel.connect(), channel.connect()];
    a.say(role(NOCHANGE));
    expect(a.received.at(-1)).toMatchObject({ role: EQUAL, generation_id: 0xffffffffffffffffn });
    a.say(role(MASTER, 5n));
    expect(a.received.at(-1)).toMatchObject({ type: 'role_reply', role: MASTER, generation_id: 5n });
    b.say(role(MASTER, 6n));
    expect([a, b, c].map(({ session }) => session.role.current)).toEqual([SLAVE, MASTER, EQUAL]);
    a.say(role(MASTER, 5n));
    expect(a.heard().at(-1)).toBe('ROLE_REQUEST_FAILED/STALE');
    c.say(role(SLAVE, 4n));
    expect(c.heard()).toEqual(['ROLE_REQUEST_FAILED/STALE']);
    // An equal needs no generation.
    a.say(role(EQUAL, 0n));
    expect(a.received.at(-1)).toMatchObject({ role: EQUAL, generation_id: 6n });
    b.say(role(7));
    expect(b.heard().at(-1)).toBe('ROLE_REQUEST_FAILED/BAD_ROLE');
    // Around the end of 64 bits.
    a.say(role(MASTER, 0x8000000000000000n));
    a.say(role(MASTER, 0xffffffffffffffffn));
    a.say(role(MASTER, 1n));
    expect(a.heard().slice(-3)).toEqual(['role_reply', 'role_reply', 'role_reply']);
  });

  test('the generation outlives connections, roles do not', () => {
    const channel = new Channel();
    const a = channel.connect();
    a.say(role(MASTER, 9n));
    a.leave();
    const again = channel.connect();
    again.say(role(NOCHANGE));
    expect(again.received.at(-1)).toMatchObject({ role: EQUAL, generation_id: 9n });
    again.say(role(MASTER, 8n));
    expect(again.heard().at(-1)).toBe('ROLE_REQUEST_FAILED/STALE');
  });

  test('whoever loses the mastership is told in 1.4, where there is a message for it', () => {
    const channel = new Channel();
    const [old, other, next] = [channel.connect(5), channel.connect(5), channel.connect(4)];
    old.say(role(MASTER, 1n));
    next.say(role(MASTER, 2n));
    expect(old.received.at(-1)).toMatchObject({ experimenter: ONF_EXPERIMENTER, exp_type: 1911 });
    const status = (old.received.at(-1) as MessageOf<'experimenter'>).data;
    expect([...status]).toEqual([0, 0, 0, SLAVE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect(other.heard()).toEqual([]);
    old.say(role(MASTER, 3n));
    expect(next.heard()).toEqual(['role_reply']);
  });

  test.each<[string, MessageInit]>([
    ['flow_mod', { type: 'flow_mod' }],
    ['packet_out', { type: 'packet_out', data }],
    ['group_mod', { type: 'group_mod', command: 0, group_id: 1 }],
    ['meter_mod', { type: 'meter_mod', command: 0, meter_id: 1 }],
    ['table_mod', { type: 'table_mod', table_id: 0 }],
    ['port_mod', { type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:01' }],
    ['fragments', { type: 'set_config', flags: 1 }],
    ['settings of a table', { type: 'table_config', table_id: 1, flags: 4 }],
    [
      'table features',
      {
        type: 'multipart_request',
        body: { type: 'table_features', tables: [{ table_id: 1, name: 'x', properties: [] }] },
      },
    ],
    ['dispatch_config', { type: 'dispatch_config' }],
    ['dispatch_rule', { type: 'dispatch_rule' }],
    [
      'a bundle',
      { type: 'experimenter', experimenter: ONF_EXPERIMENTER, exp_type: 2300, data: new Uint8Array(8) },
    ],
    [
      'cell_message',
      { type: 'cell_message', cell: 0, message: encode({ type: 'group_mod', command: 0, group_id: 1 }) },
    ],
  ])('a slave is refused: %s', (_what, message) => {
    const channel = new Channel();
    const slave = channel.connect();
    slave.say(role(SLAVE, 1n));
    slave.heard();
    slave.say(message);
    expect(slave.heard()).toEqual(['BAD_REQUEST/IS_SLAVE']);
    expect(channel.cell.sent).toEqual([]);
  });

  test('a slave may ask', () => {
    const channel = new Channel();
    const slave = channel.connect();
    slave.say(role(SLAVE, 1n));
    slave.say({ type: 'set_config', miss_send_len: 99 });
    slave.say({ type: 'get_config_request' });
    slave.say({ type: 'features_request' });
    slave.say({ type: 'multipart_request', body: { type: 'port_desc' } });
    slave.say({ type: 'multipart_request', body: { type: 'flow' } });
    const message = encode({ type: 'multipart_request', body: { type: 'group' } });
    slave.say({ type: 'cell_message', cell: 0, message });
    expect(slave.received[1]).toMatchObject({ type: 'get_config_reply', flags: 0, miss_send_len: 99 });
    expect(slave.heard()).toEqual(['role_reply', 'get_config_reply', 'features_reply', 'multipart_reply']);
    expect(channel.cell.messages.map(({ type }) => type)).toEqual(['multipart_request', 'multipart_request']);
    channel.switch.stop();
  });
});

describe('asynchronous messages', () => {
  test('to all but slaves; port status to slaves, too', () => {
    const channel = new Channel();
    const [equal, master, slave] = [channel.connect(), channel.connect(), channel.connect()];
    master.say(role(MASTER, 1n));
    slave.say(role(SLAVE, 1n));
    for (const controller of [equal, master, slave]) controller.heard();
    sendPacketIn(channel);
    changePort(channel);
    channel.cell.say(flowRemoved);
    expect(equal.heard()).toEqual(['packet_in', 'port_status', 'flow_removed']);
    expect(master.heard()).toEqual(['packet_in', 'port_status', 'flow_removed']);
    expect(slave.heard()).toEqual(['port_status']);
  });

  test('as each controller wants it, by reason and role', () => {
    const channel = new Channel();
    const [a, b] = [channel.connect(), channel.connect()];
    const masks = {
      packet_in_mask: [1 << 1, 1 << 2] as [number, number],
      port_status_mask: [0, 1 << 2] as [number, number],
      flow_removed_mask: [1 << 1, 0] as [number, number],
    };
    a.say({ type: 'set_async', ...masks });
    a.say({ type: 'get_async_request' });
    expect(a.received.at(-1)).toMatchObject({ type: 'get_async_reply', ...masks });
    b.say({ type: 'get_async_request' });
    expect(b.received.at(-1)).toMatchObject({ packet_in_mask: [7, 0], port_status_mask: [7, 7] });
    a.heard();
    const all = () => {
      for (const reason of [0, 1, 2]) sendPacketIn(channel, reason);
      changePort(channel);
      channel.cell.say(flowRemoved);
      return a.received.splice(0).map((message) => [message.type, 'reason' in message && message.reason]);
    };
    expect(all()).toEqual([['packet_in', 1]]);
    a.say(role(SLAVE, 1n));
    a.heard();
    expect(all()).toEqual([
      ['packet_in', 2],
      ['port_status', 2],
    ]);
  });
});

describe('requests', () => {
  test('each controller gets its own answers; one that has left gets none', () => {
    const channel = new Channel();
    const [a, b] = [channel.connect(), channel.connect()];
    for (const controller of [a, b]) {
      controller.say({ type: 'multipart_request', xid: 77, body: { type: 'aggregate' } });
      controller.say({ type: 'barrier_request', xid: 78 });
    }
    const [first, , second] = channel.cell.sent.map(messageXid);
    const body = { type: 'aggregate' as const, flow_count: 3 };
    channel.cell.say({ type: 'multipart_reply', xid: second, body });
    expect(b.heard()).toEqual(['multipart_reply']);
    a.leave();
    channel.cell.say({ type: 'multipart_reply', xid: first, body });
    channel.cell.answerBarriers();
    expect(a.heard()).toEqual([]);
    expect(b.received).toMatchObject([{ type: 'barrier_reply', xid: 78 }]);
  });

  test('errors show what the controller sent in its own version', () => {
    const channel = new Channel();
    const controller = channel.connect(1);
    const original = Uint8Array.from({ length: 200 }, (_, i) => i);
    controller.say({ type: 'flow_mod', xid: 5 }, original);
    const forwarded = channel.cell.sent.at(-1)!;
    channel.cell.say({ type: 'error', xid: messageXid(forwarded), error_type: 5, code: 1, data: forwarded });
    expect(errorOf(controller)).toMatchObject({ xid: 5, error_type: 5, data: original.subarray(0, 128) });
    controller.say({ type: 'flow_mod', match: { cell: 9 } }, original);
    expect(errorOf(controller).data).toEqual(original.subarray(0, 128));
  });

  test('a deletion goes to its cell whatever its buffer_id: it means nothing there', () => {
    const channel = new Channel();
    const controller = channel.connect();
    controller.say({ type: 'flow_mod', command: FlowModCommand.DELETE, buffer_id: 0 });
    expect(channel.cell.messages).toMatchObject([{ type: 'flow_mod', buffer_id: 0 }]);
  });

  test('a packet-out shows in its error what was sent, not what the cell got', () => {
    const channel = new Channel();
    const controller = channel.connect();
    const message: MessageInit = {
      type: 'packet_out',
      xid: 6,
      actions: [{ type: 'output', port: 99 }],
      data,
    };
    controller.say(message);
    const xid = messageXid(channel.cell.sent.at(-1)!);
    channel.cell.say({ type: 'error', xid, error_type: 2, code: 4 });
    expect(errorOf(controller)).toMatchObject({ xid: 6, data: encode(message) });
  });

  test('a multipart request in parts is refused once, and its last part is no request', () => {
    const channel = new Channel();
    const controller = channel.connect();
    const body = { type: 'table_features' as const, tables: [] };
    controller.say({ type: 'multipart_request', xid: 3, flags: 1, body });
    controller.say({ type: 'multipart_request', xid: 3, flags: 1, body });
    controller.say({ type: 'multipart_request', xid: 3, flags: 0, body });
    expect(controller.heard()).toEqual(['BAD_REQUEST/MULTIPART_BUFFER_OVERFLOW']);
    expect(channel.cell.sent).toEqual([]);
    controller.say({ type: 'multipart_request', xid: 3, flags: 0, body });
    expect(channel.cell.messages).toMatchObject([{ type: 'multipart_request' }]);
  });

  test('whoever sends more than a cell takes in is read again when it has; a cell that is stuck holds up nobody', () => {
    const channel = new Channel();
    const [controller, other] = [channel.connect(), channel.connect()];
    const { pace } = channel.switch;
    const push = (count: number) => {
      for (let i = 0; i < count; i++) controller.say({ type: 'flow_mod', priority: i });
    };
    channel.cell.takesMessages = false;
    push(1000);
    expect(controller.reading).toBe(true);
    push(100);
    expect([controller.reading, other.reading]).toEqual([false, true]);
    pace.turn();
    expect(controller.reading).toBe(false);
    channel.cell.takesMessages = true;
    pace.turn();
    expect(controller.reading).toBe(true);
    expect(channel.cell.sent).toHaveLength(1100 + Math.floor(1100 / 256));
    channel.cell.takesMessages = false;
    push(1100);
    expect(controller.reading).toBe(false);
    channel.world.clock.now += 1000;
    pace.turn();
    push(1);
    expect(controller.reading).toBe(true);
    expect(pace.counters).toEqual({ paused: 2, givenUp: 1 });
    expect(controller.heard()).toEqual([]);
  });

  test('a cell that takes in nothing: the error fits the request, and what was noted of it is taken back', () => {
    const channel = new Channel();
    const controller = channel.connect();
    channel.cell.takesMessages = false;
    for (let i = 0; controller.received.length === 0 && i < 5000; i++) {
      controller.say({ type: 'flow_mod', priority: i });
    }
    const { log } = channel.world.cells.get(0)!;
    const { size } = log;
    controller.say({ type: 'flow_mod', priority: 9999 });
    controller.say({ type: 'group_mod', command: 0, group_id: 1 });
    controller.say({ type: 'multipart_request', body: { type: 'group_desc' } });
    expect(controller.heard()).toEqual([
      'FLOW_MOD_FAILED/UNKNOWN',
      'FLOW_MOD_FAILED/UNKNOWN',
      'BAD_REQUEST/EPERM',
      'BAD_REQUEST/EPERM',
    ]);
    expect([log.size, log.objects.size]).toEqual([size, 0]);
  });

  test('fragments: dropped or not, never reassembled', () => {
    const channel = new Channel();
    const controller = channel.connect();
    for (const flags of [2, 3, 4]) controller.say({ type: 'set_config', flags });
    expect(controller.heard()).toEqual(Array(3).fill('SWITCH_CONFIG_FAILED/BAD_FLAGS'));
    controller.say({ type: 'set_config', flags: 1, miss_send_len: 50 });
    expect(channel.world.dispatcher.dropFragments).toBe(true);
    controller.say({ type: 'get_config_request' });
    expect(controller.received).toMatchObject([{ flags: 1, miss_send_len: 50 }]);
  });

  test.each<[string, MessageInit, string]>([
    [
      'another experimenter',
      { type: 'experimenter', experimenter: 1, exp_type: 2 },
      'BAD_REQUEST/BAD_EXPERIMENTER',
    ],
    [
      'another message of the ONF',
      { type: 'experimenter', experimenter: ONF_EXPERIMENTER, exp_type: 9 },
      'BAD_REQUEST/BAD_EXP_TYPE',
    ],
    ['what is between agent and cell', { type: 'table_config', table_id: 0 }, 'BAD_REQUEST/BAD_EXP_TYPE'],
    ['a transaction', { type: 'transaction', phase: 0 }, 'BAD_REQUEST/BAD_EXP_TYPE'],
    ['what devices send', { type: 'barrier_reply' }, 'BAD_REQUEST/BAD_TYPE'],
    [
      'a cell_message for no cell',
      { type: 'cell_message', cell: 9, message: encode({ type: 'group_mod', command: 0, group_id: 1 }) },
      'BAD_MATCH/BAD_VALUE',
    ],
    [
      'a cell_message with what has a match',
      { type: 'cell_message', cell: 0, message: encode({ type: 'flow_mod' }) },
      'BAD_REQUEST/BAD_TYPE',
    ],
    [
      'a cell_message with something cut off',
      {
        type: 'cell_message',
        cell: 0,
        message: encode({ type: 'group_mod', command: 0, group_id: 1 }).subarray(1),
      },
      'BAD_REQUEST/BAD_LEN',
    ],
  ])('refused: %s', (_what, message, error) => {
    const controller = new Channel().connect();
    controller.say(message);
    expect(controller.heard()).toEqual([error]);
  });
});

describe('questions about flows', () => {
  const frame = () => Uint8Array.from({ length: 64 }, (_, i) => (i < 12 ? i : 0));
  const query = (controller: FakeController) =>
    controller.received.find(({ type }) => type === 'dispatch_query') as
      | MessageOf<'dispatch_query'>
      | undefined;

  test('go to one controller, the master first; when it is gone, to another', () => {
    const channel = new Channel();
    const [plain, a, b, c] = [1, 2, 3, 4].map(() => channel.connect());
    for (const controller of [a, b, c]) controller.say({ type: 'dispatch_config' });
    b.say(role(MASTER, 1n));
    channel.world.receive(frame());
    const asked = () => [plain, a, b, c].map((controller) => query(controller) !== undefined);
    expect(asked()).toEqual([false, false, true, false]);
    const { query_id } = query(b)!;
    b.leave();
    expect(asked()).toEqual([false, true, true, false]);
    expect(query(a)!.query_id).toBe(query_id);
    // A slave's answer would be refused.
    a.say(role(SLAVE, 2n));
    expect(asked()).toEqual([false, true, true, true]);
    c.say({ type: 'dispatch_rule', query_id, cells: [{}] });
    expect(c.heard().at(-1)).toBe('cell_status');
    expect(a.heard()).not.toContain('cell_status');
    expect(plain.heard()).toEqual([]);
  });

  test('wait while there is nobody to ask, and are asked of a slave once it is more', () => {
    const channel = new Channel();
    const a = channel.connect();
    a.say({ type: 'dispatch_config' });
    a.say(role(SLAVE, 1n));
    channel.world.receive(frame());
    expect(query(a)).toBeUndefined();
    expect(channel.sessions.counters.queriesUnsent).toBe(1);
    a.say(role(MASTER, 1n));
    expect(query(a)).toBeDefined();
  });

  test('when the last that decides has left, the others have an ordinary switch', () => {
    vi.useFakeTimers();
    try {
      const channel = new Channel();
      const [plain, flowcell] = [channel.connect(), channel.connect()];
      plain.say({ type: 'features_request' });
      flowcell.say({ type: 'dispatch_config' });
      vi.runAllTimers();
      expect(channel.extension.asksController).toBe(true);
      flowcell.leave();
      expect(channel.extension.asksController).toBe(true);
      vi.runAllTimers();
      expect(channel.extension.asksController).toBe(false);
      channel.switch.stop();
    } finally {
      vi.useRealTimers();
    }
  });

  test('SYNC reports to the controller that asked for it', () => {
    const channel = new Channel();
    const [a, b] = [channel.connect(), channel.connect()];
    for (const controller of [a, b]) controller.say({ type: 'dispatch_config' });
    a.say({ type: 'dispatch_rule', match: { eth_type: 0x0806 }, cells: [{}] });
    expect([a.heard(), b.heard()]).toEqual([
      ['dispatch_config', 'cell_status'],
      ['dispatch_config', 'cell_status'],
    ]);
    b.say({ type: 'dispatch_config', flags: 1 });
    expect([a.heard(), b.heard()]).toEqual([[], ['cell_status', 'dispatch_config']]);
  });
});

describe('a controller of OpenFlow 1.0', () => {
  test('packets that match nothing go to it as long as it is there, also from a new default cell', () => {
    const channel = new Channel();
    const told = (cell = channel.cell) =>
      cell.messages.flatMap((message) =>
        message.type === 'table_config' ? [[message.table_id, message.flags]] : [],
      );
    channel.connect(4);
    expect(told()).toEqual([]);
    const [a, b] = [channel.connect(1), channel.connect(1)];
    b.leave();
    expect(told()).toEqual([[0, 1]]);
    channel.cell.end('host-died');
    channel.world.clock.now += 1000;
    channel.world.flows.sweep();
    const fresh = channel.world.host.last;
    expect(fresh).not.toBe(channel.cell);
    expect(told(fresh)).toEqual([[0, 1]]);
    a.leave();
    expect(told(fresh).at(-1)).toEqual([0, 0]);
  });

  test('such packets are for it only, and whole', () => {
    const channel = new Channel();
    const [now, then] = [channel.connect(4), channel.connect(1)];
    then.say({ type: 'set_config', miss_send_len: 20 });
    const send = (cookie: bigint) =>
      channel.sessions.packetIn({ ...packetIn, reason: 0, cookie, data, totalLength: data.length } as never);
    const lengths = () =>
      [now, then].map(({ received }) =>
        received.splice(0).map((message) => message.type === 'packet_in' && message.data.length),
      );
    send(0xffffffffffffffffn);
    expect(lengths()).toEqual([[], [60]]);
    // A table-miss entry is a matter of whoever made it.
    send(0n);
    expect(lengths()).toEqual([[60], [60]]);
  });
});

describe('a controller of OpenFlow 1.4', () => {
  const settings = (channel: Channel) =>
    channel.cell.messages.flatMap((message) =>
      message.type === 'table_config' ? [[message.table_id, message.flags, message.eviction_flags]] : [],
    );

  test('sets tables; what OpenFlow 1.0 needs of the first one stays', () => {
    const channel = new Channel();
    const controller = channel.connect(5);
    const old = channel.connect(1);
    controller.say({ type: 'table_config', table_id: 3, flags: 4, eviction_flags: 1 });
    controller.say({ type: 'table_config', table_id: 255, flags: 4, eviction_flags: 2 });
    expect(settings(channel)).toEqual([
      [0, 1, 0],
      [3, 4, 1],
      [255, 4, 2],
      [0, 5, 2],
    ]);
    old.leave();
    expect(settings(channel).at(-1)).toEqual([0, 4, 2]);
    const logged = [...channel.world.cells.get(0)!.log.replay(0)].map((bytes) => decode(bytes));
    expect(logged).toMatchObject([
      { table_id: 255, flags: 4 },
      { table_id: 0, flags: 4 },
    ]);
  });

  test('asks how tables are set, as a slave too: an answer for each, and the barrier tells the last', () => {
    const channel = new Channel();
    const [controller, other] = [channel.connect(5), channel.connect(4)];
    controller.say(role(SLAVE, 1n));
    controller.received.length = 0;
    controller.say({ type: 'table_config', xid: 9, table_id: 255, flags: 128 });
    controller.say({ type: 'barrier_request', xid: 9 });
    const [xid] = channel.cell.sent.map(messageXid);
    for (const table_id of [0, 1]) channel.cell.say({ type: 'table_config', xid, table_id, flags: 4 });
    channel.cell.answerBarriers();
    channel.cell.say({ type: 'table_config', xid, table_id: 2 });
    expect(controller.received.map(({ type, xid }) => [type, xid])).toEqual([
      ['table_config', 9],
      ['table_config', 9],
      ['barrier_reply', 9],
    ]);
    expect([...channel.world.cells.get(0)!.log.replay(0)]).toEqual([]);
    expect(other.heard()).toEqual([]);
  });

  test('hears of the vacancy of tables, and of evicted entries', () => {
    const channel = new Channel();
    const [later, now] = [channel.connect(5), channel.connect(4)];
    channel.cell.say({ type: 'table_status', table_id: 1, reason: 3 });
    channel.cell.say({ type: 'flow_removed', reason: 5, match: {} });
    expect(later.heard()).toEqual(['table_status', 'flow_removed']);
    expect(now.heard()).toEqual([]);
  });
});

describe('bundles', () => {
  const add = (priority: number): MessageInit => ({ type: 'flow_mod', priority });
  const portMod = (more = {}): MessageInit => {
    return { type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:01', config: 32, mask: 32, ...more };
  };
  const types = (channel: Channel) => channel.cell.messages.map(({ type }) => type);
  const setUp = () => {
    const channel = new Channel();
    return { channel, controller: channel.connect() };
  };

  test('a commit is one transaction of the cell, then ports change; the answer comes when all is done', () => {
    const { channel, controller } = setUp();
    controller.bundle(BundleCtrlType.OPEN_REQUEST);
    controller.add([add(1), { type: 'group_mod', command: 0, group_id: 3 }, portMod()]);
    controller.bundle(BundleCtrlType.CLOSE_REQUEST);
    expect(controller.heard()).toEqual(['experimenter', 'experimenter']);
    expect(channel.cell.sent).toEqual([]);
    controller.bundle(BundleCtrlType.COMMIT_REQUEST);
    expect(types(channel)).toEqual([
      'transaction',
      'flow_mod',
      'group_mod',
      'transaction',
      'barrier_request',
    ]);
    expect(controller.heard()).toEqual([]);
    expect(channel.world.ports[0].config).toBe(0);
    channel.cell.answerBarriers();
    expect(channel.world.ports[0].config).toBe(32);
    const [, reply] = controller.received as MessageOf<'experimenter'>[];
    expect([...reply.data]).toEqual([0, 0, 0, 1, 0, BundleCtrlType.COMMIT_REPLY, 0, 3]);
    expect(controller.heard()).toEqual(['port_status', 'experimenter']);
    const { log } = channel.world.cells.get(0)!;
    expect([log.size, log.objects.size]).toEqual([1, 1]);
    expect(channel.switch.bundles.counters).toEqual({ committed: 1, failed: 0 });
  });

  test('one message refused: its error, then that of the commit; nothing is changed', () => {
    const { channel, controller } = setUp();
    controller.commit(add(1), add(2), portMod());
    controller.heard();
    const [, , second, commit] = channel.cell.sent.map(messageXid);
    channel.cell.say({ type: 'error', xid: second, error_type: 5, code: 1, data: channel.cell.sent[2] });
    channel.cell.say({ type: 'error', xid: commit, error_type: 1, code: 5 });
    channel.cell.answerBarriers();
    expect(controller.received).toMatchObject([
      { type: 'error', xid: 1001, error_type: 5, code: 1, data: encode({ ...add(2), xid: 1001 }) },
      { type: 'error', error_type: 0xffff, code: 2313 },
    ]);
    // The experimenter comes before the bytes of the commit.
    expect([...errorOf(controller).data.subarray(0, 6)]).toEqual([0x4f, 0x4e, 0x46, 0x00, 4, 4]);
    expect(channel.world.ports[0].config).toBe(0);
    expect(channel.world.cells.get(0)!.log.size).toBe(0);
    controller.heard();
    controller.bundle(BundleCtrlType.COMMIT_REQUEST);
    expect(controller.heard()).toEqual(['EXPERIMENTER/2302']);
  });

  test('a port that cannot be changed: the cell hears nothing of it', () => {
    const { channel, controller } = setUp();
    controller.commit(add(1), portMod({ port_no: 77 }));
    expect(controller.heard()).toEqual(['experimenter', 'PORT_MOD_FAILED/BAD_PORT', 'EXPERIMENTER/2313']);
    expect(channel.cell.sent).toEqual([]);
  });

  test('a port that the system will not change: said so, after the cell has committed', () => {
    const { channel, controller } = setUp();
    controller.commit(add(1), portMod());
    channel.world.ports[0].refuses = new PortError('FC_PORT_OPEN', 'the system says no');
    channel.cell.answerBarriers();
    expect(controller.heard()).toEqual(['experimenter', 'PORT_MOD_FAILED/EPERM', 'EXPERIMENTER/2313']);
    expect(channel.world.cells.get(0)!.log.size).toBe(1);
  });

  test('cells are told of the ports that a group watches before the group comes', () => {
    const { channel, controller } = setUp();
    const group: MessageInit = {
      type: 'group_mod',
      command: 0,
      group_type: 3,
      group_id: 3,
      buckets: [{ watch_port: 2 }],
    };
    controller.commit(group);
    expect(types(channel).slice(0, 3)).toEqual(['port_status', 'transaction', 'group_mod']);
    controller.say({ ...group, group_id: 4, buckets: [{ watch_port: 3 }] } as MessageInit);
    expect(types(channel).slice(-2)).toEqual(['port_status', 'group_mod']);
  });

  test('discarded, or its controller gone: nothing happens', () => {
    const { channel, controller } = setUp();
    controller.bundle(BundleCtrlType.OPEN_REQUEST);
    controller.add([add(1)]);
    controller.bundle(BundleCtrlType.DISCARD_REQUEST);
    controller.bundle(BundleCtrlType.COMMIT_REQUEST);
    expect(controller.heard()).toEqual(['experimenter', 'experimenter', 'EXPERIMENTER/2302']);
    controller.bundle(BundleCtrlType.OPEN_REQUEST, 2);
    controller.leave();
    const next = channel.connect();
    next.bundle(BundleCtrlType.COMMIT_REQUEST, 2);
    expect(next.heard()).toEqual(['EXPERIMENTER/2302']);
    expect(channel.cell.sent).toEqual([]);
  });

  test('a message opens the bundle that there is not', () => {
    const { channel, controller } = setUp();
    controller.add([add(1)], 8);
    controller.bundle(BundleCtrlType.COMMIT_REQUEST, 8);
    channel.cell.answerBarriers();
    expect(controller.heard()).toEqual(['experimenter']);
  });

  test.each<[string, (controller: FakeController) => void, string]>([
    ['open twice', (c) => c.bundle(BundleCtrlType.OPEN_REQUEST), 'EXPERIMENTER/2302'],
    ['close what is not', (c) => c.bundle(BundleCtrlType.CLOSE_REQUEST, 9), 'EXPERIMENTER/2302'],
    ['discard what is not', (c) => c.bundle(BundleCtrlType.DISCARD_REQUEST, 9), 'EXPERIMENTER/2302'],
    ['flags there are not', (c) => c.bundle(BundleCtrlType.OPEN_REQUEST, 9, 4), 'EXPERIMENTER/2307'],
    ['other flags at the end', (c) => c.bundle(BundleCtrlType.COMMIT_REQUEST, 1, 1), 'EXPERIMENTER/2307'],
    ['other flags in a message', (c) => c.add([add(1)], 1, 1), 'EXPERIMENTER/2307'],
    ['no such control', (c) => c.bundle(8), 'EXPERIMENTER/2306'],
    ['a reply', (c) => c.bundle(1), 'EXPERIMENTER/2306'],
    ['what is no change', (c) => c.add([{ type: 'barrier_request' }]), 'EXPERIMENTER/2310'],
    ['a packet-out', (c) => c.add([{ type: 'packet_out' }]), 'EXPERIMENTER/2310'],
    ['two cells', (c) => c.add([add(1), { type: 'flow_mod', match: { cell: 3 } }]), 'EXPERIMENTER/2310'],
    [
      'a malformed message',
      (c) => c.add([{ type: 'experimenter', experimenter: 0xf10cce11, exp_type: 99 }]),
      'BAD_REQUEST/BAD_EXP_TYPE',
    ],
    [
      'a close after a close',
      (c) => {
        c.bundle(BundleCtrlType.CLOSE_REQUEST);
        c.heard();
        c.bundle(BundleCtrlType.CLOSE_REQUEST);
      },
      'EXPERIMENTER/2304',
    ],
    [
      'a message after the close',
      (c) => {
        c.bundle(BundleCtrlType.CLOSE_REQUEST);
        c.heard();
        c.add([add(1)]);
      },
      'EXPERIMENTER/2304',
    ],
  ])('refused: %s', (_what, run, error) => {
    const { channel, controller } = setUp();
    controller.bundle(BundleCtrlType.OPEN_REQUEST);
    controller.heard();
    run(controller);
    expect(controller.heard()).toEqual([error]);
    expect(channel.cell.sent).toEqual([]);
  });

  const onf = (exp_type: number, xid: number, ...data: number[]): MessageInit => {
    return {
      type: 'experimenter',
      xid,
      experimenter: ONF_EXPERIMENTER,
      exp_type,
      data: Uint8Array.from(data),
    };
  };
  const barrier = (length: number, xid: number) => [4, 20, 0, length, 0, 0, 0, xid];

  test.each<[string, MessageInit, string]>([
    ['control cut off', onf(2300, 1, 0, 0, 0, 1, 0, 0, 0), 'BAD_REQUEST/BAD_LEN'],
    ['addition cut off', onf(2301, 1, 0, 0, 0, 1, 0, 0, 0, 0, 4, 20), 'BAD_REQUEST/BAD_LEN'],
    [
      'inside longer than outside',
      onf(2301, 1, 0, 0, 0, 1, 0, 0, 0, 0, ...barrier(9, 1)),
      'EXPERIMENTER/2308',
    ],
    [
      'inside shorter than a header',
      onf(2301, 1, 0, 0, 0, 1, 0, 0, 0, 0, ...barrier(7, 1)),
      'EXPERIMENTER/2308',
    ],
    ['another xid inside', onf(2301, 1, 0, 0, 0, 1, 0, 0, 0, 0, ...barrier(8, 2)), 'EXPERIMENTER/2309'],
  ])('malformed: %s', (_what, message, error) => {
    const { controller } = setUp();
    controller.say(message);
    expect(controller.heard()).toEqual([error]);
  });

  test('bundles, their messages and their bytes are bounded', () => {
    const { controller } = setUp();
    for (let id = 1; id <= 17; id++) controller.bundle(BundleCtrlType.OPEN_REQUEST, id);
    expect(controller.heard().slice(-2)).toEqual(['experimenter', 'EXPERIMENTER/2305']);
    controller.add(Array.from({ length: 4001 }, () => ({ type: 'flow_mod', command: FlowModCommand.ADD })));
    expect(controller.heard()).toEqual(['EXPERIMENTER/2312']);
    const { channel: _, controller: other } = setUp();
    const action = { type: 'experimenter' as const, experimenter: 1, data: new Uint8Array(60_000) };
    const large: MessageInit = {
      type: 'flow_mod',
      instructions: [{ type: 'apply_actions', actions: [action] }],
    };
    other.add(Array.from({ length: 5 }, () => large));
    expect(other.heard()).toEqual(['EXPERIMENTER/2312']);
  });

  test('the cell ends before it has committed: nothing is changed', () => {
    const { channel, controller } = setUp();
    controller.commit(add(1), portMod());
    channel.cell.end('host-died');
    expect(controller.heard()).toEqual(['experimenter', 'EXPERIMENTER/2313']);
    expect(channel.world.ports[0].config).toBe(0);
  });
});
