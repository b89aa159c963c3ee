/** OpenFlow matches as masked flow keys, and back. Used by cells and by the agent's dispatcher. */
import { BadMatchCode, ErrorType, type Match, OPPOSITE_FIELD, OpenFlowError } from '../openflow/index.ts';
import {
  FIELD_BY_NAME,
  FIELDS,
  type Field,
  formatIpv4,
  formatIpv6,
  formatMac,
  getField,
  ipv4Number,
  K,
  KEY_WORDS,
  macNumber,
  OFPVID_PRESENT,
  parseIpv4,
  parseIpv6,
  parseMac,
  putField,
  putNumber,
} from '../packet/index.ts';

export interface CompiledMatch {
  value: Uint32Array;
  mask: Uint32Array;
}

export type Plain = number | bigint | string;
type MatchValue = Plain | readonly [Plain, Plain];

/**
 * A match as value and mask over the flow key: a packet matches when `(key & mask) == value` in every word.
 * The field `cell` is left out. Throws OpenFlowError (OFPET_BAD_MATCH) for a field or value the
 * specification does not allow (section 7.2.3).
 */
export function compileMatch(match: Match): CompiledMatch {
  const value = new Uint32Array(KEY_WORDS);
  const mask = new Uint32Array(KEY_WORDS);
  const values = match as Record<string, MatchValue | undefined>;
  for (const name in values) {
    const given = values[name];
    if (given === undefined || name === 'cell') continue;
    const field = FIELD_BY_NAME.get(name);
    if (field === undefined) throw badMatch(BadMatchCode.BAD_FIELD, `no such match field: ${name}`);
    if (field.prerequisites.length > 0 && !prerequisiteHolds(field, values)) {
      throw badMatch(BadMatchCode.BAD_PREREQ, `${name} needs ${describePrerequisite(field)} in the match`);
    }
    const plain = plainNumber(field, given);
    if (plain >= 0) {
      putNumber(field, plain, value);
      putNumber(field, 2 ** field.bits - 1, mask);
      continue;
    }
    const [wanted, bits] = valueAndMask(field, given);
    putField(field, wanted, value);
    putField(field, bits, mask);
  }
  return { value, mask };
}

/** A value without a mask, of at most 48 bits, as most are; else NaN: valueAndMask has the last word. */
function plainNumber({ name, kind, bits }: Field, given: MatchValue): number {
  if (typeof given === 'string') {
    if (kind === 'mac') return macNumber(given);
    return kind === 'ipv4' ? ipv4Number(given) : Number.NaN;
  }
  const fits = typeof given === 'number' && bits <= 48 && given < 2 ** bits && name !== 'vlan_vid';
  return fits && Number.isInteger(given) ? given : Number.NaN;
}

function badMatch(code: number, message: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_MATCH, code, message);
}

function prerequisiteHolds(field: Field, values: Record<string, MatchValue | undefined>): boolean {
  return field.prerequisites.some(({ field: name, value }) => {
    const given = values[name];
    if (given === undefined) return false;
    if (value !== 'present') return (Array.isArray(given) ? given[0] : given) === value;
    if (name !== 'vlan_vid') return true;
    const [vid, bits] = Array.isArray(given) ? given : [given, OFPVID_PRESENT];
    return (Number(vid) & Number(bits) & OFPVID_PRESENT) !== 0;
  });
}

function describePrerequisite(field: Field): string {
  return field.prerequisites
    .map(({ field: name, value }) => (value === 'present' ? name : `${name}=0x${value.toString(16)}`))
    .join(' or ');
}

function valueAndMask(field: Field, given: MatchValue): [bigint, bigint] {
  const all = (1n << BigInt(field.bits)) - 1n;
  const masked = splitMask(field, given);
  const value = fieldValue(field, masked[0]);
  if (masked[1] === undefined) {
    if (field.name === 'vlan_vid' && value !== 0n && (value & BigInt(OFPVID_PRESENT)) === 0n) {
      throw badMatch(BadMatchCode.BAD_VALUE, 'vlan_vid is 0 (no tag) or has OFPVID_PRESENT (0x1000) set');
    }
    return [value, all];
  }
  const mask = plainValue(field, masked[1]);
  if (!field.maskable && mask !== all) throw badMatch(BadMatchCode.BAD_MASK, `${field.name} takes no mask`);
  if ((value & ~mask) !== 0n) {
    throw badMatch(BadMatchCode.BAD_WILDCARDS, `${field.name} has bits set that its mask leaves out`);
  }
  return [value, mask & all];
}

/** A tuple [value, mask], an address with prefix length ('10.0.0.0/8'), or a value alone. */
function splitMask(field: Field, given: MatchValue): [Plain, Plain | undefined] {
  if (typeof given === 'object') return [given[0], given[1]];
  if (typeof given !== 'string' || !given.includes('/')) return [given, undefined];
  const [address, length] = given.split('/');
  const prefix = Number(length);
  if (!/^\d+$/.test(length) || prefix > field.bits) {
    throw badMatch(BadMatchCode.BAD_MASK, `${field.name}: '${given}' has no valid prefix length`);
  }
  const host = (1n << BigInt(field.bits - prefix)) - 1n;
  const mask = ((1n << BigInt(field.bits)) - 1n) ^ host;
  return [plainValue(field, address) & mask, mask];
}

/** One value of a field, as OpenFlow messages give it. Throws OpenFlowError (BAD_VALUE). */
export function fieldValue(field: Field, given: Plain): bigint {
  const value = plainValue(field, given);
  if (value >> BigInt(field.bits) === 0n) return value;
  throw badMatch(BadMatchCode.BAD_VALUE, `${field.name} has ${field.bits} bits`);
}

