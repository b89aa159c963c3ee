/**
 * What a connection remembers of requests, by xid, to understand their answers. Bounded: at most LIMIT answers are
 * awaited, then the oldest is forgotten and its answer takes its ordinary form.
 */
const LIMIT = 256;

export class Remembered<T> {
  readonly #asked = new Map<number, T>();

  set(xid: number, asked: T): void {
    if (!this.#asked.has(xid) && this.#asked.size >= LIMIT) {
      this.#asked.delete(this.#asked.keys().next().value as number);
    }
    this.#asked.set(xid, asked);
  }

  get(xid: number | undefined): T | undefined {
    return this.#asked.get(xid ?? 0);
  }

  /** @param more a further part of the answer follows */
  take(xid: number | undefined, more = false): T | undefined {
    const asked = this.#asked.get(xid ?? 0);
    if (asked !== undefined && !more) this.#asked.delete(xid ?? 0);
    return asked;
  }
}
