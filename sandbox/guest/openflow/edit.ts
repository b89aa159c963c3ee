/**
 * Edits of a packet's head in place, with the checksums they touch. Every function leaves a packet alone that
 * lacks the header, or whose header the head cuts off. The caller has called packet.edit() before.
 */
import { FIELDS, fold16, isVlanType, K, updateChecksum16 } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import type { Op } from './actions.ts';
import { crc32cChange } from './crc32c.ts';

const ETH_TYPE_IPV4 = 0x0800;
const ETH_TYPE_IPV6 = 0x86dd;
const ETH_TYPE_ARP = 0x0806;
const PROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;
const VLAN_TAG = 4;

function u16(b: Uint8Array, p: number): number {
  return (b[p] << 8) | b[p + 1];
}

function put16(b: Uint8Array, p: number, value: number): void {
  b[p] = value >> 8;
  b[p + 1] = value;
}

/** eth_type and ip_proto as the key has them. */
function ethType(key: Uint32Array): number {
  return key[K.TYPE_VLAN] >>> 16;
}

function ipProto(key: Uint32Array): number {
  return key[K.PROTO] >>> 24;
}

/** Absolute offset of L4 if the packet is IP of this protocol and the head has `length` bytes of it, else 0. */
function l4Of(packet: PacketView, key: Uint32Array, proto: number, length: number): number {
  const { at } = packet;
  const type = ethType(key);
  if (at.l4 === 0 || ipProto(key) !== proto || (type !== ETH_TYPE_IPV4 && type !== ETH_TYPE_IPV6)) return 0;
  return at.l4 + length <= packet.length ? packet.offset + at.l4 : 0;
}

/** Absolute offset of L3 if the packet is of this Ethernet type, else 0. (The parser saw the fixed header.) */
function l3Of(packet: PacketView, key: Uint32Array, type: number): number {
  return packet.at.l3 !== 0 && ethType(key) === type ? packet.offset + packet.at.l3 : 0;
}

/** Absolute offset of the L4 checksum, or 0 when there is none to keep. */
function l4Checksum(packet: PacketView, key: Uint32Array): number {
  let p = l4Of(packet, key, PROTO.TCP, 18);
  if (p !== 0) return p + 16;
  p = l4Of(packet, key, PROTO.ICMPV6, 4);
  if (p !== 0) return p + 2;
  p = l4Of(packet, key, PROTO.UDP, 8);
  // UDP over IPv4 without a checksum stays without.
  if (p !== 0 && (packet.partialChecksum || u16(packet.bytes, p + 6) !== 0)) return p + 6;
  return 0;
}

/** Accounts in a checksum for a 16-bit word that changed; UDP's zero means "none", so it becomes ones. */
function patchChecksum(b: Uint8Array, p: number, before: number, after: number, udp: boolean): void {
  const sum = updateChecksum16(u16(b, p), before, after);
  put16(b, p, udp && sum === 0 ? 0xffff : sum);
}

/** Writes a word of an address that the pseudo-header covers. */
function putPseudo16(packet: PacketView, key: Uint32Array, p: number, value: number, checksum: number): void {
  const b = packet.bytes;
  const before = u16(b, p);
  put16(b, p, value);
  if (checksum === 0) return;
  // A partial checksum is the sum itself, not its complement.
  if (packet.partialChecksum) put16(b, checksum, fold16(u16(b, checksum) + (~before & 0xffff) + value));
  else patchChecksum(b, checksum, before, value, ipProto(key) === PROTO.UDP);
}

/** Writes a word that the L4 checksum covers directly: a partial one does not have it in yet. */
function putL4(packet: PacketView, key: Uint32Array, p: number, value: number): void {
  const b = packet.bytes;
  const before = u16(b, p);
  put16(b, p, value);
  if (packet.partialChecksum) return;
  const checksum = l4Checksum(packet, key);
  if (checksum !== 0) patchChecksum(b, checksum, before, value, ipProto(key) === PROTO.UDP);
}

/** Writes a word of the IPv4 header. */
function putIpv4(b: Uint8Array, l3: number, p: number, value: number): void {
  patchChecksum(b, l3 + 10, u16(b, p), value, false);
  put16(b, p, value);
}

