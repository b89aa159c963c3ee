/** The time, and what calls back at a time: the system's, or a test's. */

export interface Time {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Calls back once, in so many milliseconds; returns what prevents that. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every so many milliseconds; returns what ends that. */
  every(ms: number, callback: () => void): () => void;
}

export const SYSTEM_TIME: Time = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
};

/** The time, read once per burst of packets instead of once per packet. */
export class Clock {
  readonly #time: Time;
  /** Milliseconds, monotonic. */
  now: number;

  constructor(time: Time = SYSTEM_TIME) {
    this.#time = time;
    this.now = time.now();
  }

  tick(): number {
    this.now = this.#time.now();
    return this.now;
  }
}
