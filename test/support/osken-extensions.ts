/**
 * os-ken's JSON of what it reads further than the codec, or has other names for, turned into what the codec gives:
 * Nicira's actions, experimenter errors, and the packet in a packet_out, which it takes apart.
 */
import { oxmHeaderOf } from '../../openflow/schema/match.ts';
import type { OxmFields } from '../../openflow/schema/types.ts';

/** A structure of os-ken's: its fields, and its name as `class`. */
export type Json = Record<string, unknown>;

const absent = (value: unknown) => value === null || value === '';
const isName = (value: unknown): value is string => typeof value === 'string';
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** Names of fields where the codec has headers; '' is none. */
const header = (name: unknown, fields: OxmFields): unknown =>
  isName(name) ? (name === '' ? 0 : oxmHeaderOf(fields[name], false)) : name;

/** [name, offset] is bits of a field, a number is a constant in as many 16-bit words as its bits need. */
function side(which: 'src' | 'dst', spec: Json, fields: OxmFields): Json {
  const value = spec[which];
  if (Array.isArray(value)) return { [which]: header(value[0], fields), [`${which}_ofs`]: value[1] };
  if (absent(value)) return {};
  const digits = 4 * Math.ceil((spec.n_bits as number) / 16);
  return { value: (value as number).toString(16).padStart(digits, '0') };
}

const learnSpec = (spec: Json, fields: OxmFields): Json => ({
  n_bits: spec.n_bits,
  dst_type: String(spec.class).replace('NXFlowSpec', '').toLowerCase(),
  ...side('src', spec, fields),
  ...side('dst', spec, fields),
});

/** Its attributes, in the order of the properties; that which says `pause` has nothing in it. */
const controllerProperties = ({ max_len, controller_id, reason, userdata, pause }: Json): Json[] => [
  { max_len },
  { controller_id },
  { reason },
  { data: userdata },
  ...(pause === true ? [{}] : []),
];

const natRange = (action: Json): Json =>
  Object.fromEntries(
    Object.entries(action)
      .filter(([name, value]) => name.startsWith('range_') && !absent(value))
      .map(([name, value]) => [name.replace('range_', ''), value]),
  );

const ACTIONS: Record<string, (action: Json, fields: OxmFields) => Json> = {
  NXActionNote: ({ note }) => ({ data: note }),
  NXActionResubmitTable: ({ in_port, table_id }) => ({ in_port, table: table_id }),
  NXActionRegLoad: ({ ofs_nbits, dst, value }, fields) => ({ ofs_nbits, dst: header(dst, fields), value }),
  NXActionRegMove: ({ src_field, dst_field, src_ofs, dst_ofs, n_bits }, fields) => ({
    src: header(src_field, fields),
    dst: header(dst_field, fields),
    src_ofs,
    dst_ofs,
    n_bits,
  }),
  NXActionStackPush: ({ start, end, field }, fields) => ({
    offset: start,
    n_bits: end,
    field: header(field, fields),
  }),
  NXActionStackPop: (action, fields) => ACTIONS.NXActionStackPush(action, fields),
  NXActionCT: ({ class: _, ...action }, fields) => ({ ...action, zone_src: header(action.zone_src, fields) }),
  NXActionNAT: ({ flags, ...action }) => ({ flags, range: natRange(action) }),
  NXActionController2: (action) => ({ properties: controllerProperties(action) }),
  NXActionLearn: ({ class: _, ...action }, fields) => ({
    ...action,
    specs: (action.specs as Json[]).map((spec) => learnSpec(spec, fields)),
  }),
};

/** An action of Nicira's as the codec has it, without its length and numbers. */
export function ourAction(action: Json, fields: OxmFields): Json {
  const { len: _, type: _type, subtype: _subtype, experimenter: _id, vendor: _vendor, ...rest } = action;
  return ACTIONS[String(action.class)]?.(rest, fields) ?? rest;
}

/** One that os-ken does not know either, of which it takes the first bytes for a subtype. */
export function unknownAction({ class: _, subtype, data, ...action }: Json): Json {
  const number = Buffer.from([(subtype as number) >> 8, subtype as number]);
  return {
    ...action,
    data: Buffer.concat([number, Buffer.from(data as string, 'base64')]).toString('base64'),
  };
}

/** An experimenter error: the type stands where others have the code, and the id in front of the data. */
export function ourError({ exp_type, experimenter, data, class: _, ...error }: Json): Json {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(experimenter as number);
  const bytes = Buffer.concat([id, Buffer.from(data as string, 'base64')]);
  return { ...error, code: exp_type, data: base64(bytes) };
}

const octets = (address: unknown, separator: string, radix: number) =>
  String(address)
    .split(separator)
    .map((octet) => Number.parseInt(octet, radix));
const words = (...values: unknown[]) =>
  values.flatMap((value) => [(value as number) >> 8, (value as number) & 255]);

/** An echo request in IPv4 in Ethernet, put together again. */
export function packetBytes(packet: Json): Uint8Array {
  const layers = Object.assign({}, ...(packet.protocols as Json[])) as Record<string, Json>;
  const { ethernet, ipv4, icmp } = layers;
  const { echo } = icmp.data as { echo: Json };
  return Uint8Array.from([
    ...octets(ethernet.dst, ':', 16),
    ...octets(ethernet.src, ':', 16),
    ...words(ethernet.ethertype),
    ((ipv4.version as number) << 4) | (ipv4.header_length as number),
    ipv4.tos as number,
    ...words(
      ipv4.total_length,
      ipv4.identification,
      ((ipv4.flags as number) << 13) | (ipv4.offset as number),
    ),
    ipv4.ttl as number,
    ipv4.proto as number,
    ...words(ipv4.csum),
    ...octets(ipv4.src, '.', 10),
    ...octets(ipv4.dst, '.', 10),
    icmp.type as number,
    icmp.code as number,
    ...words(icmp.csum, echo.id, echo.seq),
    ...Buffer.from(echo.data as string, 'base64'),
  ]);
}
