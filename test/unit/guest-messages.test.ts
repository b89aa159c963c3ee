/** What a cell of the `openflow` program answers to OpenFlow messages. */
import { describe, expect, it } from 'vitest';
import {
  type ActionInit,
  BadActionCode,
  BadInstructionCode,
  BadMatchCode,
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  FlowModFailedCode,
  FlowModFlag,
  FlowRemovedReason,
  type InstructionInit,
  type Match,
  type Message,
  type MessageInitOf,
  type MessageOf,
  MeterModFailedCode,
  Port,
} from '../../openflow/index.ts';
import { ethernet, ipv4, tcp, udp } from '../../packet/index.ts';
import { RUN } from '../../sandbox/channel/layout.ts';
import { GuestHarness, slowHarness } from '../support/guest-harness.ts';

const apply = (...actions: ActionInit[]): InstructionInit[] => [{ type: 'apply_actions', actions }];
const output = (port: number): ActionInit => ({ type: 'output', port });
const udpTo = (dst: number) =>
  ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp({ dst }) }) });
const tcpFrame = ethernet({ type: 0x0800, payload: ipv4({ proto: 6, payload: tcp() }) });
const UDP: Match = { eth_type: 0x0800, ip_proto: 17 };

type FlowMod = Partial<MessageInitOf<'flow_mod'>>;
const flowMod = (init: FlowMod): MessageInitOf<'flow_mod'> => ({ type: 'flow_mod', ...init });

function flows(harness: GuestHarness, filter: object = {}) {
  const answers = harness.ask({ type: 'multipart_request', body: { type: 'flow', ...filter } });
  return answers.flatMap((answer) => {
    if (answer.type !== 'multipart_reply' || answer.body.type !== 'flow')
      throw new Error('not flow statistics');
    return answer.body.flows;
  });
}

const portsOf = (harness: GuestHarness, frame: Uint8Array) => harness.send(frame).map(({ port }) => port);

function expectError(answers: Message[], type: number, code: number): void {
  expect(answers.map((answer) => answer.type === 'error' && [answer.error_type, answer.code])).toEqual([
    [type, code],
  ]);
}

describe('FLOW_MOD add', () => {
  it('replaces an entry of the same match and priority, keeping its counters unless told otherwise', () => {
    const harness = new GuestHarness();
    harness.ask(flowMod({ match: UDP, cookie: 1n, instructions: apply(output(2)) }));
    harness.send(udpTo(5));
    const flags = FlowModFlag.SEND_FLOW_REM;
    expect(harness.ask(flowMod({ match: UDP, cookie: 2n, flags, instructions: apply(output(3)) }))).toEqual(
      [],
    );
    expect(portsOf(harness, udpTo(5))).toEqual([3]);
    expect(flows(harness)).toMatchObject([{ cookie: 2n, packet_count: 2n, byte_count: 84n }]);
    harness.ask(flowMod({ match: UDP, flags: FlowModFlag.RESET_COUNTS }));
    expect(flows(harness)).toMatchObject([{ packet_count: 0n, byte_count: 0n }]);
  });

  it('refuses overlaps when asked to', () => {
    const harness = new GuestHarness();
    harness.ask(flowMod({ match: UDP, priority: 5 }));
    const flags = FlowModFlag.CHECK_OVERLAP;
    const overlapping = { match: { in_port: 1 }, flags, instructions: apply(output(9)) };
    expectError(
      harness.ask(flowMod({ ...overlapping, priority: 5 })),
      ErrorType.FLOW_MOD_FAILED,
      FlowModFailedCode.OVERLAP,
    );
    expect(flows(harness)).toHaveLength(1);
    expect(harness.ask(flowMod({ ...overlapping, priority: 6 }))).toEqual([]);
    expect(harness.ask(flowMod({ ...overlapping, priority: 5, match: { eth_type: 0x0806 } }))).toEqual([]);
    expect(flows(harness)).toHaveLength(3);
  });

  it('leaves counters that are not wanted at all ones', () => {
    const harness = new GuestHarness();
    harness.ask(flowMod({ flags: FlowModFlag.NO_BYT_COUNTS }));
    harness.send(tcpFrame);
    expect(flows(harness)).toMatchObject([{ packet_count: 1n, byte_count: 0xffffffffffffffffn }]);
  });
});

