/**
 * Statistics (multipart bodies) of Nicira and the ONF: experimenter bodies that Open vSwitch and os-ken send and
 * take. Sources: nicira-ext.h, EXT-187 of the ONF.
 */
import type { AnyUnion, Fields, OxmFields } from '../schema/types.ts';
import {
  choice,
  experimenterVariant,
  lengthOf,
  list,
  match,
  opt,
  optList,
  optMatch,
  pad,
  selfLength,
  struct,
  tagOf,
  u8,
  u16,
  u32,
  u64,
  variant,
} from '../schema/types.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { NX_EXPERIMENTER, ONF_EXPERIMENTER } from './fields.ts';

/** nx_flow_monitor_flags: bits; those of the ONF are the same. */
export const NxFlowMonitorFlag = { INITIAL: 1, ADD: 2, DELETE: 4, MODIFY: 8, ACTIONS: 16, OWN: 32 } as const;

/** Type of the ONF's flow monitor, EXT-187. */
const ONF_FLOW_MONITOR = 1870;

/** In OpenFlow 1.0 the header of a body has four bytes more. */
const nx10 = <const F extends Fields>(type: number, fields: F) =>
  experimenterVariant(NX_EXPERIMENTER, type, { pad0: pad(4), ...fields });

const filter = <F extends OxmFields>(fields: F) => ({
  out_port: opt(u16, 0xffff),
  match_len: lengthOf('match'),
  table_id: opt(u8, 0xff),
  pad1: pad(3),
  match: optMatch(match(fields, 'sized')),
});

/** nx_flow_update_*: a change of the flow table, in the order of changes. */
const flowUpdate = <F extends OxmFields, T extends Fields>(fields: F, then: T) => {
  const full = {
    reason: opt(u16, 0),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    match_len: lengthOf('match'),
    table_id: opt(u8, 0),
    pad1: pad(1),
    cookie: opt(u64, 0n),
    match: optMatch(match(fields, 'sized')),
    ...then,
  };
  return struct('flow_update', {
    length: selfLength,
    event: tagOf('update'),
    update: choice('flow_update', [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE], {
      added: variant(0, full),
      deleted: variant(1, full),
      modified: variant(2, full),
      /** A change by the controller's own message of this xid. */
      abbrev: variant(3, { xid: u32 }),
    }),
  });
};

/** Requests in OpenFlow 1.0, whose own have no NXM match. */
export const nxRequests10 = <F extends OxmFields>(fields: F) => ({
  nx_flow: nx10(0, filter(fields)),
  nx_aggregate: nx10(1, filter(fields)),
  nx_flow_monitor: nx10(2, {
    monitors: list(
      struct('nx_flow_monitor_request', {
        id: u32,
        flags: opt(u16, 0),
        out_port: opt(u16, 0xffff),
        match_len: lengthOf('match'),
        table_id: opt(u8, 0xff),
        pad1: pad(5),
        match: optMatch(match(fields, 'sized')),
      }),
    ),
  }),
  nx_ipfix_bridge: nx10(3, {}),
  nx_ipfix_flow: nx10(4, {}),
});

/** nx_ipfix_stats_reply: counters of an exporter of sampled flows. */
const ipfix = struct('ipfix_stats', {
  total_flows: opt(u64, 0n),
  current_flows: opt(u64, 0n),
  pkts: opt(u64, 0n),
  ipv4_pkts: opt(u64, 0n),
  ipv6_pkts: opt(u64, 0n),
  error_pkts: opt(u64, 0n),
  ipv4_error_pkts: opt(u64, 0n),
  ipv6_error_pkts: opt(u64, 0n),
  tx_pkts: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  collector_set_id: u32,
  pad1: pad(4),
});

/** Replies in OpenFlow 1.0. */
export const nxReplies10 = <F extends OxmFields, A extends AnyUnion>(fields: F, action: A) => ({
  nx_flow: nx10(0, {
    flows: list(
      struct('nx_flow_stats', {
        length: selfLength,
        table_id: opt(u8, 0),
        pad1: pad(1),
        duration_sec: opt(u32, 0),
        duration_nsec: opt(u32, 0),
        priority: opt(u16, 0),
        idle_timeout: opt(u16, 0),
        hard_timeout: opt(u16, 0),
        match_len: lengthOf('match'),
        /** Seconds since the last packet, plus one; 0: not known. */
        idle_age: opt(u16, 0),
        /** Seconds since the entry was made or changed, plus one; 0: not known. */
        hard_age: opt(u16, 0),
        cookie: opt(u64, 0n),
        packet_count: opt(u64, 0n),
        byte_count: opt(u64, 0n),
        match: optMatch(match(fields, 'sized')),
        actions: optList(action),
      }),
    ),
  }),
  nx_aggregate: nx10(1, {
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    flow_count: opt(u32, 0),
    pad1: pad(4),
  }),
  nx_flow_monitor: nx10(2, { updates: list(flowUpdate(fields, { actions: optList(action) })) }),
  nx_ipfix_bridge: nx10(3, { ipfix }),
  nx_ipfix_flow: nx10(4, { exporters: list(ipfix) }),
});

/** Requests in OpenFlow 1.1 and later. */
export const nxRequests = {
  nx_ipfix_bridge: experimenterVariant(NX_EXPERIMENTER, 3, {}),
  nx_ipfix_flow: experimenterVariant(NX_EXPERIMENTER, 4, {}),
} as const;

/** Replies in OpenFlow 1.1 and later. */
export const nxReplies = {
  nx_ipfix_bridge: experimenterVariant(NX_EXPERIMENTER, 3, { ipfix }),
  nx_ipfix_flow: experimenterVariant(NX_EXPERIMENTER, 4, { exporters: list(ipfix) }),
} as const;

/** The flow monitor that OpenFlow 1.4 has as its own, for 1.3: EXT-187. */
export const onfRequests = <F extends OxmFields>(fields: F) => ({
  onf_flow_monitor: experimenterVariant(ONF_EXPERIMENTER, ONF_FLOW_MONITOR, {
    monitors: list(
      struct('onf_flow_monitor_request', {
        id: u32,
        flags: opt(u16, 0),
        match_len: lengthOf('match'),
        out_port: opt(u32, 0xffffffff),
        table_id: opt(u8, 0xff),
        pad1: pad(3),
        match: optMatch(match(fields, 'sized')),
      }),
    ),
  }),
});

export const onfReplies = <F extends OxmFields, I extends AnyUnion>(fields: F, instruction: I) => ({
  onf_flow_monitor: experimenterVariant(ONF_EXPERIMENTER, ONF_FLOW_MONITOR, {
    updates: list(flowUpdate(fields, { instructions: optList(instruction) })),
  }),
});
