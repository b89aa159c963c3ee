import { describe, expect, test } from 'vitest';
import { NO_BUFFER } from '../../openflow/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import * as v14 from '../../openflow/v14/index.ts';
import { type Json, PatternError } from '../conformance/json.ts';
import { match } from '../conformance/messages.ts';
import { parseFile } from '../conformance/patterns.ts';
import { PROTOCOLS, type Protocol } from '../conformance/protocol.ts';
import { report, summary, text } from '../conformance/report.ts';
import { difference } from '../conformance/run-case.ts';
import { sameFlow, sameGroup, sameMeter } from '../conformance/same.ts';

const [of10, of13, of14] = PROTOCOLS;
const mod = (value: Json) => of13.mod(value);
const oxm = (field: string, value: string | number, mask: string | number | null = null) => ({
  OXMTlv: { field, value, mask },
});
const flowMod = (body: object, { mod, name }: Protocol = of13) => {
  const message = mod({ OFPFlowMod: body as never });
  if (message.type !== 'flow_mod') throw new Error(`not ${message.type} of ${name}`);
  return message;
};
/** Of 1.3 and 1.4. */
const laterFlowMod = (body: object, protocol?: Protocol) => {
  const message = flowMod(body, protocol);
  if (!('instructions' in message)) throw new Error('this is of OpenFlow 1.0');
  return message;
};

describe("os-ken's JSON as messages", () => {
  test('flow_mod: match with masks, instructions, actions, defaults', () => {
    const message = laterFlowMod({
      table_id: 1,
      match: {
        OFPMatch: {
          oxm_fields: [
            { OXMTlv: { field: 'in_port', value: 'target_recv_port' } },
            oxm('eth_type', 2048),
            oxm('ipv4_src', '192.168.10.0', '255.255.255.0'),
            oxm('tunnel_id', 7, 15),
          ],
        },
      },
      instructions: [
        { OFPInstructionGotoTable: { table_id: 2 } },
        { OFPInstructionWriteMetadata: { metadata: 255, metadata_mask: 0xffffffff } },
        {
          OFPInstructionActions: {
            type: 3,
            actions: [
              { OFPActionOutput: { port: 'target_send_port_2' } },
              { OFPActionSetField: { field: oxm('vlan_vid', 4299) } },
              { OFPActionPopVlan: {} },
              { OFPActionPopMpls: { ethertype: 2048 } },
            ],
          },
        },
      ],
    });
    expect(message).toMatchObject({
      table_id: 1,
      priority: 0x8000,
      buffer_id: NO_BUFFER,
      cookie: 0n,
      match: {
        in_port: 1,
        eth_type: 2048,
        ipv4_src: ['192.168.10.0', '255.255.255.0'],
        tunnel_id: [7n, 15n],
      },
      instructions: [
        { type: 'goto_table', table_id: 2 },
        { type: 'write_metadata', metadata: 255n, metadata_mask: 0xffffffffn },
        {
          type: 'write_actions',
          actions: [
            { type: 'output', port: 3, max_len: 0xffe5 },
            { type: 'set_field', field: { vlan_vid: 4299 } },
            { type: 'pop_vlan' },
            { type: 'pop_mpls', ethertype: 2048 },
          ],
        },
      ],
    });
  });

  test('group_mod and meter_mod', () => {
    const buckets = [{ OFPBucket: { weight: 2, actions: [{ OFPActionOutput: { port: 2 } }] } }];
    expect(mod({ OFPGroupMod: { type: 1, group_id: 5, buckets } })).toMatchObject({
      type: 'group_mod',
      command: 0,
      group_type: 1,
      group_id: 5,
      buckets: [{ weight: 2, watch_port: 0xffffffff, actions: [{ type: 'output', port: 2 }] }],
    });
    const bands = [{ OFPMeterBandDscpRemark: { rate: 1000, prec_level: 1 } }];
    expect(mod({ OFPMeterMod: { meter_id: 1, bands } })).toMatchObject({
      flags: 1,
      bands: [{ type: 'dscp_remark', rate: 1000, burst_size: 0, prec_level: 1 }],
    });
  });

  test.each([
    [{ OFPRoleRequest: {} }, /OFPRoleRequest/],
    [{ OFPFlowMod: { colour: 1 } }, /colour of OFPFlowMod/],
    [{ OFPFlowMod: {}, OFPGroupMod: {} }, /one entry/],
    [{ OFPFlowMod: { instructions: [{ OFPInstructionActions: { type: 9 } }] } }, /no instruction 9/],
    [{ OFPFlowMod: { match: { oxm_fields: [oxm('in_port', 'nowhere')] } } }, /'nowhere'/],
  ])('what it does not know is an error: %j', (json, message) => {
    expect(() => mod(json)).toThrow(message);
    expect(() => mod(json)).toThrow(PatternError);
  });

  test('a match of its own', () => {
    expect(match({ oxm_fields: [oxm('in_port', 2), oxm('ip_dscp', 20)] })).toEqual({
      in_port: 2,
      ip_dscp: 20,
    });
  });
});

