/**
 * A packet as a description and what the actions of OpenFlow 1.3 do to it, as plainly as it can be written: edits
 * change the description, and its bytes are built anew from it, all checksums included.
 */
import type { Action } from '../../openflow/index.ts';
import {
  arp,
  checksum16,
  ethernet,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  neighbour,
  parseIpv4,
  parseIpv6,
  parseMac,
  pseudoHeaderSum,
  sctp,
  tcp,
  udp,
} from '../../packet/index.ts';

export interface Description {
  src: string;
  dst: string;
  /** In front of the payload, outermost first. */
  tags: Tag[];
  payload: Payload;
}

type Vlan = { kind: 'vlan'; tpid: number; vid: number; pcp: number };
/** `type`: how the Ethernet type before it names it. */
export type Mpls = { kind: 'mpls'; type: number; label: number; tc: number; bos: number; ttl: number };
/** With the addresses of the customer's frame, which begins here. */
type Pbb = { kind: 'pbb'; pcp: number; uca: number; isid: number; src: string; dst: string };
export type Tag = Vlan | Mpls | Pbb;

type Ip = {
  kind: 'ipv4' | 'ipv6';
  src: string;
  dst: string;
  dscp: number;
  ecn: number;
  ttl: number;
  /** Of IPv6; `ext` has a name of EXTENSIONS. */
  flabel: number;
  ext: keyof typeof EXTENSIONS;
  l4: L4;
};
type Arp = { kind: 'arp'; op: number; sha: string; spa: string; tha: string; tpa: string };
type Raw = { kind: 'raw'; type: number; bytes: Uint8Array };
export type Payload = Ip | Arp | Raw;

type L4 =
  | { kind: 'tcp' | 'udp' | 'sctp'; src: number; dst: number; payload: Uint8Array }
  | { kind: 'icmpv4' | 'icmpv6'; type: number; code: number; payload: Uint8Array }
  /** Neighbour discovery; the option (1 or 2) does not follow the type when that is set. */
  | { kind: 'nd'; type: number; code?: number; option: 1 | 2; target: string; linkAddress: string }
  | { kind: 'raw'; proto: number; payload: Uint8Array }
  | { kind: 'ip'; inner: Ip };

const PROTO = { icmpv4: 1, tcp: 6, udp: 17, icmpv6: 58, nd: 58, sctp: 132 } as const;
const ETH_TYPE = { ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806 } as const;
/** Chains of IPv6 extension headers, by protocol number, and the ipv6_exthdr they make (section 7.2.3.8). */
export const EXTENSIONS = {
  none: { chain: [], flags: 0 },
  hop: { chain: [0], flags: 64 },
  dest: { chain: [60], flags: 8 },
  router: { chain: [43], flags: 32 },
  auth: { chain: [51], flags: 4 },
  /** A packet in one fragment. */
  fragment: { chain: [44], flags: 16 },
  /** As RFC 8200 wants them. */
  ordered: { chain: [0, 60, 43, 51, 60], flags: 64 | 8 | 32 | 4 },
  /** Not in the preferred order: UNSEQ. */
  unordered: { chain: [43, 0], flags: 32 | 64 | 256 },
  /** UNREP. */
  repeated: { chain: [43, 43], flags: 32 | 128 },
} as const;
/** Headers that can be pushed onto a packet: what there is room for in a slot. */
const HEADROOM = 64;
const SIZE = { vlan: 4, mpls: 4, pbb: 18 } as const;

/** The packet ends: no room for a header. */
export class NoRoom extends Error {}
/** The packet ends: its TTL is invalid. */
export class InvalidTtl extends Error {}
/** The packet is not what the action says it is, so what becomes of it is open. */
export class Unspecified extends Error {}

const isVlanType = (type: number) => type === 0x8100 || type === 0x88a8;
const isMplsType = (type: number) => type === 0x8847 || type === 0x8848;

function protoOf({ l4 }: Ip): number {
  if (l4.kind === 'raw') return l4.proto;
  if (l4.kind !== 'ip') return PROTO[l4.kind];
  return l4.inner.kind === 'ipv4' ? 4 : 41;
}

