/**
 * Runs a switch program over a region in plain Node, without an isolate: the same runtime code as in a cell,
 * with this class in the part of host and agent.
 */
import { decode, encode, type Message, type MessageInit } from '../../openflow/index.ts';
import { extractKey, type HeaderOffsets } from '../../packet/index.ts';
import { ByteRing } from '../../sandbox/channel/byte-ring.ts';
import {
  CTL_IN_BYTES,
  CTL_IN_OFFSET,
  CTL_OUT_BYTES,
  CTL_OUT_OFFSET,
  DATA_MAX,
  DATA_OFFSET,
  H,
  KEY_WORDS,
  REGION_BYTES,
  RUN,
  RX_OFFSET,
  RX_SLOTS,
  SLOT,
  SLOT_BYTES,
  SLOT_FLAG,
  TX,
  TX_FLAG,
  TX_KIND_MASK,
  TX_OFFSET,
  TX_RECORDS,
  TX_WORDS,
} from '../../sandbox/channel/layout.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import type { Program } from '../../sandbox/guest/program.ts';
import { regionViews } from '../../sandbox/guest/region-views.ts';
import { Runtime } from '../../sandbox/guest/runtime.ts';

/** A transmit record with the frame it stands for. */
export interface Sent {
  kind: 'done' | 'output' | 'controller';
  slot: number;
  /** Output port, or packet-in reason. */
  port: number;
  /** The whole frame as it would leave: head and the rest of what came in. Empty for `done`. */
  frame: Uint8Array;
  last: boolean;
  cacheable: boolean;
  /** With cacheable, and not to the controller. */
  path: number;
  modifications: number;
  unchanged: boolean;
  /** Of an output. */
  queue: number;
  /** To the controller. */
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

export interface PushOptions {
  inPort?: number;
  /** Partial checksum (SLOT_FLAG.CSUM_PARTIAL): of the L4 the parser finds, or of what starts at this offset. */
  partial?: boolean | number;
  /** The packet of the PACKET_OUT with this xid. */
  packetOut?: number;
  /** It comes behind messages (SLOT_FLAG.BEHIND_MESSAGES). */
  behind?: boolean;
}

export class GuestHarness {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly runtime: Runtime;
  /** Frames by slot, as they came in. */
  private readonly frames: Uint8Array[] = [];
  private readonly controlIn: ByteRing;
  private readonly controlOut: ByteRing;
  private answers: number[] = [];
  private toSend: Uint8Array[] = [];

  /**
   * The region lies at `offset` in its buffer, as it may in a cell. `time`: by which runs are kept short; they have all the time
   * there is by default.
   */
  constructor(program: Program = new OpenFlowProgram(), cellId = 7, offset = 4096, time = () => 0) {
    const memory = new SharedArrayBuffer(offset + REGION_BYTES);
    this.words = new Int32Array(memory, offset, REGION_BYTES / 4);
    this.bytes = new Uint8Array(memory, offset, REGION_BYTES);
    const { words, bytes } = this;
    this.controlIn = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
    this.controlOut = new ByteRing(
      words,
      H.CTL_OUT_HEAD,
      H.CTL_OUT_TAIL,
      bytes,
      CTL_OUT_OFFSET,
      CTL_OUT_BYTES,
    );
    words[H.CELL_ID] = cellId;
    const fail = (error: unknown) => {
      throw error;
    };
    this.runtime = new Runtime(program, regionViews(memory, offset), fail, time);
    this.runtime.attach();
  }

  /** The cell's clock, ms. */
  set now(ms: number) {
    this.words[H.NOW_MS] = ms | 0;
  }

  /** When the cell wants to be called, or undefined. */
  get timer(): number | undefined {
    return this.words[H.TIMER_SET] === 0 ? undefined : this.words[H.TIMER_MS];
  }

  /** Puts a frame into the next receive slot. */
  push(frame: Uint8Array, options: PushOptions = {}): void {
    const { words, bytes } = this;
    const head = words[H.RX_HEAD];
    if (((head - words[H.RX_TAIL]) | 0) >= RX_SLOTS) throw new Error('all receive slots are taken');
    const slot = head & (RX_SLOTS - 1);
    const start = RX_OFFSET + slot * SLOT_BYTES;
    const at = start / 4;
    const headLength = Math.min(frame.length, DATA_MAX);
    const inPort = options.inPort ?? 1;
    const offsets: HeaderOffsets = { l3: 0, l4: 0 };
    const key = new Uint32Array(bytes.buffer, bytes.byteOffset + start + SLOT.KEY * 4, KEY_WORDS);
    bytes.set(frame.subarray(0, headLength), start + DATA_OFFSET);
    extractKey(bytes, start + DATA_OFFSET, headLength, inPort, key, offsets);
    words.fill(0, at, at + SLOT.KEY);
    words[at + SLOT.IN_PORT] = inPort;
    words[at + SLOT.FRAME_LEN] = frame.length;
    words[at + SLOT.HEAD_LEN] = headLength;
    words[at + SLOT.L3_OFFSET] = offsets.l3;
    words[at + SLOT.L4_OFFSET] = offsets.l4;
    if (options.partial !== undefined && options.partial !== false) {
      words[at + SLOT.FLAGS] |= SLOT_FLAG.CSUM_PARTIAL;
      words[at + SLOT.CSUM_START] = options.partial === true ? offsets.l4 : options.partial;
    }
    if (options.behind === true) words[at + SLOT.FLAGS] |= SLOT_FLAG.BEHIND_MESSAGES;
    if (options.packetOut !== undefined) {
      words[at + SLOT.FLAGS] |= SLOT_FLAG.PACKET_OUT;
      words[at + SLOT.PACKET_OUT_XID] = options.packetOut;
    }
    this.frames[slot] = frame;
    Atomics.store(words, H.RX_HEAD, (head + 1) | 0);
  }

