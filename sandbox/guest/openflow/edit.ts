/**
 * Set-field: edits of a packet's head in place, with the checksums they touch. Every function leaves a packet
 * alone that lacks the header, or whose header the head cuts off. The caller has called packet.edit() before.
 */
import { ETH_TYPE, FIELDS, fold16 } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import type { Op } from './actions.ts';
import { crc32cChange } from './crc32c.ts';
import {
  behindTags,
  ethType,
  hasVlanTag,
  ipProto,
  l3Of,
  l4Of,
  mplsOf,
  PROTO,
  patchChecksum,
  put16,
  putIpv4,
  typeAt,
  u16,
} from './edit-bytes.ts';
import { chain, walkChain } from './ipv6-chain.ts';

/** The L4 checksum is only the pseudo-header's sum yet. (It may be one of a packet inside this that is partial.) */
function isPartial(packet: PacketView): boolean {
  return packet.partialChecksum && packet.partialStart === packet.offset + packet.at.l4;
}

/** Absolute offset of the L4 checksum, or 0 when there is none to keep. */
function l4Checksum(packet: PacketView, key: Uint32Array): number {
  let p = l4Of(packet, key, PROTO.TCP, 18);
  if (p !== 0) return p + 16;
  p = l4Of(packet, key, PROTO.ICMPV6, 4);
  if (p !== 0) return p + 2;
  p = l4Of(packet, key, PROTO.UDP, 8);
  // UDP over IPv4 without a checksum stays without.
  if (p !== 0 && (isPartial(packet) || u16(packet.bytes, p + 6) !== 0)) return p + 6;
  return 0;
}

/** Accounts for a word of the pseudo-header that changed. */
function patchPseudo(packet: PacketView, key: Uint32Array, p: number, before: number, after: number): void {
  const b = packet.bytes;
  if (p === 0) return;
  // A partial checksum is the sum itself, not its complement.
  if (isPartial(packet)) put16(b, p, fold16(u16(b, p) + (~before & 0xffff) + after));
  else patchChecksum(b, p, before, after, ipProto(key) === PROTO.UDP);
}

/** Writes a word of an address that the pseudo-header covers. */
function putPseudo16(packet: PacketView, key: Uint32Array, p: number, value: number, checksum: number): void {
  const before = u16(packet.bytes, p);
  put16(packet.bytes, p, value);
  patchPseudo(packet, key, checksum, before, value);
}

/** Writes a word that the L4 checksum covers directly: a partial one does not have it in yet. */
function putL4(packet: PacketView, key: Uint32Array, p: number, value: number): void {
  const b = packet.bytes;
  const before = u16(b, p);
  put16(b, p, value);
  if (isPartial(packet)) return;
  const checksum = l4Checksum(packet, key);
  if (checksum !== 0) patchChecksum(b, checksum, before, value, ipProto(key) === PROTO.UDP);
}

function putMac(packet: PacketView, p: number, op: Op): void {
  const b = packet.bytes;
  put16(b, p, op.a & 0xffff);
  put16(b, p + 2, op.b >>> 16);
  put16(b, p + 4, op.b & 0xffff);
}

function putIpv4Address(packet: PacketView, key: Uint32Array, at: number, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE.IPV4);
  if (l3 === 0) return;
  const checksum = l4Checksum(packet, key);
  for (let i = 0; i < 2; i++) {
    const half = i === 0 ? value >>> 16 : value & 0xffff;
    const p = l3 + at + 2 * i;
    patchChecksum(packet.bytes, l3 + 10, u16(packet.bytes, p), half, false);
    putPseudo16(packet, key, p, half, checksum);
  }
}

/** Where the addresses stand in the IPv6 header. */
const IPV6_SRC = 8;
const IPV6_DST = 24;

