import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CachedClassifier } from '../../packet/cached-classifier.ts';
import { Classifier, KEY_WORDS } from '../../packet/index.ts';

interface Rule {
  value: Uint32Array;
  mask: Uint32Array;
  priority: number;
}

function keyOf(words: [number, number, number]): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  [key[0], key[11], key[31]] = words;
  return key;
}

const matches = (rule: Rule, key: Uint32Array) =>
  rule.mask.every((mask, i) => ((key[i] ^ rule.value[i]) & mask) === 0);

/** Few values and masks, so that rules collide in all ways. */
const word = fc.constantFrom(0, 1, 2, 0x80000000, 0xffffffff);
const maskWord = fc.constantFrom(0, 1, 0x80000000, 0xffffffff);
const ruleArbitrary = fc
  .tuple(fc.tuple(word, word, word), fc.tuple(maskWord, maskWord, maskWord), fc.nat(4))
  .map(([value, mask, priority]): Rule => {
    const full = keyOf(mask);
    return { value: keyOf(value).map((v, i) => v & full[i]), mask: full, priority };
  });

const same = (x: Rule, y: Rule) =>
  x.priority === y.priority && x.value.join() === y.value.join() && x.mask.join() === y.mask.join();

/** Each key finds what a linear scan finds. */
function check(classifier: Classifier<Rule>, list: readonly Rule[], keys: readonly Uint32Array[]): void {
  for (const wanted of keys) {
    const hits = list.filter((rule) => matches(rule, wanted));
    const best = Math.max(-1, ...hits.map((rule) => rule.priority));
    const found = classifier.lookup(wanted);
    expect(found === undefined ? -1 : found.priority).toBe(best);
    if (found !== undefined) expect(hits).toContain(found);
  }
}

describe.each([Classifier, CachedClassifier])('%o', (Kind) => {
  it('finds what a linear scan finds, after any adding and removing', () => {
    const step = fc.record({ rule: ruleArbitrary, remove: fc.boolean(), pick: fc.nat(1000) });
    const key = fc.tuple(word, word, word).map(keyOf);
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(key, { minLength: 1, maxLength: 10 }),
        (steps, keys) => {
          const classifier = new Kind<Rule>();
          let list: Rule[] = [];
          for (const { rule, remove, pick } of steps) {
            // Half of the removals are of rules that are there.
            const target = remove && pick % 2 === 0 && list.length > 0 ? list[pick % list.length] : rule;
            const there = list.find((other) => same(other, target));
            if (remove) {
              expect(classifier.remove(target.value, target.mask, target.priority)).toBe(there);
              list = list.filter((other) => other !== there);
            } else {
              expect(classifier.insert(target.value, target.mask, target.priority, target)).toBe(there);
              list = [...list.filter((other) => other !== there), target];
            }
            expect(classifier.size).toBe(list.length);
            // What is looked up in between must not be remembered wrongly.
            check(classifier, list, keys);
          }
          for (const rule of list) expect(classifier.get(rule.value, rule.mask, rule.priority)).toBe(rule);
          check(classifier, list, keys);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('holds many entries of one mask', () => {
    const classifier = new Kind<{ n: number }>();
    const mask = keyOf([0xffffffff, 0, 0]);
    for (let n = 0; n < 5000; n++) classifier.insert(keyOf([n, 0, 0]), mask, n % 7, { n });
    for (let n = 0; n < 5000; n++) expect(classifier.lookup(keyOf([n, 9, 9]))?.n).toBe(n);
    expect(classifier.lookup(keyOf([5000, 0, 0]))).toBeUndefined();
    for (let n = 0; n < 5000; n += 2) classifier.remove(keyOf([n, 0, 0]), mask, n % 7);
    expect(classifier.size).toBe(2500);
    expect(classifier.lookup(keyOf([42, 0, 0]))).toBeUndefined();
    expect(classifier.lookup(keyOf([43, 0, 0]))?.n).toBe(43);
  });
});

describe('CachedClassifier', () => {
  const masks = Array.from({ length: 8 }, (_, i) => keyOf([0xff << i, 0, 0xffffffff]));

  it('remembers what it found, and what it did not, until it can be another', () => {
    const classifier = new CachedClassifier<{ n: number }>();
    for (const [n, mask] of masks.entries()) classifier.insert(keyOf([0, 0, n]), mask, n, { n });
    const lookup = (z: number) => classifier.lookup(keyOf([0, 0, z]))?.n;
    const seen = () => ({ ...classifier.counters });
    expect([lookup(3), lookup(99)]).toEqual([3, undefined]);
    expect([lookup(3), lookup(99)]).toEqual([3, undefined]);
    expect(seen()).toEqual({ hits: 2, misses: 2 });
    // Bits that no mask looks at are not told apart.
    expect(classifier.lookup(keyOf([0, 77, 3]))?.n).toBe(3);
    expect(seen()).toEqual({ hits: 3, misses: 2 });
    // A better one, and one where there was none: both are found without looking everywhere.
    classifier.insert(keyOf([0, 0, 3]), masks[0], 50, { n: 50 });
    classifier.insert(keyOf([0, 0, 99]), masks[1], 0, { n: 51 });
    expect([lookup(3), lookup(99)]).toEqual([50, 51]);
    expect(seen()).toEqual({ hits: 5, misses: 2 });
    // What was found goes: the next best is looked for.
    classifier.remove(keyOf([0, 0, 3]), masks[0], 50);
    expect(lookup(3)).toBe(3);
    expect(seen()).toEqual({ hits: 5, misses: 3 });
  });

  it('forgets nothing it should know when more flows come than it remembers, and when masks grow wider', () => {
    const classifier = new CachedClassifier<{ n: number }>();
    for (const [n, mask] of masks.entries()) classifier.insert(keyOf([0, 0, n]), mask, 1, { n });
    const exact = keyOf([0xffffffff, 0, 0xffffffff]);
    for (let n = 100; n < 5100; n++) classifier.insert(keyOf([n, 0, n]), exact, 2, { n });
    for (const round of [0, 1]) {
      for (let n = 100; n < 5100; n++) expect(classifier.lookup(keyOf([n, round, n]))?.n).toBe(n);
    }
    classifier.insert(keyOf([0, 5, 0]), keyOf([0, 0xf, 0]), 9, { n: 5 });
    expect(classifier.lookup(keyOf([100, 5, 100]))?.n).toBe(5);
    expect(classifier.lookup(keyOf([100, 6, 100]))?.n).toBe(100);
  });
});
