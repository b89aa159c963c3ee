/** Gives up everything a sandbox host does not need. After this nothing can be opened or loaded any more. */
import { addressOf, check, raw, SystemCallError } from '../sys/libc.ts';
import { architecture, earlyFilter, hostFilter } from './seccomp.ts';

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const SIGKILL = 9;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;

function setIdentity(uid: number): void {
  check('setgroups', raw.setgroups(0, 0n));
  check('setresgid', raw.setresgid(uid, uid, uid));
  check('setresuid', raw.setresuid(uid, uid, uid));
}

/** Installs a filter on all threads. */
function setFilter(filter: Uint8Array): void {
  // struct sock_fprog: u16 length, padding, pointer to the instructions.
  const program = new BigUint64Array(new ArrayBuffer(128), 0, 2);
  program[0] = BigInt(filter.length / 8);
  program[1] = addressOf(filter);
  const flags = SECCOMP_FILTER_FLAG_TSYNC;
  const { seccomp } = architecture(process.arch);
  const result = check(
    'seccomp',
    raw.syscall(seccomp, SECCOMP_SET_MODE_FILTER, flags, addressOf(program), 0, 0, 0),
  );
  // With TSYNC a positive result is the thread that has a filter of its own already.
  if (result > 0) throw new Error(`seccomp filter not taken over by thread ${result}`);
}

/** For the process that is to become the host: what must hold when its Node starts. */
export function lockDownEarly(): void {
  check('prctl', raw.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'PR_SET_NO_NEW_PRIVS');
  setFilter(earlyFilter(process.arch));
}

/**
 * Locks the process (all its threads) down. What the system does not permit is left out and returned as a
 * sentence each; a failing filter or no_new_privs is an error, since then there is no wall.
 */
export function lockDown(uid: number): string[] {
  const notices: string[] = [];
  try {
    setIdentity(uid);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    notices.push(`keeps uid ${process.getuid?.()}: uid ${uid} cannot be taken on here (${error.message})`);
  }
  check('prctl', raw.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'PR_SET_NO_NEW_PRIVS');
  check('prctl', raw.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 'PR_SET_DUMPABLE');
  // After the change of uid, which resets it.
  check('prctl', raw.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), 'PR_SET_PDEATHSIG');
  setFilter(hostFilter(process.arch, raw.getpid()));
  return notices;
}