function l4Bytes(l4: L4): Uint8Array {
  switch (l4.kind) {
    case 'tcp':
      return tcp(l4);
    case 'udp':
      return udp(l4);
    case 'sctp':
      return sctp(l4);
    case 'icmpv4':
      return icmp(l4);
    case 'icmpv6':
      return icmpv6(l4);
    case 'nd': {
      const message = neighbour({ ...l4, type: l4.option === 1 ? 135 : 136 });
      message.set([l4.type, l4.code ?? 0]);
      return message;
    }
    case 'raw':
      return l4.payload;
    case 'ip':
      return ipBytes(l4.inner);
  }
}

function ipBytes(ip: Ip): Uint8Array {
  const common = { src: ip.src, dst: ip.dst, proto: protoOf(ip), payload: l4Bytes(ip.l4) };
  if (ip.kind === 'ipv4') return ipv4({ ...common, ttl: ip.ttl, dscp: ip.dscp, ecn: ip.ecn });
  const trafficClass = (ip.dscp << 2) | ip.ecn;
  return extended(ipv6({ ...common, hopLimit: ip.ttl, trafficClass, flabel: ip.flabel }), ip.ext);
}

const IPV6_HEADER = 40;

/** An IPv6 packet with extension headers of 8 bytes each between its header and its payload. */
function extended(packet: Uint8Array, name: keyof typeof EXTENSIONS): Uint8Array {
  const { chain } = EXTENSIONS[name];
  const [first, ...later] = [...chain, packet[6]];
  const headers = chain.map((_, i) => [later[i], 0, 0, 0, 0, 0, 0, 0]);
  const [header, payload] = [packet.slice(0, IPV6_HEADER), packet.slice(IPV6_HEADER)];
  const length = payload.length + 8 * chain.length;
  header.set([length >> 8, length & 255, first], 4);
  return Uint8Array.from([...header, ...headers.flat(), ...payload]);
}

/** The bytes behind an IP header and its extensions, checksum and all. */
function l4OnWire(ip: Ip): Uint8Array {
  const header = ip.kind === 'ipv4' ? 20 : IPV6_HEADER + 8 * EXTENSIONS[ip.ext].chain.length;
  return ipBytes(ip).slice(header);
}

function payloadBytes(payload: Payload): Uint8Array {
  if (payload.kind === 'raw') return payload.bytes;
  return payload.kind === 'arp' ? arp(payload) : ipBytes(payload);
}

/** The Ethernet type that names what begins with these tags. */
function typeOf([tag]: Tag[], payload: Payload): number {
  if (tag === undefined) return payload.kind === 'raw' ? payload.type : ETH_TYPE[payload.kind];
  return tag.kind === 'vlan' ? tag.tpid : tag.kind === 'mpls' ? tag.type : 0x88e7;
}

/** The bytes behind the Ethernet type. */
function body([tag, ...inner]: Tag[], payload: Payload): Uint8Array {
  if (tag === undefined) return payloadBytes(payload);
  const rest = body(inner, payload);
  const type = typeOf(inner, payload);
  if (tag.kind === 'vlan') {
    const tci = (tag.pcp << 13) | tag.vid;
    return Uint8Array.from([tci >> 8, tci, type >> 8, type, ...rest]);
  }
  if (tag.kind === 'mpls') {
    const { label, tc, bos, ttl } = tag;
    return Uint8Array.from([label >> 12, label >> 4, (label << 4) | (tc << 1) | bos, ttl, ...rest]);
  }
  const { pcp, uca, isid, src, dst } = tag;
  const tci = [(pcp << 5) | (uca << 3), isid >> 16, isid >> 8, isid];
  return Uint8Array.from([...tci, ...ethernet({ src, dst, type, payload: rest })]);
}

export function buildFrame({ src, dst, tags, payload }: Description): Uint8Array {
  return ethernet({ src, dst, type: typeOf(tags, payload), payload: body(tags, payload) });
}

export class ReferencePacket {
  private readonly packet: Description;
  private room = HEADROOM;

  constructor(packet: Description) {
    this.packet = structuredClone(packet);
  }

  get bytes(): Uint8Array {
    return buildFrame(this.packet);
  }

  /** One that goes its own way. */
  copy(): ReferencePacket {
    const copy = new ReferencePacket(this.packet);
    copy.room = this.room;
    return copy;
  }

  get isTagged(): boolean {
    return this.vlan !== undefined;
  }

  get isIp(): boolean {
    return this.ip !== undefined;
  }

