/**
 * Tags pushed and popped: VLAN, MPLS, PBB (OpenFlow 1.3, sections 5.12 and 7.2.5). A tag goes in front of all
 * others, right behind the Ethernet header, with the values of the header it is put before (section 5.12.1).
 * The functions that push return false when there is no headroom left.
 *
 * After MPLS and PBB the packet is another to the match fields: the caller extracts its key anew.
 */
import { ETH_TYPE } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import {
  ADDRESSES,
  behindTags,
  grow,
  hasVlanTag,
  isLength,
  isMplsType,
  l3Of,
  mplsOf,
  put16,
  typeAt,
  u16,
  VLAN_TAG,
} from './edit-bytes.ts';
import { ttlOf } from './edit-ttl.ts';

/** Bytes of an MPLS label stack entry. */
const SHIM = 4;
/** Bytes of a PBB header without the addresses in front: Ethernet type, I-TAG TCI, and the customer's addresses. */
const I_TAG = 2 + 4 + ADDRESSES;
const BOTTOM_OF_STACK = 0x100;

/** Puts a VLAN tag in front of the payload, with the outer tag's values or zero. */
export function pushVlan(packet: PacketView, type: number): boolean {
  if (packet.length < 14) return true;
  const b = packet.bytes;
  const tci = hasVlanTag(packet) ? u16(b, packet.offset + 14) : 0;
  if (!openGap(packet, ADDRESSES, VLAN_TAG)) return false;
  put16(b, packet.offset + 12, type);
  put16(b, packet.offset + 14, tci);
  return true;
}

/** Takes the outer VLAN tag off, if there is one. */
export function popVlan(packet: PacketView): void {
  if (hasVlanTag(packet)) closeGap(packet, ADDRESSES, VLAN_TAG);
}

/**
 * Puts a label stack entry in front of everything behind the Ethernet header (SNAP's included), VLAN tags too.
 * 802.3 frames without an Ethernet type have no place to say that MPLS follows: they are left as they are.
 */
export function pushMpls(packet: PacketView, key: Uint32Array, type: number): boolean {
  if (packet.length < 14) return true;
  const b = packet.bytes;
  const was = typeAt(packet, packet.offset + ADDRESSES);
  if (was === 0) return true;
  const entry = newEntry(packet, key, isMplsType(u16(b, was)));
  if (!openGap(packet, was + 2 - packet.offset, SHIM)) return false;
  const p = was - SHIM;
  put16(b, p, type);
  put16(b, p + 2, entry >>> 16);
  put16(b, p + 4, entry & 0xffff);
  addToLength(packet, SHIM);
  return true;
}

/** Label, traffic class and TTL are the outer label's, the TTL may be IP's; each 0 if there is none. */
function newEntry(packet: PacketView, key: Uint32Array, stacked: boolean): number {
  const b = packet.bytes;
  const shim = mplsOf(packet, key);
  const label = shim === 0 ? 0 : ((u16(b, shim) << 16) | u16(b, shim + 2)) & 0xfffffe00;
  const ttl = shim === 0 ? ttlOf(packet, key) : b[shim + 3];
  return label | (stacked ? 0 : BOTTOM_OF_STACK) | (ttl < 0 ? 0 : ttl);
}

/** Takes the outermost label stack entry off; `type` is what its payload is from then on. */
export function popMpls(packet: PacketView, key: Uint32Array, type: number): void {
  if (mplsOf(packet, key) === 0) return;
  const { l3 } = packet.at;
  addToLength(packet, -SHIM);
  closeGap(packet, l3, SHIM);
  put16(packet.bytes, packet.offset + l3 - 2, type);
}

/**
 * Puts a backbone header (B-DA, B-SA, I-TAG) before the frame: its addresses are the customer's, which stay.
 * I-PCP is the outer tag's, I-SID that of a PBB header already there.
 */
export function pushPbb(packet: PacketView, key: Uint32Array, type: number): boolean {
  if (packet.length < 14) return true;
  if (packet.headroom < I_TAG) return false;
  const pcp = hasVlanTag(packet) ? packet.bytes[packet.offset + 14] & 0xe0 : 0;
  const tag = l3Of(packet, key, ETH_TYPE.PBB);
  const b = packet.bytes;
  const isid = tag === 0 ? 0 : (b[tag + 1] << 16) | u16(b, tag + 2);
  const to = packet.offset - I_TAG;
  for (let i = 0; i < ADDRESSES; i++) b[to + i] = b[to + I_TAG + i];
  grow(packet, I_TAG);
  put16(b, to + 12, type);
  put16(b, to + 14, (pcp << 8) | (isid >>> 16));
  put16(b, to + 16, isid & 0xffff);
  return true;
}

/** Takes the I-TAG off and gives the frame its customer's addresses; a backbone VLAN tag stays. */
export function popPbb(packet: PacketView, key: Uint32Array): void {
  const l3 = l3Of(packet, key, ETH_TYPE.PBB);
  if (l3 === 0 || l3 + I_TAG > packet.offset + packet.length) return;
  const b = packet.bytes;
  addToLength(packet, -I_TAG);
  for (let i = 0; i < ADDRESSES; i++) b[packet.offset + i] = b[l3 + 4 + i];
  closeGap(packet, packet.at.l3 - 2, I_TAG);
}

/** Makes room for `size` bytes `at` bytes into the head. */
function openGap(packet: PacketView, at: number, size: number): boolean {
  if (packet.headroom < size) return false;
  const b = packet.bytes;
  const to = packet.offset - size;
  for (let i = 0; i < at; i++) b[to + i] = b[to + size + i];
  grow(packet, size);
  return true;
}

/** Takes out the `size` bytes that stand `at` bytes into the head. */
function closeGap(packet: PacketView, at: number, size: number): void {
  const b = packet.bytes;
  const from = packet.offset;
  for (let i = at - 1; i >= 0; i--) b[from + size + i] = b[from + i];
  grow(packet, -size);
}

/** An 802.3 frame states its length. */
function addToLength(packet: PacketView, by: number): void {
  const p = behindTags(packet);
  if (isLength(packet.bytes, p)) put16(packet.bytes, p, u16(packet.bytes, p) + by);
}
