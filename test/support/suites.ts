/** Suites that need more of the machine than Node. */

import { describe } from 'vitest';
import { hasCommand, isRoot } from './environment.ts';

/**
 * `describe` for tests on real networks: skipped, not failed, where they cannot run. test/run.ts says which
 * commands are missing and why; `commands` names those a suite needs beyond iproute2 and util-linux.
 */
export function describeNetwork(title: string, body: () => void): void;
export function describeNetwork(title: string, commands: readonly string[], body: () => void): void;
export function describeNetwork(
  title: string,
  second: readonly string[] | (() => void),
  third?: () => void,
): void {
  const commands = typeof second === 'function' ? [] : second;
  const body = typeof second === 'function' ? second : third;
  const possible = isRoot && ['ip', 'nsenter', ...commands].every(hasCommand);
  describe.skipIf(!possible)(title, body);
}
