/**
 * The match of OpenFlow 1.0 (12 fields, ofp_match) and of 1.3 (OXM). Spec: 3.4 and 5.2.3 of 1.0.
 *
 * From 1.0: what the packet's type does not have is not compared, whatever the match says of it. To 1.0: a field, or a
 * mask, that 1.0 does not have is an OpenFlowError.
 */
import type { OpenFlowError } from '../errors.ts';
import type { Match } from '../index.ts';
import * as v10 from '../v10/index.ts';
import { OFPVID_NONE, OFPVID_PRESENT } from '../v13/constants.ts';
import { BadMatchCode, ErrorType } from '../v13/errors.ts';
import { cannotSay } from './shared.ts';
import { port16Of, port32 } from './v10-ports.ts';

const IPV4 = 0x0800;
const ARP = 0x0806;
const IPV6 = 0x86dd;
/**
 * The 1.0 specification says "IP" and means IPv4, but never what else IPv6 would be. Taken as Open vSwitch does: type of
 * service, protocol and ports of either, addresses of IPv4 only.
 */
const IP = [IPV4, IPV6];
const VID = 0x0fff;

/** Fields of the transport layer by IP protocol: what tp_src and tp_dst stand for. ICMP has one for each IP. */
const TRANSPORT: Readonly<Record<number, readonly [src: string, dst: string]>> = {
  1: ['icmpv4_type', 'icmpv4_code'],
  6: ['tcp_src', 'tcp_dst'],
  17: ['udp_src', 'udp_dst'],
  132: ['sctp_src', 'sctp_dst'],
  58: ['icmpv6_type', 'icmpv6_code'],
};
const ICMP = 1;
const ICMPV6 = 58;

/** Those of a packet of this type and protocol; undefined: it has none. */
const transportOf = (ethType: unknown, proto: unknown): readonly [src: string, dst: string] | undefined => {
  if (proto === ICMP && ethType !== IPV4) return undefined;
  if (proto === ICMPV6 && ethType !== IPV6) return undefined;
  return IP.includes(ethType as number) ? TRANSPORT[proto as number] : undefined;
};

/** A priority above all others. */
export const HIGHEST_PRIORITY = 0xffff;

type Match10 = v10.Match;
type FieldName10 = Exclude<keyof Match10, 'wildcards'>;
type Values = Record<string, number | string | readonly [string, string]>;

const FIELDS_10: readonly FieldName10[] = [
  'in_port',
  'dl_src',
  'dl_dst',
  'dl_vlan',
  'dl_vlan_pcp',
  'dl_type',
  'nw_tos',
  'nw_proto',
  'nw_src',
  'nw_dst',
  'tp_src',
  'tp_dst',
];

/** Nothing is wildcarded: such an entry outranks every other, whatever its priority says. Spec 3.4 of 1.0. */
export const isExact = (match: Match10): boolean =>
  FIELDS_10.every((name) => match[name] !== undefined && !Array.isArray(match[name])) &&
  ((match.wildcards ?? 0) & v10.Wildcard.ALL) === 0;

// Addresses -------------------------------------------------------------------------------------------------

const dotted = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
const word = (address: string): number =>
  address.split('.').reduce((bits, byte) => (bits << 8) | Number(byte), 0);

/** Without what its mask leaves out. */
function address13(given: Match10['nw_src']): string | readonly [string, string] | undefined {
  if (given === undefined || typeof given === 'string') return given;
  const [value, mask] = given;
  return mask === '0.0.0.0' ? undefined : [dotted(word(value) & word(mask)), mask];
}

/** '10.0.0.0/8', '10.0.0.0/255.0.0.0', [address, mask] or an address, as address and mask. */
function splitAddress(given: string | readonly [string, string]): readonly [string, string] {
  if (typeof given !== 'string') return given;
  const [value, mask = '32'] = given.split('/');
  if (mask.includes('.')) return [value, mask];
  return [value, mask === '0' ? '0.0.0.0' : dotted(-1 << (32 - Number(mask)))];
}

/** A mask that is ones, then zeros. */
const isPrefix = (mask: string): boolean => (~word(mask) & (~word(mask) + 1)) === 0;

// From 1.0 --------------------------------------------------------------------------------------------------

/** A wildcarded field whose bytes are not zero is an array. */
const compared = <T extends number | string>(given: T | readonly [T, T] | undefined): T | undefined =>
  typeof given === 'object' ? undefined : (given as T | undefined);

function set(out: Values, name: string, value: Values[string] | undefined): void {
  if (value !== undefined) out[name] = value;
}

