/** The sandbox hosts of a tenant for several devices in one process. */
import { SandboxError } from './errors.ts';
import type { HostView, TenantHosts } from './tenant-hosts.ts';
import type { CellEvents, CellRequest, FrameRef, OpenCallback } from './types.ts';

/**
 * What one of several devices in a process has of the sandbox hosts they share. A cell is a cell of its own as ever;
 * what they share is the processes and their stores of warm isolates.
 */
export class HostShare<F extends FrameRef> {
  readonly #hosts: TenantHosts<F>;
  readonly #events: CellEvents<F>;
  #closed = false;

  constructor(hosts: TenantHosts<F>, events: CellEvents<F>) {
    this.#hosts = hosts;
    this.#events = events;
  }

  /** As TenantHosts.open. */
  open(request: CellRequest<F>): void {
    const { callback } = request;
    const gone = () => new SandboxError('FC_HOST_UNAVAILABLE', 'this share of the sandbox hosts was closed');
    if (this.#closed) {
      callback(gone(), null, 0);
      return;
    }
    const guarded: OpenCallback<F> = (error, cell, setupUs) => {
      if (cell !== null && this.#closed) {
        cell.close();
        callback(gone(), null, setupUs);
      } else callback(error, cell, setupUs);
    };
    this.#hosts.open({ ...request, callback: guarded }, this.#events);
  }

  kick(): void {
    this.#hosts.kick();
  }

  /** Of the whole processes. */
  view(): HostView[] {
    return this.#hosts.view();
  }

  /** Those of all who share the hosts. */
  get counters(): TenantHosts<F>['counters'] {
    return this.#hosts.counters;
  }

  /** Ends its cells ('closed'); the hosts go on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hosts.unshare(this.#events);
  }
}
