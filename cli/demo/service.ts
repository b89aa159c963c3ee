/** Starting `flowcell` commands as processes of their own, and knowing when they are there. */

import type { ChildProcess } from 'node:child_process';
import { type NetNode, stop } from '../../mininet/topology.ts';
import { answers } from '../lib/local.ts';
import { command } from '../lib/package.ts';

const FLOWCELL = command('flowcell');

/** Lines of a process's log that are kept, to show when it fails. */
const LOG_LINES = 30;

/** A process of the demo's that ended when it should not have, or never began to answer. */
export class ServiceError extends Error {
  readonly code = 'FC_SERVICE_FAILED';

  constructor(message: string) {
    super(message);
    this.name = 'ServiceError';
  }
}

export class Service {
  readonly name: string;
  /** Its unix socket. */
  readonly socket: string;
  readonly #child: ChildProcess;
  readonly #log: string[] = [];
  #stopping = false;
  /** Rejects with ServiceError if it ends before it is told to. */
  readonly failed: Promise<never>;

  private constructor(name: string, socket: string, child: ChildProcess) {
    this.name = name;
    this.socket = socket;
    this.#child = child;
    let rest = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      this.#log.push(...lines);
      this.#log.splice(0, this.#log.length - LOG_LINES);
    });
    this.failed = new Promise((_, reject) => {
      child.once('error', (error) =>
        reject(new ServiceError(`the ${name} could not start: ${error.message}`)),
      );
      child.once('close', (code, signal) => {
        if (this.#stopping) return;
        if (rest !== '') this.#log.push(rest);
        const end = signal === null ? `exit code ${code}` : signal;
        reject(new ServiceError(`the ${name} ended (${end}); it said:\n  ${this.#log.join('\n  ')}`));
      });
    });
    // Whoever waits for something else has not lost this one: the demo races them all.
    this.failed.catch(() => undefined);
  }

  /** Starts `flowcell <argv>` in a namespace; `ready` tells when it is there. */
  static start(node: NetNode, name: string, socket: string, argv: readonly string[]): Service {
    const child = node.spawn([FLOWCELL, ...argv], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A Ctrl-C is for the demo, which then ends everything in order.
      detached: true,
    });
    return new Service(name, socket, child);
  }

  /** Resolves when its socket answers. Rejects with ServiceError. */
  async ready(): Promise<void> {
    await Promise.race([this.failed, this.#answers()]);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Asks its socket; polls, since a socket file that appears may not be listened on yet. */
  async #answers(): Promise<void> {
    const give = performance.now() + START_TIMEOUT_MS;
    while (!this.#stopping) {
      if (await answers(this.socket)) return;
      if (performance.now() > give) {
        throw new ServiceError(
          `the ${this.name} did not answer within ${START_TIMEOUT_MS / 1000} s; it said:\n  ${this.#log.join('\n  ')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await stop(this.#child, STOP_TIMEOUT_MS);
  }
}

const START_TIMEOUT_MS = 30_000;
/** An agent that ends in order has ended its sandbox hosts: it is given time, also on a busy machine. */
const STOP_TIMEOUT_MS = 10_000;
