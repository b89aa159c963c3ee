/** Nicira's actions (NXAST_*): experimenter actions that Open vSwitch takes in every version. Source: nicira-ext.h. */
import type { OxmFields, UnionOptions, Variants } from '../schema/types.ts';
import {
  align,
  countOf,
  experimenterVariant,
  list,
  maskedOxm,
  opt,
  optList,
  oxmId,
  pad,
  rest,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
} from '../schema/types.ts';
import { BadActionCode, ErrorType } from '../v13/errors.ts';
import { learn2, learnSpecs, natRange, paddedOxmId } from './custom.ts';
import { NX_EXPERIMENTER } from './fields.ts';

const nx = <const F extends Variants[string]['fields']>(subtype: number, fields: F) =>
  experimenterVariant(NX_EXPERIMENTER, subtype, fields);

/** A destination with a slave per element, of which a hash chooses one. */
const bundle = {
  algorithm: u16,
  fields: u16,
  basis: u16,
  slave_type: u32,
  n_slaves: countOf('slaves', 2),
  /** Where bundle_load puts the port: first bit << 6 | number of bits - 1; 0 in bundle. */
  ofs_nbits: opt(u16, 0),
  dst: opt(u32, 0),
  pad1: pad(4),
  slaves: list(u16),
  pad2: align,
} as const;
const resubmitTable = { in_port: opt(u16, 0xfff8), table: opt(u8, 0xff), pad1: pad(3) } as const;
const sample = { probability: u16, collector_set_id: u32, obs_domain_id: u32, obs_point_id: u32 } as const;
const sampleAt = { ...sample, sampling_port: opt(u16, 0), direction: opt(u8, 0), pad1: pad(5) } as const;
const BAD_LEN = [ErrorType.BAD_ACTION, BadActionCode.BAD_LEN] as const;

const controllerProperty = union(
  {
    name: 'controller2 property',
    padded: 'outside',
    badType: [ErrorType.BAD_ACTION, BadActionCode.BAD_ARGUMENT],
    badLen: BAD_LEN,
  },
  {
    max_len: variant(0, { max_len: u16, pad1: pad(2) }),
    controller_id: variant(1, { controller_id: u16, pad1: pad(2) }),
    reason: variant(2, { reason: u8 }),
    userdata: variant(3, { data: rest }),
    pause: variant(4, {}),
  },
);

