/** The controller: devices, apps, and what there is to see of both. */

import { randomInt } from 'node:crypto';
import type { WireVersion } from '../openflow/version-name.ts';
import { type App, defineApp } from './app.ts';
import { AppsHost } from './apps-host.ts';
import { CookieJar } from './cells.ts';
import type { Datapath } from './datapath.ts';
import { DEFAULT_DISPATCH, Device, type DeviceContext, type DispatchSettings } from './device.ts';
import { EventHub } from './events.ts';
import type { FeaturesReply } from './handshake.ts';
import { DEFAULT_CONTROLLER_LIMITS, type Limits } from './limits.ts';
import { LocalState } from './local.ts';
import { defaultLogger, LogGate, type Logger } from './log.ts';
import { FIVE_TUPLE_FIELDS, fieldBits } from './match.ts';
import { Counters, Durations } from './metrics.ts';
import { offeredVersions } from './negotiation.ts';
import { DEFAULT_PORT, Server } from './server.ts';
import { Session } from './session.ts';
import { SYSTEM_TIME, type Time } from './time.ts';
import type { Transport } from './transport.ts';

export interface ControllerOptions {
  /** TCP port for devices; default 6653, 0 lets the system choose. */
  port?: number;
  /** Address to listen at; default: all. */
  host?: string;
  /**
   * Default false. Several controllers, each a process of its own, listen at one port: the kernel gives every new
   * connection to one of them. Each has its devices, its apps and its local state (`runDir`), and knows of no other.
   */
  reusePort?: boolean;
  /** Default true; false: devices are given to it by `accept`. */
  listen?: boolean;
  /** Wire versions to speak, e.g. [1, 4] for OpenFlow 1.0 and 1.3; default all of 1.0, 1.3, 1.4 and 1.5. */
  protocols?: readonly number[];
  /** Asked in this order. */
  apps: readonly App[];
  log?: Logger;
  limits?: Partial<Limits>;
  /** What devices are told by DISPATCH_CONFIG; `fields` comes from the apps' `flowFields` unless given. */
  dispatch?: Partial<DispatchSettings>;
  /** Folder of the socket with the local state (controller/local.ts); absent: none is offered. */
  runDir?: string;
  /** Default: the system's. */
  time?: Time;
}