function putIpv6Address(packet: PacketView, key: Uint32Array, at: number, op: Op): void {
  const l3 = l3Of(packet, key, ETH_TYPE.IPV6);
  if (l3 === 0) return;
  walkChain(packet, l3);
  const inPseudo = at === IPV6_SRC || !chain.rerouted;
  const checksum = inPseudo ? l4Checksum(packet, key) : 0;
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
  // The CRC of a message in fragments depends on how long all of it is, which its first fragment does not say.
  if (isPartial(packet) || isFragment(packet, key)) return;
  const crc = crc32cChange(change, Math.min(l4End(packet, key), packet.frameEnd) - l4);
  for (let i = 0; i < 4; i++) b[l4 + 8 + i] ^= crc >>> (8 * i);
}

/** Where the IP packet ends, as its header states it (the bytes may reach beyond the head); the rest is padding. */
function l4End(packet: PacketView, key: Uint32Array): number {
  const l3 = packet.offset + packet.at.l3;
  const stated = ethType(key) === ETH_TYPE.IPV4 ? u16(packet.bytes, l3 + 2) : u16(packet.bytes, l3 + 4) + 40;
  return l3 + stated;
}

/** Whether more fragments follow this one. */
function isFragment(packet: PacketView, key: Uint32Array): boolean {
  const l3 = packet.offset + packet.at.l3;
  if (ethType(key) === ETH_TYPE.IPV4) return (packet.bytes[l3 + 6] & 0x20) !== 0;
  walkChain(packet, l3);
  return chain.moreFragments;
}

/** Type and code stand in one word, which ICMP's checksum covers. */
function putIcmp(packet: PacketView, key: Uint32Array, proto: number, byte: number, value: number): void {
  const l4 = l4Of(packet, key, proto, 4);
  if (l4 === 0) return;
  const b = packet.bytes;
  const before = u16(b, l4);
  b[l4 + byte] = value;
  if (isPartial(packet)) return;
  const after = u16(b, l4);
  // An ICMPv4 message may be all zero (an echo reply): its checksum is ones then, which fits others as well.
  patchChecksum(b, l4 + 2, before, after, after === 0);
}

/** `mask`: bits of the traffic-class byte to replace. */
function putTrafficClass(packet: PacketView, key: Uint32Array, mask: number, value: number): void {
  const b = packet.bytes;
  let l3 = l3Of(packet, key, ETH_TYPE.IPV4);
  if (l3 !== 0) {
    putIpv4(b, l3, l3, (b[l3] << 8) | (b[l3 + 1] & ~mask) | value);
    return;
  }
  l3 = l3Of(packet, key, ETH_TYPE.IPV6);
  if (l3 === 0) return;
  const first = u16(b, l3);
  put16(b, l3, (first & ~(mask << 4)) | (value << 4));
}

/** The L4 bytes stay what they are, so their checksum gets the pseudo-header's new protocol. */
function putIpProto(packet: PacketView, key: Uint32Array, value: number): void {
  const b = packet.bytes;
  const checksum = l4Checksum(packet, key);
  let l3 = l3Of(packet, key, ETH_TYPE.IPV4);
  if (l3 !== 0) {
    putIpv4(b, l3, l3 + 8, (b[l3 + 8] << 8) | value);
  } else {
    l3 = l3Of(packet, key, ETH_TYPE.IPV6);
    if (l3 === 0) return;
    walkChain(packet, l3);
    b[chain.protocolAt] = value;
  }
  patchPseudo(packet, key, checksum, ipProto(key), value);
}

function putEthType(packet: PacketView, value: number): void {
  const p = behindTags(packet);
  if (p + 2 > packet.offset + packet.length) return;
  const at = typeAt(packet, p);
  if (at !== 0) put16(packet.bytes, at, value);
}

function putTci(packet: PacketView, mask: number, value: number): void {
  if (!hasVlanTag(packet)) return;
  const p = packet.offset + 14;
  put16(packet.bytes, p, (u16(packet.bytes, p) & ~mask) | value);
}

function putArpOperation(packet: PacketView, key: Uint32Array, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE.ARP);
  if (l3 !== 0) put16(packet.bytes, l3 + 6, value);
}

