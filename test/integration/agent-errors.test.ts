/** Every error a switch can give: type, code, the offending bytes, and that nothing was carried out. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ONF_EXPERIMENTER } from '../../agent/channel/onf.ts';
import * as of from '../../openflow/index.ts';
import { encode, errorName, FLOWCELL_EXPERIMENTER, Framer, type MessageInit } from '../../openflow/index.ts';
import { type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const { ErrorType } = of;
const OTHER_EXPERIMENTER = 0x00ab_cdef;
/** How much of a request an error has at least (OpenFlow 1.3.5, section 7.4.4). */
const LEAST_DATA = 64;

// Bytes -----------------------------------------------------------------------------------------------------

const u16 = (value: number) => [(value >> 8) & 255, value & 255];
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)];
const zeros = (count: number) => new Array<number>(count).fill(0);
const XID = 0x0e0e_0e0e;

/** A message with a length that is right, whatever its body is. */
const raw = (version: number, type: number, ...body: number[]): Uint8Array =>
  Uint8Array.from([version, type, ...u16(8 + body.length), ...u32(XID), ...body]);

/** FLOW_MOD of OpenFlow 1.3 up to its match. */
const flowFixed = [
  ...[...zeros(16), 0, 0, ...zeros(6)],
  ...[...u32(0xffffffff), ...u32(0xffffffff), ...u32(0xffffffff), ...zeros(4)],
];
const padded = (bytes: number[]) => [...bytes, ...zeros((8 - (bytes.length % 8)) % 8)];
const matchOf = (...oxms: number[]) => padded([...u16(1), ...u16(4 + oxms.length), ...oxms]);
const flowBytes = (match: number[], ...instructions: number[]) =>
  raw(4, 14, ...flowFixed, ...match, ...instructions);
const oxm = (field: number, hasMask: boolean, ...value: number[]) => [
  ...[0x80, 0x00, (field << 1) | (hasMask ? 1 : 0), value.length],
  ...value,
];
const applyBytes = (...actions: number[]) => [...u16(4), ...u16(8 + actions.length), ...zeros(4), ...actions];
const actionBytes = (...action: number[]) => flowBytes(matchOf(), ...applyBytes(...action));
const bucketBytes = (length: number) => raw(4, 15, ...zeros(4), ...u32(50), ...u16(length), ...zeros(14));
const multipart = (type: number, ...body: number[]) => raw(4, 18, ...u16(type), ...zeros(6), ...body);

const flow = (more: Partial<of.MessageInitOf<'flow_mod'>>): MessageInit => ({ type: 'flow_mod', ...more });
const apply = (...actions: of.ActionInit[]) => flow({ instructions: [{ type: 'apply_actions', actions }] });
const group = (more: Partial<of.MessageInitOf<'group_mod'>>): MessageInit => ({
  ...{ type: 'group_mod', command: 0, group_id: 50 },
  ...more,
});
const meter = (more: Partial<of.MessageInitOf<'meter_mod'>>): MessageInit => ({
  ...{ type: 'meter_mod', command: 0, meter_id: 50, flags: 1 },
  ...more,
});
const to = (group_id: number): of.ActionInit => ({ type: 'group', group_id });
const bucket = (...actions: of.ActionInit[]) => ({ actions });
const packetOut = (more: Partial<of.MessageInitOf<'packet_out'>>): MessageInit => ({
  ...{ type: 'packet_out', in_port: of.Port.CONTROLLER, data: new Uint8Array(60) },
  ...more,
});
const asks = (body: Extract<MessageInit, { type: 'multipart_request' }>['body']): MessageInit => ({
  type: 'multipart_request',
  body,
});
const foreign = { type: 'experimenter' as const, experimenter: OTHER_EXPERIMENTER, data: new Uint8Array(8) };
const band = { type: 'drop' as const, rate: 1000 };

