/**
 * What compiled encoders and decoders call: everything too long to be emitted in line. No Node built-ins, no
 * TextDecoder: this also runs in bare V8 isolates.
 *
 * `put*` write at `o` and return nothing or the offset after it; they may be given offsets beyond the end of
 * `b` (typed arrays ignore such writes): the caller then retries with a longer buffer.
 */
import { EncodeError, OpenFlowError } from '../errors.ts';

const EMPTY = new Uint8Array(0);
const HEX: string[] = [];
for (let byte = 0; byte < 256; byte++) HEX.push((byte < 16 ? '0' : '') + byte.toString(16));

// One 64-bit cell, seen as two halves: the quickest way between bytes and bigint.
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);
wide[0] = 1n;
const LOW = halves[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;

/** Throws for a structure that is shorter or longer than its fields. */
export function short(type: number, code: number, what: string, have: number): never {
  throw new OpenFlowError(type, code, `${what}: ${have} bytes do not hold its fields exactly`);
}

export function fail(type: number, code: number, text: string): never {
  throw new OpenFlowError(type, code, text);
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 60)}'`;
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** Throws for a value that the wire has no place for. */
export function bad(field: string, value: unknown, expected: string): never {
  throw new EncodeError('FC_OF_BAD_FIELD', field, `${field} must be ${expected}, not ${show(value)}`);
}

// Decoding --------------------------------------------------------------------------------------------------

export function u64(b: Uint8Array, o: number): bigint {
  halves[HIGH] = (b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3];
  halves[LOW] = (b[o + 4] << 24) | (b[o + 5] << 16) | (b[o + 6] << 8) | b[o + 7];
  return wide[0];
}

export function mac(b: Uint8Array, o: number): string {
  return `${HEX[b[o]]}:${HEX[b[o + 1]]}:${HEX[b[o + 2]]}:${HEX[b[o + 3]]}:${HEX[b[o + 4]]}:${HEX[b[o + 5]]}`;
}

export function ipv4(b: Uint8Array, o: number): string {
  return `${b[o]}.${b[o + 1]}.${b[o + 2]}.${b[o + 3]}`;
}

/** Canonical form of RFC 5952: the longest run of two or more zero groups (the first of equals) is `::`. */
export function ipv6(b: Uint8Array, o: number): string {
  let bestAt = -1;
  let best = 1;
  for (let at = 0, run = 0; at < 8; at++) {
    run = b[o + 2 * at] === 0 && b[o + 2 * at + 1] === 0 ? run + 1 : 0;
    if (run > best) {
      best = run;
      bestAt = at - run + 1;
    }
  }
  let text = '';
  for (let at = 0; at < 8; at++) {
    if (at === bestAt) {
      text += '::';
      at += best - 1;
    } else {
      if (text !== '' && !text.endsWith(':')) text += ':';
      text += ((b[o + 2 * at] << 8) | b[o + 2 * at + 1]).toString(16);
    }
  }
  return text;
}

export function hex(b: Uint8Array, o: number, size: number): string {
  let text = '';
  for (let at = o; at < o + size; at++) text += HEX[b[at]];
  return text;
}

/** A view of b[o .. end). */
export function view(b: Uint8Array, o: number, end: number): Uint8Array {
  return o === end ? EMPTY : new Uint8Array(b.buffer as ArrayBuffer, b.byteOffset + o, end - o);
}

/**
 * UTF-8. Bytes that are not UTF-8 become lone surrogates 0xdc80..0xdcff (as Python's surrogateescape does),
 * which `utf8Size` and `putUtf8` turn back, so that every byte string survives.
 */
export function utf8(b: Uint8Array, o: number, end: number): string {
  let text = '';
  for (let at = o; at < end; ) {
    const lead = b[at];
    if (lead < 0x80) {
      text += String.fromCharCode(lead);
      at++;
      continue;
    }
    const more =
      lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xc2 && lead < 0xe0 ? 1 : 0;
    let point = lead & (0x3f >> more);
    let ok = more > 0 && at + more < end;
    for (let i = 1; ok && i <= more; i++) {
      ok = (b[at + i] & 0xc0) === 0x80;
      point = (point << 6) | (b[at + i] & 0x3f);
    }
    // Overlong forms, surrogates and numbers above Unicode's last are not UTF-8 either.
    if (
      ok &&
      point >= (more === 1 ? 0x80 : more === 2 ? 0x800 : 0x10000) &&
      point <= 0x10ffff &&
      point >> 11 !== 0x1b
    ) {
      text += String.fromCodePoint(point);
      at += more + 1;
    } else {
      text += String.fromCharCode(0xdc00 | lead);
      at++;
    }
  }
  return text;
}