  /** A meter's DSCP remark: assured-forwarding class `x`, drop precedence `y` is DSCP 8x + 2y (RFC 2597). */
  worsenDrop(steps: number): void {
    const { ip } = this;
    for (let x = 1; x <= 4; x++) {
      for (let y = 1; y <= 3; y++) {
        if (ip?.dscp !== 8 * x + 2 * y) continue;
        ip.dscp = 8 * x + 2 * Math.min(3, y + steps);
        return;
      }
    }
  }

  /** The tag behind the VLAN tags, or undefined where the payload is. */
  private get inner(): Mpls | Pbb | undefined {
    return this.packet.tags.find((tag) => tag.kind !== 'vlan');
  }

  private get vlan(): Vlan | undefined {
    const [tag] = this.packet.tags;
    return tag?.kind === 'vlan' ? tag : undefined;
  }

  private get mpls(): Mpls | undefined {
    return this.inner?.kind === 'mpls' ? this.inner : undefined;
  }

  private get ip(): Ip | undefined {
    const { payload } = this.packet;
    return this.inner === undefined && 'l4' in payload ? payload : undefined;
  }

  private get arp(): Arp | undefined {
    const { payload } = this.packet;
    return this.inner === undefined && payload.kind === 'arp' ? payload : undefined;
  }

  /** Every match field this packet has, as an integer. */
  fields(): Record<string, bigint> {
    const { packet, inner, vlan, ip } = this;
    const { tags, payload } = packet;
    const behind = tags.slice(tags.findLastIndex((_, i) => tags.slice(0, i + 1).every(isVlan)) + 1);
    const fields: Record<string, bigint> = {
      eth_src: parseMac(packet.src),
      eth_dst: parseMac(packet.dst),
      eth_type: BigInt(typeOf(behind, payload)),
      vlan_vid: vlan === undefined ? 0n : BigInt(0x1000 | vlan.vid),
    };
    if (vlan !== undefined) fields.vlan_pcp = BigInt(vlan.pcp);
    if (inner?.kind === 'mpls') {
      for (const name of ['label', 'tc', 'bos'] as const) fields[`mpls_${name}`] = BigInt(inner[name]);
    }
    if (inner?.kind === 'pbb') {
      fields.pbb_isid = BigInt(inner.isid);
      fields.pbb_uca = BigInt(inner.uca);
    }
    if (this.arp !== undefined) {
      fields.arp_op = BigInt(this.arp.op);
      fields.arp_spa = BigInt(parseIpv4(this.arp.spa));
      fields.arp_tpa = BigInt(parseIpv4(this.arp.tpa));
      fields.arp_sha = parseMac(this.arp.sha);
      fields.arp_tha = parseMac(this.arp.tha);
    }
    if (ip !== undefined) ipFields(ip, fields);
    return fields;
  }

  /** Throws NoRoom, InvalidTtl and Unspecified. */
  edit(action: Action): void {
    const { packet, vlan, mpls, ip } = this;
    const { tags } = packet;
    switch (action.type) {
      case 'push_vlan':
        this.push({ kind: 'vlan', tpid: action.ethertype, vid: vlan?.vid ?? 0, pcp: vlan?.pcp ?? 0 });
        break;
      case 'push_mpls': {
        const bos = isMplsType(typeOf(tags, packet.payload)) ? 0 : 1;
        const { label, tc, ttl } = mpls ?? { label: 0, tc: 0, ttl: ip?.ttl ?? 0 };
        this.push({ kind: 'mpls', type: action.ethertype, label, tc, bos, ttl });
        break;
      }
      case 'push_pbb': {
        const isid = this.inner?.kind === 'pbb' ? this.inner.isid : 0;
        this.push({ kind: 'pbb', pcp: vlan?.pcp ?? 0, uca: 0, isid, src: packet.src, dst: packet.dst });
        break;
      }
      case 'pop_vlan':
        if (vlan !== undefined) this.remove(vlan);
        break;
      case 'pop_mpls':
        if (mpls !== undefined) this.popMpls(mpls, action.ethertype);
        break;
      case 'pop_pbb': {
        const { inner } = this;
        if (inner?.kind !== 'pbb') break;
        this.remove(inner);
        packet.src = inner.src;
        packet.dst = inner.dst;
        break;
      }
      case 'set_nw_ttl':
        if (ip !== undefined) ip.ttl = action.nw_ttl;
        break;
      case 'set_mpls_ttl':
        if (mpls !== undefined) mpls.ttl = action.mpls_ttl;
        break;
      case 'dec_nw_ttl':
        decrement(ip);
        break;
      case 'dec_mpls_ttl':
        decrement(mpls);
        break;
      case 'copy_ttl_in':
      case 'copy_ttl_out': {
        const [outer, next] = this.twoTtls();
        if (outer === undefined || next === undefined) break;
        if (action.type === 'copy_ttl_in') next.ttl = outer.ttl;
        else outer.ttl = next.ttl;
        break;
      }
      case 'set_field': {
        const [[name, value]] = Object.entries(action.field as unknown as Record<string, never>);
        this.set(name, value);
        break;
      }
      default:
        throw new Error(`the reference knows no ${action.type}`);
    }
  }

