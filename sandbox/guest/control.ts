/** OpenFlow messages to and from the cell, over the two control byte rings of the region. */
import { ByteRing } from '../channel/byte-ring.ts';
import { CTL_IN_BYTES, CTL_IN_OFFSET, CTL_OUT_BYTES, CTL_OUT_OFFSET, H } from '../channel/layout.ts';

const HEADER_LENGTH = 8;
const LARGEST_MESSAGE = 65535;
const FIRST_BUFFER = 512;

/** Puts messages together from the bytes that have come in. */
export class ControlIn {
  private readonly ring: ByteRing;
  private buffer = new Uint8Array(FIRST_BUFFER);
  private filled = 0;

  constructor(words: Int32Array, bytes: Uint8Array) {
    this.ring = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
  }

  /** Takes the ring's positions from the region. */
  attach(): void {
    this.ring.attach();
  }

  /** Bytes of a message have come whose rest is still to come. */
  get partial(): boolean {
    return this.filled > 0;
  }

  /** Not a byte of a further message is here. */
  get empty(): boolean {
    return this.filled === 0 && this.ring.readable() === 0;
  }

  /**
   * The next whole message, or undefined when there is none yet. Valid until the next call. Throws when the
   * stream is broken: the agent sends whole messages only.
   */
  next(): Uint8Array | undefined {
    if (!this.fill(HEADER_LENGTH)) return undefined;
    const length = (this.buffer[2] << 8) | this.buffer[3];
    if (length < HEADER_LENGTH)
      throw new RangeError('control stream broken: message shorter than its header');
    if (!this.fill(length)) return undefined;
    this.filled = 0;
    return this.buffer.subarray(0, length);
  }

  /** Takes bytes until the message so far has `wanted`. */
  private fill(wanted: number): boolean {
    if (this.filled >= wanted) return true;
    const readable = this.ring.readable();
    if (readable < 0) throw new RangeError('control stream broken: ring positions');
    const take = Math.min(wanted - this.filled, readable);
    if (this.filled + take > this.buffer.length) this.grow(wanted);
    if (take > 0) {
      this.ring.read(this.buffer, this.filled, take);
      this.filled += take;
    }
    return this.filled === wanted;
  }

  private grow(wanted: number): void {
    const larger = new Uint8Array(Math.min(LARGEST_MESSAGE, Math.max(wanted, 2 * this.buffer.length)));
    larger.set(this.buffer.subarray(0, this.filled));
    this.buffer = larger;
  }
}

/** Sends messages as the ring has room; what does not fit waits here. */
export class ControlOut {
  private readonly ring: ByteRing;
  private waiting: Uint8Array[] = [];
  /** How much of waiting[0] is out. */
  private sent = 0;

  constructor(words: Int32Array, bytes: Uint8Array) {
    this.ring = new ByteRing(words, H.CTL_OUT_HEAD, H.CTL_OUT_TAIL, bytes, CTL_OUT_OFFSET, CTL_OUT_BYTES);
  }

  /** Takes the ring's positions from the region. */
  attach(): void {
    this.ring.attach();
  }

  /**
   * Messages wait for room. Nothing that makes more of them is begun then, so what waits is bounded by what
   * one control message, or one round of timeouts, can give rise to.
   */
  get blocked(): boolean {
    return this.waiting.length > 0;
  }

  /** Returns whether any bytes went out. The message is kept until sent: it must not change. */
  send(message: Uint8Array): boolean {
    if (this.blocked) {
      this.waiting.push(message);
      return false;
    }
    const written = this.ring.write(message, 0);
    if (written < message.length) {
      this.waiting.push(message);
      this.sent = written;
    }
    return written > 0;
  }

  /** Sends what waited, as far as there is room now; returns whether any bytes went out. */
  flush(): boolean {
    let any = false;
    let done = 0;
    for (const message of this.waiting) {
      const written = this.ring.write(message, this.sent);
      any ||= written > 0;
      this.sent += written;
      if (this.sent < message.length) break;
      this.sent = 0;
      done++;
    }
    if (done > 0) this.waiting = this.waiting.slice(done);
    return any;
  }
}
