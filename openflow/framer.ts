import { HEADER_BYTES, MAX_MESSAGE } from './codec.ts';
import { OpenFlowError } from './errors.ts';
import { BadRequestCode, ErrorType } from './v13/errors.ts';

/**
 * Cuts a byte stream into OpenFlow messages. Whole messages in a chunk are handed on without a copy; only a
 * message that ends in a later chunk is put together in a buffer, which grows with the bytes received, not
 * with the length announced.
 */
export class Framer {
  readonly #maxBuffered: number;
  #pending = new Uint8Array(0);
  #length = 0;
  #refused = new Uint8Array(0);

  /** @param options.maxBuffered longest message accepted, bytes (at most and by default 65535) */
  constructor(options: { maxBuffered?: number } = {}) {
    this.#maxBuffered = Math.min(MAX_MESSAGE, Math.max(HEADER_BYTES, options.maxBuffered ?? MAX_MESSAGE));
  }

  /** Bytes of a message that is not complete yet. A peer that never sends the rest needs a time limit. */
  get buffered(): number {
    return this.#length;
  }

  /** The header that `push` threw for: whoever answers with an error shows it. */
  get refused(): Uint8Array {
    return this.#refused;
  }

  /**
   * Takes the next bytes of the stream and calls `onMessage` for every message that is now complete. The bytes
   * it gets are valid during the call only. If it throws, the rest of the chunk is lost with the connection.
   * @throws OpenFlowError BAD_REQUEST/BAD_LEN where the header says less than 8 bytes or more than
   * `maxBuffered`: the stream cannot be followed any further
   */
  push(chunk: Uint8Array, onMessage: (bytes: Uint8Array) => void): void {
    let at = 0;
    if (this.#length > 0) {
      at = this.#take(chunk, 0, HEADER_BYTES);
      if (this.#length < HEADER_BYTES) return;
      const length = this.#check(this.#pending, 0);
      at = this.#take(chunk, at, length);
      if (this.#length < length) return;
      const message = this.#pending.subarray(0, length);
      // A new buffer for the next message: the callback may push again.
      this.#pending = new Uint8Array(0);
      this.#length = 0;
      onMessage(message);
    }
    while (chunk.length - at >= HEADER_BYTES) {
      const length = this.#check(chunk, at);
      if (length > chunk.length - at) break;
      // Not chunk.subarray: of a Node Buffer that is a Buffer, whose slice() shares memory where others' copies.
      onMessage(new Uint8Array(chunk.buffer, chunk.byteOffset + at, length));
      at += length;
    }
    if (at < chunk.length) {
      if (chunk.length - at >= HEADER_BYTES) this.#check(chunk, at);
      this.#take(chunk, at, chunk.length - at);
    }
  }

  /** Moves bytes of `chunk` into the buffer until it holds `wanted`; returns the offset after them. */
  #take(chunk: Uint8Array, at: number, wanted: number): number {
    const count = Math.min(wanted - this.#length, chunk.length - at);
    if (count <= 0) return at;
    const needed = this.#length + count;
    if (needed > this.#pending.length) {
      const grown = new Uint8Array(Math.min(MAX_MESSAGE, Math.max(needed, 2 * this.#pending.length, 256)));
      grown.set(this.#pending.subarray(0, this.#length));
      this.#pending = grown;
    }
    this.#pending.set(chunk.subarray(at, at + count), this.#length);
    this.#length = needed;
    return at + count;
  }

  #check(bytes: Uint8Array, at: number): number {
    const length = (bytes[at + 2] << 8) | bytes[at + 3];
    if (length < HEADER_BYTES || length > this.#maxBuffered) {
      this.#refused = bytes.slice(at, at + HEADER_BYTES);
      throw new OpenFlowError(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_LEN,
        `a message header says ${length} bytes; ${HEADER_BYTES} to ${this.#maxBuffered} are possible`,
      );
    }
    return length;
  }
}
