/** OpenFlow 1.2: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, onfFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages, nxMessagesBefore14 } from '../nicira/messages.ts';
import { nxReplies, nxRequests } from '../nicira/statistics.ts';
import { extendedCodec } from '../schema/extended.ts';
import { inSections, type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import { APPENDIX_A } from '../schema/sections.ts';
import type { In, Kit, MatchNode, Out } from '../schema/types.ts';
import { match, union } from '../schema/types.ts';
import { actionOptions, instructionOptions } from '../v13/actions.ts';
import { withErrorsOf } from '../version-errors.ts';
import { errorName } from './errors.ts';
import { actionVariants, basicFields12, instructionVariants, messagesOf } from './messages.ts';

/** Every match field of this version, and of the extensions. */
export const fields = { ...basicFields12, ...onfFields, ...packetRegisters, ...nxFields } as const;
const actionUnion = withNxActions(actionOptions, actionVariants(fields), fields);
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

const own = inSections(messagesOf(kit), APPENDIX_A);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  stats_request: withBodies(own.stats_request, nxRequests),
  stats_reply: withBodies(own.stats_reply, nxReplies),
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

const plain: Codec<Messages> = /* @__PURE__ */ extendedCodec(3, messages, [NX_EXPERIMENTER]);
export const codec: Codec<Messages> = /* @__PURE__ */ withErrorsOf(plain, errorName);
/** As {@link Codec.decode}, of this version. */
export const decode: (bytes: Uint8Array) => Message = codec.decode;
/** As {@link Codec.encode}, of this version. */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;
/** As {@link Codec.encodeInto}, of this version. */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

/** OFP_VERSION of OpenFlow 1.2. */
export const OFP_VERSION = 3;
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
export {
  BadActionCode,
  BadInstructionCode,
  BadMatchCode,
  FlowModFailedCode,
  GroupModFailedCode,
  HelloFailedCode,
  PortModFailedCode,
  QueueOpFailedCode,
  RoleRequestFailedCode,
  SwitchConfigFailedCode,
  TableModFailedCode,
} from '../v13/errors.ts';
export * from './errors.ts';
