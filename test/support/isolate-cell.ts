/** A bundle in an isolate, as a host loads it, over a region that tests drive as an agent does. */
import ivm from 'isolated-vm';
import { extractKey, type HeaderOffsets } from '../../packet/index.ts';
import { ByteRing } from '../../sandbox/channel/byte-ring.ts';
import * as layout from '../../sandbox/channel/layout.ts';

const { H, RUN, SLOT } = layout;
const MEMORY_MIB = 16;

/** A message's bytes, or frames that arrive together, or milliseconds that go by. */
export type Step = { message: Uint8Array } | { frames: readonly Uint8Array[] } | { pass: number };

export class IsolateCell {
  readonly isolate = new ivm.Isolate({ memoryLimit: MEMORY_MIB });
  readonly #memory = new SharedArrayBuffer(layout.REGION_BYTES);
  readonly #words = new Int32Array(this.#memory);
  readonly #bytes = new Uint8Array(this.#memory);
  readonly #run: ivm.Reference<(budget: number) => number>;
  readonly #collect: ivm.Reference<() => void>;
  #controlIn!: ByteRing;
  /** The next run is a cell's first in an isolate that was used. */
  #renews = false;

  /** Needs --expose-gc. */
  constructor(bundle: string) {
    const context = this.isolate.createContextSync();
    context.global.setSync('__region', new ivm.ExternalCopy(this.#memory).copyInto());
    // Runs are then as long on every machine: no step depends on the time it takes.
    context.evalSync('Date.now = () => 0;');
    context.evalSync(bundle);
    this.#run = context.global.getSync('__run', { reference: true });
    this.#collect = context.evalSync('(() => { const collect = gc; return () => collect(); })()', {
      reference: true,
    });
    context.global.getSync('__warm', { reference: true }).applySync(undefined, [0]);
    this.#begin();
  }

  /**
   * Ends the cell and begins another in the same isolate, as a host does: now, or (`later`) in the first run, when the region
   * is the next cell's already.
   */
  renew(later = false): void {
    if (later) this.#renews = true;
    else if (this.run(layout.RENEW) !== RUN.RENEWED) throw new Error('the isolate cannot be used again');
    this.#words.fill(0);
    this.#begin();
  }

  run(budget: number): number {
    return this.#run.applySync(undefined, [budget]) as number;
  }

  /** Used heap after a collection, bytes. */
  heap(): number {
    this.#collect.applySync();
    const { used_heap_size, externally_allocated_size } = this.isolate.getHeapStatisticsSync();
    return used_heap_size + externally_allocated_size;
  }

  /** Takes a step; every state of the region on the way, with the RUN bits. */
  step(step: Step): { bits: number; region: Uint8Array }[] {
    if ('pass' in step) this.#words[H.NOW_MS] = (this.#words[H.NOW_MS]! + step.pass) | 0;
    if ('frames' in step) for (const frame of step.frames) this.#push(frame);
    const seen: { bits: number; region: Uint8Array }[] = [];
    let rest = 'message' in step ? step.message : new Uint8Array(0);
    for (;;) {
      rest = rest.subarray(this.#controlIn.write(rest, 0));
      const bits = this.#runOnce();
      seen.push({ bits, region: this.#bytes.slice() });
      // What it has produced is taken.
      this.#words[H.TX_TAIL] = this.#words[H.TX_HEAD]!;
      this.#words[H.CTL_OUT_TAIL] = this.#words[H.CTL_OUT_HEAD]!;
      if (rest.length === 0 && (bits & (RUN.MORE | RUN.BLOCKED)) === 0) return seen;
    }
  }

  #runOnce(): number {
    if (!this.#renews) return this.run(layout.RX_SLOTS);
    this.#renews = false;
    const bits = this.run(layout.RX_SLOTS + layout.RENEW_FIRST);
    if ((bits & RUN.RENEWED) === 0) throw new Error('the isolate cannot be used again');
    return bits & ~RUN.RENEWED;
  }

  dispose(): void {
    this.isolate.dispose();
  }

  #begin(): void {
    const { CTL_IN_OFFSET, CTL_IN_BYTES } = layout;
    this.#controlIn = new ByteRing(
      ...([this.#words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, this.#bytes] as const),
      ...([CTL_IN_OFFSET, CTL_IN_BYTES] as const),
    );
    this.#words[H.CELL_ID] = 7;
    this.#words[H.NOW_MS] = 1000;
  }

  #push(frame: Uint8Array): void {
    const head = this.#words[H.RX_HEAD]!;
    const start = layout.RX_OFFSET + (head & (layout.RX_SLOTS - 1)) * layout.SLOT_BYTES;
    const at = start / 4;
    const length = Math.min(frame.length, layout.DATA_MAX);
    const key = new Uint32Array(this.#memory, start + SLOT.KEY * 4, layout.KEY_WORDS);
    const offsets: HeaderOffsets = { l3: 0, l4: 0 };
    this.#bytes.set(frame.subarray(0, length), start + layout.DATA_OFFSET);
    extractKey(this.#bytes, start + layout.DATA_OFFSET, length, 1, key, offsets);
    this.#words[at + SLOT.IN_PORT] = 1;
    this.#words[at + SLOT.FRAME_LEN] = frame.length;
    this.#words[at + SLOT.HEAD_LEN] = length;
    this.#words[at + SLOT.L3_OFFSET] = offsets.l3;
    this.#words[at + SLOT.L4_OFFSET] = offsets.l4;
    Atomics.store(this.#words, H.RX_HEAD, (head + 1) | 0);
  }
}
