/** The two encodings of Nicira's actions that are not plain structures: flow specifications and address ranges. */
import * as R from '../schema/runtime.ts';
import type { CustomNode, OxmId } from '../schema/types.ts';
import { BadActionCode, ErrorType } from '../v13/errors.ts';

/**
 * One flow_mod_spec of a learn action: `n_bits` of a field (`src` from bit `src_ofs`) or of an immediate
 * `value` (hexadecimal digits, a multiple of 16 bits) become a match on, or are loaded into `dst` from bit
 * `dst_ofs`, or are a port to output to.
 */
export interface LearnSpec {
  n_bits: number;
  src?: OxmId;
  src_ofs?: number;
  value?: string;
  dst_type: 'match' | 'load' | 'output';
  dst?: OxmId;
  dst_ofs?: number;
}
const DST_TYPES = ['match', 'load', 'output'] as const;
const NO_END = 'learn: its flow specifications are cut off';

function short(): never {
  return R.fail(ErrorType.BAD_ACTION, BadActionCode.BAD_LEN, NO_END);
}

const u16 = (b: Uint8Array, o: number): number => (b[o] << 8) | b[o + 1];
const u32 = (b: Uint8Array, o: number): number => ((u16(b, o) << 16) | u16(b, o + 2)) >>> 0;

/** A field's header: 4 bytes, 8 with an experimenter. */
function fieldHeader(b: Uint8Array, o: number, end: number): [field: OxmId, next: number] {
  const size = end - o >= 4 && u16(b, o) === 0xffff ? 8 : 4;
  if (end - o < size) short();
  const header = u32(b, o);
  return [size === 8 ? [header, u32(b, o + 4)] : header, o + size];
}

/** A header and the offset of a bit in the field (2 bytes). */
function subfield(b: Uint8Array, o: number, end: number): [field: OxmId, ofs: number, next: number] {
  const [field, at] = fieldHeader(b, o, end);
  if (end - at < 2) short();
  return [field, u16(b, at), at + 2];
}

function putFieldHeader(b: Uint8Array, o: number, field: unknown): number {
  const words = Array.isArray(field) ? field : [field];
  const wide = (words[0] as number) >>> 16 === 0xffff;
  if (words.length !== (wide ? 2 : 1)) {
    R.bad('field', field, 'an OXM header, and [header, experimenter] for one of class 0xffff');
  }
  R.putWords(b, o, words.length, words, 'field');
  return o + 4 * words.length;
}

function putSubfield(b: Uint8Array, o: number, field: unknown, ofs: unknown): number {
  const at = putFieldHeader(b, o, field);
  if (typeof ofs !== 'number' || (ofs & 0xffff) !== ofs) R.bad('learn offset', ofs, 'an integer of 0..65535');
  b[at] = (ofs as number) >>> 8;
  b[at + 1] = ofs as number;
  return at + 2;
}

function decodeSpecs(b: Uint8Array, o: number, end: number): LearnSpec[] {
  const specs: LearnSpec[] = [];
  let at = o;
  while (end - at >= 2 && u16(b, at) !== 0) {
    const header = u16(b, at);
    const n_bits = header & 0x3ff;
    const dst_type = DST_TYPES[(header >>> 11) & 3];
    if (dst_type === undefined || header & 0xc400) {
      R.fail(ErrorType.BAD_ACTION, BadActionCode.BAD_ARGUMENT, `learn: there is no specification ${header}`);
    }
    at += 2;
    const spec: LearnSpec = { n_bits, dst_type };
    if (header & 0x2000) {
      const size = 2 * Math.ceil(n_bits / 16);
      if (end - at < size) short();
      spec.value = R.hex(b, at, size);
      at += size;
    } else {
      [spec.src, spec.src_ofs, at] = subfield(b, at, end);
    }
    if (dst_type !== 'output') [spec.dst, spec.dst_ofs, at] = subfield(b, at, end);
    specs.push(spec);
  }
  // What is left is padding.
  if (end - at > 7) short();
  return specs;
}

function encodeSpecs(b: Uint8Array, o: number, specs: readonly LearnSpec[]): number {
  let at = o;
  for (const { n_bits, src, src_ofs, value, dst_type, dst, dst_ofs } of specs) {
    const kind = DST_TYPES.indexOf(dst_type);
    if (kind < 0) R.unknownType('learn dst_type', dst_type);
    if (!Number.isInteger(n_bits) || n_bits < 0 || n_bits > 0x3ff) R.bad('learn n_bits', n_bits, '0..1023');
    const header = n_bits | (kind << 11) | (value === undefined ? 0 : 0x2000);
    b[at] = header >>> 8;
    b[at + 1] = header;
    at += 2;
    if (value !== undefined) {
      const size = 2 * Math.ceil(n_bits / 16);
      R.putHex(b, at, size, value, 'learn value');
      at += size;
    } else {
      at = putSubfield(b, at, src, src_ofs);
    }
    if (dst_type !== 'output') at = putSubfield(b, at, dst, dst_ofs);
  }
  return at;
}

export const learnSpecs: CustomNode<LearnSpec[], readonly LearnSpec[]> = {
  kind: 'custom',
  describe: 'flow_mod_spec, repeated',
  decode: decodeSpecs,
  encode: encodeSpecs,
};

