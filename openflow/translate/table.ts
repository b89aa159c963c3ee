/** Translation by tables: only what differs between two versions stands in them. */

interface Tagged {
  readonly type: string;
}
type Of<M extends Tagged, T> = Extract<M, { readonly type: T }>;

/**
 * How messages (or bodies, or elements) of one version become those of another, by type. TypeScript asks for an entry
 * for each type that is not the same in both; what has no entry is kept as it is.
 */
export type Translation<From extends Tagged, To, Result = To> = {
  readonly [T in From['type'] as Of<From, T> extends To ? never : T]: (from: Of<From, T>) => Result;
} & {
  readonly [T in From['type']]?: (from: Of<From, T>) => Result;
};

/** Translates by a table. */
export function translate<From extends Tagged, To, Result>(
  table: Translation<From, To, Result>,
  from: From,
): Result | To {
  const entry = (table as Record<string, ((from: From) => Result) | undefined>)[from.type];
  // The table's type says that what is not in it is the same in both.
  return entry === undefined ? (from as unknown as To) : entry(from);
}
