/**
 * The transmit side of a region: records, and scratch heads for packets that leave more than once with
 * different bytes.
 *
 * A packet is never run twice. When records or scratch run out in the middle of one, the rest of its records
 * and heads is kept in private memory (made at first need), and goes to the region when the agent has made
 * room; no other packet is begun before. What one packet can have altogether is bounded by the region's size.
 */
import {
  H,
  HEADROOM_OFFSET,
  REGION_BYTES,
  RX_OFFSET,
  SCRATCH_BYTES,
  SCRATCH_COUNT,
  SCRATCH_OFFSET,
  SLOT_BYTES,
  TX,
  TX_FLAG,
  TX_KIND,
  TX_OFFSET,
  TX_RECORDS,
  TX_WORDS,
} from '../channel/layout.ts';

const TX_BASE = TX_OFFSET / 4;
const NONE = -1;

/** Heads with bytes of their own that one packet may have: a group may change each of its copies in another way. */
export const MAX_HEADS = 128;

/** Where a packet's head is: the slot it came in, a scratch head, or private memory. */
export interface HeadBuffer {
  bytes: Uint8Array;
  /** Start of the buffer's headroom in `bytes`; the buffer is SCRATCH_BYTES long. */
  base: number;
}

export class Transmit {
  /** Where the last record was written; recordAt is NONE (-1) when it was cut. */
  recordWords: Int32Array;
  recordAt = NONE;
  private readonly words: Int32Array;
  private readonly region: Uint8Array;
  private head = 0;
  private published = 0;
  /** The agent's position as last read. */
  private tail = 0;
  private slot = 0;
  /** Records of the packet in hand. */
  private count = 0;
  /** Word index of its last record in the region, or NONE. */
  private last = NONE;

  /** Next scratch head to use; heads are used in turn and come free in turn. */
  private nextScratch = 0;
  /** Per scratch head: TX position after which it is free again, valid where busy. */
  private readonly scratchUntil = new Array<number>(SCRATCH_COUNT).fill(0);
  private readonly scratchBusy = new Array<boolean>(SCRATCH_COUNT).fill(false);
  private versions = 0;
  private cut = false;

  private spill: Int32Array | undefined;
  private spilled = 0;
  private flushed = 0;
  private privateHeads: Uint8Array | undefined;
  /** Views of them, made when first needed. */
  private readonly privateViews: Uint8Array[] = [];
  private privateCount = 0;
  /** Private head that was last copied to scratch, and where to. */
  private copiedFrom = NONE;
  private copiedTo = 0;

  constructor(words: Int32Array, region: Uint8Array) {
    this.words = words;
    this.recordWords = words;
    this.region = region;
    this.attach();
  }

  attach(): void {
    this.head = Atomics.load(this.words, H.TX_HEAD);
    this.published = this.head;
    this.tail = Atomics.load(this.words, H.TX_TAIL);
  }

  /** Records of the packet last begun wait for room. */
  get blocked(): boolean {
    return this.flushed < this.spilled;
  }

  begin(slot: number): void {
    this.slot = slot;
    this.count = 0;
    this.last = NONE;
    this.versions = 0;
    this.cut = false;
  }

  /**
   * Writes one record; the head is bytes[headOffset .. headOffset + length). TO_CONTROLLER's further words go
   * to `recordWords` at `recordAt`.
   */
  record(
    kind: number,
    port: number,
    bytes: Uint8Array,
    headOffset: number,
    length: number,
    consumed: number,
  ): void {
    if (this.cut || this.count === TX_RECORDS) {
      this.markCut();
      this.recordAt = NONE;
      return;
    }
    const isPrivate = bytes !== this.region;
    let words = this.words;
    let at: number;
    if (!isPrivate && this.spilled === 0 && this.free() > 0) {
      at = TX_BASE + (this.head & (TX_RECORDS - 1)) * TX_WORDS;
      this.head = (this.head + 1) | 0;
      this.last = at;
      this.keepScratch(headOffset, this.head);
    } else {
      this.spill ??= new Int32Array(TX_RECORDS * TX_WORDS);
      words = this.spill;
      at = this.spilled++ * TX_WORDS;
      if (!isPrivate) this.keepScratch(headOffset, this.head + this.spilled);
    }
    this.count++;
    this.recordWords = words;
    this.recordAt = at;
    words[at + TX.KIND] = kind;
    words[at + TX.SLOT] = this.slot;
    words[at + TX.PORT] = port;
    words[at + TX.HEAD_OFFSET] = isPrivate ? REGION_BYTES + headOffset : headOffset;
    words[at + TX.HEAD_LEN] = length;
    words[at + TX.HEAD_CONSUMED] = consumed;
  }
  /** A fresh head for the packet in hand: it must not alter bytes already sent. */
  newHead(into: HeadBuffer): void {
    this.versions++;
    if (this.spilled === 0 && this.scratchFree(this.nextScratch)) {
      const index = this.nextScratch;
      this.nextScratch = (index + 1) % SCRATCH_COUNT;
      this.scratchBusy[index] = true;
      this.scratchUntil[index] = this.head;
      into.bytes = this.region;
      into.base = SCRATCH_OFFSET + index * SCRATCH_BYTES;
      return;
    }
    // One head more than can ever be sent: what a cut packet goes on writing to.
    this.privateHeads ??= new Uint8Array((MAX_HEADS + 1) * SCRATCH_BYTES);
    if (this.versions > MAX_HEADS) {
      this.markCut();
      into.base = MAX_HEADS * SCRATCH_BYTES;
    } else {
      into.base = this.privateCount++ * SCRATCH_BYTES;
    }
    into.bytes = this.privateHeads;
  }

