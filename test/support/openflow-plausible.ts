/**
 * Messages as a switch or controller might send them, for oracles that check more than the format: every declared
 * type, as arbitraries make it, with values that mean something in place of random ones. The frame is real, match
 * fields have their prerequisites, ports, tables and groups exist.
 */
import fc from 'fast-check';
import { messageArbitrary } from '../unit/openflow-arbitrary.ts';
import type { Version } from './openflow-versions.ts';

type Json = Record<string, unknown>;

/** An ARP request in an Ethernet frame of the shortest length. */
export const FRAME = new Uint8Array(60);
FRAME.set(
  Buffer.from('ffffffffffff0a0027000001080600010800060400010a00270000010a0000010000000000000a000002', 'hex'),
);

const ip = { eth_type: 0x800 };
const ip6 = { eth_type: 0x86dd };
const arp = { eth_type: 0x806 };
const proto = (ip_proto: number) => ({ ...ip, ip_proto });
const nd = { ...ip6, ip_proto: 58, icmpv6_type: 135, icmpv6_code: 0 };

/** A match for each field, with what has to be in it before; in versions that do not have a field it is left out. */
const MATCHES: readonly Json[] = [
  { in_port: 3 },
  { metadata: [5n, 0xffn] },
  { in_port: 3, in_phy_port: 2 },
  { eth_src: '0a:00:27:00:00:01', eth_dst: ['01:00:00:00:00:00', '01:00:00:00:00:00'] },
  { eth_type: 0x88b5 },
  { vlan_vid: 0x1064, vlan_pcp: 3 },
  {
    ...proto(6),
    ip_dscp: 10,
    ip_ecn: 1,
    ipv4_src: '10.0.0.1',
    ipv4_dst: ['10.0.0.0', '255.0.0.0'],
    tcp_dst: 80,
  },
  { ...proto(6), tcp_src: 1024 },
  { ...proto(17), udp_src: 53, udp_dst: 53 },
  { ...proto(132), sctp_src: 5, sctp_dst: 6 },
  { ...proto(1), icmpv4_type: 8, icmpv4_code: 0 },
  { ...arp, arp_op: 1, arp_spa: '10.0.0.1', arp_tpa: '10.0.0.2' },
  { ...arp, arp_sha: '0a:00:27:00:00:01', arp_tha: '00:00:00:00:00:00' },
  { ...ip6, ipv6_src: 'fe80::1', ipv6_dst: ['2001:db8::', 'ffff:ffff::'], ipv6_flabel: 7 },
  { ...ip6, ip_proto: 58, icmpv6_type: 128, icmpv6_code: 0 },
  { ...nd, ipv6_nd_target: 'fe80::2', ipv6_nd_sll: '0a:00:27:00:00:01' },
  { ...nd, icmpv6_type: 136, ipv6_nd_target: 'fe80::2', ipv6_nd_tll: '0a:00:27:00:00:01' },
  { eth_type: 0x8847, mpls_label: 16, mpls_tc: 1, mpls_bos: 1 },
  { eth_type: 0x88e7, pbb_isid: 9 },
  { eth_type: 0x88e7, pbb_uca: 1 },
  { tunnel_id: 7n },
  { ...ip6, ipv6_exthdr: [1, 1] },
  { ...proto(6), tcp_flags: [2, 2] },
  { packet_type: 0x10800 },
  { dl_src: '0a:00:27:00:00:01', dl_type: 0x800, nw_proto: 6, nw_src: ['10.0.0.0', '255.0.0.0'], tp_dst: 80 },
  { dl_vlan: 100, dl_vlan_pcp: 1, dl_type: 0x806, nw_proto: 1 },
];
const NX_MATCHES: readonly Json[] = [
  { in_port_nxm: 3, reg0: 5, reg1: [1, 1] },
  { eth_type_nxm: 0x800, ip_proto_nxm: 6, ipv4_dst_nxm: '10.0.0.1', tcp_dst_nxm: 80 },
  { vlan_tci: [0x1064, 0x1fff], eth_src_nxm: '0a:00:27:00:00:01' },
  { eth_type_nxm: 0x86dd, ipv6_src_nxm: 'fe80::1', ip_frag: [1, 3] },
  { eth_type_nxm: 0x800, ct_state: [0x21, 0x21], ct_zone: 7, ct_mark: 1 },
  { ct_label: [`${'0'.repeat(31)}1`, 'f'.repeat(32)], tun_ipv4_dst: '10.0.0.9', tunnel_id_nxm: 9n },
  { xxreg0: '0'.repeat(32), pkt_mark: 4, conj_id: 9 },
];

