/** Parses a frame into its flow key: once per packet, nothing allocated, nothing read past the head. */
import { K } from './fields.ts';

export const OFPVID_PRESENT = 0x1000;

/** Frames in 802.3 format that carry no Ethernet type have this one (OpenFlow 1.0, section 3.4). */
const ETH_TYPE_NONE = 0x05ff;
/** More than a cell can push onto a frame (64 bytes of headroom: 16). */
const MAX_VLAN_TAGS = 20;
const MAX_EXTENSION_HEADERS = 8;
const MAX_ND_OPTIONS = 8;

/** ofp_ipv6exthdr_flags (OpenFlow 1.3, section 7.2.3.7). */
const IEH = { NONEXT: 1, ESP: 2, AUTH: 4, DEST: 8, FRAG: 16, ROUTER: 32, HOP: 64, UNREP: 128, UNSEQ: 256 };

/** Where the parser found headers, as offsets from the Ethernet header; 0: no such header in the head. */
export interface HeaderOffsets {
  l3: number;
  l4: number;
}

/** Where L4 starts (absolute) and where the packet's bytes end; between parse steps only. */
let l4 = 0;
let l4End = 0;

/**
 * Fills all 32 words of `key` from the frame at bytes[offset .. offset+length). Headers cut off by `length`
 * leave their words zero. `metadata` and `tunnel_id` are zeroed: the pipeline sets them.
 */
export function extractKey(
  bytes: Uint8Array,
  offset: number,
  length: number,
  inPort: number,
  key: Uint32Array,
  at?: HeaderOffsets,
): void {
  key.fill(0);
  key[K.IN_PORT] = inPort;
  key[K.IN_PHY_PORT] = inPort;
  if (at !== undefined) {
    at.l3 = 0;
    at.l4 = 0;
  }
  const end = Math.min(offset + length, bytes.length);
  if (end - offset < 14) return;
  key[K.ETH] = u32(bytes, offset);
  key[K.ETH + 1] = u32(bytes, offset + 4);
  key[K.ETH + 2] = u32(bytes, offset + 8);

  let p = offset + 12;
  let type = u16(bytes, p);
  let vlan = 0;
  // eth_type is that of the payload after all VLAN tags; vlan_vid and vlan_pcp are the outermost tag's.
  for (let tags = 0; isVlanType(type) && tags < MAX_VLAN_TAGS && p + 6 <= end; tags++) {
    if (tags === 0) {
      const tci = u16(bytes, p + 2);
      vlan = (tci & 0xe000) | OFPVID_PRESENT | (tci & 0x0fff);
    }
    p += 4;
    type = u16(bytes, p);
  }
  p += 2;
  if (type < 0x600) {
    const snap = p + 8 <= end && u32(bytes, p) === (0xaaaa0300 | 0) && u16(bytes, p + 4) === 0;
    type = snap ? u16(bytes, p + 6) : ETH_TYPE_NONE;
    if (snap) p += 8;
  }
  key[K.TYPE_VLAN] = (type << 16) | vlan;

  l4 = 0;
  l4End = end;
  let l3 = 0;
  if (type === 0x0800) {
    if (p + 20 > end) return;
    l3 = p;
    ipv4(bytes, p, end, key);
  } else if (type === 0x86dd) {
    if (p + 40 > end) return;
    l3 = p;
    ipv6(bytes, p, end, key);
  } else if (type === 0x0806) {
    if (p + 28 > end || !isEthernetIpv4Arp(bytes, p)) return;
    l3 = p;
    arp(bytes, p, key);
  } else if (type === 0x8847 || type === 0x8848) {
    if (p + 4 > end) return;
    l3 = p;
    key[K.MPLS] = u32(bytes, p) & 0xffffff00;
  } else if (type === 0x88e7) {
    if (p + 4 > end) return;
    l3 = p;
    key[K.PBB] = u32(bytes, p) & 0x08ffffff;
  }
  if (l4 !== 0) transport(bytes, key);
  if (at !== undefined && l3 !== 0) {
    at.l3 = l3 - offset;
    if (l4 !== 0) at.l4 = l4 - offset;
  }
}

export function isVlanType(type: number): boolean {
  return type === 0x8100 || type === 0x88a8;
}

function ipv4(b: Uint8Array, p: number, end: number, key: Uint32Array): void {
  key[K.PROTO] = (b[p + 9] << 24) | (b[p + 1] << 16);
  key[K.SRC] = u32(b, p + 12);
  key[K.DST] = u32(b, p + 16);
  const headerLength = (b[p] & 15) * 4;
  const laterFragment = (u16(b, p + 6) & 0x1fff) !== 0;
  if (b[p] >> 4 !== 4 || headerLength < 20 || laterFragment) return;
  setL4(p, headerLength, u16(b, p + 2), end);
}

/** `packetLength` as the IP header states it: what follows is Ethernet padding. 0: too long for the field. */
function setL4(l3: number, headerLength: number, packetLength: number, end: number): void {
  if (packetLength !== 0 && l3 + packetLength < end) l4End = l3 + packetLength;
  if (l3 + headerLength < l4End) l4 = l3 + headerLength;
}

