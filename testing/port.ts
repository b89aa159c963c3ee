/** A switch's port at the end of a virtual link, for the agent in place of a network interface. */

import type { Frame } from '../agent/ports/frames.ts';
import { type Medium, NO_MEDIUM } from '../agent/ports/medium.ts';
import { emptyCounters, type LinkState, type Port, type PortQueue } from '../agent/ports/port.ts';
import { PortConfig } from '../openflow/index.ts';
import type { LinkEnd } from './link.ts';

/** A queue of a port. It counts, and shapes nothing: what is sent arrives at once. */
export interface QueueOptions {
  id: number;
  /** Guaranteed and most, bits per second; default 0 and the port's speed. */
  minRate?: number;
  maxRate?: number;
}

export interface VirtualPortOptions {
  number: number;
  name: string;
  hardwareAddress: string;
  /** Virtual time, ms. */
  since: number;
  queues: readonly QueueOptions[];
  /** What a cell has at an address. */
  bytesAt: (address: number, length: number) => Uint8Array;
  /** A frame leaves. */
  sent: (port: VirtualPort, bytes: Uint8Array, frame: Frame, queue: number | undefined) => void;
  /** A frame arrives. */
  received: (port: VirtualPort, bytes: Uint8Array, packet: number) => void;
  /** Its state is another now, and no PORT_MOD of its own made it so. */
  changed: (port: VirtualPort) => void;
}

export class VirtualPort implements Port, LinkEnd {
  readonly number: number;
  readonly name: string;
  readonly hardwareAddress: string;
  readonly since: number;
  /** As the kernel has it for a veth. */
  readonly medium: Medium = { ...NO_MEDIUM, speed: 10_000 };
  readonly link: LinkState = { present: true, up: true, running: false };
  readonly counters = emptyCounters();
  config = 0;
  readonly #options: VirtualPortOptions;
  readonly #queues: Map<number, { -readonly [K in keyof PortQueue]: PortQueue[K] }>;
  #configuring = false;
  /** The link's doing: tells the other end of this one's state. */
  stateChanged: (() => void) | undefined;

  constructor(options: VirtualPortOptions) {
    this.number = options.number;
    this.name = options.name;
    this.hardwareAddress = options.hardwareAddress;
    this.since = options.since;
    this.#options = options;
    this.#queues = new Map(
      options.queues.map(({ id, minRate = 0, maxRate = this.medium.speed * 1e6 }) => [
        id,
        { id, minRate, maxRate, since: options.since, txPackets: 0n, txBytes: 0n, drops: 0 },
      ]),
    );
  }

  get up(): boolean {
    return this.link.up;
  }

  configure(config: number): void {
    this.#configuring = true;
    const down = (config & PortConfig.PORT_DOWN) !== 0;
    this.config = config;
    if (down === this.link.up) this.setUp(!down);
    this.#configuring = false;
  }

  setUp(up: boolean): void {
    if (up === this.link.up) return;
    this.link.up = up;
    this.config = up ? this.config & ~PortConfig.PORT_DOWN : this.config | PortConfig.PORT_DOWN;
    if (this.stateChanged === undefined) this.#changed();
    else this.stateChanged();
  }

  /** Whether both ends are up may have changed. */
  carrier(running: boolean, changed: boolean): void {
    if (running === this.link.running && !changed) return;
    this.link.running = running;
    this.#changed();
  }

  deliver(bytes: Uint8Array, packet: number): void {
    this.#options.received(this, bytes, packet);
  }

  hasQueue(id: number): boolean {
    return this.#queues.has(id);
  }

  queues(): readonly PortQueue[] {
    return [...this.#queues.values()].sort((a, b) => a.id - b.id);
  }

  send(frame: Frame, headAddress: number, headLength: number, consumed: number, queue: number): void {
    const rest = frame.bytes.subarray(frame.offset + consumed, frame.offset + frame.length);
    const bytes = new Uint8Array(headLength + rest.length);
    if (headLength > 0) bytes.set(this.#options.bytesAt(headAddress, headLength));
    bytes.set(rest, headLength);
    const taken = this.#queues.get(queue);
    if (taken !== undefined) {
      taken.txPackets++;
      taken.txBytes += BigInt(bytes.length);
    }
    this.#options.sent(this, bytes, frame, taken?.id);
  }

  flush(): void {}
  refreshCounters(): void {}
  close(): void {}

  /** A PORT_MOD is answered by the channel itself. */
  #changed(): void {
    if (!this.#configuring) this.#options.changed(this);
  }
}