describe('FLOW_MOD modify', () => {
  it('changes instructions of all entries at least as specific, and nothing else', () => {
    const harness = new GuestHarness();
    harness.ask(
      flowMod({ match: { ...UDP, udp_dst: 5 }, cookie: 1n, idle_timeout: 9, instructions: apply(output(2)) }),
      flowMod({ match: { ...UDP, udp_dst: 6 }, cookie: 2n, instructions: apply(output(2)) }),
      flowMod({ match: { eth_type: 0x0806 }, instructions: apply(output(2)) }),
    );
    harness.send(udpTo(5));
    const modify = { command: FlowModCommand.MODIFY, match: UDP, cookie: 7n, instructions: apply(output(4)) };
    harness.ask(flowMod(modify));
    expect(portsOf(harness, udpTo(5))).toEqual([4]);
    expect(portsOf(harness, udpTo(6))).toEqual([4]);
    expect(flows(harness, { match: { ...UDP, udp_dst: 5 } })).toMatchObject([
      { cookie: 1n, idle_timeout: 9, packet_count: 2n },
    ]);
    expect(flows(harness, { match: { eth_type: 0x0806 } })).toMatchObject([
      { instructions: apply(output(2)) },
    ]);
    // Only those with the cookie; and adds nothing where nothing matches.
    harness.ask(flowMod({ ...modify, cookie: 2n, cookie_mask: 0xffn, instructions: apply(output(6)) }));
    expect([...portsOf(harness, udpTo(5)), ...portsOf(harness, udpTo(6))]).toEqual([4, 6]);
    harness.ask(
      flowMod({ command: FlowModCommand.MODIFY_STRICT, match: UDP, instructions: apply(output(8)) }),
    );
    expect(flows(harness)).toHaveLength(3);
  });
});

describe('FLOW_MOD modify of OpenFlow 1.0', () => {
  const upsert = { match: UDP, flags: FLOW_MOD_UPSERT | FlowModFlag.SEND_FLOW_REM, cookie: 3n };

  it.each([FlowModCommand.MODIFY, FlowModCommand.MODIFY_STRICT])('adds what is not there (%i)', (command) => {
    const harness = new GuestHarness();
    harness.ask(flowMod({ ...upsert, command, instructions: apply(output(4)) }));
    expect(portsOf(harness, udpTo(5))).toEqual([4]);
    expect(flows(harness)).toMatchObject([
      { cookie: 3n, flags: FlowModFlag.SEND_FLOW_REM, packet_count: 1n },
    ]);
  });

  it('gives entries that are there other instructions only', () => {
    const harness = new GuestHarness();
    harness.ask(flowMod({ match: UDP, cookie: 1n, instructions: apply(output(2)) }));
    harness.send(udpTo(5));
    const command = FlowModCommand.MODIFY;
    harness.ask(flowMod({ ...upsert, command, instructions: apply(output(4)) }));
    expect(portsOf(harness, udpTo(5))).toEqual([4]);
    expect(flows(harness)).toMatchObject([{ cookie: 1n, flags: 0, packet_count: 2n }]);
  });
});