function plainValue(field: Field, given: Plain): bigint {
  try {
    if (typeof given === 'string') return parseAddress(field, given);
    const value = BigInt(given);
    if (value >= 0n) return value;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw badMatch(BadMatchCode.BAD_VALUE, `${field.name}: '${given}' is not a valid value`);
}

function parseAddress(field: Field, text: string): bigint {
  if (field.kind === 'mac') return parseMac(text);
  if (field.kind === 'ipv4') return BigInt(parseIpv4(text));
  if (field.kind === 'ipv6') return parseIpv6(text);
  throw new RangeError(`${field.name} is a number`);
}

/** Values that name a direction: requests and their replies. */
const REVERSED_VALUES: Record<string, Record<number, number>> = {
  icmpv4_type: { 8: 0, 0: 8, 13: 14, 14: 13 },
  icmpv6_type: { 128: 129, 129: 128, 135: 136, 136: 135 },
  arp_op: { 1: 2, 2: 1 },
};

/** Fields that say nothing of the other direction. */
const ONE_WAY = new Set(['in_port', 'in_phy_port', 'ipv6_flabel', 'ipv6_nd_sll', 'ipv6_nd_tll']);

/**
 * The match of the answering direction: source and destination swapped, request types turned to reply types,
 * fields of one direction only (ports of the device, flow label, neighbour-discovery options) left out.
 */
export function reverseMatch(match: Match): Match {
  const reversed: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(match)) {
    if (ONE_WAY.has(name) || value === undefined) continue;
    const swapped = typeof value === 'number' ? REVERSED_VALUES[name]?.[value] : undefined;
    reversed[OPPOSITE_FIELD.get(name) ?? name] = swapped ?? value;
  }
  return reversed as Match;
}

/** The named fields (bit n: OXM basic field n) together with those that are their prerequisites. */
function withPrerequisites(fields: bigint): Field[] {
  const wanted = new Set<Field>();
  const add = (field: Field): void => {
    if (wanted.has(field)) return;
    wanted.add(field);
    for (const { field: name } of field.prerequisites) add(FIELD_BY_NAME.get(name)!);
  };
  for (const field of FIELDS) if (((fields >> BigInt(field.oxm)) & 1n) !== 0n) add(field);
  return FIELDS.filter((field) => wanted.has(field));
}

function packetHas(field: Field, key: Uint32Array): boolean {
  if (field.prerequisites.length === 0) return true;
  return field.prerequisites.some(({ field: name, value }) => {
    const other = FIELD_BY_NAME.get(name)!;
    if (name === 'in_port') return true;
    if (name === 'vlan_vid') return (key[K.TYPE_VLAN] & OFPVID_PRESENT) !== 0;
    return Number(getField(other, key)) === value && packetHas(other, key);
  });
}

/**
 * The match that names a packet's flow: `in_port`, and of `fields` (bit n: OXM basic field n) those that this
 * packet has, with their prerequisites. A later IP fragment has the ports 0.
 */
export function keyToMatch(key: Uint32Array, fields: bigint): Match {
  const match: Record<string, number | bigint | string> = {};
  for (const field of withPrerequisites(fields | 1n)) {
    if (!packetHas(field, key)) continue;
    const value = getField(field, key);
    // Zero when the device does not use them: says nothing of the flow.
    if (field.kind === 'u64' && value === 0n) continue;
    match[field.name] = formatValue(field, value);
  }
  return match as Match;
}

function formatValue(field: Field, value: bigint): number | bigint | string {
  switch (field.kind) {
    case 'number':
      return Number(value);
    case 'u64':
      return value;
    case 'mac':
      return formatMac(value);
    case 'ipv4':
      return formatIpv4(Number(value));
    case 'ipv6':
      return formatIpv6(value);
  }
}

function maskOf(fields: Field[]): Uint32Array {
  const mask = new Uint32Array(KEY_WORDS);
  for (const field of fields) putField(field, (1n << BigInt(field.bits)) - 1n, mask);
  return mask;
}

/**
 * Which part of the key tells flows apart before there is a rule: `in_port` and the given fields (bit n: OXM basic field n)
 * with their prerequisites. An exact mask for each kind of packet (Ethernet type and protocol), since fields share words.
 */
export class FlowMasks {
  private readonly fields: Field[];
  private readonly masks = new Map<number, Uint32Array>();

  constructor(fields: bigint) {
    this.fields = withPrerequisites(fields | 1n);
  }

  /** The mask over the key for packets like this one. Allocates only at the first packet of its kind. */
  maskFor(key: Uint32Array): Uint32Array {
    const kind = packetKind(key);
    let mask = this.masks.get(kind);
    if (mask === undefined) {
      mask = maskOf(this.fields.filter((field) => packetHas(field, key)));
      this.masks.set(kind, mask);
    }
    return mask;
  }
}

/** Equal for packets that have the same fields. Few values, so that a cache by it stays small. */
function packetKind(key: Uint32Array): number {
  const tagged = (key[K.TYPE_VLAN] >>> 12) & 1;
  switch (key[K.TYPE_VLAN] >>> 16) {
    case 0x0800:
      return ((key[K.PROTO] >>> 24) << 5) | 2 | tagged;
    case 0x86dd: {
      const type = key[K.PROTO] >>> 24 === 58 ? key[K.L4] >>> 16 : 0;
      const neighbour = type === 135 || type === 136 ? type - 134 : 0;
      return (neighbour << 13) | ((key[K.PROTO] >>> 24) << 5) | 4 | tagged;
    }
    case 0x0806:
      return 6 | tagged;
    case 0x8847:
    case 0x8848:
      return 8 | tagged;
    case 0x88e7:
      return 10 | tagged;
    default:
      return tagged;
  }
}
