/** The agent's side of one cell: receive slots, transmit records, control bytes. */
import {
  DATA_MAX,
  DATA_OFFSET,
  H,
  HEADER_BYTES,
  KEY_WORDS,
  NO_QUEUE,
  REGION_BYTES,
  RX_OFFSET,
  RX_SLOTS,
  SLOT,
  SLOT_BYTES,
  SLOT_FLAG,
  SLOT_WORDS,
  TX,
  TX_FLAG,
  TX_KIND,
  TX_KIND_MASK,
  TX_OFFSET,
  TX_RECORDS,
  TX_WORDS,
} from '../channel/layout.ts';
import { ControlIn, ControlOut } from './control-stream.ts';
import type { CellEvents, CellHandle, CellUsage, FrameRef, ProgramImage, Verdict } from './types.ts';

const copy = Buffer.prototype.copy;
const ETHERNET_HEADER = 14;
/** Packets inside a cell that are worth entering it for. */
const ENOUGH = RX_SLOTS / 2;

/** What a cell needs of its host. */
export interface CellOwner<F extends FrameRef> {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly address: bigint;
  /** One object for all cells: it is only valid during `events.verdict`. */
  readonly verdict: Verdict<F>;
  readonly counters: { frames: number; records: number; messages: number };
  /** The cell has something new for the host to run it on. */
  dirty(cell: HostCell<F>): void;
  closeCell(cell: HostCell<F>, well: boolean): void;
}

export interface HostCellInit<F extends FrameRef> {
  readonly id: number;
  readonly program: ProgramImage;
  /** Whoever opened it. */
  readonly events: CellEvents<F>;
}

