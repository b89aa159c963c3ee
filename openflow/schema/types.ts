/**
 * The vocabulary in which messages and structures are declared: plain data, fields in wire order. The
 * TypeScript types of messages are inferred from the same declarations (`OutOf`: what decode returns, `InOf`:
 * what encode takes), and so are the compiled encoders and decoders, the length checks and the tables in docs/.
 *
 * All integers on the wire are big-endian.
 */

/** Carries the TypeScript types of a declaration; never present at run time. */
export interface Typed<Out, In = Out> {
  readonly out?: Out;
  readonly in?: In;
}

/** "Of any fields": with `unknown` no particular structure would be assignable (its types are invariant). */
// biome-ignore lint/suspicious/noExplicitAny: see above
type Any = any;

/** An OpenFlow error: [type, code] as in an OFPT_ERROR. */
export type ErrorPair = readonly [type: number, code: number];

/** Unsigned integer of `size` bytes. */
export interface UIntNode extends Typed<number> {
  readonly kind: 'uint';
  readonly size: 1 | 2 | 3 | 4;
}
/** Unsigned 64 bits. */
export interface U64Node extends Typed<bigint> {
  readonly kind: 'u64';
}
/** 'aa:bb:cc:dd:ee:ff' */
export interface MacNode extends Typed<string> {
  readonly kind: 'mac';
}
/** '10.0.0.1' */
export interface Ipv4Node extends Typed<string> {
  readonly kind: 'ipv4';
}
/** Canonical text (RFC 5952), e.g. '2001:db8::1'. */
export interface Ipv6Node extends Typed<string> {
  readonly kind: 'ipv6';
}
/** `size` bytes as lower-case hexadecimal digits. */
export interface HexNode extends Typed<string> {
  readonly kind: 'hex';
  readonly size: number;
}
/** NUL-terminated UTF-8 in a field of `size` bytes. */
export interface CStringNode extends Typed<string> {
  readonly kind: 'cstring';
  readonly size: number;
}
/** Zero bytes; ignored when decoding. Has no property in the message. */
export interface PadNode extends Typed<never> {
  readonly kind: 'pad';
  readonly size: number;
  readonly hidden: true;
}
/** The version byte of the message's header; takes no room in the body. */
export interface VersionNode extends Typed<number> {
  readonly kind: 'version';
}
/** An array of `count` 32-bit integers. */
export interface WordsNode<T extends number[] = number[]> extends Typed<T, Readonly<T>> {
  readonly kind: 'words';
  readonly count: number;
}
/** All bytes up to the end of the structure: decoded as a view, not a copy. */
export interface RestNode extends Typed<Uint8Array> {
  readonly kind: 'rest';
}
/** UTF-8 up to the end of the structure. */
export interface TextNode extends Typed<string> {
  readonly kind: 'text';
}
/**
 * A whole OpenFlow message inside another, as bytes; its own header says how long it is. Padded to 8 bytes
 * where the list field named `before` follows and is not empty.
 */
export interface MessageNode extends Typed<Uint8Array> {
  readonly kind: 'message';
  readonly before?: string;
  /** What a wrong length in the inner header is answered with. */
  readonly badLen?: ErrorPair;
}
/**
 * An OXM header without a value, which names a match field (see `oxmHeader`); of class 0xffff it is followed by
 * the experimenter id.
 */
export type OxmId = number | readonly [header: number, experimenter: number];
export interface OxmIdNode extends Typed<OxmId> {
  readonly kind: 'oxmId';
}
/** Zero bytes up to a multiple of 8 from the start of the structure, at its end. */
export interface AlignNode extends Typed<never> {
  readonly kind: 'align';
  readonly hidden: true;
}
/** An encoding that no other node describes; takes `size` bytes or, without it, all up to the end of the structure. */
export interface CustomNode<Out, In = Out> extends Typed<Out, In> {
  readonly kind: 'custom';
  readonly size?: number;
  /** What the bytes are, for the documentation. */
  readonly describe: string;
  readonly decode: (bytes: Uint8Array, offset: number, end: number) => Out;
  /** Writes at `offset`, returns the offset after it. Must only use indexed writes (they may be out of bounds). */
  readonly encode: (bytes: Uint8Array, offset: number, value: In) => number;
}
/** Length in bytes of the field named `of`, a list in the same structure. Computed when encoding. */
export interface LengthOfNode extends Typed<never> {
  readonly kind: 'lengthOf';
  readonly size: 1 | 2 | 4;
  readonly of: string;
  readonly hidden: true;
}
/** Number of elements of the list field named `of`. Computed when encoding. */
export interface CountOfNode extends Typed<never> {
  readonly kind: 'countOf';
  readonly size: 1 | 2 | 4;
  readonly of: string;
  readonly hidden: true;
}
/** Length in bytes of the structure it is in (16 bits). Computed when encoding. */
export interface SelfLengthNode extends Typed<never> {
  readonly kind: 'selfLength';
  readonly size: 2;
  readonly hidden: true;
}
/** Says which variant (16 bits) the `choice` field named `of` is. Computed when encoding. */
export interface TagOfNode extends Typed<never> {
  readonly kind: 'tagOf';
  readonly size: 2;
  readonly of: string;
  readonly hidden: true;
}

