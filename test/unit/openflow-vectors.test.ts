/**
 * Messages recorded by or for other implementations (os-ken, kytos): each decodes, encodes to the same bytes
 * again, and agrees with os-ken's own reading of it. They are not part of this repository; see
 * FLOWCELL_SHARED.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { OpenFlowError } from '../../openflow/index.ts';
import { oxmHeaderOf } from '../../openflow/schema/match.ts';
import type { ChoiceNode, OxmFields, UnionNode } from '../../openflow/schema/types.ts';
import { decodeAny } from '../../openflow/versions.ts';
import { VERSIONS, type Version } from '../support/openflow-versions.ts';
import { type Json, ourAction, ourError, packetBytes, unknownAction } from '../support/osken-extensions.ts';

const vectors = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors');
const have = existsSync(resolve(vectors, 'os-ken/packet_data/of13'));
if (!have) console.warn(`no vectors in ${vectors}: set FLOWCELL_SHARED to the folder that has them`);

const FOLDERS = [
  ['os-ken/packet_data/of10', 'os-ken/expected_json/of10'],
  ['os-ken/packet_data/of12', 'os-ken/expected_json/of12'],
  ['os-ken/packet_data/of13', 'os-ken/expected_json/of13'],
  ['os-ken/packet_data/of14', 'os-ken/expected_json/of14'],
  ['os-ken/packet_data/of15', 'os-ken/expected_json/of15'],
  ['kytos-python-openflow/raw/v0x01', undefined],
  ['kytos-python-openflow/raw/v0x04', undefined],
] as const;

/** Recorded with a fault, and the error that answers it. */
const INVALID: Record<string, RegExp> = {
  // An empty file.
  'libofproto-OFP13-flow_mod.truncated64': /BAD_REQUEST\/BAD_VERSION/,
  // A goto_table that says it has 0x0808 bytes.
  'libofproto-OFP15-flow_desc_reply.packet': /BAD_INSTRUCTION\/BAD_LEN/,
  // 40 bytes with a header that says 32.
  'libofproto-OFP15-meter_features_reply.packet': /BAD_REQUEST\/BAD_LEN/,
  // Cut off, a queue of 8 bytes, and a request for flows without a body.
  'ofpt_flow_stats_reply.dat': /BAD_REQUEST\/BAD_LEN/,
  'ofpt_queue_get_config_reply.dat': /BAD_REQUEST\/BAD_LEN/,
  'ofpt_stats_request.dat': /BAD_REQUEST\/BAD_LEN/,
};

interface Vector {
  readonly name: string;
  readonly path: string;
  readonly json: string | undefined;
}
const recorded: Vector[] = FOLDERS.flatMap(([folder, json]) =>
  (have ? readdirSync(resolve(vectors, folder)) : []).map((name) => {
    const expected = json === undefined ? undefined : resolve(vectors, json, `${name}.json`);
    return { name, path: resolve(vectors, folder, name), json: expected };
  }),
);
const read = (path: string) => new Uint8Array(readFileSync(path));
const valid = recorded.filter(({ name }) => INVALID[name] === undefined);
const invalid = recorded.filter(({ name }) => INVALID[name] !== undefined);
const versionOf = (wire: number) => VERSIONS.find((version) => version.wire === wire) as Version;

test.runIf(have)('there are as many vectors as there were', () => {
  expect(valid.length).toBe(365);
  expect(invalid.length).toBe(6);
});

