/** What processes take, by proc(5). */
import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU seconds that processes and all their threads have used (stat, fields 14 and 15). Throws when one has ended. */
export const cpuSeconds = (...pids: readonly number[]): number => {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
};

/** Proportional set size of processes, bytes (smaps_rollup). One that has ended takes none. */
export const pssBytes = (...pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + pssOf(pid), 0);

function pssOf(pid: number): number {
  try {
    const kB = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1];
    return Number(kB ?? 0) * 1024;
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code)) return 0;
    throw error;
  }
}

/** The file is not there, or was opened while the process still was. */
const GONE = new Set<string | undefined>(['ENOENT', 'ESRCH']);
