/** The agent: one device's ports, dispatcher, cells and its connections to the controllers, put together. */
import { createRequire } from 'node:module';
import os from 'node:os';
import type { Logger } from 'pino';
import { SandboxHost } from '../sandbox/client/host.ts';
import { builtInPrograms } from '../sandbox/client/programs.ts';
import type { ProgramImage } from '../sandbox/client/types.ts';
import { PollLoop } from '../sandbox/sys/loop.ts';
import { Cells, DEFAULT_CELL, STANDALONE_CELL } from './cells.ts';
import type { ConnectionLimits } from './channel/connection.ts';
import { Controllers } from './channel/controllers.ts';
import { defaultDispatchConfig, holdLimits } from './channel/dispatch-settings.ts';
import { Extension } from './channel/extension.ts';
import { describePort } from './channel/port-messages.ts';
import { Requests } from './channel/requests.ts';
import { Sessions } from './channel/sessions.ts';
import { type FailMode, Switch } from './channel/switch.ts';
import { TableSettings } from './channel/table-settings.ts';
import { Clock } from './clock.ts';
import { Admission } from './dispatcher/admission.ts';
import { Dispatcher } from './dispatcher/dispatcher.ts';
import { Flows } from './dispatcher/flows.ts';
import { Holding } from './dispatcher/hold.ts';
import { Output } from './dispatcher/output.ts';
import { RuleTable } from './dispatcher/rules.ts';
import { Liveness } from './liveness.ts';
import { LocalServer, socketPathOf } from './local/server.ts';
import { viewCell, viewFlows, viewPort, viewRules } from './local/views.ts';
import { type Frame, FramePool } from './ports/frames.ts';
import { Ports } from './ports/ports.ts';
import type { QueueSpec } from './ports/queues.ts';
import { Programs } from './programs.ts';

export interface AgentOptions {
  datapathId: bigint;
  /** Where the controllers are; all are connected to. None: the device works by its fail mode. */
  controllers: { host: string; port: number }[];
  /** Wire versions of OpenFlow to offer them (1 is OpenFlow 1.0, 4 is 1.3). Default: all that the device speaks. */
  protocols?: number[];
  /** Interfaces: NAME (gets the next free port number) or NAME=NUMBER. */
  ports: string[];
  /** Name of a TAP device to be made as OFPP_LOCAL, by which this machine takes part; absent: there is none. */
  local?: string;
  /** HTB classes to make on ports, for `set_queue`. */
  queues?: readonly QueueSpec[];
  /** Default `secure`. */
  failMode?: FailMode;
  /** Isolates kept warm. Default: the sandbox client's. */
  poolSize?: number;
  /** Frames in all. Default 8192. */
  frames?: number;
  /** Heap of the default cell, whose tables are the whole device's in plain mode, MiB (8 to 4096). Default 192. */
  defaultCellMemory?: number;
  /** Most dispatch rules. Default 65536. */
  maxRules?: number;
  /** New flows a second for all ports of a tenant; 0: no limit. */
  tenantFlowsPerSec?: number;
  /** Folder of the socket with the local state (local/server.ts); absent: none is offered. */
  runDir?: string;
  description?: string;
  connection?: Partial<ConnectionLimits>;
  logger: Logger;
}

const SWEEP_MS = 100;
const DEFAULT_FRAMES = 8192;
/** For 65,536 simple flow entries and half as much again. */
const DEFAULT_CELL_MIB = 192;
/** Tables of the `openflow` program. */
const TABLES = 254;
const DEFAULT_TENANT = 0;

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

