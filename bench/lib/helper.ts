/** Processes that the benchmarks talk to by lines. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

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

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
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
