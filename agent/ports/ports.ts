/** All ports of the device: number -> port, link state, interfaces that go away and come back. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { PortConfig } from '../../openflow/index.ts';
import { errnoName } from '../../sandbox/sys/libc.ts';
import type { PollLoop } from '../../sandbox/sys/loop.ts';
import type { Clock } from '../clock.ts';
import type { FramePool } from './frames.ts';
import { type Interface, LinkMonitor } from './link-monitor.ts';
import { PacketPort } from './packet-socket.ts';
import type { FrameSink } from './port.ts';
import { BurstReceiver } from './receive.ts';
import { PortError } from './socket.ts';

const RECEIVING_OFF = PortConfig.PORT_DOWN | PortConfig.NO_RECV;
/** OFPP_MAX: the highest number a physical port may have. */
const MAX_PORT = 0xffffff00;

export type PortChange = 'add' | 'delete' | 'modify';

export interface PortsOptions {
  /** 'NAME' (the next free number) or 'NAME=NUMBER'. */
  names: string[];
  loop: PollLoop;
  pool: FramePool;
  clock: Clock;
  sink: FrameSink;
  changed: (port: PacketPort, change: PortChange) => void;
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

/** Speed in Mbit/s, 0 when unknown. /sys may show another namespace's interfaces: the address must fit. */
const readSpeed = (link: Interface): number => {
  const folder = `/sys/class/net/${link.name}`;
  try {
    if (readFileSync(`${folder}/address`, 'ascii').trim() !== link.address) return 0;
    return Math.max(0, Number.parseInt(readFileSync(`${folder}/speed`, 'ascii'), 10) || 0);
  } catch {
    // The kernel answers EINVAL for interfaces that have no speed.
    return 0;
  }
};

export class Ports {
  readonly #options: PortsOptions;
  readonly #monitor: LinkMonitor;
  readonly #receiver: BurstReceiver;
  readonly #byNumber = new Map<number, PacketPort>();
  readonly #byName = new Map<string, PacketPort>();
  readonly #discard: FrameSink = (frame) => {
    this.#options.pool.release(frame);
  };
  #started = false;
  /** The same ports as an array, for flooding without an iterator. */
  readonly list: PacketPort[] = [];

  /** Throws PortError FC_PORT_NAME, FC_PORT_NOT_FOUND, FC_PORT_OPEN, FC_NETLINK. */
  constructor(options: PortsOptions) {
    this.#options = options;
    this.#receiver = new BurstReceiver(options.pool);
    const numbered = numberPorts(options.names);
    this.#monitor = new LinkMonitor({
      changed: (link) => this.#changed(link),
      gone: (name) => this.#gone(name),
    });
    try {
      for (const [number, name] of numbered) this.#add(number, name);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Begins to receive. Frames that arrived before wait in the kernel. */
  start(): void {
    this.#started = true;
    this.#options.loop.watch(this.#monitor.fd, () => this.#monitor.receive());
    for (const port of this.list) this.#watch(port);
  }

  get(number: number): PacketPort | undefined {
    return this.#byNumber.get(number);
  }

  /** Sends everything queued: once per turn of the loop, and before cells' memory is used again. */
  flush(): void {
    const { list } = this;
    for (let i = 0; i < list.length; i++) list[i].flush();
  }

  close(): void {
    this.#options.loop.unwatch(this.#monitor.fd);
    this.#monitor.close();
    for (const port of this.list) this.#closePort(port);
  }

  #add(number: number, name: string): void {
    const link = this.#monitor.find(name);
    if (link === undefined) {
      throw new PortError(
        'FC_PORT_NOT_FOUND',
        `There is no network interface ${name} here; 'ip link' lists those there are.`,
      );
    }
    const port = new PacketPort(number, name, this.#options.pool, performance.now());
    this.#byNumber.set(number, port);
    this.#byName.set(name, port);
    this.list.push(port);
    this.#apply(port, link);
    this.#openPort(port, link);
  }

  #openPort(port: PacketPort, link: Interface): void {
    port.open(link.index);
    if (this.#started) this.#watch(port);
  }

  #watch(port: PacketPort): void {
    if (port.fd >= 0) this.#options.loop.watch(port.fd, () => this.#receive(port));
  }

  #closePort(port: PacketPort): void {
    if (port.fd < 0) return;
    this.#options.loop.unwatch(port.fd);
    port.close();
  }

  #receive(port: PacketPort): void {
    const { sink, clock } = this.#options;
    clock.tick();
    const count = port.receive(this.#receiver, port.config & RECEIVING_OFF ? this.#discard : sink);
    if (count >= 0) return;
    port.counters.rxErrors++;
    const name = errnoName(-count);
    port.counters.errors[name] = (port.counters.errors[name] ?? 0) + 1;
  }

  #apply(port: PacketPort, link: Interface): boolean {
    const state = port.link;
    const speed = readSpeed(link);
    const same =
      state.present &&
      state.up === link.up &&
      state.running === link.running &&
      port.hardwareAddress === link.address &&
      port.speed === speed;
    state.present = true;
    state.up = link.up;
    state.running = link.running;
    port.hardwareAddress = link.address;
    port.speed = speed;
    return !same;
  }

  #changed(link: Interface): void {
    const port = this.#byName.get(link.name);
    if (port === undefined) return;
    const { logger, changed } = this.#options;
    const back = !port.link.present;
    const differs = this.#apply(port, link);
    if (back) {
      try {
        this.#openPort(port, link);
      } catch (error) {
        port.link.present = false;
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
    port.link.present = false;
    port.link.up = false;
    port.link.running = false;
    this.#options.logger.warn({ port: name }, 'port is gone; waiting for it to come back');
    this.#options.changed(port, 'delete');
  }
}