function vlanFrom10(match: Match10, out: Values): void {
  const vlan = compared(match.dl_vlan);
  const pcp = compared(match.dl_vlan_pcp);
  if (vlan === v10.VLAN_NONE) {
    out.vlan_vid = OFPVID_NONE;
    return;
  }
  if (vlan !== undefined) out.vlan_vid = OFPVID_PRESENT | (vlan & VID);
  if (pcp === undefined) return;
  if (vlan === undefined) (out as Record<string, unknown>).vlan_vid = [OFPVID_PRESENT, OFPVID_PRESENT];
  out.vlan_pcp = pcp & 7;
}

/** What a match of 1.0 compares, in 1.3; of `nw_tos` the DSCP, of ICMP's type and code the lower 8 bits. */
export function matchFrom10(match: Match10): Match {
  const out: Values = {};
  const inPort = compared(match.in_port);
  if (inPort !== undefined) out.in_port = port32(inPort);
  set(out, 'eth_dst', compared(match.dl_dst));
  set(out, 'eth_src', compared(match.dl_src));
  const type = compared(match.dl_type);
  set(out, 'eth_type', type);
  vlanFrom10(match, out);
  const proto = compared(match.nw_proto);
  if (type === ARP) {
    set(out, 'arp_op', proto);
    set(out, 'arp_spa', address13(match.nw_src));
    set(out, 'arp_tpa', address13(match.nw_dst));
  }
  if (type === undefined || !IP.includes(type)) return out as Match;
  const tos = compared(match.nw_tos);
  if (tos !== undefined) out.ip_dscp = tos >>> 2;
  set(out, 'ip_proto', proto);
  if (type === IPV4) {
    set(out, 'ipv4_src', address13(match.nw_src));
    set(out, 'ipv4_dst', address13(match.nw_dst));
  }
  const transport = transportOf(type, proto);
  if (transport === undefined) return out as Match;
  const bits = proto === ICMP || proto === ICMPV6 ? 0xff : 0xffff;
  const [src, dst] = [compared(match.tp_src), compared(match.tp_dst)];
  if (src !== undefined) out[transport[0]] = src & bits;
  if (dst !== undefined) out[transport[1]] = dst & bits;
  return out as Match;
}

// To 1.0 ----------------------------------------------------------------------------------------------------

const fieldError = (what: string, code: number): OpenFlowError =>
  cannotSay(v10.OFP_VERSION, what, [ErrorType.BAD_MATCH, code]);

const BAD_PORT = [ErrorType.BAD_MATCH, BadMatchCode.BAD_VALUE] as const;

/** Fields that only change their name (the addresses of Ethernet beside them), and what eth_type, or ip_proto beside it, must say for 1.0 to compare them. */
const RENAMED: Readonly<
  Record<string, readonly [to: FieldName10, ethTypes?: readonly number[], proto?: number]>
> = {
  eth_type: ['dl_type'],
  vlan_pcp: ['dl_vlan_pcp'],
  ip_dscp: ['nw_tos', IP],
  ip_proto: ['nw_proto', IP],
  arp_op: ['nw_proto', [ARP]],
  ipv4_src: ['nw_src', [IPV4]],
  ipv4_dst: ['nw_dst', [IPV4]],
  arp_spa: ['nw_src', [ARP]],
  arp_tpa: ['nw_dst', [ARP]],
  ...Object.fromEntries(
    Object.entries(TRANSPORT).flatMap(([proto, [src, dst]]) => [
      [src, ['tp_src', IP, Number(proto)]],
      [dst, ['tp_dst', IP, Number(proto)]],
    ]),
  ),
};

/** A value alone, however it is said that all its bits are compared; undefined: none is. */
function unmasked(name: string, given: unknown): number | string | undefined {
  if (!Array.isArray(given)) return given as number | string;
  const [value, mask] = given as [number | string, number | string];
  if (typeof mask === 'string' ? /^(00:){5}00$/.test(mask) : mask === 0) return undefined;
  if (typeof mask === 'string' && /^(ff:){5}ff$/i.test(mask)) return value;
  throw fieldError(`a mask of ${name}`, BadMatchCode.BAD_MASK);
}

function addressTo10(name: string, given: string | readonly [string, string]): Match10['nw_src'] {
  const [value, mask] = splitAddress(given);
  if (mask === '0.0.0.0') return undefined;
  if (mask === '255.255.255.255') return value;
  if (!isPrefix(mask)) {
    throw fieldError(`${name} with mask ${mask}, which is not a prefix`, BadMatchCode.BAD_NW_ADDR_MASK);
  }
  return [dotted(word(value) & word(mask)), mask];
}

