/**
 * Messages recorded by or for other implementations (os-ken, kytos): each decodes, encodes to the same bytes
 * again, and agrees with os-ken's own reading of it. They are not part of this repository; see
 * FLOWCELL_SHARED.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { decode, encode, OpenFlowError, oxmHeader } from '../../openflow/index.ts';
import { action, instruction, type oxmFields } from '../../openflow/v13/actions.ts';

const vectors = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors');
const osKen = resolve(vectors, 'os-ken/packet_data/of13');
const osKenJson = resolve(vectors, 'os-ken/expected_json/of13');
const kytos = resolve(vectors, 'kytos-python-openflow/raw/v0x04');
const have = existsSync(osKen) && existsSync(kytos);
if (!have) console.warn(`no vectors in ${vectors}: set FLOWCELL_SHARED to the folder that has them`);

/** Messages with match fields of Nicira and of the ONF extensions, which are not declared yet. */
const UNDECLARED = new Set([
  '4-12-ofp_flow_stats_reply.packet',
  '4-2-ofp_flow_mod.packet',
  '4-59-ofp_packet_in.packet',
  '4-60-ofp_flow_mod.packet',
  'libofproto-OFP13-flow_mod.packet',
  'libofproto-OFP13-flow_mod_conjunction.packet',
  'libofproto-OFP13-flow_mod_match_conj.packet',
  'libofproto-OFP13-flow_removed.packet',
  'libofproto-OFP13-packet_in.packet',
  'ovs-ofctl-of13-action_conjunction.packet',
  'ovs-ofctl-of13-action_ct.packet',
  'ovs-ofctl-of13-action_ct_clear.packet',
  'ovs-ofctl-of13-action_ct_exec.packet',
  'ovs-ofctl-of13-action_learn.packet',
  'ovs-ofctl-of13-action_resubmit.packet',
  'ovs-ofctl-of13-match_conj.packet',
  'ovs-ofctl-of13-match_load_nx_register.packet',
  'ovs-ofctl-of13-match_move_nx_register.packet',
  'ovs-ofctl-of13-match_pkt_mark.packet',
  'ovs-ofctl-of13-match_pkt_mark_masked.packet',
]);

const files = (dir: string) =>
  have ? readdirSync(dir).map((name) => ({ name, path: resolve(dir, name) })) : [];
const read = (path: string) => new Uint8Array(readFileSync(path));
const recorded = [...files(osKen), ...files(kytos)].filter((file) => read(file.path).length > 0);
const declared = recorded.filter((file) => !UNDECLARED.has(file.name));

test.runIf(have)('there are as many vectors as there were', () => {
  expect(declared.length).toBeGreaterThanOrEqual(106);
});

test.runIf(have).for(declared)('$name decodes and encodes to the same bytes', ({ path }) => {
  const bytes = read(path);
  expect(Buffer.from(encode(decode(bytes))).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
});

test.runIf(have).for(recorded.filter((file) => UNDECLARED.has(file.name)))(
  '$name has a field that is not declared: a typed error',
  ({ path }) => {
    let error: unknown;
    try {
      decode(read(path));
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(OpenFlowError);
    expect((error as OpenFlowError).code).toMatch(/^FC_OF_(BAD_MATCH_BAD_FIELD|BAD_ACTION_BAD_SET_TYPE)$/);
  },
);

// os-ken's JSON ---------------------------------------------------------------------------------------------

type Json = Record<string, unknown>;

/** Lengths, which we compute, and numbers that our `type` names. */
const DERIVED = new Set(['type', 'len', 'length', 'property', 'actions_len', 'class']);
/** os-ken's names where ours are those of the specification or differ by purpose. */
const NAMES: Record<string, readonly string[]> = {
  type: ['error_type', 'group_type'],
  action_ids: ['ids'],
  instruction_ids: ['ids'],
  body: ['flows', 'tables', 'ports', 'queues', 'groups', 'meters'],
};

/** {OFPClass: {...}} -> {class, ...}; integers beyond 2^53 as bigint. */
function parse(text: string): Json {
  const reviver = (_key: string, value: unknown, context: { source?: string }) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return BigInt(context.source as string);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const [name, ...more] = Object.keys(value);
      if (more.length === 0 && /^(OFP|OXM|ONF|NX)/.test(name))
        return { class: name, ...((value as Json)[name] as Json) };
    }
    return value;
  };
  return JSON.parse(text, reviver as never) as Json;
}

