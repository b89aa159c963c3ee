/**
 * Match fields (OXM, spec 7.2.3): the compiled decoder switches on the field number of the class
 * OPENFLOW_BASIC, the encoder on the field's name; fields of other classes and masked values go the general
 * way through the table.
 */
import { BadActionCode, BadMatchCode, ErrorType } from '../v13/errors.ts';
import type { PartEncoder } from './encode.ts';
import * as R from './runtime.ts';
import { fixedSize, readUInt, Source, writeUInt } from './source.ts';
import {
  OXM_CLASS_BASIC,
  OXM_CLASS_EXPERIMENTER,
  type OxmField,
  type OxmFields,
  type OxmNode,
  type OxmValueNode,
} from './types.ts';

type Match = Record<string, unknown>;
interface Entry {
  readonly name: string;
  readonly field: OxmField;
}

/** What a damaged match field is answered with; in a set_field action it is an error of the action. */
const Fault = {
  FIELD: [BadMatchCode.BAD_FIELD, BadActionCode.BAD_SET_TYPE],
  LEN: [BadMatchCode.BAD_LEN, BadActionCode.BAD_SET_LEN],
  VALUE: [BadMatchCode.BAD_VALUE, BadActionCode.BAD_SET_ARGUMENT],
  MASK: [BadMatchCode.BAD_MASK, BadActionCode.BAD_SET_TYPE],
  WILDCARDS: [BadMatchCode.BAD_WILDCARDS, BadActionCode.BAD_SET_TYPE],
  DUPLICATE: [BadMatchCode.DUP_FIELD, BadActionCode.BAD_SET_TYPE],
} as const;

function fault(which: keyof typeof Fault, set: Purpose, text: string): never {
  const [inMatch, inAction] = Fault[which];
  if (set) R.fail(ErrorType.BAD_ACTION, inAction, `set_field: ${text}`);
  return R.fail(ErrorType.BAD_MATCH, inMatch, `match: ${text}`);
}

/** Bytes of a field's value; NaN for one of any length (tun_metadata). */
export const oxmSize = (field: OxmField): number => fixedSize(field.type) ?? Number.NaN;

/** The 32-bit OXM header of a field, whose value has `size` bytes. */
export function oxmHeaderOf(field: OxmField, hasmask: boolean, size = oxmSize(field)): number {
  const length = size * (hasmask ? 2 : 1) + (field.experimenter === undefined ? 0 : 4);
  return ((field.oxmClass << 16) | (field.field << 9) | (hasmask ? 256 : 0) | length) >>> 0;
}

// Decoding --------------------------------------------------------------------------------------------------

export function getValue(type: OxmValueNode, b: Uint8Array, o: number, end = o): unknown {
  switch (type.kind) {
    case 'uint': {
      let value = 0;
      for (let i = 0; i < type.size; i++) value = value * 256 + b[o + i];
      return value;
    }
    case 'u64':
      return R.u64(b, o);
    case 'mac':
      return R.mac(b, o);
    case 'ipv4':
      return R.ipv4(b, o);
    case 'ipv6':
      return R.ipv6(b, o);
    case 'custom':
      return type.decode(b, o, end);
  }
}

function getMasked(
  entry: Entry,
  b: Uint8Array,
  o: number,
  set: Purpose,
  size = oxmSize(entry.field),
): [unknown, unknown] {
  for (let i = 0; i < size; i++) {
    if (b[o + i] & ~b[o + size + i]) fault('WILDCARDS', set, `${entry.name} has bits outside its mask`);
  }
  const { type } = entry.field;
  return [getValue(type, b, o, o + size), getValue(type, b, o + size, o + 2 * size)];
}

/** What is decoded: an ofp_match, the field of a set_field action, or that with a mask allowed (OpenFlow 1.5). */
export type Purpose = 0 | 1 | 2;

/** Throws what is wrong with the length or mask bit of a known field. */
function misfit(entry: Entry, header: number, set: Purpose): never {
  const masked = (header & 256) !== 0;
  if (masked && (set === 1 || !entry.field.maskable))
    fault('MASK', set, `${entry.name} cannot have a mask here`);
  const expected = oxmHeaderOf(entry.field, masked) & 255;
  return fault('LEN', set, `${entry.name} of ${header & 255} bytes, not ${expected}`);
}

