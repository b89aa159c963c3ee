/** OpenFlow 1.4: its codec, types and constants, with the extensions of Nicira and Open vSwitch. */
import type { Codec } from '../codec.ts';
import { createCodec } from '../codec.ts';
import { withNxActions } from '../nicira/actions.ts';
import { NX_EXPERIMENTER, nxFields, onfFields, packetRegisters } from '../nicira/fields.ts';
import { nxMessages } from '../nicira/messages.ts';
import { onfActions } from '../nicira/onf.ts';
import { nxReplies, nxRequests } from '../nicira/statistics.ts';
import { ExtendedDecoderCompiler, ExtendedEncoderCompiler } from '../schema/extended.ts';
import { inSections, type MessageIn, type MessageOut, withBodies } from '../schema/messages.ts';
import { SINCE_14 } from '../schema/sections.ts';
import type { In, Out } from '../schema/types.ts';
import { match, union } from '../schema/types.ts';
import { actionOptions, actionVariants, instructionOptions, instructionVariants } from '../v13/actions.ts';
import { basicFields } from '../v13/oxm.ts';
import { withErrorsOf } from '../version-errors.ts';
import { errorName, fitError } from './errors.ts';
import { messagesOf } from './messages.ts';
import { newFields } from './structs.ts';

/** Every match field of this version, and of the extensions. */
export const fields = {
  ...basicFields,
  ...newFields,
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
  5,
  messages,
  ExtendedDecoderCompiler,
  ExtendedEncoderCompiler,
  [NX_EXPERIMENTER],
);
export const codec: Codec<typeof messages> = /* @__PURE__ */ withErrorsOf(plain, errorName, fitError);
export const { decode, encode, encodeInto } = codec;
export {
  Capability,
  ConfigFlag,
  ControllerMaxLen,
  ControllerRole,
  FlowModCommand,
  FlowModFlag,
  Group,
  GroupCapability,
  GroupModCommand,
  GroupType,
  Ipv6ExthdrFlag,
  Meter,
  MeterFlag,
  MeterModCommand,
  MultipartFlag,
  NO_BUFFER,
  OFPVID_NONE,
  OFPVID_PRESENT,
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
  BadMatchCode,
  GroupModFailedCode,
  HelloFailedCode,
  MeterModFailedCode,
  PortModFailedCode,
  QueueOpFailedCode,
  RoleRequestFailedCode,
  SwitchConfigFailedCode,
  TableModFailedCode,
} from '../v13/errors.ts';
export * from './constants.ts';
export * from './errors.ts';
