/** A switch without walls, wires or privileges: the agent's own core and the cells' own programs, in the test's process. */

import type { Connect } from '../agent/channel/connection-options.ts';
import type { FailMode } from '../agent/channel/switch.ts';
import { Clock } from '../agent/clock.ts';
import { AgentCore } from '../agent/core.ts';
import { type Frame, FramePool } from '../agent/ports/frames.ts';
import { Programs } from '../agent/programs.ts';
import { PortConfig, Port as PortNumber } from '../openflow/index.ts';
import { SLOT_FLAG } from '../sandbox/channel/layout.ts';
import { BUILT_IN, InProcessHost } from './cells.ts';
import { portName } from './describe.ts';
import { SILENT } from './logging.ts';
import { type QueueOptions, VirtualPort } from './port.ts';
import type { InstalledEntry, Step } from './steps.ts';
import type { VirtualTime } from './time.ts';
import type { TraceEvent } from './trace.ts';

export interface DatapathOptions {
  /** Flow mode (a cell per flow) where the controller speaks the extension, or an ordinary switch. Default `flow`. */
  mode?: 'flow' | 'plain';
  /** Wire versions of OpenFlow to offer, e.g. [1] for OpenFlow 1.0. Default: all that the agent speaks. */
  protocols?: readonly number[];
  /** What it does without a controller. Default `secure`. */
  failMode?: FailMode;
  /** How many controllers it connects to; default 1. With apps the first is theirs, the others are the test's. */
  controllers?: number;
}

/** What a switch is made with. */
export interface DatapathInit extends DatapathOptions {
  name: string;
  id: bigint;
  /** How many; they are numbered from 1, and named `s1-eth1` as in a network of namespaces. */
  ports: number;
  /** By the port's number. */
  queues?: Readonly<Record<number, readonly QueueOptions[]>>;
  /** It has an OFPP_LOCAL. */
  local?: boolean;
}

/** What a datapath needs of the network it is in. */
export interface DatapathSurroundings {
  readonly time: VirtualTime;
  /** Something is to be done by `pump`. */
  wake(): void;
  trace(event: TraceEvent): void;
  /** How it reaches its controller; undefined: it has none. */
  connect: Connect | undefined;
  /** A frame leaves by a port; false: it is lost. */
  carry(port: VirtualPort, bytes: Uint8Array, packet: number): boolean;
  /** Which packet these bytes are, when a controller has sent them. */
  packetOf(bytes: Uint8Array): number;
}

/** What tells its controllers apart. */
export const FIRST_CONTROLLER_PORT = 6653;
const FRAMES = 1024;
const RECEIVING_OFF = PortConfig.PORT_DOWN | PortConfig.NO_RECV;

/** Frames are memory that is not given back to the system: it is used again by the next datapath. */
const pools: FramePool[] = [];

export class FakeDatapath {
  readonly name: string;
  readonly id: bigint;
  readonly ports: readonly VirtualPort[];
  /** OFPP_LOCAL, if it has one. */
  readonly local: VirtualPort | undefined;
  /** The agent's dispatcher, cells, sessions and counters, for what is not shown otherwise. */
  readonly core: AgentCore;
  readonly #around: DatapathSurroundings;
  readonly #host: InProcessHost;
  readonly #pool: FramePool;
  readonly #packets = new Map<Frame, number>();
  #dropped: Record<string, number> = {};
  #lastPacket = 0;

