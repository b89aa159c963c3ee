import type { Fields, InOf, OutOf, Simplify } from './types.ts';

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

/** A message inside OFPT_EXPERIMENTER; `fields` follow the experimenter id and exp_type. */
export const experimenterMessage = <const F extends Fields>(
  id: number,
  type: number,
  fields: F,
): MessageDef<F> => ({
  tag: OFPT_EXPERIMENTER,
  section: 'docs/protocol.md',
  fields,
  experimenter: { id, type },
});

/** What decode returns for a table of messages: a union told apart by `type`. */
export type MessageOut<T> = {
  [K in keyof T]: T[K] extends MessageDef<infer F> ? Simplify<{ type: K; xid: number } & OutOf<F>> : never;
}[keyof T];

/** What encode takes; fields with a default may be left out. */
export type MessageIn<T> = {
  [K in keyof T]: T[K] extends MessageDef<infer F> ? Simplify<{ type: K; xid?: number } & InOf<F>> : never;
}[keyof T];
