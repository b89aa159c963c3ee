/**
 * Outgoing bytes of one connection. Everything sent in one turn of the event loop leaves as one buffer and
 * one system call (facts: one write per message costs 25 times as much), and what the device has not taken
 * yet is bounded.
 */

import type { Socket } from 'node:net';

export class Outbox {
  readonly #socket: Socket;
  readonly #limit: number;
  #queue: Uint8Array[] = [];
  #bytes = 0;
  #scheduled = false;
  #held = false;
  /** Buffers handed to the socket, and bytes in them. */
  writes = 0;
  bytesOut = 0;

  constructor(socket: Socket, limit: number) {
    this.#socket = socket;
    this.#limit = limit;
  }

  /** Bytes not yet taken by the kernel. */
  get backlog(): number {
    return this.#socket.writableLength + this.#bytes;
  }

  /** Queues a message for the end of this turn. False when the backlog limit would be passed. */
  push(bytes: Uint8Array): boolean {
    if (this.backlog + bytes.length > this.#limit) return false;
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    if (!this.#held && !this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
    return true;
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
    if (this.#queue.length === 0 || this.#held) return;
    const bytes = this.#queue.length === 1 ? this.#queue[0] : Buffer.concat(this.#queue, this.#bytes);
    this.#queue = [];
    this.#bytes = 0;
    this.writes++;
    this.bytesOut += bytes.length;
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}
