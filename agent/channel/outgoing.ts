/** What waits to be written to one socket: several messages leave in one write, and a peer that does not read has a limit. */

/** Written at once when this many bytes wait; else at the end of the loop's turn. */
const WRITE_BYTES = 65536;

/** As far as it is written to. */
interface Writable {
  readonly writableLength: number;
  write(bytes: Uint8Array): unknown;
}

export class Outgoing {
  readonly #socket: Writable;
  readonly #limit: number;
  #messages: Uint8Array[] = [];
  #bytes = 0;

  /** `limit`: bytes that the peer may leave unread. */
  constructor(socket: Writable, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /** Bytes that the kernel has not taken yet. */
  get waiting(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** False when the limit is passed. */
  push(bytes: Uint8Array): boolean {
    this.#messages.push(bytes);
    this.#bytes += bytes.length;
    return this.#bytes <= WRITE_BYTES || this.flush();
  }

  /** False when the limit is passed. */
  flush(): boolean {
    if (this.#bytes === 0) return true;
    const bytes =
      this.#messages.length === 1 ? this.#messages[0] : Buffer.concat(this.#messages, this.#bytes);
    this.#messages = [];
    this.#bytes = 0;
    this.#socket.write(bytes);
    return this.#socket.writableLength <= this.#limit;
  }
}
