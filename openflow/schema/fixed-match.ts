/**
 * The match of OpenFlow 1.0 and 1.1: a structure of fixed size with a word of wildcard bits. Here it is an
 * object as in later versions: a field that is not in it is wildcarded, [value, mask] is compared in part.
 */
import { getValue, putValue } from './match.ts';
import * as R from './runtime.ts';
import { fixedSize, Source, writeUInt } from './source.ts';
import type { CustomNode, Ipv4Node, MacNode, Out, Simplify, U64Node, UIntNode } from './types.ts';

/** A field at offset `at`; what says that it is wildcarded is one of `bit`, `prefixAt` and `maskAt`. */
export interface FixedMatchField<T extends FixedValueNode = FixedValueNode> {
  readonly type: T;
  readonly at: number;
  /** Bit of the wildcards. */
  readonly bit?: number;
  /** Lowest of 6 bits of the wildcards: how many low bits of the address are not compared, 32 and above: all. */
  readonly prefixAt?: number;
  /** Offset of a mask whose ones are the bits that are not compared. */
  readonly maskAt?: number;
}
type FixedValueNode = UIntNode | U64Node | MacNode | Ipv4Node;

export interface FixedMatchLayout<F extends FixedMatchFields = FixedMatchFields> {
  readonly size: number;
  readonly wildcardsAt: number;
  /** The wildcards where nothing is compared. */
  readonly all: number;
  /** Type and length that stand before the fields, if they do. */
  readonly header?: { readonly type: number; readonly check: (type: number, length: number) => void };
  readonly fields: F;
}
export type FixedMatchFields = { readonly [name: string]: FixedMatchField };

type Value<T> = Out<T> | readonly [value: Out<T>, mask: Out<T>];
/**
 * `wildcards`: the word as it is on the wire, only where it is not the one that follows from the fields (bits
 * without a meaning, more than one way to say "all"). A wildcarded field that is not zero is [value, 0].
 */
export type FixedMatch<F> = Simplify<
  { -readonly [K in keyof F]?: F[K] extends FixedMatchField<infer T> ? Value<T> : never } & {
    wildcards?: number;
  }
>;
export type FixedMatchNode<F extends FixedMatchFields = FixedMatchFields> = CustomNode<FixedMatch<F>> & {
  readonly size: number;
  readonly layout: FixedMatchLayout<F>;
};

/** A mask of `n` zero bits below ones, at `o`. */
function putPrefix(b: Uint8Array, o: number, n: number): void {
  const mask = n >= 32 ? 0 : (-1 << n) >>> 0;
  for (let i = 0; i < 4; i++) b[o + i] = mask >>> (24 - 8 * i);
}

/** How many low bits of a 4-byte mask are zero; -1 if there are ones below zeros. */
function prefixOf(b: Uint8Array, o: number): number {
  const mask = ((b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3]) >>> 0;
  if (mask === 0) return 32;
  const n = 31 - Math.clz32(mask & -mask);
  return mask === (-1 << n) >>> 0 ? n : -1;
}

const every = (b: Uint8Array, o: number, size: number, byte: number): boolean => {
  for (let i = 0; i < size; i++) if (b[o + i] !== byte) return false;
  return true;
};

const word = (b: Uint8Array, o: number): number =>
  ((b[o] << 24) | (b[o + 1] << 16) | (b[o + 2] << 8) | b[o + 3]) >>> 0;

function decodeFields(
  layout: FixedMatchLayout,
  encodeFields: FieldsEncoder,
  b: Uint8Array,
  o: number,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const wildcards = word(b, o + layout.wildcardsAt);
  const mask = new Uint8Array(8);
  for (const name in layout.fields) {
    const { type, at, bit, prefixAt, maskAt } = layout.fields[name];
    const size = fixedSize(type) as number;
    if (bit !== undefined) {
      mask.fill((wildcards >>> bit) & 1 ? 0 : 0xff);
    } else if (prefixAt !== undefined) {
      putPrefix(mask, 0, (wildcards >>> prefixAt) & 63);
    } else {
      for (let i = 0; i < size; i++) mask[i] = ~b[o + (maskAt as number) + i];
    }
    if (every(mask, 0, size, 0) && every(b, o + at, size, 0)) continue;
    const value = getValue(type, b, o + at);
    out[name] = every(mask, 0, size, 0xff) ? value : [value, getValue(type, mask, 0)];
  }
  const canonical = new Uint8Array(layout.size);
  encodeFields(canonical, 0, out);
  if (word(canonical, layout.wildcardsAt) !== wildcards) out.wildcards = wildcards;
  return out;
}

/** What a compiled encoder leaves out: values with a mask, and wrong ones. */
interface MaskedField extends FixedMatchField {
  readonly label: string;
  readonly size: number;
}

/**
 * Writes a value with a mask ([value, mask], or an address with a prefix), and the mask where that has a place of its
 * own. Returns the field's bits of the wildcards, inverted where nothing of it is compared.
 */