  /** Sends messages (or raw bytes) to the cell, as far as the ring has room; run() sends the rest. */
  control(...messages: (MessageInit | Uint8Array)[]): void {
    for (const message of messages) {
      this.toSend.push(message instanceof Uint8Array ? message : encode(message));
    }
    this.writeControl();
  }

  private writeControl(): void {
    while (this.toSend.length > 0) {
      const written = this.controlIn.write(this.toSend[0], 0);
      if (written < this.toSend[0].length) {
        this.toSend[0] = this.toSend[0].subarray(written);
        return;
      }
      this.toSend.shift();
    }
  }

  /** One run; returns its RUN bits. */
  run(budget = RX_SLOTS): number {
    this.writeControl();
    return this.runtime.run(budget);
  }

  /** Takes up to `limit` records. */
  take(limit = TX_RECORDS): Sent[] {
    const { words } = this;
    const head = Atomics.load(words, H.TX_HEAD);
    let tail = words[H.TX_TAIL];
    const sent: Sent[] = [];
    for (; tail !== head && sent.length < limit; tail = (tail + 1) | 0) sent.push(this.readRecord(tail));
    Atomics.store(words, H.TX_TAIL, tail);
    return sent;
  }

  private readRecord(position: number): Sent {
    const at = TX_OFFSET / 4 + (position & (TX_RECORDS - 1)) * TX_WORDS;
    const record = this.words.subarray(at, at + TX_WORDS);
    const kind = KINDS[record[TX.KIND] & TX_KIND_MASK];
    const slot = record[TX.SLOT];
    const headOffset = record[TX.HEAD_OFFSET];
    const head = this.bytes.slice(headOffset, headOffset + record[TX.HEAD_LEN]);
    const rest = this.frames[slot].subarray(record[TX.HEAD_CONSUMED]);
    const frame = new Uint8Array(kind === 'done' ? 0 : head.length + rest.length);
    if (kind !== 'done') {
      frame.set(head);
      frame.set(rest, head.length);
    }
    const unchanged = (record[TX.KIND] & TX_FLAG.UNCHANGED) !== 0;
    // The agent takes the cell at its word and sends what was received.
    if (unchanged && !Buffer.from(frame).equals(this.frames[slot])) {
      throw new Error('a record says that the packet is unchanged, and it is not');
    }
    return {
      kind,
      slot,
      port: kind === 'controller' ? record[TX.PORT] & 0xff : record[TX.PORT] >>> 0,
      frame,
      last: (record[TX.KIND] & TX_FLAG.LAST) !== 0,
      cacheable: (record[TX.KIND] & TX_FLAG.CACHEABLE) !== 0,
      path: record[TX.PATH],
      modifications: record[TX.MODIFICATIONS],
      unchanged,
      queue: record[TX.QUEUE],
      tableId: kind === 'controller' ? (record[TX.PORT] >>> 8) & 0xff : 0,
      cookie: join(record[TX.COOKIE_HI], record[TX.COOKIE_LO]),
      metadata: join(record[TX.METADATA_HI], record[TX.METADATA_LO]),
    };
  }

  /** Takes the whole messages the cell has sent so far. */
  messages(): Message[] {
    return this.rawMessages().map(decode);
  }

  rawMessages(): Uint8Array[] {
    const readable = this.controlOut.readable();
    const chunk = new Uint8Array(readable);
    this.controlOut.read(chunk, 0, readable);
    this.answers.push(...chunk);
    const messages: Uint8Array[] = [];
    for (;;) {
      const length = (this.answers[2] << 8) | this.answers[3];
      if (this.answers.length < 8 || this.answers.length < length) return messages;
      messages.push(Uint8Array.from(this.answers.splice(0, length)));
    }
  }

  /** Sends messages and runs until all answers are here. */
  ask(...messages: (MessageInit | Uint8Array)[]): Message[] {
    this.control(...messages);
    const answers: Message[] = [];
    let bits: number;
    do {
      bits = this.run(0);
      answers.push(...this.messages());
    } while (this.toSend.length > 0 || (bits & (RUN.PRODUCED | RUN.MORE)) !== 0);
    return answers;
  }

  /** Sends one frame through and returns what became of it, without the record that only says "done". */
  send(frame: Uint8Array, options: PushOptions = {}): Sent[] {
    this.push(frame, options);
    const sent: Sent[] = [];
    do {
      this.run();
      sent.push(...this.take());
    } while (this.words[H.RX_TAIL] !== this.words[H.RX_HEAD]);
    return sent.filter(({ kind }) => kind !== 'done');
  }
}

/** One whose every run has time for one message, or one piece of work. */
export function slowHarness(): GuestHarness {
  let ms = 0;
  const time = () => {
    ms += 1000;
    return ms;
  };
  return new GuestHarness(new OpenFlowProgram(), 7, 4096, time);
}

/** TX_KIND in words. */
const KINDS = ['done', 'output', 'controller'] as const;

function join(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
