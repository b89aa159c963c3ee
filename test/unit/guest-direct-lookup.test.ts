/** The compiled table against the classifier and against a plain scan. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Classifier, KEY_WORDS } from '../../packet/index.ts';
import { directLookup, MAX_DIRECT_ENTRIES } from '../../sandbox/guest/openflow/direct-lookup.ts';

/** Words with few distinct values, so that entries match, overlap and miss. */
const word = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);
const key = fc
  .record({ a: word, b: word, c: word })
  .map(({ a, b, c }) => Uint32Array.from({ length: KEY_WORDS }, (_, i) => [a, b, 0, c][i] ?? 0));

const table = fc
  .array(fc.record({ value: key, mask: key }), { maxLength: MAX_DIRECT_ENTRIES })
  .map((entries) =>
    entries.map(({ value, mask }, i) => ({
      // Which of two entries of one priority wins is nobody's promise.
      priority: (i * 5) % 17,
      value: value.map((bits, w) => bits & mask[w]),
      mask,
    })),
  );

test('finds what the classifier and a scan in order of priority find', () => {
  fc.assert(
    fc.property(table, fc.array(key, { minLength: 1, maxLength: 20 }), (entries, keys) => {
      const compiled = directLookup(entries);
      const classifier = new Classifier<(typeof entries)[number]>();
      for (const entry of entries) classifier.insert(entry.value, entry.mask, entry.priority, entry);
      for (const wanted of keys) {
        const scanned = [...entries]
          .sort((x, y) => y.priority - x.priority)
          .find(({ value, mask }) => value.every((bits, w) => bits === (wanted[w] & mask[w]) >>> 0));
        expect(compiled(wanted)).toBe(scanned);
        expect(classifier.lookup(wanted)).toBe(scanned);
      }
    }),
    { numRuns: 500 },
  );
});

test('an entry without a mask matches all, an empty table nothing', () => {
  const none = new Uint32Array(KEY_WORDS);
  const miss = { value: none, mask: none, priority: 0 };
  expect(directLookup([miss])(new Uint32Array(KEY_WORDS).fill(7))).toBe(miss);
  expect(directLookup([])(none)).toBeUndefined();
});
