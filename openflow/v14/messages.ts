import { helloElement } from '../hello.ts';
import { message } from '../schema/messages.ts';
import type { AnyMatch, AnyStruct, AnyUnion, Kit, Node } from '../schema/types.ts';
import {
  choice,
  list,
  mac,
  messageIn,
  opt,
  optList,
  optMatch,
  pad,
  tagOf,
  u8,
  u16,
  u32,
  u64,
  variant,
  version,
} from '../schema/types.ts';
import { Group, NO_BUFFER, Port, QUEUE_ALL } from '../v13/constants.ts';
import { messagesOf as messagesOf13 } from '../v13/messages.ts';
import {
  BAD_MULTIPART,
  replyVariants as replyVariants13,
  requestVariants as requestVariants13,
} from '../v13/multipart.ts';
import { kitStructs as kitStructs13 } from '../v13/structs.ts';
import { OFP_VERSION } from './constants.ts';
import { BundleFailedCode, ErrorType } from './errors.ts';
import {
  asyncVariants,
  experimenterProperty,
  kitStructs,
  portModProperties,
  portOf,
  portProperties,
  portStats,
  properties,
  queueDesc,
  queueStats,
  tableDesc,
  tableFeatures,
  tableModProperties,
} from './structs.ts';

/** Bodies of multipart requests, where they differ from those of OpenFlow 1.3. Spec 7.3.5. */
export const requestVariants = <M extends AnyMatch, F extends AnyStruct>(match: M, flowMonitor: F) => ({
  ...requestVariants13(match),
  table_features: variant(12, { tables: optList(tableFeatures) }),
  table_desc: variant(14, {}),
  queue_desc: variant(15, { port_no: opt(u32, Port.ANY), queue_id: opt(u32, QUEUE_ALL) }),
  flow_monitor: variant(16, { monitors: list(flowMonitor) }),
});

const port = portOf(portProperties);
/** For the message in a bundle_add_message. */
const MSG_BAD_LEN = [ErrorType.BUNDLE_FAILED, BundleFailedCode.MSG_BAD_LEN] as const;

/** The messages of bundles; what properties they may have differs between versions. */
export const bundleMessages = <P extends Node>(bundleProperties: P) =>
  ({
    /** ctrl_type: the specification's `type`, BundleCtrlType. */
    bundle_control: message(33, '7.3.9.1', {
      bundle_id: u32,
      ctrl_type: u16,
      flags: opt(u16, 0),
      properties: bundleProperties,
    }),
    /** message: the message that is added, as bytes; see `bundledMessage`. */
    bundle_add_message: message(34, '7.3.9.2', {
      bundle_id: u32,
      pad1: pad(2),
      flags: opt(u16, 0),
      message: messageIn('properties', MSG_BAD_LEN),
      properties: bundleProperties,
    }),
  }) as const;

const asyncConfig = { properties: properties('async_config', asyncVariants) } as const;

/** Messages that any later version has as OpenFlow 1.4 has them. */
export const laterMessages = {
  table_mod: message(17, '7.3.4.1', {
    table_id: u8,
    pad1: pad(3),
    config: opt(u32, 0),
    properties: tableModProperties,
  }),
  port_mod: message(16, '7.3.4.4', {
    port_no: u32,
    pad1: pad(4),
    hw_addr: mac,
    pad2: pad(2),
    config: opt(u32, 0),
    mask: opt(u32, 0),
    properties: portModProperties,
  }),
  get_async_request: message(26, '7.3.10', asyncConfig),
  get_async_reply: message(27, '7.3.10', asyncConfig),
  set_async: message(28, '7.3.10', asyncConfig),
  /** The controller's role was changed by what it did not ask for. */
  role_status: message(30, '7.4.4', {
    role: u32,
    reason: u8,
    pad1: pad(3),
    generation_id: opt(u64, 0n),
    properties: properties('role', { experimenter: experimenterProperty }),
  }),
  table_status: message(31, '7.4.5', { reason: u8, pad1: pad(7), table: tableDesc }),
  /** request: the group_mod or meter_mod of another controller, as bytes; see `forwardedRequest`. */
  requestforward: message(32, '7.4.6', { request: messageIn() }),
  ...bundleMessages(properties('bundle', { experimenter: experimenterProperty })),
} as const;

/** Every message of OpenFlow 1.4. Spec section 7. Times in seconds, lengths in bytes. */
export const messagesOf = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(kit: Kit<M, A, I>) => {
  const { match, instruction } = kit;
  const { flowStats, flowMonitor, flowUpdate } = kitStructs(kit);
  const { queue_get_config_request: _request, queue_get_config_reply: _reply, ...kept } = messagesOf13(kit);
  return {
    ...kept,
    hello: message(0, '7.5.1', { version: opt(version, OFP_VERSION), elements: optList(helloElement) }),
    port_status: message(12, '7.4.3', { reason: u8, pad1: pad(7), desc: port }),
    /** importance: entries of lower importance are evicted first. */
    flow_mod: message(14, '7.3.4.2', {
      cookie: opt(u64, 0n),
      cookie_mask: opt(u64, 0n),
      table_id: opt(u8, 0),
      command: opt(u8, 0),
      idle_timeout: opt(u16, 0),
      hard_timeout: opt(u16, 0),
      priority: opt(u16, 0x8000),
      buffer_id: opt(u32, NO_BUFFER),
      out_port: opt(u32, Port.ANY),
      out_group: opt(u32, Group.ANY),
      flags: opt(u16, 0),
      importance: opt(u16, 0),
      match: optMatch(match),
      instructions: optList(instruction),
    }),
    ...laterMessages,
    multipart_request: message(18, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_request', BAD_MULTIPART, requestVariants(match, flowMonitor)),
    }),
    multipart_reply: message(19, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_reply', BAD_MULTIPART, {
        ...replyVariants13(flowStats, kitStructs13(kit).groupDesc),
        port_stats: variant(4, { ports: list(portStats) }),
        queue: variant(5, { queues: list(queueStats) }),
        table_features: variant(12, { tables: list(tableFeatures) }),
        port_desc: variant(13, { ports: list(port) }),
        table_desc: variant(14, { tables: list(tableDesc) }),
        queue_desc: variant(15, { queues: list(queueDesc) }),
        flow_monitor: variant(16, { updates: list(flowUpdate) }),
      }),
    }),
  };
};