function putArpAddress(packet: PacketView, key: Uint32Array, at: number, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE.ARP);
  if (l3 === 0) return;
  put16(packet.bytes, l3 + at, value >>> 16);
  put16(packet.bytes, l3 + at + 2, value & 0xffff);
}

function putArpMac(packet: PacketView, key: Uint32Array, at: number, op: Op): void {
  const l3 = l3Of(packet, key, ETH_TYPE.ARP);
  if (l3 !== 0) putMac(packet, l3 + at, op);
}

function putFlowLabel(packet: PacketView, key: Uint32Array, value: number): void {
  const l3 = l3Of(packet, key, ETH_TYPE.IPV6);
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
  const end = Math.min(packet.offset + packet.length, l4End(packet, key));
  let p = l4 + 24;
  for (; p + 8 <= end && b[p] !== option; p += b[p + 1] * 8) if (b[p + 1] === 0) return;
  if (p + 8 > end) return;
  putL4(packet, key, p + 2, op.a & 0xffff);
  putL4(packet, key, p + 4, op.b >>> 16);
  putL4(packet, key, p + 6, op.b & 0xffff);
}

/** `mask`: bits of the label stack entry to replace. */
function putShim(packet: PacketView, key: Uint32Array, mask: number, value: number): void {
  const shim = mplsOf(packet, key);
  if (shim === 0) return;
  const entry = (u16(packet.bytes, shim) << 16) | u16(packet.bytes, shim + 2);
  const changed = (entry & ~mask) | value;
  put16(packet.bytes, shim, changed >>> 16);
  put16(packet.bytes, shim + 2, changed & 0xffff);
}

function putIsid(packet: PacketView, key: Uint32Array, value: number): void {
  const tag = l3Of(packet, key, ETH_TYPE.PBB);
  if (tag === 0) return;
  packet.bytes[tag + 1] = value >>> 16;
  put16(packet.bytes, tag + 2, value & 0xffff);
}

function putUca(packet: PacketView, key: Uint32Array, value: number): void {
  const tag = l3Of(packet, key, ETH_TYPE.PBB);
  if (tag !== 0) packet.bytes[tag] = (packet.bytes[tag] & ~8) | (value << 3);
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
  ipv6_src: (packet, key, op) => putIpv6Address(packet, key, IPV6_SRC, op),
  ipv6_dst: (packet, key, op) => putIpv6Address(packet, key, IPV6_DST, op),
  ipv6_flabel: (packet, key, op) => putFlowLabel(packet, key, op.a),
  icmpv6_type: (packet, key, op) => putIcmp(packet, key, PROTO.ICMPV6, 0, op.a),
  icmpv6_code: (packet, key, op) => putIcmp(packet, key, PROTO.ICMPV6, 1, op.a),
  ipv6_nd_target: putNdTarget,
  ipv6_nd_sll: (packet, key, op) => putNdLinkAddress(packet, key, 1, op),
  ipv6_nd_tll: (packet, key, op) => putNdLinkAddress(packet, key, 2, op),
  mpls_label: (packet, key, op) => putShim(packet, key, 0xfffff000, op.a << 12),
  mpls_tc: (packet, key, op) => putShim(packet, key, 0xe00, op.a << 9),
  mpls_bos: (packet, key, op) => putShim(packet, key, 0x100, op.a << 8),
  pbb_isid: (packet, key, op) => putIsid(packet, key, op.a),
  pbb_uca: (packet, key, op) => putUca(packet, key, op.a),
};

/** The same by OXM field number; a field that is not there lies outside the packet. */
const SETTERS: (Setter | undefined)[] = FIELDS.map(({ name }) => SETTERS_BY_NAME[name]);

/** Executes set-field of the field with this number in FIELDS. */
export function setField(packet: PacketView, key: Uint32Array, field: number, op: Op): void {
  if (packet.length >= 14) SETTERS[field]?.(packet, key, op);
}
