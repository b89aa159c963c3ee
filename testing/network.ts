/** A virtual network: switches, hosts and links in one process, and the controller with the apps to be tested. */
import { type App, Controller, type ControllerOptions } from '../controller/index.ts';
import { plan, type TopologySpec } from '../mininet/topology.ts';
import { Framer } from '../openflow/index.ts';
import type { WireVersion } from '../openflow/version-name.ts';
import { type DatapathOptions, FakeDatapath, FIRST_CONTROLLER_PORT } from './datapath.ts';
import { Engine } from './engine.ts';
import { FakeController } from './fake-controller.ts';
import { VirtualHost, type VirtualHostOptions } from './host.ts';
import { Cables, VirtualLink } from './link.ts';
import { noting } from './logging.ts';
import { MemorySocket } from './memory-socket.ts';
import { Outcome, type TestPacket } from './packet.ts';
import { type QueueOptions, VirtualPort } from './port.ts';
import { VirtualTime } from './time.ts';
import { Trace } from './trace.ts';

/** What is different about one switch. */
export interface VirtualSwitchOptions extends DatapathOptions {
  /** It has an OFPP_LOCAL, and behind it this host: found by `net.local(name)`. */
  local?: VirtualHostOptions;
  /** By the port's number. */
  queues?: Readonly<Record<number, readonly QueueOptions[]>>;
}

/**
 * What a network is made of: as for `topology()` of namespaces, so that one spec can be both. Options of datapaths are
 * those of all switches that do not say otherwise.
 */
export interface NetworkOptions<S extends string, H extends string>
  extends Omit<TopologySpec<S, H>, 'ipv6' | 'switches' | 'hosts'>,
    DatapathOptions {
  switches: Record<S, VirtualSwitchOptions>;
  hosts: Record<H, VirtualHostOptions>;
  /** Apps of a controller that all switches are connected to. Left out: there is no controller but the test's own. */
  apps?: readonly App[];
  /** Further options of that controller. */
  controller?: Omit<ControllerOptions, 'apps' | 'port' | 'host' | 'listen' | 'time' | 'runDir'>;
  /** Left out: the network has one of its own. Give it if apps need it (`learningSwitch({ now: time.now })`). */
  time?: VirtualTime;
}

/** What became of pings. */
export class PingOutcome extends Outcome {
  readonly sent: number;
  readonly received: number;

  constructor(sent: number, received: number, init: ConstructorParameters<typeof Outcome>[0]) {
    super(init);
    this.sent = sent;
    this.received = received;
  }

  /** Every one was answered. */
  get ok(): boolean {
    return this.received === this.sent;
  }
}

/** Frames that may go through cables until all is quiet: beyond it they go round in circles. */
const MAX_FRAMES = 10_000;
/** Frames as they were last seen, to know them again when a controller sends them. */
const MAX_SEEN = 4096;
/** Longest time that everything is done for at once. */
const FOREVER_MS = 1e12;

export class VirtualNetwork<S extends string = string, H extends string = string> {
  readonly switches: Readonly<Record<S, FakeDatapath>>;
  readonly hosts: Readonly<Record<H, VirtualHost>>;
  readonly links: readonly VirtualLink[];
  readonly time: VirtualTime;
  readonly trace = new Trace();
  /** Warnings and errors of the controller and its apps. */
  readonly problems: string[] = [];
  readonly #engine = new Engine();
  readonly #cables = new Cables(this.#engine.wake);
  readonly #seen = new Map<string, number>();
  readonly #linkOf = new Map<unknown, VirtualLink>();
  readonly #locals = new Map<string, VirtualHost>();
  /** Connections of switches that no controller has taken yet, by the port they were made to. */
  readonly #untaken = new Map<FakeDatapath, Map<number, MemorySocket>>();
  readonly #controllerOptions: NetworkOptions<S, H>['controller'];
  #controller: Controller | undefined;
  #lastPacket = 0;
  /** The packet that moved last. */
  #moving = 0;

