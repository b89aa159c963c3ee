/**
 * A device without its surroundings: everything between its ports, its cells' hosts and its controllers. The agent puts
 * it among network interfaces, sandbox processes and TCP; the test kit among what is made for a test.
 */
import { createRequire } from 'node:module';
import os from 'node:os';
import type { Logger } from 'pino';
import { type CellHost, Cells, DEFAULT_CELL, STANDALONE_CELL } from './cells.ts';
import type { Connect, ConnectionLimits } from './channel/connection-options.ts';
import { Controllers } from './channel/controllers.ts';
import { defaultDispatchConfig, holdLimits } from './channel/dispatch-settings.ts';
import { Extension } from './channel/extension.ts';
import { describePort } from './channel/port-messages.ts';
import { Requests } from './channel/requests.ts';
import { Sessions } from './channel/sessions.ts';
import { type FailMode, Switch } from './channel/switch.ts';
import { TableSettings } from './channel/table-settings.ts';
import { type Clock, SYSTEM_TIME, type Time } from './clock.ts';
import { Admission } from './dispatcher/admission.ts';
import { Dispatcher } from './dispatcher/dispatcher.ts';
import { Flows } from './dispatcher/flows.ts';
import { Holding } from './dispatcher/hold.ts';
import { Output, type PortSet } from './dispatcher/output.ts';
import { RuleTable } from './dispatcher/rules.ts';
import { Setups } from './dispatcher/setups.ts';
import { FastPath } from './fastpath/fast-path.ts';
import type { FastPathOptions } from './fastpath/options.ts';
import { Liveness } from './liveness.ts';
import type { FramePool } from './ports/frames.ts';
import type { Port } from './ports/port.ts';
import type { PortChange } from './ports/ports.ts';
import type { Programs } from './programs.ts';

export interface CoreOptions {
  datapathId: bigint;
  /** Where the controllers are; all are connected to. */
  controllers: readonly { host: string; port: number }[];
  /** Wire versions to offer them. Default: all that are spoken. */
  protocols?: readonly number[];
  failMode?: FailMode;
  /** False: an ordinary switch for every controller. Default true. */
  flowMode?: boolean;
  /** Heap of the default cell, MiB. Default 192. */
  defaultCellMemory?: number;
  maxRules?: number;
  tenantFlowsPerSec?: number;
  description?: string;
  connection?: Partial<ConnectionLimits>;
  /** A controller has taken charge (AgentOptions.inCharge). */
  inCharge?: (mode: 'plain' | 'flow') => void;
  /** The same that the ports have. */
  clock: Clock;
  pool: FramePool;
  ports: PortSet & { flush(): void };
  /** The sandbox host of a tenant; undefined when there is none. */
  hostOf: (tenant: number) => CellHost | undefined;
  programs: Programs;
  /** Flows forwarded by the kernel; left out: every packet goes through its cell. */
  fastPath?: Pick<FastPathOptions, 'limits' | 'wireOf' | 'open'>;
  time?: Time;
  /** How to reach controllers. Default: over TCP. */
  connect?: Connect;
  logger: Logger;
}

const SWEEP_MS = 100;
/** For 65,536 simple flow entries and half as much again. */
const DEFAULT_CELL_MIB = 192;
/** Tables of the `openflow` program. */
const TABLES = 254;

export const { version } = createRequire(import.meta.url)('flowcell/package.json') as { version: string };

export class AgentCore {
  readonly clock: Clock;
  readonly pool: FramePool;
  readonly rules: RuleTable;
  readonly holding: Holding;
  readonly admission: Admission;
  readonly setups: Setups;
  readonly output: Output;
  readonly dispatcher: Dispatcher;
  readonly cells: Cells;
  readonly liveness: Liveness;
  readonly flows: Flows;
  readonly fastPath: FastPath | undefined;
  readonly extension: Extension;
  readonly sessions = new Sessions();
  readonly channel: Switch;
  readonly controllers: Controllers;
  readonly #options: CoreOptions;
  #endSweep: (() => void) | undefined;

