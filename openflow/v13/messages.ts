import { helloElement } from '../hello.ts';
import { message } from '../schema/messages.ts';
import type { AnyMatch, AnyUnion, Kit } from '../schema/types.ts';
import {
  choice,
  lengthOf,
  list,
  mac,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  tagOf,
  u8,
  u16,
  u32,
  u64,
  version,
  words2,
} from '../schema/types.ts';
import { kit } from './actions.ts';
import { Group, NO_BUFFER, OFP_VERSION, Port } from './constants.ts';
import { BAD_MULTIPART, replyVariants, requestVariants } from './multipart.ts';
import { kitStructs, meterBand, packetQueue, port } from './structs.ts';

export const NO_DATA = new Uint8Array(0);
export const switchConfig = { flags: opt(u16, 0), miss_send_len: opt(u16, 128) } as const;
export const role = { role: u32, pad1: pad(4), generation_id: opt(u64, 0n) } as const;
const asyncConfig = {
  /** Bits 1 << reason, for master and equal / for slave. */
  packet_in_mask: words2,
  port_status_mask: words2,
  flow_removed_mask: words2,
} as const;

/** Every message of OpenFlow 1.3. Spec section 7. Times in seconds, lengths in bytes. */
export const messagesOf = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(kit: Kit<M, A, I>) => {
  const { match, action, instruction } = kit;
  const { flowStats, bucket, groupDesc } = kitStructs(kit);
  return {
    /** The version in the header counts here, and is the one message that any version decodes. */
    hello: message(0, '7.5.1', { version: opt(version, OFP_VERSION), elements: opt(list(helloElement), []) }),
    /** error_type and code as in errors.ts; data is at least the first 64 bytes of the failed request. */
    error: message(1, '7.4.4', { error_type: u16, code: u16, data: opt(rest, NO_DATA) }),
    echo_request: message(2, '7.5.2', { data: opt(rest, NO_DATA) }),
    echo_reply: message(3, '7.5.3', { data: opt(rest, NO_DATA) }),
    /** Experimenters that have no table of their own; data is kept as it is. */
    experimenter: message(4, '7.5.4', { experimenter: u32, exp_type: u32, data: opt(rest, NO_DATA) }),
    features_request: message(5, '7.3.1', {}),
    /** capabilities: bits of Capability. */
    features_reply: message(6, '7.3.1', {
      datapath_id: u64,
      n_buffers: opt(u32, 0),
      n_tables: u8,
      auxiliary_id: opt(u8, 0),
      pad1: pad(2),
      capabilities: opt(u32, 0),
      pad2: pad(4),
    }),
    get_config_request: message(7, '7.3.2', {}),
    /** miss_send_len: bytes of a packet that a table-miss sends to the controller (ControllerMaxLen). */
    get_config_reply: message(8, '7.3.2', switchConfig),
    set_config: message(9, '7.3.2', switchConfig),
    /** total_len is the length of the whole frame, of which data may be the first part. */
    packet_in: message(10, '7.4.1', {
      buffer_id: opt(u32, NO_BUFFER),
      total_len: u16,
      reason: u8,
      table_id: opt(u8, 0),
      cookie: opt(u64, 0n),
      match: optMatch(match),
      pad1: pad(2),
      data: opt(rest, NO_DATA),
    }),
    flow_removed: message(11, '7.4.2', {
      cookie: opt(u64, 0n),
      priority: opt(u16, 0),
      reason: u8,
      table_id: opt(u8, 0),
      duration_sec: opt(u32, 0),
      duration_nsec: opt(u32, 0),
      idle_timeout: opt(u16, 0),
      hard_timeout: opt(u16, 0),
      packet_count: opt(u64, 0n),
      byte_count: opt(u64, 0n),
      match: optMatch(match),
    }),
    port_status: message(12, '7.4.3', { reason: u8, pad1: pad(7), desc: port }),
    /** in_port: the port the packet is said to have come in by, or CONTROLLER. */
    packet_out: message(13, '7.3.7', {
      buffer_id: opt(u32, NO_BUFFER),
      in_port: opt(u32, Port.CONTROLLER),
      actions_len: lengthOf('actions'),
      pad1: pad(6),
      actions: optList(action),
      data: opt(rest, NO_DATA),
    }),
    /** idle_timeout and hard_timeout in seconds, 0: none. */
    flow_mod: message(14, '7.3.4.1', {
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
      pad1: pad(2),
      match: optMatch(match),
      instructions: optList(instruction),
    }),
    group_mod: message(15, '7.3.4.2', {
      command: u16,
      group_type: opt(u8, 0),
      pad1: pad(1),
      group_id: u32,
      buckets: optList(bucket),
    }),
    /** mask: which bits of config change. */
    port_mod: message(16, '7.3.4.3', {
      port_no: u32,
      pad1: pad(4),
      hw_addr: mac,
      pad2: pad(2),
      config: opt(u32, 0),
      mask: opt(u32, 0),
      advertise: opt(u32, 0),
      pad3: pad(4),
    }),
    table_mod: message(17, '7.3.3', { table_id: u8, pad1: pad(3), config: opt(u32, 0) }),
    multipart_request: message(18, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_request', BAD_MULTIPART, requestVariants(match)),
    }),
    multipart_reply: message(19, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_reply', BAD_MULTIPART, replyVariants(flowStats, groupDesc)),
    }),
    barrier_request: message(20, '7.3.8', {}),
    barrier_reply: message(21, '7.3.8', {}),
    queue_get_config_request: message(22, '7.3.6', { port: opt(u32, Port.ANY), pad1: pad(4) }),
    queue_get_config_reply: message(23, '7.3.6', {
      port: u32,
      pad1: pad(4),
      queues: optList(packetQueue),
    }),
    role_request: message(24, '7.3.9', role),
    role_reply: message(25, '7.3.9', role),
    get_async_request: message(26, '7.3.10', {}),
    get_async_reply: message(27, '7.3.10', asyncConfig),
    set_async: message(28, '7.3.10', asyncConfig),
    meter_mod: message(29, '7.3.4.4', {
      command: u16,
      flags: opt(u16, 0),
      meter_id: u32,
      bands: optList(meterBand),
    }),
  };
};

/** As this codec's own tables have it: with the match field `cell`. */
export const messages = messagesOf(kit);