describe("os-ken's JSON of OpenFlow 1.0", () => {
  const action = (name: string, body: object) => ({ [name]: body });

  test('flow_mod: match with prefixes, every action of the patterns', () => {
    const body = {
      cookie: 7,
      command: 0,
      match: {
        OFPMatch: {
          ...{ in_port: 'target_recv_port', dl_src: '12:11:11:11:11:11', dl_vlan: 100, dl_vlan_pcp: 3 },
          ...{ dl_type: 2048, nw_tos: 32, nw_proto: 6, nw_src: '192.168.10.10', nw_src_mask: 24 },
          ...{ nw_dst: '192.168.20.20', tp_src: 11111, tp_dst: 2222 },
        },
      },
      actions: [
        action('OFPActionVlanVid', { vlan_vid: 203 }),
        action('OFPActionVlanPcp', { vlan_pcp: 5 }),
        action('OFPActionStripVlan', {}),
        action('OFPActionSetDlSrc', { dl_addr: 'aa:aa:aa:aa:aa:aa' }),
        action('OFPActionSetDlDst', { dl_addr: 'ba:bb:bb:bb:bb:bb' }),
        action('OFPActionSetNwSrc', { nw_addr: '10.10.10.10' }),
        action('OFPActionSetNwDst', { nw_addr: '10.10.20.20' }),
        action('OFPActionSetNwTos', { tos: 64 }),
        action('OFPActionSetTpSrc', { tp: 12345 }),
        action('OFPActionSetTpDst', { tp: 6789 }),
        action('OFPActionOutput', { port: 'target_send_port_1' }),
        action('OFPActionOutput', { port: 65533 }),
      ],
    };
    const message = flowMod(body, of10);
    expect(message).toMatchObject({
      ...{ command: 0, priority: 0x8000, cookie: 7n, buffer_id: NO_BUFFER, out_port: v10.Port.NONE },
      match: {
        ...{ in_port: 1, dl_src: '12:11:11:11:11:11', dl_vlan: 100, dl_vlan_pcp: 3, dl_type: 2048 },
        ...{ nw_tos: 32, nw_proto: 6, nw_src: ['192.168.10.0', '255.255.255.0'] },
        ...{ nw_dst: '192.168.20.20', tp_src: 11111, tp_dst: 2222 },
      },
      actions: [
        { type: 'set_vlan_vid', vlan_vid: 203 },
        { type: 'set_vlan_pcp', vlan_pcp: 5 },
        { type: 'strip_vlan' },
        { type: 'set_dl_src', dl_addr: 'aa:aa:aa:aa:aa:aa' },
        { type: 'set_dl_dst', dl_addr: 'ba:bb:bb:bb:bb:bb' },
        { type: 'set_nw_src', nw_addr: '10.10.10.10' },
        { type: 'set_nw_dst', nw_addr: '10.10.20.20' },
        { type: 'set_nw_tos', nw_tos: 64 },
        { type: 'set_tp_src', tp_port: 12345 },
        { type: 'set_tp_dst', tp_port: 6789 },
        { type: 'output', port: 2, max_len: 0xffe5 },
        { type: 'output', port: v10.Port.CONTROLLER, max_len: 0xffe5 },
      ],
    });
    expect(v10.encode(message as v10.MessageInit)[0]).toBe(1);
  });

  test.each([
    [{ OFPGroupMod: {} }, /OFPGroupMod/],
    [{ OFPFlowMod: { instructions: [] } }, /instructions of OFPFlowMod/],
    [{ OFPFlowMod: { match: { OFPMatch: { oxm_fields: [] } } } }, /oxm_fields of OFPMatch/],
    [{ OFPFlowMod: { actions: [{ OFPActionSetField: {} }] } }, /OFPActionSetField/],
  ])('what it does not have is an error: %j', (json, message) => {
    expect(() => of10.mod(json as Json)).toThrow(message);
    expect(() => of10.mod(json as Json)).toThrow(PatternError);
  });

  test('statistics show an entry whatever else they say of what it does not compare', () => {
    const installed = flowMod({ match: { OFPMatch: { dl_type: 2048 } } }, of10);
    const shown = { ...installed, table_id: 3, match: { dl_type: 2048, wildcards: 0x3fffef } };
    expect(sameFlow(shown as never, installed)).toBe(true);
    expect(sameFlow({ ...shown, match: { dl_type: 2054 } } as never, installed)).toBe(false);
    expect(sameFlow({ ...shown, actions: [{ type: 'strip_vlan' }] } as never, installed)).toBe(false);
  });
});

