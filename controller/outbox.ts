/**
 * Outgoing bytes of one connection. Messages are encoded straight into one buffer; everything sent in one
 * turn of the event loop leaves with one system call (one write per message costs 25 times as much). What the
 * device has not taken yet is bounded.
 */

import { encodeInto, MAX_MESSAGE, type MessageInit } from '../openflow/index.ts';
import type { Transport } from './transport.ts';

const FIRST_BYTES = 16 * 1024;

export class Outbox {
  readonly #socket: Transport;
  readonly #limit: number;
  #buffer = new Uint8Array(FIRST_BYTES);
  #end = 0;
  #scheduled = false;
  #held = false;
  /** System calls and bytes since the owner last looked (it resets them). */
  writes = 0;
  bytes = 0;

  constructor(socket: Transport, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /** Bytes not yet taken by the kernel. */
  get backlog(): number {
    return this.#socket.writableLength + this.#end;
  }

  /**
   * Queues a message with this transaction id for the end of this turn. False when the backlog limit is
   * passed.
   *
   * @throws EncodeError; nothing is queued then.
   */
  push(message: MessageInit, xid: number): boolean {
    if (this.backlog > this.#limit) return false;
    let end = encodeInto(message, this.#buffer, this.#end);
    if (end > this.#buffer.length) {
      this.#grow();
      end = encodeInto(message, this.#buffer, this.#end);
    }
    this.#queued(end, xid);
    return true;
  }

  /**
   * Queues a message that is encoded already, with this transaction id instead of its own if one is given. False when
   * the backlog limit is passed.
   */
  pushBytes(bytes: Uint8Array, xid?: number): boolean {
    if (this.backlog > this.#limit) return false;
    const end = this.#end + bytes.length;
    if (end > this.#buffer.length) this.#grow();
    this.#buffer.set(bytes, this.#end);
    this.#queued(end, xid);
    return true;
  }

  #queued(end: number, xid: number | undefined): void {
    if (xid !== undefined) {
      this.#buffer[this.#end + 4] = xid >>> 24;
      this.#buffer[this.#end + 5] = xid >>> 16;
      this.#buffer[this.#end + 6] = xid >>> 8;
      this.#buffer[this.#end + 7] = xid;
    }
    this.#end = end;
    this.#schedule();
  }

  /** While held, `release` does the writing (a chunk of input is being worked through). */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.flush();
  }

  flush(): void {
    if (this.#end === 0 || this.#held) return;
    const bytes = this.#buffer.subarray(0, this.#end);
    this.#end = 0;
    this.writes++;
    this.bytes += bytes.length;
    if (!this.#socket.writable) return;
    this.#socket.write(bytes);
    // What the kernel has not taken at once is still read from this buffer.
    if (this.#socket.writableLength > 0) this.#buffer = new Uint8Array(FIRST_BYTES);
  }

  /** Makes room for another message, however long. */
  #grow(): void {
    const grown = new Uint8Array(Math.max(2 * this.#buffer.length, this.#end + MAX_MESSAGE));
    grown.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = grown;
  }

  #schedule(): void {
    if (this.#held || this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      this.flush();
    });
  }
}