/** Reads a field that is not of the class OPENFLOW_BASIC into `out`. */
function foreign(
  fields: ReadonlyMap<number, Entry>,
  out: Match,
  b: Uint8Array,
  o: number,
  header: number,
  set: Purpose,
): void {
  const oxmClass = header >>> 16;
  const length = header & 255;
  const experimenter =
    oxmClass === OXM_CLASS_EXPERIMENTER && length >= 4
      ? ((b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3]) >>> 0
      : 0;
  const entry = fields.get(fieldKey(oxmClass, (header >>> 9) & 127, experimenter));
  if (entry === undefined) fault('FIELD', set, `no field of header 0x${(header >>> 0).toString(16)}`);
  const { name, field } = entry;
  if (set && !field.settable) fault('FIELD', set, `${name} cannot be set`);
  if (out[name] !== undefined) fault('DUPLICATE', set, `${name} occurs twice`);
  const at = field.experimenter === undefined ? o : o + 4;
  let size = oxmSize(field);
  // One of any length.
  if (Number.isNaN(size)) size = header & 256 ? length >> 1 : length;
  if (header >>> 0 === oxmHeaderOf(field, false, size)) {
    out[name] = getValue(field.type, b, at, at + size);
  } else if (set !== 1 && field.maskable && header >>> 0 === oxmHeaderOf(field, true, size)) {
    out[name] = getMasked(entry, b, at, set, size);
  } else {
    misfit(entry, header, set);
  }
}

/** One number for class, field and experimenter id. */
const fieldKey = (oxmClass: number, field: number, experimenter: number): number =>
  oxmClass === OXM_CLASS_EXPERIMENTER ? 2 ** 40 + experimenter * 128 + field : oxmClass * 128 + field;

/** Decodes the OXM TLVs in b[o .. end). */
export type MatchDecoder = (b: Uint8Array, o: number, end: number, set: Purpose) => Match;

export function compileMatchDecoder(fields: OxmFields): MatchDecoder {
  const source = new Source();
  const others = new Map<number, Entry>();
  let cases = '';
  let bit = 0;
  let words = 0;
  for (const name in fields) {
    const field = fields[name];
    const entry: Entry = { name, field };
    if (field.oxmClass !== OXM_CLASS_BASIC) {
      others.set(fieldKey(field.oxmClass, field.field, field.experimenter ?? 0), entry);
      continue;
    }
    const size = oxmSize(field);
    const seen = `s${bit >> 5}`;
    words = (bit >> 5) + 1;
    const mask = `${1 << (bit & 31)}`;
    bit++;
    const raise = (which: keyof typeof Fault, text: string) =>
      `${source.ref(fault)}("${which}",set,"${name} ${text}");`;
    cases += `case ${field.field}:`;
    if (!field.settable) cases += `if(set)${raise('FIELD', 'cannot be set')}`;
    cases += `if(${seen}&${mask})${raise('DUPLICATE', 'occurs twice')}${seen}|=${mask};`;
    cases += `if((h&511)===${size})m.${name}=${readValue(source, field.type, 'o')};`;
    if (field.maskable) {
      const masked = `m.${name}=${source.ref(getMasked)}(${source.ref(entry)},b,o,set)`;
      cases += `else if((h&511)===${256 + 2 * size}&&set!==1)${masked};`;
    }
    cases += `else ${source.ref(misfit)}(${source.ref(entry)},h,set);`;
    if (field.type.kind === 'uint' && field.bits < size * 8) {
      const value = field.maskable ? `${readUInt(size, 'o')}` : `m.${name}`;
      cases += `if((${value})>${2 ** field.bits - 1})${raise('VALUE', `does not fit ${field.bits} bits`)}`;
    }
    cases += 'break;';
  }
  const seen = Array.from({ length: words }, (_, word) => `,s${word}=0`).join('');
  const rest = `${source.ref(foreign)}(${source.ref(others)},m,b,o,h,set)`;
  const long = `${source.ref(fault)}("LEN",set,"a field reaches beyond the end")`;
  const unknown = `${source.ref(fault)}("FIELD",set,"there is no field "+(h>>>9&127))`;
  return source.build(
    'b,o,end,set',
    `let m={}${seen};while(o<end){if(end-o<4)${long};` +
      `const h=${readUInt(4, 'o').replace('>>>0', '')},next=o+4+b[o+3];if(next>end)${long};o+=4;` +
      `if(h>>>16===${OXM_CLASS_BASIC})switch(h>>>9&127){${cases}default:${unknown}}else ${rest};` +
      'o=next}return m',
  ) as MatchDecoder;
}