test("os-ken's JSON of OpenFlow 1.4 is that of 1.3, with pbb_uca, in messages of 1.4", () => {
  const body = {
    match: { OFPMatch: { oxm_fields: [oxm('eth_type', 35047), oxm('pbb_uca', 1)] } },
    instructions: [
      {
        OFPInstructionActions: {
          type: 4,
          actions: [{ OFPActionSetField: { field: oxm('pbb_uca', 0) } }, { OFPActionOutput: { port: 2 } }],
        },
      },
    ],
  };
  const message = laterFlowMod(body, of14);
  expect(message).toMatchObject({
    importance: 0,
    match: { eth_type: 35047, pbb_uca: 1 },
    instructions: [
      { type: 'apply_actions', actions: [{ type: 'set_field', field: { pbb_uca: 0 } }, { port: 2 }] },
    ],
  });
  // Field 41 of the specification's own class.
  expect(v14.encode(message as v14.MessageInit).subarray(58, 63)).toEqual(
    new Uint8Array([0x80, 0, 82, 1, 1]),
  );
});

describe('what statistics show', () => {
  const installed = laterFlowMod({
    match: { oxm_fields: [oxm('eth_type', 2048), oxm('ipv4_src', '10.0.0.1')] },
    instructions: [
      { OFPInstructionMeter: { meter_id: 1 } },
      { OFPInstructionActions: { type: 4, actions: [{ OFPActionOutput: { port: 2 } }] } },
    ],
  });
  const shown = {
    ...installed,
    ...{ duration_sec: 1, duration_nsec: 2, packet_count: 3n, byte_count: 4n },
    instructions: [...installed.instructions].reverse(),
  };

  test('order and a mask of all ones do not count', () => {
    expect(sameFlow(shown, installed)).toBe(true);
    const match = { ipv4_src: ['10.0.0.1', '255.255.255.255'] as [string, string], eth_type: 2048 };
    expect(sameFlow({ ...shown, match }, installed)).toBe(true);
  });

  test.each<[string, object]>([
    ['a field', { match: { eth_type: 2048 } }],
    ['a mask', { match: { eth_type: 2048, ipv4_src: ['10.0.0.1', '255.255.255.254'] } }],
    ['the priority', { priority: 1 }],
    ['the cookie', { cookie: 1n }],
    ['the table', { table_id: 1 }],
    ['a timeout', { hard_timeout: 1 }],
    ['an instruction', { instructions: [] }],
  ])('%s does', (_, change) => {
    expect(sameFlow({ ...shown, ...change }, installed)).toBe(false);
  });

  test('groups and meters', () => {
    const buckets = [{ OFPBucket: { weight: 1, actions: [] } }];
    const group = mod({ OFPGroupMod: { type: 1, buckets } });
    const meter = mod({ OFPMeterMod: { bands: [{ OFPMeterBandDrop: { rate: 5 } }] } });
    if (group.type !== 'group_mod' || meter.type !== 'meter_mod') throw new Error('translated wrongly');
    expect(sameGroup({ ...group }, group)).toBe(true);
    expect(sameGroup({ ...group, buckets: [{ ...group.buckets[0], weight: 2 }] }, group)).toBe(false);
    expect(sameMeter({ ...meter }, meter)).toBe(true);
    expect(sameMeter({ ...meter, bands: [{ type: 'drop', rate: 5, burst_size: 1 }] }, meter)).toBe(false);
  });
});

