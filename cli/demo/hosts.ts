/** Traffic between the demo's hosts: programs started in their namespaces, and what they report. */

import type { ChildProcess } from 'node:child_process';
import { extname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Host } from '../../mininet/topology.ts';
import { command } from '../lib/package.ts';

const NODE = command('node');
const TRAFFIC = join(import.meta.dirname, `traffic${extname(import.meta.filename)}`);

/** A traffic program; its reports come one by one. */
export class Traffic {
  readonly #what: string;
  readonly #child: ChildProcess;
  readonly #reports: AsyncIterator<string>;
  #stderr = '';

  constructor(host: Host, args: readonly (string | number)[]) {
    this.#what = `${host.name}: ${args.join(' ')}`;
    this.#child = host.spawn([NODE, TRAFFIC, ...args.map(String)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A Ctrl-C is for the demo, which then ends everything in order.
      detached: true,
    });
    this.#child.on('error', (error) => {
      this.#stderr += error.message;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    const reader: Interface = createInterface({ input: this.#child.stdout! });
    this.#reports = reader[Symbol.asyncIterator]();
  }

  /** The next report. Rejects when the program ended without one. */
  async next<T>(): Promise<T> {
    const { value, done } = await this.#reports.next();
    if (done) throw new Error(`${this.#what} ended early: ${this.#stderr.trim() || 'it said nothing'}`);
    return JSON.parse(value) as T;
  }

  /** Ends its input and takes its last report. */
  async finish<T>(): Promise<T> {
    this.#child.stdin?.end();
    return await this.next<T>();
  }
}

/** A server, once it listens. */
export async function serve(host: Host, mode: 'tcp-receive' | 'udp-echo', port: number): Promise<Traffic> {
  const traffic = new Traffic(host, [mode, port]);
  await traffic.next();
  return traffic;
}

export interface TransferReport {
  bytes: number;
  ok: boolean;
  failed: number;
  seconds: number;
  reason?: string;
}

export interface NewFlowsReport {
  flows: number;
  answered: number;
  rtt_us: { p50: number; p99: number };
}

export interface ProbeReport {
  sent: number;
  received: number;
  lost: number;
  longest_gap_ms: number;
  last_answered: boolean;
}

export interface PingReport {
  received: number;
  sent: number;
  /** Milliseconds of the first answer, which waited for its cell, and of the quickest. */
  first: number;
  best: number;
}

/** Pings; undefined where the machine has no ping. */
export async function ping(from: Host, to: Host, count: number): Promise<PingReport | undefined> {
  // nsenter itself is there, so a missing ping is its exit code 127.
  const result = await from.exec(['ping', '-n', '-c', String(count), '-i', '0.2', '-W', '10', to.ip], {
    anyExit: true,
  });
  if (result.code === 127) return undefined;
  const times = [...result.stdout.matchAll(/time=([\d.]+) ms/g)].map((match) => Number(match[1]));
  return { sent: count, received: times.length, first: times[0] ?? 0, best: Math.min(...times) };
}
