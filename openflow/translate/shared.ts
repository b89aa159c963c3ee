/** What several dialects need. */
import { OpenFlowError } from '../errors.ts';

/** A new array, where there may be none. */
export const each = <A, B>(list: readonly A[] | undefined, to: (item: A) => B): B[] =>
  list === undefined ? [] : list.map(to);

export function fail(errorType: number, code: number, text: string): never {
  throw new OpenFlowError(errorType, code, text);
}
