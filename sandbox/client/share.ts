/** A sandbox host for several devices in one process. */
import { SandboxError } from './errors.ts';
import type { SandboxHost } from './host.ts';
import type { OpenCallback, SandboxHostStats } from './host-types.ts';
import type { CellEvents, CellLimits, FrameRef, ProgramImage } from './types.ts';

/**
 * What one of several devices in a process has of a sandbox host they share. A cell is a cell of its own as ever;
 * what they share is the process and its store of warm isolates.
 */
export class HostShare<F extends FrameRef> {
  readonly #host: SandboxHost<F>;
  readonly #events: CellEvents<F>;
  #closed = false;

  constructor(host: SandboxHost<F>, events: CellEvents<F>) {
    this.#host = host;
    this.#events = events;
  }

  get pid(): number {
    return this.#host.pid;
  }

  /** As SandboxHost.open. */
  open(
    id: number,
    program: ProgramImage,
    limits: CellLimits,
    callback: OpenCallback<F>,
    wanted?: () => boolean,
  ): void {
    const gone = () => new SandboxError('FC_HOST_UNAVAILABLE', 'this share of the sandbox host was closed');
    if (this.#closed) {
      callback(gone(), null, 0);
      return;
    }
    const opened: OpenCallback<F> = (error, cell, setupUs) => {
      if (cell !== null && this.#closed) {
        cell.close();
        callback(gone(), null, setupUs);
      } else callback(error, cell, setupUs);
    };
    this.#host.openFor(this.#events, id, program, limits, opened, wanted);
  }

  kick(): void {
    this.#host.kick();
  }

  /** Of the whole host. */
  stats(): SandboxHostStats {
    return this.#host.stats();
  }

  /** Ends its cells ('closed'); the host goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.unshare(this.#events);
  }
}
