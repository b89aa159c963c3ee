/** The agent: one device's ports, dispatcher, cells and its connections to the controllers, put together. */
import type { Logger } from 'pino';
import { builtInPrograms } from '../sandbox/client/programs.ts';
import type { HostShare } from '../sandbox/client/share.ts';
import { TenantHosts } from '../sandbox/client/tenant-hosts.ts';
import type { CellEvents, ProgramImage } from '../sandbox/client/types.ts';
import { PollLoop } from '../sandbox/sys/loop.ts';
import type { ConnectionLimits } from './channel/connection-options.ts';
import type { FailMode } from './channel/switch.ts';
import { Clock } from './clock.ts';
import { AgentCore, version } from './core.ts';
import { BpfError } from './fastpath/bpf-error.ts';
import { KernelPorts, wireOf } from './fastpath/kernel-ports.ts';
import type { FastPathLimits } from './fastpath/options.ts';
import { LocalServer, socketPathOf } from './local/server.ts';
import { viewCell, viewFlows, viewPort, viewRules } from './local/views.ts';
import { mapFrames } from './ports/frame-memory.ts';
import { type Frame, FramePool } from './ports/frames.ts';
import type { InterfacePort } from './ports/interface-port.ts';
import { Ports } from './ports/ports.ts';
import type { QueueSpec } from './ports/queues.ts';
import { PortError } from './ports/socket.ts';
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
  /** Frames that may wait for each port in the kernel, which sets 2 KiB aside for each (16 at least). Default 1024. */
  ringSlots?: number;
  /** Heap of the default cell, whose tables are the whole device's in plain mode, MiB (8 to 4096). Default 192. */
  defaultCellMemory?: number;
  /** Most dispatch rules. Default 131072. */
  maxRules?: number;
  /** New flows a second for all ports of a tenant; 0: no limit. */
  tenantFlowsPerSec?: number;
  /** Folder of the socket with the local state (local/server.ts); absent: none is offered. */
  runDir?: string;
  /** Flows that the kernel forwards (docs/fast-path.md). Default false: every packet goes through its cell. */
  fastPath?: boolean | (Partial<FastPathLimits> & { clsact?: boolean });
  description?: string;
  connection?: Partial<ConnectionLimits>;
  /**
   * Called when a controller has taken charge: its features handshake is done (`plain`), or it has said that it
   * decides about flows (`flow`). Again for each controller, and after each reconnection.
   */
  inCharge?: (mode: 'plain' | 'flow') => void;
  logger: Logger;
}

/** What several agents in one process have in common (group.ts). */
export interface AgentSurroundings {
  readonly loop: PollLoop;
  /** The sandbox hosts of the default tenant, for an agent whose cells report to `events`. */
  share(events: CellEvents<Frame>): HostShare<Frame>;
}

const DEFAULT_FRAMES = 8192;
/**
 * Frames inside cells from which on receiving pauses until some have come back: many cells get few packets each per round,
 * and entering a cell costs as much as ten packets.
 */
const ENOUGH_IN_CELLS = 1024;
const DEFAULT_TENANT = 0;

