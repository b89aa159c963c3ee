/** Matches as flow identities: names of the fields, canonical keys, and the other direction of a connection. */

import type { Match } from '../openflow/index.ts';
import { FlowcellError } from './errors.ts';

/** OXM basic fields in the order of their numbers (OpenFlow 1.3.5, table 11): FIELD_NAMES[n] is field n. */
export const FIELD_NAMES = [
  'in_port',
  'in_phy_port',
  'metadata',
  'eth_dst',
  'eth_src',
  'eth_type',
  'vlan_vid',
  'vlan_pcp',
  'ip_dscp',
  'ip_ecn',
  'ip_proto',
  'ipv4_src',
  'ipv4_dst',
  'tcp_src',
  'tcp_dst',
  'udp_src',
  'udp_dst',
  'sctp_src',
  'sctp_dst',
  'icmpv4_type',
  'icmpv4_code',
  'arp_op',
  'arp_spa',
  'arp_tpa',
  'arp_sha',
  'arp_tha',
  'ipv6_src',
  'ipv6_dst',
  'ipv6_flabel',
  'icmpv6_type',
  'icmpv6_code',
  'ipv6_nd_target',
  'ipv6_nd_sll',
  'ipv6_nd_tll',
  'mpls_label',
  'mpls_tc',
  'mpls_bos',
  'pbb_isid',
  'tunnel_id',
  'ipv6_exthdr',
] as const;
export type FieldName = (typeof FIELD_NAMES)[number];

/** The `fields` bit set of DISPATCH_CONFIG. */
export function fieldBits(names: Iterable<string>): bigint {
  let bits = 0n;
  for (const name of names) {
    const field = FIELD_NAMES.indexOf(name as FieldName);
    if (field < 0) {
      throw new FlowcellError(
        'FC_FIELD_UNKNOWN',
        `'${name}' is not an OpenFlow match field; use the names of the specification, such as eth_src`,
      );
    }
    bits |= 1n << BigInt(field);
  }
  return bits;
}

/** The default flow before a rule exists: VLAN, MAC addresses and the 5-tuple (docs/architecture.md). */
export const FIVE_TUPLE_FIELDS: readonly FieldName[] = [
  'eth_dst',
  'eth_src',
  'eth_type',
  'vlan_vid',
  'ip_proto',
  'ipv4_src',
  'ipv4_dst',
  'tcp_src',
  'tcp_dst',
  'udp_src',
  'udp_dst',
  'sctp_src',
  'sctp_dst',
  'ipv6_src',
  'ipv6_dst',
];

/** For each field, the field that holds its value in packets of the other direction. */
const MIRROR: Readonly<Record<string, string>> = {
  eth_src: 'eth_dst',
  eth_dst: 'eth_src',
  ipv4_src: 'ipv4_dst',
  ipv4_dst: 'ipv4_src',
  ipv6_src: 'ipv6_dst',
  ipv6_dst: 'ipv6_src',
  tcp_src: 'tcp_dst',
  tcp_dst: 'tcp_src',
  udp_src: 'udp_dst',
  udp_dst: 'udp_src',
  sctp_src: 'sctp_dst',
  sctp_dst: 'sctp_src',
  arp_spa: 'arp_tpa',
  arp_tpa: 'arp_spa',
  arp_sha: 'arp_tha',
  arp_tha: 'arp_sha',
};

const KEY_ORDER: readonly string[] = [...FIELD_NAMES, 'cell'];

/**
 * A string that is equal for equal matches, whatever order their fields were written in. `mirrored` gives the
 * key of the other direction: sources and destinations swapped, without the ingress port (a rule for both
 * directions takes answers from any port).
 */
export function matchKey(match: Match, mirrored = false): string {
  const fields = match as Record<string, unknown>;
  let key = '';
  for (let i = 0; i < KEY_ORDER.length; i++) {
    const name = KEY_ORDER[i];
    if (mirrored && (name === 'in_port' || name === 'in_phy_port')) continue;
    const value = fields[mirrored ? (MIRROR[name] ?? name) : name];
    if (value !== undefined) key += `${i}=${String(value)};`;
  }
  return key;
}

/** The key of a match without its ingress port: what `matchKey(m, true)` of the opposite direction gives. */
export function portlessKey(match: Match): string {
  const fields = match as Record<string, unknown>;
  let key = '';
  for (let i = 2; i < KEY_ORDER.length; i++) {
    const value = fields[KEY_ORDER[i]];
    if (value !== undefined) key += `${i}=${String(value)};`;
  }
  return key;
}
