/** OpenFlow 1.0: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields } from '../nicira/fields.ts';
import { nxMessages, nxMessages10, nxMessagesBefore14 } from '../nicira/messages.ts';
import { nxReplies10, nxRequests10 } from '../nicira/statistics.ts';
import { extendedCodec } from '../schema/extended.ts';
import { type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import type { In, Out } from '../schema/types.ts';
import { withErrorsOf } from '../version-errors.ts';
import { errorName, fitError } from './errors.ts';
import { messagesOf } from './messages.ts';
import { actionOptions, actionVariants, matchNode, type port } from './structs.ts';

const actionUnion = withNxActions(actionOptions, actionVariants, nxFields);
type ActionUnion = typeof actionUnion;
interface ActionSchema extends ActionUnion {}
const action: ActionSchema = actionUnion;

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

type Table = typeof messages;
/** The declarations of this version's messages, as a type. */
export interface Messages extends Table {}

/** A decoded message: a union told apart by `type`. */
export type Message = MessageOut<Messages>;
/** What `encode` takes: as Message, but fields with a default may be left out. */
export type MessageInit = MessageIn<Messages>;
export type MessageOf<T extends Message['type']> = Extract<Message, { type: T }>;
/** Fields by name; what is not in it is wildcarded, and [value, mask] compared in part. */
export type Match = Out<typeof matchNode>;
export type Action = Out<ActionSchema>;
export type ActionInit = In<ActionSchema>;
export type PortDesc = Out<typeof port>;

const plain: Codec<Messages> = /* @__PURE__ */ extendedCodec(1, messages, [NX_EXPERIMENTER]);
export const codec: Codec<Messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
/** As {@link Codec.decode}, of this version. */
export const decode: (bytes: Uint8Array) => Message = codec.decode;
/** As {@link Codec.encode}, of this version. */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;
/** As {@link Codec.encodeInto}, of this version. */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

export * from './constants.ts';
export * from './errors.ts';
export { matchNode };
