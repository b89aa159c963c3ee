/** Times to live: of IP, of MPLS, and copied from one header to the next (OpenFlow 1.3, section 5.12). */
import { ETH_TYPE, fold16, sum16 } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import { ethType, ipProto, isMplsType, l3Of, mplsOf, PROTO, putIpv4, u16 } from './edit-bytes.ts';

/** Headers with a TTL. */
const KIND = { NONE: 0, IPV4: 4, IPV6: 6, MPLS: 8 } as const;

export function setTtl(packet: PacketView, key: Uint32Array, ttl: number): void {
  const kind = outerKind(packet, key);
  if (kind !== KIND.NONE && kind !== KIND.MPLS) write(packet, kind, packet.offset + packet.at.l3, ttl);
}

/** The IP time to live, or -1 when the packet is not IP. */
export function ttlOf(packet: PacketView, key: Uint32Array): number {
  let l3 = l3Of(packet, key, ETH_TYPE.IPV4);
  if (l3 !== 0) return packet.bytes[l3 + 8];
  l3 = l3Of(packet, key, ETH_TYPE.IPV6);
  return l3 !== 0 ? packet.bytes[l3 + 7] : -1;
}

export function setMplsTtl(packet: PacketView, key: Uint32Array, ttl: number): void {
  const shim = mplsOf(packet, key);
  if (shim !== 0) packet.bytes[shim + 3] = ttl;
}

/** The outermost label's time to live, or -1 when the packet is not MPLS. */
export function mplsTtlOf(packet: PacketView, key: Uint32Array): number {
  const shim = mplsOf(packet, key);
  return shim === 0 ? -1 : packet.bytes[shim + 3];
}

/** From the outermost header with a TTL to the next one, if there are two. */
export function copyTtlIn(packet: PacketView, key: Uint32Array): void {
  const kind = outerKind(packet, key);
  const next = nextHeader(packet, key, kind);
  if (next !== 0) write(packet, nextKind, next, read(packet, kind, packet.offset + packet.at.l3));
}

/** From the next to outermost header with a TTL to the outermost, if there are two. */
export function copyTtlOut(packet: PacketView, key: Uint32Array): void {
  const kind = outerKind(packet, key);
  const next = nextHeader(packet, key, kind);
  if (next !== 0) write(packet, kind, packet.offset + packet.at.l3, read(packet, nextKind, next));
}

/** What the header at L3 is. */
function outerKind(packet: PacketView, key: Uint32Array): number {
  const type = ethType(key);
  if (packet.at.l3 === 0) return KIND.NONE;
  if (type === ETH_TYPE.IPV4) return KIND.IPV4;
  if (type === ETH_TYPE.IPV6) return KIND.IPV6;
  return isMplsType(type) ? KIND.MPLS : KIND.NONE;
}

/** Kind of the header that nextHeader() found. */
let nextKind: number = KIND.NONE;

/** Absolute offset of the header with a TTL behind the outermost one, or 0. */
function nextHeader(packet: PacketView, key: Uint32Array, kind: number): number {
  const { at, bytes, offset } = packet;
  if (kind === KIND.MPLS) {
    const p = offset + at.l3 + 4;
    const isBottom = (bytes[p - 2] & 1) !== 0;
    if (isBottom) return ipHeader(packet, p);
    nextKind = KIND.MPLS;
    return p + 4 <= offset + packet.length ? p : 0;
  }
  const tunnelled = kind !== KIND.NONE && (ipProto(key) === PROTO.IPV4 || ipProto(key) === PROTO.IPV6);
  return tunnelled && at.l4 !== 0 ? ipHeader(packet, offset + at.l4) : 0;
}

/** Bytes that may follow an IPv6 packet in a frame: padding to 60 bytes. */
const MAX_PADDING = 6;

/**
 * `p` if there is an IP header. A label does not say what follows it (a VLAN tag can look like version 6), so
 * more than the version is looked at: IPv4's header checksum; whether IPv6's length is that of the frame.
 */
function ipHeader(packet: PacketView, p: number): number {
  const b = packet.bytes;
  const left = packet.offset + packet.length - p;
  const size = (b[p] & 15) * 4;
  if (left >= 20 && b[p] >> 4 === 4 && size >= 20 && size <= left) {
    nextKind = KIND.IPV4;
    return fold16(sum16(b, p, size)) === 0xffff ? p : 0;
  }
  if (left < 40 || b[p] >> 4 !== 6) return 0;
  nextKind = KIND.IPV6;
  const padding = packet.frameEnd - (p + 40 + u16(b, p + 4));
  return padding >= 0 && padding <= MAX_PADDING ? p : 0;
}

function read({ bytes }: PacketView, kind: number, p: number): number {
  return bytes[p + TTL_AT[kind]];
}

function write({ bytes }: PacketView, kind: number, p: number, ttl: number): void {
  if (kind === KIND.IPV4) putIpv4(bytes, p, p + 8, (ttl << 8) | bytes[p + 9]);
  else bytes[p + TTL_AT[kind]] = ttl;
}

/** Where the TTL stands, by kind of header. */
const TTL_AT: readonly number[] = [0, 0, 0, 0, 8, 0, 7, 0, 3];