  private push(tag: Tag): void {
    if (this.room < SIZE[tag.kind]) throw new NoRoom();
    this.room -= SIZE[tag.kind];
    this.packet.tags.unshift(tag);
  }

  private remove(tag: Tag): void {
    this.room += SIZE[tag.kind];
    this.packet.tags.splice(this.packet.tags.indexOf(tag), 1);
  }

  private popMpls(entry: Mpls, type: number): void {
    const { tags, payload } = this.packet;
    const behind = tags.slice(tags.indexOf(entry) + 1);
    const [next] = behind;
    this.remove(entry);
    if (next?.kind === 'vlan' && isVlanType(type)) {
      next.tpid = type;
    } else if (next?.kind === 'mpls' && isMplsType(type)) {
      next.type = type;
    } else if (typeOf(behind, payload) !== type) {
      // Only of a type that no field depends on is it clear what the payload is then.
      if (type !== 0x88b5) throw new Unspecified();
      tags.splice(tags.length - behind.length);
      this.packet.payload = { kind: 'raw', type, bytes: body(behind, payload) };
    }
  }

  /** The two outermost headers with a TTL, if there are two. */
  private twoTtls(): { ttl: number }[] {
    const { ip, mpls, packet } = this;
    if (ip !== undefined) return ip.l4.kind === 'ip' ? [ip, ip.l4.inner] : [];
    if (mpls === undefined) return [];
    const next = packet.tags[packet.tags.indexOf(mpls) + 1];
    if (mpls.bos === 0) {
      if (next?.kind !== 'mpls') throw new Unspecified();
      return [mpls, next];
    }
    // Nothing says what is behind the last label: what is not IP may look like it.
    if (next !== undefined || packet.payload.kind === 'raw') throw new Unspecified();
    return 'l4' in packet.payload ? [mpls, packet.payload] : [];
  }

  /** Only of a type that no field depends on is it clear what the payload is then. */
  private setEthType(type: number): void {
    const { packet, inner } = this;
    const { tags, payload } = packet;
    const at = inner === undefined ? tags.length : tags.indexOf(inner);
    const behind = tags.slice(at);
    if (type === typeOf(behind, payload)) return;
    if (type !== 0x88b5) throw new Unspecified();
    packet.payload = { kind: 'raw', type, bytes: body(behind, payload) };
    tags.splice(at);
  }

  /** The same for protocols. The checksum is then right with the new protocol in the pseudo-header. */
  private setProto(ip: Ip, proto: number): void {
    if (proto === protoOf(ip)) return;
    if (proto !== 253) throw new Unspecified();
    const payload = l4OnWire(ip);
    const at = { tcp: 16, udp: 6, icmpv6: 2, nd: 2 }[ip.l4.kind as string];
    const old = ip.l4.kind;
    ip.l4 = { kind: 'raw', proto, payload };
    if (at === undefined) return;
    payload.fill(0, at, at + 2);
    const sum = checksum16(
      payload,
      0,
      payload.length,
      pseudoHeaderSum(ipBytes(ip), 0, proto, payload.length),
    );
    const checksum = sum === 0 && old === 'udp' ? 0xffff : sum;
    payload.set([checksum >> 8, checksum & 255], at);
  }

