/** A connection within the process: what a controller and a device take for a TCP socket, two ends of it. */
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort = 0;
  #peer: MemorySocket | undefined;
  readonly #written: (bytes: Uint8Array) => void;

  private constructor(remoteAddress: string, written: (bytes: Uint8Array) => void) {
    super({ allowHalfOpen: false });
    this.remoteAddress = remoteAddress;
    this.#written = written;
  }

  /**
   * Both ends. `names`: what each end is called where the other is; `written`: told of what an end writes, which is the
   * callee's to keep, before the other end gets it. `connect` is emitted at the first end, in a later turn.
   */
  static pair(
    names: readonly [string, string],
    written: readonly [(bytes: Uint8Array) => void, (bytes: Uint8Array) => void],
  ): [MemorySocket, MemorySocket] {
    const first = new MemorySocket(names[1], written[0]);
    const second = new MemorySocket(names[0], written[1]);
    first.#peer = second;
    second.#peer = first;
    process.nextTick(() => first.emit('connect'));
    return [first, second];
  }

  setNoDelay(): this {
    return this;
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    const copy = Buffer.from(chunk);
    this.#written(copy);
    this.#peer?.push(copy);
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#peer?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const peer = this.#peer;
    this.#peer = undefined;
    // What was written still arrives there first.
    if (peer !== undefined) process.nextTick(() => peer.push(null));
    done(error);
  }
}
