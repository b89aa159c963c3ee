import { fixedSize } from '../schema/source.ts';
import type { OxmField, OxmValueNode } from '../schema/types.ts';
import { ipv4, ipv6, mac, OXM_CLASS_BASIC, u8, u16, u24, u32, u64 } from '../schema/types.ts';

interface Options {
  bits?: number;
  settable?: boolean;
}

export const exact = <T extends OxmValueNode>(
  field: number,
  type: T,
  options: Options = {},
): OxmField<T, false> => ({
  oxmClass: OXM_CLASS_BASIC,
  field,
  type,
  maskable: false,
  bits: options.bits ?? (fixedSize(type) as number) * 8,
  settable: options.settable ?? true,
});

export const masked = <T extends OxmValueNode>(
  field: number,
  type: T,
  options: Options = {},
): OxmField<T, true> => ({
  oxmClass: OXM_CLASS_BASIC,
  field,
  type,
  maskable: true,
  bits: options.bits ?? (fixedSize(type) as number) * 8,
  settable: options.settable ?? true,
});

/**
 * oxm_ofb_match_fields: the 40 match fields of OpenFlow 1.3, their sizes, significant bits and which may be
 * masked (spec: table 12 in 7.2.3.7). The keys are the field names in lower case, as in Match.
 */
export const basicFields = {
  in_port: exact(0, u32, { settable: false }),
  in_phy_port: exact(1, u32, { settable: false }),
  metadata: masked(2, u64, { settable: false }),
  eth_dst: masked(3, mac),
  eth_src: masked(4, mac),
  eth_type: exact(5, u16),
  vlan_vid: masked(6, u16, { bits: 13 }),
  vlan_pcp: exact(7, u8, { bits: 3 }),
  ip_dscp: exact(8, u8, { bits: 6 }),
  ip_ecn: exact(9, u8, { bits: 2 }),
  ip_proto: exact(10, u8),
  ipv4_src: masked(11, ipv4),
  ipv4_dst: masked(12, ipv4),
  tcp_src: exact(13, u16),
  tcp_dst: exact(14, u16),
  udp_src: exact(15, u16),
  udp_dst: exact(16, u16),
  sctp_src: exact(17, u16),
  sctp_dst: exact(18, u16),
  icmpv4_type: exact(19, u8),
  icmpv4_code: exact(20, u8),
  arp_op: exact(21, u16),
  arp_spa: masked(22, ipv4),
  arp_tpa: masked(23, ipv4),
  arp_sha: masked(24, mac),
  arp_tha: masked(25, mac),
  ipv6_src: masked(26, ipv6),
  ipv6_dst: masked(27, ipv6),
  ipv6_flabel: masked(28, u32, { bits: 20 }),
  icmpv6_type: exact(29, u8),
  icmpv6_code: exact(30, u8),
  ipv6_nd_target: exact(31, ipv6),
  ipv6_nd_sll: exact(32, mac),
  ipv6_nd_tll: exact(33, mac),
  mpls_label: exact(34, u32, { bits: 20 }),
  mpls_tc: exact(35, u8, { bits: 3 }),
  mpls_bos: exact(36, u8, { bits: 1 }),
  pbb_isid: masked(37, u24),
  tunnel_id: masked(38, u64),
  ipv6_exthdr: masked(39, u16, { bits: 9 }),
} as const;
