/** OpenFlow 1.3: its codec, types and constants, with Flowcell's extension and those of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { createCodec } from '../codec.ts';
import { flowcellMessages } from '../flowcell-messages.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, ONF_EXPERIMENTER, onfFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages, nxMessagesBefore14 } from '../nicira/messages.ts';
import { onfActions, onfMessages } from '../nicira/onf.ts';
import { nxReplies, nxRequests, onfReplies, onfRequests } from '../nicira/statistics.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import { type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import type { In, Out } from '../schema/types.ts';
import { match, union } from '../schema/types.ts';
import {
  actionOptions,
  actionVariants,
  instructionOptions,
  instructionVariants,
  oxmFields,
} from './actions.ts';
import { messagesOf } from './messages.ts';

/** Every match field of this version, and of the extensions. */
export const fields = {
  ...oxmFields,
  ...onfFields,
  ...packetRegisters,
  ...nxFields,
} as const;
const action = withNxActions(actionOptions, { ...actionVariants(fields), ...onfActions }, fields);
const kit = {
  match: match(fields),
  action,
  instruction: union(instructionOptions, instructionVariants(action)),
} as const;

const own = messagesOf(kit);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  multipart_request: withBodies(own.multipart_request, { ...nxRequests, ...onfRequests(fields) }),
  multipart_reply: withBodies(own.multipart_reply, { ...nxReplies, ...onfReplies(fields, kit.instruction) }),
  ...flowcellMessages,
  ...onfMessages,
  ...nxMessages(fields),
  ...nxMessagesBefore14,
};

/** A decoded message: a union told apart by `type`. */
export type Message = MessageOut<typeof messages>;
/** What `encode` takes: as Message, but fields with a default may be left out. */
export type MessageInit = MessageIn<typeof messages>;
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;
export type Match = Out<(typeof kit)['match']>;
export type Action = Out<(typeof kit)['action']>;
export type ActionInit = In<(typeof kit)['action']>;
export type Instruction = Out<(typeof kit)['instruction']>;

export const codec: Codec<typeof messages> = /* @__PURE__ */ createCodec(
  4,
  messages,
  ExtendedDecoderCompiler,
  ExtendedEncoderCompiler,
  [NX_EXPERIMENTER, ONF_EXPERIMENTER],
);
export const { decode, encode, encodeInto } = codec;
export { errorName } from '../errors.ts';
export * from './constants.ts';
export * from './errors.ts';
