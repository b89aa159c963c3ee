/**
 * The ONF's extensions of OpenFlow 1.3 that OpenFlow 1.4 took over: bundles (EXT-230) and role status (EXT-191).
 * They are experimenter messages whose data is that of the messages in 1.4, and that is what they are translated to
 * on connections of 1.4 and 1.5. OpenFlow 1.4, 7.3.9 (bundles) and 7.4.4 (role status).
 */

import { encode, HEADER_BYTES, type Message, type MessageInit, type MessageOf } from '../openflow/index.ts';

export const ONF_EXPERIMENTER = 0x4f4e4600;
const BUNDLE_CONTROL = 2300;
const BUNDLE_ADD_MESSAGE = 2301;
const ROLE_STATUS = 1911;

/** ofp_bundle_ctrl_type */
export const BundleCtrlType = {
  OPEN_REQUEST: 0,
  CLOSE_REQUEST: 2,
  COMMIT_REQUEST: 4,
  DISCARD_REQUEST: 6,
} as const;

type Experimenter = MessageOf<'experimenter'>;

export function isRoleStatus({ experimenter, exp_type }: Experimenter): boolean {
  return experimenter === ONF_EXPERIMENTER && exp_type === ROLE_STATUS;
}

export function bundleControl(bundle_id: number, ctrl_type: number, flags: number): MessageInit {
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, bundle_id);
  view.setUint16(4, ctrl_type);
  view.setUint16(6, flags);
  return { type: 'experimenter', experimenter: ONF_EXPERIMENTER, exp_type: BUNDLE_CONTROL, data };
}

/** The bundle that a reply is about and what it says; undefined when it is no reply to a bundle_control. */
export function bundleReply(message: Message): { bundle_id: number; ctrl_type: number } | undefined {
  if (message.type !== 'experimenter' || message.experimenter !== ONF_EXPERIMENTER) return undefined;
  if (message.exp_type !== BUNDLE_CONTROL || message.data.length < 8) return undefined;
  const view = new DataView(message.data.buffer, message.data.byteOffset, message.data.length);
  return { bundle_id: view.getUint32(0), ctrl_type: view.getUint16(4) };
}

/**
 * The inner message must have the xid of the outer one.
 *
 * @throws EncodeError
 */
export function bundleAdd(bundle_id: number, flags: number, message: MessageInit, xid: number): MessageInit {
  const inner = encode({ ...message, xid });
  const data = new Uint8Array(HEADER_BYTES + inner.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, bundle_id);
  view.setUint16(6, flags);
  data.set(inner, HEADER_BYTES);
  return { type: 'experimenter', experimenter: ONF_EXPERIMENTER, exp_type: BUNDLE_ADD_MESSAGE, data };
}

/** The controller's role was changed by somebody else. */
export interface RoleStatus {
  /** ControllerRole. */
  readonly role: number;
  /** ofp_controller_role_reason: 0 another controller became master, 1 configuration, 2 experimenter. */
  readonly reason: number;
  readonly generation_id: bigint;
}

/** Undefined when it is too short. */
export function roleStatus(message: Experimenter): RoleStatus | undefined {
  if (message.data.length < 16) return undefined;
  const view = new DataView(message.data.buffer, message.data.byteOffset, message.data.length);
  return { role: view.getUint32(0), reason: view.getUint8(4), generation_id: view.getBigUint64(8) };
}
