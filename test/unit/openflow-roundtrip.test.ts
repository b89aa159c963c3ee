import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flowcellMessages } from '../../openflow/flowcell-messages.ts';
import { decode, EncodeError, encode, encodeInto, type Message } from '../../openflow/index.ts';
import type { MessageDef } from '../../openflow/schema/messages.ts';
import type { Variant, Variants } from '../../openflow/schema/types.ts';
import { action, instruction, oxmFields } from '../../openflow/v13/actions.ts';
import { messages } from '../../openflow/v13/messages.ts';
import { meterBand, tableFeatureProperty } from '../../openflow/v13/structs.ts';
import { messageArbitrary, oxmArbitrary, setFieldArbitrary, variantArbitrary } from './openflow-arbitrary.ts';

/** What was encoded is decoded to the same values, and these encode to the same bytes. */
function roundTrip(message: unknown): void {
  const bytes = encode(message as Message);
  const decoded = decode(bytes);
  deepStrictEqual(decoded, message);
  deepStrictEqual(encode(decoded), bytes);
}

const holds = (arbitrary: fc.Arbitrary<unknown>, numRuns = 40) =>
  fc.assert(fc.property(arbitrary, roundTrip), { numRuns });

const defs: [string, MessageDef][] = Object.entries({ ...messages, ...flowcellMessages });
const variants = (table: Variants): [string, Variant][] => Object.entries(table);

describe('every declared type survives encode and decode', () => {
  test.each(defs)('message %s', (type, def) => holds(messageArbitrary(type, def), 60));

  test.each(variants(messages.multipart_request.fields.body.variants))('multipart_request %s', (type, v) =>
    holds(variantArbitrary(type, v).map((body) => ({ type: 'multipart_request', xid: 1, flags: 0, body }))),
  );

  test.each(variants(messages.multipart_reply.fields.body.variants))('multipart_reply %s', (type, v) =>
    holds(variantArbitrary(type, v).map((body) => ({ type: 'multipart_reply', xid: 1, flags: 1, body }))),
  );

  const packetOut = { type: 'packet_out', xid: 2, buffer_id: 1, in_port: 2, data: new Uint8Array(3) };
  test.each(variants(action.variants))('action %s', (type, v) =>
    holds(variantArbitrary(type, v, true).map((one) => ({ ...packetOut, actions: [one, one] }))),
  );

  const features = {
    table_id: 1,
    name: 'x',
    metadata_match: 0n,
    metadata_write: 0n,
    config: 0,
    max_entries: 9,
  };
  test.each(variants(tableFeatureProperty.variants))('table feature property %s', (type, v) =>
    holds(
      variantArbitrary(type, v).map((one) => ({
        type: 'multipart_reply',
        xid: 1,
        flags: 0,
        body: { type: 'table_features', tables: [{ ...features, properties: [one] }] },
      })),
    ),
  );

  test.each(variants(meterBand.variants))('meter band %s', (type, v) =>
    holds(
      variantArbitrary(type, v).map((band) => ({
        type: 'meter_mod',
        xid: 1,
        command: 0,
        flags: 1,
        meter_id: 7,
        bands: [band],
      })),
    ),
  );

  const flowMod = decode(encode({ type: 'flow_mod', match: {} })) as Extract<Message, { type: 'flow_mod' }>;
  test.each(variants(instruction.variants))('instruction %s', (type, v) =>
    holds(variantArbitrary(type, v, true).map((one) => ({ ...flowMod, instructions: [one] }))),
  );

  test.each(Object.entries(oxmFields))('match field %s', (name, field) =>
    holds(
      oxmArbitrary(field).map((value) => ({ ...flowMod, match: { [name]: value } })),
      60,
    ),
  );

  test('set_field of any settable field', () =>
    holds(
      setFieldArbitrary(oxmFields).map((field) => ({
        ...packetOut,
        actions: [{ type: 'set_field', field }],
      })),
      300,
    ));
});