export class Agent {
  readonly options: AgentOptions;
  /** Where the local state is offered. */
  readonly socketPath: string | undefined;
  readonly loop = new PollLoop();
  readonly clock = new Clock();
  readonly pool: FramePool;
  readonly ports: Ports;
  readonly rules: RuleTable;
  readonly holding: Holding;
  readonly admission: Admission;
  readonly output: Output;
  readonly dispatcher: Dispatcher;
  readonly cells: Cells;
  readonly liveness: Liveness;
  readonly flows: Flows;
  readonly extension: Extension;
  readonly sessions = new Sessions();
  readonly channel: Switch;
  readonly controllers: Controllers;
  readonly programs: Programs;
  readonly startedAt = Date.now();
  readonly #hosts = new Map<number, SandboxHost<Frame>>();
  #local: LocalServer | undefined;
  #sweep: NodeJS.Timeout | undefined;
  readonly #each = (): void => {
    this.clock.tick();
    this.ports.flush();
    this.controllers.flush();
  };
  readonly #wake = (): void => {
    this.clock.tick();
  };

  /** Throws PortError, SandboxError, LocalError: each with a `code` and a sentence that says what to do. */
  static async start(options: AgentOptions): Promise<Agent> {
    const agent = new Agent(options, await builtInPrograms());
    try {
      await agent.#start();
    } catch (error) {
      await agent.stop();
      throw error;
    }
    return agent;
  }

  private constructor(options: AgentOptions, programs: readonly ProgramImage[]) {
    const { logger } = options;
    const frames = options.frames ?? DEFAULT_FRAMES;
    const config = defaultDispatchConfig(frames);
    this.options = options;
    const { runDir } = options;
    this.socketPath = runDir === undefined ? undefined : socketPathOf(options.datapathId, runDir);
    this.pool = new FramePool(frames);
    this.programs = new Programs(programs);
    this.rules = new RuleTable(options.maxRules);
    this.holding = new Holding(holdLimits(config));
    this.admission = new Admission({ perPort: 0, perTenant: options.tenantFlowsPerSec ?? 0 });
    this.ports = new Ports({
      names: options.ports,
      local: options.local,
      queues: options.queues,
      loop: this.loop,
      pool: this.pool,
      clock: this.clock,
      sink: (frame) => this.dispatcher.receive(frame),
      changed: (port, change) => {
        this.liveness.changed(port);
        this.sessions.portChanged(port, change);
      },
      logger,
    });
    this.output = new Output(this.ports, (packet) => this.sessions.packetIn(packet));
    this.cells = new Cells({
      hostOf: (tenant) => this.#hosts.get(tenant),
      output: this.output,
      pool: this.pool,
      holding: this.holding,
      clock: this.clock,
      flush: () => this.ports.flush(),
      logger,
    });
    this.liveness = new Liveness({ ports: this.ports, cells: () => this.cells.all() });
    this.dispatcher = new Dispatcher({
      rules: this.rules,
      holding: this.holding,
      admission: this.admission,
      pool: this.pool,
      clock: this.clock,
      fields: config.fields,
      ask: (flow, frame, key) => this.sessions.ask(flow, frame, key, this.extension.config),
      retire: (rule) => this.flows.retire(rule),
    });
    this.flows = new Flows({
      rules: this.rules,
      cells: this.cells,
      dispatcher: this.dispatcher,
      programs: this.programs,
      clock: this.clock,
      liveness: this.liveness,
      send: (message) => this.sessions.cellStatus(message),
      firstBarrierMs: () => this.extension.config.query_timeout_ms,
      reply: (cell, reply, asker) => this.channel.reply(cell, reply, asker),
      logger,
    });
    this.cells.listener = this.flows;
    this.extension = new Extension({
      dispatcher: this.dispatcher,
      flows: this.flows,
      programs: this.programs,
      holding: this.holding,
      admission: this.admission,
      frames,
    });
    this.channel = new Switch({
      sessions: this.sessions,
      requests: new Requests({
        datapathId: options.datapathId,
        description: options.description ?? os.hostname(),
        version,
        tables: TABLES,
        ports: this.ports,
        clock: this.clock,
        dispatcher: this.dispatcher,
      }),
      extension: this.extension,
      tableSettings: new TableSettings(this.cells, this.sessions),
      cells: this.cells,
      flows: this.flows,
      dispatcher: this.dispatcher,
      pool: this.pool,
      clock: this.clock,
      liveness: this.liveness,
      failMode: options.failMode ?? 'secure',
      standaloneCell: () => this.cells.get(STANDALONE_CELL),
      logger,
    });
    this.controllers = new Controllers({
      addresses: options.controllers,
      protocols: options.protocols,
      channel: this.channel,
      context: { ports: () => this.ports.list.map(describePort) },
      limits: options.connection,
      logger,
    });
  }

  /** Ends everything this agent started; cells get no chance to say anything more. */
  async stop(): Promise<void> {
    clearInterval(this.#sweep);
    this.channel.stop();
    this.controllers.stop();
    await this.#local?.stop();
    this.ports.close();
    for (const host of this.#hosts.values()) await host.close();
    this.#hosts.clear();
    this.loop.remove(this.#each);
    this.loop.remove(this.#wake);
    this.loop.stop();
  }

  async #start(): Promise<void> {
    const { logger, failMode } = this.options;
    this.loop.start();
    if (this.socketPath !== undefined) {
      this.#local = await LocalServer.start({
        socketPath: this.socketPath,
        views: this.#views(),
        killCell: (id) => this.#killCell(id),
        logger,
      });
    }
    const openflow = this.programs.named('openflow');
    const own = failMode === 'standalone' ? [openflow, this.programs.named('learning-switch')] : [openflow];
    const host = await SandboxHost.start({
      tenant: DEFAULT_TENANT,
      loop: this.loop,
      events: this.cells,
      programs: [openflow],
      poolSize: this.options.poolSize,
      logger,
    });
    this.#hosts.set(DEFAULT_TENANT, host);
    const memory = this.options.defaultCellMemory ?? DEFAULT_CELL_MIB;
    this.dispatcher.defaultCell = this.flows.openOwn(DEFAULT_CELL, own[0], memory);
    if (own.length > 1) this.dispatcher.standaloneCell = this.flows.openOwn(STANDALONE_CELL, own[1]);
    this.loop.each(this.#each);
    this.loop.afterWake(this.#wake);
    this.#sweep = setInterval(() => this.#tick(), SWEEP_MS);
    this.ports.start();
    this.controllers.start();
    logger.info(
      { datapathId: this.options.datapathId.toString(16), ports: this.ports.list.map((port) => port.name) },
      'agent started',
    );
  }

  #tick(): void {
    this.clock.tick();
    this.flows.sweep();
    this.dispatcher.expire(this.clock.now, this.extension.config.query_timeout_ms);
  }

  #killCell(id: number): boolean {
    const cell = this.cells.get(id);
    if (cell?.handle === undefined) return false;
    this.cells.kill(cell);
    return true;
  }

  #views(): Record<string, () => unknown> {
    const { clock } = this;
    return {
      '/status': () => this.#status(),
      '/ports': () => this.ports.list.map(viewPort),
      '/cells': () => [...this.cells.all()].map((cell) => viewCell(cell, clock)),
      '/rules': () => viewRules(this.rules, clock),
      '/flows': () => viewFlows(this.cells),
      '/hosts': () => [...this.#hosts].map(([tenant, host]) => ({ tenant, pid: host.pid, ...host.stats() })),
      '/counters': () => this.counters(),
    };
  }

  #status() {
    const { dispatcher, extension } = this;
    const controllers = this.controllers.view();
    // The one that is connected, if one is.
    const first = controllers.find(({ state }) => state === 'established') ?? controllers.at(0);
    return {
      datapath_id: this.options.datapathId.toString(16).padStart(16, '0'),
      version,
      pid: process.pid,
      uptime_s: (Date.now() - this.startedAt) / 1000,
      controller: first?.address ?? null,
      connection: first?.state ?? 'stopped',
      controllers,
      mode: extension.asksController ? 'flow' : 'plain',
      fail_mode: this.options.failMode ?? 'secure',
      standalone: dispatcher.standaloneCell !== undefined,
      ports: this.ports.list.length,
      rules: this.rules.size,
      cells: this.cells.size,
      pending_flows: dispatcher.pending.size,
      held_packets: this.holding.held,
      frames_free: this.pool.available,
    };
  }

  /** Everything that is counted. */
  counters() {
    return {
      dispatcher: this.dispatcher.counters,
      hold: { held: this.holding.held, refused: this.holding.refused },
      admission: this.admission.counters,
      rules: { size: this.rules.size, refused: this.rules.refused },
      frames: { size: this.pool.size, available: this.pool.available, exhausted: this.pool.exhausted },
      output: this.output.counters,
      cells: this.cells.counters,
      control: this.cells.control,
      flows: this.flows.counters,
      connection: this.controllers.counters(),
      channel: { ...this.channel.counters, ...this.sessions.counters },
      bundles: this.channel.bundles.counters,
      loop: { turns: this.loop.turns, sleeps: this.loop.sleeps },
    };
  }
}
