/**
 * Receiving without a system call: a ring of slots that the kernel fills (PACKET_RX_RING of TPACKET_V2, packet_mmap.rst).
 * A frame is copied out at once, so that no packet that waits somewhere keeps the kernel from using its slot again.
 * A frame larger than a slot comes whole by the socket's queue, and its slot says so (TP_STATUS_COPY): order is kept.
 */
import koffi from 'koffi';
import { MAP_SHARED, PAGE_BYTES, PROT_READ, PROT_WRITE, raw } from '../../sandbox/sys/libc.ts';
import { FRAME_HEADROOM, type FramePool } from './frames.ts';
import { readOffload, restoreTag } from './offload.ts';
import type { FrameSink, PortCounters } from './port.ts';
import { BURST, type BurstReceiver, ETHERTYPE_VLAN } from './receive.ts';
import {
  int32,
  PACKET_COPY_THRESH,
  PACKET_RX_RING,
  PACKET_VERSION,
  SOL_PACKET,
  sys,
  TP_STATUS_COPY,
  TP_STATUS_USER,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  TPACKET_V2,
  VNET_HDR_BYTES,
} from './socket.ts';

/** Room for a frame of 1,500 bytes with tags, behind the slot's header and the vnet header. */
export const SLOT_BYTES = 2048;
/** A block is what the kernel allocates in one piece. */
const BLOCK_BYTES = 8 * PAGE_BYTES;

const SLOT_WORDS = SLOT_BYTES / 4;
/** struct tpacket2_hdr, in words; the last two are pairs of 16 bits. */
const HEADER = { STATUS: 0, LENGTH: 1, CAPTURED: 2, MAC: 3, VLAN: 6 } as const;
/** Up to here a loop is quicker than a call. */
const LOOP_BYTES = 128;

const copy = Buffer.prototype.copy;

export class ReceiveRing {
  readonly #fd: number;
  readonly #slots: number;
  readonly #address: number;
  readonly #words: Int32Array<ArrayBuffer>;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** The slot that the kernel fills next. */
  #next = 0;

  /** Gives a packet socket that is not bound yet a ring; undefined when the kernel has no memory for it. */
  static attach(fd: number, slots: number): ReceiveRing | undefined {
    const blocks = Math.ceil((slots * SLOT_BYTES) / BLOCK_BYTES);
    const bytes = blocks * BLOCK_BYTES;
    // struct tpacket_req: block size, number of blocks, slot size, number of slots.
    const request = new Uint32Array([BLOCK_BYTES, blocks, SLOT_BYTES, bytes / SLOT_BYTES]);
    const set = (option: number, value: Uint8Array) =>
      sys.setsockopt(fd, SOL_PACKET, option, value, value.length) === 0;
    if (!set(PACKET_VERSION, int32(TPACKET_V2)) || !set(PACKET_COPY_THRESH, int32(1))) return undefined;
    if (!set(PACKET_RX_RING, new Uint8Array(request.buffer))) return undefined;
    const address = Number(raw.mmap(0n, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    if (address !== -1) return new ReceiveRing(fd, bytes / SLOT_BYTES, address);
    // Without a mapping nobody could empty it.
    request.fill(0);
    set(PACKET_RX_RING, new Uint8Array(request.buffer));
    return undefined;
  }

  private constructor(fd: number, slots: number, address: number) {
    this.#fd = fd;
    this.#slots = slots;
    this.#address = address;
    const memory: ArrayBuffer = koffi.view(BigInt(address), slots * SLOT_BYTES);
    this.#words = new Int32Array(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /** There is a frame in it. */
  get ready(): boolean {
    return (Atomics.load(this.#words, this.#next * SLOT_WORDS) & TP_STATUS_USER) !== 0;
  }

  /** Hands up to `limit` frames to the sink; returns how many slots were emptied. */
  receive(
    limit: number,
    pool: FramePool,
    receiver: BurstReceiver,
    inPort: number,
    counters: PortCounters,
    sink: FrameSink,
  ): number {
    const words = this.#words;
    let count = 0;
    while (count < limit) {
      const at = this.#next * SLOT_WORDS;
      const status = Atomics.load(words, at + HEADER.STATUS);
      if ((status & TP_STATUS_USER) === 0) break;
      if (status & TP_STATUS_COPY) {
        const large = this.#takeLarge();
        count += large;
        receiver.receive(this.#fd, inPort, counters, sink, large);
        continue;
      }
      this.#take(at, status, pool, inPort, counters, sink);
      count++;
    }
    return count;
  }

  /** The memory is gone with this; the socket is closed by its owner, afterwards. */
  close(): void {
    // Views still held become empty instead of pointing at nothing.
    const bytes = this.#words.byteLength;
    this.#words.buffer.transfer();
    raw.munmap(BigInt(this.#address), bytes);
  }

  #take(
    at: number,
    status: number,
    pool: FramePool,
    inPort: number,
    counters: PortCounters,
    sink: FrameSink,
  ): void {
    const words = this.#words;
    const length = words[at + HEADER.LENGTH];
    counters.rxPackets++;
    counters.rxBytes += length;
    const frame = words[at + HEADER.CAPTURED] === length && length >= 14 ? pool.take() : null;
    if (frame === null) {
      this.#giveBack(at);
      // Cut short: too large for its slot, and the socket's queue was full.
      if (length < 14) counters.rxErrors++;
      else counters.rxDropped++;
      return;
    }
    const vlan = words[at + HEADER.VLAN];
    // The vnet header, at an odd half of a word, and the frame behind it; frames of the pool begin on a word, too.
    const from = at * 4 + (words[at + HEADER.MAC] & 0xffff) - VNET_HDR_BYTES - 2;
    const to = frame.base + FRAME_HEADROOM - VNET_HDR_BYTES - 2;
    const bytes = 2 + VNET_HDR_BYTES + length;
    if (bytes > LOOP_BYTES || (from & 3) !== 0) {
      copy.call(this.#bytes, frame.bytes, to, from, from + bytes);
    } else {
      const target = frame.words;
      const count = (bytes + 3) >> 2;
      const source = from >> 2;
      const first = to >> 2;
      for (let i = 0; i < count; i++) target[first + i] = words[source + i];
    }
    this.#giveBack(at);
    frame.offset = frame.base + FRAME_HEADROOM;
    frame.length = length;
    frame.inPort = inPort;
    frame.packetOutXid = 0;
    readOffload(frame);
    if (status & TP_STATUS_VLAN_VALID) {
      restoreTag(frame, status & TP_STATUS_VLAN_TPID_VALID ? vlan >>> 16 : ETHERTYPE_VLAN, vlan & 0xffff);
    }
    sink(frame);
  }

  /** Gives back the slots of large frames that follow each other; their frames are in the socket's queue, in order. */
  #takeLarge(): number {
    let count = 0;
    do {
      this.#giveBack(this.#next * SLOT_WORDS);
      count++;
    } while (
      count < BURST &&
      (Atomics.load(this.#words, this.#next * SLOT_WORDS) & (TP_STATUS_USER | TP_STATUS_COPY)) ===
        (TP_STATUS_USER | TP_STATUS_COPY)
    );
    return count;
  }

  #giveBack(at: number): void {
    Atomics.store(this.#words, at + HEADER.STATUS, 0);
    this.#next = this.#next + 1 === this.#slots ? 0 : this.#next + 1;
  }
}
