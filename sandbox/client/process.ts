/** Starts a sandbox host process and speaks with it over its control socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type HostArguments, LineReader, type ToAgent, type ToHost } from '../channel/control.ts';

/** Of a script of the host's: `.ts` in a checkout, `.js` in the installed package. */
const script = (name: string) =>
  fileURLToPath(new URL(`../host/${name}${extname(import.meta.url)}`, import.meta.url));
const BOOTSTRAP = script('bootstrap');
const MAIN = script('main');
/**
 * TurboFan after ten times as many calls as V8 would wait for. Each isolate is compiled anew on the host's one thread: TurboFan takes
 * 13 ms for a cell, and saves 20 to 40 ns of each packet on what Maglev has made. More than 34,000 times the largest function
 * that V8 optimizes would be too much for the 32 bits it counts in.
 */
const LATE_TURBOFAN = '--invocation-count-for-turbofan=30000';
/**
 * As in bin/node; no debugger by signal; what saves memory: a warmed isolate with the openflow program takes
 * 4.2 MB without `no-sparkplug` and the collection that `expose-gc` allows, 2.5 MB with them; and feedback from the second call of a
 * function on, not the eighth: a function that every flow calls once would go without for eight flows (a tenth of a flow's set-up,
 * for 3 % of the heap).
 */
const NODE_FLAGS = [
  '--no-node-snapshot',
  '--no-concurrent-recompilation',
  '--disable-warning=ExperimentalWarning',
  '--disable-sigusr1',
  '--no-sparkplug',
  '--expose-gc',
  LATE_TURBOFAN,
  '--invocation-count-for-feedback-allocation=2',
];
const NAMESPACES = ['--net', '--ipc', '--uts'];
/** A host must have locked itself down by then, ms. */
const START_MS = 20_000;
/** What V8 and the system end a process with that has gone wrong. */
const FAULTS: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGILL',
  'SIGSEGV',
  'SIGTRAP',
]);
/** Bytes of a host's standard error that are logged per second at most. */
const LOG_BYTES_PER_SECOND = 16 * 1024;

let unsharePermitted: Promise<string | null> | undefined;

/** Whether namespaces can be had (null), or why not. Found out once per process. */
function unshareRefusal(): Promise<string | null> {
  unsharePermitted ??= new Promise((resolve) => {
    const probe = spawn('unshare', [...NAMESPACES, 'true'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    probe.stderr.on('data', (chunk) => {
      said += chunk;
    });
    probe.on('error', (error) => resolve(error.message));
    probe.on('close', (code) => resolve(code === 0 ? null : said.trim() || `unshare ended with ${code}`));
  });
  return unsharePermitted;
}

export interface HostProcessEvents {
  message(message: ToAgent): void;
  /** The process has ended, for whatever reason. Nothing follows. `crashed`: by a fault of its own. */
  exit(detail: string, crashed: boolean): void;
}

export interface HostProcessOptions {
  arguments: HostArguments;
  /** Descriptors of the shared memory and the two eventfds. */
  memory: number;
  toHost: number;
  toAgent: number;
  logger: Logger;
  events: HostProcessEvents;
}

export class HostProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #control: Socket;

  /** Resolves when the host is locked down; rejects when it ends or stays silent before. */
  static async start(options: HostProcessOptions): Promise<HostProcess> {
    const refusal = await unshareRefusal();
    const { tenant } = options.arguments;
    if (refusal !== null) {
      const notice = 'sandbox host shares the namespaces of the agent; its system call filter still holds';
      options.logger.warn({ tenant, refusal }, notice);
    }
    const node = [process.execPath, ...NODE_FLAGS, BOOTSTRAP, MAIN, JSON.stringify(options.arguments)];
    const command = refusal === null ? ['unshare', ...NAMESPACES, '--', ...node] : node;
    return new Promise((resolve, reject) => {
      const host = new HostProcess(command, options, (error) => {
        clearTimeout(timer);
        if (error) reject(error);
        else resolve(host);
      });
      const timer = setTimeout(() => {
        host.kill();
        reject(new Error(`sandbox host was not ready after ${START_MS} ms`));
      }, START_MS);
    });
  }

  private constructor(command: string[], options: HostProcessOptions, started: (error?: Error) => void) {
    const { logger, events, memory, toHost, toAgent } = options;
    const { tenant } = options.arguments;
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', memory, toHost, toAgent],
      // Nothing of the agent's environment is the tenant's business.
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
      cwd: '/',
    });
    this.#child = child;
    this.pid = child.pid ?? -1;
    this.#control = child.stdio[3] as Socket;
    let ready = false;
    const receive = (message: ToAgent): void => {
      if (message.type === 'ready' && !ready) {
        ready = true;
        for (const notice of message.notices)
          logger.warn({ tenant, pid: this.pid }, `sandbox host ${notice}`);
        started();
      } else events.message(message);
    };
    const lines = new LineReader();
    this.#control.on('data', (chunk: Buffer) => {
      try {
        lines.push(chunk, (message) => receive(message as ToAgent));
      } catch (error) {
        logger.error({ tenant, pid: this.pid, err: error }, 'sandbox host speaks nonsense and is ended');
        this.kill();
      }
    });
    // The exit event tells; a write to a host that is gone must not end the agent.
    this.#control.on('error', (error) => logger.debug({ tenant, err: error }, 'sandbox host control socket'));
    for (const stream of [child.stdout!, child.stderr!]) logOutput(stream, logger, tenant, this.pid);
    child.on('error', (error) => {
      started(new Error(`sandbox host does not start: ${error.message}`, { cause: error }));
    });
    child.on('exit', (code, signal) => {
      const detail = signal ? `ended by ${signal}` : `ended with code ${code}`;
      if (ready) events.exit(detail, signal !== null && FAULTS.has(signal));
      else started(new Error(`sandbox host ${detail} before it was ready; its output is in the log`));
    });
  }

  send(message: ToHost): void {
    if (this.#control.writable) this.#control.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the process at once; `exit` follows. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Logs what a host prints, a bounded amount of it. */
function logOutput(stream: NodeJS.ReadableStream, logger: Logger, tenant: number, pid: number): void {
  let allowance = LOG_BYTES_PER_SECOND;
  let since = performance.now();
  stream.on('data', (chunk: Buffer) => {
    const now = performance.now();
    if (now - since >= 1000) {
      allowance = LOG_BYTES_PER_SECOND;
      since = now;
    }
    if (allowance <= 0) return;
    const text = chunk.toString('utf8', 0, Math.min(chunk.length, allowance)).trimEnd();
    allowance -= chunk.length;
    logger.warn({ tenant, pid, output: text }, 'sandbox host said');
  });
}
