/** OpenFlow 1.0: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { createCodec } from '../codec.ts';
import { OpenFlowError } from '../errors.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields } from '../nicira/fields.ts';
import { nxMessages, nxMessages10 } from '../nicira/messages.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import type { MessageIn, MessageOut } from '../schema/messages.ts';
import type { In, Out } from '../schema/types.ts';
import { BadActionCode, BadRequestCode, ErrorType } from './errors.ts';
import { messagesOf } from './messages.ts';
import { actionOptions, actionVariants, matchNode, type port } from './structs.ts';

const action = withNxActions(actionOptions, actionVariants, nxFields);

/** Every message of this version, by name. */
export const messages = {
  ...messagesOf(action),
  ...nxMessages(nxFields),
  ...nxMessages10(nxFields, action),
};

/** A decoded message: a union told apart by `type`. */
export type Message = MessageOut<typeof messages>;
/** What `encode` takes: as Message, but fields with a default may be left out. */
export type MessageInit = MessageIn<typeof messages>;
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;
/** Fields by name; what is not in it is wildcarded, and [value, mask] compared in part. */
export type Match = Out<typeof matchNode>;
export type Action = Out<typeof action>;
export type ActionInit = In<typeof action>;
export type PortDesc = Out<typeof port>;

const plain: Codec<typeof messages> = /* @__PURE__ */ createCodec(
  1,
  messages,
  ExtendedDecoderCompiler,
  ExtendedEncoderCompiler,
  NX_EXPERIMENTER,
);
/** What Nicira's matches and actions can be refused with has no number of its own in OpenFlow 1.0. */
function decodeMessage(bytes: Uint8Array): Message {
  try {
    return plain.decode(bytes);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    const { errorType, errorCode, message } = error;
    if (errorType > ErrorType.BAD_ACTION) {
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_VENDOR, message);
    }
    if (errorType === ErrorType.BAD_ACTION && errorCode > BadActionCode.BAD_QUEUE) {
      throw new OpenFlowError(ErrorType.BAD_ACTION, BadActionCode.BAD_VENDOR, message);
    }
    throw error;
  }
}

export const codec: Codec<typeof messages> = { ...plain, decode: decodeMessage };
export const { decode, encode, encodeInto } = codec;
export * from './constants.ts';
export * from './errors.ts';
export { matchNode };
