/** Structures that OpenFlow 1.5 adds to those of 1.4 or changes. */
import * as R from '../schema/runtime.ts';
import type { AnyMatch, AnyUnion, CustomNode, Kit } from '../schema/types.ts';
import {
  cstring,
  lengthOf,
  list,
  opt,
  optList,
  optMatch,
  pad,
  selfLength,
  struct,
  text,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
} from '../schema/types.ts';
import { meterStats as meterStats13 } from '../v13/structs.ts';
import { BadPropertyCode, ErrorType } from '../v14/errors.ts';
import {
  asyncVariants as asyncVariants14,
  experimenterProperty,
  portOf,
  portProperties,
  properties,
  tableFeatureVariants as tableFeatureVariants14,
} from '../v14/structs.ts';
import { stats } from './actions.ts';
import { GroupBucket } from './constants.ts';
import { GroupModFailedCode } from './errors.ts';

const oxmIds = tableFeatureVariants14.match.fields;

/** ofp_port. Spec 7.2.1. */
export const port = portOf({
  ...portProperties,
  pipeline_input: variant(2, oxmIds),
  pipeline_output: variant(3, oxmIds),
  recirculate: variant(4, { port_nos: list(u32) }),
});

const BAD_PROPERTY_LEN = [ErrorType.BAD_PROPERTY, BadPropertyCode.BAD_LEN] as const;

/** An OXM TLV by itself: its header, and its payload as hexadecimal digits. */
export interface OxmValue {
  header: number;
  value: string;
}
/** OXM TLVs one after another, in which the same field may stand several times. */
const oxmValues: CustomNode<OxmValue[], readonly OxmValue[]> = {
  kind: 'custom',
  describe: 'OXM TLV, repeated',
  decode(b, o, end) {
    const values: OxmValue[] = [];
    for (let at = o; at < end; ) {
      const next = end - at < 4 ? end + 1 : at + 4 + b[at + 3];
      if (next > end) R.fail(...BAD_PROPERTY_LEN, 'packet_types: a field reaches beyond the end');
      const header = R.u64(b, at) >> 32n;
      values.push({ header: Number(header), value: R.hex(b, at + 4, next - at - 4) });
      at = next;
    }
    return values;
  },
  encode(b, o, values) {
    let at = o;
    for (const { header, value } of values) {
      R.putWords(b, at, 1, [header], 'oxm_values header');
      R.putHex(b, at + 4, header & 255, value, 'oxm_values value');
      at += 4 + (header & 255);
    }
    return at;
  },
};

const featuresOptions = {
  padded: 'none',
  badType: [ErrorType.BAD_PROPERTY, BadPropertyCode.BAD_TYPE],
  badLen: BAD_PROPERTY_LEN,
} as const;
const { meter: _, ...instructionIds14 } = tableFeatureVariants14.instructions.fields.ids.item.variants;
const instructionIds = {
  ids: list(
    union(
      { ...featuresOptions, name: 'instruction id' },
      { ...instructionIds14, stat_trigger: variant(7, {}) },
    ),
  ),
};
const actionIds = {
  ids: list(
    union(
      { ...featuresOptions, name: 'action id' },
      {
        ...tableFeatureVariants14.write_actions.fields.ids.item.variants,
        copy_field: variant(28, {}),
        meter: variant(29, {}),
      },
    ),
  ),
};

/** ofp_table_features. Spec 7.3.5.18. features: TableFeatureFlag; capabilities: TableConfig. */
export const tableFeatures = struct('table_features', {
  length: selfLength,
  table_id: u8,
  command: opt(u8, 0),
  features: opt(u32, 0),
  name: opt(cstring(32), ''),
  metadata_match: opt(u64, 0n),
  metadata_write: opt(u64, 0n),
  capabilities: opt(u32, 0),
  max_entries: opt(u32, 0),
  properties: optList(
    union(
      { ...featuresOptions, name: 'table feature property', padded: 'outside' },
      {
        ...tableFeatureVariants14,
        instructions: variant(0, instructionIds),
        instructions_miss: variant(1, instructionIds),
        write_actions: variant(4, actionIds),
        write_actions_miss: variant(5, actionIds),
        apply_actions: variant(6, actionIds),
        apply_actions_miss: variant(7, actionIds),
        write_copyfield: variant(18, oxmIds),
        write_copyfield_miss: variant(19, oxmIds),
        apply_copyfield: variant(20, oxmIds),
        apply_copyfield_miss: variant(21, oxmIds),
        /** Of the field packet_type: the header 0x80005804 and the namespace and type as eight digits. */
        packet_types: variant(22, { oxm_values: oxmValues }),
      },
    ),
  ),
});

