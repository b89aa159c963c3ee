/** OpenFlow 1.5: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { createCodec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages } from '../nicira/messages.ts';
import { nxReplies, nxRequests } from '../nicira/statistics.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import { inSections, type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import { SINCE_14 } from '../schema/sections.ts';
import type { In, Out } from '../schema/types.ts';
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
const action = withNxActions(actionOptions, actionVariants(fields), fields);
const kit = {
  match: match(fields),
  action,
  instruction: union(instructionOptions, instructionVariants(action)),
} as const;

const own = inSections(messagesOf(kit), SINCE_14);

/** Every message of this version, by name. */
export const messages = {
  ...own,
  multipart_request: withBodies(own.multipart_request, nxRequests),
  multipart_reply: withBodies(own.multipart_reply, nxReplies),
  ...nxMessages(fields),
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

const plain: Codec<typeof messages> = /* @__PURE__ */ createCodec(
  6,
  messages,
  ExtendedDecoderCompiler,
  ExtendedEncoderCompiler,
  [NX_EXPERIMENTER],
);
export const codec: Codec<typeof messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
export const { decode, encode, encodeInto } = codec;
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