  private set(name: string, value: never): void {
    const { packet, vlan, inner, mpls, ip, arp: message } = this;
    const l4 = ip?.l4;
    if (name === 'eth_type') this.setEthType(value);
    if (ip !== undefined && name === 'ip_proto') this.setProto(ip, value);
    if (name === 'eth_src') packet.src = value;
    if (name === 'eth_dst') packet.dst = value;
    if (vlan !== undefined && name === 'vlan_vid') vlan.vid = value & 0xfff;
    if (vlan !== undefined && name === 'vlan_pcp') vlan.pcp = value;
    if (mpls !== undefined && name === 'mpls_label') mpls.label = value;
    if (mpls !== undefined && name === 'mpls_tc') mpls.tc = value;
    if (mpls !== undefined && name === 'mpls_bos') mpls.bos = value;
    if (inner?.kind === 'pbb' && name === 'pbb_isid') inner.isid = value;
    if (inner?.kind === 'pbb' && name === 'pbb_uca') inner.uca = value;
    if (ip !== undefined && name === 'ip_dscp') ip.dscp = value;
    if (ip !== undefined && name === 'ip_ecn') ip.ecn = value;
    if (ip !== undefined && name === `${ip.kind}_src`) ip.src = value;
    if (ip !== undefined && name === `${ip.kind}_dst`) ip.dst = value;
    if (ip?.kind === 'ipv6' && name === 'ipv6_flabel') ip.flabel = value;
    if (l4?.kind === 'tcp' || l4?.kind === 'udp' || l4?.kind === 'sctp') {
      if (name === `${l4.kind}_src`) l4.src = value;
      if (name === `${l4.kind}_dst`) l4.dst = value;
    }
    if (l4?.kind === 'icmpv4' || l4?.kind === 'icmpv6') {
      if (name === `${l4.kind}_type`) l4.type = value;
      if (name === `${l4.kind}_code`) l4.code = value;
    }
    if (l4?.kind === 'nd') {
      if (name === 'icmpv6_type') l4.type = value;
      if (name === 'icmpv6_code') l4.code = value;
      if (name === 'ipv6_nd_target' && (l4.type === 135 || l4.type === 136)) l4.target = value;
      if (name === 'ipv6_nd_sll' && l4.option === 1 && l4.type === 135) l4.linkAddress = value;
      if (name === 'ipv6_nd_tll' && l4.option === 2 && l4.type === 136) l4.linkAddress = value;
    }
    if (message !== undefined && name.startsWith('arp_')) Object.assign(message, { [name.slice(4)]: value });
  }
}

const isVlan = (tag: Tag) => tag.kind === 'vlan';

function decrement(header: { ttl: number } | undefined): void {
  if (header === undefined) return;
  if (header.ttl <= 1) throw new InvalidTtl();
  header.ttl--;
}

function ipFields(ip: Ip, fields: Record<string, bigint>): void {
  const { l4, kind } = ip;
  const parse = kind === 'ipv4' ? (text: string) => BigInt(parseIpv4(text)) : parseIpv6;
  fields.ip_dscp = BigInt(ip.dscp);
  fields.ip_ecn = BigInt(ip.ecn);
  fields.ip_proto = BigInt(protoOf(ip));
  fields[`${kind}_src`] = parse(ip.src);
  fields[`${kind}_dst`] = parse(ip.dst);
  if (kind === 'ipv6') fields.ipv6_flabel = BigInt(ip.flabel);
  if (kind === 'ipv6') fields.ipv6_exthdr = BigInt(EXTENSIONS[ip.ext].flags);
  switch (l4.kind) {
    case 'tcp':
    case 'udp':
    case 'sctp':
      fields[`${l4.kind}_src`] = BigInt(l4.src);
      fields[`${l4.kind}_dst`] = BigInt(l4.dst);
      break;
    case 'icmpv4':
    case 'icmpv6':
      fields[`${l4.kind}_type`] = BigInt(l4.type);
      fields[`${l4.kind}_code`] = BigInt(l4.code);
      break;
    case 'nd':
      fields.icmpv6_type = BigInt(l4.type);
      fields.icmpv6_code = BigInt(l4.code ?? 0);
      if (l4.type !== 135 && l4.type !== 136) break;
      fields.ipv6_nd_target = parseIpv6(l4.target);
      if (l4.type === 135 && l4.option === 1) fields.ipv6_nd_sll = parseMac(l4.linkAddress);
      if (l4.type === 136 && l4.option === 2) fields.ipv6_nd_tll = parseMac(l4.linkAddress);
      break;
    case 'raw':
    case 'ip':
      break;
  }
}