/** Names of the match fields, as the message's own arbitrary makes them. */
function matchFor(known: ReadonlySet<string>, nx: boolean, pick: number): Json {
  const fits = nx
    ? NX_MATCHES
    : MATCHES.filter((match) => Object.keys(match).every((field) => known.has(field)));
  return fits.length === 0 ? {} : fits[pick % fits.length];
}

interface Context {
  readonly wire: number;
  readonly message: string;
  readonly fields: ReadonlySet<string>;
  pick: number;
}

const OXM = { eth_dst: 0x80000606, in_port: 0x80000004, reg0: 0x00010004 };
/** What a learning switch learns: packets to this one's source go out where it came in. */
const SPECS = [
  { n_bits: 48, src: 0x00000406, src_ofs: 0, dst_type: 'match', dst: 0x00000206, dst_ofs: 0 },
  { n_bits: 16, value: '0800', dst_type: 'match', dst: 0x00000602, dst_ofs: 0 },
  { n_bits: 16, src: 0x00000002, src_ofs: 0, dst_type: 'load', dst: OXM.reg0, dst_ofs: 0 },
  { n_bits: 16, src: 0x00000002, src_ofs: 0, dst_type: 'output' },
];

/** What a table that announces its features has to say at least. */
const REQUIRED_FEATURES = [
  { type: 'instructions', ids: [{ type: 'goto_table' }] },
  { type: 'next_tables', table_ids: [3] },
  { type: 'write_actions', ids: [{ type: 'output' }] },
  { type: 'apply_actions', ids: [{ type: 'output' }] },
  { type: 'match', oxm_ids: [OXM.eth_dst] },
  { type: 'wildcards', oxm_ids: [OXM.eth_dst] },
  { type: 'write_setfield', oxm_ids: [OXM.eth_dst] },
  { type: 'apply_setfield', oxm_ids: [OXM.eth_dst] },
];

const NAT_RANGE = { ipv4_min: '10.0.0.1', ipv4_max: '10.0.0.9', proto_min: 1024, proto_max: 2047 };

/** Structures and lists by the name of their field. */
const WHOLE: Record<string, unknown> = {
  oxm_ids: [OXM.eth_dst, OXM.in_port],
  oxm_values: [{ header: 0x80005804, value: '00010800' }],
  specs: SPECS,
  range: NAT_RANGE,
  learn: {
    flags: 4,
    table_id: 3,
    fin_idle_timeout: 5,
    fin_hard_timeout: 6,
    limit: 100,
    result_ofs: 0,
    result: OXM.reg0,
    specs: SPECS,
  },
};

