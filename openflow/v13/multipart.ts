import type { AnyMatch, AnyStruct } from '../schema/types.ts';
import { cstring, list, opt, optMatch, pad, rest, u8, u32, u64, variant, words4 } from '../schema/types.ts';
import { Group, Meter, Port, QUEUE_ALL, Table } from './constants.ts';
import { BadRequestCode, ErrorType } from './errors.ts';
import {
  groupStats,
  meterConfig,
  meterStats,
  port,
  portStats,
  queueStats,
  tableFeatures,
  tableStats,
} from './structs.ts';

export const BAD_MULTIPART = [ErrorType.BAD_REQUEST, BadRequestCode.BAD_MULTIPART] as const;

/** ofp_flow_stats_request and ofp_aggregate_stats_request */
export const flowFilter = <M extends AnyMatch>(match: M) => ({
  table_id: opt(u8, Table.ALL),
  pad1: pad(3),
  out_port: opt(u32, Port.ANY),
  out_group: opt(u32, Group.ANY),
  pad2: pad(4),
  cookie: opt(u64, 0n),
  cookie_mask: opt(u64, 0n),
  match: optMatch(match),
});

export const meterId = { meter_id: opt(u32, Meter.ALL), pad1: pad(4) } as const;
export const experimenter = { experimenter: u32, exp_type: u32, data: opt(rest, new Uint8Array(0)) } as const;

/** Bodies of multipart requests, ofp_multipart_type. Spec 7.3.5. */
export const requestVariants = <M extends AnyMatch>(match: M) => ({
  flow: variant(1, flowFilter(match)),
  aggregate: variant(2, flowFilter(match)),
  desc: variant(0, {}),
  table: variant(3, {}),
  port_stats: variant(4, { port_no: opt(u32, Port.ANY), pad1: pad(4) }),
  queue: variant(5, { port_no: opt(u32, Port.ANY), queue_id: opt(u32, QUEUE_ALL) }),
  group: variant(6, { group_id: opt(u32, Group.ALL), pad1: pad(4) }),
  group_desc: variant(7, {}),
  group_features: variant(8, {}),
  meter: variant(9, meterId),
  meter_config: variant(10, meterId),
  meter_features: variant(11, {}),
  table_features: variant(12, { tables: opt(list(tableFeatures), []) }),
  port_desc: variant(13, {}),
  experimenter: variant(0xffff, experimenter),
});

/** Bodies of multipart replies. Spec 7.3.5. */
export const replyVariants = <F extends AnyStruct, G extends AnyStruct>(flowStats: F, groupDesc: G) => ({
  flow: variant(1, { flows: list(flowStats) }),
  aggregate: variant(2, {
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    flow_count: opt(u32, 0),
    pad1: pad(4),
  }),
  desc: variant(0, {
    mfr_desc: opt(cstring(256), ''),
    hw_desc: opt(cstring(256), ''),
    sw_desc: opt(cstring(256), ''),
    serial_num: opt(cstring(32), ''),
    dp_desc: opt(cstring(256), ''),
  }),
  table: variant(3, { tables: list(tableStats) }),
  port_stats: variant(4, { ports: list(portStats) }),
  queue: variant(5, { queues: list(queueStats) }),
  group: variant(6, { groups: list(groupStats) }),
  group_desc: variant(7, { groups: list(groupDesc) }),
  group_features: variant(8, {
    types: opt(u32, 0),
    capabilities: opt(u32, 0),
    /** By group type: all, select, indirect, fast failover. */
    max_groups: opt(words4, [0, 0, 0, 0]),
    actions: opt(words4, [0, 0, 0, 0]),
  }),
  meter: variant(9, { meters: list(meterStats) }),
  meter_config: variant(10, { meters: list(meterConfig) }),
  meter_features: variant(11, {
    max_meter: opt(u32, 0),
    band_types: opt(u32, 0),
    capabilities: opt(u32, 0),
    max_bands: opt(u8, 0),
    max_color: opt(u8, 0),
    pad1: pad(2),
  }),
  table_features: variant(12, { tables: list(tableFeatures) }),
  port_desc: variant(13, { ports: list(port) }),
  experimenter: variant(0xffff, experimenter),
});
