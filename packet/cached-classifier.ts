/**
 * A classifier that remembers what it found. With many masks a look-up costs a hash for each of them; one that is remembered
 * costs a single hash. What is remembered is found by the bits that any mask looks at.
 *
 * Nothing is forgotten because entries come: a memory that is older than the classifier is made good by looking into those
 * subtables alone that got entries since. New flows come with one or two masks, however many there are. An entry that
 * was taken out is marked, and a memory of it is worth nothing.
 */
import { Classifier, type Node } from './classifier.ts';
import { KEY_WORDS } from './fields.ts';
import { finish, mix, SEED } from './hash.ts';

/** Below so many masks looking is as quick as remembering. Measured. */
const LEAST_MASKS = 4;
const LEAST_PLACES = 1024;
const MOST_PLACES = 65_536;
/** Of which a look-up tries so many. */
const WAYS = 2;

export class CachedClassifier<T extends object> extends Classifier<T> {
  readonly counters = { hits: 0, misses: 0 };
  /** Bits that some mask looks at, and words in which there are any. Bits of masks that are gone stay. */
  readonly #union = new Int32Array(KEY_WORDS);
  #words: readonly number[] = [];
  /** By place: masked words of the key; what was found (undefined: nothing); its priority then; the version then, 0: empty. */
  #keys = new Int32Array(0);
  #nodes: (Node<T> | undefined)[] = [];
  #priorities = new Int32Array(0);
  #versions = new Float64Array(0);
  #victim = 0;

  /** Distinct masks. */
  get masks(): number {
    return this.subtables.length;
  }

  override insert(value: Uint32Array, mask: Uint32Array, priority: number, entry: T): T | undefined {
    if (this.#widen(mask) || (this.size >= this.#nodes.length / 2 && this.#nodes.length < MOST_PLACES)) {
      this.#forget();
    }
    return super.insert(value, mask, priority, entry);
  }

  override lookup(key: Uint32Array): T | undefined {
    if (this.subtables.length < LEAST_MASKS) return this.search(key)?.entry;
    if (this.#nodes.length === 0) this.#allocate();
    const words = this.#words;
    const union = this.#union;
    let hash = SEED;
    for (let i = 0; i < words.length; i++) hash = mix(hash, key[words[i]] & union[words[i]]);
    const first = finish(hash) & (this.#nodes.length - WAYS);
    for (let place = first; place < first + WAYS; place++) {
      if (this.#versions[place] === 0 || !this.#isAt(place, key)) continue;
      const node = this.#nodes[place];
      const priority = this.#priorities[place];
      // GONE is another priority.
      if (node !== undefined && node.priority !== priority) return this.#lookAgain(place, key);
      if (this.#versions[place] !== this.version) this.#catchUp(place, key);
      this.counters.hits++;
      return this.#nodes[place]?.entry;
    }
    this.#victim ^= 1;
    return this.#remember(first + this.#victim, key);
  }

  override clear(): void {
    super.clear();
    this.#forget();
  }

  #isAt(place: number, key: Uint32Array): boolean {
    const words = this.#words;
    const union = this.#union;
    const keys = this.#keys;
    const row = place * words.length;
    for (let i = 0; i < words.length; i++) {
      if ((key[words[i]] & union[words[i]]) !== keys[row + i]) return false;
    }
    return true;
  }

  /** Entries were added since: only where they are can there be a better one. */
  #catchUp(place: number, key: Uint32Array): void {
    const { subtables } = this;
    const since = this.#versions[place];
    let best = this.#nodes[place];
    for (let i = 0; i < subtables.length; i++) {
      const subtable = subtables[i];
      if (best !== undefined && best.priority >= subtable.maxPriority) break;
      if (subtable.changed <= since) continue;
      const node = subtable.find(key);
      if (node !== undefined && (best === undefined || node.priority > best.priority)) best = node;
    }
    this.#keep(place, best);
  }

  #remember(place: number, key: Uint32Array): T | undefined {
    const words = this.#words;
    const row = place * words.length;
    for (let i = 0; i < words.length; i++) this.#keys[row + i] = key[words[i]] & this.#union[words[i]];
    return this.#lookAgain(place, key);
  }

  #lookAgain(place: number, key: Uint32Array): T | undefined {
    this.counters.misses++;
    const node = this.search(key);
    this.#keep(place, node);
    return node?.entry;
  }

  #keep(place: number, node: Node<T> | undefined): void {
    this.#nodes[place] = node;
    this.#priorities[place] = node === undefined ? 0 : node.priority;
    this.#versions[place] = this.version;
  }

  /** True: the mask looks at bits that none has looked at before. */
  #widen(mask: Uint32Array): boolean {
    let wider = false;
    for (let word = 0; word < KEY_WORDS; word++) {
      if ((mask[word] & ~this.#union[word]) === 0) continue;
      this.#union[word] |= mask[word];
      wider = true;
    }
    if (wider) this.#words = Array.from(this.#union.keys()).filter((word) => this.#union[word] !== 0);
    return wider;
  }

  /** Memory is taken at the next look-up that needs it. */
  #forget(): void {
    this.#nodes = [];
  }

  #allocate(): void {
    let places = LEAST_PLACES;
    while (places < MOST_PLACES && places < this.size * 4) places *= 2;
    this.#keys = new Int32Array(places * this.#words.length);
    this.#nodes = new Array(places).fill(undefined);
    this.#priorities = new Int32Array(places);
    this.#versions = new Float64Array(places);
  }
}