  /** Ends the packet in hand; true when all its records are published. With CACHEABLE the last record has `path`. */
  finish(flags: number, path: number, modifications: number): boolean {
    if (this.count === 0) {
      this.cut = false;
      this.record(TX_KIND.DONE, 0, this.region, slotHead(this.slot), 0, 0);
    }
    const spills = this.spilled > 0;
    const words = spills ? this.spill! : this.words;
    const at = spills ? (this.spilled - 1) * TX_WORDS : this.last;
    words[at + TX.KIND] |= TX_FLAG.LAST | flags;
    if (flags !== 0) {
      words[at + TX.PATH] = path;
      words[at + TX.MODIFICATIONS] = modifications;
    }
    return spills ? this.flush() : true;
  }

  /** Shows the agent what was written; returns whether there was anything. */
  publish(): boolean {
    if (this.published === this.head) return false;
    this.published = this.head;
    Atomics.store(this.words, H.TX_HEAD, this.head);
    return true;
  }

  /** Moves waiting records to the region as far as there is room; true when none is left. */
  flush(): boolean {
    const spill = this.spill;
    if (spill === undefined) return true;
    while (this.flushed < this.spilled) {
      if (this.free() === 0) return false;
      const from = this.flushed * TX_WORDS;
      let headOffset = spill[from + TX.HEAD_OFFSET];
      if (headOffset >= REGION_BYTES) {
        const index = Math.floor((headOffset - REGION_BYTES) / SCRATCH_BYTES);
        if (index !== this.copiedFrom && !this.copyHead(index)) return false;
        headOffset += this.copiedTo - index * SCRATCH_BYTES - REGION_BYTES;
      }
      const to = TX_BASE + (this.head & (TX_RECORDS - 1)) * TX_WORDS;
      for (let i = 0; i < TX_WORDS; i++) this.words[to + i] = spill[from + i];
      this.words[to + TX.HEAD_OFFSET] = headOffset;
      this.head = (this.head + 1) | 0;
      this.keepScratch(headOffset, this.head);
      this.flushed++;
    }
    this.spilled = 0;
    this.flushed = 0;
    this.privateCount = 0;
    this.copiedFrom = NONE;
    return true;
  }

  private copyHead(index: number): boolean {
    const scratch = this.nextScratch;
    if (!this.scratchFree(scratch)) return false;
    this.nextScratch = (scratch + 1) % SCRATCH_COUNT;
    this.scratchBusy[scratch] = true;
    this.copiedFrom = index;
    this.copiedTo = SCRATCH_OFFSET + scratch * SCRATCH_BYTES;
    const from = index * SCRATCH_BYTES;
    this.privateViews[index] ??= this.privateHeads!.subarray(from, from + SCRATCH_BYTES);
    this.region.set(this.privateViews[index], this.copiedTo);
    return true;
  }

  /** A record that ends at TX position `until` names a head: if it is a scratch head, it is taken till then. */
  private keepScratch(headOffset: number, until: number): void {
    const index = Math.floor((headOffset - SCRATCH_OFFSET) / SCRATCH_BYTES);
    if (index >= 0 && index < SCRATCH_COUNT) this.scratchUntil[index] = until;
  }

  /** The packet in hand wanted more than there is. */
  markCut(): void {
    if (this.cut) return;
    this.cut = true;
    this.words[H.CUT]++;
  }

  /** Records free in the region. */
  private free(): number {
    let used = (this.head - this.tail) >>> 0;
    if (used < TX_RECORDS) return TX_RECORDS - used;
    this.tail = Atomics.load(this.words, H.TX_TAIL);
    used = (this.head - this.tail) >>> 0;
    return used < TX_RECORDS ? TX_RECORDS - used : 0;
  }

  private scratchFree(index: number): boolean {
    if (!this.scratchBusy[index]) return true;
    if (((this.tail - this.scratchUntil[index]) | 0) < 0) this.tail = Atomics.load(this.words, H.TX_TAIL);
    if (((this.tail - this.scratchUntil[index]) | 0) < 0) return false;
    this.scratchBusy[index] = false;
    return true;
  }
}

/** Start of a slot's headroom in the region. */
export function slotHead(slot: number): number {
  return RX_OFFSET + slot * SLOT_BYTES + HEADROOM_OFFSET;
}