/** NX_LEARN_F_WRITE_RESULT, a bit of a learn action's `flags`. */
const WRITE_RESULT = 4;

/** What a learn2 action has behind its fields of fixed size. */
export interface Learn2 {
  /** NX_LEARN_F_*: bits; WRITE_RESULT (4) is that of `result`. */
  flags: number;
  table_id: number;
  /** Timeouts after a FIN or RST, seconds. */
  fin_idle_timeout: number;
  fin_hard_timeout: number;
  /** Most entries that are learned; 0: as many as come. */
  limit: number;
  /** The bit that says whether one was. */
  result_ofs: number;
  result?: OxmId;
  specs: LearnSpec[];
}

/** From `flags` on, because they say whether `result` is there. */
export const learn2: CustomNode<Learn2, Partial<Learn2>> = {
  kind: 'custom',
  describe: 'flags u16 and the rest of nx_action_learn2',
  decode(b, o, end) {
    if (end - o < 16) short();
    const flags = u16(b, o);
    const learned: Learn2 = {
      flags,
      table_id: b[o + 2],
      fin_idle_timeout: u16(b, o + 4),
      fin_hard_timeout: u16(b, o + 6),
      limit: u32(b, o + 8),
      result_ofs: u16(b, o + 12),
      specs: [],
    };
    let at = o + 16;
    if (flags & WRITE_RESULT) [learned.result, at] = fieldHeader(b, at, end);
    learned.specs = decodeSpecs(b, at, end);
    return learned;
  },
  encode(b, o, value) {
    R.object(value, 'learn2');
    const { result, specs = [] } = value;
    const numbers = [
      value.flags ?? 0,
      value.fin_idle_timeout ?? 0,
      value.fin_hard_timeout ?? 0,
      value.result_ofs ?? 0,
    ];
    for (const number of numbers) if ((number & 0xffff) !== number) R.bad('learn2', number, '0..65535');
    const table = value.table_id ?? 1;
    if ((table & 255) !== table) R.bad('learn2 table_id', table, '0..255');
    if (((numbers[0] & WRITE_RESULT) !== 0) !== (result !== undefined)) {
      R.bad('learn2 flags', numbers[0], 'with WRITE_RESULT where there is a result, and only there');
    }
    const [flags, finIdle, finHard, ofs] = numbers;
    R.putWords(
      b,
      o,
      4,
      [flags * 0x10000 + table * 0x100, finIdle * 0x10000 + finHard, value.limit ?? 0, ofs * 0x10000],
      'learn2',
    );
    return encodeSpecs(b, result === undefined ? o + 16 : putFieldHeader(b, o + 16, result), specs);
  },
};

/** A field's header in a place that has room for the longest, with zeros behind it. */
export const paddedOxmId = (size: number): CustomNode<OxmId> & { readonly size: number } => ({
  kind: 'custom',
  size,
  describe: `OXM header, padded to ${size} bytes`,
  decode: (b, o) => fieldHeader(b, o, o + size)[0],
  encode(b, o, value) {
    for (let at = o; at < o + size; at++) b[at] = 0;
    putFieldHeader(b, o, value);
    return o + size;
  },
});

/** What a nat action translates to; a part that is not given is not changed. */
export interface NatRange {
  ipv4_min?: string;
  ipv4_max?: string;
  ipv6_min?: string;
  ipv6_max?: string;
  proto_min?: number;
  proto_max?: number;
}
/** In wire order, which is that of the bits of range_present. */
const NAT_PARTS = [
  ['ipv4_min', 4],
  ['ipv4_max', 4],
  ['ipv6_min', 16],
  ['ipv6_max', 16],
  ['proto_min', 2],
  ['proto_max', 2],
] as const;

export const natRange: CustomNode<NatRange> = {
  kind: 'custom',
  describe: 'range_present u16, and what it says is there',
  decode(b, o, end) {
    if (end - o < 2) short();
    const present = u16(b, o);
    if (present > 63) R.fail(ErrorType.BAD_ACTION, BadActionCode.BAD_ARGUMENT, `nat: no range ${present}`);
    const range: Record<string, unknown> = {};
    let at = o + 2;
    for (const [bit, [name, size]] of NAT_PARTS.entries()) {
      if ((present & (1 << bit)) === 0) continue;
      if (end - at < size) short();
      range[name] = size === 4 ? R.ipv4(b, at) : size === 16 ? R.ipv6(b, at) : u16(b, at);
      at += size;
    }
    if (end - at > 7) short();
    return range as NatRange;
  },
  encode(b, o, range) {
    R.object(range, 'nat range');
    let present = 0;
    let at = o + 2;
    for (const [bit, [name, size]] of NAT_PARTS.entries()) {
      const value = range[name];
      if (value === undefined) continue;
      present |= 1 << bit;
      const label = `nat ${name}`;
      if (size === 4) R.putIpv4(b, at, value, label);
      else if (size === 16) R.putIpv6(b, at, value, label);
      else if (typeof value !== 'number' || (value & 0xffff) !== value) R.bad(label, value, '0..65535');
      else {
        b[at] = value >>> 8;
        b[at + 1] = value;
      }
      at += size;
    }
    b[o] = 0;
    b[o + 1] = present;
    return at;
  },
};
