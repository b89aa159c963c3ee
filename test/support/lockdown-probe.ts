/** Locks itself down as a sandbox host does, then tries what must not work; prints the outcome as JSON. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import zlib from 'node:zlib';
import { lockDown } from '../../sandbox/host/lockdown.ts';
import { deniedCall } from '../../sandbox/host/seccomp.ts';
import { check, raw } from '../../sandbox/sys/libc.ts';

const uid = Number(process.argv[2]);

/** The error code of what is tried, or 'worked'. */
function attempt(what: () => unknown): string {
  try {
    what();
    return 'worked';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function call(name: string): string {
  const number = deniedCall(name, process.arch);
  return attempt(() => check(name, raw.syscall(number, 0, 0, 0, 0, 0, 0)));
}

const readable = attempt(() => fs.readFileSync('/etc/hostname'));
// Everything the attempts need is loaded by now.
attempt(() => spawnSync('/bin/true'));
const notices = lockDown(uid);
const outcome = {
  notices,
  uid: process.getuid?.(),
  readableBefore: readable,
  read: attempt(() => fs.readFileSync('/etc/hostname')),
  write: attempt(() => fs.writeFileSync('/tmp/flowcell-lockdown-probe', 'x')),
  spawn: (spawnSync('/bin/true').error as NodeJS.ErrnoException | undefined)?.code ?? 'worked',
  killOther: attempt(() => process.kill(process.ppid, 0)),
  killSelf: attempt(() => process.kill(process.pid, 0)),
  // Work for a thread of libuv's pool, which is only made now.
  thread: await new Promise((resolve) => zlib.gzip('x', (error) => resolve(error?.message ?? 'worked'))),
  socket: call('socket'),
  ptrace: call('ptrace'),
  unshare: call('unshare'),
  bpf: call('bpf'),
  io_uring: call('io_uring_setup'),
};
fs.writeSync(1, `${JSON.stringify(outcome)}\n`);