function ipv6(b: Uint8Array, p: number, end: number, key: Uint32Array): void {
  for (let i = 0; i < 4; i++) {
    key[K.SRC + i] = u32(b, p + 8 + 4 * i);
    key[K.DST + i] = u32(b, p + 24 + 4 * i);
  }
  const first = u32(b, p);
  key[K.FLABEL] = first & 0xfffff;
  const trafficClass = (first >>> 20) & 255;
  let proto = b[p + 6];
  let q = p + 40;
  let seen = 0;
  let laterFragment = false;
  let complete = true;
  if (isExtension(proto)) {
    let rank = 0;
    for (let n = 0; isExtension(proto); n++) {
      const flag = extensionFlag(proto);
      // A destination header may come twice: before routing, and last (RFC 8200, section 4.1).
      const repeatable = flag === IEH.DEST && rank >= 3 && rank < 7;
      if ((seen & flag) !== 0 && !repeatable) seen |= IEH.UNREP;
      const order = extensionRank(proto, rank);
      if (order < rank) seen |= IEH.UNSEQ;
      else rank = order;
      seen |= flag;
      // Behind ESP all is encrypted; after "no next header" there is nothing.
      if (flag === IEH.ESP || flag === IEH.NONEXT) {
        complete = false;
        break;
      }
      if (n === MAX_EXTENSION_HEADERS || q + 8 > end) {
        complete = false;
        break;
      }
      if (flag === IEH.FRAG && (u16(b, q + 2) & 0xfff8) !== 0) laterFragment = true;
      const size = flag === IEH.FRAG ? 8 : flag === IEH.AUTH ? (b[q + 1] + 2) * 4 : (b[q + 1] + 1) * 8;
      proto = b[q];
      q += size;
      // What a later fragment holds is a piece of the payload, whatever its next header says.
      if (laterFragment) break;
    }
  }
  key[K.PROTO] = (proto << 24) | (trafficClass << 16) | seen;
  if (b[p] >> 4 !== 6 || laterFragment || !complete) return;
  const payload = u16(b, p + 4);
  setL4(p, q - p, payload === 0 ? 0 : payload + 40, end);
}

function isExtension(proto: number): boolean {
  return extensionFlag(proto) !== 0;
}

function extensionFlag(proto: number): number {
  switch (proto) {
    case 0:
      return IEH.HOP;
    case 43:
      return IEH.ROUTER;
    case 44:
      return IEH.FRAG;
    case 50:
      return IEH.ESP;
    case 51:
      return IEH.AUTH;
    case 59:
      return IEH.NONEXT;
    case 60:
      return IEH.DEST;
    default:
      return 0;
  }
}

/** Place in the preferred order: hop-by-hop, destination, routing, fragment, AH, ESP, destination. */
function extensionRank(proto: number, rank: number): number {
  switch (proto) {
    case 0:
      return 1;
    case 60:
      return rank < 3 ? 2 : 7;
    case 43:
      return 3;
    case 44:
      return 4;
    case 51:
      return 5;
    case 50:
      return 6;
    default:
      return 8;
  }
}

function isEthernetIpv4Arp(b: Uint8Array, p: number): boolean {
  return u32(b, p) === 0x00010800 && u16(b, p + 4) === 0x0604;
}

function arp(b: Uint8Array, p: number, key: Uint32Array): void {
  key[K.PROTO] = u16(b, p + 6) << 16;
  key[K.HW] = u32(b, p + 8);
  key[K.HW + 1] = (u16(b, p + 12) << 16) | u16(b, p + 18);
  key[K.HW + 2] = u32(b, p + 20);
  key[K.SRC] = u32(b, p + 14);
  key[K.DST] = u32(b, p + 24);
}

function transport(b: Uint8Array, key: Uint32Array): void {
  const proto = key[K.PROTO] >>> 24;
  if (proto === 6 || proto === 17 || proto === 132) {
    if (l4 + 4 <= l4End) key[K.L4] = u32(b, l4);
  } else if ((proto === 1 && isType(key, 0x0800)) || (proto === 58 && isType(key, 0x86dd))) {
    if (l4 + 2 > l4End) return;
    const type = b[l4];
    key[K.L4] = (type << 16) | b[l4 + 1];
    if (proto === 58 && (type === 135 || type === 136) && l4 + 24 <= l4End) {
      neighbourDiscovery(b, type, key);
    }
  }
}

function isType(key: Uint32Array, type: number): boolean {
  return key[K.TYPE_VLAN] >>> 16 === type;
}

function neighbourDiscovery(b: Uint8Array, type: number, key: Uint32Array): void {
  for (let i = 0; i < 4; i++) key[K.ND_TARGET + i] = u32(b, l4 + 8 + 4 * i);
  // Option 1 (source link-layer address) belongs to a solicitation, 2 (target) to an advertisement.
  const wanted = type - 134;
  let q = l4 + 24;
  for (let n = 0; n < MAX_ND_OPTIONS && q + 8 <= l4End && b[q + 1] !== 0; n++) {
    if (b[q] === wanted) {
      if (wanted === 1) {
        key[K.HW] = u32(b, q + 2);
        key[K.HW + 1] = u16(b, q + 6) << 16;
      } else {
        key[K.HW + 1] = u16(b, q + 2);
        key[K.HW + 2] = u32(b, q + 4);
      }
      return;
    }
    q += b[q + 1] * 8;
  }
}

function u16(b: Uint8Array, p: number): number {
  return (b[p] << 8) | b[p + 1];
}

/** Signed: stored into a Uint32Array or compared with signed constants. */
function u32(b: Uint8Array, p: number): number {
  return (b[p] << 24) | (b[p + 1] << 16) | (b[p + 2] << 8) | b[p + 3];
}
