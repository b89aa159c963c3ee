/** Time in a cell, and the idle and hard timeouts of its entries. */
import { FlowRemovedReason } from '../../../openflow/index.ts';
import type { Cell } from '../program.ts';
import type { FlowEntry } from './entry.ts';
import type { Paths } from './paths.ts';
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

  /** A time of the 32-bit clock, which is not later than now. */
  at(time: number): number {
    return this.ms - Math.max(0, ((this.last ?? time) - time) | 0);
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
  private readonly paths: Paths;
  private readonly watched = new Set<FlowEntry>();
  /** When the timer is set for, in Clock milliseconds; Infinity: not set. */
  private wakeAt = Number.POSITIVE_INFINITY;

  constructor(cell: Cell, clock: Clock, paths: Paths, expire: (entry: FlowEntry, reason: number) => void) {
    this.cell = cell;
    this.clock = clock;
    this.paths = paths;
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
    const idle: FlowEntry[] = [];
    const old: FlowEntry[] = [];
    for (const entry of this.watched) {
      if (entry.asked) continue;
      const at = deadline(entry);
      if (at > now) next = Math.min(next, at);
      else if (!this.paths.inUse(entry)) due.push(entry);
      else if (hardDeadline(entry) <= now) old.push(entry);
      else idle.push(entry);
    }
    this.ask(idle, false);
    this.ask(old, true);
    yield* this.end(due);
    if (next !== Number.POSITIVE_INFINITY) this.wake(Math.max(next, now + SPACING_MS));
  }

  /** Entries about whose packets the agent was asked: those that are still due expire, the others go on. */
  *answered(entries: readonly FlowEntry[]): Steps {
    const now = this.clock.update();
    const due: FlowEntry[] = [];
    for (const entry of entries) {
      entry.asked = false;
      if (!this.watched.has(entry)) continue;
      const at = deadline(entry);
      if (at <= now && !this.paths.inUse(entry)) due.push(entry);
      else this.wake(Math.max(at, now + SPACING_MS));
    }
    yield* this.end(due);
  }

  /** Packets may have gone by these that only the agent knows of. */
  private ask(entries: readonly FlowEntry[], force: boolean): void {
    for (const entry of entries) entry.asked = true;
    this.paths.release(entries, force);
  }

  private *end(due: readonly FlowEntry[]): Steps {
    const now = this.clock.ms;
    yield* inPieces(due, 'closed', (entry) => {
      this.watched.delete(entry);
      const hard = entry.hardTimeout !== 0 && hardDeadline(entry) <= now;
      this.expire(entry, hard ? FlowRemovedReason.HARD_TIMEOUT : FlowRemovedReason.IDLE_TIMEOUT);
    });
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
