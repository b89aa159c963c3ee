/** IPv4 and IPv6 as hosts speak them, one description for both: packets, echoes, and how addresses are asked for. */
import {
  arp,
  ethernet,
  extractKey,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  KEY_WORDS,
  neighbour,
  parseIpv6,
} from '../packet/index.ts';
import { fieldsOf } from './describe.ts';

/** A host's addresses. */
export interface Addresses {
  readonly mac: string;
  readonly ip: string;
  readonly ip6: string;
}

/** What a frame is for a host, if it is anything. */
export type Received =
  /** Somebody wants to know the MAC address of `target`, or tells their own. */
  | { type: 'neighbour'; asks: boolean; ip: string; mac: string; target: string }
  | { type: 'echo'; isReply: boolean; src: string; body: Uint8Array }
  | { type: 'datagram'; src: string; src_port: number; dst_port: number; payload: Uint8Array };

const TYPE = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd } as const;
export const PROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;
const ARP_OP = { REQUEST: 1, REPLY: 2 } as const;
const ND = { SOLICITATION: 135, ADVERTISEMENT: 136 } as const;
/** Solicited, override (RFC 4861, 4.4). */
const ND_ANSWER = 0x60;
/** Neighbour discovery does not pass routers. */
const ND_HOP_LIMIT = 255;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const L4_HEADER_BYTES = 8;

export const isIpv6 = (ip: string): boolean => ip.includes(':');

const ECHO = {
  4: { REQUEST: 8, REPLY: 0 },
  6: { REQUEST: 128, REPLY: 129 },
} as const;

/** A frame with an IP packet, of the version that `to` is of. */
export const ipFrame = (
  from: Addresses,
  to: string,
  dst: string,
  proto: number,
  payload: Uint8Array,
): Uint8Array =>
  isIpv6(to)
    ? ethernet({
        src: from.mac,
        dst,
        type: TYPE.IPV6,
        payload: ipv6({ src: from.ip6, dst: to, proto, payload }),
      })
    : ethernet({
        src: from.mac,
        dst,
        type: TYPE.IPV4,
        payload: ipv4({ src: from.ip, dst: to, proto, payload }),
      });

/** An echo message and its protocol. `body`: what follows the checksum. */
export const echo = (to: string, isReply: boolean, body: Uint8Array): [number, Uint8Array] => {
  const { REQUEST, REPLY } = ECHO[isIpv6(to) ? 6 : 4];
  const message = { type: isReply ? REPLY : REQUEST, payload: body };
  return isIpv6(to) ? [PROTO.ICMPV6, icmpv6(message)] : [PROTO.ICMP, icmp(message)];
};

const ndFrame = (from: Addresses, to: string, dst: string, payload: Uint8Array): Uint8Array => {
  const packet = ipv6({ src: from.ip6, dst: to, proto: PROTO.ICMPV6, hopLimit: ND_HOP_LIMIT, payload });
  return ethernet({ src: from.mac, dst, type: TYPE.IPV6, payload: packet });
};

/** Asks for the MAC address of an IP address: ARP, or a neighbour solicitation to its group (RFC 4291, 2.7.1). */
export const ask = (from: Addresses, ip: string): Uint8Array => {
  if (!isIpv6(ip)) {
    const request = { op: ARP_OP.REQUEST, sha: from.mac, spa: from.ip, tpa: ip };
    return ethernet({ dst: BROADCAST, src: from.mac, type: TYPE.ARP, payload: arp(request) });
  }
  const [a, b, c] = [16n, 8n, 0n].map((bits) =>
    ((parseIpv6(ip) >> bits) & 255n).toString(16).padStart(2, '0'),
  );
  const solicitation = neighbour({ type: ND.SOLICITATION, target: ip, linkAddress: from.mac });
  return ndFrame(from, `ff02::1:ff${a}:${b}${c}`, `33:33:ff:${a}:${b}:${c}`, solicitation);
};

/** Answers that. */
export const tell = (from: Addresses, asker: { ip: string; mac: string }): Uint8Array => {
  if (!isIpv6(asker.ip)) {
    const reply = { op: ARP_OP.REPLY, sha: from.mac, spa: from.ip, tha: asker.mac, tpa: asker.ip };
    return ethernet({ dst: asker.mac, src: from.mac, type: TYPE.ARP, payload: arp(reply) });
  }
  const told = { type: ND.ADVERTISEMENT, target: from.ip6, linkAddress: from.mac, flags: ND_ANSWER };
  return ndFrame(from, asker.ip, asker.mac, neighbour(told));
};

/** Reads a frame that has come to a host. Undefined: nothing that a host does anything with. */
export const receive = (own: Addresses, bytes: Uint8Array): Received | undefined => {
  const fields = fieldsOf(bytes) as Record<string, number & string>;
  if (fields.arp_op !== undefined) {
    const { arp_op, arp_spa: ip, arp_sha: mac, arp_tpa: target } = fields;
    return { type: 'neighbour', asks: arp_op === ARP_OP.REQUEST, ip, mac, target };
  }
  if (fields.ipv6_nd_target !== undefined) {
    const { ipv6_src, ipv6_nd_target: target, ipv6_nd_sll, ipv6_nd_tll } = fields;
    if (ipv6_nd_sll !== undefined)
      return { type: 'neighbour', asks: true, ip: ipv6_src, mac: ipv6_nd_sll, target };
    if (ipv6_nd_tll === undefined) return undefined;
    return { type: 'neighbour', asks: false, ip: target, mac: ipv6_nd_tll, target: own.ip6 };
  }
  if (fields.ipv4_dst !== own.ip && fields.ipv6_dst !== own.ip6) return undefined;
  const version = fields.ipv4_dst === undefined ? 6 : 4;
  const src = fields.ipv4_src ?? fields.ipv6_src;
  const body = transportOf(bytes, version);
  const type: number | undefined = fields.icmpv4_type ?? fields.icmpv6_type;
  const { REQUEST, REPLY } = ECHO[version];
  if (type === REQUEST || type === REPLY) {
    if (body.length < L4_HEADER_BYTES) return undefined;
    return { type: 'echo', isReply: type === REPLY, src, body: body.slice(4) };
  }
  const { udp_src: src_port, udp_dst: dst_port } = fields;
  if (src_port === undefined) return undefined;
  return { type: 'datagram', src, src_port, dst_port, payload: body.slice(L4_HEADER_BYTES) };
};

/** The transport header and what follows, without the padding of a short frame. */
const transportOf = (bytes: Uint8Array, version: 4 | 6): Uint8Array => {
  const at = { l3: 0, l4: 0 };
  extractKey(bytes, 0, bytes.length, 0, new Uint32Array(KEY_WORDS), at);
  const be16 = (offset: number) => (bytes[offset] << 8) | bytes[offset + 1];
  const end = version === 4 ? at.l3 + be16(at.l3 + 2) : at.l3 + 40 + be16(at.l3 + 4);
  return bytes.subarray(at.l4, end);
};
