/** os-ken's messages of OpenFlow 1.3 and 1.4. Defaults are those of os-ken's constructors where ours differ. */
import type { Action, Instruction, Match } from '../../openflow/index.ts';
import { big, fail, type Json, list, number, object, port, type Structures, translate } from './json.ts';

/** Match fields of 64 bits are bigints with us; all others are as they are in JSON. */
const WIDE_FIELDS = new Set(['metadata', 'tunnel_id']);

/** One {"OXMTlv": {field, value, mask}} as an entry of a Match. */
function oxm(value: Json): [name: string, value: unknown] {
  const { field, value: given, mask, ...rest } = object(object(value).OXMTlv ?? null);
  if (typeof field !== 'string' || Object.keys(rest).length > 0) fail(`cannot read ${JSON.stringify(value)}`);
  const name = field as string;
  const convert = (one: Json) =>
    WIDE_FIELDS.has(name) ? big(one) : name === 'in_port' ? port(one) : (one as number | string);
  return [name, mask === undefined || mask === null ? convert(given) : [convert(given), convert(mask)]];
}

/** {"oxm_fields": [...]}, with or without {"OFPMatch": ...} around it. */
export function match(value: Json): Match {
  const body = object(value);
  const fields = list((body.OFPMatch === undefined ? body : object(body.OFPMatch)).oxm_fields ?? []);
  return Object.fromEntries(fields.map(oxm)) as Match;
}

/** OFPCML_MAX, os-ken's default in all versions */
export const CONTROLLER_MAX_LEN = 0xffe5;

const ethertype = { ethertype: number };
const ACTIONS: Structures = {
  OFPActionOutput: {
    type: 'output',
    defaults: { max_len: CONTROLLER_MAX_LEN },
    fields: { port, max_len: number },
  },
  OFPActionCopyTtlOut: { type: 'copy_ttl_out', fields: {} },
  OFPActionCopyTtlIn: { type: 'copy_ttl_in', fields: {} },
  OFPActionSetMplsTtl: { type: 'set_mpls_ttl', fields: { mpls_ttl: number } },
  OFPActionDecMplsTtl: { type: 'dec_mpls_ttl', fields: {} },
  OFPActionPushVlan: { type: 'push_vlan', defaults: { ethertype: 0x8100 }, fields: ethertype },
  OFPActionPopVlan: { type: 'pop_vlan', fields: {} },
  OFPActionPushMpls: { type: 'push_mpls', defaults: { ethertype: 0x8847 }, fields: ethertype },
  OFPActionPopMpls: { type: 'pop_mpls', defaults: { ethertype: 0x0800 }, fields: ethertype },
  OFPActionSetQueue: { type: 'set_queue', fields: { queue_id: number } },
  OFPActionGroup: { type: 'group', defaults: { group_id: 0 }, fields: { group_id: number } },
  OFPActionSetNwTtl: { type: 'set_nw_ttl', fields: { nw_ttl: number } },
  OFPActionDecNwTtl: { type: 'dec_nw_ttl', fields: {} },
  OFPActionSetField: { type: 'set_field', fields: { field: (value) => Object.fromEntries([oxm(value)]) } },
  OFPActionPushPbb: { type: 'push_pbb', fields: ethertype },
  OFPActionPopPbb: { type: 'pop_pbb', fields: {} },
};

const actions = (value: Json): Action[] =>
  list(value).map((one) => translate(ACTIONS, one)) as unknown as Action[];

/** ofp_instruction_type of the three that have actions. */
const ACTION_INSTRUCTIONS: Readonly<Record<number, string>> = {
  3: 'write_actions',
  4: 'apply_actions',
  5: 'clear_actions',
};

const INSTRUCTIONS: Structures = {
  OFPInstructionGotoTable: { type: 'goto_table', fields: { table_id: number } },
  OFPInstructionWriteMetadata: {
    type: 'write_metadata',
    fields: { metadata: big, metadata_mask: big },
  },
  OFPInstructionActions: {
    fields: {
      actions,
      type: (value) => ACTION_INSTRUCTIONS[number(value)] ?? fail(`no instruction ${value}`),
    },
  },
  OFPInstructionMeter: { type: 'meter', defaults: { meter_id: 1 }, fields: { meter_id: number } },
};

const BUCKETS: Structures = {
  OFPBucket: {
    defaults: { weight: 0 },
    fields: { weight: number, watch_port: port, watch_group: number, actions },
  },
};

const BANDS: Structures = {
  OFPMeterBandDrop: { type: 'drop', fields: { rate: number, burst_size: number } },
  OFPMeterBandDscpRemark: {
    type: 'dscp_remark',
    fields: { rate: number, burst_size: number, prec_level: number },
  },
};

const each = (structures: Structures) => (value: Json) =>
  list(value).map((one) => translate(structures, one));

/** OFPMF_KBPS, os-ken's default */
const KBPS = 1;

export const MODS: Structures = {
  OFPFlowMod: {
    type: 'flow_mod',
    fields: {
      ...{ cookie: big, cookie_mask: big, table_id: number, command: number, idle_timeout: number },
      ...{ hard_timeout: number, priority: number, out_port: port, out_group: number, flags: number },
      match,
      instructions: (value) => each(INSTRUCTIONS)(value) as unknown as Instruction[],
    },
  },
  OFPGroupMod: {
    type: 'group_mod',
    defaults: { command: 0, group_id: 0 },
    fields: { command: number, type: number, group_id: number, buckets: each(BUCKETS) },
    rename: { type: 'group_type' },
  },
  OFPMeterMod: {
    type: 'meter_mod',
    defaults: { command: 0, flags: KBPS, meter_id: 1 },
    fields: { command: number, flags: number, meter_id: number, bands: each(BANDS) },
  },
};
