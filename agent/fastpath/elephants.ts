/**
 * Which flows are worth an entry: those of which `threshold` packets come within a window. A table of counters in sets of
 * four, so that flows that share a set do not keep each other from being counted; a flow that finds its set full takes
 * from the smallest counter there (the majority vote of Boyer and Moore), so that big flows keep their places however many
 * small ones there are.
 */
const WAYS = 4;
/** Four times as many places as flows have entries: a fifth flow in a set is rare then. */
const SETS = 32_768;
const NONE = -1;

export class Elephants {
  readonly #threshold: number;
  readonly #windowMs: number;
  readonly #flows = new Int32Array(SETS * WAYS);
  /** 0: the place is free. */
  readonly #counts = new Uint16Array(SETS * WAYS);
  /** When the counting began, ms, truncated. */
  readonly #since = new Int32Array(SETS * WAYS);

  constructor(threshold: number, windowMs: number) {
    this.#threshold = threshold;
    this.#windowMs = windowMs;
  }

  /** It is to earn its entry anew, or has one. */
  forget(hash: number): void {
    const at = this.#find(hash);
    if (at !== NONE) this.#counts[at] = 0;
  }

  /** Counts a packet of the flow with this hash; true when that makes it big enough. */
  seen(hash: number, now: number): boolean {
    const time = now | 0;
    let at = this.#find(hash);
    if (at === NONE) {
      at = this.#smallest(hash, time);
      if (this.#counts[at] > 1 && !this.#isOver(at, time)) {
        this.#counts[at]--;
        return this.#threshold <= 1;
      }
      this.#flows[at] = hash;
      this.#counts[at] = 0;
    }
    if (this.#counts[at] === 0 || this.#isOver(at, time)) {
      this.#since[at] = time;
      this.#counts[at] = 1;
    } else if (this.#counts[at] < this.#threshold) this.#counts[at]++;
    return this.#counts[at] >= this.#threshold;
  }

  #isOver(at: number, time: number): boolean {
    return ((time - this.#since[at]) | 0) >= this.#windowMs;
  }

  #find(hash: number): number {
    const first = firstOf(hash);
    for (let at = first; at < first + WAYS; at++) if (this.#flows[at] === hash) return at;
    return NONE;
  }

  /** The place in the flow's set that is free, over, or else has counted least. */
  #smallest(hash: number, time: number): number {
    const first = firstOf(hash);
    let least = first;
    for (let at = first; at < first + WAYS; at++) {
      if (this.#counts[at] === 0 || this.#isOver(at, time)) return at;
      if (this.#counts[at] < this.#counts[least]) least = at;
    }
    return least;
  }
}

/** The lowest bit of a hash is always set. */
const firstOf = (hash: number): number => ((hash >>> 1) & (SETS - 1)) * WAYS;
