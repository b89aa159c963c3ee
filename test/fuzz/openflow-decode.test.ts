/**
 * 200,000 mutated messages of all versions: decode returns a message or throws an OpenFlowError, and never
 * anything else, never reads outside the message, and does not produce more than in proportion to it.
 * FLOWCELL_FUZZ_SEED repeats a run; `npm run fuzz` is the long one.
 */
import { expect, test } from 'vitest';
import { Framer, OpenFlowError } from '../../openflow/index.ts';
import { FUZZED, fuzzDecoder, random } from '../support/openflow-fuzz.ts';

const RUNS = 200_000;
const EACH = Math.ceil(RUNS / FUZZED.length);
const seed = Number(process.env.FLOWCELL_FUZZ_SEED ?? Date.now() & 0x7fffffff);

test.each(FUZZED)(
  `OpenFlow $name: ${EACH} mutated messages (seed ${seed})`,
  { timeout: 600_000 },
  (version) => {
    const { decoded, refused } = fuzzDecoder(version, EACH, seed);
    expect(decoded).toBeGreaterThan(EACH / 20);
    expect(refused).toBeGreaterThan(EACH / 20);
  },
);

test('a stream of anything: the framer delivers, waits or refuses', () => {
  const pick = random(seed);
  for (let run = 0; run < 5_000; run++) {
    const framer = new Framer();
    let sent = 0;
    let delivered = 0;
    try {
      for (let chunks = pick(6); chunks > 0; chunks--) {
        const chunk = Uint8Array.from({ length: pick(200) }, (_, i) =>
          i % 40 < 3 ? [4, 2, 0][i % 40] : pick(48),
        );
        sent += chunk.length;
        framer.push(chunk, (bytes) => {
          delivered += bytes.length;
          expect((bytes[2] << 8) | bytes[3]).toBe(bytes.length);
        });
      }
      expect(delivered + framer.buffered).toBe(sent);
    } catch (error) {
      expect(error).toBeInstanceOf(OpenFlowError);
    }
  }
});
