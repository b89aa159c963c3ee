/**
 * The 40 basic OXM fields of OpenFlow 1.3 (section 7.2.3.7, table 11), pbb_uca of 1.4, and where each lies in the flow
 * key.
 *
 * Fields that exclude each other by their prerequisites share words: ARP addresses lie over IPv4 and IPv6
 * addresses, the ARP operation over protocol and DSCP, ICMP type and code over the L4 ports, the
 * neighbour-discovery link addresses over ARP's. A match that names such a field also names its
 * prerequisite, so a packet of the other kind never matches by chance.
 */

/** 32-bit words in a flow key. */
export const KEY_WORDS = 32;

/** Word indices of the flow key. */
export const K = {
  IN_PORT: 0,
  IN_PHY_PORT: 1,
  METADATA_HI: 2,
  METADATA_LO: 3,
  TUNNEL_HI: 4,
  TUNNEL_LO: 5,
  /** eth_dst[0..3] | eth_dst[4..5] eth_src[0..1] | eth_src[2..5] */
  ETH: 6,
  /** eth_type << 16 | vlan_pcp << 13 | vlan_vid with OFPVID_PRESENT */
  TYPE_VLAN: 9,
  /** ip_proto << 24 | ip_dscp << 18 | ip_ecn << 16 | ipv6_exthdr; or arp_op << 16 */
  PROTO: 10,
  /** ipv6_src (4 words), or ipv4_src / arp_spa */
  SRC: 11,
  /** ipv6_dst (4 words), or ipv4_dst / arp_tpa */
  DST: 15,
  FLABEL: 19,
  /** source port << 16 | destination port; or ICMP type << 16 | code */
  L4: 20,
  ND_TARGET: 21,
  /** arp_sha / ipv6_nd_sll, then arp_tha / ipv6_nd_tll, laid out as ETH */
  HW: 25,
  /** label << 12 | tc << 9 | bos << 8, as on the wire */
  MPLS: 28,
  /** As in the I-TAG: uca << 27 | isid */
  PBB: 29,
} as const;

export interface Piece {
  readonly word: number;
  readonly shift: number;
  readonly bits: number;
}

export type FieldKind = 'number' | 'u64' | 'mac' | 'ipv4' | 'ipv6';

/** One alternative of a prerequisite: the named field has this value (`any`: VLAN tag present). */
export interface Prerequisite {
  readonly field: string;
  readonly value: number | 'present';
}

export interface Field {
  readonly name: string;
  /** oxm_field number in class OFPXMC_OPENFLOW_BASIC; of pbb_uca 40, which no field has, so that they have no gap. */
  readonly oxm: number;
  readonly kind: FieldKind;
  readonly bits: number;
  readonly maskable: boolean;
  /** Where the value lies, most significant piece first. */
  readonly pieces: readonly Piece[];
  /** At least one must hold; empty: no prerequisite. */
  readonly prerequisites: readonly Prerequisite[];
}

/** Ethernet types that have fields. */
export const ETH_TYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  IPV6: 0x86dd,
  MPLS: 0x8847,
  MPLS_MULTICAST: 0x8848,
  PBB: 0x88e7,
} as const;

const eth = (...types: number[]): Prerequisite[] => types.map((value) => ({ field: 'eth_type', value }));
const proto = (value: number): Prerequisite[] => [{ field: 'ip_proto', value }];
const IP = eth(ETH_TYPE.IPV4, ETH_TYPE.IPV6);
const MPLS = eth(ETH_TYPE.MPLS, ETH_TYPE.MPLS_MULTICAST);
const ICMPV6_TYPE = (...types: number[]): Prerequisite[] =>
  types.map((value) => ({ field: 'icmpv6_type', value }));

const bits = (word: number, shift: number, width: number): Piece[] => [{ word, shift, bits: width }];
const words = (word: number, count: number): Piece[] =>
  Array.from({ length: count }, (_, i) => ({ word: word + i, shift: 0, bits: 32 }));
const macHigh = (word: number): Piece[] => [...words(word, 1), ...bits(word + 1, 16, 16)];
const macLow = (word: number): Piece[] => [...bits(word + 1, 0, 16), ...words(word + 2, 1)];

type Row = [name: string, kind: FieldKind, maskable: boolean, pieces: Piece[], prerequisites: Prerequisite[]];

