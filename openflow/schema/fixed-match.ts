/**
 * The match of OpenFlow 1.0 and 1.1: a structure of fixed size with a word of wildcard bits. Here it is an
 * object as in later versions: a field that is not in it is wildcarded, [value, mask] is compared in part.
 */
import { getValue, putValue } from './match.ts';
import * as R from './runtime.ts';
import { fixedSize } from './source.ts';
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

function decodeFields(layout: FixedMatchLayout, b: Uint8Array, o: number): Record<string, unknown> {
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
  encodeFields(layout, canonical, 0, out);
  if (word(canonical, layout.wildcardsAt) !== wildcards) out.wildcards = wildcards;
  return out;
}

function encodeFields(
  layout: FixedMatchLayout,
  b: Uint8Array,
  o: number,
  match: Record<string, unknown>,
): void {
  let wildcards = 0;
  let compared = false;
  const mask = new Uint8Array(8);
  for (const name in match) {
    if (name !== 'wildcards' && !Object.hasOwn(layout.fields, name)) R.unknownType('match', name);
  }
  for (const name in layout.fields) {
    const { type, at, bit, prefixAt, maskAt } = layout.fields[name];
    const size = fixedSize(type) as number;
    const label = `match.${name}`;
    const given = match[name];
    if (given === undefined) {
      mask.fill(0);
    } else if (Array.isArray(given)) {
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
    if (!none) compared = true;
    if (bit !== undefined) {
      if (none) wildcards |= 1 << bit;
      else if (!every(mask, 0, size, 0xff)) R.bad(label, given, 'a value without mask');
    } else if (prefixAt !== undefined) {
      const n = prefixOf(mask, 0);
      if (n < 0) R.bad(label, given, 'an address with a mask that is a prefix');
      wildcards |= n << prefixAt;
    } else {
      for (let i = 0; i < size; i++) b[o + (maskAt as number) + i] = ~mask[i];
    }
  }
  const wire = match.wildcards ?? (compared ? wildcards : layout.all);
  putValue({ kind: 'uint', size: 4 }, b, o + layout.wildcardsAt, wire, 'match.wildcards');
}

/** The node of a match of fixed size. */
export function fixedMatch<const F extends FixedMatchFields>(layout: FixedMatchLayout<F>): FixedMatchNode<F> {
  const { size, header } = layout;
  return {
    kind: 'custom',
    size,
    layout,
    describe: 'ofp_match',
    decode(b, o) {
      if (header !== undefined) header.check((b[o] << 8) | b[o + 1], (b[o + 2] << 8) | b[o + 3]);
      return decodeFields(layout, b, o) as FixedMatch<F>;
    },
    encode(b, o, value) {
      R.object(value, 'match');
      b.fill(0, o, o + size);
      if (header !== undefined) {
        b[o] = header.type >>> 8;
        b[o + 1] = header.type;
        b[o + 2] = size >>> 8;
        b[o + 3] = size;
      }
      encodeFields(layout, b, o, value as Record<string, unknown>);
      return o + size;
    },
  };
}
