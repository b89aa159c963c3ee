/** Messages in messages, the names of errors, bodies and messages of experimenters, and what tables say of themselves. */
import { describe, expect, test } from 'vitest';
import { OpenFlowError } from '../../openflow/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import * as v11 from '../../openflow/v11/index.ts';
import * as v13 from '../../openflow/v13/index.ts';
import * as v14 from '../../openflow/v14/index.ts';
import * as v15 from '../../openflow/v15/index.ts';
import { bundledMessage, decodeAny, errorMessageName, forwardedRequest } from '../../openflow/versions.ts';
import { VERSIONS } from '../support/openflow-versions.ts';

function failure(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(OpenFlowError);
    return (error as OpenFlowError).code;
  }
  return 'none';
}

describe('messages in messages', () => {
  const add = (inner: Uint8Array, xid = 5) =>
    v14.decode(
      v14.encode({ type: 'bundle_add_message', xid, bundle_id: 1, message: inner }),
    ) as v14.MessageOf<'bundle_add_message'>;

  test('what a bundle_add_message adds', () => {
    const message = bundledMessage(v14.codec, add(v14.encode({ type: 'flow_mod', xid: 5, priority: 7 })));
    expect(message).toMatchObject({ type: 'flow_mod', priority: 7 });
    if (message.type === 'flow_mod') expect(message.importance satisfies number).toBe(0);
  });

  test('the ONF’s of OpenFlow 1.3', () => {
    const inner = v13.encode({ type: 'port_mod', xid: 9, port_no: 1, hw_addr: '00:00:00:00:00:01' });
    const bytes = v13.encode({ type: 'onf_bundle_add_message', xid: 9, bundle_id: 1, message: inner });
    // The experimenter header: the ONF's id and 2301.
    expect(Buffer.from(bytes.subarray(8, 16)).toString('hex')).toBe('4f4e4600000008fd');
    const outer = v13.decode(bytes) as v13.MessageOf<'onf_bundle_add_message'>;
    expect(bundledMessage(v13.codec, outer)).toMatchObject({ type: 'port_mod', port_no: 1 });
  });

  test('another xid, version or length is refused', () => {
    const flowMod = v14.encode({ type: 'flow_mod', xid: 6 });
    expect(failure(() => bundledMessage(v14.codec, add(flowMod)))).toBe('FC_OF_BUNDLE_FAILED_MSG_BAD_XID');
    const old = v13.encode({ type: 'flow_mod', xid: 5 });
    expect(failure(() => bundledMessage(v14.codec, add(old)))).toBe('FC_OF_BAD_REQUEST_BAD_VERSION');
    const hello = v13.encode({ type: 'hello', xid: 5 });
    expect(failure(() => bundledMessage(v14.codec, add(hello)))).toBe('FC_OF_BAD_REQUEST_BAD_VERSION');
    const long = v14.encode({ type: 'bundle_add_message', xid: 6, bundle_id: 1, message: flowMod }).slice();
    long[19] += 8;
    expect(failure(() => v14.decode(long))).toBe('FC_OF_BUNDLE_FAILED_MSG_BAD_LEN');
  });

  test('what a requestforward tells of', () => {
    const request = v15.encode({ type: 'meter_mod', xid: 1, command: 0, meter_id: 3 });
    const forward = v15.decode(v15.encode({ type: 'requestforward', xid: 0, request }));
    if (forward.type !== 'requestforward') expect.unreachable();
    const told = forwardedRequest(v15.codec, forward);
    expect(told.type === 'meter_mod' && told.meter_id).toBe(3);
    const other = { request: v15.encode({ type: 'echo_request' }) };
    expect(failure(() => forwardedRequest(v15.codec, other))).toBe('FC_OF_BAD_REQUEST_BAD_TYPE');
  });
});