  constructor(options: DatapathInit, around: DatapathSurroundings) {
    const { time } = around;
    const { name, id, ports, queues = {}, controllers = 1 } = options;
    this.name = name;
    this.id = id;
    this.#around = around;
    this.#pool = pools.pop() ?? new FramePool(FRAMES);
    this.ports = Array.from({ length: ports }, (_, index) =>
      this.#makePort(index + 1, `${name}-eth${index + 1}`, queues[index + 1]),
    );
    this.local = options.local === true ? this.#makePort(PortNumber.LOCAL, name) : undefined;
    const clock = new Clock(time);
    this.core = new AgentCore({
      datapathId: id,
      controllers:
        around.connect === undefined
          ? []
          : Array.from({ length: controllers }, (_, index) => ({
              host: 'controller',
              port: FIRST_CONTROLLER_PORT + index,
            })),
      protocols: options.protocols,
      failMode: options.failMode,
      flowMode: options.mode !== 'plain',
      description: name,
      clock,
      pool: this.#pool,
      ports: { list: this.#allPorts, get: (number) => this.port(number), flush: () => undefined },
      hostOf: () => this.#host,
      programs: new Programs(BUILT_IN),
      time,
      connect: around.connect,
      logger: SILENT,
    });
    this.#host = new InProcessHost({
      events: this.core.cells,
      time,
      wake: () => around.wake(),
      step: (cell, step, frame) => this.#step(cell, step, frame),
    });
  }

  /** Connects to the controller, and runs. */
  start(): void {
    this.core.openCells();
    this.core.startSweep();
    this.core.controllers.start();
    this.#around.wake();
  }

  /** Does what there is to do; false when that is nothing. */
  readonly pump = (): boolean => {
    const { clock, controllers } = this.core;
    clock.tick();
    const worked = this.#host.run();
    this.#noteDrops();
    controllers.flush();
    return worked;
  };

  stop(): void {
    this.core.stop();
    this.#host.close();
    if (this.#pool.available === this.#pool.size) pools.push(this.#pool);
  }

  /** A port by its number. */
  port(number: number): VirtualPort | undefined {
    return number === PortNumber.LOCAL ? this.local : this.ports[number - 1];
  }

  get #allPorts(): readonly VirtualPort[] {
    return this.local === undefined ? this.ports : [...this.ports, this.local];
  }

  /** Flow entries of one cell; in plain mode there is only cell 0. Empty when there is no such cell. */
  entries(cell = 0): readonly InstalledEntry[] {
    return this.#host.entries().get(cell) ?? [];
  }

  /** Numbers of the cells that run, without the device's own. */
  get cells(): readonly number[] {
    return [...this.core.cells.all()].filter(({ rule }) => rule !== undefined).map(({ id }) => id);
  }

  #makePort(number: number, name: string, queues: readonly QueueOptions[] = []): VirtualPort {
    return new VirtualPort({
      number,
      name,
      hardwareAddress: `02:fc:${hexByte(Number(this.id >> 8n))}:${hexByte(Number(this.id))}:00:${hexByte(number)}`,
      since: this.#around.time.now(),
      queues,
      bytesAt: (address, length) => this.#host.bytesAt(address, length),
      sent: (port, bytes, frame, queue) => this.#sent(port, bytes, frame, queue),
      received: (port, bytes, packet) => this.#received(port, bytes, packet),
      changed: (port) => {
        this.#note(`port ${portName(port.number)} is ${port.link.running ? 'up' : 'down'}`);
        this.core.clock.tick();
        this.core.portChanged(port, 'modify');
        this.#around.wake();
      },
    });
  }

  #received(port: VirtualPort, bytes: Uint8Array, packet: number): void {
    const { counters } = port;
    this.#add({ type: 'received', port: port.number, frame: bytes }, packet);
    const frame = (port.config & RECEIVING_OFF) === 0 ? this.#pool.take() : null;
    if (frame === null) {
      counters.rxDropped++;
      this.#add({ type: 'dropped', why: 'the port does not receive, or no frame is free' }, packet);
      return;
    }
    counters.rxPackets++;
    counters.rxBytes += bytes.length;
    frame.load(bytes, port.number);
    frame.flags = 0;
    this.#packets.set(frame, packet);
    this.#lastPacket = packet;
    this.core.clock.tick();
    this.core.dispatcher.receive(frame);
  }

  #sent(port: VirtualPort, bytes: Uint8Array, frame: Frame, queue: number | undefined): void {
    const { counters } = port;
    const packet = this.#packetOf(frame);
    const lost = !this.#around.carry(port, bytes, packet);
    this.#add({ type: 'sent', port: port.number, frame: bytes, lost, queue }, packet);
    if (lost) {
      counters.txDropped++;
      return;
    }
    counters.txPackets++;
    counters.txBytes += bytes.length;
  }

  #packetOf(frame: Frame): number {
    if ((frame.flags & SLOT_FLAG.PACKET_OUT) === 0) return this.#packets.get(frame) ?? 0;
    return this.#around.packetOf(frame.bytes.subarray(frame.offset, frame.offset + frame.length));
  }

  #step(cell: number, step: Step, frame: Frame | undefined): void {
    this.#add({ type: 'step', cell, step }, frame === undefined ? 0 : this.#packetOf(frame));
  }

  /** The device counts what it drops before a cell or behind it; here each is told of once. */
  #noteDrops(): void {
    const { sent: _s, toController: _c, noQueue: _q, ...output } = this.core.output.counters;
    const now: Record<string, number> = { ...this.core.dispatcher.counters.dropped, ...output };
    for (const [why, count] of Object.entries(now)) {
      for (let n = this.#dropped[why] ?? 0; n < count; n++) {
        this.#add({ type: 'dropped', why: DROPS[why] ?? why }, this.#lastPacket);
      }
    }
    this.#dropped = now;
  }

  #note(text: string): void {
    this.#add({ type: 'note', text }, 0);
  }

  #add(event: EventBody, packet: number): void {
    this.#around.trace({ time: this.#around.time.now(), node: this.name, packet, ...event });
  }
}

type EventBody<E = TraceEvent> = E extends TraceEvent ? Omit<E, 'time' | 'node' | 'packet'> : never;

const hexByte = (value: number): string => (value & 255).toString(16).padStart(2, '0');

const DROPS: Readonly<Record<string, string>> = {
  hold: 'no room to hold it',
  admission: 'too many new flows',
  timeout: 'the controller did not answer in time',
  refused: 'the controller refused its flow',
  miss: 'no rule for it',
  quarantined: 'its flow is quarantined',
  fragment: 'fragments are not wanted',
  noCell: 'there is no cell for it',
  noPort: 'there is no such port',
  local: 'there is no local port',
  inPort: 'not to the port it came from',
  notAllowed: 'the port is not for this tenant',
  portDown: 'the port is configured down or not to forward',
  noPacketIn: 'the port is configured to send no packet-ins',
};
