/**
 * Match fields of Nicira and Open vSwitch: NXM (classes 0 and 1), packet registers, and those of experimenters.
 * Names as os-ken has them; sources: nicira-ext.h and meta-flow.h of Open vSwitch.
 */
import { ONF_EXPERIMENTER } from '../pbb-uca.ts';
import { fixedSize } from '../schema/source.ts';
import type { OxmField, OxmValueNode } from '../schema/types.ts';
import { ipv4, ipv6, mac, u8, u16, u32, u64 } from '../schema/types.ts';
import { hex128, hexBytes } from '../schema/values.ts';

/** Experimenter id of Nicira. */
export const NX_EXPERIMENTER = 0x2320;
/** Experimenter id of Open vSwitch's NSH fields. */
export const NX_NSH_EXPERIMENTER = 0x005ad650;
export { ONF_EXPERIMENTER };

const of =
  (oxmClass: number, experimenter?: number) =>
  <T extends OxmValueNode>(field: number, type: T): OxmField<T, true> => ({
    oxmClass,
    field,
    experimenter,
    type,
    maskable: true,
    bits: (fixedSize(type) as number) * 8,
    settable: true,
  });

const nxm0 = of(0x0000);
const nxm1 = of(0x0001);
const packetReg = of(0x8001);
const nx = of(0xffff, NX_EXPERIMENTER);
const nsh = of(0xffff, NX_NSH_EXPERIMENTER);
const onf = of(0xffff, ONF_EXPERIMENTER);

/** Fields that OpenFlow 1.5 has of its own, as the ONF's extensions for 1.3 and 1.4. */
export const onfFields = { tcp_flags: onf(42, u16), actset_output: onf(43, u32) } as const;

/** OXM_OF_PKT_REG<n>: two of Nicira's registers each. Spec: OpenFlow 1.5, 7.2.3.10. */
export const packetRegisters = {
  xreg0: packetReg(0, u64),
  xreg1: packetReg(1, u64),
  xreg2: packetReg(2, u64),
  xreg3: packetReg(3, u64),
  xreg4: packetReg(4, u64),
  xreg5: packetReg(5, u64),
  xreg6: packetReg(6, u64),
  xreg7: packetReg(7, u64),
} as const;

type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9';
type TunMetadata =
  `tun_metadata${Digit | `${'1' | '2' | '3' | '4' | '5'}${Digit}` | `6${'0' | '1' | '2' | '3'}`}`;
/** Options of tunnels, as nx_tlv_table_mod maps them: as many bytes as the option has, in hexadecimal digits. */
const tunMetadata = Object.fromEntries(
  Array.from({ length: 64 }, (_, index) => [
    `tun_metadata${index}`,
    { ...nxm1(40 + index, hexBytes), bits: 8 * 255 },
  ]),
) as { readonly [N in TunMetadata]: OxmField<typeof hexBytes, true> };

export const nxFields = {
  in_port_nxm: nxm0(0, u16),
  eth_dst_nxm: nxm0(1, mac),
  eth_src_nxm: nxm0(2, mac),
  eth_type_nxm: nxm0(3, u16),
  vlan_tci: nxm0(4, u16),
  nw_tos: nxm0(5, u8),
  ip_proto_nxm: nxm0(6, u8),
  ipv4_src_nxm: nxm0(7, ipv4),
  ipv4_dst_nxm: nxm0(8, ipv4),
  tcp_src_nxm: nxm0(9, u16),
  tcp_dst_nxm: nxm0(10, u16),
  udp_src_nxm: nxm0(11, u16),
  udp_dst_nxm: nxm0(12, u16),
  icmpv4_type_nxm: nxm0(13, u8),
  icmpv4_code_nxm: nxm0(14, u8),
  arp_op_nxm: nxm0(15, u16),
  arp_spa_nxm: nxm0(16, ipv4),
  arp_tpa_nxm: nxm0(17, ipv4),
  reg0: nxm1(0, u32),
  reg1: nxm1(1, u32),
  reg2: nxm1(2, u32),
  reg3: nxm1(3, u32),
  reg4: nxm1(4, u32),
  reg5: nxm1(5, u32),
  reg6: nxm1(6, u32),
  reg7: nxm1(7, u32),
  reg8: nxm1(8, u32),
  reg9: nxm1(9, u32),
  reg10: nxm1(10, u32),
  reg11: nxm1(11, u32),
  reg12: nxm1(12, u32),
  reg13: nxm1(13, u32),
  reg14: nxm1(14, u32),
  reg15: nxm1(15, u32),
  tunnel_id_nxm: nxm1(16, u64),
  arp_sha_nxm: nxm1(17, mac),
  arp_tha_nxm: nxm1(18, mac),
  ipv6_src_nxm: nxm1(19, ipv6),
  ipv6_dst_nxm: nxm1(20, ipv6),
  icmpv6_type_nxm: nxm1(21, u8),
  icmpv6_code_nxm: nxm1(22, u8),
  nd_target: nxm1(23, ipv6),
  nd_sll: nxm1(24, mac),
  nd_tll: nxm1(25, mac),
  ip_frag: nxm1(26, u8),
  ipv6_label: nxm1(27, u32),
  ip_ecn_nxm: nxm1(28, u8),
  nw_ttl: nxm1(29, u8),
  mpls_ttl: nxm1(30, u8),
  tun_ipv4_src: nxm1(31, ipv4),
  tun_ipv4_dst: nxm1(32, ipv4),
  pkt_mark: nxm1(33, u32),
  tcp_flags_nxm: nxm1(34, u16),
  _dp_hash_nxm: nxm1(35, u32),
  _recirc_id: nxm1(36, u32),
  conj_id: nxm1(37, u32),
  tun_gbp_id: nxm1(38, u16),
  tun_gbp_flags: nxm1(39, u8),
  ...tunMetadata,
  tun_flags: nxm1(104, u16),
  ct_state: nxm1(105, u32),
  ct_zone: nxm1(106, u16),
  ct_mark: nxm1(107, u32),
  ct_label: nxm1(108, hex128),
  tun_ipv6_src: nxm1(109, ipv6),
  tun_ipv6_dst: nxm1(110, ipv6),
  xxreg0: nxm1(111, hex128),
  xxreg1: nxm1(112, hex128),
  xxreg2: nxm1(113, hex128),
  xxreg3: nxm1(114, hex128),
  ct_nw_proto: nxm1(119, u8),
  ct_nw_src: nxm1(120, ipv4),
  ct_nw_dst: nxm1(121, ipv4),
  ct_ipv6_src: nxm1(122, ipv6),
  ct_ipv6_dst: nxm1(123, ipv6),
  ct_tp_src: nxm1(124, u16),
  ct_tp_dst: nxm1(125, u16),
  _dp_hash: nx(0, u32),
  nsh_flags: nsh(1, u8),
  nsh_mdtype: nsh(2, u8),
  nsh_np: nsh(3, u8),
  nsh_spi: nsh(4, u32),
  nsh_si: nsh(5, u8),
  nsh_c1: nsh(6, u32),
  nsh_c2: nsh(7, u32),
  nsh_c3: nsh(8, u32),
  nsh_c4: nsh(9, u32),
  nsh_ttl: nsh(10, u8),
} as const;
