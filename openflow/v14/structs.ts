/** Structures that OpenFlow 1.4 adds to those of 1.3 or changes: most got properties. */
import type { AnyMatch, AnyUnion, Kit, Variants } from '../schema/types.ts';
import {
  choice,
  cstring,
  mac,
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
  union,
  variant,
} from '../schema/types.ts';
import { Group, Port, Table } from '../v13/constants.ts';
import { exact } from '../v13/oxm.ts';
import { tableFeatureProperty as tableFeatureProperty13 } from '../v13/structs.ts';
import { BadPropertyCode, BadRequestCode, ErrorType } from './errors.ts';

/** Match fields that are new. Spec 7.2.3.7. */
export const newFields = { pbb_uca: exact(41, u8, { bits: 1 }) } as const;

/** A union of properties: each of its own length, padded to 8 bytes. Spec 7.2.1.2. */
export const properties = <const V extends Variants>(name: string, variants: V) =>
  optList(
    union(
      {
        name: `${name} property`,
        padded: 'outside',
        badType: [ErrorType.BAD_PROPERTY, BadPropertyCode.BAD_TYPE],
        badLen: [ErrorType.BAD_PROPERTY, BadPropertyCode.BAD_LEN],
      },
      variants,
    ),
  );

/** The property that every kind of them has. */
export const experimenterProperty = variant(0xffff, { experimenter: u32, exp_type: u32, data: rest });

/** ofp_port. Spec 7.2.1. Speeds in kbit/s; frequencies in MHz or wavelengths in nm * 100; power in dBm * 10. */
export const portProperties = {
  ethernet: variant(0, {
    pad1: pad(4),
    curr: opt(u32, 0),
    advertised: opt(u32, 0),
    supported: opt(u32, 0),
    peer: opt(u32, 0),
    curr_speed: opt(u32, 0),
    max_speed: opt(u32, 0),
  }),
  optical: variant(1, {
    pad1: pad(4),
    supported: opt(u32, 0),
    tx_min_freq_lmda: opt(u32, 0),
    tx_max_freq_lmda: opt(u32, 0),
    tx_grid_freq_lmda: opt(u32, 0),
    rx_min_freq_lmda: opt(u32, 0),
    rx_max_freq_lmda: opt(u32, 0),
    rx_grid_freq_lmda: opt(u32, 0),
    tx_pwr_min: opt(u16, 0),
    tx_pwr_max: opt(u16, 0),
  }),
  experimenter: experimenterProperty,
} as const;

/** ofp_port with properties of a version. */
export const portOf = <const V extends Variants>(variants: V) =>
  struct('port', {
    port_no: u32,
    length: selfLength,
    pad1: pad(2),
    hw_addr: opt(mac, '00:00:00:00:00:00'),
    pad2: pad(2),
    name: opt(cstring(16), ''),
    config: opt(u32, 0),
    state: opt(u32, 0),
    properties: properties('port', variants),
  });

/** ofp_port_mod_prop_*. Spec 7.3.4.4. */
export const portModProperties = properties('port_mod', {
  ethernet: variant(0, { advertise: u32 }),
  optical: variant(1, { configure: u32, freq_lmda: u32, fl_offset: u32, grid_span: u32, tx_pwr: u32 }),
  experimenter: experimenterProperty,
});

/** ofp_table_mod_prop_*. Spec 7.3.4.1. Vacancy in percent. */
export const tableModProperties = properties('table_mod', {
  eviction: variant(2, { flags: u32 }),
  vacancy: variant(3, { vacancy_down: u8, vacancy_up: u8, vacancy: opt(u8, 0), pad1: pad(1) }),
  experimenter: experimenterProperty,
});

/** ofp_table_desc. Spec 7.3.5.6. */
export const tableDesc = struct('table_desc', {
  length: selfLength,
  table_id: u8,
  pad1: pad(1),
  config: opt(u32, 0),
  properties: tableModProperties,
});

const tableIds = tableFeatureProperty13.variants.next_tables.fields;
/** ofp_table_feature_prop_*. Spec 7.3.5.5.2. */
export const tableFeatureVariants = {
  ...tableFeatureProperty13.variants,
  table_sync_from: variant(16, tableIds),
} as const;

/** ofp_table_features. Spec 7.3.5.5.1. */
export const tableFeatures = struct('table_features', {
  length: selfLength,
  table_id: u8,
  pad1: pad(5),
  name: opt(cstring(32), ''),
  metadata_match: opt(u64, 0n),
  metadata_write: opt(u64, 0n),
  /** Bits of TableConfig. */
  capabilities: opt(u32, 0),
  max_entries: opt(u32, 0),
  properties: optList(union(tableFeatureProperty13.options, tableFeatureVariants)),
});

