/** OpenFlow 1.5: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages } from '../nicira/messages.ts';
import { nxReplies, nxRequests } from '../nicira/statistics.ts';
import { extendedCodec } from '../schema/extended.ts';
import { inSections, type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import { SINCE_14 } from '../schema/sections.ts';
import type { In, Kit, MatchNode, Out } from '../schema/types.ts';
import { match, union } from '../schema/types.ts';
import { actionOptions, instructionOptions } from '../v13/actions.ts';
import { basicFields } from '../v13/oxm.ts';
import { fitError } from '../v14/errors.ts';
import { withErrorsOf } from '../version-errors.ts';
import { actionVariants, instructionVariants, newFields } from './actions.ts';
import { errorName } from './errors.ts';
import { messagesOf } from './messages.ts';

/** Every match field of this version, and of the extensions. */
export const fields = {
  ...basicFields,
  ...newFields,
  ...packetRegisters,
  ...nxFields,
} as const;
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

const own = inSections(messagesOf(kit), SINCE_14);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  multipart_request: withBodies(own.multipart_request, nxRequests),
  multipart_reply: withBodies(own.multipart_reply, nxReplies),
  ...nxMessages(fields),
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

const plain: Codec<Messages> = /* @__PURE__ */ extendedCodec(6, messages, [NX_EXPERIMENTER]);
export const codec: Codec<Messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
/** As {@link Codec.decode}, of this version. */
export const decode: (bytes: Uint8Array) => Message = codec.decode;
/** As {@link Codec.encode}, of this version. */
export const encode: (message: MessageInit) => Uint8Array = codec.encode;
/** As {@link Codec.encodeInto}, of this version. */
export const encodeInto: (message: MessageInit, target: Uint8Array, offset: number) => number =
  codec.encodeInto;

export {
  ConfigFlag,
  ControllerMaxLen,
  ControllerRole,
  FlowModCommand,
  FlowModFlag,
  Group,
  GroupCapability,
  GroupType,
  Ipv6ExthdrFlag,
  Meter,
  MeterFlag,
  MeterModCommand,
  MultipartFlag,
  NO_BUFFER,
  OFPVID_NONE,
  OFPVID_PRESENT,
  PortConfig,
  PortFeatures,
  PortReason,
  PortState,
  QUEUE_ALL,
  Table,
} from '../v13/constants.ts';
export {
  BadMatchCode,
  HelloFailedCode,
  MeterModFailedCode,
  PortModFailedCode,
  QueueOpFailedCode,
  SwitchConfigFailedCode,
  TableModFailedCode,
} from '../v13/errors.ts';
export {
  BundleCtrlType,
  EvictionFlag,
  FlowMonitorCommand,
  FlowMonitorFlag,
  FlowRemovedReason,
  OpticalPortFeatures,
  OpticalStatsFlag,
  PacketInReason,
  RequestforwardReason,
  RoleReason,
  TableConfig,
  TableReason,
} from '../v14/constants.ts';
export {
  AsyncConfigFailedCode,
  BadInstructionCode,
  BadPropertyCode,
  ErrorType,
  FlowMonitorFailedCode,
} from '../v14/errors.ts';
export * from './constants.ts';
export * from './errors.ts';
