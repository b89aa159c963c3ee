/** Keeps the process of a sandbox host running: starts it, watches its heartbeat, starts it again when it has died. */

import type { ToAgent, ToHost } from '../channel/control.ts';
import { Backoff } from './backoff.ts';
import { Heartbeat } from './heartbeat.ts';
import { HostProcess, type HostProcessOptions } from './process.ts';

/** How a process ended: killed for its thread did not get on, by a fault of its own, or otherwise. */
export type Death = 'stuck' | 'crashed' | 'ended';

export interface KeeperEvents {
  /** It is locked down, and has been told nothing yet. */
  started(): void;
  message(message: ToAgent): void;
  /** Not after close(). Nothing may use its memory any more when this returns: the next one gets it. */
  died(detail: string, death: Death): void;
  /** The next one does not start; it is tried again. */
  unavailable(): void;
}

export interface KeeperOptions extends Omit<HostProcessOptions, 'events'> {
  /** A process that dies is replaced. */
  readonly restarts: boolean;
  /** The number that the host raises at each turn, as it is now. */
  heartbeat(): number;
  /** The host has something to do. */
  busy(): boolean;
  readonly events: KeeperEvents;
}

export class HostKeeper {
  /** Times the process was started again. */
  restarts = 0;
  readonly #options: KeeperOptions;
  readonly #heartbeat: Heartbeat;
  readonly #backoff = new Backoff();
  #process: HostProcess | null = null;
  #starting: Promise<void> | null = null;
  /** The present process is killed because its thread does not get on. */
  #stuck = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #onExit: (() => void) | null = null;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#heartbeat = new Heartbeat({
      read: options.heartbeat,
      busy: options.busy,
      stuck: (seconds) => {
        this.#stuck = true;
        this.kill(`no heartbeat for ${seconds} s`);
      },
    });
  }

  /** Resolves when it is locked down; rejects when it does not come so far, and is not tried again then. */
  async start(): Promise<void> {
    const { events, logger } = this.#options;
    const { tenant } = this.#options.arguments;
    this.#backoff.started();
    this.#process = await HostProcess.start({
      ...this.#options,
      events: {
        message: (message) => events.message(message),
        exit: (detail, crashed) => this.#exited(detail, crashed),
      },
    });
    if (this.#closed) return;
    logger.info({ tenant, pid: this.#process.pid }, 'sandbox host started');
    this.#heartbeat.start();
    events.started();
  }

  get running(): boolean {
    return this.#process !== null;
  }

  /** Process id of the present process, or -1 between two. */
  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /** To the present process; what is said between two is lost. */
  send(message: ToHost): void {
    this.#process?.send(message);
  }

  /** Ends the present process, which cannot be trusted any more; `died` follows. */
  kill(why: string): void {
    const { arguments: args, logger } = this.#options;
    logger.error({ tenant: args.tenant, pid: this.pid }, `sandbox host is killed: ${why}`);
    this.#process?.kill();
  }

  /** Ends the process for good; resolves when it is gone. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#starting;
    if (this.#process === null) return;
    const exited = new Promise<void>((resolve) => {
      this.#onExit = resolve;
    });
    this.#process.kill();
    await exited;
  }

  #exited(detail: string, crashed: boolean): void {
    const death = this.#stuck ? 'stuck' : crashed ? 'crashed' : 'ended';
    this.#process = null;
    this.#stuck = false;
    this.#heartbeat.stop();
    if (this.#closed) {
      this.#onExit?.();
      return;
    }
    this.#options.events.died(detail, death);
    if (this.#options.restarts) this.#restartLater();
  }

  #restartLater(): void {
    const { arguments: args, events, logger } = this.#options;
    this.#timer = setTimeout(() => {
      this.restarts++;
      this.#starting = this.start().catch((error) => {
        if (this.#closed) return;
        logger.error({ tenant: args.tenant, err: error }, 'sandbox host does not start');
        events.unavailable();
        this.#restartLater();
      });
    }, this.#backoff.next());
  }
}