describe('FLOW_MOD delete', () => {
  const setUp = () => {
    const harness = new GuestHarness();
    const flags = FlowModFlag.SEND_FLOW_REM;
    harness.ask(
      flowMod({ match: UDP, priority: 1, cookie: 0x10n, flags, instructions: apply(output(2)) }),
      flowMod({
        match: { ...UDP, udp_dst: 5 },
        priority: 2,
        cookie: 0x11n,
        flags,
        instructions: apply(output(3)),
      }),
      flowMod({ table_id: 9, match: UDP, priority: 1, cookie: 0x20n, flags, instructions: apply(output(3)) }),
      flowMod({ match: { eth_type: 0x0806 }, cookie: 0x30n }),
    );
    return harness;
  };
  const removed = (harness: GuestHarness, init: FlowMod) =>
    harness
      .ask(flowMod({ command: FlowModCommand.DELETE, ...init }))
      .map((message) => (message as MessageOf<'flow_removed'>).cookie);

  it('takes entries at least as specific, of one table or of all', () => {
    expect(removed(setUp(), { match: UDP, table_id: 0 })).toEqual([0x10n, 0x11n]);
    expect(removed(setUp(), { match: UDP, table_id: 0xff })).toEqual([0x10n, 0x11n, 0x20n]);
    const harness = setUp();
    // An entry without SEND_FLOW_REM goes silently.
    expect(removed(harness, { table_id: 0xff })).toHaveLength(3);
    expect(flows(harness)).toEqual([]);
  });

  it('strictly takes the one entry', () => {
    const strict = { command: FlowModCommand.DELETE_STRICT };
    expect(removed(setUp(), { ...strict, match: UDP, priority: 1 })).toEqual([0x10n]);
    expect(removed(setUp(), { ...strict, match: UDP, priority: 2 })).toEqual([]);
  });

  it('is narrowed by output port, group and cookie', () => {
    expect(removed(setUp(), { out_port: 3, table_id: 0xff })).toEqual([0x11n, 0x20n]);
    expect(removed(setUp(), { out_group: 1, table_id: 0xff })).toEqual([]);
    expect(removed(setUp(), { cookie: 0x10n, cookie_mask: 0xf0n, table_id: 0xff })).toEqual([0x10n, 0x11n]);
  });

  it('says in FLOW_REMOVED what the entry was', () => {
    const harness = new GuestHarness();
    harness.now = 1000;
    const match = { ...UDP, cell: 7 };
    harness.ask(
      flowMod({ match, priority: 9, cookie: 5n, hard_timeout: 60, flags: FlowModFlag.SEND_FLOW_REM }),
    );
    harness.send(udpTo(1));
    harness.now = 3500;
    expect(harness.ask(flowMod({ command: FlowModCommand.DELETE }))).toEqual([
      {
        type: 'flow_removed',
        xid: 0,
        cookie: 5n,
        priority: 9,
        reason: FlowRemovedReason.DELETE,
        table_id: 0,
        duration_sec: 2,
        duration_nsec: 500_000_000,
        idle_timeout: 0,
        hard_timeout: 60,
        packet_count: 1n,
        byte_count: 42n,
        match,
      },
    ]);
  });
});