export class HostCell<F extends FrameRef> implements CellHandle<F> {
  readonly id: number;
  readonly program: ProgramImage;
  readonly index: number;
  readonly usage: CellUsage = { cpuUs: 0, heapBytes: 0 };
  alive = true;
  inFlight = 0;
  /** In the owner's list of cells to mark ready. */
  isDirty = false;
  /** What is new in it is not to wait until there is more: a message, or packets enough. */
  isUrgent = false;
  readonly #owner: CellOwner<F>;
  readonly events: CellEvents<F>;
  /** Start of the region, words and bytes. */
  readonly #word: number;
  readonly #region: Uint8Array;
  readonly #regionAddress: bigint;
  readonly #controlIn: ControlIn;
  readonly #controlOut: ControlOut;
  readonly #frames: (F | null)[] = new Array(RX_SLOTS).fill(null);
  /** Slots published, and slots that may be written again (both free-running). */
  #rxHead = 0;
  #rxFree = 0;
  #txTail = 0;
  #refused = false;
  readonly #onMessage = (message: Uint8Array): void => {
    this.#owner.counters.messages++;
    if (this.alive) this.events.message(this, message);
  };

  /** `offset`: where the cell's region starts in the host's memory, bytes. */
  constructor(owner: CellOwner<F>, index: number, offset: number, init: HostCellInit<F>) {
    this.id = init.id;
    this.program = init.program;
    this.index = index;
    this.#owner = owner;
    this.events = init.events;
    this.#word = offset / 4;
    this.#region = owner.bytes.subarray(offset, offset + REGION_BYTES);
    this.#regionAddress = owner.address + BigInt(offset);
    const words = owner.words.subarray(this.#word, this.#word + REGION_BYTES / 4);
    this.#controlIn = new ControlIn(words, this.#region);
    this.#controlOut = new ControlOut(words, this.#region);
  }

  push(frame: F, key: Uint32Array): boolean {
    if (!this.alive) return false;
    const place = this.#rxHead & (RX_SLOTS - 1);
    const full = (this.#rxHead - this.#rxFree) >>> 0 >= RX_SLOTS;
    // What is to come behind messages goes when they are in the ring: a packet-out's own, or a new cell's entries.
    const behind = frame.packetOutXid !== 0 || (frame.flags & SLOT_FLAG.BEHIND_MESSAGES) !== 0;
    if (full || (behind && this.#controlIn.queued > 0)) {
      this.#refused = true;
      return false;
    }
    const words = this.#owner.words;
    const slot = this.#word + RX_OFFSET / 4 + place * SLOT_WORDS;
    const length = Math.min(frame.length, DATA_MAX);
    words[slot + SLOT.IN_PORT] = frame.inPort;
    words[slot + SLOT.FRAME_LEN] = frame.length;
    words[slot + SLOT.HEAD_LEN] = length;
    words[slot + SLOT.FLAGS] = frame.flags;
    words[slot + SLOT.CSUM_START] = frame.csumStart;
    words[slot + SLOT.CSUM_OFFSET] = frame.csumOffset;
    words[slot + SLOT.L3_OFFSET] = frame.l3Offset;
    words[slot + SLOT.L4_OFFSET] = frame.l4Offset;
    words[slot + SLOT.PACKET_OUT_XID] = frame.packetOutXid;
    const keyAt = slot + SLOT.KEY;
    for (let i = 0; i < KEY_WORDS; i++) words[keyAt + i] = key[i]!;
    copy.call(
      frame.bytes,
      this.#region,
      RX_OFFSET + place * SLOT_BYTES + DATA_OFFSET,
      frame.offset,
      frame.offset + length,
    );
    this.#frames[place] = frame;
    this.#rxHead = (this.#rxHead + 1) | 0;
    if (++this.inFlight >= ENOUGH) this.isUrgent = true;
    this.#owner.counters.frames++;
    Atomics.store(words, this.#word + H.RX_HEAD, this.#rxHead);
    if (!this.isDirty) this.#owner.dirty(this);
    return true;
  }

  send(message: Uint8Array): boolean {
    if (!this.alive || !this.#controlIn.send(message)) return false;
    this.isUrgent = true;
    if (!this.isDirty) this.#owner.dirty(this);
    return true;
  }

  close(well = false): void {
    if (this.alive) this.#owner.closeCell(this, well);
  }

  /** Control bytes wait for room in the ring. */
  get waiting(): boolean {
    return this.#controlIn.queued > 0;
  }

  /** Something is in the cell that it must still answer. */
  get busy(): boolean {
    return this.inFlight > 0;
  }

  /** Takes everything the cell has produced. Returns what is wrong with it, or null. */
  take(): string | null {
    const { words, verdict, counters } = this.#owner;
    const { events } = this;
    const head = Atomics.load(words, this.#word + H.TX_HEAD);
    if ((head - this.#txTail) >>> 0 > TX_RECORDS)
      return `transmit ring position ${head >>> 0} is out of range`;
    verdict.region = this.#region;
    verdict.regionAddress = this.#regionAddress;
    const ring = this.#word + TX_OFFSET / 4;
    while (this.#txTail !== head && this.alive) {
      const wrong = this.#readRecord(ring + (this.#txTail & (TX_RECORDS - 1)) * TX_WORDS, verdict);
      if (wrong) return wrong;
      this.#txTail = (this.#txTail + 1) | 0;
      counters.records++;
      events.verdict(this, verdict);
    }
    if (!this.alive) return null;
    return this.#controlOut.take(this.#onMessage);
  }

  /**
   * After the frames of this round have been sent: lets the cell write over what it gave us. True if it has
   * to run again for that.
   */
  settle(): boolean {
    const words = this.#owner.words;
    Atomics.store(words, this.#word + H.TX_TAIL, this.#txTail);
    while (this.#rxFree !== this.#rxHead && this.#frames[this.#rxFree & (RX_SLOTS - 1)] === null) {
      this.#rxFree = (this.#rxFree + 1) | 0;
    }
    const moved = this.#controlIn.flush();
    if (this.#refused && (this.#rxHead - this.#rxFree) >>> 0 < RX_SLOTS && this.#controlIn.queued === 0) {
      this.#refused = false;
      this.events.drained(this);
    }
    return moved;
  }

  /** Hands back what is still inside. */
  lose(): void {
    for (let place = 0; place < RX_SLOTS; place++) {
      const frame = this.#frames[place];
      if (!frame) continue;
      this.#frames[place] = null;
      this.inFlight--;
      this.events.lost(this, frame);
    }
  }

  /** Reads and checks one record. Every number is read once: the cell may change it at any time. */
  #readRecord(at: number, verdict: Verdict<F>): string | null {
    const words = this.#owner.words;
    const kindWord = words[at + TX.KIND]!;
    const kind = kindWord & TX_KIND_MASK;
    const slot = words[at + TX.SLOT]! >>> 0;
    const frame = slot < RX_SLOTS ? this.#frames[slot]! : null;
    if (frame === null) return `record for slot ${slot}, which holds no packet`;
    verdict.kind = kind;
    verdict.last = (kindWord & TX_FLAG.LAST) !== 0;
    verdict.cacheable = (kindWord & TX_FLAG.CACHEABLE) !== 0;
    if (verdict.cacheable) {
      verdict.path = words[at + TX.PATH]! >>> 0;
      verdict.modifications = words[at + TX.MODIFICATIONS]!;
    }
    verdict.frame = frame;
    if (kind === TX_KIND.OUTPUT && (kindWord & TX_FLAG.UNCHANGED) !== 0) {
      verdict.port = words[at + TX.PORT]! >>> 0;
      verdict.queue = words[at + TX.QUEUE]!;
      verdict.headOffset = 0;
      verdict.headLength = 0;
      verdict.headConsumed = 0;
    } else if (kind !== TX_KIND.DONE) {
      if (kind !== TX_KIND.OUTPUT && kind !== TX_KIND.TO_CONTROLLER) return `record of unknown kind ${kind}`;
      const offset = words[at + TX.HEAD_OFFSET]! >>> 0;
      const length = words[at + TX.HEAD_LEN]! >>> 0;
      const consumed = words[at + TX.HEAD_CONSUMED]! >>> 0;
      if (offset < HEADER_BYTES || offset > REGION_BYTES || length > REGION_BYTES - offset) {
        return `packet head ${offset}+${length} is outside of the region`;
      }
      if (length < ETHERNET_HEADER || consumed > frame.length) {
        return `packet head of ${length} bytes for ${consumed} of ${frame.length}`;
      }
      verdict.port = words[at + TX.PORT]! >>> 0;
      verdict.headOffset = offset;
      verdict.headLength = length;
      verdict.headConsumed = consumed;
      if (kind === TX_KIND.OUTPUT) {
        verdict.queue = words[at + TX.QUEUE]!;
      } else {
        verdict.tableId = (verdict.port >>> 8) & 0xff;
        verdict.port &= 0xff;
        verdict.cookie = u64(words[at + TX.COOKIE_LO]!, words[at + TX.COOKIE_HI]!);
        verdict.metadata = u64(words[at + TX.METADATA_LO]!, words[at + TX.METADATA_HI]!);
      }
    }
    if (verdict.last) {
      this.#frames[slot] = null;
      this.inFlight--;
    }
    return null;
  }
}

/** The one object that all records of a host are handed over in. */
export const emptyVerdict = <F extends FrameRef>(region: Uint8Array, regionAddress: bigint): Verdict<F> => ({
  kind: 0,
  last: false,
  cacheable: false,
  path: 0,
  modifications: 0,
  frame: undefined as unknown as F,
  port: 0,
  region,
  regionAddress,
  headOffset: 0,
  headLength: 0,
  headConsumed: 0,
  queue: NO_QUEUE,
  tableId: 0,
  cookie: 0n,
  metadata: 0n,
});

function u64(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
