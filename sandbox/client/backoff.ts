/** How long to wait before a host that died is started again. */

/** Doubled each time it dies young, ms. */
const FIRST_MS = 50;
const MOST_MS = 5000;
const YOUNG_MS = 10_000;

export class Backoff {
  #startedAt = 0;
  #ms = FIRST_MS;

  started(): void {
    this.#startedAt = performance.now();
  }

  /** The pause before the next start, ms. */
  next(): number {
    if (performance.now() - this.#startedAt > YOUNG_MS) this.#ms = FIRST_MS;
    const pause = this.#ms;
    this.#ms = Math.min(pause * 2, MOST_MS);
    return pause;
  }
}
