/**
 * Whose namespaces are whose. Every namespace's name carries its owner (process id and start time), so that
 * what a dead owner left can be told from what a living one uses, and two runs side by side never meet.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { ended, exec } from './run.ts';

/** Where `ip netns` keeps its names. */
export const NETNS_DIR = '/run/netns';

const PREFIX = 'fc';
/** How proc(5) says that there is no such process: before, and while it is read. */
const GONE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ESRCH']);

/** Start time of a process in clock ticks since boot (proc(5), stat field 22); undefined if it is not there. */
function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    // Whatever else went wrong: it is not known to be dead.
    if (!GONE.has((error as NodeJS.ErrnoException).code)) throw error;
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

let created = 0;

/** The common start of the names of one topology's namespaces. */
export function ownerPrefix(): string {
  return `${PREFIX}.${process.pid}.${startTime(process.pid)}.${++created}.`;
}

/** Whether a namespace's name is one of ours and its owner is no longer alive. */
export function isLeftover(name: string): boolean {
  const match = /^fc\.(\d+)\.(\d+)\.\d+\./.exec(name);
  return match !== null && startTime(Number(match[1])) !== match[2];
}

/** Names of namespaces that dead owners left. */
function leftovers(): string[] {
  let names: string[];
  try {
    names = readdirSync(NETNS_DIR);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return [];
  }
  return names.filter(isLeftover);
}

/**
 * Ends the processes in each namespace whose name comes on standard input and deletes it, once the input
 * ends. Runs apart from its owner (own session, so that Ctrl-C does not reach it): the input ends when the
 * owner closes it, or dies, however it dies.
 */
const REAPER = `
trap '' INT TERM HUP
names=$(cat)
for name in $names; do
  pids=$(ip netns pids "$name" 2>/dev/null) && [ -n "$pids" ] && kill -KILL $pids 2>/dev/null
done
for name in $names; do echo "netns del $name"; done | ip -force -batch - 2>&1
exit 0
`;

/** Deletes namespaces when told to, or when this process dies. */
export class Reaper {
  readonly #child: ChildProcess;

  constructor(names: readonly string[]) {
    this.#child = spawn('sh', ['-c', REAPER], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
    });
    // Without a shell there would be no network either; the caller's own commands then say what is missing.
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.write(names.map((name) => `${name}\n`).join(''));
    // The reaper must not keep its owner alive.
    this.#child.unref();
    (this.#child.stdin as unknown as { unref?(): void })?.unref?.();
  }

  /** Deletes them now. */
  async reap(): Promise<void> {
    this.#child.ref();
    this.#child.stdin?.end();
    await ended(this.#child);
  }
}

/** Removes what dead owners left. Returns how many namespaces that were. */
export async function sweep(): Promise<number> {
  const names = leftovers();
  if (names.length > 0)
    await exec(['sh', '-c', REAPER], { input: names.map((name) => `${name}\n`).join('') });
  return names.length;
}