test('OpenFlow 1.3 has 40 match fields, numbered without gap', () => {
  const basic = Object.values(oxmFields).filter((field) => field.oxmClass === 0x8000);
  expect(basic.map((field) => field.field)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

test('encodeInto writes the same bytes at an offset, and says when the target is too short', () => {
  fc.assert(
    fc.property(messageArbitrary('flow_mod', messages.flow_mod), fc.nat(100), (value, offset) => {
      const message = value as Message;
      const bytes = encode(message);
      const target = new Uint8Array(offset + bytes.length + 5);
      expect(encodeInto(message, target, offset)).toBe(offset + bytes.length);
      expect(target.subarray(offset, offset + bytes.length)).toEqual(bytes);
      expect(target.subarray(offset + bytes.length)).toEqual(new Uint8Array(5));
      const short = new Uint8Array(offset + bytes.length - 1);
      expect(encodeInto(message, short, offset)).toBe(offset + bytes.length);
      expect(short.subarray(0, offset)).toEqual(new Uint8Array(offset));
    }),
  );
});

test('messages encoded before stay as they are', () => {
  const kept: [Uint8Array, Uint8Array][] = [];
  for (let i = 0; i < 400; i++) {
    const bytes = encode({ type: 'echo_request', xid: i, data: new Uint8Array(i * 13).fill(i) });
    kept.push([bytes, bytes.slice()]);
  }
  for (const [bytes, copy] of kept) expect(bytes).toEqual(copy);
});

test('the longest message is 65535 bytes', () => {
  const bytes = encode({ type: 'echo_request', xid: 1, data: new Uint8Array(65535 - 8).fill(9) });
  expect(bytes.length).toBe(65535);
  expect(decode(bytes)).toMatchObject({ type: 'echo_request', xid: 1 });
});

test('byte fields are views of what was decoded', () => {
  const bytes = Buffer.concat([
    Buffer.alloc(3),
    encode({ type: 'echo_request', data: new Uint8Array([1, 2]) }),
  ]);
  const message = decode(bytes.subarray(3)) as Extract<Message, { type: 'echo_request' }>;
  bytes[bytes.length - 1] = 77;
  expect(message.data).toEqual(new Uint8Array([1, 77]));
});

describe('forms that encode takes besides the decoded one', () => {
  const matchOf = (match: object) =>
    (decode(encode({ type: 'flow_mod', match })) as Extract<Message, { type: 'flow_mod' }>).match;

  test.each([
    [{ ipv4_src: '10.1.2.3/8' }, { ipv4_src: ['10.0.0.0', '255.0.0.0'] }],
    [{ ipv4_src: '10.1.2.3/255.255.0.0' }, { ipv4_src: ['10.1.0.0', '255.255.0.0'] }],
    [{ ipv4_src: '10.1.2.3/0' }, { ipv4_src: ['0.0.0.0', '0.0.0.0'] }],
    [{ ipv6_dst: '2001:DB8:0:0:1::1/36' }, { ipv6_dst: ['2001:db8::', 'ffff:ffff:f000::'] }],
    [{ ipv6_dst: '::ffff:10.0.0.1' }, { ipv6_dst: '::ffff:a00:1' }],
    [
      { eth_dst: ['FF:FF:FF:FF:FF:FF', '01:00:00:00:00:00'] },
      { eth_dst: ['01:00:00:00:00:00', '01:00:00:00:00:00'] },
    ],
    [{ vlan_vid: [0x1fff, 0x1000] }, { vlan_vid: [0x1000, 0x1000] }],
    [{ in_port: undefined, eth_type: 0x800 }, { eth_type: 0x800 }],
  ])('%j', (given, decoded) => expect(matchOf(given)).toEqual(decoded));

  test('defaults', () => {
    expect(decode(encode({ type: 'flow_mod' }))).toEqual({
      type: 'flow_mod',
      xid: 0,
      cookie: 0n,
      cookie_mask: 0n,
      table_id: 0,
      command: 0,
      idle_timeout: 0,
      hard_timeout: 0,
      priority: 0x8000,
      buffer_id: 0xffffffff,
      out_port: 0xffffffff,
      out_group: 0xffffffff,
      flags: 0,
      match: {},
      instructions: [],
    });
  });
});

const refused: [message: object, code: string, field: string][] = [
  [{ type: 'flow_mod', priority: 65536 }, 'FC_OF_BAD_FIELD', 'flow_mod.priority'],
  [{ type: 'flow_mod', priority: 1.5 }, 'FC_OF_BAD_FIELD', 'flow_mod.priority'],
  [{ type: 'flow_mod', priority: '1' }, 'FC_OF_BAD_FIELD', 'flow_mod.priority'],
  [{ type: 'flow_mod', xid: -1 }, 'FC_OF_BAD_FIELD', 'flow_mod.xid'],
  [{ type: 'flow_mod', cookie: 1 }, 'FC_OF_BAD_FIELD', 'flow_mod.cookie'],
  [{ type: 'flow_mod', cookie: -1n }, 'FC_OF_BAD_FIELD', 'flow_mod.cookie'],
  [{ type: 'flow_mod', cookie: 2n ** 64n }, 'FC_OF_BAD_FIELD', 'flow_mod.cookie'],
  [{ type: 'flow_mod', match: null }, 'FC_OF_BAD_FIELD', 'flow_mod.match'],
  [{ type: 'flow_mod', match: { in_port: 2 ** 32 } }, 'FC_OF_BAD_FIELD', 'match.in_port'],
  [{ type: 'flow_mod', match: { in_port: [1, 1] } }, 'FC_OF_BAD_FIELD', 'match.in_port'],
  [{ type: 'flow_mod', match: { vlan_vid: 0x2000 } }, 'FC_OF_BAD_FIELD', 'match.vlan_vid'],
  [{ type: 'flow_mod', match: { eth_src: '0:1:2:3:4:5' } }, 'FC_OF_BAD_FIELD', 'match.eth_src'],
  [{ type: 'flow_mod', match: { eth_src: '00-01-02-03-04-05' } }, 'FC_OF_BAD_FIELD', 'match.eth_src'],
  [{ type: 'flow_mod', match: { ipv4_src: '10.0.0' } }, 'FC_OF_BAD_FIELD', 'match.ipv4_src'],
  [{ type: 'flow_mod', match: { ipv4_src: '10.0.0.256' } }, 'FC_OF_BAD_FIELD', 'match.ipv4_src'],
  [{ type: 'flow_mod', match: { ipv4_src: '10.0.0.1.' } }, 'FC_OF_BAD_FIELD', 'match.ipv4_src'],
  [{ type: 'flow_mod', match: { ipv4_src: '10.0.0.1/33' } }, 'FC_OF_BAD_FIELD', 'match.ipv4_src'],
  [{ type: 'flow_mod', match: { ipv6_src: '1::2::3' } }, 'FC_OF_BAD_FIELD', 'match.ipv6_src'],
  [{ type: 'flow_mod', match: { ipv6_src: '1:2:3:4:5:6:7' } }, 'FC_OF_BAD_FIELD', 'match.ipv6_src'],
  [{ type: 'flow_mod', match: { ipv6_src: 'g::' } }, 'FC_OF_BAD_FIELD', 'match.ipv6_src'],
  [{ type: 'flow_mod', match: { ip_source: 1 } }, 'FC_OF_UNKNOWN_TYPE', 'match'],
  [{ type: 'flow_mod', instructions: {} }, 'FC_OF_BAD_FIELD', 'flow_mod.instructions'],
  [{ type: 'flow_mod', instructions: [null] }, 'FC_OF_BAD_FIELD', 'instruction'],
  [{ type: 'flow_mod', instructions: [{ type: 'go' }] }, 'FC_OF_UNKNOWN_TYPE', 'instruction'],
  [{ type: 'packet_out', actions: [{ type: 'output', port: -1 }] }, 'FC_OF_BAD_FIELD', 'action output.port'],
  [{ type: 'packet_out', actions: [{ type: 'set_field', field: {} }] }, 'FC_OF_BAD_FIELD', 'set_field.field'],
  [
    { type: 'packet_out', actions: [{ type: 'set_field', field: { ip_dscp: 1, ip_ecn: 1 } }] },
    'FC_OF_BAD_FIELD',
    'set_field.field',
  ],
  [
    { type: 'packet_out', actions: [{ type: 'set_field', field: { in_port: 1 } }] },
    'FC_OF_BAD_FIELD',
    'set_field.field',
  ],
  [
    { type: 'packet_out', actions: [{ type: 'experimenter', experimenter: 1, data: new Uint8Array(3) }] },
    'FC_OF_BAD_FIELD',
    'action experimenter',
  ],
  [{ type: 'packet_out', data: 'abc' }, 'FC_OF_BAD_FIELD', 'packet_out.data'],
  [{ type: 'packet_out', data: new Uint8Array(65536) }, 'FC_OF_TOO_LONG', 'packet_out'],
  [{ type: 'packet_in', reason: 0 }, 'FC_OF_BAD_FIELD', 'packet_in.total_len'],
  [
    { type: 'port_status', reason: 0, desc: { port_no: 1, name: 'x'.repeat(16) } },
    'FC_OF_BAD_FIELD',
    'port.name',
  ],
  [{ type: 'port_status', reason: 0 }, 'FC_OF_BAD_FIELD', 'port_status.desc'],
  [{ type: 'multipart_request', body: { type: 'x' } }, 'FC_OF_UNKNOWN_TYPE', 'multipart_request.body'],
  [
    { type: 'dispatch_rule', cells: Array.from({ length: 256 }, () => ({})) },
    'FC_OF_BAD_FIELD',
    'dispatch_rule.cells',
  ],
  [{ type: 'dispatch_rule', cells: [{ program: 'ab' }] }, 'FC_OF_BAD_FIELD', 'cell_spec.program'],
  [{ type: 'hello', elements: [{ type: 'versionbitmap', versions: [256] }] }, 'FC_OF_BAD_FIELD', 'versions'],
  [{ type: 'toString' }, 'FC_OF_UNKNOWN_TYPE', 'type'],
];

test.each(refused.map((row, i) => [`${row[2]} (case ${i})`, ...row] as const))(
  'encode refuses a bad %s',
  (_, message, code, field) => {
    let error: unknown;
    try {
      encode(message as never);
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ name: 'EncodeError', code, field });
    expect((error as Error).message).toContain(field === 'type' ? 'toString' : field);
  },
);

test('TypeScript knows the fields of each type, and which may be left out', () => {
  // @ts-expect-error priority is a number
  expect(() => encode({ type: 'flow_mod', priority: 'high' })).toThrow(EncodeError);
  // @ts-expect-error total_len has no default
  expect(() => encode({ type: 'packet_in', reason: 0 })).toThrow(EncodeError);
  // @ts-expect-error there is no such match field
  expect(() => encode({ type: 'flow_mod', match: { ip_source: 1 } })).toThrow(EncodeError);
  // @ts-expect-error there is no such action
  expect(() => encode({ type: 'packet_out', actions: [{ type: 'push', port: 1 }] })).toThrow(EncodeError);

  const message = decode(
    encode({ type: 'multipart_reply', body: { type: 'flow', flows: [{ match: { in_port: 3 } }] } }),
  );
  if (message.type !== 'multipart_reply' || message.body.type !== 'flow') expect.unreachable();
  const port: number | undefined = message.body.flows[0].match.in_port;
  expect(port).toBe(3);
});
