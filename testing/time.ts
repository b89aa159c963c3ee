/** Time that stands still until a test moves it. */

/** Not 0, which some take for "never". */
const START_MS = 1000;

interface Timer {
  at: number;
  /** 0: once. */
  readonly period: number;
  readonly callback: () => void;
}

/** For the controller and the agent in place of the system's time. */
export class VirtualTime {
  #now = START_MS;
  readonly #timers = new Set<Timer>();

  /** Milliseconds. May be handed to an app as it is: `learningSwitch({ now: time.now })`. */
  readonly now = (): number => this.#now;

  /** Calls back once, when so many milliseconds have been let pass; returns what prevents that. */
  after(ms: number, callback: () => void): () => void {
    return this.#add({ at: this.#now + Math.max(0, ms), period: 0, callback });
  }

  /** Calls back every so many milliseconds; returns what ends that. */
  every(ms: number, callback: () => void): () => void {
    const period = Math.max(1, ms);
    return this.#add({ at: this.#now + period, period, callback });
  }

  /** Resolves when so many milliseconds have been let pass. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /**
   * Moves to the next moment at which something is to happen, `until` at the latest, and calls back what is due
   * there. False when that was `until` and nothing is left before it.
   */
  step(until: number): boolean {
    let next = until;
    for (const { at } of this.#timers) if (at < next) next = at;
    this.#now = Math.max(this.#now, next);
    const due = [...this.#timers].filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at);
    for (const timer of due) {
      // One of those before it may have ended it.
      if (!this.#timers.has(timer)) continue;
      if (timer.period === 0) this.#timers.delete(timer);
      else timer.at = this.#now + timer.period;
      timer.callback();
    }
    return this.#now < until || due.length > 0;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}