/** UTF-8 up to the first NUL in a field of `size` bytes, the last of which is taken for one: it is to be. */
export function cstring(b: Uint8Array, o: number, size: number): string {
  let end = o;
  while (end < o + size - 1 && b[end] !== 0) end++;
  return utf8(b, o, end);
}

// Encoding --------------------------------------------------------------------------------------------------

export function putU64(b: Uint8Array, o: number, value: unknown, field: string): void {
  if (typeof value !== 'bigint') bad(field, value, 'a bigint');
  wide[0] = value as bigint;
  if (wide[0] !== value) bad(field, value, 'a bigint of 0..2^64-1');
  const high = halves[HIGH];
  const low = halves[LOW];
  b[o] = high >>> 24;
  b[o + 1] = high >>> 16;
  b[o + 2] = high >>> 8;
  b[o + 3] = high;
  b[o + 4] = low >>> 24;
  b[o + 5] = low >>> 16;
  b[o + 6] = low >>> 8;
  b[o + 7] = low;
}

/** Value of a hexadecimal digit by its code; all others have a bit that no digit has. */
const NO_DIGIT = 0x80;
const DIGITS = new Uint8Array(128).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) {
  const text = value.toString(16);
  DIGITS[text.charCodeAt(0)] = value;
  DIGITS[text.toUpperCase().charCodeAt(0)] = value;
}
const digit = (code: number): number => (code < 128 ? DIGITS[code] : NO_DIGIT);

const MAC = "a MAC address such as '0a:00:27:00:00:01'";
export function putMac(b: Uint8Array, o: number, value: unknown, field: string): void {
  if (typeof value !== 'string' || value.length !== 17) bad(field, value, MAC);
  for (let i = 0; i < 6; i++) {
    const high = digit(value.charCodeAt(3 * i));
    const low = digit(value.charCodeAt(3 * i + 1));
    if (((high | low) & NO_DIGIT) !== 0 || (i < 5 && value.charCodeAt(3 * i + 2) !== 58))
      bad(field, value, MAC);
    b[o + i] = (high << 4) | low;
  }
}

const IPV4 = "an IPv4 address such as '10.0.0.1'";
export function putIpv4(b: Uint8Array, o: number, value: unknown, field: string): void {
  if (typeof value !== 'string') bad(field, value, IPV4);
  let at = 0;
  for (let i = 0; i < 4; i++) {
    let part = 0;
    let digits = 0;
    for (; at < value.length; at++, digits++) {
      const code = value.charCodeAt(at) - 48;
      if (code < 0 || code > 9) break;
      part = part * 10 + code;
    }
    if (
      digits === 0 ||
      digits > 3 ||
      part > 255 ||
      (i < 3 ? value.charCodeAt(at++) !== 46 : at !== value.length)
    ) {
      bad(field, value, IPV4);
    }
    b[o + i] = part;
  }
}

const IPV6 = "an IPv6 address such as '2001:db8::1'";
export function putIpv6(b: Uint8Array, o: number, value: unknown, field: string): void {
  if (typeof value !== 'string' || value.length > 45) bad(field, value, IPV6);
  const sides = value.split('::');
  if (sides.length > 2) bad(field, value, IPV6);
  const head = groups(sides[0], sides.length === 1, field, value);
  const tail = sides.length === 2 ? groups(sides[1], true, field, value) : [];
  const missing = 8 - head.length - tail.length;
  if (sides.length === 2 ? missing < 1 : missing !== 0) bad(field, value, IPV6);
  for (let i = 0; i < 8; i++) {
    const group = i < head.length ? head[i] : i < head.length + missing ? 0 : tail[i - head.length - missing];
    b[o + 2 * i] = group >> 8;
    b[o + 2 * i + 1] = group;
  }
}

