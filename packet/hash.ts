/** Hashes of words: mixed in one by one, then finished. */

/** Differs per process, so that nobody outside can choose values that share a place: to begin with. */
export const SEED = Math.floor(Math.random() * 0x1_0000_0000) | 0;

export function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}

/** Never 0. */
export function finish(hash: number): number {
  const h = Math.imul(hash, 0x85ebca6b);
  return h ^ (h >>> 13) || 1;
}
