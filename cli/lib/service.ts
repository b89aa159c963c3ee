/** What the long-running commands share: run until told to end. */

/**
 * Resolves when SIGINT, SIGTERM or SIGHUP asks the process to end. A second signal ends it at once, should
 * the orderly end hang.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(1);
        asked = true;
        resolve(signal);
      });
    }
  });
}
