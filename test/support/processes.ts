/** Which processes there are, as the kernel lists them. */

import { readdirSync, readFileSync } from 'node:fs';

interface ProcessStat {
  pid: number;
  /** One letter, proc(5): R, S, D, Z, ... */
  state: string;
  parent: number;
}

function stat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name is in parentheses and may hold anything; state and parent follow it.
  const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid, state, parent: Number(parent) };
}

/**
 * Whether a process still runs. One that has ended but was not yet waited for (a zombie) does not: an orphan
 * stays that way until init gets round to it, which in a container may take seconds.
 */
export function isRunning(pid: number): boolean {
  const found = stat(pid);
  return found !== undefined && found.state !== 'Z' && found.state !== 'X';
}

/** All processes below this one, at this moment. */
export function descendants(pid: number): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => stat(Number(name)))
    .filter((one) => one !== undefined);
  const found = [pid];
  // Grows while it is walked.
  for (const parent of found) for (const one of all) if (one.parent === parent) found.push(one.pid);
  return found.slice(1);
}