/** All that have no actions in them. `src`, `dst`, `field`: headers of match fields, see `oxmHeader`. */
const plainActions = <F extends OxmFields>(fields: F) => ({
  nx_resubmit: nx(1, { in_port: u16, pad1: pad(4) }),
  nx_set_tunnel: nx(2, { pad1: pad(2), tun_id: u32 }),
  nx_set_queue: nx(4, { pad1: pad(2), queue_id: u32 }),
  nx_pop_queue: nx(5, { pad1: pad(6) }),
  nx_reg_move: nx(6, {
    n_bits: u16,
    src_ofs: opt(u16, 0),
    dst_ofs: opt(u16, 0),
    src: oxmId,
    dst: oxmId,
    pad1: align,
  }),
  /** ofs_nbits: first bit << 6 | number of bits - 1. */
  nx_reg_load: nx(7, { ofs_nbits: u16, dst: u32, value: u64 }),
  /** Bytes without a meaning; 6, 14, 22, ... of them. */
  nx_note: nx(8, { data: rest }),
  nx_set_tunnel64: nx(9, { pad1: pad(6), tun_id: u64 }),
  nx_multipath: nx(10, {
    fields: u16,
    basis: u16,
    pad1: pad(2),
    algorithm: u16,
    max_link: u16,
    arg: u32,
    pad2: pad(2),
    ofs_nbits: u16,
    dst: u32,
  }),
  nx_bundle: nx(12, bundle),
  nx_bundle_load: nx(13, bundle),
  nx_resubmit_table: nx(14, resubmitTable),
  nx_output_reg: nx(15, { ofs_nbits: u16, src: u32, max_len: opt(u16, 0), pad1: pad(6) }),
  nx_learn: nx(16, {
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    priority: opt(u16, 0x8000),
    cookie: opt(u64, 0n),
    flags: opt(u16, 0),
    table_id: opt(u8, 1),
    pad1: pad(1),
    fin_idle_timeout: opt(u16, 0),
    fin_hard_timeout: opt(u16, 0),
    specs: learnSpecs,
    pad2: align,
  }),
  /** As nx_learn, with a limit and a bit that says whether something was learned. */
  nx_learn2: nx(45, {
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    priority: opt(u16, 0x8000),
    cookie: opt(u64, 0n),
    learn: learn2,
    pad1: align,
  }),
  nx_exit: nx(17, { pad1: pad(6) }),
  nx_dec_ttl: nx(18, { pad1: pad(6) }),
  nx_fin_timeout: nx(19, { fin_idle_timeout: opt(u16, 0), fin_hard_timeout: opt(u16, 0), pad1: pad(2) }),
  nx_controller: nx(20, {
    max_len: opt(u16, 0xffff),
    controller_id: opt(u16, 0),
    reason: opt(u8, 1),
    pad1: pad(1),
  }),
  nx_dec_ttl_cnt_ids: nx(21, {
    n_controllers: countOf('cnt_ids', 2),
    pad1: pad(4),
    cnt_ids: list(u16),
    pad2: align,
  }),
  nx_write_metadata: nx(22, { pad1: pad(6), metadata: u64, mask: opt(u64, 0xffffffffffffffffn) }),
  nx_push_mpls: nx(23, { ethertype: u16, pad1: pad(4) }),
  nx_pop_mpls: nx(24, { ethertype: u16, pad1: pad(4) }),
  nx_set_mpls_ttl: nx(25, { ttl: u8, pad1: pad(5) }),
  nx_dec_mpls_ttl: nx(26, { pad1: pad(6) }),
  nx_stack_push: nx(27, { offset: opt(u16, 0), field: oxmId, n_bits: u16, pad1: align }),
  nx_stack_pop: nx(28, { offset: opt(u16, 0), field: oxmId, n_bits: u16, pad1: align }),
  nx_sample: nx(29, sample),
  nx_set_mpls_label: nx(30, { pad1: pad(2), label: u32 }),
  nx_set_mpls_tc: nx(31, { tc: u8, pad1: pad(5) }),
  nx_output_reg2: nx(32, { ofs_nbits: u16, max_len: opt(u16, 0), src: oxmId, pad1: align }),
  /** The field follows the subtype at once: what is padding in other actions is its header. os-ken pads 24 bytes always. */
  nx_reg_load2: nx(33, { field: maskedOxm(fields, 10, 10) }),
  nx_conjunction: nx(34, { clause: u8, n_clauses: u8, id: u32 }),
  nx_nat: nx(36, { pad1: pad(2), flags: opt(u16, 0), range: opt(natRange, {}), pad2: align }),
  nx_controller2: nx(37, { pad1: pad(6), properties: optList(controllerProperty) }),
  nx_sample2: nx(38, sampleAt),
  nx_sample3: nx(41, sampleAt),
  nx_output_trunc: nx(39, { port: u16, max_len: u32 }),
  nx_ct_clear: nx(43, { pad1: pad(6) }),
  nx_resubmit_table_ct: nx(44, resubmitTable),
  /** props: bytes of ofp_ed_prop_*. */
  nx_encap: nx(46, { hdr_size: opt(u16, 0), new_pkt_type: u32, data: rest }),
  nx_decap: nx(47, { pad1: pad(2), new_pkt_type: u32 }),
  nx_dec_nsh_ttl: nx(48, { pad1: pad(6) }),
  /** Sets bit `offset` of dst if the packet has more than pkt_len bytes. */
  nx_check_pkt_larger: nx(49, { pkt_len: u16, offset: opt(u16, 0), dst: paddedOxmId(10) }),
  /** Takes a tunnel option (tun_metadata) out of the packet. */
  nx_delete_field: nx(50, { field: paddedOxmId(14) }),
});

/** Actions of a version that also has Nicira's; those in a ct or clone are all but another ct or clone. */
export const withNxActions = <V extends Variants, F extends OxmFields>(
  options: UnionOptions,
  base: V,
  fields: F,
) => {
  const plain = { ...plainActions(fields), ...base };
  const inner = union(options, plain);
  return union(options, {
    ...plain,
    /** zone_ofs_nbits is the zone itself where zone_src is 0; alg: a port, e.g. 21 for FTP. */
    nx_ct: nx(35, {
      flags: opt(u16, 0),
      zone_src: opt(u32, 0),
      zone_ofs_nbits: opt(u16, 0),
      recirc_table: opt(u8, 0xff),
      pad1: pad(3),
      alg: opt(u16, 0),
      actions: optList(inner),
    }),
    nx_clone: nx(42, { pad1: pad(6), actions: optList(inner) }),
  });
};
