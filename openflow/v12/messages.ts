/** OpenFlow 1.2 as differences to 1.3: no meters, fewer counters, statistics before they became multipart. */
import { helloElement } from '../hello.ts';
import { message } from '../schema/messages.ts';
import type { AnyMatch, AnyStruct, AnyUnion, Kit, OxmFields } from '../schema/types.ts';
import {
  choice,
  cstring,
  list,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  selfLength,
  struct,
  tagOf,
  u8,
  u16,
  u32,
  u64,
  variant,
  version,
} from '../schema/types.ts';
import {
  actionVariants as actionVariants13,
  instructionVariants as instructionVariants13,
} from '../v13/actions.ts';
import { NO_BUFFER } from '../v13/constants.ts';
import { messagesOf as messagesOf13 } from '../v13/messages.ts';
import {
  BAD_MULTIPART,
  replyVariants as replyVariants13,
  requestVariants as requestVariants13,
} from '../v13/multipart.ts';
import { basicFields } from '../v13/oxm.ts';
import {
  groupStats as groupStats13,
  kitStructs as kitStructs13,
  port,
  portStats as portStats13,
  queueStats as queueStats13,
} from '../v13/structs.ts';

const {
  mpls_bos: _mplsBos,
  pbb_isid: _pbbIsid,
  tunnel_id: _tunnelId,
  ipv6_exthdr: _ipv6Exthdr,
  ...fields12
} = basicFields;
/** The 36 match fields of OpenFlow 1.2. Spec A.2.3.7. */
export const basicFields12 = fields12;

/** ofp_action_*. Spec A.2.5. */
export const actionVariants = <F extends OxmFields>(fields: F) => {
  const { push_pbb: _push, pop_pbb: _pop, ...kept } = actionVariants13(fields);
  return kept;
};

/** ofp_instruction_*. Spec A.2.4. */
export const instructionVariants = <A extends AnyUnion>(action: A) => {
  const { meter: _, ...kept } = instructionVariants13(action);
  return kept;
};

const { duration_sec: _ps, duration_nsec: _pn, ...portCounters } = portStats13.fields;
const { duration_sec: _qs, duration_nsec: _qn, ...queueCounters } = queueStats13.fields;
const { duration_sec: _gs, duration_nsec: _gn, ...groupCounters } = groupStats13.fields;
/** ofp_port_stats. Spec A.3.6.6. */
export const portStats = struct('port_stats', portCounters);
/** ofp_queue_stats. Spec A.3.6.7. */
export const queueStats = struct('queue_stats', queueCounters);
/** ofp_group_stats. Spec A.3.6.8. */
export const groupStats = struct('group_stats', groupCounters);

/** ofp_table_stats: bits by number of match field, action and instruction. Spec A.3.6.5. */
const tableStats = struct('table_stats', {
  table_id: u8,
  pad1: pad(7),
  name: opt(cstring(32), ''),
  match: opt(u64, 0n),
  wildcards: opt(u64, 0n),
  write_actions: opt(u32, 0),
  apply_actions: opt(u32, 0),
  write_setfields: opt(u64, 0n),
  apply_setfields: opt(u64, 0n),
  metadata_match: opt(u64, 0n),
  metadata_write: opt(u64, 0n),
  instructions: opt(u32, 0),
  config: opt(u32, 0),
  max_entries: opt(u32, 0),
  active_count: opt(u32, 0),
  lookup_count: opt(u64, 0n),
  matched_count: opt(u64, 0n),
});

/** ofp_flow_stats. Spec A.3.6.2. */
const flowStatsOf = <M extends AnyMatch, I extends AnyUnion>(match: M, instruction: I) =>
  struct('flow_stats', {
    length: selfLength,
    table_id: opt(u8, 0),
    pad1: pad(1),
    duration_sec: opt(u32, 0),
    duration_nsec: opt(u32, 0),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    pad2: pad(6),
    cookie: opt(u64, 0n),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    match: optMatch(match),
    instructions: optList(instruction),
  });

/** Bodies of stats requests. Spec A.3.6. */
export const requestVariants = <M extends AnyMatch>(match: M) => {
  const {
    meter: _meter,
    meter_config: _config,
    meter_features: _meterFeatures,
    table_features: _tableFeatures,
    port_desc: _ports,
    port_stats,
    ...kept
  } = requestVariants13(match);
  return { ...kept, port: port_stats };
};

/** Bodies of stats replies; the structure of table statistics is 1.1's or 1.2's. Spec A.3.6. */
export const replyVariants = <
  M extends AnyMatch,
  A extends AnyUnion,
  I extends AnyUnion,
  T extends AnyStruct,
>(
  kit: Kit<M, A, I>,
  table: T,
) => {
  const {
    meter: _meter,
    meter_config: _config,
    meter_features: _meterFeatures,
    table_features: _tableFeatures,
    port_desc: _ports,
    port_stats: _stats,
    ...kept
  } = replyVariants13(flowStatsOf(kit.match, kit.instruction), kitStructs13(kit).groupDesc);
  return {
    ...kept,
    table: variant(3, { tables: list(table) }),
    port: variant(4, { ports: list(portStats) }),
    queue: variant(5, { queues: list(queueStats) }),
    group: variant(6, { groups: list(groupStats) }),
  };
};

/** Messages that 1.1 has as 1.2 has them. */
export const earlierMessages = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(
  kit: Kit<M, A, I>,
  wire: number,
) => {
  const {
    multipart_request: _request,
    multipart_reply: _reply,
    get_async_request: _getAsync,
    get_async_reply: _asyncReply,
    set_async: _setAsync,
    meter_mod: _meterMod,
    ...kept
  } = messagesOf13(kit);
  return {
    ...kept,
    hello: message(0, 'A.5.1', { version: opt(version, wire), elements: optList(helloElement) }),
    features_reply: message(6, 'A.3.1', {
      datapath_id: u64,
      n_buffers: opt(u32, 0),
      n_tables: u8,
      pad1: pad(3),
      capabilities: opt(u32, 0),
      pad2: pad(4),
      ports: optList(port),
    }),
  };
};

/** Every message of OpenFlow 1.2. Spec section A.3. Times in seconds, lengths in bytes. */
export const messagesOf = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(
  kit: Kit<M, A, I>,
) => ({
  ...earlierMessages(kit, 3),
  packet_in: message(10, 'A.4.1', {
    buffer_id: opt(u32, NO_BUFFER),
    total_len: u16,
    reason: u8,
    table_id: opt(u8, 0),
    match: optMatch(kit.match),
    pad1: pad(2),
    data: opt(rest, new Uint8Array(0)),
  }),
  stats_request: message(18, 'A.3.6', {
    body_type: tagOf('body'),
    flags: opt(u16, 0),
    pad1: pad(4),
    body: choice('stats_request', BAD_MULTIPART, requestVariants(kit.match)),
  }),
  stats_reply: message(19, 'A.3.6', {
    body_type: tagOf('body'),
    flags: opt(u16, 0),
    pad1: pad(4),
    body: choice('stats_reply', BAD_MULTIPART, replyVariants(kit, tableStats)),
  }),
});