function putMac(packet: PacketView, p: number, op: Op): void {
  const b = packet.bytes;
  put16(b, p, op.a & 0xffff);
  put16(b, p + 2, op.b >>> 16);
  put16(b, p + 4, op.b & 0xffff);
}

function putIpv4Address(packet: PacketView, key: Uint32Array, at: number, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE_IPV4);
  if (l3 === 0) return;
  const checksum = l4Checksum(packet, key);
  for (let i = 0; i < 2; i++) {
    const half = i === 0 ? value >>> 16 : value & 0xffff;
    const p = l3 + at + 2 * i;
    patchChecksum(packet.bytes, l3 + 10, u16(packet.bytes, p), half, false);
    putPseudo16(packet, key, p, half, checksum);
  }
}

function putIpv6Address(packet: PacketView, key: Uint32Array, at: number, op: Op): void {
  const l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  if (l3 === 0) return;
  const checksum = l4Checksum(packet, key);
  for (let i = 0; i < 8; i++) putPseudo16(packet, key, l3 + at + 2 * i, half(op, i), checksum);
}

/** The i-th 16-bit word of a 128-bit value. */
function half(op: Op, i: number): number {
  const word = i < 2 ? op.a : i < 4 ? op.b : i < 6 ? op.c : op.d;
  return (i & 1) === 0 ? word >>> 16 : word & 0xffff;
}

function putPort(packet: PacketView, key: Uint32Array, proto: number, at: number, value: number): void {
  const l4 = l4Of(packet, key, proto, 4);
  if (l4 !== 0) putL4(packet, key, l4 + at, value);
}

function putSctpPort(packet: PacketView, key: Uint32Array, at: number, value: number): void {
  const l4 = l4Of(packet, key, PROTO.SCTP, 12);
  if (l4 === 0) return;
  const b = packet.bytes;
  const change = (u16(b, l4 + at) ^ value) << (at === 0 ? 16 : 0);
  put16(b, l4 + at, value);
  if (packet.partialChecksum) return;
  const length = sctpLength(packet, key);
  const crc = crc32cChange(change, length);
  for (let i = 0; i < 4; i++) b[l4 + 8 + i] ^= crc >>> (8 * i);
}

/** Length of the SCTP packet, as the IP header states it. */
function sctpLength(packet: PacketView, key: Uint32Array): number {
  const b = packet.bytes;
  const { l3, l4 } = packet.at;
  const p = packet.offset + l3;
  if (ethType(key) === ETH_TYPE_IPV4) return u16(b, p + 2) - (l4 - l3);
  return u16(b, p + 4) + 40 - (l4 - l3);
}

/** Type and code stand in one word, which ICMP's checksum covers. */
function putIcmp(packet: PacketView, key: Uint32Array, proto: number, byte: number, value: number): void {
  const l4 = l4Of(packet, key, proto, 4);
  if (l4 === 0) return;
  const b = packet.bytes;
  const before = u16(b, l4);
  b[l4 + byte] = value;
  if (!packet.partialChecksum) patchChecksum(b, l4 + 2, before, u16(b, l4), false);
}

/** `mask`: bits of the traffic-class byte to replace. */
function putTrafficClass(packet: PacketView, key: Uint32Array, mask: number, value: number): void {
  const b = packet.bytes;
  let l3 = l3Of(packet, key, ETH_TYPE_IPV4);
  if (l3 !== 0) {
    putIpv4(b, l3, l3, (b[l3] << 8) | (b[l3 + 1] & ~mask) | value);
    return;
  }
  l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  if (l3 === 0) return;
  const first = u16(b, l3);
  put16(b, l3, (first & ~(mask << 4)) | (value << 4));
}

function putIpProto(packet: PacketView, key: Uint32Array, value: number): void {
  const b = packet.bytes;
  let l3 = l3Of(packet, key, ETH_TYPE_IPV4);
  if (l3 !== 0) {
    putIpv4(b, l3, l3 + 8, (b[l3 + 8] << 8) | value);
    return;
  }
  l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  // Behind extension headers it is the last of them that names the protocol: left alone.
  if (l3 !== 0 && b[l3 + 6] === ipProto(key)) b[l3 + 6] = value;
}

function putEthType(packet: PacketView, value: number): void {
  const { bytes: b, offset } = packet;
  const end = offset + packet.length;
  let p = offset + 12;
  while (p + 6 <= end && isVlanType(u16(b, p))) p += VLAN_TAG;
  if (p + 2 <= end) put16(b, p, value);
}

