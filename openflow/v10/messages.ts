import { helloElement } from '../hello.ts';
import { message } from '../schema/messages.ts';
import type { AnyUnion } from '../schema/types.ts';
import {
  choice,
  cstring,
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
  variant,
  version,
} from '../schema/types.ts';
import { NO_BUFFER, OFP_VERSION, Port, QUEUE_ALL } from './constants.ts';
import { BadRequestCode, ErrorType } from './errors.ts';
import { flowStatsOf, matchNode, packetQueue, port, portStats, queueStats, tableStats } from './structs.ts';

const NO_DATA = new Uint8Array(0);
const BAD_STAT = [ErrorType.BAD_REQUEST, BadRequestCode.BAD_STAT] as const;
const switchConfig = { flags: opt(u16, 0), miss_send_len: opt(u16, 128) } as const;
const vendor = { vendor: u32, data: opt(rest, NO_DATA) } as const;

/** ofp_flow_stats_request and ofp_aggregate_stats_request */
const flowFilter = {
  match: optMatch(matchNode),
  /** 0xff: all, 0xfe: emergency. */
  table_id: opt(u8, 0xff),
  pad1: pad(1),
  out_port: opt(u16, Port.NONE),
} as const;

/** Bodies of stats requests, ofp_stats_types. Spec 5.3.5. */
const statsRequest = choice('stats_request', BAD_STAT, {
  desc: variant(0, {}),
  flow: variant(1, flowFilter),
  aggregate: variant(2, flowFilter),
  table: variant(3, {}),
  /** NONE: all ports. */
  port: variant(4, { port_no: opt(u16, Port.NONE), pad1: pad(6) }),
  queue: variant(5, { port_no: opt(u16, Port.ALL), pad1: pad(2), queue_id: opt(u32, QUEUE_ALL) }),
  vendor: variant(0xffff, vendor),
});

/** Bodies of stats replies. Spec 5.3.5. */
const statsReply = <A extends AnyUnion>(action: A) =>
  choice('stats_reply', BAD_STAT, {
    desc: variant(0, {
      mfr_desc: opt(cstring(256), ''),
      hw_desc: opt(cstring(256), ''),
      sw_desc: opt(cstring(256), ''),
      serial_num: opt(cstring(32), ''),
      dp_desc: opt(cstring(256), ''),
    }),
    flow: variant(1, { flows: list(flowStatsOf(action)) }),
    aggregate: variant(2, {
      packet_count: opt(u64, 0n),
      byte_count: opt(u64, 0n),
      flow_count: opt(u32, 0),
      pad1: pad(4),
    }),
    table: variant(3, { tables: list(tableStats) }),
    port: variant(4, { ports: list(portStats) }),
    queue: variant(5, { queues: list(queueStats) }),
    vendor: variant(0xffff, vendor),
  });

/** Every message of OpenFlow 1.0. Spec section 5. Times in seconds, lengths in bytes. */
export const messagesOf = <A extends AnyUnion>(action: A) => ({
  /** The version in the header counts here, and is the one message that any version decodes. */
  hello: message(0, '5.5.1', { version: opt(version, OFP_VERSION), elements: optList(helloElement) }),
  /** error_type and code as in errors.ts; data is at least the first 64 bytes of the failed request. */
  error: message(1, '5.4.4', { error_type: u16, code: u16, data: opt(rest, NO_DATA) }),
  echo_request: message(2, '5.5.2', { data: opt(rest, NO_DATA) }),
  echo_reply: message(3, '5.5.3', { data: opt(rest, NO_DATA) }),
  /** Vendors that have no table of their own; data is kept as it is. */
  vendor: message(4, '5.5.4', vendor),
  features_request: message(5, '5.3.1', {}),
  /** capabilities: bits of Capability; actions: bits 1 << ofp_action_type. */
  features_reply: message(6, '5.3.1', {
    datapath_id: u64,
    n_buffers: opt(u32, 0),
    n_tables: opt(u8, 1),
    pad1: pad(3),
    capabilities: opt(u32, 0),
    actions: opt(u32, 0),
    ports: optList(port),
  }),
  get_config_request: message(7, '5.3.2', {}),
  /** miss_send_len: bytes of a packet that a table-miss sends to the controller. */
  get_config_reply: message(8, '5.3.2', switchConfig),
  set_config: message(9, '5.3.2', switchConfig),
  /** total_len is the length of the whole frame, of which data may be the first part. */
  packet_in: message(10, '5.4.1', {
    buffer_id: opt(u32, NO_BUFFER),
    total_len: u16,
    in_port: u16,
    reason: u8,
    pad1: pad(1),
    data: opt(rest, NO_DATA),
  }),
  flow_removed: message(11, '5.4.2', {
    match: optMatch(matchNode),
    cookie: opt(u64, 0n),
    priority: opt(u16, 0),
    reason: u8,
    pad1: pad(1),
    duration_sec: opt(u32, 0),
    duration_nsec: opt(u32, 0),
    idle_timeout: opt(u16, 0),
    pad2: pad(2),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
  }),
  port_status: message(12, '5.4.3', { reason: u8, pad1: pad(7), desc: port }),
  /** in_port: the port the packet is said to have come in by, or NONE. */
  packet_out: message(13, '5.3.6', {
    buffer_id: opt(u32, NO_BUFFER),
    in_port: opt(u16, Port.NONE),
    actions_len: lengthOf('actions'),
    actions: optList(action),
    data: opt(rest, NO_DATA),
  }),
  /** idle_timeout and hard_timeout in seconds, 0: none. */
  flow_mod: message(14, '5.3.3', {
    match: optMatch(matchNode),
    cookie: opt(u64, 0n),
    command: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    priority: opt(u16, 0x8000),
    buffer_id: opt(u32, NO_BUFFER),
    out_port: opt(u16, Port.NONE),
    flags: opt(u16, 0),
    actions: optList(action),
  }),
  /** mask: which bits of config change. */
  port_mod: message(15, '5.3.3', {
    port_no: u16,
    hw_addr: mac,
    config: opt(u32, 0),
    mask: opt(u32, 0),
    advertise: opt(u32, 0),
    pad1: pad(4),
  }),
  stats_request: message(16, '5.3.5', { body_type: tagOf('body'), flags: opt(u16, 0), body: statsRequest }),
  stats_reply: message(17, '5.3.5', {
    body_type: tagOf('body'),
    flags: opt(u16, 0),
    body: statsReply(action),
  }),
  barrier_request: message(18, '5.3.7', {}),
  barrier_reply: message(19, '5.3.7', {}),
  queue_get_config_request: message(20, '5.3.4', { port: u16, pad1: pad(2) }),
  queue_get_config_reply: message(21, '5.3.4', { port: u16, pad1: pad(6), queues: optList(packetQueue) }),
});
