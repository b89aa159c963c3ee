/** All ports of the device: number -> port, link state, interfaces that go away and come back. */
import type { Logger } from 'pino';
import { PortConfig, Port as PortNumber } from '../../openflow/index.ts';
import { errnoName } from '../../sandbox/sys/libc.ts';
import type { PollLoop, Source } from '../../sandbox/sys/loop.ts';
import type { Clock } from '../clock.ts';
import type { FramePool } from './frames.ts';
import type { InterfacePort } from './interface-port.ts';
import { LinkMonitor } from './link-monitor.ts';
import { PacketPort } from './packet-socket.ts';
import type { FrameSink, Port } from './port.ts';
import { makeQueues, type QueueSpec, queuesByPort, removeQueues } from './queues.ts';
import { BurstReceiver } from './receive.ts';
import { type Interface, Rtnetlink } from './rtnetlink.ts';
import { PortError } from './socket.ts';
import { TapPort } from './tap.ts';

const RECEIVING_OFF = PortConfig.PORT_DOWN | PortConfig.NO_RECV;
/** OFPP_MAX: the highest number a physical port may have. */
const MAX_PORT = 0xffffff00;
const DEFAULT_RING_SLOTS = 1024;
/** Longest time that nothing is received because enough is on its way: some cell may never give back what it has. */
const PAUSE_MS = 0.2;

export type PortChange = 'add' | 'delete' | 'modify';

export interface PortsOptions {
  /** 'NAME' (the next free number) or 'NAME=NUMBER'. */
  names: string[];
  /** Name of the TAP device that is OFPP_LOCAL; left out: there is no such port. */
  local?: string;
  /** Queues to make, as HTB classes. */
  queues?: readonly QueueSpec[];
  /** Frames of 2 KiB that may wait for each port in the kernel, which has the memory set aside. Default 1024. */
  ringSlots?: number;
  loop: PollLoop;
  pool: FramePool;
  clock: Clock;
  sink: FrameSink;
  /** Enough frames are on their way through cells. */
  busy: () => boolean;
  changed: (port: Port, change: PortChange) => void;
  /** A port has a socket from now on; it is about to lose it. */
  opened?: (port: InterfacePort) => void;
  closing?: (port: InterfacePort) => void;
  /** Its MTU is another. */
  resized?: (port: InterfacePort) => void;
  logger: Logger;
}

/** Interface names to port numbers; throws PortError FC_PORT_NAME. */
export const numberPorts = (names: string[]): Map<number, string> => {
  const numbered = new Map<number, string>();
  const taken = new Set<string>();
  const entries = names.map((text) => {
    const [, name, number] = /^([^=\s/]{1,15})(?:=(\d{1,10}))?$/.exec(text) ?? [];
    const wanted = number === undefined ? undefined : Number(number);
    if (name === undefined || wanted === 0 || (wanted ?? 1) > MAX_PORT) {
      throw new PortError(
        'FC_PORT_NAME',
        `'${text}' is not a port: write NAME or NAME=NUMBER (1 to ${MAX_PORT}).`,
      );
    }
    if (taken.has(name)) throw new PortError('FC_PORT_NAME', `Port ${name} is named twice; name it once.`);
    taken.add(name);
    return { name, wanted };
  });
  for (const { name, wanted } of entries) {
    if (wanted === undefined) continue;
    if (numbered.has(wanted)) throw new PortError('FC_PORT_NAME', `Port number ${wanted} is given twice.`);
    numbered.set(wanted, name);
  }
  let next = 1;
  for (const { name, wanted } of entries) {
    if (wanted !== undefined) continue;
    while (numbered.has(next)) next++;
    numbered.set(next, name);
  }
  return new Map([...numbered].sort(([a], [b]) => a - b));
};

