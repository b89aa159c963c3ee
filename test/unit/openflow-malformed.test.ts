/** Each kind of damage gets the error type and code of the specification (1.3, 7.4.4). */
import { describe, expect, test } from 'vitest';
import {
  BadActionCode,
  BadInstructionCode,
  BadMatchCode,
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  errorName,
  GroupModFailedCode,
  type MessageInit,
  MeterModFailedCode,
  OpenFlowError,
  TableFeaturesFailedCode,
  toErrorMessage,
} from '../../openflow/index.ts';

type Edit = (bytes: Uint8Array) => void;

const set16 =
  (at: number, value: number): Edit =>
  (bytes) => {
    bytes[at] = value >> 8;
    bytes[at + 1] = value;
  };
const set8 =
  (at: number, value: number): Edit =>
  (bytes) => {
    bytes[at] = value;
  };

/** The message with these edits, and with `extra` bytes more (or fewer) and the header's length to match. */
function damaged(message: MessageInit, edits: Edit[], extra = 0): Uint8Array {
  const whole = encode(message);
  const bytes = new Uint8Array(whole.length + extra);
  bytes.set(whole.subarray(0, bytes.length));
  set16(2, bytes.length)(bytes);
  for (const edit of edits) edit(bytes);
  return bytes;
}

function failure(bytes: Uint8Array): string {
  try {
    decode(bytes);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    expect(error.code).toBe(`FC_OF_${errorName(error.errorType, error.errorCode).replace('/', '_')}`);
    return errorName(error.errorType, error.errorCode);
  }
  return 'decoded';
}

const request = (code: number) => errorName(ErrorType.BAD_REQUEST, code);
const BAD_LEN = request(BadRequestCode.BAD_LEN);
const matchError = (code: number) => errorName(ErrorType.BAD_MATCH, code);
const actionError = (code: number) => errorName(ErrorType.BAD_ACTION, code);
const instructionError = (code: number) => errorName(ErrorType.BAD_INSTRUCTION, code);

// A flow_mod's match begins at 48 and its first field at 52.
const MATCH = 48;
const OXM = 52;
const ipFlow: MessageInit = { type: 'flow_mod', match: { ipv4_src: '10.0.0.1', tcp_dst: 80 } };
const maskedFlow: MessageInit = { type: 'flow_mod', match: { ipv4_src: ['10.0.0.0', '255.0.0.0'] } };
// Without a match field, instructions begin at 56; in apply_actions the first action is at 64.
const INSTRUCTION = 56;
const gotoFlow: MessageInit = { type: 'flow_mod', instructions: [{ type: 'goto_table', table_id: 1 }] };
const applyFlow: MessageInit = {
  type: 'flow_mod',
  instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port: 1 }] }],
};
// A packet_out's actions begin at 24.
const ACTION = 24;
const output: MessageInit = {
  type: 'packet_out',
  actions: [{ type: 'output', port: 1 }],
  data: new Uint8Array(20),
};
const setIp: MessageInit = {
  type: 'packet_out',
  actions: [{ type: 'set_field', field: { ipv4_src: '10.0.0.1' } }],
};
const setDscp: MessageInit = { type: 'packet_out', actions: [{ type: 'set_field', field: { ip_dscp: 1 } }] };
const flowStats: MessageInit = { type: 'multipart_reply', body: { type: 'flow', flows: [{}] } };
const rule: MessageInit = { type: 'dispatch_rule', match: { cell: 3 }, cells: [{}, {}] };