  /**
   * Builds the network; its switches are connected, and the apps know of them, when the promise resolves.
   *
   * @throws TopologyError for names and links that make no network; FlowcellError as Controller.start does.
   */
  static async create<const S extends string, const H extends string>(
    options: NetworkOptions<S, H>,
  ): Promise<VirtualNetwork<S, H>> {
    const net = new VirtualNetwork<S, H>(options);
    if (options.apps !== undefined) net.#controller = await net.#startController(options.apps);
    for (const datapath of net.#datapaths) datapath.start();
    await net.settle();
    return net;
  }

  private constructor(options: NetworkOptions<S, H>) {
    const planned = plan({ ...options, switches: mapValues(options.switches, () => ({})) }, '');
    this.time = options.time ?? new VirtualTime();
    this.#controllerOptions = options.controller;
    const switches = {} as Record<S, FakeDatapath>;
    const hosts = {} as Record<H, VirtualHost>;
    for (const [index, [name, node]] of Object.entries<{ ports: readonly string[] }>(
      planned.switches,
    ).entries()) {
      switches[name as S] = this.#makeDatapath(name, index + 1, node.ports.length, options);
    }
    const makeHost = (name: string, ip: string, mac: string, ip6: string, vlan?: number) =>
      new VirtualHost({
        ...{ name, ip, mac, ip6, vlan },
        network: {
          put: (host, bytes) => this.#hostSends(host, bytes),
          send: (packet) => this.send(packet),
          ping: (from, to, count) => this.ping(from, to, count),
          ping6: (from, to, count) => this.ping6(from, to, count),
        },
      });
    for (const [index, name] of (Object.keys(planned.hosts) as H[]).entries()) {
      const { ip, mac } = planned.hosts[name];
      const { ip6 = `fd00::${(index + 1).toString(16)}`, vlan } = options.hosts[name];
      hosts[name] = makeHost(name, ip, mac, ip6, vlan);
    }
    this.switches = switches;
    this.hosts = hosts;
    const nextPort = new Map<string, number>();
    const end = (name: string) => {
      if (name in hosts) return hosts[name as H];
      const number = (nextPort.get(name) ?? 0) + 1;
      nextPort.set(name, number);
      return switches[name as S].ports[number - 1];
    };
    this.links = options.links.map(([a, b]) => {
      const link = new VirtualLink(end(a), end(b), this.#cables);
      this.#linkOf.set(link.a, link).set(link.b, link);
      return link;
    });
    for (const { name, id, local } of Object.values<FakeDatapath>(switches)) {
      if (local === undefined) continue;
      const number = Number(id).toString(16).padStart(2, '0');
      const {
        ip = `10.0.255.${id}`,
        mac = `02:00:00:ff:00:${number}`,
        ip6 = `fd00::ff:${number}`,
        vlan,
      } = options.switches[name as S].local ?? {};
      const host = makeHost(`${name}-local`, ip.split('/')[0], mac, ip6, vlan);
      const link = new VirtualLink(local, host, this.#cables);
      this.#linkOf.set(local, link).set(host, link);
      this.#locals.set(name, host);
    }
    if (options.staticArp === true) this.#introduce();
    this.#engine.add(() => {
      const delivered = this.#cables.deliver();
      if (this.#cables.delivered > MAX_FRAMES) {
        this.#cables.delivered = 0;
        throw new Error(
          `more than ${MAX_FRAMES} frames without coming to rest: is there a loop?\n${tail(this.trace.text())}`,
        );
      }
      return delivered;
    });
    for (const datapath of this.#datapaths) this.#engine.add(datapath.pump);
  }

  /** The controller with the apps. Throws RangeError when the network has none. */
  get controller(): Controller {
    if (this.#controller === undefined) throw new RangeError('this network has no controller: give it apps');
    return this.#controller;
  }

  /** The host behind a switch's OFPP_LOCAL. Throws RangeError when it has none. */
  local(name: S): VirtualHost {
    const host = this.#locals.get(name);
    if (host === undefined) throw new RangeError(`${name} has no local port: give it one in its options`);
    return host;
  }

  /** The link between two nodes, in either order. Throws RangeError when there is none. */
  link(a: S | H, b: S | H): VirtualLink {
    const isAt = (end: VirtualLink['a'], name: string): boolean =>
      end instanceof VirtualPort ? end.name.startsWith(`${name}-eth`) : end.name === name;
    const found = this.links.find(
      (link) => (isAt(link.a, a) && isAt(link.b, b)) || (isAt(link.a, b) && isAt(link.b, a)),
    );
    if (found === undefined) throw new RangeError(`there is no link between ${a} and ${b}`);
    return found;
  }

  /** Resolves when nothing moves any more: no frame, no message, no work in a cell. Time stands still. */
  async settle(): Promise<void> {
    this.#cables.delivered = 0;
    await this.#engine.settle();
  }

  /** Lets so many milliseconds pass; whatever is due happens at its time. */
  async advance(ms: number): Promise<void> {
    const until = this.time.now() + Math.min(ms, FOREVER_MS);
    do {
      await this.settle();
    } while (this.time.step(until));
    await this.settle();
  }

  /**
   * Ends the controller and puts another with these apps in its place, as after a crash: the switches keep what they have,
   * and connect again. Time passes for that.
   */
  async restartController(apps: readonly App[]): Promise<void> {
    const before = this.controller;
    this.#controller = await this.#startController(apps);
    await before.stop();
    await this.advance(RECONNECT_MS);
  }

  /** Sends a packet and waits until all is quiet. */
  async send(packet: TestPacket): Promise<Outcome> {
    const mark = this.trace.mark();
    const number = this.#hostSends(packet.from, packet.frame);
    await this.settle();
    const reached = this.#hostsThat(({ heard }) =>
      heard.some(({ packet: other, accepted }) => accepted && other === number),
    );
    return new Outcome({
      packet: String(packet),
      reached,
      packets: new Set([number]),
      events: this.trace.since(mark),
      trace: this.trace.text(mark),
    });
  }

  /** Pings another host, with ARP before it where that is needed; waits until all is quiet after each. */
  ping(from: VirtualHost, to: VirtualHost, count = 1): Promise<PingOutcome> {
    return this.#ping(from, to, to.ip, count);
  }

  /** The same over IPv6, with neighbour discovery in place of ARP. */
  ping6(from: VirtualHost, to: VirtualHost, count = 1): Promise<PingOutcome> {
    return this.#ping(from, to, to.ip6, count);
  }

  async #ping(from: VirtualHost, to: VirtualHost, ip: string, count: number): Promise<PingOutcome> {
    const mark = this.trace.mark();
    const first = this.#lastPacket + 1;
    let received = 0;
    for (let sequence = 1; sequence <= count; sequence++) {
      const identifier = from.echo(ip, sequence);
      await this.settle();
      if (from.echoes.get(identifier)?.has(sequence)) received++;
    }
    const packets = new Set(Array.from({ length: this.#lastPacket - first + 1 }, (_, i) => first + i));
    return new PingOutcome(count, received, {
      packet: `${count} ping${count === 1 ? '' : 's'} from ${from.name} to ${to.name} (${ip})`,
      reached: received === count ? [to] : [],
      packets,
      events: this.trace.since(mark),
      trace: this.trace.text(mark),
    });
  }

  /** Every host pings every other; the pairs that had no answer, such as `h1 -> h3`. */
  async pingAll(): Promise<string[]> {
    const hosts = Object.values<VirtualHost>(this.hosts);
    const lost: string[] = [];
    for (const from of hosts) {
      for (const to of hosts) {
        if (from !== to && !(await this.ping(from, to)).ok) lost.push(`${from.name} -> ${to.name}`);
      }
    }
    return lost;
  }

  /**
   * A controller played by the test, of one switch: its only one in a network without apps; of several (`controllers`) the
   * first that nobody plays yet. `version`: wire version, the only one it speaks. Throws RangeError when the switch waits
   * for no controller.
   */
  control(datapath: FakeDatapath, version?: WireVersion): Promise<FakeController> {
    const untaken = this.#untaken.get(datapath);
    const [first] = [...(untaken ?? [])].sort(([a], [b]) => a - b);
    if (first === undefined) throw new RangeError(`${datapath.name} waits for no controller`);
    const [port, socket] = first;
    untaken?.delete(port);
    return FakeController.connect(socket, version);
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const datapath of this.#datapaths) datapath.stop();
    await this.#controller?.stop();
    await this.settle();
  }

  #startController(apps: readonly App[]): Promise<Controller> {
    return Controller.start({
      log: noting((text) => this.#problem(text)),
      ...this.#controllerOptions,
      apps,
      listen: false,
      time: this.time,
    });
  }

  get #datapaths(): FakeDatapath[] {
    return Object.values<FakeDatapath>(this.switches);
  }

  #makeDatapath(name: string, id: number, ports: number, options: NetworkOptions<S, H>): FakeDatapath {
    const { mode, protocols, failMode, controllers } = options;
    const own = options.switches[name as S];
    const init = { mode, protocols, failMode, controllers, ...own, local: own.local !== undefined };
    const datapath: FakeDatapath = new FakeDatapath(
      { ...init, name, id: BigInt(id), ports },
      {
        time: this.time,
        wake: this.#engine.wake,
        trace: (event) => {
          if (event.packet !== 0) this.#moving = event.packet;
          this.trace.add(event);
        },
        connect: ({ port }) => this.#connect(datapath, port),
        carry: (port, bytes, packet) => {
          this.#see(bytes, packet);
          return this.#linkOf.get(port)?.carry(port, bytes, packet) ?? false;
        },
        // One that its controller has changed or made is taken for an answer to what moved last.
        packetOf: (bytes) => this.#seen.get(key(bytes)) ?? this.#moving,
      },
    );
    return datapath;
  }

  /** A switch connects to the controller, or to the test. */
  #connect(datapath: FakeDatapath, port: number): MemorySocket {
    const told = (toController: boolean) => {
      const framer = new Framer();
      return (chunk: Uint8Array): void => {
        this.#engine.wake();
        framer.push(chunk, (bytes) => {
          const time = this.time.now();
          const event = { type: 'message', toController, bytes: bytes.slice() } as const;
          this.trace.add({ time, node: datapath.name, packet: 0, ...event });
        });
      };
    };
    const [own, other] = MemorySocket.pair([datapath.name, 'controller'], [told(true), told(false)]);
    if (this.#controller !== undefined && port === FIRST_CONTROLLER_PORT) this.#controller.accept(other);
    else {
      const untaken = this.#untaken.get(datapath) ?? new Map<number, MemorySocket>();
      this.#untaken.set(datapath, untaken.set(port, other));
    }
    return own;
  }

  #hostSends(host: VirtualHost, bytes: Uint8Array): number {
    const packet = ++this.#lastPacket;
    this.#moving = packet;
    this.#see(bytes, packet);
    const lost = this.#linkOf.get(host)?.carry(host, bytes, packet) !== true;
    const event = { type: 'sent', port: 0, frame: bytes, lost } as const;
    this.trace.add({ time: this.time.now(), node: host.name, packet, ...event });
    return packet;
  }

  #see(bytes: Uint8Array, packet: number): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.set(key(bytes), packet);
  }

  #hostsThat(fits: (host: VirtualHost) => boolean): VirtualHost[] {
    return Object.values<VirtualHost>(this.hosts).filter(fits);
  }

  #introduce(): void {
    const hosts = Object.values<VirtualHost>(this.hosts);
    for (const host of hosts) {
      for (const { ip, ip6, mac } of hosts) host.neighbours.set(ip, mac).set(ip6, mac);
    }
  }

  #problem(text: string): void {
    this.problems.push(text);
    this.trace.add({ time: this.time.now(), node: 'apps', packet: 0, type: 'note', text });
  }
}

/** The first attempt to connect again comes within this time (agent/channel/connection.ts). */
const RECONNECT_MS = 250;

const mapValues = <K extends string, V, W>(record: Record<K, V>, make: (value: V) => W): Record<K, W> =>
  Object.fromEntries(Object.entries<V>(record).map(([name, value]) => [name, make(value)])) as Record<K, W>;

const key = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const tail = (text: string): string => text.split('\n').slice(-20).join('\n');
