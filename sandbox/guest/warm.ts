/**
 * Warms a cell's code before the cell is used: runs it on memory of its own until V8 has compiled the paths a
 * first flow takes, and leaves nothing behind.
 */
import { ethernet, extractKey, type HeaderOffsets, ipv4, tcp, udp } from '../../packet/index.ts';
import { ByteRing } from '../channel/byte-ring.ts';
import {
  CTL_IN_BYTES,
  CTL_IN_OFFSET,
  CTL_OUT_BYTES,
  CTL_OUT_OFFSET,
  DATA_OFFSET,
  H,
  KEY_WORDS,
  REGION_BYTES,
  RX_OFFSET,
  RX_SLOTS,
  SLOT,
  SLOT_BYTES,
  SLOT_WORDS,
} from '../channel/layout.ts';
import type { Program } from './program.ts';
import { regionViews } from './region-views.ts';
import { Runtime } from './runtime.ts';

const BATCH = 32;
/** Captured: it is gone from the globals by the time an uploaded program's cell is warmed. */
const Memory = SharedArrayBuffer;

export interface WarmUp {
  /** A program of its own: what it learns while warming goes away with it. */
  makeProgram(): Program;
  /** The program in use needs nothing to start and is started when all is warm: a cell need not do it when its flow waits. */
  startsAhead: boolean;
  /** OpenFlow messages that begin a round, if any. */
  messages(): readonly Uint8Array[];
  rounds: number;
  /** Packets (TCP and UDP in turn) after each round's messages. */
  packets: number;
}

export function warm({ makeProgram, messages, rounds, packets }: WarmUp): void {
  const setUp = messages();
  const memory = new Memory(REGION_BYTES);
  const bytes = new Uint8Array(memory);
  const words = new Int32Array(memory);
  // Cold code is slow: a round is one run all the same.
  const runtime = new Runtime(makeProgram(), regionViews(memory, 0), undefined, () => 0);
  const controlIn = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
  const controlOut = new ByteRing(
    words,
    H.CTL_OUT_HEAD,
    H.CTL_OUT_TAIL,
    bytes,
    CTL_OUT_OFFSET,
    CTL_OUT_BYTES,
  );
  const answers = new Uint8Array(CTL_OUT_BYTES);
  const frames = [tcp(), udp()].map((payload, i) =>
    ethernet({ type: 0x0800, payload: ipv4({ proto: i === 0 ? 6 : 17, payload }) }),
  );
  for (let slot = 0; slot < RX_SLOTS; slot++) fillSlot(bytes, words, slot, frames[slot % frames.length]);

  runtime.attach();
  for (let round = 0; round < rounds; round++) {
    for (const message of setUp) controlIn.write(message, 0);
    runtime.run(0);
    for (let sent = 0; sent < packets; sent += BATCH) {
      Atomics.store(words, H.RX_HEAD, (words[H.RX_HEAD] + BATCH) | 0);
      Atomics.store(words, H.NOW_MS, words[H.NOW_MS] + 1);
      runtime.run(BATCH);
      Atomics.store(words, H.TX_TAIL, words[H.TX_HEAD]);
    }
    controlOut.read(answers, 0, Math.max(0, controlOut.readable()));
  }
}

function fillSlot(bytes: Uint8Array, words: Int32Array, slot: number, frame: Uint8Array): void {
  const start = RX_OFFSET + slot * SLOT_BYTES;
  const at = RX_OFFSET / 4 + slot * SLOT_WORDS;
  const key = new Uint32Array(bytes.buffer, start + SLOT.KEY * 4, KEY_WORDS);
  const offsets: HeaderOffsets = { l3: 0, l4: 0 };
  bytes.set(frame, start + DATA_OFFSET);
  extractKey(bytes, start + DATA_OFFSET, frame.length, 1, key, offsets);
  words[at + SLOT.IN_PORT] = 1;
  words[at + SLOT.FRAME_LEN] = frame.length;
  words[at + SLOT.HEAD_LEN] = frame.length;
  words[at + SLOT.L3_OFFSET] = offsets.l3;
  words[at + SLOT.L4_OFFSET] = offsets.l4;
}