/** Fields in wire order. Names of padding start with `pad`. */
export type Fields = { readonly [name: string]: Node };

export interface StructNode<F extends Fields = Fields> extends Typed<OutOf<F>, InOf<F>> {
  readonly kind: 'struct';
  readonly name: string;
  readonly fields: F;
  /** What a wrong length of this structure is answered with; BAD_REQUEST/BAD_LEN if absent. */
  readonly badLen?: ErrorPair;
}

export interface Variant<F extends Fields = Fields> {
  readonly tag: number;
  readonly fields: F;
  /** One of several structures under the tag: behind it an experimenter id (32 bits) and this type (16 or 32 bits). */
  readonly experimenter?: { readonly id: number; readonly type: number };
}
export type Variants = { readonly [name: string]: Variant };

/** How the elements of a tagged union lie on the wire: type u16, length u16, fields. */
export interface UnionOptions {
  readonly name: string;
  /** Whether the length counts the padding to 8 bytes (actions, instructions) or not (properties, elements). */
  readonly padded: 'inside' | 'outside' | 'none';
  readonly badType: ErrorPair;
  readonly badLen: ErrorPair;
  /** Elements of unknown type are left out rather than an error. */
  readonly skipUnknown?: boolean;
}
/** Type-length-value: a union told apart by its `type`. */
export interface UnionNode<V extends Variants = Variants> extends Typed<VariantOut<V>, VariantIn<V>> {
  readonly kind: 'union';
  readonly options: UnionOptions;
  readonly variants: V;
}
/** Elements up to the end of the structure, or as many bytes or elements as a lengthOf or countOf field says. */
export interface ListNode<T extends ItemNode = ItemNode> extends Typed<Out<T>[], readonly In<T>[]> {
  readonly kind: 'list';
  readonly item: T;
}
export type ItemNode = UIntNode | StructNode<Any> | UnionNode<Any>;

/** Rest of the structure, one of several bodies; which one stands in the tagOf field before it. */
export interface ChoiceNode<V extends Variants = Variants> extends Typed<VariantOut<V>, VariantIn<V>> {
  readonly kind: 'choice';
  readonly name: string;
  readonly badType: ErrorPair;
  readonly variants: V;
}

/** OFPXMC_OPENFLOW_BASIC */
export const OXM_CLASS_BASIC = 0x8000;
/** OFPXMC_EXPERIMENTER */
export const OXM_CLASS_EXPERIMENTER = 0xffff;

/** A match field as an OXM TLV. Spec: OpenFlow 1.3, 7.2.3. */
export interface OxmField<T extends OxmValueNode = OxmValueNode, M extends boolean = boolean> {
  readonly oxmClass: number;
  readonly field: number;
  /** For class 0xffff: the experimenter id that the payload starts with (counted in the TLV's length). */
  readonly experimenter?: number;
  readonly type: T;
  readonly maskable: M;
  /** Significant bits; values above are BAD_VALUE. */
  readonly bits: number;
  /** May be the argument of a set_field action. */
  readonly settable: boolean;
}
export type OxmValueNode = UIntNode | U64Node | MacNode | Ipv4Node | Ipv6Node | CustomNode<Any>;
export type OxmFields = { readonly [name: string]: OxmField };

