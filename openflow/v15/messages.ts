import { helloElement } from '../hello.ts';
import { message } from '../schema/messages.ts';
import type { AnyMatch, AnyUnion, Kit } from '../schema/types.ts';
import {
  choice,
  lengthOf,
  list,
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
import { Group, Meter, NO_BUFFER, Port, QUEUE_ALL } from '../v13/constants.ts';
import { BAD_MULTIPART, replyVariants as replyVariants13 } from '../v13/multipart.ts';
import { groupStats, meterConfig, tableStats } from '../v13/structs.ts';
import {
  bundleMessages,
  messagesOf as messagesOf14,
  requestVariants as requestVariants14,
} from '../v14/messages.ts';
import {
  kitStructs as kitStructs14,
  portStats,
  properties,
  queueDesc,
  queueStats,
  tableDesc,
} from '../v14/structs.ts';
import { stats } from './actions.ts';
import { GroupBucket, OFP_VERSION } from './constants.ts';
import {
  asyncVariants,
  bundleFeaturesProperties,
  bundleProperties,
  controllerStatus,
  groupProperties,
  kitStructs,
  meterStats,
  port,
  tableFeatures,
} from './structs.ts';

const NO_DATA = new Uint8Array(0);
const portRequest = { port_no: opt(u32, Port.ANY), pad1: pad(4) } as const;
const groupRequest = { group_id: opt(u32, Group.ALL), pad1: pad(4) } as const;
const meterRequest = { meter_id: opt(u32, Meter.ALL), pad1: pad(4) } as const;
const queueRequest = { port_no: opt(u32, Port.ANY), queue_id: opt(u32, QUEUE_ALL) } as const;
const role = { role: u32, short_id: opt(u16, 0), pad1: pad(2), generation_id: opt(u64, 0n) } as const;
const asyncConfig = { properties: properties('async_config', asyncVariants) } as const;

/** Every message of OpenFlow 1.5. Spec section 7. Times in seconds, lengths in bytes. */
export const messagesOf = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(kit: Kit<M, A, I>) => {
  const { match, action } = kit;
  const { flowDesc, flowStats, bucket, groupDesc } = kitStructs(kit);
  const { flowMonitor, flowUpdate } = kitStructs14(kit);
  const kept = requestVariants14(match, flowMonitor);
  const keptReply = replyVariants13(flowStats, groupDesc);
  return {
    ...messagesOf14(kit),
    hello: message(0, '7.5.1', { version: opt(version, OFP_VERSION), elements: optList(helloElement) }),
    flow_removed: message(11, '7.4.2', {
      table_id: opt(u8, 0),
      reason: u8,
      priority: opt(u16, 0),
      idle_timeout: opt(u16, 0),
      hard_timeout: opt(u16, 0),
      cookie: opt(u64, 0n),
      match: optMatch(match),
      stats,
    }),
    port_status: message(12, '7.4.3', { reason: u8, pad1: pad(7), desc: port }),
    /** match: pipeline fields of the packet, in_port among them. */
    packet_out: message(13, '7.3.6', {
      buffer_id: opt(u32, NO_BUFFER),
      actions_len: lengthOf('actions'),
      pad1: pad(2),
      match: optMatch(match),
      actions: optList(action),
      data: opt(rest, NO_DATA),
    }),
    /** command_bucket_id: before or behind which bucket, with INSERT_BUCKET and REMOVE_BUCKET. */
    group_mod: message(15, '7.3.4.3', {
      command: u16,
      group_type: opt(u8, 0),
      pad1: pad(1),
      group_id: u32,
      bucket_array_len: lengthOf('buckets'),
      pad2: pad(2),
      command_bucket_id: opt(u32, GroupBucket.ALL),
      buckets: optList(bucket),
      properties: groupProperties,
    }),
    /** short_id: the controller's number, 0 (OFPCID_UNDEFINED): none. */
    role_request: message(24, '7.3.8', role),
    role_reply: message(25, '7.3.8', role),
    get_async_request: message(26, '7.3.10', asyncConfig),
    get_async_reply: message(27, '7.3.10', asyncConfig),
    set_async: message(28, '7.3.10', asyncConfig),
    ...bundleMessages(bundleProperties),
    controller_status: message(35, '7.4.7', { status: controllerStatus }),
    multipart_request: message(18, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_request', BAD_MULTIPART, {
        desc: kept.desc,
        flow_desc: kept.flow,
        aggregate_stats: kept.aggregate,
        table_stats: kept.table,
        port_stats: variant(4, portRequest),
        queue_stats: variant(5, queueRequest),
        group_stats: variant(6, groupRequest),
        group_desc: variant(7, groupRequest),
        group_features: kept.group_features,
        meter_stats: variant(9, meterRequest),
        meter_desc: variant(10, meterRequest),
        meter_features: kept.meter_features,
        table_features: variant(12, { tables: optList(tableFeatures) }),
        port_desc: variant(13, portRequest),
        table_desc: kept.table_desc,
        queue_desc: kept.queue_desc,
        flow_monitor: kept.flow_monitor,
        flow_stats: variant(17, kept.flow.fields),
        controller_status: variant(18, {}),
        bundle_features: variant(19, {
          feature_request_flags: opt(u32, 0),
          pad1: pad(4),
          properties: bundleFeaturesProperties,
        }),
        experimenter: kept.experimenter,
      }),
    }),
    multipart_reply: message(19, '7.3.5', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('multipart_reply', BAD_MULTIPART, {
        desc: keptReply.desc,
        flow_desc: variant(1, { flows: list(flowDesc) }),
        aggregate_stats: variant(2, { stats }),
        table_stats: variant(3, { tables: list(tableStats) }),
        port_stats: variant(4, { ports: list(portStats) }),
        queue_stats: variant(5, { queues: list(queueStats) }),
        group_stats: variant(6, { groups: list(groupStats) }),
        group_desc: keptReply.group_desc,
        group_features: keptReply.group_features,
        meter_stats: variant(9, { meters: list(meterStats) }),
        meter_desc: variant(10, { meters: list(meterConfig) }),
        meter_features: variant(11, {
          max_meter: opt(u32, 0),
          band_types: opt(u32, 0),
          capabilities: opt(u32, 0),
          max_bands: opt(u8, 0),
          max_color: opt(u8, 0),
          pad1: pad(2),
          /** MeterFeatureFlag */
          features: opt(u32, 0),
          pad2: pad(4),
        }),
        table_features: variant(12, { tables: list(tableFeatures) }),
        port_desc: variant(13, { ports: list(port) }),
        table_desc: variant(14, { tables: list(tableDesc) }),
        queue_desc: variant(15, { queues: list(queueDesc) }),
        flow_monitor: variant(16, { updates: list(flowUpdate) }),
        flow_stats: variant(17, { flows: list(flowStats) }),
        controller_status: variant(18, { statuses: list(controllerStatus) }),
        bundle_features: variant(19, {
          capabilities: opt(u16, 0),
          pad1: pad(6),
          properties: bundleFeaturesProperties,
        }),
        experimenter: keptReply.experimenter,
      }),
    }),
  };
};
