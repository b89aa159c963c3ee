/**
 * Collects the garbage of cells that have nothing to do. Making a cell and setting its flow up leaves a third of its memory
 * behind, and V8 has no reason to collect it as long as nothing is allocated any more: with thousands of idle cells that
 * is most of what they take. Each is collected once, one at a time, on isolated-vm's thread pool; while flows are being set
 * up only now and then, since those need the processor more.
 */

/** A cell is idle when it did not run for so long, ms. */
const IDLE_MS = 500;
/** How many are looked at in a tick, and how often that is, ms. */
const LOOKS = 16;
const TICK_MS = 20;

/** After a cell began a new flow, for so long there is a pause after each, so many times as long as it took. */
const BUSY_MS = 100;
const PAUSES = 9;

export interface Collectable {
  /** It is still there. */
  alive(): boolean;
  /** When it ran last (performance.now() clock). */
  lastRun(): number;
  /** Rejects when the isolate is disposed meanwhile. */
  collect(): Promise<unknown>;
}

export class Collector {
  readonly #waiting = new Set<Collectable>();
  #collecting = false;
  #addedAt = -Infinity;
  /** Not before (performance.now() clock). */
  #resumeAt = -Infinity;
  /** Runs only while somebody waits: a host with nothing to do is to sleep. */
  #timer: NodeJS.Timeout | undefined;

  /** Something has begun to live: it is collected when it comes to rest. */
  add(cell: Collectable): void {
    this.#addedAt = performance.now();
    this.#waiting.add(cell);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    if (this.#collecting || now < this.#resumeAt) return;
    const idleSince = now - IDLE_MS;
    let looks = LOOKS;
    for (const cell of this.#waiting) {
      if (looks-- === 0) return;
      // Who has work goes behind the others.
      this.#waiting.delete(cell);
      if (!cell.alive()) continue;
      if (cell.lastRun() <= idleSince) {
        void this.#collect(cell);
        return;
      }
      this.#waiting.add(cell);
    }
  }

  async #collect(cell: Collectable): Promise<void> {
    this.#collecting = true;
    const start = performance.now();
    try {
      await cell.collect();
    } catch (error) {
      if (cell.alive()) throw error;
    } finally {
      this.#collecting = false;
    }
    const end = performance.now();
    if (end - this.#addedAt < BUSY_MS) this.#resumeAt = end + PAUSES * (end - start);
    // The next one at once: a tick is for when there is none.
    this.#tick();
  }
}
