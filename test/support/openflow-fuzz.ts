/** Mutated messages for the decoders: what the suite runs for seconds and `npm run fuzz` for minutes. */
import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import { flowcellMessages } from '../../openflow/flowcell-messages.ts';
import * as plain from '../../openflow/index.ts';
import { OpenFlowError } from '../../openflow/index.ts';
import { messages } from '../../openflow/v13/messages.ts';
import { messageArbitrary } from '../unit/openflow-arbitrary.ts';
import { type AnyCodec, VERSIONS, type Version } from './openflow-versions.ts';

/** mulberry32 */
export function random(state: number): (below: number) => number {
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

export function mutate(message: Uint8Array, wire: number, pick: (below: number) => number): Uint8Array {
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
export const FUZZED: readonly Version[] = [
  { name: '1.3, plain', wire: 4, codec: plain as AnyCodec, messages: { ...messages, ...flowcellMessages } },
  ...VERSIONS,
];
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
  deepStrictEqual(decode(bytes), message, hex);
}

export interface FuzzCounts {
  decoded: number;
  refused: number;
}

/** Of how many mutated messages one is decoded twice, weighed and encoded again. */
const CHECKED = 8;

/**
 * Decodes `runs` mutated messages: each gives a message or an OpenFlowError, whatever stands around it, and no
 * more values than in proportion to its bytes.
 * @param watch is given each message before it is decoded
 * @throws Error with the message in hexadecimal digits where that does not hold
 */
export function fuzzDecoder(
  { wire, codec, messages: defs }: Version,
  runs: number,
  seed: number,
  watch: (message: Uint8Array) => void = () => {},
): FuzzCounts {
  const pick = random(seed);
  const { decode, encode } = codec;
  const seeds = Object.entries(defs).flatMap(([type, def]) =>
    fc.sample(messageArbitrary(type, def), { seed, numRuns: 30 }).map((message) => encode(message)),
  );
  const counts: FuzzCounts = { decoded: 0, refused: 0 };
  for (let run = 0; run < runs; run++) {
    const mutated = mutate(seeds[pick(seeds.length)], wire, pick);
    watch(mutated);
    // The message between other bytes: they must not matter.
    const frame = new Uint8Array(mutated.length + 32).fill(run & 1 ? 0xff : 0x08);
    frame.set(mutated, 16);
    let message: { type: string };
    try {
      message = decode(frame.subarray(16, 16 + mutated.length));
    } catch (error) {
      if (!(error instanceof OpenFlowError)) {
        throw new Error(`${Buffer.from(mutated).toString('hex')}: ${error}`, { cause: error });
      }
      counts.refused++;
      continue;
    }
    counts.decoded++;
    if (run % CHECKED !== 0) continue;
    const hex = Buffer.from(mutated).toString('hex');
    const most = 64 + 10 * mutated.length;
    if (weight(message) >= most) throw new Error(`${hex}: more than ${most} values`);
    deepStrictEqual(decode(mutated), message, hex);
    reencodes(codec, message, hex);
  }
  return counts;
}