const cases: [name: string, bytes: Uint8Array, error: string][] = [
  // The message as a whole
  ['no bytes', new Uint8Array(0), BAD_LEN],
  ['a header cut off', encode({ type: 'barrier_request' }).slice(0, 7), BAD_LEN],
  ['less bytes than the length says', encode({ type: 'barrier_request' }).slice().fill(9, 3, 4), BAD_LEN],
  ['more bytes than the length says', new Uint8Array([4, 20, 0, 8, 0, 0, 0, 0, 0]), BAD_LEN],
  ['another version', damaged(ipFlow, [set8(0, 1)]), request(BadRequestCode.BAD_VERSION)],
  ['version 5', damaged({ type: 'features_request' }, [set8(0, 5)]), request(BadRequestCode.BAD_VERSION)],
  [
    'an unknown message type',
    damaged({ type: 'barrier_request' }, [set8(1, 30)]),
    request(BadRequestCode.BAD_TYPE),
  ],
  ['type 255', damaged({ type: 'barrier_request' }, [set8(1, 255)]), request(BadRequestCode.BAD_TYPE)],
  ['a barrier with a body', damaged({ type: 'barrier_request' }, [], 4), BAD_LEN],
  ['a role request cut off', damaged({ type: 'role_request', role: 1 }, [], -1), BAD_LEN],
  ['a set_config too long', damaged({ type: 'set_config' }, [], 1), BAD_LEN],
  ['an error without code', damaged({ type: 'error', error_type: 1, code: 1 }, [], -2), BAD_LEN],
  ['a flow_mod without match', damaged({ type: 'flow_mod' }, [], -8), matchError(BadMatchCode.BAD_LEN)],
  ['a flow_mod cut off before its match', damaged({ type: 'flow_mod' }, [], -9), BAD_LEN],
  [
    'a packet_in without the padding before its data',
    damaged({ type: 'packet_in', total_len: 0, reason: 0 }, [], -1),
    BAD_LEN,
  ],
  ['a flow_removed with more behind its match', damaged({ type: 'flow_removed', reason: 0 }, [], 8), BAD_LEN],
  // Hello
  [
    'a hello element longer than the message',
    damaged({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [4] }] }, [set16(10, 12)]),
    BAD_LEN,
  ],
  [
    'a hello element of length 0',
    damaged({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [4] }] }, [set16(10, 0)]),
    BAD_LEN,
  ],
  ['half a hello element', damaged({ type: 'hello' }, [], 3), BAD_LEN],
  // Multipart
  [
    'an unknown multipart request',
    damaged({ type: 'multipart_request', body: { type: 'desc' } }, [set16(8, 14)]),
    request(BadRequestCode.BAD_MULTIPART),
  ],
  [
    'an unknown multipart reply',
    damaged({ type: 'multipart_reply', body: { type: 'desc' } }, [set16(8, 0x8000)]),
    request(BadRequestCode.BAD_MULTIPART),
  ],
  [
    'a multipart request cut off in its header',
    damaged({ type: 'multipart_request', body: { type: 'desc' } }, [], -1),
    BAD_LEN,
  ],
  [
    'a desc request with a body',
    damaged({ type: 'multipart_request', body: { type: 'desc' } }, [], 8),
    BAD_LEN,
  ],
  [
    'a port_stats request cut off',
    damaged({ type: 'multipart_request', body: { type: 'port_stats' } }, [], -4),
    BAD_LEN,
  ],
  [
    'a table reply of one and a half tables',
    damaged({ type: 'multipart_reply', body: { type: 'table', tables: [{ table_id: 0 }] } }, [], 12),
    BAD_LEN,
  ],
  ['flow stats of length 0', damaged(flowStats, [set16(16, 0)]), BAD_LEN],
  ['flow stats longer than the message', damaged(flowStats, [set16(16, 72)]), BAD_LEN],
  ['flow stats shorter than their fields', damaged(flowStats, [set16(16, 40)]), BAD_LEN],
  ['flow stats with half a length', damaged(flowStats, [], 1), BAD_LEN],
  // Match
  ['the old match type', damaged(ipFlow, [set16(MATCH, 0)]), matchError(BadMatchCode.BAD_TYPE)],
  ['a match of length 3', damaged(ipFlow, [set16(MATCH + 2, 3)]), matchError(BadMatchCode.BAD_LEN)],
  [
    'a match longer than the message',
    damaged(ipFlow, [set16(MATCH + 2, 0xfff8)]),
    matchError(BadMatchCode.BAD_LEN),
  ],
  ['a match without its padding', damaged(ipFlow, [], -1), matchError(BadMatchCode.BAD_LEN)],
  [
    'a match that ends inside a field header',
    damaged(ipFlow, [set16(MATCH + 2, 15)]),
    matchError(BadMatchCode.BAD_LEN),
  ],
  [
    'a match that ends inside a value',
    damaged(ipFlow, [set16(MATCH + 2, 17)]),
    matchError(BadMatchCode.BAD_LEN),
  ],
  ['a field of the wrong length', damaged(ipFlow, [set8(OXM + 3, 3)]), matchError(BadMatchCode.BAD_LEN)],
  ['a field of length 0', damaged(ipFlow, [set8(OXM + 3, 0)]), matchError(BadMatchCode.BAD_LEN)],
  ['an unknown field', damaged(ipFlow, [set8(OXM + 2, 40 << 1)]), matchError(BadMatchCode.BAD_FIELD)],
  ['an unknown class', damaged(ipFlow, [set16(OXM, 0x8001)]), matchError(BadMatchCode.BAD_FIELD)],
  [
    'an unknown experimenter field',
    damaged({ type: 'flow_mod', match: { cell: 1 } }, [set8(OXM + 7, 0)]),
    matchError(BadMatchCode.BAD_FIELD),
  ],
  [
    'an experimenter field without experimenter',
    damaged({ type: 'flow_mod', match: { cell: 1 } }, [set8(OXM + 3, 3), set16(MATCH + 2, 11)]),
    matchError(BadMatchCode.BAD_FIELD),
  ],
  [
    'a cell of the wrong length',
    damaged({ type: 'flow_mod', match: { cell: 1 } }, [set8(OXM + 3, 4), set16(MATCH + 2, 12)]),
    matchError(BadMatchCode.BAD_LEN),
  ],
  [
    'a cell with a mask',
    damaged({ type: 'flow_mod', match: { cell: 1 } }, [set8(OXM + 2, 1)]),
    matchError(BadMatchCode.BAD_MASK),
  ],
  [
    'a field twice',
    damaged({ type: 'flow_mod', match: { ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2' } }, [
      set8(OXM + 10, 11 << 1),
    ]),
    matchError(BadMatchCode.DUP_FIELD),
  ],
  [
    'a field of the second word twice',
    damaged(
      { type: 'flow_mod', match: { ipv6_nd_sll: '00:00:00:00:00:01', ipv6_nd_tll: '00:00:00:00:00:01' } },
      [set8(OXM + 12, 32 << 1)],
    ),
    matchError(BadMatchCode.DUP_FIELD),
  ],
  [
    'a mask on a field that takes none',
    damaged({ type: 'flow_mod', match: { eth_type: 0x800 } }, [set8(OXM + 2, (5 << 1) | 1)]),
    matchError(BadMatchCode.BAD_MASK),
  ],
  [
    'half a mask',
    damaged(maskedFlow, [set8(OXM + 3, 7), set16(MATCH + 2, 15)]),
    matchError(BadMatchCode.BAD_LEN),
  ],
  ['bits outside the mask', damaged(maskedFlow, [set8(OXM + 7, 1)]), matchError(BadMatchCode.BAD_WILDCARDS)],
  [
    'a VLAN id of 14 bits',
    damaged({ type: 'flow_mod', match: { vlan_vid: 0x1001 } }, [set16(OXM + 4, 0x3001)]),
    matchError(BadMatchCode.BAD_VALUE),
  ],
  [
    'a DSCP of 7 bits',
    damaged({ type: 'flow_mod', match: { ip_dscp: 1 } }, [set8(OXM + 4, 64)]),
    matchError(BadMatchCode.BAD_VALUE),
  ],
  // Instructions
  [
    'an unknown instruction',
    damaged(gotoFlow, [set16(INSTRUCTION, 7)]),
    instructionError(BadInstructionCode.UNKNOWN_INST),
  ],
  [
    'an instruction of length 0',
    damaged(gotoFlow, [set16(INSTRUCTION + 2, 0)]),
    instructionError(BadInstructionCode.BAD_LEN),
  ],
  [
    'an instruction longer than the message',
    damaged(gotoFlow, [set16(INSTRUCTION + 2, 16)]),
    instructionError(BadInstructionCode.BAD_LEN),
  ],
  [
    'a goto_table of 16 bytes',
    damaged(gotoFlow, [set16(INSTRUCTION + 2, 16)], 8),
    instructionError(BadInstructionCode.BAD_LEN),
  ],
  [
    'an instruction not of 8-byte size',
    damaged(applyFlow, [set16(INSTRUCTION + 2, 20)], -4),
    instructionError(BadInstructionCode.BAD_LEN),
  ],
  ['half an instruction header', damaged(gotoFlow, [], -6), instructionError(BadInstructionCode.BAD_LEN)],
  [
    'an instruction without experimenter',
    damaged(gotoFlow, [set16(INSTRUCTION, 0xffff), set16(INSTRUCTION + 2, 4)], -4),
    instructionError(BadInstructionCode.BAD_LEN),
  ],
  // Actions
  ['an unknown action', damaged(output, [set16(ACTION, 1)]), actionError(BadActionCode.BAD_TYPE)],
  ['an action of length 0', damaged(output, [set16(ACTION + 2, 0)]), actionError(BadActionCode.BAD_LEN)],
  [
    'an action longer than the actions',
    damaged(output, [set16(ACTION + 2, 24)]),
    actionError(BadActionCode.BAD_LEN),
  ],
  ['an output of 8 bytes', damaged(output, [set16(ACTION + 2, 8)]), actionError(BadActionCode.BAD_LEN)],
  [
    'an action not of 8-byte size',
    damaged(output, [set16(ACTION + 2, 12)]),
    actionError(BadActionCode.BAD_LEN),
  ],
  ['actions longer than the message', damaged(output, [set16(16, 64)]), BAD_LEN],
  [
    'an action in an instruction, too long',
    damaged(applyFlow, [set16(66, 24)]),
    actionError(BadActionCode.BAD_LEN),
  ],
  [
    'an unknown action in an instruction',
    damaged(applyFlow, [set16(64, 28)]),
    actionError(BadActionCode.BAD_TYPE),
  ],
  [
    'set_field of an unknown field',
    damaged(setIp, [set8(ACTION + 6, 40 << 1)]),
    actionError(BadActionCode.BAD_SET_TYPE),
  ],
  [
    'set_field of an unknown class',
    damaged(setIp, [set16(ACTION + 4, 0)]),
    actionError(BadActionCode.BAD_SET_TYPE),
  ],
  ['set_field of in_port', damaged(setIp, [set8(ACTION + 6, 0)]), actionError(BadActionCode.BAD_SET_TYPE)],
  [
    'set_field of cell',
    damaged(
      {
        type: 'flow_mod',
        match: { cell: 1 },
        instructions: [
          { type: 'write_actions', actions: [{ type: 'set_field', field: { ipv4_src: '0.0.0.1' } }] },
        ],
      },
      [(b) => b.set(b.slice(OXM, OXM + 12), b.length - 12)],
    ),
    actionError(BadActionCode.BAD_SET_TYPE),
  ],
  [
    'set_field with a mask',
    damaged({ type: 'packet_out', actions: [{ type: 'set_field', field: { ipv4_src: '10.0.0.1' } }] }, [
      set8(ACTION + 6, (11 << 1) | 1),
    ]),
    actionError(BadActionCode.BAD_SET_TYPE),
  ],
  [
    'set_field of the wrong length',
    damaged(setIp, [set8(ACTION + 7, 3)]),
    actionError(BadActionCode.BAD_SET_LEN),
  ],
  [
    'set_field longer than its action',
    damaged(setIp, [set8(ACTION + 7, 9)]),
    actionError(BadActionCode.BAD_SET_LEN),
  ],
  [
    'set_field with 8 bytes too many',
    damaged(setDscp, [set16(ACTION + 2, 24), set16(16, 24)], 8),
    actionError(BadActionCode.BAD_SET_LEN),
  ],
  [
    'set_field without a field',
    damaged({ type: 'packet_out', actions: [{ type: 'pop_vlan' }] }, [set16(ACTION, 25)]),
    actionError(BadActionCode.BAD_SET_TYPE),
  ],
  [
    'set_field of a value that is too large',
    damaged(setDscp, [set8(ACTION + 8, 64)]),
    actionError(BadActionCode.BAD_SET_ARGUMENT),
  ],
  // Others
  [
    'a bucket of length 0',
    damaged({ type: 'group_mod', command: 0, group_id: 1, buckets: [{}] }, [set16(16, 0)]),
    errorName(ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.BAD_BUCKET),
  ],
  [
    'an unknown meter band',
    damaged({ type: 'meter_mod', command: 0, meter_id: 1, bands: [{ type: 'drop', rate: 1 }] }, [
      set16(16, 3),
    ]),
    errorName(ErrorType.METER_MOD_FAILED, MeterModFailedCode.BAD_BAND),
  ],
  [
    'an unknown table feature property',
    damaged(
      {
        type: 'multipart_request',
        body: {
          type: 'table_features',
          tables: [{ table_id: 0, properties: [{ type: 'match', oxm_ids: [1] }] }],
        },
      },
      [set16(80, 99)],
    ),
    errorName(ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_TYPE),
  ],
  [
    'a table feature property of odd length',
    damaged(
      {
        type: 'multipart_request',
        body: {
          type: 'table_features',
          tables: [{ table_id: 0, properties: [{ type: 'match', oxm_ids: [1] }] }],
        },
      },
      [set16(82, 7)],
    ),
    BAD_LEN,
  ],
  // Experimenters
  [
    'an experimenter message without exp_type',
    damaged({ type: 'experimenter', experimenter: 1, exp_type: 1 }, [], -1),
    BAD_LEN,
  ],
  ['an unknown type of our extension', damaged(rule, [set8(15, 99)]), request(BadRequestCode.BAD_EXP_TYPE)],
  ['a dispatch_config cut off', damaged({ type: 'dispatch_config' }, [], -1), BAD_LEN],
  ['more cells than the message holds', damaged(rule, [set8(39, 3)]), BAD_LEN],
  ['less cells than the message holds', damaged(rule, [set8(39, 1)]), BAD_LEN],
  ['a bad match in a dispatch_rule', damaged(rule, [set16(48, 9)]), matchError(BadMatchCode.BAD_TYPE)],
  ['a program cut off', damaged({ type: 'program', hash: 'ab'.repeat(32), total_len: 1 }, [], -1), BAD_LEN],
];