// What is there before: entry (cookie 77), groups 1 and 2 (which forwards to 1), meter 1 ------------------------

const SETUP: MessageInit[] = [
  group({ group_id: 1, buckets: [bucket({ type: 'output', port: 2 })] }),
  group({ group_id: 2, buckets: [bucket(to(1))] }),
  meter({ meter_id: 1, bands: [band] }),
  flow({ priority: 5, cookie: 77n, match: { in_port: 1 }, instructions: [{ type: 'meter', meter_id: 1 }] }),
];

type Row = [code: string, request: MessageInit | Uint8Array];

const ROWS: Record<string, Row[]> = {
  BAD_REQUEST: [
    ['BAD_VERSION', raw(1, 2)],
    ['BAD_TYPE', raw(4, 99)],
    ['BAD_TYPE', raw(4, 21)],
    ['BAD_MULTIPART', multipart(77)],
    ['BAD_EXPERIMENTER', { type: 'experimenter', experimenter: OTHER_EXPERIMENTER, exp_type: 1 }],
    ['BAD_EXPERIMENTER', multipart(0xffff, ...u32(OTHER_EXPERIMENTER), ...u32(1))],
    ['BAD_EXP_TYPE', raw(4, 4, ...u32(FLOWCELL_EXPERIMENTER), ...u32(99))],
    ['BAD_EXP_TYPE', raw(4, 4, ...u32(ONF_EXPERIMENTER), ...u32(99))],
    ['BAD_LEN', raw(4, 24, ...zeros(8))],
    ['BAD_LEN', raw(4, 2 + 3, ...zeros(4))],
    ['BUFFER_UNKNOWN', packetOut({ buffer_id: 5, data: new Uint8Array() })],
    ['BUFFER_UNKNOWN', flow({ buffer_id: 5 })],
    ['BAD_TABLE_ID', asks({ type: 'flow', table_id: 254 })],
    ['BAD_PORT', asks({ type: 'port_stats', port_no: 77 })],
    ['BAD_PORT', packetOut({ in_port: of.Port.MAX + 1 })],
    ['BAD_PACKET', packetOut({ data: new Uint8Array(13) })],
    ['MULTIPART_BUFFER_OVERFLOW', { type: 'multipart_request', flags: 1, body: { type: 'table_features' } }],
  ],
  BAD_ACTION: [
    ['BAD_TYPE', actionBytes(...u16(99), ...u16(8), ...zeros(4))],
    ['BAD_LEN', actionBytes(...u16(0), ...u16(8), ...zeros(4))],
    ['BAD_LEN', actionBytes(...u16(17), ...u16(64), ...u16(0x8100), ...zeros(2))],
    ['BAD_EXPERIMENTER', apply(foreign)],
    ['BAD_OUT_PORT', apply({ type: 'output', port: 0 })],
    ['BAD_OUT_PORT', apply({ type: 'output', port: of.Port.TABLE })],
    ['BAD_OUT_PORT', packetOut({ actions: [{ type: 'output', port: of.Port.ANY }] })],
    ['BAD_ARGUMENT', apply({ type: 'push_vlan', ethertype: 0x0800 })],
    ['BAD_OUT_GROUP', apply(to(40))],
    ['BAD_OUT_GROUP', group({ buckets: [bucket(to(40))] })],
    ['MATCH_INCONSISTENT', apply({ type: 'set_field', field: { ipv4_src: '10.0.0.1' } })],
    ['BAD_SET_TYPE', actionBytes(...u16(25), ...u16(16), ...oxm(0, false, ...u32(1)), ...zeros(4))],
    ['BAD_SET_LEN', actionBytes(...u16(25), ...u16(16), ...oxm(3, false, ...zeros(5)), ...zeros(3))],
    ['BAD_SET_ARGUMENT', actionBytes(...u16(25), ...u16(16), ...oxm(7, false, 9), ...zeros(7))],
  ],
  BAD_INSTRUCTION: [
    ['UNKNOWN_INST', flowBytes(matchOf(), ...u16(99), ...u16(8), ...zeros(4))],
    ['UNSUP_INST', flow({ instructions: [{ type: 'clear_actions' }, { type: 'clear_actions' }] })],
    ['BAD_TABLE_ID', flow({ instructions: [{ type: 'goto_table', table_id: 0 }] })],
    ['BAD_TABLE_ID', flow({ instructions: [{ type: 'goto_table', table_id: 254 }] })],
    ['BAD_EXPERIMENTER', flow({ instructions: [foreign] })],
    ['BAD_LEN', flowBytes(matchOf(), ...u16(1), ...u16(16), ...zeros(12))],
  ],
  BAD_MATCH: [
    ['BAD_TYPE', flowBytes([...u16(0), ...u16(4), ...zeros(4)])],
    ['BAD_LEN', flowBytes([...u16(1), ...u16(60), ...zeros(4)])],
    ['BAD_LEN', flowBytes(matchOf(...oxm(5, false, ...zeros(4))))],
    ['BAD_WILDCARDS', flowBytes(matchOf(...oxm(3, true, 1, ...zeros(5), 0, ...new Array(5).fill(255))))],
    ['BAD_FIELD', flowBytes(matchOf(...oxm(99, false, 0)))],
    ['BAD_VALUE', flow({ match: { vlan_vid: 5 } })],
    ['BAD_VALUE', flowBytes(matchOf(...oxm(5, false, 8, 0), ...oxm(8, false, 99)))],
    ['BAD_MASK', flowBytes(matchOf(...oxm(0, true, ...zeros(4), ...zeros(3), 1)))],
    ['BAD_PREREQ', flow({ match: { tcp_src: 1 } })],
    ['DUP_FIELD', flowBytes(matchOf(...oxm(5, false, 8, 0), ...oxm(5, false, 8, 0)))],
  ],
  FLOW_MOD_FAILED: [
    ['UNKNOWN', flow({ match: { cell: 99 } })],
    ['BAD_TABLE_ID', flow({ table_id: 254 })],
    ['BAD_TABLE_ID', flow({ table_id: 255, command: 1 })],
    ['OVERLAP', flow({ priority: 5, flags: of.FlowModFlag.CHECK_OVERLAP })],
    ['BAD_COMMAND', flow({ command: 9 })],
    ['BAD_FLAGS', flow({ flags: 0x20 })],
    ['BAD_FLAGS', flow({ flags: of.FLOW_MOD_UPSERT, command: 1 })],
  ],
  GROUP_MOD_FAILED: [
    ['GROUP_EXISTS', group({ group_id: 1 })],
    ['INVALID_GROUP', group({ group_id: 0xffffff01 })],
    ['INVALID_GROUP', group({ group_type: of.GroupType.INDIRECT })],
    ['INVALID_GROUP', group({ buckets: [{ weight: 1 }] })],
    ['OUT_OF_BUCKETS', group({ buckets: Array.from({ length: 2049 }, () => bucket()) })],
    ['WATCH_UNSUPPORTED', group({ buckets: [{ watch_port: 1 }] })],
    ['LOOP', group({ command: 1, group_id: 1, buckets: [bucket(to(2))] })],
    ['UNKNOWN_GROUP', group({ command: 1 })],
    ['CHAINED_GROUP', group({ command: 2, group_id: 1 })],
    ['BAD_TYPE', group({ group_type: 9 })],
    ['BAD_COMMAND', group({ command: 9 })],
    ['BAD_BUCKET', bucketBytes(8)],
    ['BAD_WATCH', group({ group_type: of.GroupType.FF, buckets: [bucket()] })],
  ],
  PORT_MOD_FAILED: [
    ['BAD_PORT', { type: 'port_mod', port_no: 77, hw_addr: '02:00:00:00:00:01' }],
    ['BAD_HW_ADDR', { type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:99' }],
  ],
  TABLE_MOD_FAILED: [
    ['BAD_TABLE', { type: 'table_mod', table_id: 254 }],
    ['BAD_CONFIG', { type: 'table_mod', table_id: 0, config: 0x80 }],
  ],
  QUEUE_OP_FAILED: [
    ['BAD_PORT', { type: 'queue_get_config_request', port: 77 }],
    ['BAD_PORT', asks({ type: 'queue', port_no: 77, queue_id: 0 })],
    ['BAD_QUEUE', asks({ type: 'queue', port_no: 1, queue_id: 99 })],
  ],
  SWITCH_CONFIG_FAILED: [['BAD_FLAGS', { type: 'set_config', flags: 2, miss_send_len: 128 }]],
  ROLE_REQUEST_FAILED: [['BAD_ROLE', { type: 'role_request', role: 9, generation_id: 0n }]],
  METER_MOD_FAILED: [
    ['METER_EXISTS', meter({ meter_id: 1 })],
    ['INVALID_METER', meter({ meter_id: 0 })],
    ['UNKNOWN_METER', meter({ command: 1 })],
    ['UNKNOWN_METER', flow({ instructions: [{ type: 'meter', meter_id: 50 }] })],
    ['UNKNOWN_METER', asks({ type: 'meter', meter_id: 50 })],
    ['BAD_COMMAND', meter({ command: 9 })],
    ['BAD_FLAGS', meter({ flags: 3 })],
    ['BAD_BAND', meter({ bands: [{ ...foreign, rate: 1 }] })],
    ['BAD_BAND_VALUE', meter({ bands: [{ type: 'dscp_remark', rate: 1, prec_level: 5 }] })],
    ['OUT_OF_BANDS', meter({ bands: Array.from({ length: 17 }, () => band) })],
  ],
  TABLE_FEATURES_FAILED: [
    ['BAD_TYPE', multipart(12, ...u16(72), ...zeros(62), ...u16(0x77), ...u16(4), ...zeros(4))],
    ['BAD_LEN', multipart(12, ...u16(72), ...zeros(62), ...u16(0), ...u16(2), ...zeros(4))],
    ['EPERM', asks({ type: 'table_features', tables: [{ table_id: 0, name: 'mine' }] })],
  ],
};

/** Codes that this device never gives, or that are given in tests of their own. */
const NOT_HERE: Record<string, Record<string, string>> = {
  HELLO_FAILED: {
    INCOMPATIBLE: 'below: it ends the connection',
    EPERM: 'the device connects to whom it was told to: none of them is refused',
  },
  BAD_REQUEST: {
    EPERM: 'only while the cell for it is being made anew, and for transactions (guest-transactions)',
    BUFFER_EMPTY: 'nothing is buffered: BUFFER_UNKNOWN',
    IS_SLAVE: 'below: it takes a slave',
  },
  BAD_ACTION: {
    BAD_EXP_TYPE: 'the actions of the extension are those of OpenFlow 1.0: BAD_TYPE',
    EPERM: 'nobody is denied anything',
    TOO_MANY: 'as many as fit a message',
    BAD_QUEUE: 'a queue may come later; until then its packets go out without one',
    UNSUPPORTED_ORDER: 'lists are executed in any order',
    BAD_TAG: 'a push of another Ethernet type is a BAD_ARGUMENT',
  },
  BAD_INSTRUCTION: {
    UNSUP_METADATA: 'all 64 bits',
    UNSUP_METADATA_MASK: 'any mask',
    BAD_EXP_TYPE: 'experimenter instructions have no type in OpenFlow 1.3',
    EPERM: 'nobody is denied anything',
  },
  BAD_MATCH: {
    BAD_TAG: 'what a tag may be is BAD_VALUE',
    BAD_DL_ADDR_MASK: 'any mask',
    BAD_NW_ADDR_MASK: 'any mask',
    EPERM: 'nobody is denied anything',
  },
  FLOW_MOD_FAILED: {
    TABLE_FULL: 'guest-tables, guest-state: 65,536 entries are many here',
    EPERM: 'nobody is denied anything',
    BAD_TIMEOUT: 'any timeout',
  },
  GROUP_MOD_FAILED: {
    WEIGHT_UNSUPPORTED: 'any weight',
    OUT_OF_GROUPS: 'guest-groups',
    CHAINING_UNSUPPORTED: 'guest-groups',
    EPERM: 'nobody is denied anything',
  },
  PORT_MOD_FAILED: {
    BAD_CONFIG: 'below: it takes the address of the port',
    BAD_ADVERTISE: 'below: it takes the address of the port',
    EPERM: 'agent-ports: where the system refuses',
  },
  TABLE_MOD_FAILED: { EPERM: 'nobody is denied anything' },
  QUEUE_OP_FAILED: { EPERM: 'nobody is denied anything' },
  SWITCH_CONFIG_FAILED: {
    BAD_LEN: 'any miss_send_len',
    EPERM: 'nobody is denied anything, but a slave: IS_SLAVE',
  },
  ROLE_REQUEST_FAILED: { STALE: 'below: it takes a generation', UNSUP: 'all roles' },
  METER_MOD_FAILED: {
    UNKNOWN: 'each has a code of its own',
    BAD_RATE: 'any rate',
    BAD_BURST: 'any burst',
    OUT_OF_METERS: 'guest-meters',
  },
  TABLE_FEATURES_FAILED: {
    BAD_TABLE: 'no table can be changed: EPERM',
    BAD_METADATA: 'no table can be changed: EPERM',
    BAD_ARGUMENT: 'no table can be changed: EPERM',
  },
};

test('every code of the specification has a case, or a reason for having none', () => {
  for (const [type, number] of Object.entries(ErrorType)) {
    if (type === 'EXPERIMENTER') continue;
    const here = [...(ROWS[type] ?? []).map(([code]) => code), ...Object.keys(NOT_HERE[type] ?? {})];
    // Names by number, until there is none.
    const names: string[] = [];
    for (let code = 0; !/\/\d+$/.test(errorName(number, code)); code++) {
      names.push(errorName(number, code).split('/')[1]);
    }
    expect([...new Set(here)].sort(), type).toEqual(names.sort());
  }
});

const bytesOf = (request: MessageInit | Uint8Array): Uint8Array =>
  request instanceof Uint8Array ? request : encode({ ...request, xid: XID } as MessageInit);

describeNetwork('an agent', () => {
  let lab: SwitchLab;
  let controller: SwitchLab['controller'];
  let peer: SwitchLab['peer'];

  beforeAll(async () => {
    lab = await switchLab(2, { agent: { connection: { retryMs: 20, maxRetryMs: 20 } } });
    ({ controller, peer } = lab);
    peer.send(...SETUP);
    await peer.call('barrier_reply', { type: 'barrier_request' });
    expect(peer.received.filter(({ type }) => type === 'error')).toEqual([]);
  });
  afterAll(() => lab?.stop());

  /** All that a request may change. */
  const state = async () => {
    const bodies = ['flow', 'group_desc', 'meter_config', 'port_desc'] as const;
    const replies = await Promise.all([
      ...bodies.map((type) => peer.call('multipart_reply', asks({ type }))),
      peer.call('get_config_reply', { type: 'get_config_request' }),
      peer.call('role_reply', { type: 'role_request', role: 0, generation_id: 0n }),
    ]);
    const text = JSON.stringify(replies, (key, value) => {
      if (key === 'xid' || key.startsWith('duration')) return undefined;
      return typeof value === 'bigint' ? `${value}` : value;
    });
    return text;
  };

  /** The error that a request gets, which has to be the only answer. */
  const refusal = async (bytes: Uint8Array) => {
    peer.write(bytes);
    await peer.call('barrier_reply', { type: 'barrier_request' });
    const answers = peer.received.filter(({ xid }) => xid === XID);
    peer.received.length = 0;
    expect(answers).toHaveLength(1);
    const [answer] = answers;
    if (answer.type !== 'error') throw new Error(`answered by ${answer.type}`);
    return answer;
  };

  const refused = async (name: string, bytes: Uint8Array) => {
    const before = await state();
    const { error_type, code, data } = await refusal(bytes);
    expect(errorName(error_type, code)).toBe(name);
    expect(data.length).toBeGreaterThanOrEqual(Math.min(LEAST_DATA, bytes.length));
    expect(Buffer.from(data)).toEqual(Buffer.from(bytes.subarray(0, data.length)));
    expect(await state()).toBe(before);
  };

  describe.each(Object.entries(ROWS))('%s', (type, rows) => {
    test.each(rows.map(([code, request], i) => [code, i, request] as const))(
      '%s (%i)',
      async (code, _, request) => {
        await refused(`${type}/${code}`, bytesOf(request));
      },
    );
  });

  test('PORT_MOD of a port that is there', async () => {
    const { body } = await peer.call('multipart_reply', asks({ type: 'port_desc' }));
    const { port_no, hw_addr } = (body as { ports: of.PortDesc[] }).ports[0];
    const mod = { type: 'port_mod' as const, port_no, hw_addr };
    await refused('PORT_MOD_FAILED/BAD_CONFIG', bytesOf({ ...mod, mask: 0x80 }));
    await refused('PORT_MOD_FAILED/BAD_ADVERTISE', bytesOf({ ...mod, advertise: 0x8000 }));
  });

  test('HELLO without a version in common', async () => {
    const offers = [
      encode({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [9] }] }),
      raw(4, 2),
    ];
    for (const offer of offers) {
      peer.socket.destroy();
      const other = await controller.connection();
      other.write(offer);
      const error = await other.next('error');
      expect(errorName(error.error_type, error.code)).toBe('HELLO_FAILED/INCOMPATIBLE');
      // A sentence for people.
      expect(Buffer.from(error.data).toString('latin1')).toMatch(/^[\x20-\x7e]+$/);
      await other.ended();
      peer = await controller.device();
    }
  });

  test('a slave may ask, and change nothing', async () => {
    const { MASTER, SLAVE, EQUAL } = of.ControllerRole;
    const role = (role: number, generation_id: bigint): MessageInit => ({
      type: 'role_request',
      role,
      generation_id,
    });
    await peer.call('role_reply', role(MASTER, 5n));
    await refused('ROLE_REQUEST_FAILED/STALE', bytesOf(role(SLAVE, 4n)));
    await peer.call('role_reply', role(SLAVE, 5n));
    const changes: MessageInit[] = [
      flow({}),
      group({}),
      meter({}),
      packetOut({}),
      { type: 'table_mod', table_id: 0 },
    ];
    for (const change of changes) await refused('BAD_REQUEST/IS_SLAVE', bytesOf(change));
    await refused(
      'BAD_REQUEST/IS_SLAVE',
      bytesOf({ type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:01' }),
    );
    await peer.call('role_reply', role(EQUAL, 0n));
  });

  // OpenFlow 1.0, with its own numbers --------------------------------------------------------------------------

  test('the same in OpenFlow 1.0', async () => {
    peer.socket.destroy();
    peer = await controller.device(1);
    const heard: Uint8Array[] = [];
    const framer = new Framer();
    peer.socket.on('data', (chunk: Buffer) => framer.push(chunk, (bytes) => heard.push(bytes.slice())));
    // ofp_match with all wildcards; then cookie, command, timeouts, priority, buffer_id, out_port, flags.
    const match = [...u32(0x3fffff), ...zeros(36)];
    const flow10 = (command: number, flags: number, buffer = 0xffffffff) => [
      ...[...match, ...zeros(8), ...u16(command), ...zeros(4), ...u16(5), ...u32(buffer)],
      ...[...u16(0xffff), ...u16(flags)],
    ];
    const withAction = (...action: number[]) => raw(1, 14, ...flow10(0, 0), ...action);
    const port = (number: number, address: number) => [
      ...[...u16(number), 2, 0, 0, 0, 0, address, ...zeros(12), ...zeros(4)],
    ];
    const rows: [string, number, number, Uint8Array][] = [
      ['BAD_REQUEST BAD_VERSION', 1, 0, raw(4, 2)],
      ['BAD_REQUEST BAD_TYPE', 1, 1, raw(1, 99)],
      ['BAD_REQUEST BAD_STAT', 1, 2, raw(1, 16, ...u16(99), ...u16(0))],
      ['BAD_REQUEST BAD_VENDOR', 1, 3, raw(1, 4, ...u32(OTHER_EXPERIMENTER), ...zeros(4))],
      ['BAD_REQUEST BAD_LEN', 1, 6, raw(1, 14, ...match)],
      ['BAD_REQUEST BUFFER_UNKNOWN', 1, 8, raw(1, 14, ...flow10(0, 0, 5))],
      ['BAD_ACTION BAD_TYPE', 2, 0, withAction(...u16(99), ...u16(8), ...zeros(4))],
      ['BAD_ACTION BAD_LEN', 2, 1, withAction(...u16(0), ...u16(16), ...zeros(12))],
      ['BAD_ACTION BAD_VENDOR', 2, 2, withAction(...u16(0xffff), ...u16(8), ...u32(OTHER_EXPERIMENTER))],
      ['BAD_ACTION BAD_OUT_PORT', 2, 4, withAction(...u16(0), ...u16(8), ...u16(0), ...u16(0))],
      ['BAD_ACTION BAD_ARGUMENT', 2, 5, withAction(...u16(2), ...u16(8), 9, 0, 0, 0)],
      ['FLOW_MOD_FAILED BAD_COMMAND', 3, 4, raw(1, 14, ...flow10(9, 0))],
      ['PORT_MOD_FAILED BAD_PORT', 4, 0, raw(1, 15, ...port(77, 1))],
      ['PORT_MOD_FAILED BAD_HW_ADDR', 4, 1, raw(1, 15, ...port(1, 0x99))],
      ['QUEUE_OP_FAILED BAD_PORT', 5, 0, raw(1, 20, ...u16(77), ...zeros(2))],
      [
        'QUEUE_OP_FAILED BAD_QUEUE',
        5,
        1,
        raw(1, 16, ...u16(5), ...u16(0), ...u16(1), ...zeros(2), ...u32(99)),
      ],
    ];
    const got: [string, number, number][] = [];
    for (const [name, , , bytes] of rows) {
      heard.length = 0;
      peer.write(bytes);
      await peer.call('barrier_reply', { type: 'barrier_request' });
      const answers = heard.filter((one) => Buffer.from(one).readUInt32BE(4) === XID);
      expect(
        answers.map((one) => one[1]),
        name,
      ).toEqual([1]);
      const [answer] = answers.map((one) => Buffer.from(one));
      got.push([name, answer.readUInt16BE(8), answer.readUInt16BE(10)]);
      expect(answer[0]).toBe(1);
      const data = answer.subarray(12);
      expect(data.length, name).toBeGreaterThanOrEqual(Math.min(LEAST_DATA, bytes.length));
      expect(data, name).toEqual(Buffer.from(bytes.subarray(0, data.length)));
    }
    expect(got).toEqual(rows.map(([name, type, code]) => [name, type, code]));
    const { body } = await peer.call('multipart_reply', asks({ type: 'aggregate' }));
    expect(body).toMatchObject({ flow_count: 1 });
  });
});
