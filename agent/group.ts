/**
 * Several devices in one process, for networks emulated on one machine: each has its own ports, tables, channel and
 * cells, and they share what costs a process its start: Node, the loop, and the sandbox host with its warm isolates.
 */
import type { Logger } from 'pino';
import { builtInPrograms } from '../sandbox/client/programs.ts';
import { TenantHosts } from '../sandbox/client/tenant-hosts.ts';
import type { CellEvents } from '../sandbox/client/types.ts';
import { PollLoop } from '../sandbox/sys/loop.ts';
import { Agent, type AgentOptions } from './agent.ts';
import type { Frame } from './ports/frames.ts';

export interface AgentGroupOptions {
  /** Isolates kept warm, for all devices of a tenant together. Default: the sandbox client's. */
  poolSize?: number;
  logger: Logger;
}

/** Many ports share one machine's memory: 512 KiB each. */
const RING_SLOTS = 256;

/** Cells are opened through shares only; the group itself opens none. */
const NOBODY: CellEvents<Frame> = {
  verdict: () => undefined,
  message: () => undefined,
  ended: () => undefined,
  lost: () => undefined,
  drained: () => undefined,
};

/** Whose process the cells of a device are in, unless it is told otherwise. */
const DEFAULT_TENANT = 0;

export class AgentGroup {
  readonly #options: AgentGroupOptions;
  readonly #loop = new PollLoop();
  readonly #agents = new Set<Agent>();
  /** By tenant. */
  readonly #hosts = new Map<number, Promise<TenantHosts<Frame>>>();

  /** Throws SandboxError. */
  static async start(options: AgentGroupOptions): Promise<AgentGroup> {
    const group = new AgentGroup(options);
    group.#loop.start();
    try {
      await group.#hostOf(DEFAULT_TENANT);
    } catch (error) {
      group.#loop.stop();
      throw error;
    }
    return group;
  }

  private constructor(options: AgentGroupOptions) {
    this.#options = options;
  }

  /**
   * Starts a device. Devices of one tenant have their cells in the same sandbox host: one process, one user.
   * Throws as Agent.start does.
   */
  async add(options: AgentOptions, tenant = DEFAULT_TENANT): Promise<Agent> {
    const host = await this.#hostOf(tenant);
    const agent = await Agent.start(
      { ringSlots: RING_SLOTS, ...options },
      { loop: this.#loop, share: (events) => host.share(events) },
    );
    this.#agents.add(agent);
    return agent;
  }

  /** Stops a device of the group. */
  async remove(agent: Agent): Promise<void> {
    if (this.#agents.delete(agent)) await agent.stop();
  }

  /** Stops all devices and what they share. */
  async stop(): Promise<void> {
    for (const agent of this.#agents) await this.remove(agent);
    for (const host of this.#hosts.values()) await (await host).close();
    this.#loop.stop();
  }

  #hostOf(tenant: number): Promise<TenantHosts<Frame>> {
    let host = this.#hosts.get(tenant);
    if (host === undefined) {
      host = this.#startHost(tenant);
      this.#hosts.set(tenant, host);
      // The next device of this tenant tries again.
      host.catch(() => this.#hosts.delete(tenant));
    }
    return host;
  }

  async #startHost(tenant: number): Promise<TenantHosts<Frame>> {
    const { poolSize, logger } = this.#options;
    const programs = (await builtInPrograms()).filter(({ name }) => name === 'openflow');
    return await TenantHosts.start({
      tenant,
      loop: this.#loop,
      events: NOBODY,
      programs,
      poolSize,
      logger,
    });
  }
}