const ROWS: Row[] = [
  ['in_port', 'number', false, words(K.IN_PORT, 1), []],
  ['in_phy_port', 'number', false, words(K.IN_PHY_PORT, 1), [{ field: 'in_port', value: 'present' }]],
  ['metadata', 'u64', true, words(K.METADATA_HI, 2), []],
  ['eth_dst', 'mac', true, macHigh(K.ETH), []],
  ['eth_src', 'mac', true, macLow(K.ETH), []],
  ['eth_type', 'number', false, bits(K.TYPE_VLAN, 16, 16), []],
  ['vlan_vid', 'number', true, bits(K.TYPE_VLAN, 0, 13), []],
  ['vlan_pcp', 'number', false, bits(K.TYPE_VLAN, 13, 3), [{ field: 'vlan_vid', value: 'present' }]],
  ['ip_dscp', 'number', false, bits(K.PROTO, 18, 6), IP],
  ['ip_ecn', 'number', false, bits(K.PROTO, 16, 2), IP],
  ['ip_proto', 'number', false, bits(K.PROTO, 24, 8), IP],
  ['ipv4_src', 'ipv4', true, words(K.SRC, 1), eth(ETH_TYPE.IPV4)],
  ['ipv4_dst', 'ipv4', true, words(K.DST, 1), eth(ETH_TYPE.IPV4)],
  ['tcp_src', 'number', false, bits(K.L4, 16, 16), proto(6)],
  ['tcp_dst', 'number', false, bits(K.L4, 0, 16), proto(6)],
  ['udp_src', 'number', false, bits(K.L4, 16, 16), proto(17)],
  ['udp_dst', 'number', false, bits(K.L4, 0, 16), proto(17)],
  ['sctp_src', 'number', false, bits(K.L4, 16, 16), proto(132)],
  ['sctp_dst', 'number', false, bits(K.L4, 0, 16), proto(132)],
  ['icmpv4_type', 'number', false, bits(K.L4, 16, 8), proto(1)],
  ['icmpv4_code', 'number', false, bits(K.L4, 0, 8), proto(1)],
  ['arp_op', 'number', false, bits(K.PROTO, 16, 16), eth(ETH_TYPE.ARP)],
  ['arp_spa', 'ipv4', true, words(K.SRC, 1), eth(ETH_TYPE.ARP)],
  ['arp_tpa', 'ipv4', true, words(K.DST, 1), eth(ETH_TYPE.ARP)],
  ['arp_sha', 'mac', true, macHigh(K.HW), eth(ETH_TYPE.ARP)],
  ['arp_tha', 'mac', true, macLow(K.HW), eth(ETH_TYPE.ARP)],
  ['ipv6_src', 'ipv6', true, words(K.SRC, 4), eth(ETH_TYPE.IPV6)],
  ['ipv6_dst', 'ipv6', true, words(K.DST, 4), eth(ETH_TYPE.IPV6)],
  ['ipv6_flabel', 'number', true, bits(K.FLABEL, 0, 20), eth(ETH_TYPE.IPV6)],
  ['icmpv6_type', 'number', false, bits(K.L4, 16, 8), proto(58)],
  ['icmpv6_code', 'number', false, bits(K.L4, 0, 8), proto(58)],
  ['ipv6_nd_target', 'ipv6', false, words(K.ND_TARGET, 4), ICMPV6_TYPE(135, 136)],
  ['ipv6_nd_sll', 'mac', false, macHigh(K.HW), ICMPV6_TYPE(135)],
  ['ipv6_nd_tll', 'mac', false, macLow(K.HW), ICMPV6_TYPE(136)],
  ['mpls_label', 'number', false, bits(K.MPLS, 12, 20), MPLS],
  ['mpls_tc', 'number', false, bits(K.MPLS, 9, 3), MPLS],
  ['mpls_bos', 'number', false, bits(K.MPLS, 8, 1), MPLS],
  ['pbb_isid', 'number', true, bits(K.PBB, 0, 24), eth(ETH_TYPE.PBB)],
  ['tunnel_id', 'u64', true, words(K.TUNNEL_HI, 2), []],
  ['ipv6_exthdr', 'number', true, bits(K.PROTO, 0, 9), eth(ETH_TYPE.IPV6)],
  ['pbb_uca', 'number', false, bits(K.PBB, 27, 1), eth(ETH_TYPE.PBB)],
];

/** All fields, by `oxm` (0 .. 40). */
export const FIELDS: readonly Field[] = ROWS.map(([name, kind, maskable, pieces, prerequisites], oxm) => ({
  name,
  oxm,
  kind,
  bits: pieces.reduce((sum, piece) => sum + piece.bits, 0),
  maskable,
  pieces,
  prerequisites,
}));

/** The same by OXM name. */
export const FIELD_BY_NAME: ReadonlyMap<string, Field> = new Map(FIELDS.map((field) => [field.name, field]));

const low = (width: number) => (width === 32 ? 0xffffffff : (1 << width) - 1);

/** Stores a field's value (or mask) into a key; bits the field does not own stay as they are. */
export function putField(field: Field, value: bigint, key: Uint32Array): void {
  if (field.pieces.length === 1) {
    const { word, shift, bits: width } = field.pieces[0];
    putBits(key, word, shift, width, Number(value));
    return;
  }
  let rest = field.bits;
  for (const { word, shift, bits: width } of field.pieces) {
    rest -= width;
    putBits(key, word, shift, width, Number((value >> BigInt(rest)) & BigInt(low(width))));
  }
}

/** As putField, for a value of at most 53 bits: without a bigint, which takes several times as long. */
export function putNumber(field: Field, value: number, key: Uint32Array): void {
  let rest = field.bits;
  for (let i = 0; i < field.pieces.length; i++) {
    const { word, shift, bits: width } = field.pieces[i];
    rest -= width;
    putBits(key, word, shift, width, Math.floor(value / 2 ** rest) % 2 ** width);
  }
}

/** A field's value in a key. */
export function getField(field: Field, key: Uint32Array): bigint {
  let value = 0n;
  for (const { word, shift, bits: width } of field.pieces) {
    value = (value << BigInt(width)) | BigInt(((key[word] >>> shift) & low(width)) >>> 0);
  }
  return value;
}

function putBits(key: Uint32Array, word: number, shift: number, width: number, value: number): void {
  const mask = low(width) << shift;
  key[word] = (key[word] & ~mask) | ((value << shift) & mask);
}
