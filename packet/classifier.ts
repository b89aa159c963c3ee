/**
 * Finds the entry of highest priority that matches a flow key: tuple-space search (Srinivasan et al.,
 * SIGCOMM'99), as Open vSwitch does it. Entries with the same mask share a hash table; tables are searched
 * from the highest priority down, and the search ends when no later table can do better. A lookup costs one
 * hash per distinct mask looked at, however many entries there are, and allocates nothing.
 */
import { KEY_WORDS } from './fields.ts';
import { finish, mix, SEED } from './hash.ts';
import { MaskMap } from './mask-map.ts';

/** An entry, and below it those with the same value and a lower priority. */
export interface Node<T extends object> {
  /** GONE when it has been taken out. */
  priority: number;
  entry: T;
  lower: Node<T> | undefined;
}

export const GONE = -1;

const LEAST_PLACES = 8;

/**
 * Entries with one mask: a hash table with open addressing. Hashes and values lie in typed arrays one after the other, so that
 * among many entries a look-up waits for memory as few times as can be.
 */
export class Subtable<T extends object> {
  readonly mask: Uint32Array;
  maxPriority = -1;
  /** The classifier's version when an entry was last added. */
  changed = 0;
  /** The words the mask touches, and the mask there. */
  private readonly words: number[] = [];
  private readonly masks: Int32Array;
  private readonly priorities = new Map<number, number>();
  private values = 0;
  /** By place: the value's hash, 0 where there is none; its masked words; its entries. */
  private hashes = new Int32Array(LEAST_PLACES);
  private rows: Int32Array;
  private heads: (Node<T> | undefined)[] = new Array(LEAST_PLACES).fill(undefined);

  constructor(mask: Uint32Array) {
    this.mask = mask.slice();
    for (let word = 0; word < KEY_WORDS; word++) if (mask[word] !== 0) this.words.push(word);
    this.masks = Int32Array.from(this.words, (word) => mask[word]);
    this.rows = new Int32Array(LEAST_PLACES * this.words.length);
  }

  get empty(): boolean {
    return this.values === 0;
  }

  find(key: Uint32Array): Node<T> | undefined {
    return this.heads[this.place(key)];
  }

  insert(value: Uint32Array, priority: number, entry: T): T | undefined {
    let place = this.place(value);
    const head = this.heads[place];
    for (let node = head; node !== undefined; node = node.lower) {
      if (node.priority === priority) {
        const old = node.entry;
        node.entry = entry;
        return old;
      }
    }
    this.count(priority, 1);
    const node: Node<T> = { priority, entry, lower: undefined };
    if (head === undefined) {
      // At most half of the places are taken: most look-ups are in vain where there are many masks.
      if (++this.values * 2 > this.hashes.length) {
        this.grow();
        place = this.place(value);
      }
      this.put(place, value, node);
    } else if (priority > head.priority) {
      node.lower = head;
      this.heads[place] = node;
    } else {
      let above = head;
      while (above.lower !== undefined && above.lower.priority > priority) above = above.lower;
      node.lower = above.lower;
      above.lower = node;
    }
    return undefined;
  }

  get(value: Uint32Array, priority: number): T | undefined {
    for (let node = this.find(value); node !== undefined; node = node.lower) {
      if (node.priority === priority) return node.entry;
    }
    return undefined;
  }

  remove(value: Uint32Array, priority: number): T | undefined {
    const place = this.place(value);
    let above: Node<T> | undefined;
    for (let node = this.heads[place]; node !== undefined; above = node, node = node.lower) {
      if (node.priority !== priority) continue;
      this.count(priority, -1);
      node.priority = GONE;
      if (above !== undefined) above.lower = node.lower;
      else if (node.lower !== undefined) this.heads[place] = node.lower;
      else this.clear(place);
      return node.entry;
    }
    return undefined;
  }

  /** Where this value is, or would be. */
  private place(key: Uint32Array): number {
    const { words, masks, hashes, rows } = this;
    const count = words.length;
    let hash = SEED;
    for (let i = 0; i < count; i++) hash = mix(hash, key[words[i]] & masks[i]);
    hash = finish(hash);
    const last = hashes.length - 1;
    let place = hash & last;
    search: for (; hashes[place] !== 0; place = (place + 1) & last) {
      if (hashes[place] !== hash) continue;
      const row = place * count;
      for (let i = 0; i < count; i++) if ((key[words[i]] & masks[i]) !== rows[row + i]) continue search;
      return place;
    }
    return place;
  }

