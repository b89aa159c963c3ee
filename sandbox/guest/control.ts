/** OpenFlow messages to and from the cell, over the two control byte rings of the region. */
import { ByteRing } from '../channel/byte-ring.ts';
import { CTL_IN_BYTES, CTL_IN_OFFSET, CTL_OUT_BYTES, CTL_OUT_OFFSET, H } from '../channel/layout.ts';

const HEADER_LENGTH = 8;
const NOTHING = new Uint8Array(0);

/** Takes messages out of the bytes that have come in. */
export class ControlIn {
  private readonly ring: ByteRing;
  /** What was last taken from the ring, with the beginning of a message that was left before it; from `at` on it is new. */
  private chunk = NOTHING;
  private at = 0;

  constructor(words: Int32Array, bytes: Uint8Array) {
    this.ring = new ByteRing(words, H.CTL_IN_HEAD, H.CTL_IN_TAIL, bytes, CTL_IN_OFFSET, CTL_IN_BYTES);
  }

  /** Takes the ring's positions from the region. */
  attach(): void {
    this.ring.attach();
  }

  /** Bytes of a message have come whose rest is still to come. */
  get partial(): boolean {
    return this.at < this.chunk.length && !this.isWhole;
  }

  /** Not a byte of a further message is here. */
  get empty(): boolean {
    return this.at === this.chunk.length && this.ring.readable() === 0;
  }

  /**
   * The next whole message, or undefined when there is none yet. The bytes stay as they are; messages that came together
   * share their memory. Throws when the stream is broken: the agent sends whole messages only.
   */
  next(): Uint8Array | undefined {
    while (!this.isWhole) if (!this.take()) return undefined;
    const { at } = this;
    this.at += this.lengthAt(at);
    return this.chunk.subarray(at, this.at);
  }

  /** Whether a whole message stands at `at`. */
  private get isWhole(): boolean {
    const left = this.chunk.length - this.at;
    return left >= HEADER_LENGTH && left >= this.lengthAt(this.at);
  }

  private lengthAt(at: number): number {
    const length = (this.chunk[at + 2] << 8) | this.chunk[at + 3];
    if (length < HEADER_LENGTH)
      throw new RangeError('control stream broken: message shorter than its header');
    return length;
  }

  /** Takes all there is in the ring; false: nothing. */
  private take(): boolean {
    const readable = this.ring.readable();
    if (readable < 0) throw new RangeError('control stream broken: ring positions');
    if (readable === 0) return false;
    const left = this.chunk.length - this.at;
    const chunk = new Uint8Array(left + readable);
    if (left > 0) chunk.set(this.chunk.subarray(this.at));
    this.ring.read(chunk, left, readable);
    this.chunk = chunk;
    this.at = 0;
    return true;
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
