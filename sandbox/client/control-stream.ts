/**
 * OpenFlow messages to and from a cell, over the two byte rings of its region. Both are streams of whole
 * messages; a message may be longer than its ring.
 */
import { ByteRing } from '../channel/byte-ring.ts';
import { CTL_IN_BYTES, CTL_IN_OFFSET, CTL_OUT_BYTES, CTL_OUT_OFFSET, H } from '../channel/layout.ts';

const MIN_MESSAGE = 8;
/** Bytes kept for a cell that does not read its messages fast enough. */
export const MAX_QUEUED = 256 * 1024;

/** Messages on their way into a cell: what does not fit in the ring waits here. */
export class ControlIn {
  readonly #ring: ByteRing;
  #queue: Uint8Array[] = [];
  #queued = 0;

  /** Views on the cell's region. */
  constructor(words: Int32Array, region: Uint8Array) {
    this.#ring = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, region, CTL_IN_OFFSET, CTL_IN_BYTES);
  }

  /** Bytes that wait for room in the ring. */
  get queued(): number {
    return this.#queued;
  }

  /** False when the message does not fit in the bounded queue. Bytes are copied. */
  send(message: Uint8Array): boolean {
    if (this.#queued + message.length > MAX_QUEUED) return false;
    const written = this.#queued === 0 ? this.#ring.write(message, 0) : 0;
    if (written < message.length) {
      this.#queue.push(message.slice(written));
      this.#queued += message.length - written;
    }
    return true;
  }

  /** Moves on what waits; true if anything was moved. */
  flush(): boolean {
    let moved = false;
    while (this.#queue.length > 0) {
      const first = this.#queue[0]!;
      const written = this.#ring.write(first, 0);
      if (written === 0) break;
      moved = true;
      this.#queued -= written;
      if (written < first.length) this.#queue[0] = first.subarray(written);
      else this.#queue.shift();
    }
    return moved;
  }
}

/** Messages from a cell. */
export class ControlOut {
  readonly #ring: ByteRing;
  #partial: Uint8Array | null = null;

  constructor(words: Int32Array, region: Uint8Array) {
    this.#ring = new ByteRing(words, H.CTL_OUT_HEAD, H.CTL_OUT_TAIL, region, CTL_OUT_OFFSET, CTL_OUT_BYTES);
  }

  /**
   * Hands over each whole message; the bytes are the receiver's to keep. They are copied out of the region
   * before anything looks at them, since the cell may change them at any time. Returns what is wrong with the
   * stream, or null.
   */
  take(onMessage: (message: Uint8Array) => void): string | null {
    const available = this.#ring.readable();
    if (available === 0) return null;
    if (available < 0) return 'control ring position is out of range';
    const kept = this.#partial?.length ?? 0;
    const bytes = new Uint8Array(kept + available);
    if (this.#partial) bytes.set(this.#partial);
    this.#ring.read(bytes, kept, available);

    let start = 0;
    while (bytes.length - start >= MIN_MESSAGE) {
      const size = (bytes[start + 2]! << 8) | bytes[start + 3]!;
      if (size < MIN_MESSAGE) return `message length ${size} is shorter than an OpenFlow header`;
      if (bytes.length - start < size) break;
      onMessage(bytes.subarray(start, start + size));
      start += size;
    }
    // Never longer than one message and what the ring holds.
    this.#partial = start < bytes.length ? bytes.subarray(start) : null;
    return null;
  }
}
