/** What the sandbox host knows of a cell. */
import type { Built } from './builder.ts';
import type { Collectable } from './collector.ts';
import type { Shelf } from './pool.ts';

/**
 * The watchdog's time is not the processor's: on a loaded machine a run mostly waits. Nobody can make a built-in program loop, and it
 * works in short pieces, so one of its runs that takes long is no reason to end the cell: it has so many times the limit, but
 * not so much that the agent takes the host for stuck, ms.
 */
const PATIENCE = { times: 4, mostMs: 500 };

export interface Cell extends Built {
  readonly shelf: Shelf;
  /** First word of its region. */
  readonly base: number;
  /** resting: given back, and not yet fit for another flow. */
  state: 'warm' | 'live' | 'resting' | 'ended';
  runMs: number;
  /** CPU time the isolate had used before the cell, ns. */
  cpuStart: bigint;
  /** In an isolate that others share: the time its own runs took, ms. */
  ranMs: number;
  /** When it ran last (performance.now() clock). */
  ranAt: number;
  ran: boolean;
  collectable?: Collectable;
  /** Another thread has the isolate, and whoever enters it meanwhile waits: no run is begun, but remembered. */
  collecting: boolean;
  awaited: boolean;
  /** Another cell was in the isolate before: the first run resets it. */
  used: boolean;
  /** Cells that were in the isolate since its heap was last looked at. */
  lives: number;
}

/** Of an isolate that stands ready. */
export const newCell = (built: Built, shelf: Shelf, base: number): Cell => ({
  ...built,
  shelf,
  base,
  state: 'warm',
  runMs: 0,
  cpuStart: built.isolate.cpuTime,
  ranMs: 0,
  ranAt: 0,
  ran: false,
  collecting: false,
  awaited: false,
  used: false,
  lives: 0,
});

/** How long one run may take, ms. */
export const limitOf = ({ runMs, shelf }: Cell): number =>
  shelf.program.uploaded === null
    ? Math.max(runMs, Math.min(PATIENCE.times * runMs, PATIENCE.mostMs))
    : runMs;

/** CPU microseconds and heap bytes; null if the watchdog ended the cell meanwhile (its next run tells). */
export function figuresOf({ isolate, cpuStart, shared, ranMs }: Cell): [number, number] | null {
  try {
    const { used_heap_size, externally_allocated_size } = isolate.getHeapStatisticsSync();
    const heap = used_heap_size + externally_allocated_size;
    // Nobody counts how much of a heap is whose: an equal share.
    if (shared !== undefined) return [Math.round(ranMs * 1000), Math.round(heap / shared.members.size)];
    return [Math.round(Number(isolate.cpuTime - cpuStart) / 1000), heap];
  } catch (error) {
    if (isolate.isDisposed) return null;
    throw error;
  }
}
