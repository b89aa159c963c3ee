/** Match fields, statistics fields, actions and instructions of OpenFlow 1.5, as differences to those before. */
import { fixedSize } from '../schema/source.ts';
import type { AnyUnion, OxmField, OxmFields, OxmValueNode } from '../schema/types.ts';
import {
  align,
  maskedOxm,
  match,
  opt,
  optMatch,
  oxmId,
  pad,
  u8,
  u16,
  u32,
  u64,
  variant,
} from '../schema/types.ts';
import { duration } from '../schema/values.ts';
import {
  actionVariants as actionVariants13,
  instructionVariants as instructionVariants13,
} from '../v13/actions.ts';
import { exact, masked } from '../v13/oxm.ts';

/** Match fields that are new since 1.3. Spec 7.2.3.8. packet_type: namespace << 16 | type. */
export const newFields = {
  pbb_uca: exact(41, u8, { bits: 1 }),
  tcp_flags: masked(42, u16, { bits: 12 }),
  actset_output: exact(43, u32, { settable: false }),
  packet_type: exact(44, u32, { settable: false }),
} as const;

const oxs = <T extends OxmValueNode>(field: number, type: T): OxmField<T, false> => ({
  oxmClass: 0x8002,
  field,
  type,
  maskable: false,
  bits: (fixedSize(type) as number) * 8,
  settable: false,
});

/** oxs_ofb_stat_fields. Spec 7.2.4.2. */
export const statsFields = {
  duration: oxs(0, duration),
  idle_time: oxs(1, duration),
  flow_count: oxs(3, u32),
  packet_count: oxs(4, u64),
  byte_count: oxs(5, u64),
} as const;

/** ofp_stats: by field name. Spec 7.2.4. */
export const stats = optMatch(match(statsFields, 'stats'));

/** ofp_action_*. Spec 7.2.6. */
export const actionVariants = <F extends OxmFields>(fields: F) => ({
  ...actionVariants13(fields),
  /** The field may have a mask: only its bits are set. */
  set_field: variant(25, { field: maskedOxm(fields) }),
  /** src, dst: headers of match fields, see `oxmHeader`. */
  copy_field: variant(28, {
    n_bits: u16,
    src_offset: opt(u16, 0),
    dst_offset: opt(u16, 0),
    pad1: pad(2),
    src: oxmId,
    dst: oxmId,
    pad2: align,
  }),
  meter: variant(29, { meter_id: u32 }),
});

/** ofp_instruction_*: the meter became an action. Spec 7.2.5. */
export const instructionVariants = <A extends AnyUnion>(action: A) => {
  const { meter: _, ...kept } = instructionVariants13(action);
  return { ...kept, stat_trigger: variant(7, { flags: opt(u32, 0), thresholds: stats }) };
};
