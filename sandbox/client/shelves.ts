/** Warm isolates of each kind, and the requests that wait for one: a shelf for each kind. */
import type { CellKind } from '../channel/control.ts';
import type { CellEvents, CellLimits, CellRequest, FrameRef, ProgramImage } from './types.ts';

/** A request for a cell, and who hears of the cell. */
export interface Waiter<F extends FrameRef> extends CellRequest<F> {
  readonly events: CellEvents<F>;
  readonly since: number;
  /** The host was asked for an isolate. */
  asked: boolean;
}

export const kindOf = ({ hash }: ProgramImage, { memoryMiB, wall }: CellLimits): CellKind => ({
  hash,
  memoryMiB,
  shared: wall === 'context',
});

export const shelfKey = ({ hash, memoryMiB, shared }: CellKind): string => `${hash}/${memoryMiB}/${shared}`;

/** Kept of a kind that is not pooled: as many as a host makes of contexts, once one was asked for. */
const KEPT = 16;
/** So many are given up at once: disposing of them is work for the host's thread, which has packets to handle. */
export const MOST_SURPLUS = 64;

interface Warm {
  /** Cell indexes, the last used on top: its memory is in the caches. */
  readonly indexes: number[];
  /** The fewest there were since the surplus was last taken: so many were not needed. */
  fewest: number;
}

export class Shelves<F extends FrameRef> {
  readonly #warm = new Map<string, Warm>();
  readonly #waiting = new Map<string, Waiter<F>[]>();

  /** A warm isolate's index, if there is one. */
  take(key: string): number | undefined {
    const warm = this.#warm.get(key);
    const index = warm?.indexes.pop();
    if (index !== undefined && warm!.indexes.length < warm!.fewest) warm!.fewest = warm!.indexes.length;
    return index;
  }

  put(key: string, index: number): void {
    const warm = this.#warm.get(key);
    if (warm !== undefined) warm.indexes.push(index);
    else this.#warm.set(key, { indexes: [index], fewest: 0 });
  }

  /** A warm isolate is there no longer. */
  drop(index: number): void {
    for (const { indexes } of this.#warm.values()) {
      const at = indexes.indexOf(index);
      if (at !== -1) indexes.splice(at, 1);
    }
  }

  /**
   * Takes out those that nobody has needed since the last call, the longest unused first, but for `kept` of each `pooled`
   * kind and KEPT of the others.
   */
  surplus(pooled: ReadonlySet<string>, kept: number): number[] {
    const found: number[] = [];
    for (const [key, warm] of this.#warm) {
      const { indexes } = warm;
      const most = Math.min(warm.fewest, indexes.length) - (pooled.has(key) ? kept : KEPT);
      const now = Math.min(most, MOST_SURPLUS - found.length);
      if (now > 0) found.push(...indexes.splice(0, now));
      warm.fewest = indexes.length;
    }
    return found;
  }

  /** The process is gone, and its isolates with it; who waits goes on waiting. */
  clear(): void {
    this.#warm.clear();
  }

  wait(key: string, waiter: Waiter<F>): void {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) waiting.push(waiter);
    else this.#waiting.set(key, [waiter]);
  }

  /** Who waits longest, of those who have not given up. */
  next(key: string): Waiter<F> | undefined {
    const waiting = this.#waiting.get(key);
    for (let waiter = waiting?.shift(); waiter !== undefined; waiter = waiting?.shift()) {
      if (waiter.wanted?.() !== false) return waiter;
    }
    return undefined;
  }

  some(key: string, fits: (waiter: Waiter<F>) => boolean): boolean {
    return this.#waiting.get(key)?.some(fits) === true;
  }

  /** A warm isolate is there. */
  has(key: string): boolean {
    return (this.#warm.get(key)?.indexes.length ?? 0) > 0;
  }

  /** How many wait. */
  get size(): number {
    let count = 0;
    for (const list of this.#waiting.values()) count += list.length;
    return count;
  }

  get waiting(): readonly Waiter<F>[] {
    return [...this.#waiting.values()].flat();
  }

  /** Takes out all who wait, or those who wait for this shelf. */
  takeWaiting(key?: string): Waiter<F>[] {
    const taken: Waiter<F>[] = [];
    for (const [each, list] of this.#waiting) {
      if (key !== undefined && each !== key) continue;
      this.#waiting.delete(each);
      taken.push(...list);
    }
    return taken;
  }
}