/** ofp_port_stats_prop_*. Spec 7.3.5.7. */
export const portStatsProperties = {
  ethernet: variant(0, {
    pad1: pad(4),
    rx_frame_err: opt(u64, 0n),
    rx_over_err: opt(u64, 0n),
    rx_crc_err: opt(u64, 0n),
    collisions: opt(u64, 0n),
  }),
  optical: variant(1, {
    pad1: pad(4),
    flags: opt(u32, 0),
    tx_freq_lmda: opt(u32, 0),
    tx_offset: opt(u32, 0),
    tx_grid_span: opt(u32, 0),
    rx_freq_lmda: opt(u32, 0),
    rx_offset: opt(u32, 0),
    rx_grid_span: opt(u32, 0),
    tx_pwr: opt(u16, 0),
    rx_pwr: opt(u16, 0),
    bias_current: opt(u16, 0),
    temperature: opt(u16, 0),
  }),
  experimenter: experimenterProperty,
} as const;

/** ofp_port_stats. Spec 7.3.5.7. */
export const portStats = struct('port_stats', {
  length: selfLength,
  pad1: pad(2),
  port_no: u32,
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
  rx_packets: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  rx_bytes: opt(u64, 0n),
  tx_bytes: opt(u64, 0n),
  rx_dropped: opt(u64, 0n),
  tx_dropped: opt(u64, 0n),
  rx_errors: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  properties: properties('port_stats', portStatsProperties),
});

/** ofp_queue_stats. Spec 7.3.5.10. */
export const queueStats = struct('queue_stats', {
  length: selfLength,
  pad1: pad(6),
  port_no: u32,
  queue_id: u32,
  tx_bytes: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
  properties: properties('queue_stats', { experimenter: experimenterProperty }),
});

/** ofp_queue_desc. Spec 7.3.5.9. Rates in 1/10 of a percent; above 1000: disabled. */
export const queueDesc = struct('queue_desc', {
  port_no: u32,
  queue_id: u32,
  len: selfLength,
  pad1: pad(6),
  properties: properties('queue_desc', {
    min_rate: variant(1, { rate: u16, pad1: pad(2) }),
    max_rate: variant(2, { rate: u16, pad1: pad(2) }),
    experimenter: experimenterProperty,
  }),
});

/** ofp_async_config_prop_*: bits 1 << reason. Spec 7.3.10. */
export const asyncVariants = {
  packet_in_slave: variant(0, { mask: u32 }),
  packet_in_master: variant(1, { mask: u32 }),
  port_status_slave: variant(2, { mask: u32 }),
  port_status_master: variant(3, { mask: u32 }),
  flow_removed_slave: variant(4, { mask: u32 }),
  flow_removed_master: variant(5, { mask: u32 }),
  role_status_slave: variant(6, { mask: u32 }),
  role_status_master: variant(7, { mask: u32 }),
  table_status_slave: variant(8, { mask: u32 }),
  table_status_master: variant(9, { mask: u32 }),
  requestforward_slave: variant(10, { mask: u32 }),
  requestforward_master: variant(11, { mask: u32 }),
  experimenter_slave: variant(0xfffe, { experimenter: u32, exp_type: u32, data: rest }),
  experimenter_master: variant(0xffff, { experimenter: u32, exp_type: u32, data: rest }),
} as const;

/** The structures that have matches or instructions in them. */
export const kitStructs = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>({
  match,
  instruction,
}: Kit<M, A, I>) => {
  /** ofp_flow_stats. Spec 7.3.5.2. */
  const flowStats = struct('flow_stats', {
    length: selfLength,
    table_id: opt(u8, 0),
    pad1: pad(1),
    duration_sec: opt(u32, 0),
    duration_nsec: opt(u32, 0),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    flags: opt(u16, 0),
    importance: opt(u16, 0),
    pad2: pad(2),
    cookie: opt(u64, 0n),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    match: optMatch(match),
    instructions: optList(instruction),
  });

  /** ofp_flow_monitor_request. Spec 7.3.5.18. */
  const flowMonitor = struct('flow_monitor_request', {
    monitor_id: u32,
    out_port: opt(u32, Port.ANY),
    out_group: opt(u32, Group.ANY),
    flags: opt(u16, 0),
    table_id: opt(u8, Table.ALL),
    command: opt(u8, 0),
    match: optMatch(match),
  });

  const full = {
    table_id: opt(u8, 0),
    reason: opt(u8, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    priority: opt(u16, 0),
    pad1: pad(4),
    cookie: opt(u64, 0n),
    match: optMatch(match),
    instructions: optList(instruction),
  } as const;

  /** ofp_flow_update_*. Spec 7.3.5.18. */
  const flowUpdate = struct('flow_update', {
    length: selfLength,
    event: tagOf('update'),
    update: choice('flow_update', [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE], {
      initial: variant(0, full),
      added: variant(1, full),
      removed: variant(2, full),
      modified: variant(3, full),
      /** A change by the controller's own message of this xid. */
      abbrev: variant(4, { xid: u32 }),
      paused: variant(5, { pad1: pad(4) }),
      resumed: variant(6, { pad1: pad(4) }),
    }),
  });

  return { flowStats, flowMonitor, flowUpdate };
};