test('a pattern file as cases', () => {
  const send = ['ethernet()'];
  const cases = parseFile(of13, 'match', 'match/00', [
    'a title',
    { description: 'one', prerequisite: [{ OFPFlowMod: {} }], tests: [{ ingress: send, 'table-miss': [0] }] },
    { description: 'two', prerequisite: [], tests: [{ ingress: send, PACKET_IN: send }] },
    {
      description: 'three',
      prerequisite: [],
      tests: [
        {
          ingress: { packets: { data: send, pktps: 175, duration_time: 30 } },
          egress: { throughput: [{ OFPMatch: { oxm_fields: [oxm('in_port', 2)] }, kbps: 1000 }] },
        },
      ],
    },
  ]);
  expect(cases.map(({ name, checks }) => [name, checks[0].kind])).toEqual([
    ['match/00: one', 'table-miss'],
    ['match/00: two', 'packet-in'],
    ['match/00: three', 'throughput'],
  ]);
  expect(cases[2].checks[0]).toMatchObject({
    packetsPerSecond: 175,
    seconds: 30,
    expected: [{ match: { in_port: 2 }, unit: 'kbps', value: 1000 }],
  });
  expect(() =>
    parseFile(of13, 'match', 'x', [
      { description: '', prerequisite: [], tests: [{ ingress: send, egres: send }] },
    ]),
  ).toThrow(PatternError);
});

test('where frames differ', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);
  expect(difference(bytes(1, 2), bytes(1, 2))).toBeUndefined();
  expect(difference(bytes(1, 2, 3), bytes(1, 9, 3))).toBe('0203 instead of 0903 at byte 1');
  expect(difference(bytes(1), bytes(1, 2))).toBe('1 instead of 2 bytes, from byte 1 on');
  expect(difference(bytes(1, 2, 0), bytes(1, 2))).toBe('3 instead of 2 bytes');
});

test('the report counts by group and joins failures of one cause', () => {
  const result = report(
    'flowcell',
    '1.3',
    [
      { group: 'action', name: 'action/17: a', failure: 'another packet: 00 instead of 01 at byte 3' },
      { group: 'action', name: 'action/17: b', failure: 'another packet: 02 instead of 01 at byte 7' },
      { group: 'match', name: 'match/00: c', failure: undefined },
    ],
    1.26,
  );
  expect(result).toMatchObject({
    ...{ ok: false, target: 'flowcell', openflow: '1.3', passed: 1, failed: 2, total: 3, seconds: 1.3 },
    groups: {
      action: { passed: 0, failed: 2, total: 2 },
      match: { passed: 1, failed: 0, total: 1 },
      group: { passed: 0, failed: 0, total: 0 },
      meter: { passed: 0, failed: 0, total: 0 },
    },
    failures: [{ name: 'action/17: a' }, { name: 'action/17: b' }],
  });
  expect(text(result)).toMatch(/^ {3}2 {2}action\/17: another packet\n/);
  expect(text(result)).toMatch(/all +1 +2 +3$/);
});

test('several reports in one', () => {
  const good = report('ovs', '1.0', [{ group: 'match', name: 'match/00: c', failure: undefined }], 1.24);
  const bad = report('ovs', '1.4', [{ group: 'match', name: 'match/00: c', failure: 'lost' }], 0.11);
  expect(summary('ovs', [good, bad])).toEqual({
    ...{ ok: false, target: 'ovs', openflow: 'all', passed: 1, failed: 1, total: 2, seconds: 1.3 },
    versions: [good, bad],
  });
  expect(summary('ovs', [good]).ok).toBe(true);
});