function agree(expected: unknown, actual: unknown, path: string): void {
  const at = `at ${path}`;
  if (Array.isArray(expected)) {
    // os-ken has a list of one meter_features.
    const list = expected.length === 1 && !Array.isArray(actual) ? [actual] : (actual as unknown[]);
    expect(list, at).toHaveLength(expected.length);
    for (const [i, one] of expected.entries()) agree(one, list[i], `${path}[${i}]`);
  } else if (typeof expected === 'object' && expected !== null) {
    agreeStructure(expected as Json, actual, path);
  } else if (actual instanceof Uint8Array) {
    expect(Buffer.from(actual).toString('base64'), at).toBe(expected);
  } else if (typeof actual === 'bigint') {
    expect(actual, at).toBe(BigInt(expected as number));
  } else {
    expect(actual, at).toBe(expected);
  }
}

function agreeStructure(expected: Json, actual: unknown, path: string): void {
  if (expected.class === 'OFPMatch') {
    agreeMatch(expected.oxm_fields as Json[], actual as Json, path);
  } else if (expected.class === 'OXMTlv') {
    agreeMatch([expected], actual as Json, path);
  } else if (expected.class === 'OFPOxmId') {
    // But for the length in it, which the recorded ones leave 0.
    const header = oxmHeader(expected.type as keyof typeof oxmFields, expected.hasmask === 1);
    expect((actual as number) >>> 8, path).toBe(header >>> 8);
  } else {
    agreeFields(expected, actual as Json, path);
  }
}

/** os-ken has experimenter data as a list: of bytes in queue properties, of words in table features. */
function numbers(data: Uint8Array, name: string): number[] {
  if (name !== 'OFPTableFeaturePropExperimenter') return [...data];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: data.length / 4 }, (_, i) => view.getUint32(4 * i));
}

function agreeFields(expected: Json, given: Json, path: string): void {
  const actual = typeof given.body === 'object' ? { ...given, ...(given.body as Json) } : given;
  const name = String(expected.class);
  if (/^OFPAction/.test(name)) {
    expect(action.variants[actual.type as 'output'].tag, path).toBe(expected.type);
  } else if (/^OFPInstruction/.test(name)) {
    expect(instruction.variants[actual.type as 'meter'].tag, path).toBe(expected.type);
  }
  for (const [key, value] of Object.entries(expected)) {
    const ours = [...(NAMES[key] ?? []), key].find(
      (candidate) => candidate in actual && candidate !== 'type',
    );
    if (ours === undefined && DERIVED.has(key)) continue;
    expect(ours, `${path}.${key} in ${Object.keys(actual)}`).toBeDefined();
    // The body of a reply with one structure is that structure here.
    const part = ours === 'body' ? actual : actual[ours as string];
    agree(
      value,
      Array.isArray(value) && part instanceof Uint8Array ? numbers(part, name) : part,
      `${path}.${key}`,
    );
  }
}

function agreeMatch(expected: Json[], actual: Json, path: string): void {
  expect(Object.keys(actual), path).toEqual(expected.map((one) => one.field));
  for (const { field, value, mask } of expected) {
    const ours = actual[field as string];
    const [ourValue, ourMask] = Array.isArray(ours) ? ours : [ours, null];
    agree(value, ourValue, `${path}.${field}`);
    expect(ourMask === null, `${path}.${field} mask`).toBe(mask === null);
    if (mask !== null) agree(mask, ourMask, `${path}.${field} mask`);
  }
}

/** os-ken reads these further (experimenters, a parsed packet); here they are bytes. */
const READ_FURTHER = /^(4-41-|4-61-|4-62-|4-63-|ovs-ofctl-|libofproto-OFP13-ofp_packet_out_packet_library)/;
const explained = declared.filter(
  ({ name }) => !READ_FURTHER.test(name) && existsSync(resolve(osKenJson, `${name}.json`)),
);

test.runIf(have).for(explained)("$name agrees with os-ken's reading", ({ name, path }) => {
  agree(
    parse(readFileSync(resolve(osKenJson, `${name}.json`), 'utf8')),
    decode(read(path)) as unknown as Json,
    name,
  );
});
