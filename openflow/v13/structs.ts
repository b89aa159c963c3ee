import type { AnyMatch, AnyUnion, Kit } from '../schema/types.ts';
import {
  cstring,
  list,
  mac,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  selfLength,
  struct,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
} from '../schema/types.ts';
import { Group, Port } from './constants.ts';
import {
  BadRequestCode,
  ErrorType,
  GroupModFailedCode,
  MeterModFailedCode,
  TableFeaturesFailedCode,
} from './errors.ts';

/** ofp_port. Spec 7.2.1. Speeds in kbit/s; config, state and features are bits. */
export const port = struct('port', {
  port_no: u32,
  pad1: pad(4),
  hw_addr: opt(mac, '00:00:00:00:00:00'),
  pad2: pad(2),
  name: opt(cstring(16), ''),
  config: opt(u32, 0),
  state: opt(u32, 0),
  curr: opt(u32, 0),
  advertised: opt(u32, 0),
  supported: opt(u32, 0),
  peer: opt(u32, 0),
  curr_speed: opt(u32, 0),
  max_speed: opt(u32, 0),
});

/** ofp_table_stats. Spec 7.3.5.4. */
export const tableStats = struct('table_stats', {
  table_id: u8,
  pad1: pad(3),
  active_count: opt(u32, 0),
  lookup_count: opt(u64, 0n),
  matched_count: opt(u64, 0n),
});

/** ofp_port_stats. Spec 7.3.5.6. */
export const portStats = struct('port_stats', {
  port_no: u32,
  pad1: pad(4),
  rx_packets: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  rx_bytes: opt(u64, 0n),
  tx_bytes: opt(u64, 0n),
  rx_dropped: opt(u64, 0n),
  tx_dropped: opt(u64, 0n),
  rx_errors: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  rx_frame_err: opt(u64, 0n),
  rx_over_err: opt(u64, 0n),
  rx_crc_err: opt(u64, 0n),
  collisions: opt(u64, 0n),
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
});

/** ofp_queue_stats. Spec 7.3.5.8. */
export const queueStats = struct('queue_stats', {
  port_no: u32,
  queue_id: u32,
  tx_bytes: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
});

/** ofp_bucket_counter */
const bucketCounter = struct('bucket_counter', { packet_count: opt(u64, 0n), byte_count: opt(u64, 0n) });

/** ofp_group_stats. Spec 7.3.5.9. */
export const groupStats = struct('group_stats', {
  length: selfLength,
  pad1: pad(2),
  group_id: u32,
  ref_count: opt(u32, 0),
  pad2: pad(4),
  packet_count: opt(u64, 0n),
  byte_count: opt(u64, 0n),
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
  bucket_stats: opt(list(bucketCounter), []),
});

/** ofp_meter_band_*. Spec 7.3.4.4. Rate in kbit/s or packets/s, burst in kbit or packets, as the meter's flags say. */
export const meterBand = union(
  {
    name: 'band',
    padded: 'none',
    badType: [ErrorType.METER_MOD_FAILED, MeterModFailedCode.BAD_BAND],
    badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
  },
  {
    drop: variant(1, { rate: u32, burst_size: opt(u32, 0), pad1: pad(4) }),
    dscp_remark: variant(2, { rate: u32, burst_size: opt(u32, 0), prec_level: opt(u8, 0), pad1: pad(3) }),
    experimenter: variant(0xffff, { rate: u32, burst_size: opt(u32, 0), experimenter: u32, data: rest }),
  },
);

/** ofp_meter_band_stats */
const bandStats = struct('band_stats', {
  packet_band_count: opt(u64, 0n),
  byte_band_count: opt(u64, 0n),
});

/** ofp_meter_stats. Spec 7.3.5.12. */
export const meterStats = struct('meter_stats', {
  meter_id: u32,
  len: selfLength,
  pad1: pad(6),
  flow_count: opt(u32, 0),
  packet_in_count: opt(u64, 0n),
  byte_in_count: opt(u64, 0n),
  duration_sec: opt(u32, 0),
  duration_nsec: opt(u32, 0),
  band_stats: opt(list(bandStats), []),
});

/** ofp_meter_config. Spec 7.3.5.13. */
export const meterConfig = struct('meter_config', {
  length: selfLength,
  flags: u16,
  meter_id: u32,
  bands: opt(list(meterBand), []),
});

/** ofp_queue_prop_*. Spec 7.2.2. Rates in 1/10 of a percent; above 1000: disabled. */
const queueProperty = union(
  {
    name: 'queue property',
    padded: 'none',
    badType: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE],
    badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
  },
  {
    min_rate: variant(1, { pad1: pad(4), rate: u16, pad2: pad(6) }),
    max_rate: variant(2, { pad1: pad(4), rate: u16, pad2: pad(6) }),
    experimenter: variant(0xffff, { pad1: pad(4), experimenter: u32, pad2: pad(4), data: rest }),
  },
);

