/**
 * 200,000 mutated messages of all versions: decode returns a message or throws an OpenFlowError, and never anything else,
 * never reads outside the message, and does not produce more than in proportion to it. FLOWCELL_FUZZ_SEED and
 * FLOWCELL_FUZZ_RUNS repeat or lengthen a run: `FLOWCELL_FUZZ_RUNS=10000000`
 * is the nightly one.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { flowcellMessages } from '../../openflow/flowcell-messages.ts';
import * as plain from '../../openflow/index.ts';
import { Framer, OpenFlowError } from '../../openflow/index.ts';
import { messages } from '../../openflow/v13/messages.ts';
import { type AnyCodec, VERSIONS } from '../support/openflow-versions.ts';
import { messageArbitrary } from '../unit/openflow-arbitrary.ts';

const RUNS = Number(process.env.FLOWCELL_FUZZ_RUNS ?? 200_000);
const seed = Number(process.env.FLOWCELL_FUZZ_SEED ?? Date.now() & 0x7fffffff);

/** mulberry32 */
function random(state: number): (below: number) => number {
  let a = state;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Values that lengths and types break at. */
const EDGES = [0, 1, 3, 4, 7, 8, 9, 15, 16, 24, 0x7f, 0x80, 0xf8, 0xff];

function mutate(message: Uint8Array, wire: number, pick: (below: number) => number): Uint8Array {
  let bytes = message.slice();
  for (let left = 1 + pick(4); left > 0; left--) {
    const at = pick(bytes.length);
    switch (pick(6)) {
      case 0:
        bytes[at] ^= 1 << pick(8);
        break;
      case 1:
        bytes[at] = EDGES[pick(EDGES.length)];
        break;
      case 2:
        bytes[at] = pick(256);
        break;
      case 3: // a piece twice
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(pick(at + 1))])).slice(
          0,
          65535,
        );
        break;
      case 4: // a piece cut out
        bytes = new Uint8Array(Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + pick(16))]));
        break;
      case 5: // a piece of it elsewhere
        bytes.copyWithin(at, pick(bytes.length), pick(bytes.length));
        break;
    }
    if (bytes.length < 8) return message.slice();
  }
  // Mostly with the right length: otherwise little would be seen behind the first check.
  if (pick(20) !== 0) {
    bytes[2] = bytes.length >> 8;
    bytes[3] = bytes.length;
    if (pick(20) !== 0) bytes[0] = wire;
  }
  return bytes;
}

/** How many values a decoded message consists of. */
function weight(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length / 16;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 1;
  let sum = 1;
  for (const key in value) sum += weight((value as Record<string, unknown>)[key]);
  return sum;
}

/** Every version, and that of 1.3 which cells use: without extensions but our own. */
const CODECS = [
  { name: '1.3, plain', wire: 4, codec: plain as AnyCodec, messages: { ...messages, ...flowcellMessages } },
  ...VERSIONS,
];
const EACH = Math.ceil(RUNS / CODECS.length);

test.each(CODECS)(
  `OpenFlow $name: ${EACH} mutated messages (seed ${seed})`,
  { timeout: 7_200_000 },
  ({ wire, codec, messages: defs }) => {
    const pick = random(seed);
    const { decode, encode } = codec;
    const seeds = Object.entries(defs).flatMap(([type, def]) =>
      fc.sample(messageArbitrary(type, def), { seed, numRuns: 30 }).map((message) => encode(message)),
    );
    const outcomes = { decoded: 0, refused: 0 };
    for (let run = 0; run < EACH; run++) {
      const mutated = mutate(seeds[pick(seeds.length)], wire, pick);
      // The message between other bytes: they must not matter.
      const frame = new Uint8Array(mutated.length + 32).fill(run & 1 ? 0xff : 0x08);
      frame.set(mutated, 16);
      const inFrame = frame.subarray(16, 16 + mutated.length);
      let message: { type: string };
      try {
        message = decode(inFrame);
      } catch (error) {
        if (!(error instanceof OpenFlowError)) {
          throw new Error(`${Buffer.from(mutated).toString('hex')}: ${error}`, { cause: error });
        }
        outcomes.refused++;
        continue;
      }
      outcomes.decoded++;
      if (run % 8 !== 0) continue;
      const hex = Buffer.from(mutated).toString('hex');
      expect(weight(message), hex).toBeLessThan(64 + 10 * mutated.length);
      expect(decode(mutated), hex).toEqual(message);
      reencodes(codec, message, hex);
    }
    expect(outcomes.decoded).toBeGreaterThan(EACH / 20);
    expect(outcomes.refused).toBeGreaterThan(EACH / 20);
  },
);

/** What was decoded can be encoded, and means the same: nothing that a peer sends breaks one who passes it on. */
function reencodes({ decode, encode }: AnyCodec, message: { type: string }, hex: string): void {
  let bytes: Uint8Array;
  try {
    bytes = encode(message);
  } catch (error) {
    // A name that fills its field has no room for the NUL that a sender must write.
    if ((error as { code?: string }).code === 'FC_OF_BAD_FIELD' && /at most \d+ bytes/.test(String(error)))
      return;
    throw new Error(`${hex}: ${error}`, { cause: error });
  }
  expect(decode(bytes), hex).toEqual(message);
}

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
