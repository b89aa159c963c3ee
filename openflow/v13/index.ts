/** OpenFlow 1.3: its codec, types and constants, with Flowcell's extension and those of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { flowcellMessages } from '../flowcell-messages.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, ONF_EXPERIMENTER, onfFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages, nxMessagesBefore14 } from '../nicira/messages.ts';
import { onfActions, onfMessages } from '../nicira/onf.ts';
import { nxReplies, nxRequests, onfReplies, onfRequests } from '../nicira/statistics.ts';
import { extendedCodec } from '../schema/extended.ts';
import { type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import type { In, Kit, MatchNode, Out } from '../schema/types.ts';
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
const actionUnion = withNxActions(actionOptions, { ...actionVariants(fields), ...onfActions }, fields);
type ActionUnion = typeof actionUnion;
interface ActionSchema extends ActionUnion {}
const action: ActionSchema = actionUnion;
const instructionUnion = union(instructionOptions, instructionVariants(action));
type InstructionUnion = typeof instructionUnion;
interface InstructionSchema extends InstructionUnion {}
interface MatchSchema extends MatchNode<typeof fields> {}
const kit: Kit<MatchSchema, ActionSchema, InstructionSchema> = {
  match: match(fields),
  action,
  instruction: instructionUnion,
};

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

type Table = typeof messages;
/** The declarations of this version's messages, as a type. */
export interface Messages extends Table {}

/** A decoded message: a union told apart by `type`. */
export type Message = MessageOut<Messages>;
/** What `encode` takes: as Message, but fields with a default may be left out. */
export type MessageInit = MessageIn<Messages>;
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;
export type Match = Out<MatchSchema>;
export type Action = Out<ActionSchema>;
export type ActionInit = In<ActionSchema>;
export type Instruction = Out<InstructionSchema>;

export const codec: Codec<Messages> = /* @__PURE__ */ extendedCodec(4, messages, [
  NX_EXPERIMENTER,
  ONF_EXPERIMENTER,
]);
/** As {@link Codec.decode}, of this version. */
export const decode: (bytes: Uint8Array) => Message = codec.decode;
/** As {@link Codec.encode}, of this version. */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;
/** As {@link Codec.encodeInto}, of this version. */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

export { errorName } from '../errors.ts';
export * from './constants.ts';
export * from './errors.ts';