export class Controller {
  readonly apps: readonly App[];
  readonly events = new EventHub();
  readonly counters = new Counters();
  /** Query received to barrier answered, microseconds. */
  readonly setup = new Durations();
  readonly startedAt = Date.now();
  readonly #log: Logger;
  readonly #time: Time;
  readonly #gate = new LogGate();
  readonly #limits: Limits;
  readonly #offered: readonly WireVersion[];
  readonly #context: DeviceContext;
  readonly #devices = new Map<bigint, Device>();
  readonly #sessions = new Set<Session>();
  #server: Server | undefined;
  #local: LocalState | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(options: ControllerOptions) {
    this.#offered = offeredVersions(options.protocols);
    this.apps = options.apps.map((app) => defineApp(app));
    this.#log = options.log ?? defaultLogger();
    this.#time = options.time ?? SYSTEM_TIME;
    this.#limits = { ...DEFAULT_CONTROLLER_LIMITS, ...options.limits };
    const fields = new Set(this.apps.flatMap((app) => app.flowFields ?? []));
    this.#context = {
      apps: new AppsHost(this.apps, this.counters, this.#log),
      cookies: new CookieJar(randomInt(0x10000)),
      limits: this.#limits,
      counters: this.counters,
      setup: this.setup,
      events: this.events,
      log: this.#log,
      dispatch: {
        ...DEFAULT_DISPATCH,
        fields: fieldBits(fields.size > 0 ? fields : FIVE_TUPLE_FIELDS),
        ...options.dispatch,
      },
      time: this.#time,
      ready: (device) => this.#ready(device),
    };
  }

  /**
   * Starts a controller; it accepts devices when the promise resolves.
   *
   * @throws FlowcellError FC_LISTEN (port in use, no permission), FC_LOCAL_STATE (its socket cannot be made),
   *   FC_APP_INVALID, FC_APP_NAME_TAKEN, FC_FIELD_UNKNOWN, FC_PROTOCOL_UNKNOWN.
   */
  static async start(options: ControllerOptions): Promise<Controller> {
    const controller = new Controller(options);
    if (options.listen !== false) {
      controller.#server = await Server.listen({
        port: options.port ?? DEFAULT_PORT,
        host: options.host,
        reusePort: options.reusePort ?? false,
        maxConnections: controller.#limits.maxConnections,
        counters: controller.counters,
        log: controller.#log,
        connected: (socket) => controller.accept(socket),
      });
    }
    if (options.runDir !== undefined) {
      try {
        controller.#local = await LocalState.open(controller, options.runDir);
      } catch (error) {
        await controller.stop();
        throw error;
      }
    }
    controller.#log.info(
      { port: controller.port, apps: controller.apps.map((app) => app.name) },
      'the controller accepts devices',
    );
    return controller;
  }

  /** The port devices connect to; 0 when it does not listen. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  /** Path of the unix socket with the local state, if it is offered. */
  get localPath(): string | undefined {
    return this.#local?.path;
  }

  /** Connected devices by datapath id. */
  get datapaths(): ReadonlyMap<bigint, Datapath> {
    return new Map([...this.#devices].map(([id, device]) => [id, device.datapath]));
  }

  /** Flows whose set-up is under way, on all devices. */
  get pendingFlows(): number {
    let pending = 0;
    for (const device of this.#devices.values()) pending += device.dispatch.pending;
    return pending;
  }

  /** Errors of apps by name. */
  get appErrors(): ReadonlyMap<string, number> {
    return this.#context.apps.errors;
  }

  /** Closes all connections and stops listening. Devices go on by their fail mode. May be called twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const closed = this.#server?.close();
    for (const session of [...this.#sessions]) session.close('the controller stops');
    await this.#local?.close();
    await closed;
  }

  /** Takes a device whose connection was made without this controller's server; ends it when this controller has stopped. */
  accept(socket: Transport): void {
    if (this.#stopping !== undefined) {
      socket.destroy();
      return;
    }
    let device: Device | undefined;
    const session: Session = new Session(socket, {
      offered: this.#offered,
      limits: this.#limits,
      counters: this.counters,
      log: this.#log,
      time: this.#time,
      owner: {
        opened: (features: FeaturesReply) => {
          device = new Device(session, features, this.#context);
          device.start();
        },
        message: (message) => device?.receive(message),
        unsent: (error) => device?.unsent(error),
        tick: (now) => device?.dispatch.tick(now),
        closed: (reason) => {
          this.#sessions.delete(session);
          if (device !== undefined) this.#gone(device, reason);
          else this.#unknown(session.remote, reason);
        },
      },
    });
    this.#sessions.add(session);
  }

  /** A connection that never became a device; anybody can make many of those. */
  #unknown(remote: string, reason: string): void {
    const held = this.#gate.pass('unknown');
    if (held >= 0) this.#log.warn({ remote, held }, `a device left before it was known: ${reason}`);
  }

  #ready(device: Device): void {
    const { datapath } = device;
    const before = this.#devices.get(datapath.id);
    if (before !== undefined) {
      before.session.close(`datapath ${datapath.name} connected again from ${datapath.remote}`);
    }
    this.#devices.set(datapath.id, device);
    this.#log.info(
      {
        datapath: datapath.name,
        remote: datapath.remote,
        openflow: datapath.openflow,
        flow_mode: datapath.flowMode,
        ports: datapath.ports.size,
        cells: datapath.cells.size,
      },
      datapath.flowMode ? 'a device is connected (flow mode)' : 'an ordinary OpenFlow switch is connected',
    );
    this.events.emit('connected', {
      datapath: datapath.name,
      remote: datapath.remote,
      openflow: datapath.openflow,
      flow_mode: datapath.flowMode,
      cells: datapath.cells.size,
    });
  }

  #gone(device: Device, reason: string): void {
    const { datapath } = device;
    if (this.#devices.get(datapath.id) === device) this.#devices.delete(datapath.id);
    this.#log.info({ datapath: datapath.name, remote: datapath.remote }, `a device is gone: ${reason}`);
    this.events.emit('disconnected', { datapath: datapath.name, reason });
    device.closed(reason);
  }
}
