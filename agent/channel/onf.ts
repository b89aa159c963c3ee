/**
 * Extensions of OpenFlow 1.3 by the Open Networking Foundation that the device knows: what came into the specification
 * with 1.4. Dialects of 1.4 and later turn their own messages into these and back.
 */
import { ErrorType, type MessageOf, OpenFlowError, toErrorMessage } from '../../openflow/index.ts';
import { ONF_EXPERIMENTER } from '../../openflow/nicira/fields.ts';
import { ONF_BUNDLE_ERROR } from '../../openflow/nicira/onf.ts';
import { toExperimenter } from '../../openflow/translate/onf.ts';
import { RoleReason } from '../../openflow/v14/constants.ts';

export { ONF_EXPERIMENTER } from '../../openflow/nicira/fields.ts';
export { BundleFailedCode } from '../../openflow/v14/errors.ts';

/** exp_type of the messages. */
export const OnfType = { ROLE_STATUS: 1911, BUNDLE_CONTROL: 2300, BUNDLE_ADD_MESSAGE: 2301 } as const;

/** `code` of BundleFailedCode. */
export const bundleError = (code: number, text: string): OpenFlowError =>
  new OpenFlowError(ErrorType.EXPERIMENTER, ONF_BUNDLE_ERROR + code, text);

/** The error that answers a request. Experimenter errors name their experimenter before the request's bytes. */
export const errorReply = (error: OpenFlowError, request: Uint8Array): MessageOf<'error'> => {
  const reply = toErrorMessage(error, request);
  if (error.errorType !== ErrorType.EXPERIMENTER) return reply;
  const data = new Uint8Array(4 + reply.data.length);
  new DataView(data.buffer).setUint32(0, ONF_EXPERIMENTER);
  data.set(reply.data, 4);
  return { ...reply, data };
};

/** Tells a controller that its role has changed without its asking (OpenFlow 1.4, section 7.4.4). */
export const roleStatus = (role: number, generation_id: bigint): MessageOf<'experimenter'> =>
  toExperimenter({ type: 'role_status', role, reason: RoleReason.MASTER_REQUEST, generation_id });
