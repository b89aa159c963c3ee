/** Builds whole frames, for tests, probes and the demo. Not for the data path: every call allocates. */
import { parseIpv4, parseIpv6, parseMac } from './address.ts';
import { checksum16, pseudoHeaderSum } from './checksum.ts';

const EMPTY = new Uint8Array(0);

function bytesOf(value: bigint | number, length: number): number[] {
  let rest = BigInt(value);
  const bytes = new Array<number>(length);
  for (let i = length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}

const be16 = (value: number) => bytesOf(value, 2);
const be32 = (value: number) => bytesOf(value, 4);
const mac = (text: string) => bytesOf(parseMac(text), 6);
const ip4 = (text: string) => bytesOf(parseIpv4(text), 4);
const ip6 = (text: string) => bytesOf(parseIpv6(text), 16);

function concat(header: number[], payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(header.length + payload.length);
  out.set(header);
  out.set(payload, header.length);
  return out;
}

function store16(bytes: Uint8Array, at: number, value: number): Uint8Array {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 255;
  return bytes;
}

export interface EthernetInit {
  dst?: string;
  src?: string;
  /** Ethernet type of the payload. */
  type: number;
  payload?: Uint8Array;
}

/** An Ethernet frame without its checksum; not padded to 60 bytes. */
export function ethernet(init: EthernetInit): Uint8Array {
  const { dst = '02:00:00:00:00:02', src = '02:00:00:00:00:01', type, payload = EMPTY } = init;
  return concat([...mac(dst), ...mac(src), ...be16(type)], payload);
}

export interface VlanInit {
  vid: number;
  pcp?: number;
  /** 0x8100 (802.1Q) unless told otherwise. */
  tpid?: number;
}

/** The frame with a VLAN tag put in front of what follows the addresses. */
export function vlan(frame: Uint8Array, init: VlanInit): Uint8Array {
  const { vid, pcp = 0, tpid = 0x8100 } = init;
  return concat([...frame.subarray(0, 12), ...be16(tpid), ...be16((pcp << 13) | vid)], frame.subarray(12));
}

export interface ArpInit {
  op?: number;
  sha?: string;
  spa?: string;
  tha?: string;
  tpa?: string;
}

/** An ARP packet for IPv4 over Ethernet, without the Ethernet header. */
export function arp(init: ArpInit = {}): Uint8Array {
  const { op = 1, sha = '02:00:00:00:00:01', spa = '10.0.0.1' } = init;
  const { tha = '00:00:00:00:00:00', tpa = '10.0.0.2' } = init;
  const fixed = [...be16(1), ...be16(0x0800), 6, 4, ...be16(op)];
  return Uint8Array.from([...fixed, ...mac(sha), ...ip4(spa), ...mac(tha), ...ip4(tpa)]);
}

export interface Ipv4Init {
  src?: string;
  dst?: string;
  proto: number;
  ttl?: number;
  dscp?: number;
  ecn?: number;
  id?: number;
  /** In units of 8 bytes. */
  fragmentOffset?: number;
  moreFragments?: boolean;
  /** IP options, a multiple of 4 bytes. */
  options?: Uint8Array;
  payload?: Uint8Array;
}

/**
 * An IPv4 packet with its header checksum. A TCP, UDP or SCTP payload gets its checksum too, if its field is
 * zero.
 */
export function ipv4(init: Ipv4Init): Uint8Array {
  const { src = '10.0.0.1', dst = '10.0.0.2', proto, ttl = 64, dscp = 0, ecn = 0, id = 0 } = init;
  const { fragmentOffset = 0, moreFragments = false, options = EMPTY, payload = EMPTY } = init;
  const headerLength = 20 + options.length;
  const fragment = (moreFragments ? 0x2000 : 0) | fragmentOffset;
  const first = [0x40 | (headerLength / 4), (dscp << 2) | ecn, ...be16(headerLength + payload.length)];
  const second = [...be16(id), ...be16(fragment), ttl, proto, 0, 0, ...ip4(src), ...ip4(dst)];
  const packet = concat([...first, ...second, ...options], payload);
  if (fragmentOffset === 0 && !moreFragments) finishL4(packet, headerLength, proto);
  return store16(packet, 10, checksum16(packet, 0, headerLength));
}

export interface Ipv6Init {
  src?: string;
  dst?: string;
  /** Protocol of the payload (of the first extension header, if the payload starts with those). */
  proto: number;
  hopLimit?: number;
  trafficClass?: number;
  flabel?: number;
  payload?: Uint8Array;
}

/** An IPv6 packet. A TCP, UDP, SCTP or ICMPv6 payload gets its checksum, if its field is zero. */
export function ipv6(init: Ipv6Init): Uint8Array {
  const { src = 'fd00::1', dst = 'fd00::2', proto, hopLimit = 64, trafficClass = 0, flabel = 0 } = init;
  const { payload = EMPTY } = init;
  const first = bytesOf((6n << 28n) | (BigInt(trafficClass) << 20n) | BigInt(flabel), 4);
  const rest = [...be16(payload.length), proto, hopLimit, ...ip6(src), ...ip6(dst)];
  return finishL4(concat([...first, ...rest], payload), 40, proto);
}

const CHECKSUM_AT: Record<number, number> = { 6: 16, 17: 6, 58: 2 };

function finishL4(packet: Uint8Array, l4: number, proto: number): Uint8Array {
  if (proto === 132) return finishSctp(packet, l4);
  const field = CHECKSUM_AT[proto];
  const length = packet.length - l4;
  const v6 = packet[0] >> 4 === 6;
  if (field === undefined || (proto === 58 && !v6) || length < field + 2) return packet;
  if (packet[l4 + field] !== 0 || packet[l4 + field + 1] !== 0) return packet;
  const sum = checksum16(packet, l4, length, pseudoHeaderSum(packet, 0, proto, length));
  return store16(packet, l4 + field, sum === 0 && proto === 17 ? 0xffff : sum);
}

/** CRC32c of the whole packet (RFC 9260, appendix A). */
function finishSctp(packet: Uint8Array, l4: number): Uint8Array {
  if (packet.length < l4 + 12 || packet.subarray(l4 + 8, l4 + 12).some((byte) => byte !== 0)) return packet;
  let crc = -1;
  for (const byte of packet.subarray(l4)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? 0x82f63b78 : 0);
  }
  for (let i = 0; i < 4; i++) packet[l4 + 8 + i] = ~crc >>> (8 * i);
  return packet;
}

