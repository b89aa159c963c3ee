/** The packet a program works on: one object per cell, moved from slot to slot. */
import type { HeaderOffsets } from '../../packet/index.ts';
import {
  DATA_MAX,
  DATA_OFFSET,
  H,
  HEADROOM_OFFSET,
  NO_QUEUE,
  RX_OFFSET,
  SCRATCH_BYTES,
  SLOT,
  SLOT_FLAG,
  SLOT_WORDS,
  TX,
  TX_FLAG,
  TX_KIND,
} from '../channel/layout.ts';
import type { Packet } from './program.ts';
import type { RegionViews } from './region-views.ts';
import { type HeadBuffer, slotHead, type Transmit } from './transmit.ts';

/**
 * Besides what every program gets, the built-in ones use the parsed offsets, numbers in place of bigint, and
 * save/restore.
 */
export class PacketView implements Packet {
  inPort = 0;
  frameLength = 0;
  bytes: Uint8Array;
  offset = 0;
  length = 0;
  partialChecksum = false;
  key: Uint32Array;
  packetOutXid = 0;
  /** Brought by a PACKET_OUT (whose xid may be 0). */
  isPacketOut = false;
  /** The messages in front of it come first. */
  isBehindMessages = false;
  /** Where L3 and L4 start, from the Ethernet header; 0: no such header. Whoever moves headers keeps them. */
  readonly at: HeaderOffsets = { l3: 0, l4: 0 };

  private readonly words: Int32Array;
  private readonly region: Uint8Array;
  private readonly transmit: Transmit;
  private readonly keys: readonly Uint32Array[];
  private readonly head: HeadBuffer;
  /** Bytes of the head as received: what a record's head stands for. */
  private consumed = 0;
  /** Bytes of the head behind the start of the partial checksum: edits in front of it do not change that. */
  private behindChecksumStart = 0;
  /** The present head was sent: it must not change any more. */
  private sent = false;
  private flags = 0;
  private path = 0;
  /** Messages that may change verdicts, taken so far (channel/modifications.ts). */
  modifications = 0;
  /** The head in the receive slot is no longer what was received. */
  private slotEdited = false;
  private slotHead = 0;

  constructor({ words, bytes, keys }: RegionViews, transmit: Transmit) {
    this.words = words;
    this.region = bytes;
    this.transmit = transmit;
    this.bytes = bytes;
    this.head = { bytes, base: 0 };
    this.keys = keys;
    this.key = keys[0];
  }

  /** Moves to the packet in a receive slot. */
  begin(slot: number): void {
    const { words, head } = this;
    const at = RX_OFFSET / 4 + slot * SLOT_WORDS;
    const flags = words[at + SLOT.FLAGS];
    this.inPort = words[at + SLOT.IN_PORT] >>> 0;
    this.frameLength = words[at + SLOT.FRAME_LEN];
    this.consumed = Math.min(words[at + SLOT.HEAD_LEN] >>> 0, DATA_MAX);
    this.length = this.consumed;
    this.partialChecksum = (flags & SLOT_FLAG.CSUM_PARTIAL) !== 0;
    this.behindChecksumStart = this.consumed - words[at + SLOT.CSUM_START];
    this.isPacketOut = (flags & SLOT_FLAG.PACKET_OUT) !== 0;
    this.isBehindMessages = (flags & (SLOT_FLAG.PACKET_OUT | SLOT_FLAG.BEHIND_MESSAGES)) !== 0;
    this.packetOutXid = this.isPacketOut ? words[at + SLOT.PACKET_OUT_XID] >>> 0 : 0;
    this.at.l3 = words[at + SLOT.L3_OFFSET];
    this.at.l4 = words[at + SLOT.L4_OFFSET];
    this.bytes = this.region;
    this.key = this.keys[slot];
    head.bytes = this.region;
    this.slotHead = slotHead(slot);
    head.base = this.slotHead;
    this.offset = head.base + (DATA_OFFSET - HEADROOM_OFFSET);
    this.sent = false;
    this.flags = 0;
    this.slotEdited = false;
    this.transmit.begin(slot);
  }

  /** True when all records of the packet are published. */
  finish(): boolean {
    return this.transmit.finish(this.flags, this.path, this.modifications);
  }

  /** Bytes in front of the head into which headers may be pushed. */
  get headroom(): number {
    return this.offset - this.head.base;
  }

