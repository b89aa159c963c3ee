/** The agent's receive memory: frames made once, taken and given back without allocating. */
import { SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import type { FrameRef } from '../../sandbox/client/types.ts';

/** struct virtio_net_hdr: flags u8, gso_type u8, hdr_len, gso_size, csum_start, csum_offset u16 (native order). */
export const VNET_HDR_BYTES = 10;
/** Room in front of a frame: the kernel's vnet header, and space to put a stripped VLAN tag back. */
export const FRAME_HEADROOM = 64;
/** What a frame may be long. */
export const FRAME_CAPACITY = 66 * 1024 - FRAME_HEADROOM;
/**
 * Virtual size of a frame; pages are only taken when written, so small packets cost one page or two. Three cache lines more
 * than it needs: with a whole number of pages all frames would begin in the same few sets of the CPU's caches.
 */
export const FRAME_STRIDE = 66 * 1024 + 192;
/** Where the kernel writes: vnet header, then the frame at FRAME_HEADROOM. */
export const RECEIVE_OFFSET = FRAME_HEADROOM - VNET_HDR_BYTES;

export class Frame implements FrameRef {
  readonly bytes: Uint8Array;
  /** The same memory; frames begin on a word. */
  readonly words: Int32Array;
  /** Start of this frame's memory in `bytes`, and its address. */
  readonly base: number;
  readonly address: number;
  offset = 0;
  length = 0;
  inPort = 0;
  flags = 0;
  csumStart = 0;
  csumOffset = 0;
  l3Offset = 0;
  l4Offset = 0;
  packetOutXid = 0;
  /** Segmentation offload, as in struct virtio_net_hdr. */
  gsoType = 0;
  gsoSize = 0;
  headerLength = 0;
  /** Who still needs it: its owner, and every queued transmission. */
  refs = 0;
  /** Intrusive link of the pool's free list and of hold queues. */
  next: Frame | null = null;

  constructor(bytes: Uint8Array, words: Int32Array, base: number, address: number) {
    this.bytes = bytes;
    this.words = words;
    this.base = base;
    this.address = address;
  }

  /** Fills the frame with a packet that came from no port (PACKET_OUT). */
  load(data: Uint8Array, inPort: number): void {
    this.offset = this.base + FRAME_HEADROOM;
    this.bytes.set(data, this.offset);
    this.length = data.length;
    this.inPort = inPort;
    this.packetOutXid = 0;
    this.flags = SLOT_FLAG.PACKET_OUT;
    this.gsoType = 0;
    this.gsoSize = 0;
    this.headerLength = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
    this.bytes.fill(0, this.offset - VNET_HDR_BYTES, this.offset);
  }

  /** Address of the frame's vnet header: it says the same as the fields above, and the frame follows it. */
  get vnetAddress(): number {
    return this.address + (this.offset - this.base) - VNET_HDR_BYTES;
  }
}

/** Where frames are. */
export interface FrameMemory {
  readonly bytes: Uint8Array;
  /** Of the first byte, for system calls; 0 where no interface will ever be given one. */
  readonly address: number;
}

/** Memory of V8's own, as good as any for frames that stay in this process (the test kit's). */
const ownMemory = (frames: number): FrameMemory => ({
  bytes: new Uint8Array(frames * FRAME_STRIDE),
  address: 0,
});

/** Last in, first out, so that the same few pages stay in the CPU's caches. */
export class FramePool {
  readonly size: number;
  /** Times that take() found nothing. */
  exhausted = 0;
  available: number;
  #free: Frame | null = null;

  /** `memory`: for so many frames, mapFrames() for those of interfaces. */
  constructor(size = 4096, { bytes, address }: FrameMemory = ownMemory(size)) {
    this.size = size;
    this.available = size;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    for (let i = size - 1; i >= 0; i--) {
      const frame = new Frame(bytes, words, i * FRAME_STRIDE, address + i * FRAME_STRIDE);
      frame.next = this.#free;
      this.#free = frame;
    }
  }

  /** A frame with one reference, or null when all are in use. */
  take(): Frame | null {
    const frame = this.#free;
    if (frame === null) {
      this.exhausted++;
      return null;
    }
    this.#free = frame.next;
    frame.next = null;
    frame.refs = 1;
    this.available--;
    return frame;
  }

  /** Drops one reference; the last one puts the frame back. */
  release(frame: Frame): void {
    if (--frame.refs > 0) return;
    frame.next = this.#free;
    this.#free = frame;
    this.available++;
  }
}