/** The 16-bit groups of one side of `::`; the last of them may be a dotted IPv4 address. */
function groups(side: string, last: boolean, field: string, value: string): number[] {
  const out: number[] = [];
  if (side === '') return out;
  const parts = side.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (last && i === parts.length - 1 && part.includes('.')) {
      const quad = new Uint8Array(4);
      putIpv4(quad, 0, part, field);
      out.push((quad[0] << 8) | quad[1], (quad[2] << 8) | quad[3]);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      out.push(Number.parseInt(part, 16));
    } else {
      bad(field, value, IPV6);
    }
  }
  return out;
}

export function putHex(b: Uint8Array, o: number, size: number, value: unknown, field: string): void {
  const expected = `${size * 2} hexadecimal digits`;
  if (typeof value !== 'string' || value.length !== size * 2) bad(field, value, expected);
  for (let i = 0; i < size; i++) {
    const high = digit(value.charCodeAt(2 * i));
    const low = digit(value.charCodeAt(2 * i + 1));
    if (((high | low) & NO_DIGIT) !== 0) bad(field, value, expected);
    b[o + i] = (high << 4) | low;
  }
}

export function putBytes(b: Uint8Array, o: number, value: unknown, field: string): number {
  if (!(value instanceof Uint8Array)) bad(field, value, 'a Uint8Array');
  if (o + value.length <= b.length) b.set(value, o);
  return o + value.length;
}

export function putUtf8(b: Uint8Array, o: number, value: unknown, field: string): number {
  if (typeof value !== 'string') bad(field, value, 'a string');
  let at = o;
  for (let i = 0; i < value.length; i++) {
    const point = value.codePointAt(i) as number;
    if (point < 0x80) {
      b[at++] = point;
    } else if (point < 0x800) {
      b[at++] = 0xc0 | (point >> 6);
      b[at++] = 0x80 | (point & 0x3f);
    } else if (point >= 0xdc80 && point <= 0xdcff) {
      b[at++] = point;
    } else if (point < 0x10000) {
      b[at++] = 0xe0 | (point >> 12);
      b[at++] = 0x80 | ((point >> 6) & 0x3f);
      b[at++] = 0x80 | (point & 0x3f);
    } else {
      b[at++] = 0xf0 | (point >> 18);
      b[at++] = 0x80 | ((point >> 12) & 0x3f);
      b[at++] = 0x80 | ((point >> 6) & 0x3f);
      b[at++] = 0x80 | (point & 0x3f);
      i++;
    }
  }
  return at;
}

export function putCString(b: Uint8Array, o: number, size: number, value: unknown, field: string): void {
  b.fill(0, o, o + size);
  if (typeof value !== 'string' || value.length >= size)
    bad(field, value, `a string of at most ${size - 1} bytes`);
  const end = putUtf8(b, o, value, field);
  if (end - o >= size || value.includes('\0')) {
    bad(field, value, `a string of at most ${size - 1} bytes of UTF-8 without NUL`);
  }
}

export function putWords(b: Uint8Array, o: number, count: number, value: unknown, field: string): void {
  const expected = `an array of ${count} integers of 0..4294967295`;
  if (!Array.isArray(value) || value.length !== count) bad(field, value, expected);
  for (let i = 0; i < count; i++) {
    const word: unknown = value[i];
    if (typeof word !== 'number' || word >>> 0 !== word) bad(field, word, expected);
    b[o + 4 * i] = word >>> 24;
    b[o + 4 * i + 1] = word >>> 16;
    b[o + 4 * i + 2] = word >>> 8;
    b[o + 4 * i + 3] = word;
  }
}

/** Zeroes up to a multiple of 8 bytes from `start`; returns the offset after them. */
export function pad8(b: Uint8Array, start: number, end: number): number {
  const next = start + ((end - start + 7) & -8);
  for (let at = end; at < next; at++) b[at] = 0;
  return next;
}

export function object(value: unknown, field: string): void {
  if (typeof value !== 'object' || value === null) bad(field, value, 'an object');
}

export function unknownType(field: string, type: unknown): never {
  throw new EncodeError('FC_OF_UNKNOWN_TYPE', field, `${field}: there is no type ${show(type)}`);
}