/**
 * How a list of TLVs is delimited: `match` and `stats` have a header (type 1 or 0, length) and are padded to 8
 * bytes, `sized` has its length in the lengthOf field before it and is padded, `bare` ends with the structure.
 */
export type MatchForm = 'match' | 'stats' | 'sized' | 'bare';
/** ofp_match, ofp_stats, nx_match. An object by field name; [value, mask] where masked. */
export interface MatchNode<F extends OxmFields = OxmFields> extends Typed<MatchOut<F>, MatchIn<F>> {
  readonly kind: 'match';
  readonly oxm: F;
  readonly form?: MatchForm;
}
/** One OXM TLV (set_field), padded to the end of the structure: an object with one property. */
export interface OxmNode<F extends OxmFields = OxmFields, M extends boolean = boolean>
  extends Typed<true extends M ? OneMaskedOf<F> : OneOf<F>> {
  readonly kind: 'oxm';
  readonly oxm: F;
  /** May have a mask, as in OpenFlow 1.5. */
  readonly masked?: M;
  /** Bytes of the action before it, 4 where not given. */
  readonly offset?: number;
  /** Bytes of padding that are taken behind it, 7 where not given. */
  readonly padding?: number;
}

export type HiddenNode = PadNode | LengthOfNode | CountOfNode | SelfLengthNode | TagOfNode | AlignNode;
export type Node = (
  | UIntNode
  | U64Node
  | MacNode
  | Ipv4Node
  | Ipv6Node
  | HexNode
  | CStringNode
  | VersionNode
  | WordsNode<Any>
  | RestNode
  | TextNode
  | MessageNode
  | OxmIdNode
  | CustomNode<Any, Any>
  | StructNode<Any>
  | ListNode<Any>
  | ChoiceNode<Any>
  | MatchNode<Any>
  | OxmNode<Any, Any>
  | HiddenNode
) & { readonly default?: unknown };

/** What the tables of a version differ in while the rest stays: they take these as parameters. */
export type AnyUnion = UnionNode<Any>;
export type AnyStruct = StructNode<Any>;
export type AnyMatch = MatchNode<Any> | CustomNode<Any>;
export interface Kit<M extends AnyMatch, A extends AnyUnion, I extends AnyUnion> {
  readonly match: M;
  readonly action: A;
  readonly instruction: I;
}

// Inference -------------------------------------------------------------------------------------------------

export type Out<T> = T extends Typed<infer O, Any> ? O : never;
export type In<T> = T extends { readonly in?: infer I } ? I : never;

/** Flattens intersections, so that editors show the fields. */
export type Simplify<T> = { [K in keyof T]: T[K] } & {};
type Visible<F> = { [K in keyof F]: F[K] extends { readonly hidden: true } ? never : K }[keyof F];
type Optional<F> = { [K in keyof F]: F[K] extends { readonly optional: true } ? K : never }[keyof F];

export type OutOf<F> = { -readonly [K in Visible<F>]: Out<F[K]> };
export type InOf<F> = Simplify<
  { [K in Exclude<Visible<F>, Optional<F>>]: In<F[K]> } & {
    [K in Extract<Visible<F>, Optional<F>>]?: In<F[K]>;
  }
>;
export type VariantOut<V> = {
  [K in keyof V]: V[K] extends Variant<infer F> ? Simplify<{ type: K } & OutOf<F>> : never;
}[keyof V];
export type VariantIn<V> = {
  [K in keyof V]: V[K] extends Variant<infer F> ? Simplify<{ type: K } & InOf<F>> : never;
}[keyof V];

export type MatchOut<F> = {
  -readonly [K in keyof F]?: F[K] extends OxmField<infer T, infer M>
    ? true extends M
      ? Out<T> | [value: Out<T>, mask: Out<T>]
      : Out<T>
    : never;
};
export type MatchIn<F> = {
  [K in keyof F]?: F[K] extends OxmField<infer T, infer M>
    ? true extends M
      ? Out<T> | readonly [value: Out<T>, mask: Out<T>]
      : Out<T>
    : never;
};
export type OneOf<F> = {
  [K in keyof F]: F[K] extends OxmField<infer T, boolean> ? { [P in K]: Out<T> } : never;
}[keyof F];
export type OneMaskedOf<F> = {
  [K in keyof F]: { [P in K]: Exclude<MatchOut<F>[K], undefined> };
}[keyof F];