export class Ports {
  readonly #options: PortsOptions;
  readonly #rtnetlink: Rtnetlink;
  readonly #monitor: LinkMonitor;
  readonly #receiver: BurstReceiver;
  readonly #byNumber = new Map<number, InterfacePort>();
  readonly #byName = new Map<string, InterfacePort>();
  /** Queues to make, by interface; and the interfaces that have them. */
  readonly #queues: Map<string, QueueSpec[]>;
  readonly #queued = new Set<string>();
  /** Ports whose traffic classes have changed. */
  readonly #stale = new Set<InterfacePort>();
  /** For ports that are not to receive. */
  readonly #discard: FrameSink = (frame) => {
    const port = this.#byNumber.get(frame.inPort);
    if (port !== undefined) port.counters.rxDropped++;
    this.#options.pool.release(frame);
  };
  #started = false;
  /** When frames were last received, ms of the loop's clock. */
  #receivedAt = 0;
  /** The same ports as an array, for flooding without an iterator. */
  readonly list: InterfacePort[] = [];

  /** Throws PortError FC_PORT_NAME, FC_PORT_NOT_FOUND, FC_PORT_OPEN, FC_QUEUE, FC_NETLINK. */
  constructor(options: PortsOptions) {
    const { names, local, queues = [] } = options;
    this.#options = options;
    this.#receiver = new BurstReceiver(options.pool);
    const numbered = numberPorts(names);
    if (local !== undefined) checkLocal(local, numbered);
    this.#queues = queuesByPort(queues);
    for (const name of this.#queues.keys()) {
      if (![...numbered.values()].includes(name)) {
        throw new PortError(
          'FC_QUEUE',
          `Queues are given for ${name}, which is not a port; name it as one too.`,
        );
      }
    }
    this.#rtnetlink = new Rtnetlink();
    this.#monitor = new LinkMonitor({
      changed: (link) => this.#changed(link),
      gone: (name) => this.#gone(name),
      queuesChanged: (index) => this.#queuesChanged(index),
    });
    try {
      for (const [number, name] of numbered) this.#add(this.#packetPort(number, name));
      if (local !== undefined) this.#addLocal(local);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Begins to receive. Frames that arrived before wait in the kernel. */
  start(): void {
    this.#started = true;
    this.#options.loop.watch(this.#monitor.fd, () => this.#interfacesChanged());
    for (const port of this.list) this.#watch(port);
  }

  /** Adds 'NAME' or 'NAME=NUMBER' while the device runs. Throws as the constructor does. */
  attach(text: string): void {
    const [[wanted, name]] = numberPorts([text]);
    let number = wanted;
    if (!text.includes('=')) while (this.#byNumber.has(number)) number++;
    if (this.#byNumber.has(number)) {
      throw new PortError('FC_PORT_NAME', `Port number ${number} is ${this.#byNumber.get(number)?.name}.`);
    }
    if (this.#byName.has(name)) throw new PortError('FC_PORT_NAME', `${name} is a port already.`);
    // The interface may be among the changes that wait to be read.
    this.#interfacesChanged();
    const port = this.#packetPort(number, name);
    try {
      this.#add(port);
    } catch (error) {
      this.#forget(port);
      throw error;
    }
    this.#options.changed(port, 'add');
  }

  /** Takes a port away; its interface stays as it is found. Throws PortError FC_PORT_NAME. */
  detach(name: string): void {
    const port = this.#byName.get(name);
    if (port === undefined) throw new PortError('FC_PORT_NAME', `${name} is no port of this switch.`);
    if (port.link.present) this.#attempt(port, () => port.restore());
    this.#closePort(port);
    if (this.#queued.delete(name)) this.#attempt(port, () => removeQueues(name));
    this.#forget(port);
    this.#options.changed(port, 'delete');
  }

  get(number: number): InterfacePort | undefined {
    return this.#byNumber.get(number);
  }

  /** Sends everything queued: once per turn of the loop, and before cells' memory is used again. */
  flush(): void {
    const { list } = this;
    for (let i = 0; i < list.length; i++) list[i].flush();
  }

  /** Leaves the interfaces as they were found. */
  close(): void {
    this.#options.loop.unwatch(this.#monitor.fd);
    this.#monitor.close();
    for (const port of this.list) {
      this.#attempt(port, () => port.restore());
      this.#closePort(port);
      if (this.#queued.has(port.name)) this.#attempt(port, () => removeQueues(port.name));
    }
    this.#queued.clear();
    this.#rtnetlink.close();
  }

  #packetPort(number: number, name: string): PacketPort {
    const { pool, clock, ringSlots = DEFAULT_RING_SLOTS } = this.#options;
    return new PacketPort(number, name, this.#rtnetlink, pool, clock, ringSlots);
  }

  #add(port: InterfacePort): void {
    const link = this.#monitor.find(port.name);
    if (link === undefined) {
      throw new PortError(
        'FC_PORT_NOT_FOUND',
        `There is no network interface ${port.name} here; 'ip link' lists those there are.`,
      );
    }
    this.#byNumber.set(port.number, port);
    this.#byName.set(port.name, port);
    this.list.push(port);
    port.apply(link);
    this.#makeQueues(port);
    this.#openPort(port, link);
  }

  #forget(port: InterfacePort): void {
    if (this.#byNumber.get(port.number) === port) this.#byNumber.delete(port.number);
    if (this.#byName.get(port.name) === port) this.#byName.delete(port.name);
    const at = this.list.indexOf(port);
    if (at >= 0) this.list.splice(at, 1);
  }

  #addLocal(name: string): void {
    const { pool, clock } = this.#options;
    const port = new TapPort(PortNumber.LOCAL, name, this.#rtnetlink, pool, clock);
    port.create();
    try {
      // Its interface is among the changes that wait to be read now.
      this.#monitor.receive();
      this.#add(port);
      this.#rtnetlink.setUp(port.index, true);
    } catch (error) {
      port.close();
      throw error;
    }
  }

  #makeQueues(port: InterfacePort): void {
    const specs = this.#queues.get(port.name);
    if (specs === undefined) return;
    makeQueues(port.name, specs, port.medium.speed);
    this.#queued.add(port.name);
  }

  /** What fails is said and does not keep the rest from being done. */
  #attempt(port: InterfacePort, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      this.#options.logger.error({ port: port.name, err: error }, 'port is not as it should be');
    }
  }

  #openPort(port: InterfacePort, link: Interface): void {
    port.open(link);
    this.#options.opened?.(port);
    if (this.#started) this.#watch(port);
  }

  #watch(port: InterfacePort): void {
    if (port.fd < 0) return;
    const paused = () => this.#paused;
    const source: Source = {
      get ready() {
        return port.ready;
      },
      get paused() {
        return paused();
      },
    };
    this.#options.loop.watch(port.fd, () => this.#receive(port), source);
  }

  #closePort(port: InterfacePort): void {
    if (port.fd < 0) return;
    this.#options.closing?.(port);
    this.#options.loop.unwatch(port.fd);
    port.close();
  }

  /** As many frames as one gets through at a time are on their way: what comes now waits where it costs nothing. */
  get #paused(): boolean {
    return this.#options.busy() && performance.now() - this.#receivedAt < PAUSE_MS;
  }

  #receive(port: InterfacePort): void {
    const { sink, clock } = this.#options;
    this.#receivedAt = clock.tick();
    const count = port.receive(this.#receiver, port.config & RECEIVING_OFF ? this.#discard : sink);
    if (count > 0) port.counters.rxBatches++;
    if (count >= 0) return;
    port.counters.rxErrors++;
    const name = errnoName(-count);
    port.counters.errors[name] = (port.counters.errors[name] ?? 0) + 1;
  }

  #changed(link: Interface): void {
    const port = this.#byName.get(link.name);
    if (port === undefined) return;
    const { logger, changed } = this.#options;
    const back = !port.link.present;
    if (port.mtu !== link.mtu) this.#options.resized?.(port);
    const differs = port.apply(link);
    if (back) {
      this.#attempt(port, () => this.#makeQueues(port));
      try {
        this.#openPort(port, link);
      } catch (error) {
        port.leave();
        logger.error({ port: port.name, err: error }, 'port cannot be opened again');
        return;
      }
    }
    if (!differs) return;
    logger.info(
      { port: port.name, up: link.up, running: link.running },
      back ? 'port is back' : 'port changed',
    );
    changed(port, back ? 'add' : 'modify');
  }

  #gone(name: string): void {
    const port = this.#byName.get(name);
    if (port === undefined || !port.link.present) return;
    this.#closePort(port);
    port.leave();
    // They went with it.
    this.#queued.delete(name);
    this.#options.logger.warn({ port: name }, 'port is gone; waiting for it to come back');
    this.#options.changed(port, 'delete');
  }

  #queuesChanged(index: number): void {
    for (const port of this.list) if (port.index === index) this.#stale.add(port);
  }

  /** A script may change many classes at once: they are read when all its changes have been heard of. */
  #interfacesChanged(): void {
    this.#monitor.receive();
    for (const port of this.#stale) port.findQueues();
    this.#stale.clear();
  }
}

const checkLocal = (name: string, numbered: Map<number, string>): void => {
  if (!/^[^=\s/]{1,15}$/.test(name)) {
    throw new PortError('FC_PORT_NAME', `'${name}' cannot be an interface's name.`);
  }
  if ([...numbered.values()].includes(name)) {
    throw new PortError('FC_PORT_NAME', `${name} cannot be a port and the local port; name another.`);
  }
};
