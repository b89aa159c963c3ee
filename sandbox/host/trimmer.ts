/**
 * Gives the memory of isolates that have ended back to the system. The C library keeps what is freed: a third of what an isolate
 * takes (V8's own objects for it), for each of the most isolates there ever were at a time. V8's own pages go back by themselves.
 */
import { trimMemory } from '../sys/libc.ts';

/** Not worth it for fewer. */
const WORTH = 32;
/** So long none has ended: while some do, others are made of what they leave, ms. */
const QUIET_MS = 2000;

export class Trimmer {
  /** Ended since the last time. */
  #ended = 0;
  #lastEnd = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #trim: () => void;

  constructor(trim: () => void = trimMemory) {
    this.#trim = trim;
  }

  /** An isolate was disposed. */
  ended(): void {
    this.#ended++;
    this.#lastEnd = performance.now();
    if (this.#ended >= WORTH) this.#timer ??= setTimeout(() => this.#look(), QUIET_MS);
  }

  #look(): void {
    this.#timer = undefined;
    const wait = this.#lastEnd + QUIET_MS - performance.now();
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#look(), wait);
      return;
    }
    this.#ended = 0;
    this.#trim();
  }
}
