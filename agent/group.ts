/**
 * Several devices in one process, for networks emulated on one machine: each has its own ports, tables, channel and
 * cells, and they share what costs a process its start: Node, the loop, and the sandbox host with its warm isolates.
 */
import type { Logger } from 'pino';
import { SandboxHost } from '../sandbox/client/host.ts';
import { builtInPrograms } from '../sandbox/client/programs.ts';
import type { CellEvents } from '../sandbox/client/types.ts';
import { PollLoop } from '../sandbox/sys/loop.ts';
import { Agent, type AgentOptions, type AgentSurroundings } from './agent.ts';
import type { Frame } from './ports/frames.ts';

export interface AgentGroupOptions {
  /** Isolates kept warm, for all devices together. Default: the sandbox client's. */
  poolSize?: number;
  logger: Logger;
}

/** Cells that nobody shares: the host's own user, which opens none. */
const NOBODY: CellEvents<Frame> = {
  verdict: () => undefined,
  message: () => undefined,
  ended: () => undefined,
  lost: () => undefined,
  drained: () => undefined,
};

export class AgentGroup {
  readonly #surroundings: AgentSurroundings;
  readonly #host: SandboxHost<Frame>;
  readonly #agents = new Set<Agent>();

  /** Throws SandboxError. */
  static async start({ poolSize, logger }: AgentGroupOptions): Promise<AgentGroup> {
    const programs = await builtInPrograms();
    const loop = new PollLoop();
    loop.start();
    try {
      const openflow = programs.filter(({ name }) => name === 'openflow');
      const own = { tenant: 0, events: NOBODY, programs: openflow };
      return new AgentGroup(loop, await SandboxHost.start({ ...own, loop, poolSize, logger }));
    } catch (error) {
      loop.stop();
      throw error;
    }
  }

  private constructor(loop: PollLoop, host: SandboxHost<Frame>) {
    this.#host = host;
    this.#surroundings = { loop, share: (events) => host.share(events) };
  }

  /** Starts a device. Throws as Agent.start does. */
  async add(options: AgentOptions): Promise<Agent> {
    const agent = await Agent.start(options, this.#surroundings);
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
    await this.#host.close();
    this.#surroundings.loop.stop();
  }
}
