/** What all ports have in common that are network interfaces: state, configuration, counters, queues. */
import { PortConfig } from '../../openflow/index.ts';
import { readMedium } from './ethtool.ts';
import type { Frame } from './frames.ts';
import { NO_MEDIUM } from './medium.ts';
import { emptyCounters, type FrameSink, type LinkState, type Port, type PortQueue } from './port.ts';
import type { BurstReceiver } from './receive.ts';
import type { Interface, Rtnetlink } from './rtnetlink.ts';

const sameMedium = (a: object, b: object): boolean => JSON.stringify(a) === JSON.stringify(b);

export abstract class InterfacePort implements Port {
  readonly number: number;
  readonly name: string;
  readonly since: number;
  readonly link: LinkState = { present: false, up: false, running: false };
  readonly counters = emptyCounters();
  hardwareAddress = '00:00:00:00:00:00';
  medium = NO_MEDIUM;
  config = 0;
  /** Longest packet behind the Ethernet header, bytes. */
  mtu = 0;
  /** Interface index, 0 while the interface is away. */
  index = 0;
  /** -1 while the interface is away. */
  fd = -1;
  /** A controller set the interface down: it is set up again when the agent ends. */
  #takenDown = false;
  /** Called before counters are read: somebody else may have more of them. */
  onRefresh: (() => void) | undefined;
  protected readonly rtnetlink: Rtnetlink;

  constructor(number: number, name: string, rtnetlink: Rtnetlink, now: number) {
    this.number = number;
    this.name = name;
    this.rtnetlink = rtnetlink;
    this.since = now;
  }

  /** Begins to use the interface; throws PortError FC_PORT_OPEN. */
  abstract open(link: Interface): void;
  /** One burst; returns the number of frames, or minus an errno. */
  abstract receive(receiver: BurstReceiver, sink: FrameSink): number;
  abstract send(frame: Frame, headAddress: number, headLength: number, consumed: number, queue: number): void;
  abstract flush(): void;
  abstract refreshCounters(): void;
  abstract close(): void;
  abstract hasQueue(id: number): boolean;
  abstract queues(): readonly PortQueue[];
  /** The interface's traffic classes have changed. */
  abstract findQueues(): void;

  /** There is something to receive, as far as can be seen without asking the kernel. */
  get ready(): boolean {
    return false;
  }

  configure(config: number): void {
    const changed = (config ^ this.config) & PortConfig.PORT_DOWN;
    if (changed !== 0 && this.link.present) {
      const down = (config & PortConfig.PORT_DOWN) !== 0;
      this.rtnetlink.setUp(this.index, !down);
      this.#takenDown = down;
    }
    this.config = config;
    if (changed === 0 || !this.link.present) return;
    const link = this.rtnetlink.link(this.index);
    if (link !== undefined) this.apply(link);
  }

  /** Takes over what the kernel says of the interface. True when anything is different from before. */
  apply(link: Interface): boolean {
    const state = this.link;
    const medium = readMedium(this.rtnetlink.fd, link.name);
    const same =
      state.present &&
      state.up === link.up &&
      state.running === link.running &&
      this.hardwareAddress === link.address &&
      sameMedium(this.medium, medium);
    state.present = true;
    state.up = link.up;
    state.running = link.running;
    this.hardwareAddress = link.address;
    this.medium = medium;
    this.mtu = link.mtu;
    if (link.up) this.config &= ~PortConfig.PORT_DOWN;
    else this.config |= PortConfig.PORT_DOWN;
    return !same;
  }

  /** The interface is gone. */
  leave(): void {
    this.index = 0;
    this.link.present = false;
    this.link.up = false;
    this.link.running = false;
    this.#takenDown = false;
  }

  /** Undoes what a controller did to the interface. */
  restore(): void {
    if (this.#takenDown && this.link.present && !this.link.up) this.rtnetlink.setUp(this.index, true);
    this.#takenDown = false;
  }
}
