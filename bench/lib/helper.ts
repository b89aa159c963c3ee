/** Processes that the benchmarks talk to by lines. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Longer than any of them has to wait for a device that starts. */
const SILENCE_MS = 180_000;

/** A process that prints lines, starts to work at a word, and prints what came of it. */
export class Helper {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  say(word: string): void {
    this.#child.stdin!.write(`${word}\n`);
  }

  /** The next line. One that says nothing for too long is ended, so that a benchmark comes to its end. */
  async line(): Promise<string> {
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), SILENCE_MS);
    const { value, done } = await this.#lines.next();
    clearTimeout(limit);
    if (done)
      throw new Error(`a helper of the benchmark ended (${this.#child.spawnargs.slice(0, 6).join(' ')})`);
    return value;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
