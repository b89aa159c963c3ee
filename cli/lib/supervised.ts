/** For programs that start ours: a line when it is ready, and an end that comes with their own, however they end. */

import { createInterface } from 'node:readline';

/** One JSON object as a line on standard output. */
export function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/**
 * Reads lines from standard input. Resolves when it ends, which it does too when the process at its other side is
 * killed.
 */
export function standardInput(onLine: (line: string) => void = () => undefined): Promise<void> {
  return new Promise((resolve) => {
    const reader = createInterface({ input: process.stdin });
    reader.on('line', (line) => {
      if (line !== '') onLine(line);
    });
    reader.on('close', resolve);
  });
}
