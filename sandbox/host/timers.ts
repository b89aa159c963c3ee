/** When cells are to be run although nothing came for them (performance.now() clock). */
import { MAX_INDEX } from '../channel/control.ts';

export class Timers {
  /** Infinity: none. */
  readonly #at = new Float64Array(MAX_INDEX).fill(Infinity);
  /** No timer is due before. */
  #next = Infinity;

  set(index: number, at: number): void {
    this.#at[index] = at;
    if (at < this.#next) this.#next = at;
  }

  clear(index: number): void {
    this.#at[index] = Infinity;
  }

  /** Clears those that are due and calls for each. Returns when to ask again, Infinity if there is no timer. */
  take(due: (index: number) => void): number {
    if (this.#next === Infinity) return Infinity;
    const now = performance.now();
    if (now < this.#next) return this.#next;
    let next = Infinity;
    for (let index = 0; index < MAX_INDEX; index++) {
      const at = this.#at[index]!;
      if (at <= now) {
        this.#at[index] = Infinity;
        due(index);
      } else if (at < next) next = at;
    }
    this.#next = next;
    return next;
  }
}