function putMasked(field: MaskedField, b: Uint8Array, o: number, given: unknown): number {
  const { type, label, size, at, bit, prefixAt, maskAt } = field;
  const mask = new Uint8Array(8);
  if (Array.isArray(given)) {
    if (given.length !== 2) R.bad(label, given, 'a value or [value, mask]');
    putValue(type, b, o + at, given[0], label);
    putValue(type, mask, 0, given[1], `${label} mask`);
  } else {
    const slash = typeof given === 'string' && type.kind === 'ipv4' ? given.indexOf('/') : -1;
    const bits = slash < 0 ? 32 : Number((given as string).slice(slash + 1));
    if (!(bits >= 0 && bits <= 32)) R.bad(label, given, 'of at most 32 bits of prefix');
    putValue(type, b, o + at, slash < 0 ? given : (given as string).slice(0, slash), label);
    mask.fill(0xff);
    if (slash >= 0) {
      putPrefix(mask, 0, 32 - bits);
      for (let i = 0; i < 4; i++) b[o + at + i] &= mask[i];
    }
  }
  const none = every(mask, 0, size, 0);
  let wildcards = 0;
  if (bit !== undefined) {
    if (none) wildcards = 1 << bit;
    else if (!every(mask, 0, size, 0xff)) R.bad(label, given, 'a value without mask');
  } else if (prefixAt !== undefined) {
    const n = prefixOf(mask, 0);
    if (n < 0) R.bad(label, given, 'an address with a mask that is a prefix');
    wildcards = n << prefixAt;
  } else {
    for (let i = 0; i < size; i++) b[o + (maskAt as number) + i] = ~mask[i];
  }
  return none ? ~wildcards : wildcards;
}

/** Whether `g` is a value that has no mask, and what writes it. */
function plainValue(source: Source, type: FixedValueNode, at: string, field: string) {
  const label = JSON.stringify(field);
  switch (type.kind) {
    case 'uint': {
      const test = `typeof g==="number"&&${type.size === 4 ? 'g>>>0' : `(g&${2 ** (8 * type.size) - 1})`}===g`;
      return { test, put: writeUInt(type.size, at, 'g') };
    }
    case 'u64':
      return { test: 'typeof g==="bigint"', put: `${source.ref(R.putU64)}(b,${at},g,${label});` };
    case 'mac':
      return { test: 'typeof g==="string"', put: `${source.ref(R.putMac)}(b,${at},g,${label});` };
    case 'ipv4': {
      const test = 'typeof g==="string"&&g.indexOf("/")<0';
      return { test, put: `${source.ref(R.putIpv4)}(b,${at},g,${label});` };
    }
  }
}

type FieldsEncoder = (b: Uint8Array, o: number, match: object) => void;

/**
 * Writes the encoder of a layout's fields as straight-line JavaScript: a number or an address costs no more than
 * its bytes. The bytes it writes to are zero.
 */
function compileEncoder(layout: FixedMatchLayout): FieldsEncoder {
  const source = new Source();
  const masked = source.ref(putMasked);
  const known = Object.keys(layout.fields).map((name) => `case ${JSON.stringify(name)}:`);
  const wildcardsWord: UIntNode = { kind: 'uint', size: 4 };
  let code =
    `for(const n in m)switch(n){${known.join('')}case "wildcards":break;` +
    `default:${source.ref(R.unknownType)}("match",n)}let w=0,c=false,g,t;`;
  for (const name in layout.fields) {
    const field = layout.fields[name];
    const { type, at, bit, prefixAt, maskAt } = field;
    const size = fixedSize(type) as number;
    const label = `match.${name}`;
    const ref = source.ref({ ...field, label, size } satisfies MaskedField);
    let absent = `b.fill(255,o+${maskAt},o+${maskAt}+${size});`;
    if (bit !== undefined) absent = `w|=${1 << bit};`;
    else if (prefixAt !== undefined) absent = `w|=${32 << prefixAt};`;
    const { test, put } = plainValue(source, type, `o+${at}`, label);
    code +=
      `g=m.${name};if(g===undefined){${absent}}else if(${test}){${put}c=true}` +
      `else{t=${masked}(${ref},b,o,g);if(t<0)t=~t;else c=true;w|=t}`;
  }
  code +=
    `t=m.wildcards;if(t===undefined)t=c?w:${layout.all};` +
    `${source.ref(putValue)}(${source.ref(wildcardsWord)},b,o+${layout.wildcardsAt},t,"match.wildcards")`;
  return source.build('b,o,m', code) as FieldsEncoder;
}

/** The node of a match of fixed size. */
export function fixedMatch<const F extends FixedMatchFields>(layout: FixedMatchLayout<F>): FixedMatchNode<F> {
  const { size, header } = layout;
  let compiled: FieldsEncoder | undefined;
  const encodeFields: FieldsEncoder = (b, o, match) => {
    compiled ??= compileEncoder(layout);
    compiled(b, o, match);
  };
  return {
    kind: 'custom',
    size,
    layout,
    describe: 'ofp_match',
    decode(b, o) {
      if (header !== undefined) header.check((b[o] << 8) | b[o + 1], (b[o + 2] << 8) | b[o + 3]);
      return decodeFields(layout, encodeFields, b, o) as FixedMatch<F>;
    },
    encode(b, o, value) {
      R.object(value, 'match');
      // Not fill, which costs more than so few bytes.
      for (let at = o; at < o + size; at++) b[at] = 0;
      if (header !== undefined) {
        b[o] = header.type >>> 8;
        b[o + 1] = header.type;
        b[o + 2] = size >>> 8;
        b[o + 3] = size;
      }
      encodeFields(b, o, value as object);
      return o + size;
    },
  };
}
