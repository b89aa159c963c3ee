/**
 * Other implementations as oracles: what we encode for each message, statistic, property, action, instruction and
 * error of each version is dissected by tshark 4.0 (1.0, 1.3, 1.4, 1.5) and read by Open vSwitch 3.1 (all six)
 * without a complaint. Where they complain wrongly, or about what they do not support, a table says why; every
 * entry of it must be needed.
 */
import { describe, expect, test } from 'vitest';
import { flowcellMessages } from '../../openflow/flowcell-messages.ts';
import { hasCommand } from '../support/environment.ts';
import { askOvs, askTshark } from '../support/openflow-oracles.ts';
import { plausibleSamples, type Sample } from '../support/openflow-plausible.ts';
import { VERSIONS, type Version } from '../support/openflow-versions.ts';

/** A complaint that is not our mistake. */
interface Excuse {
  /** Wire versions. */
  readonly in: readonly number[];
  /** Types from the message inwards: `flow_mod apply_actions output`. */
  readonly label?: RegExp;
  /** Whether a match field or a set_field is in it. */
  readonly oxm?: true;
  readonly says?: RegExp;
  readonly why: string;
}

const ALL = [1, 2, 3, 4, 5, 6];

/** Seen with `tshark -V` on these messages. */
const TSHARK: readonly Excuse[] = [
  {
    in: [1],
    label: /^(packet_out|flow_mod)$/,
    why: 'takes what stands behind an empty list of actions (data, or nothing) for an action',
  },
  {
    in: [5, 6],
    label:
      /^(port_|table_mod|bundle_|get_async_|set_async|multipart_reply (table_desc|port_|queue)).*experimenter/,
    why: 'takes the padding behind an experimenter property for another property, of length 0',
  },
  {
    in: [4, 5, 6],
    label: /^(meter_mod|multipart_reply meter_(config|desc)) experimenter/,
    why: 'reads on behind the data of an experimenter band, where the message ends',
  },
  {
    in: [4, 5, 6],
    label: /^multipart_reply (experimenter|nx_|onf_)/,
    why: 'reads on behind the body of an experimenter, where the message ends',
  },
  {
    in: [5, 6],
    label: /^(port_status|multipart_reply port_(desc|stats)|multipart_reply queue_stats)$/,
    why: 'wants the room of a property where a structure has none',
  },
  {
    in: [5, 6],
    label: /^multipart_reply port_stats optical/,
    why: 'reads on behind the last property, where the message ends',
  },
  {
    in: [5, 6],
    label: /^multipart_reply queue_desc (min|max)_rate/,
    why: 'looks for the property in the wrong place: what it shows as padding is the one that is there',
  },
  {
    in: [6],
    oxm: true,
    why: 'has an exception at the number of any match field, in_port included, right behind its class',
  },
  {
    in: [6],
    label: /^(group_mod|multipart_reply group_desc) /,
    why: 'reads a bucket as 1.4 has it: weight and ports where the length of its actions and its id stand',
  },
  {
    in: [6],
    label: /^(port_status|multipart_reply port_desc) (pipeline|recirculate)/,
    why: 'has an exception at a port with one of the properties that are new in 1.5',
  },
  {
    in: [6],
    label: /^multipart_reply bundle_features/,
    why: 'knows no bundle features, and reads on behind them',
  },
  {
    in: [6],
    label: /^(multipart_reply )?controller_status/,
    why: 'reads on behind the controller’s status, where the message ends',
  },
  {
    in: [6],
    label: /^multipart_reply flow_desc$/,
    why: 'wants one flow at least',
  },
  {
    in: [6],
    label: /^multipart_\w+ table_features/,
    says: /Malformed/,
    why: 'has an exception at the number of any match field, here one without a value',
  },
];

const OVS: readonly Excuse[] = [
  {
    in: ALL,
    label: /experimenter|vendor/,
    says: /BAD_VENDOR|BAD_EXPERIMENTER|BAD_EXP_TYPE|BRC_BAD_TYPE|BAD_LEN|BAD_BAND/,
    why: 'knows no experimenter of this number',
  },
  {
    in: ALL,
    says: /MATCH_INCONSISTENT|BAD_FIELD|BAD_CONJUNCTION|BAD_WATCH/,
    why: 'has read the action, field or bucket, and does not want it with this match, group or action',
  },
  {
    in: ALL,
    label: /write_actions|nx_write_metadata/,
    says: /BAD_TYPE|UNSUP_INST/,
    why: 'takes this action in a list of actions, not in an action set or a packet_out',
  },
  {
    in: ALL,
    label: /copy_ttl|_pbb|nx_|onf_copy_field|stat_trigger/,
    says: /BAC_BAD_TYPE|BAD_VENDOR_TYPE|UNKNOWN_INST/,
    why: 'does not implement it, or not as an extension of a version that has it of its own',
  },
  {
    in: ALL,
    label: /nx_delete_field/,
    says: /BAD_ARGUMENT/,
    why: 'has read the action, and does not take this field',
  },
  {
    in: ALL,
    label: /nx_nat/,
    says: /BAD_SET_ARGUMENT/,
    why: 'takes nat inside of ct only',
  },
  {
    in: ALL,
    label: /^nx_(packet_in2|resume) packet continuation/,
    says: /BPC_BAD_LEN/,
    why: 'the bytes of a continuation are its own',
  },
  {
    in: [4, 5, 6],
    label: /^nx_flow_monitor_/,
    says: /BAD_SUBTYPE/,
    why: 'has Nicira’s flow monitor up to OpenFlow 1.2 only',
  },
  {
    in: [4],
    label: /onf_flow_monitor/,
    says: /BMC_BAD_(TYPE|LEN)/,
    why: 'has a match with a header in it; os-ken, whose recorded one is the only one, has none',
  },
  {
    in: [4, 5, 6],
    label: /^multipart_reply table_(features|desc)$/,
    says: /BAD_LEN/,
    why: 'wants one table at least',
  },
  {
    in: [5, 6],
    label: /^get_async_request /,
    says: /BAD_LEN/,
    why: 'takes a request for all properties only',
  },
  {
    in: [6],
    label: /^set_async (flow_stats|cont_status)/,
    says: /UNSUPPORTED/,
    why: 'does not implement these reasons of 1.5',
  },
  {
    in: [6],
    label: /^(multipart_\w+ )?(bundle_features|controller_status|flow_stats)/,
    says: /BAD_STAT|BRC_BAD_TYPE/,
    why: 'does not implement it',
  },
  {
    in: [6],
    label: /^multipart_reply meter_features/,
    says: /BAD_LEN/,
    why: 'has the structure of 1.4, without `features`',
  },
];