  private put(place: number, value: Uint32Array, node: Node<T>): void {
    const { words, masks, rows } = this;
    const row = place * words.length;
    let hash = SEED;
    for (let i = 0; i < words.length; i++) {
      rows[row + i] = value[words[i]] & masks[i];
      hash = mix(hash, rows[row + i]);
    }
    this.hashes[place] = finish(hash);
    this.heads[place] = node;
  }

  /** Empties a place; those behind it that were put there because theirs was taken move up. */
  private clear(place: number): void {
    const { hashes, heads } = this;
    const last = hashes.length - 1;
    this.values--;
    let gap = place;
    for (let next = (gap + 1) & last; hashes[next] !== 0; next = (next + 1) & last) {
      const wanted = hashes[next] & last;
      if (((next - wanted) & last) < ((next - gap) & last)) continue;
      this.move(next, gap);
      gap = next;
    }
    hashes[gap] = 0;
    heads[gap] = undefined;
  }

  private move(from: number, to: number): void {
    const count = this.words.length;
    this.hashes[to] = this.hashes[from];
    this.heads[to] = this.heads[from];
    this.rows.copyWithin(to * count, from * count, (from + 1) * count);
  }

  private grow(): void {
    const { hashes, rows, heads } = this;
    const count = this.words.length;
    const last = hashes.length * 2 - 1;
    this.hashes = new Int32Array(last + 1);
    this.rows = new Int32Array((last + 1) * count);
    this.heads = new Array(last + 1).fill(undefined);
    for (let old = 0; old < hashes.length; old++) {
      if (hashes[old] === 0) continue;
      let place = hashes[old] & last;
      while (this.hashes[place] !== 0) place = (place + 1) & last;
      this.hashes[place] = hashes[old];
      this.heads[place] = heads[old];
      for (let i = 0; i < count; i++) this.rows[place * count + i] = rows[old * count + i];
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

export class Classifier<T extends object> {
  size = 0;
  /** By descending maxPriority. */
  protected readonly subtables: Subtable<T>[] = [];
  /** Counts the entries added; a replaced one does not count. */
  protected version = 0;
  private readonly byMask = new MaskMap<Subtable<T>>();

  /** Adds an entry; one with the same value, mask and priority is replaced and returned. */
  insert(value: Uint32Array, mask: Uint32Array, priority: number, entry: T): T | undefined {
    let subtable = this.byMask.get(mask);
    if (subtable === undefined) {
      subtable = new Subtable<T>(mask);
      this.byMask.set(subtable.mask, subtable);
      this.subtables.push(subtable);
    }
    const old = subtable.insert(value, priority, entry);
    if (old === undefined) {
      this.size++;
      subtable.changed = ++this.version;
      this.sort();
    }
    return old;
  }

  /** Takes out the entry with this very value, mask and priority; undefined when there is none. */
  remove(value: Uint32Array, mask: Uint32Array, priority: number): T | undefined {
    const subtable = this.byMask.get(mask);
    const old = subtable?.remove(value, priority);
    if (subtable === undefined || old === undefined) return undefined;
    this.size--;
    if (subtable.empty) {
      this.byMask.delete(mask);
      this.subtables.splice(this.subtables.indexOf(subtable), 1);
    }
    this.sort();
    return old;
  }

  /** The entry with this very value, mask and priority. */
  get(value: Uint32Array, mask: Uint32Array, priority: number): T | undefined {
    return this.byMask.get(mask)?.get(value, priority);
  }

  /** The classifier's own copy of a mask that entries have: one for all of them. */
  sharedMask(mask: Uint32Array): Uint32Array {
    return this.byMask.get(mask)?.mask ?? mask;
  }

  /** The matching entry of highest priority. Which one of several with equal priority is not defined. */
  lookup(key: Uint32Array): T | undefined {
    return this.search(key)?.entry;
  }

  protected search(key: Uint32Array): Node<T> | undefined {
    const { subtables } = this;
    let best: Node<T> | undefined;
    for (let i = 0; i < subtables.length; i++) {
      const subtable = subtables[i];
      if (best !== undefined && best.priority >= subtable.maxPriority) break;
      const node = subtable.find(key);
      if (node !== undefined && (best === undefined || node.priority > best.priority)) best = node;
    }
    return best;
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
