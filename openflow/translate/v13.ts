/** OpenFlow 1.3 needs no translation. */
import { decode, encode } from '../index.ts';
import type { Dialect } from './dialect.ts';

export const dialect13: Dialect = {
  version: 4,
  decode: (bytes) => [decode(bytes)],
  encode: (message) => [encode(message)],
};