  constructor(options: CoreOptions) {
    const { logger, ports, programs, time, clock, pool } = options;
    const frames = pool.size;
    const config = defaultDispatchConfig(frames);
    this.#options = options;
    this.clock = clock;
    this.pool = pool;
    this.rules = new RuleTable(options.maxRules);
    this.holding = new Holding(holdLimits(config));
    this.admission = new Admission({ perPort: 0, perTenant: options.tenantFlowsPerSec ?? 0 });
    this.setups = new Setups(config.query_timeout_ms);
    this.output = new Output(ports, (packet) => this.sessions.packetIn(packet));
    this.cells = new Cells({
      hostOf: options.hostOf,
      output: this.output,
      pool: this.pool,
      holding: this.holding,
      clock: this.clock,
      flush: () => ports.flush(),
      isPromised: (id) => this.dispatcher.pending.get(id) !== undefined,
      logger,
    });
    this.fastPath =
      options.fastPath &&
      new FastPath({
        ...options.fastPath,
        rules: this.rules,
        ports,
        clock,
        cellWithoutRule: () => this.dispatcher.cellWithoutRule,
        mayUse: (tenant, port) => this.output.mayUse(tenant, port),
        handle: (cell, tenant, verdict) => this.output.handle(cell, tenant, verdict),
        logger,
      });
    this.cells.fastPath = this.fastPath;
    this.liveness = new Liveness({ ports, cells: () => this.cells.all() });
    this.dispatcher = new Dispatcher({
      rules: this.rules,
      holding: this.holding,
      admission: this.admission,
      setups: this.setups,
      pool: this.pool,
      clock: this.clock,
      fields: config.fields,
      ask: (flow, frame, key) => this.sessions.ask(flow, frame, key, this.extension.config),
      retire: (rule) => this.flows.retire(rule),
      rerouted: () => this.fastPath?.flush(),
      nextNumber: () => this.cells.nextNumber(),
    });
    this.flows = new Flows({
      rules: this.rules,
      cells: this.cells,
      dispatcher: this.dispatcher,
      setups: this.setups,
      programs,
      clock: this.clock,
      liveness: this.liveness,
      send: (message) => this.sessions.cellStatus(message),
      firstBarrierMs: () => this.extension.config.query_timeout_ms,
      reply: (cell, reply, asker) => this.channel.reply(cell, reply, asker),
      fastPath: this.fastPath,
      logger,
    });
    this.cells.listener = this.flows;
    this.extension = new Extension({
      dispatcher: this.dispatcher,
      flows: this.flows,
      programs,
      holding: this.holding,
      admission: this.admission,
      setups: this.setups,
      frames,
    });
    this.channel = new Switch({
      sessions: this.sessions,
      requests: new Requests({
        datapathId: options.datapathId,
        description: options.description ?? os.hostname(),
        version,
        tables: TABLES,
        ports,
        clock: this.clock,
        dispatcher: this.dispatcher,
        portModified: () => this.fastPath?.flush(),
      }),
      extension: this.extension,
      tableSettings: new TableSettings(this.cells, this.sessions),
      cells: this.cells,
      flows: this.flows,
      dispatcher: this.dispatcher,
      pool: this.pool,
      clock: this.clock,
      time,
      liveness: this.liveness,
      failMode: options.failMode ?? 'secure',
      flowMode: options.flowMode,
      standaloneCell: () => this.cells.get(STANDALONE_CELL),
      inCharge: options.inCharge,
      logger,
    });
    this.controllers = new Controllers({
      addresses: options.controllers,
      protocols: options.protocols,
      channel: this.channel,
      context: { ports: () => ports.list.map(describePort) },
      limits: options.connection,
      time,
      connect: options.connect,
      logger,
    });
  }

  /** Frames that are neither free nor held (some 64 of them stand ready for large packets). */
  get inCells(): number {
    return this.pool.size - this.pool.available - this.holding.held;
  }

  /** Opens the device's own cells: hosts are there from here on. */
  openCells(): void {
    const { failMode, programs } = this.#options;
    const openflow = programs.named('openflow');
    const standalone = failMode === 'standalone' ? programs.named('learning-switch') : undefined;
    const memory = this.#options.defaultCellMemory ?? DEFAULT_CELL_MIB;
    this.dispatcher.defaultCell = this.flows.openOwn(DEFAULT_CELL, openflow, memory);
    if (standalone !== undefined)
      this.dispatcher.standaloneCell = this.flows.openOwn(STANDALONE_CELL, standalone);
  }

  /** Timeouts are looked after from here on. */
  startSweep(): void {
    this.#endSweep = (this.#options.time ?? SYSTEM_TIME).every(SWEEP_MS, () => {
      this.clock.tick();
      this.fastPath?.sweep(this.clock.now);
      this.flows.sweep();
      this.dispatcher.expire(this.clock.now, this.extension.config.query_timeout_ms);
    });
  }

  /** A port has come, gone or changed. */
  portChanged(port: Port, change: PortChange): void {
    this.fastPath?.flush();
    this.liveness.changed(port);
    this.sessions.portChanged(port, change);
  }

  /** Ends timers and connections. */
  stop(): void {
    this.#endSweep?.();
    this.channel.stop();
    this.controllers.stop();
    this.fastPath?.stop();
  }
}
