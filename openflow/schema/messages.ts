import type { ChoiceNode, Fields, InOf, OutOf, Simplify, Variants } from './types.ts';

/** An OpenFlow message: what follows the 8-byte header. */
export interface MessageDef<F extends Fields = Fields> {
  /** ofp_type */
  readonly tag: number;
  /** Section of the specification (of the version whose table this is in). */
  readonly section: string;
  readonly fields: F;
  /** For OFPT_EXPERIMENTER messages that are decoded further. */
  readonly experimenter?: { readonly id: number; readonly type: number };
}
export type MessageDefs = { readonly [name: string]: MessageDef };

/** ofp_type of experimenter messages in every version. */
export const OFPT_EXPERIMENTER = 4;

export const message = <const F extends Fields>(tag: number, section: string, fields: F): MessageDef<F> => ({
  tag,
  section,
  fields,
});

/**
 * A message inside OFPT_EXPERIMENTER; `fields` follow the experimenter id and exp_type.
 * @param section where it is specified
 */
export const experimenterMessage = <const F extends Fields>(
  id: number,
  type: number,
  fields: F,
  section = 'docs/protocol.md',
): MessageDef<F> => ({
  tag: OFPT_EXPERIMENTER,
  section,
  fields,
  experimenter: { id, type },
});

/** The variants of a body. */
type BodyOf<F> = F extends { readonly body: ChoiceNode<infer V> } ? V : never;

/** The multipart (statistics) message with more bodies. */
export const withBodies = <F extends Fields, const X extends Variants>(
  def: MessageDef<F>,
  more: X,
): MessageDef<Simplify<Omit<F, 'body'> & { readonly body: ChoiceNode<Simplify<BodyOf<F> & X>> }>> => {
  const body = def.fields.body as ChoiceNode;
  const fields = { ...def.fields, body: { ...body, variants: { ...body.variants, ...more } } };
  return { ...def, fields } as never;
};

/** A table with the sections that another version of the specification has the same messages in. */
export const inSections = <const T extends MessageDefs>(
  table: T,
  sections: { readonly [K in keyof T]?: string },
): T =>
  Object.fromEntries(
    Object.entries(table).map(([name, def]) => [name, { ...def, section: sections[name] ?? def.section }]),
  ) as unknown as T;

/** What decode returns for a table of messages: a union told apart by `type`. */
export type MessageOut<T> = {
  [K in keyof T]: T[K] extends MessageDef<infer F> ? Simplify<{ type: K; xid: number } & OutOf<F>> : never;
}[keyof T];

/** What encode takes; fields with a default may be left out. */
export type MessageIn<T> = {
  [K in keyof T]: T[K] extends MessageDef<infer F> ? Simplify<{ type: K; xid?: number } & InOf<F>> : never;
}[keyof T];
