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

/** A header (4 or 8 bytes) and the offset of a bit in the field (2 bytes). */
function subfield(b: Uint8Array, o: number, end: number): [field: OxmId, ofs: number, next: number] {
  const size = end - o >= 4 && u16(b, o) === 0xffff ? 8 : 4;
  if (end - o < size + 2) short();
  const header = u32(b, o);
  return [size === 8 ? [header, u32(b, o + 4)] : header, u16(b, o + size), o + size + 2];
}

function putSubfield(b: Uint8Array, o: number, field: unknown, ofs: unknown): number {
  const words = Array.isArray(field) ? field : [field];
  R.putWords(b, o, words.length, words, 'learn field');
  const at = o + 4 * words.length;
  if (typeof ofs !== 'number' || (ofs & 0xffff) !== ofs) R.bad('learn offset', ofs, 'an integer of 0..65535');
  b[at] = (ofs as number) >>> 8;
  b[at + 1] = ofs as number;
  return at + 2;
}

export const learnSpecs: CustomNode<LearnSpec[], readonly LearnSpec[]> = {
  kind: 'custom',
  describe: 'flow_mod_spec, repeated',
  decode(b, o, end) {
    const specs: LearnSpec[] = [];
    let at = o;
    while (end - at >= 2 && u16(b, at) !== 0) {
      const header = u16(b, at);
      const n_bits = header & 0x3ff;
      const dst_type = DST_TYPES[(header >>> 11) & 3];
      if (dst_type === undefined || header & 0xc400) {
        R.fail(
          ErrorType.BAD_ACTION,
          BadActionCode.BAD_ARGUMENT,
          `learn: there is no specification ${header}`,
        );
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
  },
  encode(b, o, specs) {
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
  },
};

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
