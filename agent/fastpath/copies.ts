/**
 * Packet-ins about packets that the kernel forwards. It sends a copy of each, tagged with the number of its entry, to an
 * interface that the agent reads; what else the packet-in says is the same for all packets of a flow.
 */
import { NO_QUEUE, TX_KIND } from '../../sandbox/channel/layout.ts';
import type { OutputVerdict } from '../dispatcher/output.ts';
import type { Frame } from '../ports/frames.ts';
import type { CachedFlow } from './cached-flow.ts';
import { ENTRY, MAX_COPY_TAG } from './layout.ts';
import type { FastPathOptions, Kernel } from './options.ts';

export class Copies {
  /** How many there were. */
  taken = 0;
  readonly #handle: FastPathOptions['handle'];
  readonly #flows = new Map<number, CachedFlow>();
  /** About a frame as it is. */
  readonly #verdict: OutputVerdict = {
    kind: TX_KIND.TO_CONTROLLER,
    frame: undefined as unknown as Frame,
    port: 0,
    region: new Uint8Array(0),
    ...{ regionAddress: 0n, headOffset: 0, headLength: 0, headConsumed: 0 },
    queue: NO_QUEUE,
    tableId: 0,
    cookie: 0n,
    metadata: 0n,
  };

  constructor(handle: FastPathOptions['handle']) {
    this.#handle = handle;
  }

  /** Packets of this entry are copied; false: that cannot be had here. */
  begin(kernel: Kernel, entry: Uint8Array): boolean {
    if (kernel.size - 1 > MAX_COPY_TAG) return false;
    const index = kernel.copiesTo();
    if (index === undefined) return false;
    new DataView(entry.buffer).setUint32(ENTRY.CONTROLLER, index, true);
    return true;
  }

  add(flow: CachedFlow, entry: Uint8Array): void {
    if (flow.copy === undefined) return;
    new DataView(entry.buffer).setUint32(ENTRY.CONTROLLER_TAG, flow.index, true);
    this.#flows.set(flow.index, flow);
  }

  delete(flow: CachedFlow): void {
    if (flow.copy !== undefined) this.#flows.delete(flow.index);
  }

  /** Packet-ins about all packets that were forwarded up to now: before something changes. */
  take(kernel: Kernel | undefined): void {
    if (this.#flows.size > 0) kernel?.takeCopies();
  }

  /** A packet went by the entry of this number, and left as the frame is. */
  readonly copied = (index: number, frame: Frame): void => {
    const flow = this.#flows.get(index);
    if (flow?.copy === undefined) return;
    const { cell, inPort, copy } = flow;
    const verdict = this.#verdict;
    frame.inPort = inPort.number;
    verdict.frame = frame;
    verdict.port = copy.reason;
    verdict.tableId = copy.tableId;
    verdict.cookie = copy.cookie;
    verdict.metadata = copy.metadata;
    this.taken++;
    this.#handle(cell.id, cell.tenant, verdict);
  };
}