  /** Where the whole frame would end, were all of it in `bytes` behind the head. */
  get frameEnd(): number {
    return this.offset + this.length + this.frameLength - this.consumed;
  }

  /** Where the checksum that is partial starts counting, as an offset in `bytes`; 0: no checksum is. */
  get partialStart(): number {
    return this.partialChecksum ? this.offset + this.length - this.behindChecksumStart : 0;
  }

  /** More was to come of the packet than one may cause: counted once for the packet. */
  cut(): void {
    this.transmit.markCut();
  }

  /** There was no headroom for a header to be pushed: what comes of the packet is cut short. */
  countNoHeadroom(): void {
    this.words[H.NO_HEADROOM]++;
  }

  edit(): void {
    if (!this.sent) {
      if (this.head.base === this.slotHead) this.slotEdited = true;
      return;
    }
    const from = this.head.base;
    const bytes = this.head.bytes;
    this.transmit.newHead(this.head);
    const { base } = this.head;
    const start = Math.max(this.offset, from);
    const end = Math.min(this.offset + this.length, from + SCRATCH_BYTES);
    const target = this.head.bytes;
    for (let i = start; i < end; i++) target[i - from + base] = bytes[i];
    this.bytes = target;
    this.offset += base - from;
    this.sent = false;
  }

  /** Nothing was edited in place, moved or copied: what is sent is what came. */
  private get unchanged(): boolean {
    const { head } = this;
    return (
      !this.slotEdited &&
      head.base === this.slotHead &&
      head.bytes === this.region &&
      this.offset === head.base + (DATA_OFFSET - HEADROOM_OFFSET) &&
      this.length === this.consumed
    );
  }

  output(port: number, queue = NO_QUEUE): void {
    this.sent = true;
    const { transmit } = this;
    const kind = this.unchanged ? TX_KIND.OUTPUT | TX_FLAG.UNCHANGED : TX_KIND.OUTPUT;
    transmit.record(kind, port, this.bytes, this.offset, this.length, this.consumed);
    if (transmit.recordAt >= 0) transmit.recordWords[transmit.recordAt + TX.QUEUE] = queue;
  }

  toController(reason: number, tableId: number, cookie: bigint, metadata: bigint): void {
    const [cookieHi, cookieLo] = halves(cookie);
    const [metadataHi, metadataLo] = halves(metadata);
    this.sendToController(reason, tableId, cookieHi, cookieLo, metadataHi, metadataLo);
  }

  /** toController without bigint: allocates nothing. */
  sendToController(
    reason: number,
    tableId: number,
    cookieHi: number,
    cookieLo: number,
    metadataHi: number,
    metadataLo: number,
  ): void {
    this.sent = true;
    const { transmit } = this;
    const why = Math.min(reason, 0xff) | ((tableId & 0xff) << 8);
    transmit.record(TX_KIND.TO_CONTROLLER, why, this.bytes, this.offset, this.length, this.consumed);
    const at = transmit.recordAt;
    if (at < 0) return;
    const words = transmit.recordWords;
    words[at + TX.COOKIE_LO] = cookieLo;
    words[at + TX.COOKIE_HI] = cookieHi;
    words[at + TX.METADATA_LO] = metadataLo;
    words[at + TX.METADATA_HI] = metadataHi;
  }

  cacheable(path = 0): void {
    this.flags = TX_FLAG.CACHEABLE;
    this.path = path;
  }

  /** Remembers the packet as it is; whatever is done to it then, restore() brings back. */
  save(into: SavedPacket): void {
    this.sent = true;
    into.bytes = this.bytes;
    into.base = this.head.base;
    into.offset = this.offset;
    into.length = this.length;
    into.l3 = this.at.l3;
    into.l4 = this.at.l4;
  }

  restore(from: SavedPacket): void {
    this.sent = true;
    this.bytes = from.bytes;
    this.head.bytes = from.bytes;
    this.head.base = from.base;
    this.offset = from.offset;
    this.length = from.length;
    this.at.l3 = from.l3;
    this.at.l4 = from.l4;
  }
}

export interface SavedPacket {
  bytes: Uint8Array;
  base: number;
  offset: number;
  length: number;
  l3: number;
  l4: number;
}

export function savedPacket(): SavedPacket {
  return { bytes: new Uint8Array(0), base: 0, offset: 0, length: 0, l3: 0, l4: 0 };
}

function halves(value: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value))];
}