describe('errors have the names of their version', () => {
  test.each([
    [1, 1, 3, 'BAD_REQUEST/BAD_VENDOR'],
    [1, 3, 5, 'FLOW_MOD_FAILED/UNSUPPORTED'],
    [1, 4, 1, 'PORT_MOD_FAILED/BAD_HW_ADDR'],
    [2, 1, 2, 'BAD_REQUEST/BAD_STAT'],
    [2, 3, 5, 'BAD_INSTRUCTION/UNSUP_EXP_INST'],
    [3, 11, 0, 'ROLE_REQUEST_FAILED/STALE'],
    [3, 12, 0, '12/0'],
    [4, 12, 3, 'METER_MOD_FAILED/UNKNOWN_METER'],
    [4, 17, 9, '17/9'],
    [5, 17, 9, 'BUNDLE_FAILED/MSG_BAD_XID'],
    [5, 13, 2, 'TABLE_FEATURES_FAILED/2'],
    [6, 17, 18, 'BUNDLE_FAILED/SCHED_PAST'],
    [6, 2, 17, 'BAD_ACTION/BAD_METER'],
    [6, 2, 99, 'BAD_ACTION/99'],
  ] as const)('wire version %i: %i/%i is %s', (version, error_type, code, name) => {
    expect(errorMessageName(version, { error_type, code, data: new Uint8Array(0) })).toBe(name);
  });

  test.each([
    [0x4f4e4600, 2309, 'ONF/BUNDLE_FAILED/MSG_BAD_XID'],
    [0x4f4e4600, 4444, 'ONF/BAD_PROPERTY/DUP_TYPE'],
    [0x4f4e4600, 2600, 'ONF/BAD_INSTRUCTION/DUP_INST'],
    [0x2320, 35, 'NX/RESUME/STALE'],
    [0x2320, 999, '0x2320/999'],
  ])('experimenter 0x%i, %i is %s', (id, code, name) => {
    const data = new Uint8Array([id >>> 24, id >>> 16, id >>> 8, id, 4, 2]);
    expect(errorMessageName(4, { error_type: 0xffff, code, data })).toBe(name);
    expect(errorMessageName(4, { error_type: 0xffff, code, data: data.subarray(0, 3) })).toBe(
      `EXPERIMENTER/${code}`,
    );
  });

  test('decode throws those that its version has', () => {
    const features = { table_id: 1, properties: [{ type: 'match' as const, oxm_ids: [1] }] };
    const bytes = v14
      .encode({ type: 'multipart_request', body: { type: 'table_features', tables: [features] } })
      .slice();
    // The type of the property, behind the headers of message, multipart and structure.
    bytes[8 + 8 + 64] = 0x77;
    expect(failure(() => v14.decode(bytes))).toBe('FC_OF_BAD_PROPERTY_BAD_TYPE');
    const eleven = v11.encode({ type: 'flow_mod', instructions: [{ type: 'clear_actions' }] }).slice();
    eleven[eleven.length - 5] = 9;
    expect(failure(() => v11.decode(eleven))).toBe('FC_OF_BAD_REQUEST_BAD_LEN');
  });
});

describe('statistics of experimenters', () => {
  test('Nicira’s flow statistics in OpenFlow 1.0: subtype and padding behind the vendor', () => {
    const bytes = v10.encode({
      type: 'stats_request',
      body: { type: 'nx_flow', match: { reg0: 5 }, table_id: 3 },
    });
    expect(Buffer.from(bytes.subarray(8)).toString('hex')).toBe(
      'ffff0000000023200000000000000000ffff0008030000000001000400000005',
    );
    const message = v10.decode(bytes);
    expect(message.type === 'stats_request' && message.body).toMatchObject({
      type: 'nx_flow',
      match: { reg0: 5 },
    });
  });

  test('bodies of others stay as bytes', () => {
    for (const [experimenter, exp_type] of [
      [0x2320, 77],
      [0x2320, 0x10003],
      [0xabc, 3],
    ]) {
      const body = { type: 'experimenter', experimenter, exp_type, data: new Uint8Array([1, 2, 3]) } as const;
      const message = v13.decode(v13.encode({ type: 'multipart_reply', body }));
      expect(message.type === 'multipart_reply' && message.body).toEqual(body);
    }
  });
});

test.each(VERSIONS)('OpenFlow $name: every message says where it is specified', ({ wire, messages }) => {
  const shapes: Record<number, RegExp> = {
    1: /^5\.[345]\.\d$/,
    2: /^A\.[345]\.\d(\.\d)?$/,
    3: /^A\.[345]\.\d(\.\d)?$/,
  };
  for (const [name, { section }] of Object.entries(messages)) {
    const expected = /^nx_/.test(name)
      ? /^nicira-ext\.h$/
      : /^onf_/.test(name)
        ? /^EXT-\d+$/
        : (shapes[wire] ?? /^(7\.[345]\.\d+(\.\d)?|docs\/protocol\.md)$/);
    expect(section, name).toMatch(expected);
  }
});

test('what Nicira’s and the ONF’s have is told apart by type, too', () => {
  const any = decodeAny(v13.encode({ type: 'onf_role_status', role: 3, reason: 1, generation_id: 4n }));
  if (any.version !== 4 || any.message.type !== 'onf_role_status') expect.unreachable();
  expect(any.message.generation_id satisfies bigint).toBe(4n);
  // @ts-expect-error a role status has no bundle
  expect(any.message.bundle_id).toBeUndefined();
  const old = v10.decode(v10.encode({ type: 'nx_tlv_table_mod', command: 0, mappings: [] }));
  if (old.type === 'nx_tlv_table_mod') expect(old.mappings satisfies { option_class: number }[]).toEqual([]);
});