/** ofp_packet_queue. Spec 7.2.2. */
export const packetQueue = struct('packet_queue', {
  queue_id: u32,
  port: u32,
  len: selfLength,
  pad1: pad(6),
  properties: opt(list(queueProperty), []),
});

/** An instruction by its type only. */
const instructionId = union(
  {
    name: 'instruction id',
    padded: 'none',
    badType: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_TYPE],
    badLen: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_LEN],
  },
  {
    goto_table: variant(1, {}),
    write_metadata: variant(2, {}),
    write_actions: variant(3, {}),
    apply_actions: variant(4, {}),
    clear_actions: variant(5, {}),
    meter: variant(6, {}),
    experimenter: variant(0xffff, { experimenter: u32 }),
  },
);

/** An action by its type only. */
const actionId = union(
  {
    name: 'action id',
    padded: 'none',
    badType: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_TYPE],
    badLen: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_LEN],
  },
  {
    output: variant(0, {}),
    copy_ttl_out: variant(11, {}),
    copy_ttl_in: variant(12, {}),
    set_mpls_ttl: variant(15, {}),
    dec_mpls_ttl: variant(16, {}),
    push_vlan: variant(17, {}),
    pop_vlan: variant(18, {}),
    push_mpls: variant(19, {}),
    pop_mpls: variant(20, {}),
    set_queue: variant(21, {}),
    group: variant(22, {}),
    set_nw_ttl: variant(23, {}),
    dec_nw_ttl: variant(24, {}),
    set_field: variant(25, {}),
    push_pbb: variant(26, {}),
    pop_pbb: variant(27, {}),
    experimenter: variant(0xffff, { experimenter: u32 }),
  },
);

const instructionIds = { ids: list(instructionId) };
const actionIds = { ids: list(actionId) };
const nextTables = { table_ids: list(u8) };
/** 32-bit OXM headers; one of class 0xffff is followed by its experimenter id. See `oxmHeader`. */
const oxmIds = { oxm_ids: list(u32) };
const experimenterProperty = { experimenter: u32, exp_type: u32, data: rest };

/** ofp_table_feature_prop_*. Spec 7.3.5.5.2. */
export const tableFeatureProperty = union(
  {
    name: 'table feature property',
    padded: 'outside',
    badType: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_TYPE],
    badLen: [ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_LEN],
  },
  {
    instructions: variant(0, instructionIds),
    instructions_miss: variant(1, instructionIds),
    next_tables: variant(2, nextTables),
    next_tables_miss: variant(3, nextTables),
    write_actions: variant(4, actionIds),
    write_actions_miss: variant(5, actionIds),
    apply_actions: variant(6, actionIds),
    apply_actions_miss: variant(7, actionIds),
    match: variant(8, oxmIds),
    wildcards: variant(10, oxmIds),
    write_setfield: variant(12, oxmIds),
    write_setfield_miss: variant(13, oxmIds),
    apply_setfield: variant(14, oxmIds),
    apply_setfield_miss: variant(15, oxmIds),
    experimenter: variant(0xfffe, experimenterProperty),
    experimenter_miss: variant(0xffff, experimenterProperty),
  },
);

/** ofp_table_features. Spec 7.3.5.5.1. */
export const tableFeatures = struct('table_features', {
  length: selfLength,
  table_id: u8,
  pad1: pad(5),
  name: opt(cstring(32), ''),
  metadata_match: opt(u64, 0n),
  metadata_write: opt(u64, 0n),
  config: opt(u32, 0),
  max_entries: opt(u32, 0),
  properties: opt(list(tableFeatureProperty), []),
});

/** The structures that have matches, actions or instructions in them. */
export const kitStructs = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>({
  match,
  action,
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
    pad2: pad(4),
    cookie: opt(u64, 0n),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    match: optMatch(match),
    instructions: optList(instruction),
  });

  /** ofp_bucket. Spec 7.3.4.2. */
  const bucket = struct(
    'bucket',
    {
      len: selfLength,
      weight: opt(u16, 0),
      watch_port: opt(u32, Port.ANY),
      watch_group: opt(u32, Group.ANY),
      pad1: pad(4),
      actions: optList(action),
    },
    [ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.BAD_BUCKET],
  );

  /** ofp_group_desc. Spec 7.3.5.10. */
  const groupDesc = struct('group_desc', {
    length: selfLength,
    group_type: u8,
    pad1: pad(1),
    group_id: u32,
    buckets: optList(bucket),
  });

  return { flowStats, bucket, groupDesc };
};