/** Values by the name of their field; a function of where they stand. */
const NUMBERS: Record<string, (context: Context, parent: Json) => number> = {
  version: ({ wire }) => wire,
  error_type: () => 1,
  code: () => 1,
  role: ({ wire, message }) => (wire === 6 && message === 'role_request' ? 2 : 1),
  reason: ({ message }) => (message === 'table_status' ? 3 : 0),
  port_no: () => 3,
  port: () => 3,
  out_port: () => 3,
  in_port: () => 3,
  watch_port: ({ wire }) => (wire === 1 ? 3 : 0xffffffff),
  watch_group: () => 0xffffffff,
  out_group: () => 7,
  group_id: () => 7,
  meter_id: () => 5,
  queue_id: () => 1,
  table_id: (_, { type }) => (type === 'goto_table' ? 9 : 2),
  command: ({ message }) => (message === 'meter_mod' || message === 'group_mod' ? 0 : 1),
  group_type: () => 1,
  command_bucket_id: () => 0xffffffff,
  flags: ({ message }, { type, monitor_id, id }) => {
    // NX_CT_F_COMMIT, NX_NAT_F_SRC, OFPMF_KBPS; a flow monitor of added entries.
    if (type === 'nx_ct' || type === 'nx_nat' || message === 'meter_mod') return 1;
    return monitor_id !== undefined || id !== undefined ? 2 : 0;
  },
  buffer_id: () => 0xffffffff,
  packet_type: () => 0,
  ctrl_type: () => 0,
  config: () => 0,
  mask: (_, { type }) => (/^table_status/.test(String(type)) ? 0x18 : 1),
  format: ({ message }) => (message === 'nx_set_flow_format' ? 2 : 1),
  algorithm: () => 0,
  fields: () => 0,
  slave_type: () => 0x00000002,
  full_len: () => FRAME.length,
  zone_src: () => 0,
  alg: () => 21,
  bucket_id: () => 1,
  direction: () => 1,
  vacancy_down: () => 10,
  vacancy_up: () => 20,
  vacancy: () => 0,
  prefix: () => 0,
  set: () => 1,
  option_len: () => 4,
  index: ({ pick }) => pick % 64,
  ethertype: (_, { type }) =>
    /mpls/.test(String(type)) ? 0x8847 : /pbb/.test(String(type)) ? 0x88e7 : 0x8100,
  max_len: () => 128,
  weight: () => 1,
  vlan_vid: () => 100,
  vlan_pcp: () => 3,
  nw_tos: () => 0x20,
  nw_ecn: () => 1,
  mpls_label: () => 16,
  label: () => 16,
  mpls_tc: () => 1,
  tc: () => 1,
  ttl: () => 64,
  mpls_ttl: () => 64,
  nw_ttl: () => 64,
  total_len: () => FRAME.length,
  advertise: () => 0,
  new_pkt_type: () => 0,
  n_bits: () => 16,
  src_ofs: () => 0,
  dst_ofs: () => 0,
  src_offset: () => 0,
  dst_offset: () => 0,
  offset: () => 0,
  ofs_nbits: (_, { type }) => (type === 'nx_bundle' ? 0 : 31),
  n_buffers: () => 0,
  n_tables: () => 254,
  miss_send_len: () => 128,
  probability: () => 100,
  experimenter: () => 0x00abcdef,
};

/** The value that stands for a random one. */
function plausible(value: unknown, key: string, parent: Json, context: Context, nx = false): unknown {
  context.pick = (context.pick + 1) | 0;
  if (value instanceof Uint8Array) return plausibleBytes(value, key, parent, context);
  if (Object.hasOwn(WHOLE, key)) return WHOLE[key];
  if (/^(src|dst|field)$/.test(key) && (typeof value === 'number' || Array.isArray(value))) {
    return parent.type === 'nx_bundle' ? 0 : OXM.reg0;
  }
  if (Array.isArray(value)) {
    if (key === 'actions' && parent.type === 'nx_ct') return [{ type: 'nx_nat', flags: 1, range: NAT_RANGE }];
    // Of structures one: what is wrong with a message is then known by the types in it.
    const several = typeof value[0] !== 'object';
    const list = value
      .slice(0, several ? value.length : 1)
      .map((one) => plausible(one, key, parent, context, nx));
    if (/^nx_(packet_in2|resume)$/.test(context.message)) return [{ type: 'packet', data: FRAME }, ...list];
    if (key !== 'properties' || !('metadata_match' in parent)) return list;
    const given = list as { type: string }[];
    return [...REQUIRED_FEATURES.filter(({ type }) => given.every((one) => one.type !== type)), ...given];
  }
  if (key === 'match' && typeof value === 'object') {
    const pipelineOnly = context.wire === 6 && context.message === 'packet_out';
    return pipelineOnly ? { in_port: 3 } : matchFor(context.fields, nx, context.pick);
  }
  if (key === 'field' && typeof value === 'object' && value !== null) {
    return parent.type === 'nx_reg_load2' ? { reg0: [5, 7] } : { eth_dst: '0a:00:27:00:00:02' };
  }
  if (typeof value === 'object' && value !== null) {
    const object = value as Json;
    const within = nx || /^nx_/.test(String(object.type));
    return Object.fromEntries(
      Object.entries(object).map(([name, one]) => [name, plausible(one, name, object, context, within)]),
    );
  }
  if (typeof value === 'bigint' && key === 'value') return 5n;
  if (typeof value === 'number' && Object.hasOwn(NUMBERS, key)) return NUMBERS[key](context, parent);
  return value;
}