export class Agent {
  readonly options: AgentOptions;
  /** Where the local state is offered. */
  readonly socketPath: string | undefined;
  readonly loop: PollLoop;
  readonly ports: Ports;
  readonly core: AgentCore;
  readonly programs: Programs;
  readonly startedAt = Date.now();
  readonly #surroundings: AgentSurroundings | undefined;
  readonly #hosts = new Map<number, TenantHosts<Frame> | HostShare<Frame>>();
  readonly #kernelPorts: KernelPorts;
  #local: LocalServer | undefined;
  readonly #each = (): void => {
    this.core.clock.tick();
    this.ports.flush();
    this.core.channel.pace.turn();
    this.core.controllers.flush();
  };
  readonly #wake = (): void => {
    this.core.clock.tick();
  };

  /** Throws PortError, SandboxError, LocalError: each with a `code` and a sentence that says what to do. */
  static async start(options: AgentOptions, surroundings?: AgentSurroundings): Promise<Agent> {
    const agent = new Agent(options, await builtInPrograms(), surroundings);
    try {
      await agent.#start();
    } catch (error) {
      await agent.stop();
      throw error;
    }
    return agent;
  }

  private constructor(
    options: AgentOptions,
    programs: readonly ProgramImage[],
    surroundings: AgentSurroundings | undefined,
  ) {
    const { logger } = options;
    this.options = options;
    this.#surroundings = surroundings;
    this.loop = surroundings?.loop ?? new PollLoop();
    const { runDir } = options;
    this.socketPath = runDir === undefined ? undefined : socketPathOf(options.datapathId, runDir);
    const { fastPath = false } = options;
    this.#kernelPorts = new KernelPorts(typeof fastPath === 'object' && fastPath.clsact === true);
    const clock = new Clock();
    const frames = options.frames ?? DEFAULT_FRAMES;
    const pool = new FramePool(frames, mapFrames(frames));
    this.programs = new Programs(programs);
    this.ports = new Ports({
      names: options.ports,
      local: options.local,
      queues: options.queues,
      ringSlots: options.ringSlots,
      loop: this.loop,
      pool,
      clock,
      sink: (frame) => this.core.dispatcher.receive(frame),
      busy: () => this.core.inCells >= ENOUGH_IN_CELLS,
      changed: (port, change) => this.core.portChanged(port, change),
      opened: (port) => this.#portOpened(port),
      closing: (port) => this.#kernelPorts.detach(port),
      resized: () => this.core.fastPath?.flush(),
      logger,
    });
    const { datapathId, controllers, protocols, failMode, maxRules, tenantFlowsPerSec } = options;
    this.core = new AgentCore({
      datapathId,
      controllers,
      protocols,
      failMode,
      defaultCellMemory: options.defaultCellMemory,
      maxRules,
      tenantFlowsPerSec,
      description: options.description,
      connection: options.connection,
      inCharge: options.inCharge,
      clock,
      pool,
      ports: this.ports,
      hostOf: (tenant) => this.#hosts.get(tenant),
      programs: this.programs,
      fastPath:
        fastPath === false
          ? undefined
          : {
              limits: fastPath === true ? undefined : fastPath,
              wireOf,
              open: (flows, copied) =>
                this.#kernelPorts.open(flows, this.ports.list, {
                  copied,
                  lost: () => this.core.fastPath?.flush(),
                  loop: this.loop,
                  pool,
                  logger,
                }),
            },
      logger,
    });
  }

  #portOpened(port: InterfacePort): void {
    // The first ports are opened, and closed again if one of them cannot be, before there is a core.
    port.onRefresh = () => this.core?.fastPath?.fold();
    try {
      this.#kernelPorts.attach(port);
    } catch (error) {
      if (!(error instanceof BpfError) && !(error instanceof PortError)) throw error;
      this.options.logger.error({ port: port.name, err: error }, 'no kernel fast path from this port');
    }
  }

  /** Ends everything this agent started; cells get no chance to say anything more. */
  async stop(): Promise<void> {
    this.core.stop();
    await this.#local?.stop();
    this.ports.close();
    for (const host of this.#hosts.values()) await host.close();
    this.#hosts.clear();
    this.loop.remove(this.#each);
    this.loop.remove(this.#wake);
    // Others go on with a loop that is theirs as well.
    if (this.#surroundings === undefined) this.loop.stop();
  }

  async #start(): Promise<void> {
    const { core } = this;
    const { logger } = this.options;
    this.loop.start();
    if (this.socketPath !== undefined) {
      this.#local = await LocalServer.start({
        socketPath: this.socketPath,
        views: this.#views(),
        killCell: (id) => this.#killCell(id),
        logger,
      });
    }
    const host =
      this.#surroundings?.share(core.cells) ??
      (await TenantHosts.start({
        tenant: DEFAULT_TENANT,
        loop: this.loop,
        events: core.cells,
        programs: [this.programs.named('openflow')],
        poolSize: this.options.poolSize,
        logger,
      }));
    this.#hosts.set(DEFAULT_TENANT, host);
    core.openCells();
    this.loop.each(this.#each);
    this.loop.afterWake(this.#wake);
    core.startSweep();
    this.ports.start();
    core.controllers.start();
    logger.info(
      { datapathId: this.options.datapathId.toString(16), ports: this.ports.list.map((port) => port.name) },
      'agent started',
    );
  }

  #killCell(id: number): boolean {
    const cell = this.core.cells.get(id);
    if (cell?.handle === undefined) return false;
    this.core.cells.kill(cell);
    return true;
  }

  #views(): Record<string, () => unknown> {
    const { clock, cells, rules, fastPath } = this.core;
    return {
      '/status': () => this.#status(),
      '/ports': () => this.ports.list.map(viewPort),
      '/cells': () => {
        fastPath?.fold();
        return [...cells.all()].map((cell) => viewCell(cell, clock));
      },
      '/rules': () => viewRules(rules, clock),
      '/flows': () => viewFlows(cells),
      '/hosts': () =>
        [...this.#hosts].flatMap(([tenant, hosts]) => hosts.view().map((host) => ({ tenant, ...host }))),
      '/counters': () => this.counters(),
    };
  }

  #status() {
    const { dispatcher, extension, rules, cells, holding, pool } = this.core;
    const controllers = this.core.controllers.view();
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
      rules: rules.size,
      cells: cells.size,
      pending_flows: dispatcher.pending.size,
      held_packets: holding.held,
      frames_free: pool.available,
    };
  }

  /** Everything that is counted. */
  counters() {
    const {
      dispatcher,
      holding,
      admission,
      setups,
      rules,
      pool,
      output,
      cells,
      flows,
      controllers,
      channel,
      fastPath,
    } = this.core;
    return {
      dispatcher: dispatcher.counters,
      hold: { held: holding.held, refused: holding.refused },
      admission: admission.counters,
      fast_path: fastPath?.view(),
      setups: { waiting: setups.waiting, ...setups.counters },
      rules: {
        size: rules.size,
        refused: rules.refused,
        refusedMasks: rules.refusedMasks,
        ...rules.searched,
      },
      frames: { size: pool.size, available: pool.available, exhausted: pool.exhausted },
      output: output.counters,
      cells: cells.counters,
      hosts: Object.fromEntries([...this.#hosts].map(([tenant, hosts]) => [tenant, hosts.counters])),
      control: cells.control,
      flows: flows.counters,
      connection: controllers.counters(),
      channel: { ...channel.counters, ...this.core.sessions.counters, ...channel.pace.counters },
      bundles: channel.bundles.counters,
      loop: { turns: this.loop.turns, sleeps: this.loop.sleeps },
    };
  }
}