describe('errors', () => {
  const { BAD_ACTION, BAD_INSTRUCTION, BAD_MATCH, BAD_REQUEST, FLOW_MOD_FAILED, METER_MOD_FAILED } =
    ErrorType;
  const bad: [string, FlowMod, number, number][] = [
    [
      'group',
      { instructions: apply({ type: 'group', group_id: 1 }) },
      BAD_ACTION,
      BadActionCode.BAD_OUT_GROUP,
    ],
    ['TABLE', { instructions: apply(output(Port.TABLE)) }, BAD_ACTION, BadActionCode.BAD_OUT_PORT],
    ['NORMAL', { instructions: apply(output(Port.NORMAL)) }, BAD_ACTION, BadActionCode.BAD_OUT_PORT],
    ['ANY', { instructions: apply(output(Port.ANY)) }, BAD_ACTION, BadActionCode.BAD_OUT_PORT],
    ['port 0', { instructions: apply(output(0)) }, BAD_ACTION, BadActionCode.BAD_OUT_PORT],
    [
      'push',
      { instructions: apply({ type: 'push_vlan', ethertype: 0x0800 }) },
      BAD_ACTION,
      BadActionCode.BAD_ARGUMENT,
    ],
    [
      'set-field without its prerequisite',
      { instructions: apply({ type: 'set_field', field: { ipv4_src: '10.0.0.1' } }) },
      BAD_ACTION,
      BadActionCode.MATCH_INCONSISTENT,
    ],
    [
      'set-field of ipv6_exthdr',
      { match: { eth_type: 0x86dd }, instructions: apply({ type: 'set_field', field: { ipv6_exthdr: 1 } }) },
      BAD_ACTION,
      BadActionCode.BAD_SET_TYPE,
    ],
    [
      'pop without a tag',
      { match: { vlan_vid: 0 }, instructions: apply({ type: 'pop_vlan' }) },
      BAD_ACTION,
      BadActionCode.MATCH_INCONSISTENT,
    ],
    [
      'meter',
      { instructions: [{ type: 'meter', meter_id: 1 }] },
      METER_MOD_FAILED,
      MeterModFailedCode.UNKNOWN_METER,
    ],
    [
      'goto back',
      { table_id: 3, instructions: [{ type: 'goto_table', table_id: 3 }] },
      BAD_INSTRUCTION,
      BadInstructionCode.BAD_TABLE_ID,
    ],
    [
      'goto beyond',
      { instructions: [{ type: 'goto_table', table_id: 254 }] },
      BAD_INSTRUCTION,
      BadInstructionCode.BAD_TABLE_ID,
    ],
    ['match', { match: { tcp_src: 1 } as Match }, BAD_MATCH, BadMatchCode.BAD_PREREQ],
    ['table', { table_id: 254 }, FLOW_MOD_FAILED, FlowModFailedCode.BAD_TABLE_ID],
    ['all tables', { table_id: 255 }, FLOW_MOD_FAILED, FlowModFailedCode.BAD_TABLE_ID],
    ['command', { command: 5 }, FLOW_MOD_FAILED, FlowModFailedCode.BAD_COMMAND],
    ['flags', { flags: 0x40 }, FLOW_MOD_FAILED, FlowModFailedCode.BAD_FLAGS],
    ['buffer', { buffer_id: 3 }, BAD_REQUEST, BadRequestCode.BUFFER_UNKNOWN],
  ];

  it.each(bad)('%s: refused with type and code, nothing applied', (_, init, type, code) => {
    const harness = new GuestHarness();
    const request = encode(flowMod({ xid: 77, ...init }));
    const answers = harness.ask(request);
    expectError(answers, type, code);
    const [error] = answers as [MessageOf<'error'>];
    expect(error.xid).toBe(77);
    expect(error.data).toEqual(request.slice(0, Math.max(64, error.data.length)));
    expect(error.data.length).toBe(Math.min(request.length, 128));
    expect(flows(harness)).toEqual([]);
  });

  it('modifies nothing when one of the entries could not have the instructions', () => {
    const harness = new GuestHarness();
    harness.ask(
      flowMod({ table_id: 5, priority: 1, match: UDP, instructions: apply(output(2)) }),
      flowMod({ table_id: 5, priority: 2, match: { eth_type: 0x0806 }, instructions: apply(output(2)) }),
    );
    const setUdp = apply({ type: 'set_field', field: { udp_dst: 1 } });
    const modify = flowMod({ command: FlowModCommand.MODIFY, table_id: 5, match: {}, instructions: setUdp });
    expectError(harness.ask(modify), BAD_ACTION, BadActionCode.MATCH_INCONSISTENT);
    expect(flows(harness).map(({ instructions }) => instructions)).toMatchObject([
      apply(output(2)),
      apply(output(2)),
    ]);
  });

  it('answers other messages and statistics with BAD_REQUEST', () => {
    const harness = new GuestHarness();
    expectError(harness.ask({ type: 'role_request', role: 1 }), BAD_REQUEST, BadRequestCode.BAD_TYPE);
    expectError(harness.ask({ type: 'echo_request' }), BAD_REQUEST, BadRequestCode.BAD_TYPE);
    const ports = harness.ask({ type: 'multipart_request', body: { type: 'port_desc' } });
    expectError(ports, BAD_REQUEST, BadRequestCode.BAD_MULTIPART);
    const table = harness.ask({ type: 'multipart_request', body: { type: 'flow', table_id: 254 } });
    expectError(table, BAD_REQUEST, BadRequestCode.BAD_TABLE_ID);
    const broken = encode(flowMod({ match: UDP })).slice();
    broken[17] = 9;
    broken[broken.length - 8 - 1] = 0xee;
    expect(harness.ask(broken)).toHaveLength(1);
    expect(harness.ask({ type: 'barrier_request', xid: 3 })).toEqual([{ type: 'barrier_reply', xid: 3 }]);
  });
});