/** A port_mod to be added to a bundle, a group_mod that is forwarded: the shortest of their version. */
function innerMessage(wire: number, key: string): Uint8Array {
  const port = new Uint8Array(wire === 4 ? 40 : 32);
  port.set([wire, 16, 0, port.length, 0, 0, 0, 0, 0, 0, 0, 3]);
  const group = new Uint8Array(wire === 6 ? 24 : 16);
  group.set([wire, 15, 0, group.length, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 7]);
  // command_bucket_id: all.
  if (wire === 6) group.fill(255, 20);
  return key === 'message' ? port : group;
}

function plausibleBytes(value: Uint8Array, key: string, parent: Json, context: Context): Uint8Array {
  if (key === 'message' || key === 'request') {
    return innerMessage(context.wire, key);
  }
  if (parent.type === 'error') return new Uint8Array([context.wire, 2, 0, 8, 0, 0, 0, 9]);
  if (/^(experimenter|vendor)/.test(String(parent.type)) && context.message !== parent.type)
    return new Uint8Array(8);
  if (parent.type === 'nx_encap') return new Uint8Array(0);
  const packet = /^(packet_in|packet_out|nx_packet_in|packet)$/.test(String(parent.type));
  return key === 'data' && packet ? FRAME : value;
}

/** A message, and the types of what is in it: `flow_mod apply_actions output`. */
export interface Sample {
  readonly label: string;
  readonly bytes: Uint8Array;
  readonly message: Json;
}

function typesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const { type } = value as Json;
  return [...(typeof type === 'string' ? [type] : []), ...Object.values(value).flatMap(typesIn)];
}

/** How many messages of each type are tried to find all that may be in them, and how many are kept of a kind. */
const TRIED = 600;
const KEPT = 1;

/**
 * Plausible messages of a version, at least one for each body, action, instruction and property that is declared
 * for each message. Their xids are their numbers, counted from 1. Always the same.
 */
export function plausibleSamples({ wire, codec, messages }: Version): Sample[] {
  const matches = messages.flow_mod.fields.match as unknown as { oxm?: object; layout?: { fields: object } };
  const fields = new Set(Object.keys(matches.oxm ?? matches.layout?.fields ?? {}));
  const samples: Sample[] = [];
  for (const [type, def] of Object.entries(messages)) {
    const kept = new Map<string, number>();
    const context: Context = { wire, message: type, fields, pick: 0 };
    for (const random of fc.sample(messageArbitrary(type, def), { seed: 1, numRuns: TRIED })) {
      const message = plausible(random, '', {}, context) as Json;
      const label = typesIn(message).join(' ');
      const count = kept.get(label) ?? 0;
      if (count === KEPT) continue;
      kept.set(label, count + 1);
      message.xid = samples.length + 1;
      const inner = message.message ?? message.request;
      if (inner instanceof Uint8Array) inner.set([0, 0, (samples.length + 1) >> 8, samples.length + 1], 4);
      samples.push({ label, message, bytes: codec.encode(message) });
    }
  }
  return samples;
}
