/** What dialects have in common. */
import { EncodeError, OpenFlowError } from '../errors.ts';
import type { Message, MessageInit } from '../index.ts';
import { MultipartFlag } from '../v13/constants.ts';
import { versionName } from '../version-name.ts';

export type MultipartReply = Extract<Message, { type: 'multipart_reply' }>;
export type MultipartReplyInit = Extract<MessageInit, { type: 'multipart_reply' }>;

/** An error of type and code that says what a peer's version has no words for. */
export const cannotSay = (version: number, what: string, [type, code]: readonly [number, number]) =>
  new OpenFlowError(type, code, `${what}: the other side speaks OpenFlow ${versionName(version)} only`);

/**
 * Encodes a message with a list in it, in several parts (all but the last with the MORE flag) where one would be too
 * long: entries may be longer in one version than in another.
 * @param encodePart encodes the items from `start` to before `end`
 * @throws EncodeError of encodePart; FC_OF_TOO_LONG where a single item is too long
 */
export function encodeInParts(
  count: number,
  more: boolean,
  encodePart: (start: number, end: number, flags: number) => Uint8Array,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const add = (start: number, end: number, last: boolean): void => {
    try {
      parts.push(encodePart(start, end, last ? 0 : MultipartFlag.MORE));
    } catch (error) {
      if (!(error instanceof EncodeError && error.code === 'FC_OF_TOO_LONG') || end - start < 2) throw error;
      const middle = (start + end) >> 1;
      add(start, middle, false);
      add(middle, end, last);
    }
  };
  add(0, count, !more);
  return parts;
}

/** A new array, where there may be none. */
export const each = <A, B>(list: readonly A[] | undefined, to: (item: A) => B): B[] =>
  list === undefined ? [] : list.map(to);

export function fail(errorType: number, code: number, text: string): never {
  throw new OpenFlowError(errorType, code, text);
}
