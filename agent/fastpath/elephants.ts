/**
 * Which flows are worth an entry: those of which `threshold` packets come within a window. A table of counters with a
 * place for each hash; a flow that meets another's counter takes from it (the majority vote of Boyer and Moore), so that
 * big flows keep their places however many small ones there are.
 */
const PLACES = 65_536;

export class Elephants {
  readonly #threshold: number;
  readonly #windowMs: number;
  readonly #flows = new Int32Array(PLACES);
  readonly #counts = new Uint16Array(PLACES);
  /** When the counting began, ms, truncated. */
  readonly #since = new Int32Array(PLACES);

  constructor(threshold: number, windowMs: number) {
    this.#threshold = threshold;
    this.#windowMs = windowMs;
  }

  /** It is to earn its entry anew. */
  forget(hash: number, now: number): void {
    const at = (hash >>> 1) & (PLACES - 1);
    if (this.#flows[at] !== hash) return;
    this.#counts[at] = 0;
    this.#since[at] = now | 0;
  }

  /** Counts a packet of the flow with this hash; true when that makes it big enough. */
  seen(hash: number, now: number): boolean {
    const at = (hash >>> 1) & (PLACES - 1);
    const time = now | 0;
    if (this.#flows[at] !== hash) {
      if (this.#counts[at] > 1 && ((time - this.#since[at]) | 0) < this.#windowMs) {
        this.#counts[at]--;
        return this.#threshold <= 1;
      }
      this.#flows[at] = hash;
      this.#counts[at] = 1;
      this.#since[at] = time;
      return this.#threshold <= 1;
    }
    if (((time - this.#since[at]) | 0) >= this.#windowMs) {
      this.#since[at] = time;
      this.#counts[at] = 1;
    } else if (this.#counts[at] < this.#threshold) this.#counts[at]++;
    return this.#counts[at] >= this.#threshold;
  }
}