export interface PortsInit {
  src?: number;
  dst?: number;
  payload?: Uint8Array;
}

/** A UDP datagram, checksum zero until it is put into an IP packet. */
export function udp(init: PortsInit = {}): Uint8Array {
  const { src = 1000, dst = 2000, payload = EMPTY } = init;
  return concat([...be16(src), ...be16(dst), ...be16(8 + payload.length), 0, 0], payload);
}

export interface TcpInit extends PortsInit {
  seq?: number;
  ack?: number;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16. */
  flags?: number;
  window?: number;
}

/** A TCP segment without options, checksum zero until it is put into an IP packet. */
export function tcp(init: TcpInit = {}): Uint8Array {
  const { src = 1000, dst = 2000, seq = 0, ack = 0, flags = 16, window = 65535, payload = EMPTY } = init;
  const start = [...be16(src), ...be16(dst), ...be32(seq), ...be32(ack)];
  return concat([...start, 0x50, flags, ...be16(window), 0, 0, 0, 0], payload);
}

/** An SCTP packet, CRC zero until it is put into an IP packet. */
export function sctp(init: PortsInit = {}): Uint8Array {
  const { src = 1000, dst = 2000, payload = EMPTY } = init;
  return concat([...be16(src), ...be16(dst), ...be32(0), ...be32(0)], payload);
}

export interface IcmpInit {
  type?: number;
  code?: number;
  /** What follows type, code and checksum. */
  payload?: Uint8Array;
}

/** An ICMPv4 message with its checksum; echo request unless told otherwise. */
export function icmp(init: IcmpInit = {}): Uint8Array {
  const { type = 8, code = 0, payload = new Uint8Array(4) } = init;
  const message = concat([type, code, 0, 0], payload);
  return store16(message, 2, checksum16(message, 0, message.length));
}

/** An ICMPv6 message, checksum zero until it is put into an IPv6 packet. */
export function icmpv6(init: IcmpInit = {}): Uint8Array {
  const { type = 128, code = 0, payload = new Uint8Array(4) } = init;
  return concat([type, code, 0, 0], payload);
}

export interface NeighbourInit {
  /** 135 solicitation, 136 advertisement. */
  type: 135 | 136;
  target: string;
  /** Link-layer address option that belongs to the type. */
  linkAddress?: string;
  /** Of an advertisement: router 0x80, solicited 0x40, override 0x20. */
  flags?: number;
}

/** A neighbour-discovery message. */
export function neighbour(init: NeighbourInit): Uint8Array {
  const option = init.linkAddress === undefined ? [] : [init.type - 134, 1, ...mac(init.linkAddress)];
  const payload = Uint8Array.from([init.flags ?? 0, 0, 0, 0, ...ip6(init.target), ...option]);
  return icmpv6({ type: init.type, payload });
}
