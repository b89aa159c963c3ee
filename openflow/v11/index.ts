/** OpenFlow 1.1: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields } from '../nicira/fields.ts';
import { nxMessages, nxMessagesBefore14 } from '../nicira/messages.ts';
import { nxReplies, nxRequests } from '../nicira/statistics.ts';
import { extendedCodec } from '../schema/extended.ts';
import { inSections, type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import { APPENDIX_A } from '../schema/sections.ts';
import type { In, Kit, Out } from '../schema/types.ts';
import { union } from '../schema/types.ts';
import { instructionVariants } from '../v12/messages.ts';
import { actionOptions, instructionOptions } from '../v13/actions.ts';
import { withErrorsOf } from '../version-errors.ts';
import { errorName, fitError } from './errors.ts';
import { actionVariants, matchNode, messagesOf } from './messages.ts';

const actionUnion = withNxActions(actionOptions, actionVariants, nxFields);
type ActionUnion = typeof actionUnion;
interface ActionSchema extends ActionUnion {}
const action: ActionSchema = actionUnion;
const instructionUnion = union(instructionOptions, instructionVariants(action));
type InstructionUnion = typeof instructionUnion;
interface InstructionSchema extends InstructionUnion {}
const kit: Kit<typeof matchNode, ActionSchema, InstructionSchema> = {
  match: matchNode,
  action,
  instruction: instructionUnion,
};

const own = inSections(messagesOf(kit), APPENDIX_A);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  stats_request: withBodies(own.stats_request, nxRequests),
  stats_reply: withBodies(own.stats_reply, nxReplies),
  ...nxMessages(nxFields),
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
export type Match = Out<typeof matchNode>;
export type Action = Out<ActionSchema>;
export type ActionInit = In<ActionSchema>;
export type Instruction = Out<InstructionSchema>;

const plain: Codec<Messages> = /* @__PURE__ */ extendedCodec(2, messages, [NX_EXPERIMENTER]);
export const codec: Codec<Messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
/** As {@link Codec.decode}, of this version. */
export const decode: (bytes: Uint8Array) => Message = codec.decode;
/** As {@link Codec.encode}, of this version. */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;
/** As {@link Codec.encodeInto}, of this version. */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

/** OFP_VERSION of OpenFlow 1.1. */
export const OFP_VERSION = 2;
export {
  Capability,
  ConfigFlag,
  ControllerMaxLen,
  FlowModCommand,
  FlowRemovedReason,
  Group,
  GroupModCommand,
  GroupType,
  NO_BUFFER,
  PacketInReason,
  Port,
  PortConfig,
  PortFeatures,
  PortReason,
  PortState,
  QUEUE_ALL,
  Table,
} from '../v13/constants.ts';
export * from './errors.ts';
