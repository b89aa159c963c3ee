/** Warm isolates of each kind, and the requests that wait for one: a shelf for each kind. */
import type { CellKind } from '../channel/control.ts';
import type { CellEvents, CellLimits, CellRequest, FrameRef, ProgramImage } from './types.ts';

/** A request for a cell, and who hears of the cell. */
export interface Waiter<F extends FrameRef> extends CellRequest<F> {
  readonly events: CellEvents<F>;
  readonly since: number;
}

export const kindOf = ({ hash }: ProgramImage, { memoryMiB, wall }: CellLimits): CellKind => ({
  hash,
  memoryMiB,
  shared: wall === 'context',
});

export const shelfKey = ({ hash, memoryMiB, shared }: CellKind): string => `${hash}/${memoryMiB}/${shared}`;

export class Shelves<F extends FrameRef> {
  /** Cell indexes. */
  readonly #warm = new Map<string, number[]>();
  readonly #waiting = new Map<string, Waiter<F>[]>();

  /** A warm isolate's index, if there is one. */
  take(key: string): number | undefined {
    return this.#warm.get(key)?.pop();
  }

  put(key: string, index: number): void {
    const warm = this.#warm.get(key);
    if (warm !== undefined) warm.push(index);
    else this.#warm.set(key, [index]);
  }

  /** A warm isolate is there no longer. */
  drop(index: number): void {
    for (const warm of this.#warm.values()) {
      const at = warm.indexOf(index);
      if (at !== -1) warm.splice(at, 1);
    }
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
    return (this.#warm.get(key)?.length ?? 0) > 0;
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