function vlanTo10(given: number | readonly [number, number], hasPcp: boolean): number | undefined {
  const [vid, mask] = typeof given === 'number' ? [given, OFPVID_PRESENT | VID] : given;
  const bits = mask & (OFPVID_PRESENT | VID);
  if (bits === 0) return undefined;
  if (bits === (OFPVID_PRESENT | VID)) return vid === OFPVID_NONE ? v10.VLAN_NONE : vid & VID;
  if (bits === OFPVID_PRESENT && (vid & OFPVID_PRESENT) === 0) return v10.VLAN_NONE;
  // "Any tag" is what comparing the priority of one means.
  if (bits === OFPVID_PRESENT && hasPcp) return undefined;
  throw fieldError(`vlan_vid with mask 0x${mask.toString(16)}`, BadMatchCode.BAD_MASK);
}

function valueTo10(name: string, to: FieldName10, given: unknown): Match10[FieldName10] {
  if (to === 'nw_src' || to === 'nw_dst') return addressTo10(name, given as string);
  const value = unmasked(name, given);
  if (to === 'nw_tos' && typeof value === 'number') return (value << 2) & 0xff;
  if (name === 'arp_op' && (value as number) > 0xff) {
    throw fieldError(`arp_op ${value}, above 255`, BadMatchCode.BAD_VALUE);
  }
  return value;
}

/** What an exact entry cannot compare, because its packets do not have it, is zero in 1.0: nothing is wildcarded. */
function fillExact(match: Match10): void {
  const { dl_type, dl_vlan, nw_proto } = match;
  const isIp = IP.includes(dl_type as number);
  const needed: FieldName10[] = ['in_port', 'dl_src', 'dl_dst', 'dl_vlan', 'dl_type'];
  if (dl_vlan !== v10.VLAN_NONE) needed.push('dl_vlan_pcp');
  if (isIp) needed.push('nw_tos');
  if (isIp || dl_type === ARP) needed.push('nw_proto');
  if (dl_type === IPV4 || dl_type === ARP) needed.push('nw_src', 'nw_dst');
  if (transportOf(dl_type, nw_proto) !== undefined) needed.push('tp_src', 'tp_dst');
  if (!needed.every((name) => match[name] !== undefined && !Array.isArray(match[name]))) return;
  for (const name of FIELDS_10) {
    match[name] ??= (name === 'nw_src' || name === 'nw_dst' ? '0.0.0.0' : 0) as never;
  }
}

/**
 * A match of 1.3 in 1.0. At the highest priority one that compares all that its packets have becomes an exact one,
 * which is what such an entry was if 1.0 added it; below, something must stay wildcarded, or the entry would rise.
 * @throws OpenFlowError BAD_MATCH with a sentence that names the field
 */
export function matchTo10(match: Readonly<Record<string, unknown>> = {}, priority = 0): Match10 {
  const out: Record<string, unknown> = {};
  for (const name in match) {
    const given = match[name];
    if (given === undefined) continue;
    switch (name) {
      case 'in_port':
        out.in_port = port16Of(given as number, BAD_PORT);
        continue;
      case 'vlan_vid':
        out.dl_vlan = vlanTo10(given as number, match.vlan_pcp !== undefined);
        continue;
      case 'eth_dst':
        out.dl_dst = unmasked(name, given);
        continue;
      case 'eth_src':
        out.dl_src = unmasked(name, given);
        continue;
    }
    const renamed = Object.hasOwn(RENAMED, name) ? RENAMED[name] : undefined;
    if (renamed === undefined) throw fieldError(`match field ${name}`, BadMatchCode.BAD_FIELD);
    const [to, ethTypes, proto] = renamed;
    if (ethTypes !== undefined && !ethTypes.includes(unmasked('eth_type', match.eth_type) as number)) {
      const types = ethTypes.map((type) => `0x${type.toString(16)}`).join(' or ');
      throw fieldError(`${name} without eth_type ${types}`, BadMatchCode.BAD_PREREQ);
    }
    if (proto !== undefined && unmasked('ip_proto', match.ip_proto) !== proto) {
      throw fieldError(`${name} without ip_proto ${proto}`, BadMatchCode.BAD_PREREQ);
    }
    out[to] = valueTo10(name, to, given);
  }
  if (priority === HIGHEST_PRIORITY) fillExact(out as Match10);
  return out as Match10;
}