export function hasVlanTag(packet: PacketView): boolean {
  return packet.length >= 18 && isVlanType(u16(packet.bytes, packet.offset + 12));
}

function putTci(packet: PacketView, mask: number, value: number): void {
  if (!hasVlanTag(packet)) return;
  const p = packet.offset + 14;
  put16(packet.bytes, p, (u16(packet.bytes, p) & ~mask) | value);
}

function putArpOperation(packet: PacketView, key: Uint32Array, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE_ARP);
  if (l3 !== 0) put16(packet.bytes, l3 + 6, value);
}

function putArpAddress(packet: PacketView, key: Uint32Array, at: number, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE_ARP);
  if (l3 === 0) return;
  put16(packet.bytes, l3 + at, value >>> 16);
  put16(packet.bytes, l3 + at + 2, value & 0xffff);
}

function putArpMac(packet: PacketView, key: Uint32Array, at: number, op: Op): void {
  const l3 = l3Of(packet, key, ETH_TYPE_ARP);
  if (l3 !== 0) putMac(packet, l3 + at, op);
}

function putFlowLabel(packet: PacketView, key: Uint32Array, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  if (l3 === 0) return;
  packet.bytes[l3 + 1] = (packet.bytes[l3 + 1] & 0xf0) | (value >>> 16);
  put16(packet.bytes, l3 + 2, value & 0xffff);
}

function isNeighbour(packet: PacketView, l4: number): boolean {
  const type = packet.bytes[l4];
  return type === 135 || type === 136;
}

function putNdTarget(packet: PacketView, key: Uint32Array, op: Op): void {
  const l4 = l4Of(packet, key, PROTO.ICMPV6, 24);
  if (l4 === 0 || !isNeighbour(packet, l4)) return;
  for (let i = 0; i < 8; i++) putL4(packet, key, l4 + 8 + 2 * i, half(op, i));
}

/** Link-layer address option 1 of a solicitation or 2 of an advertisement. */
function putNdLinkAddress(packet: PacketView, key: Uint32Array, option: number, op: Op): void {
  const l4 = l4Of(packet, key, PROTO.ICMPV6, 24);
  if (l4 === 0 || packet.bytes[l4] !== 134 + option) return;
  const b = packet.bytes;
  const end = packet.offset + packet.length;
  let p = l4 + 24;
  for (; p + 8 <= end && b[p] !== option; p += b[p + 1] * 8) if (b[p + 1] === 0) return;
  if (p + 8 > end) return;
  putL4(packet, key, p + 2, op.a & 0xffff);
  putL4(packet, key, p + 4, op.b >>> 16);
  putL4(packet, key, p + 6, op.b & 0xffff);
}

type Setter = (packet: PacketView, key: Uint32Array, op: Op) => void;

