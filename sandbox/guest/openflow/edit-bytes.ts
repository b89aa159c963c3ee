/** What all edits of a packet's head share: where its headers are, and writing words under a checksum. */
import { ETH_TYPE, isVlanType, K, updateChecksum16 } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';

export const PROTO = { ICMP: 1, IPV4: 4, TCP: 6, UDP: 17, IPV6: 41, ICMPV6: 58, SCTP: 132 } as const;

/** Bytes of a VLAN tag. */
export const VLAN_TAG = 4;
/** Both Ethernet addresses. */
export const ADDRESSES = 12;
/** Bytes from an 802.3 length to the Ethernet type behind SNAP. */
const SNAP = 8;
/** Values below are lengths of 802.3 frames, not Ethernet types. */
export const FIRST_ETH_TYPE = 0x600;

export function u16(b: Uint8Array, p: number): number {
  return (b[p] << 8) | b[p + 1];
}

export function put16(b: Uint8Array, p: number, value: number): void {
  b[p] = value >> 8;
  b[p + 1] = value;
}

/** eth_type as the key has it: of the payload behind all VLAN tags. */
export function ethType(key: Uint32Array): number {
  return key[K.TYPE_VLAN] >>> 16;
}

export function isMplsType(type: number): boolean {
  return type === ETH_TYPE.MPLS || type === ETH_TYPE.MPLS_MULTICAST;
}

export function ipProto(key: Uint32Array): number {
  return key[K.PROTO] >>> 24;
}

/** Absolute offset of L3 if the packet is of this Ethernet type, else 0. (The parser saw the fixed header.) */
export function l3Of(packet: PacketView, key: Uint32Array, type: number): number {
  return packet.at.l3 !== 0 && ethType(key) === type ? packet.offset + packet.at.l3 : 0;
}

/** Absolute offset of the outermost MPLS label stack entry, or 0. */
export function mplsOf(packet: PacketView, key: Uint32Array): number {
  return packet.at.l3 !== 0 && isMplsType(ethType(key)) ? packet.offset + packet.at.l3 : 0;
}

/** Absolute offset of L4 if the packet is IP of this protocol and the head has `length` bytes of it, else 0. */
export function l4Of(packet: PacketView, key: Uint32Array, proto: number, length: number): number {
  const { at } = packet;
  const type = ethType(key);
  if (at.l4 === 0 || ipProto(key) !== proto || (type !== ETH_TYPE.IPV4 && type !== ETH_TYPE.IPV6)) return 0;
  return at.l4 + length <= packet.length ? packet.offset + at.l4 : 0;
}

export function hasVlanTag(packet: PacketView): boolean {
  return packet.length >= 18 && isVlanType(u16(packet.bytes, packet.offset + 12));
}

/** Absolute offset of what stands behind the VLAN tags: the Ethernet type, or the length of an 802.3 frame. */
export function behindTags(packet: PacketView): number {
  const { bytes: b, offset } = packet;
  const end = offset + packet.length;
  let p = offset + ADDRESSES;
  while (p + 6 <= end && isVlanType(u16(b, p))) p += VLAN_TAG;
  return p;
}

/** Absolute offset of the Ethernet type at `p`, or behind SNAP if a length is there; 0 for other 802.3 frames. */
export function typeAt({ bytes: b, offset, length }: PacketView, p: number): number {
  if (!isLength(b, p)) return p;
  if (p + SNAP + 2 > offset + length) return 0;
  return u16(b, p + 2) === 0xaaaa && u16(b, p + 4) === 0x0300 && u16(b, p + 6) === 0 ? p + SNAP : 0;
}

/** Whether an 802.3 length stands at `p`, where the Ethernet type could be. */
export function isLength(b: Uint8Array, p: number): boolean {
  return u16(b, p) < FIRST_ETH_TYPE;
}

/** Accounts in a checksum for a 16-bit word that changed. `ones`: zero (in UDP "no checksum") becomes ones. */
export function patchChecksum(b: Uint8Array, p: number, before: number, after: number, ones: boolean): void {
  const sum = updateChecksum16(u16(b, p), before, after);
  put16(b, p, ones && sum === 0 ? 0xffff : sum);
}

/** Writes a word of the IPv4 header at `l3`. */
export function putIpv4(b: Uint8Array, l3: number, p: number, value: number): void {
  patchChecksum(b, l3 + 10, u16(b, p), value, false);
  put16(b, p, value);
}

/** The head has grown in front by `by` bytes. */
export function grow(packet: PacketView, by: number): void {
  packet.offset -= by;
  packet.length += by;
  if (packet.at.l3 !== 0) packet.at.l3 += by;
  if (packet.at.l4 !== 0) packet.at.l4 += by;
}