/** What neither of them knows, or knows as it is. */
const UNJUDGED: readonly { readonly in: readonly number[]; readonly types: RegExp; readonly why: string }[] =
  [
    { in: ALL, types: /^(experimenter|vendor)/, why: 'bytes that only the experimenter knows' },
    { in: ALL, types: /^continuation$/, why: 'bytes that only the Open vSwitch which sent them knows' },
    { in: [2, 3], types: /^copy_ttl_/, why: 'the actions of 1.3, which tshark has judged there' },
    { in: [4], types: /^(added|deleted|modified)$/, why: 'of onf_flow_monitor; see OVS' },
    {
      in: [6],
      types: /^(pop_pbb|copy_ttl_out|stat_trigger|flow_stats|uri)$/,
      why: 'only tshark has it, which fails before it',
    },
  ];

const isExcused = (excuses: readonly Excuse[], wire: number, sample: Sample, complaint: string) =>
  excuses.filter(
    (excuse) =>
      excuse.in.includes(wire) &&
      (excuse.label === undefined || excuse.label.test(sample.label)) &&
      (excuse.oxm === undefined || holdsField(sample.message)) &&
      (excuse.says === undefined || excuse.says.test(complaint)),
  );

/** Whether there is a match with fields, or the field of a set_field. */
function holdsField(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return Object.entries(value).some(
    ([key, one]) =>
      (/^(match|field)$/.test(key) && typeof one === 'object' && Object.keys(one).length > 0) ||
      holdsField(one),
  );
}

const own = new Set(Object.keys(flowcellMessages));
const samplesOf = (version: Version) =>
  plausibleSamples(version).filter(({ message }) => version.wire !== 4 || !own.has(String(message.type)));
const used = new Set<Excuse>();

/** What is neither accepted nor excused. */
function unexplained(
  excuses: readonly Excuse[],
  wire: number,
  samples: readonly Sample[],
  complaints: readonly string[],
): string[] {
  return samples.flatMap((sample, at) => {
    if (complaints[at] === '') return [];
    const found = isExcused(excuses, wire, sample, complaints[at]);
    for (const excuse of found) used.add(excuse);
    const hex = Buffer.from(sample.bytes).toString('hex').slice(0, 300);
    return found.length > 0 ? [] : [`${sample.label}: ${complaints[at]} ${hex}`];
  });
}

const DISSECTED = [1, 4, 5, 6];
const possible = hasCommand('tshark') && hasCommand('ovs-ofctl');
describe.skipIf(!possible)('other implementations read what we encode', () => {
  const samples = new Map(VERSIONS.map((version) => [version.wire, samplesOf(version)]));
  const accepted = new Map<number, Set<string>>(VERSIONS.map(({ wire }) => [wire, new Set()]));
  /** tshark takes what is Nicira's for bytes, and whatever version it is in it is the same. */
  const acceptedByOvs = new Set<string>();
  const note = (wire: number, complaints: readonly string[]) => {
    for (const [at, { label }] of (samples.get(wire) as Sample[]).entries()) {
      if (complaints[at] === '') for (const type of label.split(' ')) accepted.get(wire)?.add(type);
    }
  };

  test.each(VERSIONS.filter(({ wire }) => DISSECTED.includes(wire)))('tshark, OpenFlow $name', ({ wire }) => {
    const all = samples.get(wire) as Sample[];
    const complaints = askTshark(
      wire,
      all.map(({ bytes }) => bytes),
    );
    note(wire, complaints);
    expect(unexplained(TSHARK, wire, all, complaints)).toEqual([]);
  });

  test.each(VERSIONS)('Open vSwitch, OpenFlow $name', ({ wire }) => {
    const all = samples.get(wire) as Sample[];
    const complaints = askOvs(all.map(({ bytes }) => bytes)).map(({ error }) => error);
    note(wire, complaints);
    for (const [at, { label }] of all.entries()) {
      if (complaints[at] === '') for (const type of label.split(' ')) acceptedByOvs.add(type);
    }
    expect(unexplained(OVS, wire, all, complaints)).toEqual([]);
  });

  test.each(VERSIONS)('OpenFlow $name: one of them has accepted each type', ({ wire }) => {
    const declared = new Set((samples.get(wire) as Sample[]).flatMap(({ label }) => label.split(' ')));
    const missing = [...declared].filter((type) =>
      type.startsWith('nx_') ? !acceptedByOvs.has(type) : !accepted.get(wire)?.has(type),
    );
    const unknown = UNJUDGED.filter((one) => one.in.includes(wire));
    expect(missing.filter((type) => !unknown.some(({ types }) => types.test(type)))).toEqual([]);
  });

  test('every excuse is needed', () => {
    expect([...TSHARK, ...OVS].filter((excuse) => !used.has(excuse)).map(({ why }) => why)).toEqual([]);
  });
});