const READERS = { u64: R.u64, mac: R.mac, ipv4: R.ipv4, ipv6: R.ipv6 };

function readValue(source: Source, type: OxmValueNode, at: string): string {
  if (type.kind === 'uint') return readUInt(type.size, at);
  const reader = type.kind === 'custom' ? type.decode : READERS[type.kind];
  return `${source.ref(reader)}(b,${at})`;
}

/**
 * Checks type and length of the ofp_match (`wanted` 1) or ofp_stats at `o`; returns the end of its fields. Its
 * padding is within `end`, too.
 */
export function matchEnd(b: Uint8Array, o: number, end: number, wanted = 1): number {
  if (end - o < 4) R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_LEN, 'match: cut off');
  const type = (b[o] << 8) | b[o + 1];
  const length = (b[o + 2] << 8) | b[o + 3];
  if (type !== wanted) R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_TYPE, `match: its type is ${type}`);
  if (length < 4 || ((length + 7) & -8) > end - o) {
    R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_LEN, `match: length ${length} with ${end - o} bytes left`);
  }
  return o + length;
}

/** Checks that b[o .. end) is one OXM TLV and at most `padding` bytes behind it; returns the end of the TLV. */
export function oxmEnd(
  b: Uint8Array,
  o: number,
  end: number,
  errorType: number,
  errorCode: number,
  padding: number,
): number {
  if (end - o < 4) R.short(errorType, errorCode, 'set_field', end - o);
  const stop = o + 4 + b[o + 3];
  if (stop > end || end - stop > padding) {
    fault('LEN', 1, `a field of ${b[o + 3]} bytes does not fill an action with ${end - o} bytes for it`);
  }
  return stop;
}

// Encoding --------------------------------------------------------------------------------------------------

export function putValue(type: OxmValueNode, b: Uint8Array, o: number, value: unknown, label: string): void {
  switch (type.kind) {
    case 'uint': {
      const most = 2 ** (8 * type.size) - 1;
      if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > most) {
        R.bad(label, value, `an integer of 0..${most}`);
      }
      for (let i = 0; i < type.size; i++) b[o + i] = (value as number) >>> (8 * (type.size - 1 - i));
      break;
    }
    case 'u64':
      R.putU64(b, o, value, label);
      break;
    case 'mac':
      R.putMac(b, o, value, label);
      break;
    case 'ipv4':
      R.putIpv4(b, o, value, label);
      break;
    case 'ipv6':
      R.putIpv6(b, o, value, label);
      break;
    case 'custom':
      type.encode(b, o, value);
  }
}

function putHeader(field: OxmField, hasmask: boolean, b: Uint8Array, o: number, size: number): number {
  const header = oxmHeaderOf(field, hasmask, size);
  b[o] = header >>> 24;
  b[o + 1] = header >>> 16;
  b[o + 2] = header >>> 8;
  b[o + 3] = header;
  if (field.experimenter === undefined) return o + 4;
  b[o + 4] = field.experimenter >>> 24;
  b[o + 5] = field.experimenter >>> 16;
  b[o + 6] = field.experimenter >>> 8;
  b[o + 7] = field.experimenter;
  return o + 8;
}

/**
 * Writes any form of a field's value: plain, [value, mask], and 'address/bits' or 'address/mask' for IP
 * addresses. Bits of the value outside the mask are cleared, as the specification demands.
 */
function putField(entry: Entry, b: Uint8Array, o: number, given: unknown): number {
  const { name, field } = entry;
  const label = `match.${name}`;
  let value = given;
  let mask: unknown;
  if (Array.isArray(given)) {
    if (given.length !== 2) R.bad(label, given, 'a value or [value, mask]');
    [value, mask] = given;
  } else if (typeof given === 'string' && (field.type.kind === 'ipv4' || field.type.kind === 'ipv6')) {
    const slash = given.indexOf('/');
    if (slash >= 0) {
      value = given.slice(0, slash);
      mask = given.slice(slash + 1);
    }
  }
  let size = oxmSize(field);
  // One of any length: hexadecimal digits.
  if (Number.isNaN(size)) size = String(value).length >> 1;
  if (typeof value === 'number' && value >= 2 ** field.bits) R.bad(label, value, `of ${field.bits} bits`);
  if (mask === undefined) {
    const at = putHeader(field, false, b, o, size);
    putValue(field.type, b, at, value, label);
    return at + size;
  }
  if (!field.maskable) R.bad(label, given, 'a value without mask');
  const at = putHeader(field, true, b, o, size);
  putValue(field.type, b, at, value, label);
  const stop = at + 2 * size;
  if ((field.type.kind === 'ipv4' || field.type.kind === 'ipv6') && /^\d+$/.test(String(mask))) {
    const bits = Number(mask);
    if (bits > size * 8) R.bad(label, given, `of at most ${size * 8} bits of prefix`);
    for (let i = 0; i < size; i++) b[at + size + i] = 0xff00 >> Math.min(8, Math.max(0, bits - 8 * i));
  } else {
    putValue(field.type, b, at + size, mask, label);
    if (Number.isNaN(oxmSize(field)) && (String(mask).length !== 2 * size || size > 127)) {
      R.bad(label, given, 'a value of at most 127 bytes and a mask of the same length');
    }
  }
  for (let i = 0; i < size; i++) b[at + i] &= b[at + size + i];
  return stop;
}

