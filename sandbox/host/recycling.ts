/**
 * Cells that ended well give their isolates to later cells of the same tenant: reset, but with V8's compiled code, which
 * a new isolate would have to make again (docs/architecture.md, "Isolates that are used again"). Whatever is not
 * certain is disposed instead.
 */
import { RENEW } from '../channel/layout.ts';
import type { Built, Program } from './builder.ts';

/** Part of its heap's limit that an isolate may have in use, garbage of earlier cells and all: else it is collected first. */
const GARBAGE = 1 / 2;
/** What it may hold after that. Of 16 MiB a new one has 2, and one with all code compiled that there is 4.6. */
const HELD = 3 / 8;
const MIB = 2 ** 20;

/** Bytes of messages of which a cell makes little: a hundredth of the least heap. */
const LITTLE_TOLD = 8192;
/** Cells that were told so little until their isolate's heap is looked at all the same: what they leave behind adds up. */
const LIVES = 16;

/** Why an isolate is not used again. */
export type RefusedReuse = 'program' | 'shared' | 'heap';

export const RENEW_ARGUMENTS: [number] = [RENEW];

/** Only what is trusted to keep nothing back is used again, and only what nobody else is in. */
export function refusesReuse({ shared }: Built, { uploaded }: Program): RefusedReuse | undefined {
  if (uploaded !== null) return 'program';
  return shared === undefined ? undefined : 'shared';
}

/** Its heap is to be looked at. `lives`: cells since that was last done. `told`: bytes of messages that the last of them was sent. */
export function mayBeFull(lives: number, told: number): boolean {
  return lives >= LIVES || told >>> 0 > LITTLE_TOLD;
}

/** It holds so much that it is to be collected first. `memoryMiB`: its limit. */
export function isFull({ isolate }: Built, memoryMiB: number): boolean {
  return heapMiB(isolate) > GARBAGE * memoryMiB;
}

/** Collects its garbage, on isolated-vm's thread pool. False: what it holds is not garbage, or it ended. */
export async function emptied({ isolate, collect }: Built, memoryMiB: number): Promise<boolean> {
  try {
    await collect.apply(undefined, []);
    return heapMiB(isolate) <= HELD * memoryMiB;
  } catch (error) {
    if (isolate.isDisposed) return false;
    throw error;
  }
}

function heapMiB(isolate: Built['isolate']): number {
  const { used_heap_size, externally_allocated_size } = isolate.getHeapStatisticsSync();
  return (used_heap_size + externally_allocated_size) / MIB;
}