test.each(cases)('%s', (_name, bytes, error) => expect(failure(bytes)).toBe(error));

describe('what is tolerated', () => {
  test('a hello of any version', () => {
    for (const version of [1, 2, 3, 5, 6, 255]) {
      const hello = damaged({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [1, 4] }] }, [
        set8(0, version),
      ]);
      expect(decode(hello)).toEqual({
        type: 'hello',
        xid: 0,
        version,
        elements: [{ type: 'versionbitmap', versions: [1, 4] }],
      });
    }
  });

  test('a hello of another version with anything behind its header', () => {
    expect(decode(damaged({ type: 'hello' }, [set8(0, 1), set8(8, 77)], 5))).toEqual({
      type: 'hello',
      xid: 0,
      version: 1,
      elements: [],
    });
  });

  test('unknown hello elements', () => {
    const bytes = encode({
      type: 'hello',
      elements: [
        { type: 'versionbitmap', versions: [1] },
        { type: 'versionbitmap', versions: [4] },
      ],
    }).slice();
    set16(8, 2)(bytes);
    expect(decode(bytes)).toMatchObject({ elements: [{ type: 'versionbitmap', versions: [4] }] });
  });

  test('experimenters of others are kept as bytes', () => {
    const message = {
      type: 'experimenter',
      xid: 5,
      experimenter: 0x2320,
      exp_type: 10,
      data: new Uint8Array([1]),
    } as const;
    expect(decode(encode(message))).toEqual(message);
  });

  test('padding that is not zero', () => {
    const bytes = encode({ type: 'role_request', role: 2 }).slice();
    bytes.fill(0xff, 12, 16);
    expect(decode(bytes)).toMatchObject({ type: 'role_request', role: 2 });
  });
});