describe('statistics', () => {
  it('are exact, per entry, in sum and per table', () => {
    const harness = new GuestHarness();
    harness.now = 500;
    harness.ask(
      flowMod({ match: UDP, cookie: 1n, instructions: [{ type: 'goto_table', table_id: 3 }] }),
      flowMod({ table_id: 3, match: { ...UDP, udp_dst: 5 }, cookie: 2n }),
    );
    harness.send(udpTo(5));
    harness.send(udpTo(6));
    harness.send(tcpFrame);
    harness.now = 1750;
    expect(flows(harness)).toMatchObject([
      { table_id: 0, packet_count: 2n, byte_count: 84n, duration_sec: 1, duration_nsec: 250_000_000 },
      { table_id: 3, packet_count: 1n, byte_count: 42n },
    ]);
    expect(flows(harness, { table_id: 3 })).toMatchObject([{ cookie: 2n }]);
    const [aggregate] = harness.ask({ type: 'multipart_request', xid: 4, body: { type: 'aggregate' } });
    expect(aggregate).toMatchObject({ xid: 4, body: { packet_count: 3n, byte_count: 126n, flow_count: 2 } });
    const [tables] = harness.ask({ type: 'multipart_request', body: { type: 'table' } });
    if (tables.type !== 'multipart_reply' || tables.body.type !== 'table')
      throw new Error('not table statistics');
    expect(tables.body.tables).toHaveLength(254);
    expect(tables.body.tables[0]).toMatchObject({ active_count: 1, lookup_count: 3n, matched_count: 2n });
    expect(tables.body.tables[3]).toMatchObject({ active_count: 1, lookup_count: 2n, matched_count: 1n });
  });

  it('are split into messages of moderate length, all but the last with MORE', () => {
    const harness = new GuestHarness();
    const count = 400;
    const long = apply(...Array.from({ length: 20 }, () => output(2)));
    for (let i = 0; i < count; i++) {
      harness.control(flowMod({ match: { ...UDP, udp_dst: i }, priority: i, instructions: long }));
    }
    expect(harness.ask({ type: 'barrier_request' })).toHaveLength(1);
    const answers = harness.ask({ type: 'multipart_request', xid: 8, body: { type: 'flow' } });
    expect(answers.length).toBeGreaterThan(1);
    const seen = answers.flatMap((answer, i) => {
      if (answer.type !== 'multipart_reply' || answer.body.type !== 'flow')
        throw new Error('not flow statistics');
      expect([answer.xid, answer.flags]).toEqual([8, i < answers.length - 1 ? 1 : 0]);
      const { length } = encode(answer);
      expect(length > 16_000 || i === answers.length - 1).toBe(true);
      expect(length).toBeLessThanOrEqual(16_400);
      return answer.body.flows.map(({ priority }) => priority);
    });
    expect(new Set(seen).size).toBe(count);
    expect(seen).toHaveLength(count);
  });

  it('of many entries are answered over several runs, before anything else is looked at', () => {
    const harness = slowHarness();
    for (let i = 0; i < 1000; i++) harness.control(flowMod({ match: { ...UDP, udp_dst: i } }));
    harness.ask();
    harness.control(
      { type: 'multipart_request', body: { type: 'flow' } },
      { type: 'flow_mod', command: FlowModCommand.DELETE, table_id: 0xff },
      { type: 'barrier_request' },
    );
    // The first reply fills the ring.
    expect(harness.run(0) & (RUN.MORE | RUN.BLOCKED)).not.toBe(0);
    const answers = [...harness.messages(), ...harness.ask()];
    expect(answers.pop()?.type).toBe('barrier_reply');
    const flows = answers.map((answer) => {
      if (answer.type !== 'multipart_reply' || answer.body.type !== 'flow') throw new Error(answer.type);
      return answer.body.flows.length;
    });
    expect(flows.length).toBeGreaterThan(3);
    expect(flows.reduce((sum, length) => sum + length)).toBe(1000);
  });
});

describe('timeouts', () => {
  const removal = (harness: GuestHarness) =>
    harness.messages().map((message) => message.type === 'flow_removed' && [message.cookie, message.reason]);

  it('idle: from the last packet; hard: from the start; the cell asks to be called in time', () => {
    const harness = new GuestHarness();
    harness.now = -2000; // close to the wrap of the 32-bit clock
    const flags = FlowModFlag.SEND_FLOW_REM;
    expect(harness.timer).toBeUndefined();
    harness.ask(
      flowMod({ match: UDP, idle_timeout: 2, cookie: 1n, flags }),
      flowMod({ match: { eth_type: 0x0806 }, hard_timeout: 5, cookie: 2n, flags }),
      flowMod({ match: { eth_type: 0x86dd }, cookie: 3n, flags }),
    );
    expect(harness.timer).toBe(0);
    harness.now = -500;
    harness.send(udpTo(1));
    harness.now = 0;
    harness.run();
    expect(removal(harness)).toEqual([]);
    expect(harness.timer).toBe(1500);
    harness.now = 1499;
    harness.run();
    expect(removal(harness)).toEqual([]);
    harness.now = 1500;
    harness.run();
    expect(removal(harness)).toEqual([[1n, FlowRemovedReason.IDLE_TIMEOUT]]);
    expect(harness.timer).toBe(3000);
    harness.now = 3001;
    harness.run();
    expect(removal(harness)).toEqual([[2n, FlowRemovedReason.HARD_TIMEOUT]]);
    expect(harness.timer).toBeUndefined();
    expect(flows(harness)).toMatchObject([{ cookie: 3n }]);
  });

  it('do not strike an entry that was replaced or deleted', () => {
    const harness = new GuestHarness();
    const flags = FlowModFlag.SEND_FLOW_REM;
    harness.ask(flowMod({ match: UDP, hard_timeout: 1, flags }), flowMod({ match: UDP, flags }));
    harness.now = 5000;
    harness.run();
    expect(harness.messages()).toEqual([]);
    expect(flows(harness)).toHaveLength(1);
  });
});

