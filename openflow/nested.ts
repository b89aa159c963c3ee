/**
 * Messages in messages, which are bytes in what a codec decodes: who passes them on need not read them, and what
 * is wrong with them is not wrong with the message around them.
 */
import type { Codec } from './codec.ts';
import { messageXid } from './codec.ts';
import { OpenFlowError } from './errors.ts';
import type { MessageOut } from './schema/messages.ts';
import { BadRequestCode, BundleFailedCode, ErrorType, errorName } from './v14/errors.ts';

/**
 * The message that a bundle_add_message adds. Which messages a switch takes in a bundle is its own business.
 * @param codec that of the version which the message around it is in
 * @throws OpenFlowError BUNDLE_FAILED/MSG_BAD_XID if the two have not the same xid; else what `decode` throws,
 * for one of another version BAD_REQUEST/BAD_VERSION. Spec: OpenFlow 1.4, 7.3.9.6
 */
export function bundledMessage<T>(
  codec: Codec<T>,
  add: { readonly xid: number; readonly message: Uint8Array },
): MessageOut<T> {
  const message = innerMessage(codec, add.message);
  const xid = messageXid(add.message);
  if (xid !== add.xid) {
    throw new OpenFlowError(
      ErrorType.BUNDLE_FAILED,
      BundleFailedCode.MSG_BAD_XID,
      `a message of xid ${xid} in one of xid ${add.xid}`,
      errorName,
    );
  }
  return message;
}

/**
 * The group_mod or meter_mod of another controller that a requestforward tells of.
 * @throws OpenFlowError what `decode` throws; BAD_REQUEST/BAD_TYPE for any other message. Spec: OpenFlow 1.4, 7.4.6
 */
export function forwardedRequest<T>(
  codec: Codec<T>,
  forward: { readonly request: Uint8Array },
): Extract<MessageOut<T>, { type: 'group_mod' | 'meter_mod' }> {
  const message = innerMessage(codec, forward.request);
  const { type } = message as { type: string };
  if (type !== 'group_mod' && type !== 'meter_mod') {
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE, `a requestforward of a ${type}`);
  }
  return message as Extract<MessageOut<T>, { type: 'group_mod' | 'meter_mod' }>;
}

/** A hello is decoded in any version, but not here. */
function innerMessage<T>(codec: Codec<T>, bytes: Uint8Array): MessageOut<T> {
  if (bytes[0] !== codec.version) {
    throw new OpenFlowError(
      ErrorType.BAD_REQUEST,
      BadRequestCode.BAD_VERSION,
      `a message of wire version ${bytes[0]} in one of ${codec.version}`,
    );
  }
  return codec.decode(bytes);
}
