/** The ONF's extensions of OpenFlow 1.3, which later versions have as their own. */
import { experimenterMessage } from '../schema/messages.ts';
import type { Fields } from '../schema/types.ts';
import {
  align,
  experimenterVariant,
  messageIn,
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
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { ONF_EXPERIMENTER } from './fields.ts';

const onf = <const F extends Fields>(type: number, section: string, fields: F) =>
  experimenterMessage(ONF_EXPERIMENTER, type, fields, section);

/**
 * Actions for versions before 1.5. src, dst: headers of match fields, see `oxmHeader`; n_bits of them, from bit
 * src_offset and dst_offset.
 */
export const onfActions = {
  onf_copy_field: experimenterVariant(ONF_EXPERIMENTER, 3200, {
    pad1: pad(2),
    n_bits: u16,
    src_offset: opt(u16, 0),
    dst_offset: opt(u16, 0),
    pad2: pad(2),
    src: oxmId,
    dst: oxmId,
    pad3: align,
  }),
} as const;

const properties = optList(
  union(
    {
      name: 'onf_bundle property',
      padded: 'outside',
      badType: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE],
      badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
    },
    { experimenter: variant(0xffff, { experimenter: u32, exp_type: u32, data: rest }) },
  ),
);

/**
 * Errors of bundles are experimenter errors in OpenFlow 1.3: error_type 0xffff, code 2300 + the code that 1.4
 * has, and data that begins with the ONF's experimenter id. See `experimenterErrorName`.
 */
export const ONF_BUNDLE_ERROR = 2300;

export const onfMessages = {
  /** The controller's role was changed by what it did not ask for. reason: RoleReason of OpenFlow 1.4. */
  onf_role_status: onf(1911, 'EXT-191', {
    role: u32,
    reason: u8,
    pad1: pad(3),
    generation_id: opt(u64, 0n),
  }),
  onf_flow_monitor_cancel: onf(1870, 'EXT-187', { id: u32 }),
  /** No updates until there is room for them again. */
  onf_flow_monitor_paused: onf(1871, 'EXT-187', {}),
  onf_flow_monitor_resumed: onf(1872, 'EXT-187', {}),
  /** ctrl_type: BundleCtrlType of OpenFlow 1.4; flags: its BundleFlag. */
  onf_bundle_control: onf(2300, 'EXT-230', {
    bundle_id: u32,
    ctrl_type: u16,
    flags: opt(u16, 0),
    properties,
  }),
  /** message: the message that is added, as bytes; see `bundledMessage`. */
  onf_bundle_add_message: onf(2301, 'EXT-230', {
    bundle_id: u32,
    pad1: pad(2),
    flags: opt(u16, 0),
    message: messageIn('properties'),
    properties,
  }),
} as const;
