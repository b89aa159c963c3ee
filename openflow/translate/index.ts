/** The versions that agent and controller can speak on a connection, each by its dialect. */
import type { WireVersion } from '../version-name.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { createDialect10 } from './v10.ts';
import { dialect13 } from './v13.ts';
import { dialect14 } from './v14.ts';
import { dialect15 } from './v15.ts';

type MakeDialect = (context: DialectContext | undefined) => Dialect;

const MAKERS: { readonly [V in WireVersion]?: MakeDialect } = {
  1: createDialect10,
  4: () => dialect13,
  5: dialect14,
  6: dialect15,
};

/** Wire versions with a dialect, ascending. */
export const SPOKEN_VERSIONS: readonly WireVersion[] = Object.keys(MAKERS).map(Number) as WireVersion[];

/** A dialect for one connection; undefined for a version without one. */
export const createDialect = (version: number, context?: DialectContext): Dialect | undefined =>
  MAKERS[version as WireVersion]?.(context);

export type { Dialect, DialectContext } from './dialect.ts';