/** Statements that write field `entry` from the value `x` at p, and move p behind it. */
function emitField(source: Source, entry: Entry): string {
  const { name, field } = entry;
  const size = oxmSize(field);
  const general = `p=${source.ref(putField)}(${source.ref(entry)},b,p,x);`;
  const header = writeUInt(4, 'p', String(oxmHeaderOf(field, false)));
  const label = JSON.stringify(`match.${name}`);
  if (field.oxmClass !== OXM_CLASS_BASIC) return general;
  switch (field.type.kind) {
    case 'uint': {
      const most = 2 ** field.bits - 1;
      const test = `typeof x==="number"&&x>=0&&x<=${most}&&(x>>>0)===x`;
      return `if(${test}){${header}${writeUInt(size, 'p+4', 'x')}p+=${4 + size};}else ${general}`;
    }
    case 'ipv4':
    case 'ipv6': {
      const put = source.ref(field.type.kind === 'ipv4' ? R.putIpv4 : R.putIpv6);
      return `if(typeof x==="string"&&x.indexOf("/")<0){${header}${put}(b,p+4,x,${label});p+=${4 + size};}else ${general}`;
    }
    case 'mac':
      return `if(typeof x==="string"){${header}${source.ref(R.putMac)}(b,p+4,x,${label});p+=${4 + size};}else ${general}`;
    case 'u64':
      return `if(typeof x==="bigint"){${header}${source.ref(R.putU64)}(b,p+4,x,${label});p+=${4 + size};}else ${general}`;
    default:
      return general;
  }
}

/** Statements that write the TLVs of the match `m` from p on, in the order of its keys. */
export function emitTlvs(source: Source, fields: OxmFields): string {
  let cases = '';
  for (const name in fields) {
    cases += `case ${JSON.stringify(name)}:${emitField(source, { name, field: fields[name] })}break;`;
  }
  const unknown = `default:${source.ref(R.unknownType)}("match",k)`;
  return `for(const k in m){const x=m[k];if(x!==undefined)switch(k){${cases}${unknown}}}`;
}

/** Encodes an ofp_match with its header and padding. */
export function compileOfpMatchEncoder(fields: OxmFields, type = 1): PartEncoder {
  const source = new Source();
  return source.build(
    'b,o,m',
    `let p=o+4;${emitTlvs(source, fields)}` +
      `const n=p-o;b[o]=0;b[o+1]=${type};${writeUInt(2, 'o+2', 'n')}return ${source.ref(R.pad8)}(b,o,p)`,
  ) as PartEncoder;
}

/** Encodes the one field of a set_field action, padded so that the action is of 8-byte size. */
export function compileOxmEncoder({ oxm: fields, masked, offset = 4 }: OxmNode): PartEncoder {
  const entries = new Map<string, Entry>();
  for (const name in fields) entries.set(name, { name, field: fields[name] });
  return (b, o, value) => {
    const set = value as Match;
    let name = '';
    let count = 0;
    for (const key in set) {
      if (set[key] === undefined) continue;
      name = key;
      count++;
    }
    if (count !== 1) R.bad('set_field.field', count, 'an object with exactly one field');
    const entry = entries.get(name);
    if (entry === undefined) return R.unknownType('set_field.field', name);
    if (!entry.field.settable) R.bad('set_field.field', name, 'a field that can be set');
    if (!masked && Array.isArray(set[name])) R.bad(`set_field.${name}`, set[name], 'a value without mask');
    return R.pad8(b, o - offset, putField(entry, b, o, set[name]));
  };
}