/** How each field is set; the value is in `a`, or in `a` to `d`, most significant word first. */
const SETTERS_BY_NAME: Record<string, Setter> = {
  eth_dst: (packet, _key, op) => putMac(packet, packet.offset, op),
  eth_src: (packet, _key, op) => putMac(packet, packet.offset + 6, op),
  eth_type: (packet, _key, op) => putEthType(packet, op.a),
  vlan_vid: (packet, _key, op) => putTci(packet, 0x0fff, op.a & 0x0fff),
  vlan_pcp: (packet, _key, op) => putTci(packet, 0xe000, op.a << 13),
  ip_dscp: (packet, key, op) => putTrafficClass(packet, key, 0xfc, op.a << 2),
  ip_ecn: (packet, key, op) => putTrafficClass(packet, key, 0x03, op.a),
  ip_proto: (packet, key, op) => putIpProto(packet, key, op.a),
  ipv4_src: (packet, key, op) => putIpv4Address(packet, key, 12, op.a),
  ipv4_dst: (packet, key, op) => putIpv4Address(packet, key, 16, op.a),
  tcp_src: (packet, key, op) => putPort(packet, key, PROTO.TCP, 0, op.a),
  tcp_dst: (packet, key, op) => putPort(packet, key, PROTO.TCP, 2, op.a),
  udp_src: (packet, key, op) => putPort(packet, key, PROTO.UDP, 0, op.a),
  udp_dst: (packet, key, op) => putPort(packet, key, PROTO.UDP, 2, op.a),
  sctp_src: (packet, key, op) => putSctpPort(packet, key, 0, op.a),
  sctp_dst: (packet, key, op) => putSctpPort(packet, key, 2, op.a),
  icmpv4_type: (packet, key, op) => putIcmp(packet, key, PROTO.ICMP, 0, op.a),
  icmpv4_code: (packet, key, op) => putIcmp(packet, key, PROTO.ICMP, 1, op.a),
  arp_op: (packet, key, op) => putArpOperation(packet, key, op.a),
  arp_spa: (packet, key, op) => putArpAddress(packet, key, 14, op.a),
  arp_tpa: (packet, key, op) => putArpAddress(packet, key, 24, op.a),
  arp_sha: (packet, key, op) => putArpMac(packet, key, 8, op),
  arp_tha: (packet, key, op) => putArpMac(packet, key, 18, op),
  ipv6_src: (packet, key, op) => putIpv6Address(packet, key, 8, op),
  ipv6_dst: (packet, key, op) => putIpv6Address(packet, key, 24, op),
  ipv6_flabel: (packet, key, op) => putFlowLabel(packet, key, op.a),
  icmpv6_type: (packet, key, op) => putIcmp(packet, key, PROTO.ICMPV6, 0, op.a),
  icmpv6_code: (packet, key, op) => putIcmp(packet, key, PROTO.ICMPV6, 1, op.a),
  ipv6_nd_target: putNdTarget,
  ipv6_nd_sll: (packet, key, op) => putNdLinkAddress(packet, key, 1, op),
  ipv6_nd_tll: (packet, key, op) => putNdLinkAddress(packet, key, 2, op),
};

/** The same by OXM field number; a field that is not there lies outside the packet. */
const SETTERS: (Setter | undefined)[] = FIELDS.map(({ name }) => SETTERS_BY_NAME[name]);

/** Executes set-field of the OXM basic field `field`. */
export function setField(packet: PacketView, key: Uint32Array, field: number, op: Op): void {
  if (packet.length >= 14) SETTERS[field]?.(packet, key, op);
}

/** Puts a VLAN tag in front of the payload, with the outer tag's values or zero. False: no headroom left. */
export function pushVlan(packet: PacketView, type: number): boolean {
  if (packet.length < 14) return true;
  if (packet.headroom < VLAN_TAG) return false;
  const tci = hasVlanTag(packet) ? u16(packet.bytes, packet.offset + 14) : 0;
  const b = packet.bytes;
  const to = packet.offset - VLAN_TAG;
  for (let i = 0; i < 12; i++) b[to + i] = b[to + VLAN_TAG + i];
  put16(b, to + 12, type);
  put16(b, to + 14, tci);
  move(packet, VLAN_TAG);
  return true;
}

/** Takes the outer VLAN tag off, if there is one. */
export function popVlan(packet: PacketView): void {
  if (!hasVlanTag(packet)) return;
  const b = packet.bytes;
  const from = packet.offset;
  for (let i = 11; i >= 0; i--) b[from + VLAN_TAG + i] = b[from + i];
  move(packet, -VLAN_TAG);
}

/** The head has grown in front by `by` bytes. */
function move(packet: PacketView, by: number): void {
  packet.offset -= by;
  packet.length += by;
  if (packet.at.l3 !== 0) packet.at.l3 += by;
  if (packet.at.l4 !== 0) packet.at.l4 += by;
}

export function setTtl(packet: PacketView, key: Uint32Array, ttl: number): void {
  const b = packet.bytes;
  let l3 = l3Of(packet, key, ETH_TYPE_IPV4);
  if (l3 !== 0) {
    putIpv4(b, l3, l3 + 8, (ttl << 8) | b[l3 + 9]);
    return;
  }
  l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  if (l3 !== 0) b[l3 + 7] = ttl;
}

/** The IP time to live, or -1 when the packet is not IP. */
export function ttlOf(packet: PacketView, key: Uint32Array): number {
  let l3 = l3Of(packet, key, ETH_TYPE_IPV4);
  if (l3 !== 0) return packet.bytes[l3 + 8];
  l3 = l3Of(packet, key, ETH_TYPE_IPV6);
  return l3 !== 0 ? packet.bytes[l3 + 7] : -1;
}
