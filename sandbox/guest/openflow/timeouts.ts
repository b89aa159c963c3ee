/** Time in a cell, and the idle and hard timeouts of its entries. */
import { FlowRemovedReason } from '../../../openflow/index.ts';
import type { Cell } from '../program.ts';
import type { FlowEntry } from './entry.ts';
import { inPieces, type Steps } from './steps.ts';

/** The cell's 32-bit clock, continued beyond its wrap. */
export class Clock {
  /** Milliseconds since the cell's first event. */
  ms = 0;
  private readonly cell: Cell;
  private last: number | undefined;

  constructor(cell: Cell) {
    this.cell = cell;
  }

  update(): number {
    const now = this.cell.now();
    if (now !== this.last) {
      if (this.last !== undefined) this.ms += (now - this.last) >>> 0;
      this.last = now;
    }
    return this.ms;
  }
}

/** Entries whose deadlines lie closer together than this expire in one go. */
const SPACING_MS = 100;
/** The 32-bit clock must be looked at before it wraps. */
const LONGEST_WAIT_MS = 2 ** 30;

export class Timeouts {
  private readonly cell: Cell;
  private readonly clock: Clock;
  private readonly expire: (entry: FlowEntry, reason: number) => void;
  private readonly watched = new Set<FlowEntry>();
  /** When the timer is set for, in Clock milliseconds; Infinity: not set. */
  private wakeAt = Number.POSITIVE_INFINITY;

  constructor(cell: Cell, clock: Clock, expire: (entry: FlowEntry, reason: number) => void) {
    this.cell = cell;
    this.clock = clock;
    this.expire = expire;
  }

  add(entry: FlowEntry): void {
    if (entry.idleTimeout === 0 && entry.hardTimeout === 0) return;
    this.watched.add(entry);
    this.wake(deadline(entry));
  }

  /** The timer, once set, is left alone: when it goes off, deadlines are looked at anew. */
  remove(entry: FlowEntry): void {
    this.watched.delete(entry);
  }

  /** The timer went off: expires what is due and sets it for the next deadline. */
  *run(): Steps {
    const now = this.clock.update();
    let next = Number.POSITIVE_INFINITY;
    this.wakeAt = Number.POSITIVE_INFINITY;
    const due: FlowEntry[] = [];
    for (const entry of this.watched) {
      const at = deadline(entry);
      if (at <= now) due.push(entry);
      else if (at < next) next = at;
    }
    yield* inPieces(due, 'closed', (entry) => {
      this.watched.delete(entry);
      const hard = entry.hardTimeout !== 0 && hardDeadline(entry) <= now;
      this.expire(entry, hard ? FlowRemovedReason.HARD_TIMEOUT : FlowRemovedReason.IDLE_TIMEOUT);
    });
    if (next !== Number.POSITIVE_INFINITY) this.wake(Math.max(next, now + SPACING_MS));
  }

  private wake(at: number): void {
    if (at >= this.wakeAt) return;
    this.wakeAt = at;
    const wait = Math.min(Math.max(at - this.clock.ms, 0), LONGEST_WAIT_MS);
    this.cell.setTimer((this.cell.now() + wait) | 0);
  }
}

/** When the entry times out if no packet comes, Clock milliseconds; Infinity: never. */
export function deadline(entry: FlowEntry): number {
  const idle = entry.idleTimeout === 0 ? Number.POSITIVE_INFINITY : entry.lastUsed + entry.idleTimeout * 1000;
  return Math.min(idle, hardDeadline(entry));
}

function hardDeadline(entry: FlowEntry): number {
  return entry.hardTimeout === 0 ? Number.POSITIVE_INFINITY : entry.created + entry.hardTimeout * 1000;
}
