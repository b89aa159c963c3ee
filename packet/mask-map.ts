/** A map whose keys are masks of flow keys, by content. */
import { KEY_WORDS } from './fields.ts';
import { finish, mix, SEED } from './hash.ts';

interface Entry<V> {
  readonly mask: Uint32Array;
  value: V;
}

export class MaskMap<V> {
  size = 0;
  private readonly entries = new Map<number, Entry<V>[]>();

  get(mask: Uint32Array): V | undefined {
    return this.entries.get(hashOf(mask))?.find((entry) => same(entry.mask, mask))?.value;
  }

  /** Keeps the mask as it is: it must not change any more. */
  set(mask: Uint32Array, value: V): void {
    const hash = hashOf(mask);
    const chain = this.entries.get(hash) ?? [];
    const entry = chain.find((other) => same(other.mask, mask));
    if (entry !== undefined) {
      entry.value = value;
      return;
    }
    chain.push({ mask, value });
    this.entries.set(hash, chain);
    this.size++;
  }

  delete(mask: Uint32Array): void {
    const hash = hashOf(mask);
    const chain = this.entries.get(hash) ?? [];
    const left = chain.filter((entry) => !same(entry.mask, mask));
    this.size -= chain.length - left.length;
    if (left.length > 0) this.entries.set(hash, left);
    else this.entries.delete(hash);
  }

  clear(): void {
    this.entries.clear();
    this.size = 0;
  }
}

function hashOf(mask: Uint32Array): number {
  let hash = SEED;
  for (let word = 0; word < KEY_WORDS; word++) hash = mix(hash, mask[word]);
  return finish(hash);
}

function same(a: Uint32Array, b: Uint32Array): boolean {
  for (let word = 0; word < KEY_WORDS; word++) if (a[word] !== b[word]) return false;
  return true;
}
