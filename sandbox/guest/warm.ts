/**
 * Warms a cell's code before the cell is used: runs it until V8 has compiled the paths a first flow takes, and leaves
 * nothing of that in the cell's memory.
 */
import { ethernet, extractKey, type HeaderOffsets, ipv4, tcp, udp } from '../../packet/index.ts';
import { ByteRing } from '../channel/byte-ring.ts';
import {
  CTL_IN_BYTES,
  CTL_IN_OFFSET,
  DATA_OFFSET,
  H,
  RX_OFFSET,
  RX_SLOTS,
  SLOT,
  SLOT_BYTES,
  SLOT_WORDS,
} from '../channel/layout.ts';
import type { Program } from './program.ts';
import type { RegionViews } from './region-views.ts';
import { Runtime } from './runtime.ts';

export interface WarmUp {
  /** A program of its own for each round: what it learns while warming goes away with it. */
  makeProgram(): Program;
  /** The program in use needs nothing to start and is started when all is warm: a cell need not do it when its flow waits. */
  startsAhead: boolean;
  /** OpenFlow messages that begin a round, if any. */
  messages(round: number): readonly Uint8Array[];
  rounds: number;
  /** Entries into the cell in each round, and packets (TCP and UDP in turn) of each. */
  runs: number;
  packets: number;
}

/**
 * On the memory that will be the cell's, which is left zero. Returns the last round's runtime: V8 forgets what it learned
 * of objects whose shapes nobody has any more, and then throws away what it has compiled for them.
 */
export function warm({ makeProgram, messages, rounds, runs, packets }: WarmUp, region: RegionViews): Runtime {
  const { words, bytes } = region;
  const frames = [tcp(), udp()].map((payload, i) =>
    ethernet({ type: 0x0800, payload: ipv4({ proto: i === 0 ? 6 : 17, payload }) }),
  );
  let runtime!: Runtime;
  for (let round = 0; round < rounds; round++) {
    words.fill(0);
    for (let slot = 0; slot < RX_SLOTS; slot++) fillSlot(region, slot, frames[slot % frames.length]);
    // Cold code is slow: a round is one run all the same.
    runtime = new Runtime(makeProgram(), region, undefined, () => 0);
    runtime.attach();
    const controlIn = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
    for (const message of messages(round)) controlIn.write(message, 0);
    runtime.run(0);
    for (let run = 0; run < runs; run++) {
      Atomics.store(words, H.RX_HEAD, (words[H.RX_HEAD] + packets) | 0);
      Atomics.store(words, H.NOW_MS, words[H.NOW_MS] + 1);
      runtime.run(packets);
      Atomics.store(words, H.TX_TAIL, words[H.TX_HEAD]);
    }
  }
  words.fill(0);
  return runtime;
}

function fillSlot({ words, bytes, keys }: RegionViews, slot: number, frame: Uint8Array): void {
  const start = RX_OFFSET + slot * SLOT_BYTES;
  const at = RX_OFFSET / 4 + slot * SLOT_WORDS;
  const offsets: HeaderOffsets = { l3: 0, l4: 0 };
  bytes.set(frame, start + DATA_OFFSET);
  extractKey(bytes, start + DATA_OFFSET, frame.length, 1, keys[slot], offsets);
  words[at + SLOT.IN_PORT] = 1;
  words[at + SLOT.FRAME_LEN] = frame.length;
  words[at + SLOT.HEAD_LEN] = frame.length;
  words[at + SLOT.L3_OFFSET] = offsets.l3;
  words[at + SLOT.L4_OFFSET] = offsets.l4;
}
