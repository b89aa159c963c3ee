/**
 * The ONF's extensions of OpenFlow 1.3 that OpenFlow 1.4 took over: bundles (EXT-230) and role status (EXT-191).
 * They are experimenter messages, and become those of 1.4 on connections of 1.4 and 1.5. OpenFlow 1.4, 7.3.9 (bundles)
 * and 7.4.4 (role status).
 */

import { encode, type Message, type MessageInit, type MessageOf, OpenFlowError } from '../openflow/index.ts';
import { fromExperimenter, isOnf, type OnfMessage, toExperimenter } from '../openflow/translate/onf.ts';

export { BundleCtrlType } from '../openflow/v14/constants.ts';

type OnfOf<T extends OnfMessage['type']> = Extract<OnfMessage, { type: T }>;

/** The ONF's message of this type that is in an experimenter message; undefined for another, or one that is malformed. */
function onf<T extends OnfMessage['type']>(message: Message, type: T): OnfOf<T> | undefined {
  if (message.type !== 'experimenter' || !isOnf(message)) return undefined;
  try {
    const inside = fromExperimenter(message);
    return inside.type === type ? (inside as OnfOf<T>) : undefined;
  } catch (error) {
    if (error instanceof OpenFlowError) return undefined;
    throw error;
  }
}

export function bundleControl(bundle_id: number, ctrl_type: number, flags: number): MessageInit {
  return toExperimenter({ type: 'bundle_control', bundle_id, ctrl_type, flags });
}

/** The bundle that a reply is about and what it says; undefined when it is no reply to a bundle_control. */
export const bundleReply = (message: Message): { bundle_id: number; ctrl_type: number } | undefined =>
  onf(message, 'bundle_control');

/**
 * The inner message must have the xid of the outer one.
 *
 * @throws EncodeError
 */
export function bundleAdd(bundle_id: number, flags: number, message: MessageInit, xid: number): MessageInit {
  return toExperimenter({
    type: 'bundle_add_message',
    bundle_id,
    flags,
    message: encode({ ...message, xid }),
  });
}

/** The controller's role was changed by somebody else. */
export interface RoleStatus {
  /** ControllerRole. */
  readonly role: number;
  /** ofp_controller_role_reason: 0 another controller became master, 1 configuration, 2 experimenter. */
  readonly reason: number;
  readonly generation_id: bigint;
}

/** Undefined when it is another message, or malformed. */
export function roleStatus(message: MessageOf<'experimenter'>): RoleStatus | undefined {
  const status = onf(message, 'role_status');
  if (status === undefined) return undefined;
  const { role, reason, generation_id } = status;
  return { role, reason, generation_id };
}
