/** Work that one run of a cell is too short for: a generator, which stops between pieces of about a millisecond. */
import type { Pause } from '../program.ts';

export type Steps<T = void> = Generator<Pause, T>;

/** Entries that are looked at, changed or described in one piece. */
const PIECE = 64;

/** Goes through items, with a pause after each piece of them. */
export function* inPieces<T>(
  items: Iterable<T>,
  pause: Pause,
  each: (item: T) => void,
  piece = PIECE,
): Steps {
  let left = piece;
  for (const item of items) {
    if (left-- === 0) {
      left = piece - 1;
      yield pause;
    }
    each(item);
  }
}

/** The items of which `test` is true. */
export function* selectInPieces<T>(items: Iterable<T>, test: (item: T) => boolean): Steps<T[]> {
  const selected: T[] = [];
  yield* inPieces(
    items,
    'closed',
    (item) => {
      if (test(item)) selected.push(item);
    },
    SCAN_PIECE,
  );
  return selected;
}

/** Items that are only looked at: many more in the same time. */
const SCAN_PIECE = 1024;

/** The one thing that is being done. */
export class Task {
  /** What may happen before the next piece; undefined: there is nothing to do. */
  pending: Pause | undefined;
  private steps: Steps | undefined;

  /** Does the first piece. */
  begin(steps: Steps): void {
    this.steps = steps;
    this.carryOn();
  }

  /** Does one more piece. */
  carryOn(): void {
    const next = this.steps?.next();
    this.pending = next === undefined || next.done === true ? undefined : next.value;
    if (this.pending === undefined) this.steps = undefined;
  }
}