test('the error message that answers carries xid, type, code and at least 64 bytes of the request', () => {
  const bytes = damaged({ ...ipFlow, xid: 4711 }, [set16(MATCH, 0)]);
  let error: OpenFlowError | undefined;
  try {
    decode(bytes);
  } catch (caught) {
    error = caught as OpenFlowError;
  }
  const answer = toErrorMessage(error as OpenFlowError, bytes);
  expect(decode(encode(answer))).toEqual({
    type: 'error',
    xid: 4711,
    error_type: ErrorType.BAD_MATCH,
    code: BadMatchCode.BAD_TYPE,
    data: bytes,
  });
  const long = encode({ type: 'echo_request', data: new Uint8Array(9000) });
  const { data } = toErrorMessage(new OpenFlowError(1, 6, 'x'), long);
  expect(data.length).toBeGreaterThanOrEqual(64);
  expect(data).toEqual(long.slice(0, data.length));
});

test('a name that fills its field has no room for its NUL: its last byte is taken for one', () => {
  const bytes = encode({ type: 'port_status', reason: 0, desc: { port_no: 1, name: 'a'.repeat(15) } });
  const whole = Uint8Array.from(bytes);
  whole.fill(0x61, 32, 48);
  const message = decode(whole);
  expect(message).toMatchObject({ desc: { name: 'a'.repeat(15) } });
  expect(encode(message)).toEqual(bytes);
});
