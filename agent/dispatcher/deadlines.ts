/**
 * When rules are to be looked at again: a binary heap by time, in which each rule knows its place. Looking at those whose time
 * has come costs nothing for the others; a rule that is used moves when its old time has come, not with every packet.
 */

export interface Timed {
  /** Place in the heap, -1: in none. Kept by Deadlines. */
  heapAt: number;
  /** Milliseconds of the agent's clock at which it is looked at. Kept by Deadlines. */
  due: number;
}

export class Deadlines<T extends Timed> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** Puts it in, or moves it; a time of Infinity takes it out. */
  set(item: T, due: number): void {
    if (due === Infinity) {
      this.remove(item);
      return;
    }
    item.due = due;
    if (item.heapAt === -1) {
      item.heapAt = this.#heap.length;
      this.#heap.push(item);
    }
    this.#settle(item);
  }

  remove(item: T): void {
    const at = item.heapAt;
    if (at === -1) return;
    item.heapAt = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    this.#heap[at] = last;
    last.heapAt = at;
    this.#settle(last);
  }

  /** The one that is due first, if its time has come. */
  first(now: number): T | undefined {
    const first = this.#heap[0];
    return first !== undefined && first.due <= now ? first : undefined;
  }

  /** Up or down to where it belongs. */
  #settle(item: T): void {
    const heap = this.#heap;
    let at = item.heapAt;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1];
      if (parent.due <= item.due) break;
      this.#place(parent, at);
      at = (at - 1) >> 1;
    }
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].due < heap[child].due) child++;
      if (heap[child].due >= item.due) break;
      this.#place(heap[child], at);
      at = child;
    }
    this.#place(item, at);
  }

  #place(item: T, at: number): void {
    this.#heap[at] = item;
    item.heapAt = at;
  }
}
