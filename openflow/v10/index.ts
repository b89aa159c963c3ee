/** OpenFlow 1.0: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { createCodec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields } from '../nicira/fields.ts';
import { nxMessages, nxMessages10, nxMessagesBefore14 } from '../nicira/messages.ts';
import { nxReplies10, nxRequests10 } from '../nicira/statistics.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import { type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import type { In, Out } from '../schema/types.ts';
import { withErrorsOf } from '../version-errors.ts';
import { errorName, fitError } from './errors.ts';
import { messagesOf } from './messages.ts';
import { actionOptions, actionVariants, matchNode, type port } from './structs.ts';

const action = withNxActions(actionOptions, actionVariants, nxFields);

const own = messagesOf(action);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  stats_request: withBodies(own.stats_request, nxRequests10(nxFields)),
  stats_reply: withBodies(own.stats_reply, nxReplies10(nxFields, action)),
  ...nxMessages(nxFields),
  ...nxMessagesBefore14,
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
  [NX_EXPERIMENTER],
);
export const codec: Codec<typeof messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
export const { decode, encode, encodeInto } = codec;
export * from './constants.ts';
export * from './errors.ts';
export { matchNode };
