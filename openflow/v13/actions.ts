import { cellField } from '../flowcell.ts';
import { pbbUcaField } from '../pbb-uca.ts';
import type { AnyUnion, OxmFields } from '../schema/types.ts';
import { list, match, opt, oxm, pad, rest, u8, u16, u32, u64, union, variant } from '../schema/types.ts';
import { ControllerMaxLen } from './constants.ts';
import { BadActionCode, BadInstructionCode, ErrorType } from './errors.ts';
import { basicFields } from './oxm.ts';

/** Every match field this codec knows: the 40 of the specification, pbb_uca of 1.4 and `cell`. */
export const oxmFields = { ...basicFields, pbb_uca: pbbUcaField, cell: cellField } as const;

export const matchNode = match(oxmFields);

export const actionOptions = {
  name: 'action',
  padded: 'inside',
  badType: [ErrorType.BAD_ACTION, BadActionCode.BAD_TYPE],
  badLen: [ErrorType.BAD_ACTION, BadActionCode.BAD_LEN],
} as const;

/** ofp_action_*: what set-field may set is checked against `settable` of the match field. Spec 7.2.5. */
export const actionVariants = <F extends OxmFields>(fields: F) => ({
  output: variant(0, { port: u32, max_len: opt(u16, ControllerMaxLen.NO_BUFFER), pad1: pad(6) }),
  set_field: variant(25, { field: oxm(fields) }),
  push_vlan: variant(17, { ethertype: u16, pad1: pad(2) }),
  pop_vlan: variant(18, { pad1: pad(4) }),
  group: variant(22, { group_id: u32 }),
  set_queue: variant(21, { queue_id: u32 }),
  copy_ttl_out: variant(11, { pad1: pad(4) }),
  copy_ttl_in: variant(12, { pad1: pad(4) }),
  set_mpls_ttl: variant(15, { mpls_ttl: u8, pad1: pad(3) }),
  dec_mpls_ttl: variant(16, { pad1: pad(4) }),
  push_mpls: variant(19, { ethertype: u16, pad1: pad(2) }),
  pop_mpls: variant(20, { ethertype: u16, pad1: pad(2) }),
  set_nw_ttl: variant(23, { nw_ttl: u8, pad1: pad(3) }),
  dec_nw_ttl: variant(24, { pad1: pad(4) }),
  push_pbb: variant(26, { ethertype: u16, pad1: pad(2) }),
  pop_pbb: variant(27, { pad1: pad(4) }),
  experimenter: variant(0xffff, { experimenter: u32, data: rest }),
});

export const instructionOptions = {
  name: 'instruction',
  padded: 'inside',
  badType: [ErrorType.BAD_INSTRUCTION, BadInstructionCode.UNKNOWN_INST],
  badLen: [ErrorType.BAD_INSTRUCTION, BadInstructionCode.BAD_LEN],
} as const;

/** ofp_instruction_*. Spec 7.2.4. */
export const instructionVariants = <A extends AnyUnion>(action: A) => ({
  apply_actions: variant(4, { pad1: pad(4), actions: list(action) }),
  write_actions: variant(3, { pad1: pad(4), actions: list(action) }),
  goto_table: variant(1, { table_id: u8, pad1: pad(3) }),
  write_metadata: variant(2, { pad1: pad(4), metadata: u64, metadata_mask: opt(u64, 0xffffffffffffffffn) }),
  clear_actions: variant(5, { pad1: pad(4) }),
  meter: variant(6, { meter_id: u32 }),
  experimenter: variant(0xffff, { experimenter: u32, data: rest }),
});

export const action = union(actionOptions, actionVariants(oxmFields));
export const instruction = union(instructionOptions, instructionVariants(action));
export const kit = { match: matchNode, action, instruction } as const;
