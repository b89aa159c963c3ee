/**
 * OpenFlow 1.3 on the wire: decode, encode, framing, constants. Runs anywhere JavaScript does (no Node
 * built-ins, no I/O). See README.md.
 */
import { type Codec, createCodec, messageXid } from './codec.ts';
import type { OpenFlowError } from './errors.ts';
import type { cellSpec } from './flowcell-messages.ts';
import { flowcellMessages } from './flowcell-messages.ts';
import { oxmHeaderOf } from './schema/match.ts';
import type { MessageIn, MessageOut } from './schema/messages.ts';
import type { In, Out } from './schema/types.ts';
import { type action, type instruction, type kit, type matchNode, oxmFields } from './v13/actions.ts';
import { messages as messages13 } from './v13/messages.ts';
import type { kitStructs, meterBand, port, portStats, tableStats } from './v13/structs.ts';

const messages = { ...messages13, ...flowcellMessages };
const codec: Codec<typeof messages> = /* @__PURE__ */ createCodec(4, messages);

/** A decoded message: a union told apart by `type`. */
export type Message = MessageOut<typeof messages>;
/** What `encode` takes: as Message, but fields with a default may be left out. */
export type MessageInit = MessageIn<typeof messages>;
export type MessageType = Message['type'];
/** The message of one type, e.g. MessageOf<'packet_in'>. */
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>;
export type MessageInitOf<T extends MessageType> = Extract<MessageInit, { type: T }>;

/** Match fields by OXM name; a masked field is [value, mask]. */
export type Match = Out<typeof matchNode>;
export type MatchField = keyof typeof oxmFields;
export type Action = Out<typeof action>;
export type ActionInit = In<typeof action>;
export type Instruction = Out<typeof instruction>;
export type InstructionInit = In<typeof instruction>;
export type PortDesc = Out<typeof port>;
export type PortStats = Out<typeof portStats>;
export type TableStats = Out<typeof tableStats>;
type Structs = ReturnType<
  typeof kitStructs<(typeof kit)['match'], (typeof kit)['action'], (typeof kit)['instruction']>
>;
export type FlowStats = Out<Structs['flowStats']>;
export type Bucket = Out<Structs['bucket']>;
export type MeterBand = Out<typeof meterBand>;
export type CellSpec = Out<typeof cellSpec>;

/**
 * Decodes one whole message. Byte fields (`data`) are views of `bytes`, not copies.
 * @throws OpenFlowError with the error type and code that the specification asks for
 */
export const decode: (bytes: Uint8Array) => Message = codec.decode;

/**
 * Encodes a message; fields that have a default may be left out.
 * @throws EncodeError naming the field that does not fit
 */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;

/**
 * Encodes into `target` at `offset` and returns the offset after the message; if that is beyond
 * target.length nothing usable was written: make room and call again.
 * @throws EncodeError naming the field that does not fit
 */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

/** Messages encoded from now on share no memory with earlier ones, of which the codec keeps nothing. */
export const forgetEncoded: () => void = codec.forget;

/** How much of a failed request goes into an error message, bytes; the specification asks for at least 64. */
const ERROR_DATA_BYTES = 128;

/** The `error` message that answers `request`, with its xid and its first bytes. Spec 7.4.4. */
export function toErrorMessage(error: OpenFlowError, request: Uint8Array): MessageOf<'error'> {
  return {
    type: 'error',
    xid: request.length >= 8 ? messageXid(request) : 0,
    error_type: error.errorType,
    code: error.errorCode,
    data: request.slice(0, ERROR_DATA_BYTES),
  };
}

/** The 32-bit OXM header of a match field, as table features list them. */
export function oxmHeader(field: MatchField, hasmask = false): number {
  return oxmHeaderOf(oxmFields[field], hasmask);
}

export {
  HEADER_BYTES,
  MAX_MESSAGE,
  messageLength,
  messageType,
  messageVersion,
  messageXid,
} from './codec.ts';
export { EncodeError, type EncodeErrorCode, errorName, OpenFlowError } from './errors.ts';
export { FIELD_NAMES, type FieldName, OPPOSITE_FIELD } from './fields.ts';
export * from './flowcell.ts';
export { Framer } from './framer.ts';
export * from './v13/constants.ts';
export * from './v13/errors.ts';
