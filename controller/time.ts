/** Where the controller has the time from, and what calls it back: the system, or a test. */

export interface Time {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Calls back once, in so many milliseconds; returns what prevents that. */
  after(ms: number, callback: () => void): () => void;
  /** Calls back every so many milliseconds; returns what ends that. */
  every(ms: number, callback: () => void): () => void;
}

/** None of its timers keeps the process alive. */
export const SYSTEM_TIME: Time = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms).unref();
    return () => clearTimeout(timer);
  },
  every(ms, callback) {
    const timer = setInterval(callback, ms).unref();
    return () => clearInterval(timer);
  },
};