describe('PACKET_OUT', () => {
  const packetOut = (xid: number, actions: ActionInit[]) =>
    encode({ type: 'packet_out', xid, in_port: Port.CONTROLLER, actions });

  it('executes its actions on the packet that follows', () => {
    const harness = new GuestHarness();
    harness.control(packetOut(9, [output(4), { type: 'push_vlan', ethertype: 0x8100 }, output(5)]));
    const sent = harness.send(tcpFrame, { inPort: Port.CONTROLLER, packetOut: 9 });
    expect(sent.map(({ port, frame }) => [port, frame.length])).toEqual([
      [4, tcpFrame.length],
      [5, tcpFrame.length + 4],
    ]);
  });

  it('runs the tables for TABLE, on a packet of its own', () => {
    const harness = new GuestHarness();
    const match: Match = { in_port: Port.CONTROLLER, eth_type: 0x0800, ip_proto: 6 };
    const set: ActionInit = { type: 'set_field', field: { ipv4_dst: '9.9.9.9' } };
    harness.ask(flowMod({ match, cookie: 6n, instructions: apply(set, output(2), output(Port.CONTROLLER)) }));
    harness.control(packetOut(0, [output(Port.TABLE), output(7)]));
    const sent = harness.send(tcpFrame, { inPort: Port.CONTROLLER, packetOut: 0 });
    expect(sent.map(({ kind, port }) => [kind, port])).toEqual([
      ['output', 2],
      ['controller', 1],
      ['output', 7],
    ]);
    expect(sent[1].cookie).toBe(6n);
    expect(sent[0].frame).not.toEqual(tcpFrame);
    expect(sent[2].frame).toEqual(tcpFrame);
  });

  it('refused, or unknown: its packet is dropped, and one with the same xid still gets its own actions', () => {
    const harness = new GuestHarness();
    harness.control(packetOut(0, [{ type: 'group', group_id: 3 }]), packetOut(0, [output(8)]));
    expect(harness.send(tcpFrame, { packetOut: 0 })).toEqual([]);
    expectError(harness.messages(), ErrorType.BAD_ACTION, BadActionCode.BAD_OUT_GROUP);
    expect(harness.send(tcpFrame, { packetOut: 0 }).map(({ port }) => port)).toEqual([8]);
    expect(harness.send(tcpFrame, { packetOut: 55 })).toEqual([]);
    const buffered = encode({ type: 'packet_out', buffer_id: 4, in_port: 1, actions: [] });
    expectError(harness.ask(buffered), ErrorType.BAD_REQUEST, BadRequestCode.BUFFER_UNKNOWN);
  });

  it('waits for a message that has come in part', () => {
    const harness = new GuestHarness();
    const message = packetOut(3, [output(6)]);
    harness.control(message.subarray(0, 20));
    harness.push(tcpFrame, { packetOut: 3 });
    harness.run();
    expect(harness.take()).toEqual([]);
    harness.control(message.subarray(20));
    harness.run();
    expect(harness.take()).toMatchObject([{ kind: 'output', port: 6, last: true }]);
  });
});

it('decodes what it sends: every answer is a valid message', () => {
  const harness = new GuestHarness();
  harness.control(flowMod({ match: UDP }), { type: 'multipart_request', body: { type: 'flow' } });
  harness.run();
  for (const bytes of harness.rawMessages())
    expect(encode(decode(bytes) as MessageInitOf<'barrier_reply'>)).toEqual(bytes);
});