// Constructors ----------------------------------------------------------------------------------------------

export const u8: UIntNode = { kind: 'uint', size: 1 };
export const u16: UIntNode = { kind: 'uint', size: 2 };
export const u24: UIntNode = { kind: 'uint', size: 3 };
export const u32: UIntNode = { kind: 'uint', size: 4 };
export const u64: U64Node = { kind: 'u64' };
export const mac: MacNode = { kind: 'mac' };
export const ipv4: Ipv4Node = { kind: 'ipv4' };
export const ipv6: Ipv6Node = { kind: 'ipv6' };
export const version: VersionNode = { kind: 'version' };
/** @param before the list that may follow */
export const messageIn = (before?: string, badLen?: ErrorPair): MessageNode => ({
  kind: 'message',
  before,
  badLen,
});
export const oxmId: OxmIdNode = { kind: 'oxmId' };
export const align: AlignNode = { kind: 'align', hidden: true };
/** Two 32-bit integers. */
export const words2: WordsNode<[number, number]> = { kind: 'words', count: 2 };
/** Four 32-bit integers. */
export const words4: WordsNode<[number, number, number, number]> = { kind: 'words', count: 4 };
export const rest: RestNode = { kind: 'rest' };
export const text: TextNode = { kind: 'text' };
export const selfLength: SelfLengthNode = { kind: 'selfLength', size: 2, hidden: true };

export const hex = (size: number): HexNode => ({ kind: 'hex', size });
export const cstring = (size: number): CStringNode => ({ kind: 'cstring', size });
export const pad = (size: number): PadNode => ({ kind: 'pad', size, hidden: true });
export const lengthOf = (of: string, size: 1 | 2 | 4 = 2): LengthOfNode => ({
  kind: 'lengthOf',
  size,
  of,
  hidden: true,
});
export const countOf = (of: string, size: 1 | 2 | 4): CountOfNode => ({
  kind: 'countOf',
  size,
  of,
  hidden: true,
});
export const tagOf = (of: string): TagOfNode => ({ kind: 'tagOf', size: 2, of, hidden: true });

/** May be left out when encoding; `value` is written then. */
export const opt = <T extends Node>(type: T, value: In<T>): T & { readonly optional: true } =>
  ({ ...type, default: value, optional: true }) as unknown as T & { readonly optional: true };

/** A list that may be left out: empty. */
export const optList = <T extends ItemNode>(item: T): ListNode<T> & { readonly optional: true } =>
  opt(list(item), [] as never);

/** A match that may be left out: everything. To TypeScript one kind of node, whatever the version's match is. */
export const optMatch = <T extends AnyMatch>(
  node: T,
): CustomNode<Out<T>, In<T>> & { readonly optional: true } => opt(node as Node, {} as never) as never;

export const struct = <const F extends Fields>(
  name: string,
  fields: F,
  badLen?: ErrorPair,
): StructNode<F> => ({ kind: 'struct', name, fields, badLen });

export const list = <T extends ItemNode>(item: T): ListNode<T> => ({ kind: 'list', item });

export const variant = <const F extends Fields>(tag: number, fields: F): Variant<F> => ({ tag, fields });

/** A variant of an experimenter; `fields` follow its id and the type, of 16 bits in a union and 32 in a choice. */
export const experimenterVariant = <const F extends Fields>(
  id: number,
  type: number,
  fields: F,
): Variant<F> => ({ tag: 0xffff, fields, experimenter: { id, type } });

export const union = <const V extends Variants>(options: UnionOptions, variants: V): UnionNode<V> => ({
  kind: 'union',
  options,
  variants,
});

export const choice = <const V extends Variants>(
  name: string,
  badType: ErrorPair,
  variants: V,
): ChoiceNode<V> => ({ kind: 'choice', name, badType, variants });

export const match = <F extends OxmFields>(oxm: F, form?: MatchForm): MatchNode<F> => ({
  kind: 'match',
  oxm,
  form,
});
export const oxm = <F extends OxmFields>(fields: F): OxmNode<F, false> => ({ kind: 'oxm', oxm: fields });
export const maskedOxm = <F extends OxmFields>(fields: F, offset = 4, padding = 7): OxmNode<F, true> => ({
  kind: 'oxm',
  oxm: fields,
  masked: true,
  offset,
  padding,
});
