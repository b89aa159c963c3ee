/** Frames of the test patterns: lists of packet expressions. */
import { type Expression, evaluate, parse } from './expression.ts';
import { packetFunctions, serializeLayers } from './packet-functions.ts';

/** Numbers of 0 .. 2^32 - 1, the same in every run (mulberry32), so that results can be compared. */
export function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

export class FrameTemplate {
  /** Whether every frame is a different one. */
  readonly random: boolean;
  readonly #layers: Expression[];

  constructor(expressions: readonly string[]) {
    this.#layers = expressions.map(parse);
    this.random = expressions.some((one) => one.includes('randint'));
  }

  build(random: () => number): Uint8Array {
    const functions = packetFunctions(random);
    return serializeLayers(this.#layers.map((layer) => evaluate(layer, functions)));
  }
}
