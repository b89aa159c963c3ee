/**
 * Finds the entry of highest priority that matches a flow key: tuple-space search (Srinivasan et al.,
 * SIGCOMM'99), as Open vSwitch does it. Entries with the same mask share a hash table; tables are searched
 * from the highest priority down, and the search ends when no later table can do better. A lookup costs one
 * hash per distinct mask looked at, however many entries there are, and allocates nothing.
 */
import { KEY_WORDS } from './fields.ts';

interface Node<T extends object> {
  readonly hash: number;
  /** The value's words where the mask is not zero, in that order. */
  readonly value: Uint32Array;
  readonly priority: number;
  entry: T;
  /** Same value, lower priority. */
  lower: Node<T> | undefined;
  /** Another value in the same bucket. */
  next: Node<T> | undefined;
}

/** Differs per process, so that nobody outside can choose values that share a bucket. */
const SEED = Math.floor(Math.random() * 0x1_0000_0000) | 0;

/** Entries with one mask. */
class Subtable<T extends object> {
  readonly mask: Uint32Array;
  /** The words the mask touches, and the mask there. */
  readonly words: number[] = [];
  readonly masks: Int32Array;
  maxPriority = -1;
  private readonly priorities = new Map<number, number>();
  private buckets: (Node<T> | undefined)[] = new Array(8).fill(undefined);
  private values = 0;

  constructor(mask: Uint32Array) {
    this.mask = mask.slice();
    for (let word = 0; word < KEY_WORDS; word++) if (mask[word] !== 0) this.words.push(word);
    this.masks = Int32Array.from(this.words, (word) => mask[word]);
  }

  get empty(): boolean {
    return this.values === 0;
  }

  find(key: Uint32Array): Node<T> | undefined {
    const { words, masks } = this;
    const count = words.length;
    let hash = SEED;
    for (let i = 0; i < count; i++) hash = mix(hash, key[words[i]] & masks[i]);
    hash = finish(hash);
    search: for (
      let node = this.buckets[hash & (this.buckets.length - 1)];
      node !== undefined;
      node = node.next
    ) {
      if (node.hash !== hash) continue;
      const value = node.value;
      for (let i = 0; i < count; i++) {
        if ((((key[words[i]] & masks[i]) ^ value[i]) | 0) !== 0) continue search;
      }
      return node;
    }
    return undefined;
  }

  insert(value: Uint32Array, priority: number, entry: T): T | undefined {
    const head = this.find(value);
    for (let node = head; node !== undefined; node = node.lower) {
      if (node.priority === priority) {
        const old = node.entry;
        node.entry = entry;
        return old;
      }
    }
    this.count(priority, 1);
    if (head === undefined) {
      this.link(this.newNode(value, priority, entry));
      this.values++;
      if (this.values > this.buckets.length) this.rehash(this.buckets.length * 2);
      return undefined;
    }
    const node = this.newNode(value, priority, entry);
    if (priority > head.priority) {
      this.unlink(head);
      node.lower = head;
      head.next = undefined;
      this.link(node);
      return undefined;
    }
    let above = head;
    while (above.lower !== undefined && above.lower.priority > priority) above = above.lower;
    node.lower = above.lower;
    above.lower = node;
    return undefined;
  }

  get(value: Uint32Array, priority: number): T | undefined {
    for (let node = this.find(value); node !== undefined; node = node.lower) {
      if (node.priority === priority) return node.entry;
    }
    return undefined;
  }

  remove(value: Uint32Array, priority: number): T | undefined {
    const head = this.find(value);
    let above: Node<T> | undefined;
    for (let node = head; node !== undefined; above = node, node = node.lower) {
      if (node.priority !== priority) continue;
      this.count(priority, -1);
      if (above !== undefined) {
        above.lower = node.lower;
        return node.entry;
      }
      this.unlink(node);
      const heir = node.lower;
      if (heir !== undefined) this.link(heir);
      else this.values--;
      return node.entry;
    }
    return undefined;
  }

  private newNode(value: Uint32Array, priority: number, entry: T): Node<T> {
    const masked = Uint32Array.from(this.words, (word, i) => value[word] & this.masks[i]);
    let hash = SEED;
    for (let i = 0; i < masked.length; i++) hash = mix(hash, masked[i]);
    return { hash: finish(hash), value: masked, priority, entry, lower: undefined, next: undefined };
  }

