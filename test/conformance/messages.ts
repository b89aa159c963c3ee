/**
 * OpenFlow messages in os-ken's JSON form ({"OFPFlowMod": {...}}) as messages of our codec. Defaults are those
 * of os-ken's constructors where ours differ.
 */
import {
  type Action,
  decode,
  encode,
  type Instruction,
  type Match,
  type MessageInit,
  type MessageOf,
} from '../../openflow/index.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** What a prerequisite installs. */
export type Mod = MessageOf<'flow_mod'> | MessageOf<'group_mod'> | MessageOf<'meter_mod'>;

export class PatternError extends Error {
  readonly code = 'FC_CONFORMANCE_PATTERN';

  constructor(message: string) {
    super(message);
    this.name = 'PatternError';
  }
}

/** Ports by the names that os-ken's patterns may use: ours are fixed. */
const PORTS: Readonly<Record<string, number>> = {
  target_recv_port: 1,
  target_send_port_1: 2,
  target_send_port_2: 3,
};

const fail = (message: string): never => {
  throw new PatternError(message);
};
const object = (value: Json): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? value
    : fail(`${value} is no object`);
const list = (value: Json): Json[] => (Array.isArray(value) ? value : fail(`${value} is no list`));
const number = (value: Json): number => (typeof value === 'number' ? value : fail(`${value} is no number`));
const big = (value: Json): bigint => BigInt(number(value));
const port = (value: Json): number =>
  typeof value === 'string' ? (PORTS[value] ?? fail(`there is no port '${value}'`)) : number(value);

/** The one entry of {"OFPSomething": {...}}. */
function only(value: Json): [name: string, body: JsonObject] {
  const entries = Object.entries(object(value));
  if (entries.length !== 1) fail(`expected one entry, found ${entries.map(([name]) => name).join(', ')}`);
  return [entries[0][0], object(entries[0][1])];
}

/** How a structure is translated: its type in our codec, and by JSON key what its value becomes under which name. */
interface Structure {
  readonly type?: string;
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly fields: Readonly<Record<string, (value: Json) => unknown>>;
  readonly rename?: Readonly<Record<string, string>>;
}

type Structures = Readonly<Record<string, Structure>>;

function translate(structures: Structures, value: Json): Record<string, unknown> {
  const [name, body] = only(value);
  const structure = structures[name] ?? fail(`there is no translation for ${name}`);
  const result: Record<string, unknown> = { ...structure.defaults };
  if (structure.type !== undefined) result.type = structure.type;
  for (const [key, field] of Object.entries(body)) {
    const convert = structure.fields[key] ?? fail(`there is no translation for ${key} of ${name}`);
    result[structure.rename?.[key] ?? key] = convert(field);
  }
  return result;
}

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

/** OFPCML_MAX, os-ken's default */
const CONTROLLER_MAX_LEN = 0xffe5;

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

const MODS: Structures = {
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

/** A message of a prerequisite, complete with our codec's defaults. Throws PatternError or EncodeError. */
export function mod(value: Json): Mod {
  return decode(encode(translate(MODS, value) as unknown as MessageInit)) as Mod;
}