const { flow_count: _count, ...meterStatsBefore } = meterStats13.fields;
const { meter_id, len, pad1, ...meterCounters } = meterStatsBefore;
/** ofp_meter_stats. Spec 7.3.5.14. ref_count: flow entries and groups that use it. */
export const meterStats = struct('meter_stats', {
  meter_id,
  len,
  pad1,
  ref_count: opt(u32, 0),
  ...meterCounters,
});

/** ofp_time */
const time = struct('time', { seconds: u64, nanoseconds: u32, pad1: pad(4) });

/** ofp_bundle_prop_*. Spec 7.3.9.4. */
export const bundleProperties = properties('bundle', {
  time: variant(1, { pad1: pad(4), sched_time: time }),
  experimenter: experimenterProperty,
});

/** ofp_bundle_features_prop_*. Spec 7.3.5.20. */
export const bundleFeaturesProperties = properties('bundle_features', {
  time_capability: variant(1, {
    pad1: pad(4),
    sched_accuracy: time,
    sched_max_future: time,
    sched_max_past: time,
    timestamp: time,
  }),
  experimenter: experimenterProperty,
});

/** ofp_controller_status. Spec 7.4.7. */
export const controllerStatus = struct('controller_status', {
  length: selfLength,
  short_id: u16,
  role: u32,
  reason: u8,
  channel_status: u8,
  pad1: pad(6),
  properties: properties('controller_status', {
    uri: variant(0, { uri: text }),
    experimenter: experimenterProperty,
  }),
});

/** ofp_async_config_prop_*. Spec 7.3.10. */
export const asyncVariants = {
  ...asyncVariants14,
  flow_stats_slave: variant(12, { mask: u32 }),
  flow_stats_master: variant(13, { mask: u32 }),
  cont_status_slave: variant(14, { mask: u32 }),
  cont_status_master: variant(15, { mask: u32 }),
} as const;

export const groupProperties = properties('group', { experimenter: experimenterProperty });

/** The structures that have matches, actions or instructions in them. */
export const kitStructs = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>({
  match,
  action,
  instruction,
}: Kit<M, A, I>) => {
  /** ofp_flow_desc. Spec 7.3.5.3. */
  const flowDesc = struct('flow_desc', {
    length: selfLength,
    pad1: pad(2),
    table_id: opt(u8, 0),
    pad2: pad(1),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    flags: opt(u16, 0),
    importance: opt(u16, 0),
    cookie: opt(u64, 0n),
    match: optMatch(match),
    stats,
    instructions: optList(instruction),
  });

  /** ofp_flow_stats. Spec 7.3.5.4. */
  const flowStats = struct('flow_stats', {
    length: selfLength,
    pad1: pad(2),
    table_id: opt(u8, 0),
    reason: opt(u8, 0),
    priority: opt(u16, 0),
    match: optMatch(match),
    stats,
  });

  /** ofp_bucket. Spec 7.3.4.3.1. */
  const bucket = struct(
    'bucket',
    {
      len: selfLength,
      action_array_len: lengthOf('actions'),
      bucket_id: opt(u32, GroupBucket.ALL),
      actions: optList(action),
      properties: properties('bucket', {
        weight: variant(0, { weight: u16, pad1: pad(2) }),
        watch_port: variant(1, { watch: u32 }),
        watch_group: variant(2, { watch: u32 }),
        experimenter: experimenterProperty,
      }),
    },
    [ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.BAD_BUCKET],
  );

  /** ofp_group_desc. Spec 7.3.5.12. */
  const groupDesc = struct('group_desc', {
    length: selfLength,
    group_type: u8,
    pad1: pad(1),
    group_id: u32,
    bucket_array_len: lengthOf('buckets'),
    pad2: pad(6),
    buckets: optList(bucket),
    properties: groupProperties,
  });

  return { flowDesc, flowStats, bucket, groupDesc };
};
