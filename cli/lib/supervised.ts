/** For programs that start ours: a line when it is ready, and an end that comes with their own, however they end. */

import { createInterface } from 'node:readline';

/** One JSON object as a line on standard output. */
export function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/**
 * Runs `body` with a promise of the end of standard input, which comes as well when the process at its other side is
 * killed. `onLine` gets the lines.
 */
export async function supervised(
  body: (ended: Promise<void>) => Promise<void>,
  onLine: (line: string) => void = () => undefined,
): Promise<void> {
  const reader = createInterface({ input: process.stdin });
  reader.on('line', (line) => {
    if (line !== '') onLine(line);
  });
  try {
    await body(new Promise((resolve) => reader.once('close', resolve)));
  } finally {
    // Whoever failed is not to be kept by an input that is still open.
    process.stdin.destroy();
  }
}
