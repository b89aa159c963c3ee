/**
 * Root for a while, without being root: a program is run again as root of a user namespace of its own, with
 * network, mount and process namespaces. Nothing of it is seen outside, and all of it is gone when it ends.
 */

import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { CommandError, exec } from './run.ts';

const UNSHARE = [
  'unshare',
  '--user',
  '--map-root-user',
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
];

/**
 * Run first inside: `ip netns` wants to write to /run, so a folder in memory takes its place; the folder with
 * our sockets ($0) stays the outer one, so that other terminals find them.
 */
const SETUP = `
set -e
mount -t proc proc /proc
keep=
case "$0" in /run/*|/var/run/*)
  keep=$(mktemp -d)
  mount --rbind "$0" "$keep" ;;
esac
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns
if [ -n "$keep" ]; then
  mkdir -p "$0"
  mount --rbind "$keep" "$0"
  umount -l "$keep"
  rmdir "$keep"
fi
exec "$@"
`;

/** Set in the program that runs inside: the descriptor whose end means that the outer process has gone. */
const LIFELINE = 'FLOWCELL_LIFELINE';
const LIFELINE_FD = 3;
const INSIDE = 'FLOWCELL_USER_NAMESPACE';

/** Why user namespaces cannot be had here; undefined when they can. */
export async function whyNoUserNamespaces(): Promise<string | undefined> {
  try {
    await exec([...UNSHARE, 'sh', '-c', SETUP, '/nowhere', 'true']);
    return undefined;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return error.result?.stderr.trim().split('\n')[0] || error.message;
  }
}

/**
 * Runs `argv` as root of a new user namespace, on this terminal. `sharedFolder` (which must exist) is the
 * same inside and outside. Signals that ask this process to end reach the inner one as `outerGone`.
 * Resolves to the exit code.
 */
export async function runInUserNamespace(argv: readonly string[], sharedFolder: string): Promise<number> {
  const [file, ...rest] = [...UNSHARE, 'sh', '-c', SETUP, sharedFolder, ...argv];
  const child = spawn(file, rest, {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, [LIFELINE]: String(LIFELINE_FD), [INSIDE]: '1' },
  });
  const lifeline = child.stdio[LIFELINE_FD];
  const letGo = () => lifeline?.destroy();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, letGo);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 1));
    });
  } finally {
    for (const signal of signals) process.off(signal, letGo);
  }
}

/** Whether this process was started by `runInUserNamespace` (or by a process that was). */
export function inUserNamespace(): boolean {
  return process.env[INSIDE] !== undefined;
}

/** Inside: calls back when the outer process wants an end, or has met its own. Outside: never. */
export function outerGone(callback: () => void): void {
  const fd = process.env[LIFELINE];
  if (fd === undefined) return;
  // Not for our own children.
  delete process.env[LIFELINE];
  const lifeline = new Socket({ fd: Number(fd) });
  // However the other end goes, this one closes; an error only comes before that.
  lifeline.on('error', () => undefined);
  lifeline.once('close', callback);
  lifeline.resume();
  lifeline.unref();
}