test.runIf(have).for(valid)('$path decodes and encodes to the same bytes', ({ path }) => {
  const bytes = read(path);
  const { version, message } = decodeAny(bytes);
  const again = versionOf(version).codec.encode(message);
  expect(Buffer.from(again).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
});

test.runIf(have).for(invalid)('$name is refused with a typed error', ({ name, path }) => {
  let error: unknown;
  try {
    decodeAny(read(path));
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(OpenFlowError);
  expect((error as OpenFlowError).message).toMatch(INVALID[name]);
});

// os-ken's JSON ---------------------------------------------------------------------------------------------

/** Lengths, which we compute, and numbers that our `type` names. */
const DERIVED = new Set([
  'type',
  'len',
  'length',
  'property',
  'actions_len',
  'action_array_len',
  'bucket_array_len',
  'class',
  'event',
  'match_len',
]);
/** os-ken's names where ours are those of the specification or differ by purpose. */
const NAMES: Record<string, readonly string[]> = {
  type: ['error_type', 'group_type', 'ctrl_type'],
  bucket_counters: ['bucket_stats'],
  config: ['capabilities'],
  action_ids: ['ids'],
  instruction_ids: ['ids'],
  body: ['flows', 'tables', 'ports', 'queues', 'groups', 'meters', 'monitors', 'updates', 'statuses'],
};

/** {OFPClass: {...}} -> {class, ...}; integers beyond 2^53 as bigint. */
function parse(text: string): Json {
  const reviver = (_key: string, value: unknown, context: { source?: string }) => {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return BigInt(context.source as string);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const [name, ...more] = Object.keys(value);
      if (more.length === 0 && /^(OFP|OXM|OXS|ONF|NX|Packet$)/.test(name))
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
  } else if (path.endsWith('.hw_addr')) {
    expect(actual, at).toBe(String(expected).replaceAll('-', ':'));
  } else if (actual instanceof Uint8Array) {
    expect(Buffer.from(actual).toString('base64'), at).toBe(expected ?? '');
  } else if (typeof actual === 'bigint') {
    expect(actual, at).toBe(BigInt(expected as number));
  } else {
    expect(actual, at).toBe(expected);
  }
}

function agreeStructure(expected: Json, actual: unknown, path: string): void {
  if (expected.class === 'Packet') {
    expect(Buffer.from(actual as Uint8Array).toString('hex'), path).toBe(
      Buffer.from(packetBytes(expected)).toString('hex'),
    );
  } else if (actual instanceof Uint8Array) {
    // A message in a message.
    agreeFields(expected, decodeAny(actual).message as unknown as Json, path);
  } else if (Array.isArray(actual)) {
    // Ports by their number.
    for (const port of actual) agreeFields(expected[port.port_no] as Json, port, `${path}.${port.port_no}`);
    expect(actual, path).toHaveLength(Object.keys(expected).length);
  } else if (expected.class === 'OFPStats') {
    agreeMatch(expected.oxs_fields as Json[], actual as Json, path);
  } else if (expected.class === 'OFPMatch' && expected.oxm_fields === undefined) {
    agreeFixedMatch(expected, actual as Json, path);
  } else if (expected.class === 'OFPMatch') {
    agreeMatch(expected.oxm_fields as Json[], actual as Json, path);
  } else if (expected.class === 'OXMTlv') {
    agreeMatch([expected], actual as Json, path);
  } else if (expected.class === 'OFPOxmId') {
    // But for the length in it, which the recorded ones leave 0.
    const header = oxmHeaderOf(fields[expected.type as string], expected.hasmask === 1);
    expect((actual as number) >>> 8, path).toBe(header >>> 8);
  } else {
    agreeFields(expected, actual as Json, path);
  }
}

/** The match of OpenFlow 1.0: what is wildcarded is zero there, and absent here. */
function agreeFixedMatch(expected: Json, actual: Json, path: string): void {
  for (const [key, value] of Object.entries(expected)) {
    if (key === 'class' || key === 'wildcards') continue;
    const ours = actual[key];
    if (ours === undefined) expect(String(value), `${path}.${key}`).toMatch(/^[0.:]+$/);
    else agree(value, Array.isArray(ours) ? ours[0] : ours, `${path}.${key}`);
  }
}

/** os-ken has experimenter data as a list: of bytes in queue properties, of words in table features. */
function numbers(data: Uint8Array, name: string): number[] {
  if (!/PropExperimenter$/.test(name) || name === 'OFPQueuePropExperimenter') return [...data];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: data.length / 4 }, (_, i) => view.getUint32(4 * i));
}

/** The version of the message that is compared, and its match fields. */
let current: Version;
let fields: OxmFields;
const tags = (list: unknown, type: unknown) =>
  (list as { item: UnionNode }).item.variants[type as string]?.tag;
const declared = (list: unknown, type: unknown) =>
  (list as { item: UnionNode }).item.variants[type as string]?.experimenter;

/** Extensions as we have them; their numbers are compared with those of the declaration that was used. */
function inOurNames(expected: Json, actual: Json, path: string): Json {
  const name = String(expected.class);
  if (name === 'NXActionUnknown') return unknownAction(expected);
  if (/^NXAction/.test(name)) {
    expect(declared(current.messages.packet_out.fields.actions, actual.type), path).toEqual({
      id: expected.experimenter ?? expected.vendor,
      type: expected.subtype,
    });
    return ourAction(expected, fields);
  }
  if (name === 'OFPErrorMsg' && expected.experimenter !== undefined) return ourError(expected);
  if (/^ONF.*StatsRequest$/.test(name)) {
    const { experimenter, exp_type, ...more } = expected;
    const { variants } = current.messages.multipart_request.fields.body as ChoiceNode;
    const { type } = actual.body as Json;
    expect(variants[type as string].experimenter, path).toEqual({ id: experimenter, type: exp_type });
    return more;
  }
  return expected;
}

function agreeFields(read: Json, given: Json, path: string): void {
  const expected = inOurNames(read, given, path);
  const body = given.body as Json | undefined;
  const monitor = (body?.monitors as Json[] | undefined)?.[0];
  const actual: Json = {
    monitor_flags: monitor?.flags,
    ...monitor,
    ...body,
    ...given,
    ...(given.update as Json | undefined),
  };
  const name = String(expected.class);
  if (expected.type !== undefined && /^OFPAction/.test(name)) {
    expect(tags(current.messages.packet_out.fields.actions, actual.type), path).toBe(expected.type);
  } else if (/^OFPInstruction/.test(name)) {
    expect(tags(current.messages.flow_mod.fields.instructions, actual.type), path).toBe(expected.type);
  }
  for (const [key, value] of Object.entries(expected)) {
    // OXM TLVs, which are bytes here.
    if (key === 'oxm_values') continue;
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
  for (const { field, value, mask = null } of expected) {
    const ours = actual[field as string];
    const [ourValue, ourMask] = Array.isArray(ours) ? ours : [ours, null];
    const comparable = ourValue !== null && typeof ourValue === 'object' ? Object.values(ourValue) : ourValue;
    agree(value, comparable, `${path}.${field}`);
    expect(ourMask === null, `${path}.${field} mask`).toBe(mask === null);
    if (mask !== null) agree(mask, ourMask, `${path}.${field} mask`);
  }
}

const explained = valid.filter(({ json }) => json !== undefined && existsSync(json));

test.runIf(have)('all that os-ken has read is compared', () => {
  expect(explained.length).toBe(312);
});

test.runIf(have).for(explained)("$path agrees with os-ken's reading", ({ name, path, json }) => {
  const { version, message } = decodeAny(read(path));
  current = versionOf(version);
  const matchNode = current.messages.flow_mod.fields.match;
  fields = matchNode.kind === 'match' ? matchNode.oxm : {};
  agree(parse(readFileSync(json as string, 'utf8')), message as unknown as Json, name);
});
