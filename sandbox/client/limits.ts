/** Which limits a cell may be given. */
import { SandboxError } from './errors.ts';
import type { CellLimits } from './types.ts';

const MEMORY_MIB = { least: 8, most: 4096 };
const RUN_MS = { least: 1, most: 1000 };

/** FC_BAD_LIMITS, or null when they are fine. */
export function limitsRefusal({ memoryMiB, runMs }: CellLimits): SandboxError | null {
  if (!Number.isInteger(memoryMiB) || memoryMiB < MEMORY_MIB.least || memoryMiB > MEMORY_MIB.most) {
    const range = `${MEMORY_MIB.least} to ${MEMORY_MIB.most}`;
    return new SandboxError('FC_BAD_LIMITS', `a cell's memory is ${range} MiB, not ${memoryMiB}`);
  }
  if (!(runMs >= RUN_MS.least && runMs <= RUN_MS.most)) {
    const range = `${RUN_MS.least} to ${RUN_MS.most}`;
    return new SandboxError('FC_BAD_LIMITS', `a cell's run may take ${range} ms, not ${runMs}`);
  }
  return null;
}