  private link(node: Node<T>): void {
    const bucket = node.hash & (this.buckets.length - 1);
    node.next = this.buckets[bucket];
    this.buckets[bucket] = node;
  }

  private unlink(node: Node<T>): void {
    const bucket = node.hash & (this.buckets.length - 1);
    const first = this.buckets[bucket];
    if (first === node) {
      this.buckets[bucket] = node.next;
      return;
    }
    for (let before = first; before !== undefined; before = before.next) {
      if (before.next !== node) continue;
      before.next = node.next;
      return;
    }
  }

  private rehash(size: number): void {
    const old = this.buckets;
    this.buckets = new Array(size).fill(undefined);
    for (let node of old) {
      while (node !== undefined) {
        const next: Node<T> | undefined = node.next;
        this.link(node);
        node = next;
      }
    }
  }

  private count(priority: number, by: number): void {
    const left = (this.priorities.get(priority) ?? 0) + by;
    if (left > 0) this.priorities.set(priority, left);
    else this.priorities.delete(priority);
    if (by > 0) this.maxPriority = Math.max(this.maxPriority, priority);
    else if (left === 0 && priority === this.maxPriority) {
      this.maxPriority = -1;
      for (const other of this.priorities.keys()) this.maxPriority = Math.max(this.maxPriority, other);
    }
  }
}

function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}

function finish(hash: number): number {
  const h = Math.imul(hash, 0x85ebca6b);
  return h ^ (h >>> 13);
}

export class Classifier<T extends object> {
  size = 0;
  /** By descending maxPriority. */
  private readonly subtables: Subtable<T>[] = [];
  private readonly byMask = new Map<string, Subtable<T>>();

  /** Adds an entry; one with the same value, mask and priority is replaced and returned. */
  insert(value: Uint32Array, mask: Uint32Array, priority: number, entry: T): T | undefined {
    const name = mask.join();
    let subtable = this.byMask.get(name);
    if (subtable === undefined) {
      subtable = new Subtable<T>(mask);
      this.byMask.set(name, subtable);
      this.subtables.push(subtable);
    }
    const old = subtable.insert(value, priority, entry);
    if (old === undefined) this.size++;
    this.sort();
    return old;
  }

  /** Takes out the entry with this very value, mask and priority; undefined when there is none. */
  remove(value: Uint32Array, mask: Uint32Array, priority: number): T | undefined {
    const name = mask.join();
    const subtable = this.byMask.get(name);
    const old = subtable?.remove(value, priority);
    if (subtable === undefined || old === undefined) return undefined;
    this.size--;
    if (subtable.empty) {
      this.byMask.delete(name);
      this.subtables.splice(this.subtables.indexOf(subtable), 1);
    }
    this.sort();
    return old;
  }

  /** The entry with this very value, mask and priority. */
  get(value: Uint32Array, mask: Uint32Array, priority: number): T | undefined {
    return this.byMask.get(mask.join())?.get(value, priority);
  }

  /** The classifier's own copy of a mask that entries have: one for all of them. */
  sharedMask(mask: Uint32Array): Uint32Array {
    return this.byMask.get(mask.join())?.mask ?? mask;
  }

  /** The matching entry of highest priority. Which one of several with equal priority is not defined. */
  lookup(key: Uint32Array): T | undefined {
    const { subtables } = this;
    let best: Node<T> | undefined;
    for (let i = 0; i < subtables.length; i++) {
      const subtable = subtables[i];
      if (best !== undefined && best.priority >= subtable.maxPriority) break;
      const node = subtable.find(key);
      if (node !== undefined && (best === undefined || node.priority > best.priority)) best = node;
    }
    return best?.entry;
  }

  clear(): void {
    this.subtables.length = 0;
    this.byMask.clear();
    this.size = 0;
  }

  /** Few tables, nearly always in order already: insertion sort moves nothing then. */
  private sort(): void {
    const { subtables } = this;
    for (let i = 1; i < subtables.length; i++) {
      const subtable = subtables[i];
      let j = i;
      for (; j > 0 && subtables[j - 1].maxPriority < subtable.maxPriority; j--)
        subtables[j] = subtables[j - 1];
      subtables[j] = subtable;
    }
  }
}
