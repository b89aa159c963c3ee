/** Runs the cells: takes ready ones from the agent's ring, calls them in turn, reports what they produced. */
import {
  C,
  CELL_BLOCKED,
  CELL_DONE,
  CELL_ID,
  CELL_READY,
  CELL_RUN_MS,
  CELL_TAKEN,
  CELL_WANT,
  DONE_RING,
  type HostEnd,
  MAX_INDEX,
  READY_RING,
  RING_SIZE,
  regionOffset,
  TAKEN,
  type ToAgent,
} from '../channel/control.ts';
import { H, REGION_BYTES, RENEW_FIRST, RUN } from '../channel/layout.ts';
import { type EventFd, punchHole } from '../sys/libc.ts';
import type { PollLoop } from '../sys/loop.ts';
import type { Built } from './builder.ts';
import { type Cell, figuresOf, limitOf, newCell } from './cell.ts';
import { Collector } from './collector.ts';
import { kindOf, type Pool, type Shelf } from './pool.ts';
import { emptied, isFull, mayBeFull, RENEW_ARGUMENTS, refusesReuse } from './recycling.ts';
import { HEAP_SHARE, leave, type SharedIsolate } from './shared-isolates.ts';
import { Timers } from './timers.ts';
import { Trimmer } from './trimmer.ts';
import type { Watchdog } from './watchdog.ts';

const RING_MASK = RING_SIZE - 1;
/** A cell's timer does not fire more often than this, ms. */
const TIMER_STEP_MS = 1;
/** Cells whose figures are read in one go: each costs the host's thread some microseconds. */
const USAGE_BATCH = 64;
const DETAIL_LENGTH = 500;
export interface CellsOptions {
  memory: number;
  words: Int32Array;
  loop: PollLoop;
  watchdog: Watchdog;
  toAgent: EventFd;
  budget: number;
  send(message: ToAgent): void;
}

export class Cells {
  readonly #options: CellsOptions;
  readonly #words: Int32Array;
  readonly #collector = new Collector();
  readonly #trimmer = new Trimmer();
  readonly #cells: (Cell | null)[] = new Array(MAX_INDEX).fill(null);
  readonly #runArguments: [number];
  readonly #firstRunArguments: [number];
  readonly #queue = new Uint16Array(RING_SIZE);
  readonly #queued = new Uint8Array(MAX_INDEX);
  #queueHead = 0;
  #queueTail = 0;
  #readyTail = 0;
  #doneHead = 0;
  readonly #timers = new Timers();
  readonly #enqueueDue = (index: number) => this.#enqueue(index);
  /** CLOCK_MONOTONIC minus performance.now(), ms. */
  readonly #clock = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  #usageNext = 0;
  #pool!: Pool;

  constructor(options: CellsOptions) {
    this.#options = options;
    this.#words = options.words;
    this.#runArguments = [options.budget];
    this.#firstRunArguments = [options.budget + RENEW_FIRST];
    options.loop.each(() => this.#turn());
    options.loop.beforeSleep(() => this.#beforeSleep());
    options.loop.afterWake(() => Atomics.store(this.#words, C.HOST_SLEEPING, 0));
  }

  set pool(pool: Pool) {
    this.#pool = pool;
  }

  /** A new isolate stands ready under this index, its region clean. */
  add(index: number, built: Built, shelf: Shelf): void {
    // What warming wrote must not be what the first packet meets.
    this.#wipe(index);
    this.#cells[index] = newCell(built, shelf, regionOffset(index) / 4);
    this.#options.watchdog.add(index, built.isolate);
    this.#options.send({ type: 'warm', index, ...kindOf(shelf) });
  }

  /** The agent is done with the region. `why`: it would have had the isolate used again. */
  release(index: number, why?: string): void {
    const cell = this.#cells[index];
    if (!cell) throw new Error(`the agent released index ${index}, which is no cell`);
    // Thousands may end at once: this thread gets on all the same.
    this.#beat();
    if (cell.state === 'warm') this.#pool.taken(cell.shelf);
    this.#discard(index, cell);
    this.#cells[index] = null;
    this.#timers.clear(index);
    this.#wipe(index);
    this.#clearFlags(index, TAKEN.NO);
    this.#trimmer.ended();
    this.#options.send({ type: 'released', index, why });
    this.#pool.recycle(index);
  }

  /** Figures of cells that ran since the last time, a batch of them. */
  usage(): [number, number, number, number][] {
    const found: [number, number, number, number][] = [];
    let index = this.#usageNext;
    for (let seen = 0; seen < MAX_INDEX && found.length < USAGE_BATCH; seen++) {
      const cell = this.#cells[index];
      if (cell?.state === 'live' && cell.ran && !cell.collecting && !cell.isolate.isDisposed) {
        cell.ran = false;
        const figures = figuresOf(cell);
        if (figures) found.push([index, this.#words[CELL_ID + index]! >>> 0, ...figures]);
      }
      index = (index + 1) % MAX_INDEX;
    }
    this.#usageNext = index;
    return found;
  }

  #wipe(index: number): void {
    punchHole(this.#options.memory, regionOffset(index), REGION_BYTES);
  }

  #turn(): boolean {
    this.#beat();
    this.#takeReady();
    const next = this.#timers.take(this.#enqueueDue);
    if (next !== Infinity) this.#options.loop.deadline(next);
    // Only those queued now: a cell that wants more has its next turn after all others.
    const end = this.#queueHead;
    if (this.#queueTail === end) return false;
    while (this.#queueTail !== end) {
      const index = this.#queue[this.#queueTail & RING_MASK]!;
      this.#queueTail = (this.#queueTail + 1) >>> 0;
      this.#queued[index] = 0;
      this.#serve(index);
    }
    return true;
  }

  #beforeSleep(): boolean {
    Atomics.store(this.#words, C.HOST_SLEEPING, 1);
    return Atomics.load(this.#words, C.READY_HEAD) !== this.#readyTail || this.#queueHead !== this.#queueTail;
  }

  #beat(): void {
    Atomics.add(this.#words, C.HEARTBEAT, 1);
  }

  #takeReady(): void {
    const head = Atomics.load(this.#words, C.READY_HEAD);
    if (head === this.#readyTail) return;
    while (this.#readyTail !== head) {
      const index = this.#words[READY_RING + (this.#readyTail & RING_MASK)]! & (MAX_INDEX - 1);
      this.#readyTail = (this.#readyTail + 1) | 0;
      Atomics.store(this.#words, CELL_READY + index, 0);
      this.#enqueue(index);
    }
    Atomics.store(this.#words, C.READY_TAIL, this.#readyTail);
  }

  #enqueue(index: number): void {
    if (this.#queued[index]) return;
    this.#queued[index] = 1;
    this.#queue[this.#queueHead & RING_MASK] = index;
    this.#queueHead = (this.#queueHead + 1) >>> 0;
  }

  #serve(index: number): void {
    const cell = this.#cells[index];
    if (!cell || cell.state === 'ended' || cell.state === 'resting') return;
    if (cell.collecting) {
      cell.awaited = true;
      return;
    }
    const words = this.#words;
    const taken = Atomics.load(words, CELL_TAKEN + index);
    if (taken === TAKEN.BACK) {
      this.#reuse(index, cell);
      return;
    }
    if (cell.state === 'warm') {
      if (taken !== TAKEN.CELL) return;
      this.#adopt(index, cell);
    }
    const { used } = cell;
    const result = this.#call(index, cell, used ? this.#firstRunArguments : this.#runArguments);
    if (result === -1) return;
    if (used) {
      if ((result & RUN.RENEWED) === 0) {
        this.#end(index, cell, 'exception', 'its isolate, used before, was not reset');
        return;
      }
      cell.used = false;
    }
    cell.ran = true;
    this.#readTimer(index, cell.base);
    const wanted = Atomics.load(words, CELL_WANT + index) === 1;
    if (wanted) Atomics.store(words, CELL_WANT + index, 0);
    if (result & RUN.BLOCKED) Atomics.store(words, CELL_BLOCKED + index, 1);
    else if (result & RUN.MORE) this.#enqueue(index);
    if (wanted || result & (RUN.PRODUCED | RUN.BLOCKED)) this.#done(index);
  }

  /**
   * The agent has given the cell back: its isolate is warm again, unless something speaks against it. It is reset in the next cell's
   * first run: by then it is in no cache any more, and entering it costs more than the reset.
   */
  #reuse(index: number, cell: Cell): void {
    // One that was never run has nothing to forget; but it has been counted as taken by then, as all others have.
    if (cell.state === 'warm') this.#adopt(index, cell);
    const refused = refusesReuse(cell, cell.shelf.program);
    if (refused !== undefined) {
      this.release(index, refused);
      return;
    }
    this.#timers.clear(index);
    const { program, memoryMiB } = cell.shelf;
    // Where a cell was told little, and in most of these, nobody looks at the heap: that costs as much as two FLOW_MODs.
    const look = mayBeFull(++cell.lives, this.#words[cell.base + H.CTL_IN_HEAD]!);
    if (look) cell.lives = 0;
    if (program.renews === true && !(look && isFull(cell, memoryMiB))) {
      cell.used = true;
      this.#reused(index, cell);
      return;
    }
    const result = this.#call(index, cell, RENEW_ARGUMENTS);
    if (result === -1) return;
    cell.state = 'resting';
    cell.used = false;
    program.renews = result === RUN.RENEWED;
    if (!program.renews) this.release(index, 'program');
    else if (isFull(cell, memoryMiB)) void this.#reuseEmptied(index, cell);
    else this.#reused(index, cell);
  }

  async #reuseEmptied(index: number, cell: Cell): Promise<void> {
    const fit = await emptied(cell, cell.shelf.memoryMiB);
    // The agent may have released it meanwhile.
    if (this.#cells[index] !== cell || cell.state !== 'resting') return;
    if (fit) this.#reused(index, cell);
    else this.release(index, 'heap');
  }

  #reused(index: number, cell: Cell): void {
    this.#words.fill(0, cell.base, cell.base + REGION_BYTES / 4);
    cell.state = 'warm';
    cell.ran = false;
    cell.cpuStart = cell.isolate.cpuTime;
    this.#pool.returned(cell.shelf);
    this.#clearFlags(index, TAKEN.AGAIN);
    this.#done(index);
  }

  #clearFlags(index: number, taken: number): void {
    for (const flag of [CELL_BLOCKED, CELL_WANT]) Atomics.store(this.#words, flag + index, 0);
    Atomics.store(this.#words, CELL_TAKEN + index, taken);
  }

  /** Makes a cell of a warm isolate that the agent has taken: its first run attaches it. */
  #adopt(index: number, cell: Cell): void {
    cell.state = 'live';
    cell.runMs = this.#words[CELL_RUN_MS + index]!;
    this.#words[cell.base + H.CELL_ID] = this.#words[CELL_ID + index]!;
    this.#pool.taken(cell.shelf);
    this.#collectWhenIdle(index, cell);
  }

  #collectWhenIdle(index: number, cell: Cell): void {
    const { shared, isolate } = cell;
    // Collecting a heap of many takes longer than one of them may be kept waiting.
    if (shared !== undefined) return;
    cell.collectable ??= {
      alive: () => this.#cells[index] === cell && !isolate.isDisposed,
      lastRun: () => cell.ranAt,
      collect: () => this.#collect(index, cell),
    };
    this.#collector.add(cell.collectable);
  }

  /** On isolated-vm's thread pool. The other cells go on, and none is ended for having waited for that. */
  async #collect(index: number, cell: Cell): Promise<void> {
    cell.collecting = true;
    try {
      await cell.collect.apply(undefined, []);
    } finally {
      cell.collecting = false;
      if (cell.awaited && this.#cells[index] === cell) this.#enqueue(index);
      cell.awaited = false;
    }
  }

  /** Enters the isolate under the watchdog. RUN bits, or -1 if that was its end. */
  #call(index: number, cell: Cell, args: [number]): number {
    const { watchdog } = this.#options;
    if (cell.shared !== undefined && cell.isolate.isDisposed) {
      this.#endShared(cell.shared, 'the isolate it shared with other cells had ended');
      return -1;
    }
    const start = performance.now();
    cell.ranAt = start;
    this.#beat();
    this.#words[cell.base + H.NOW_MS] = (start + this.#clock) | 0;
    this.#words[C.RUNNING] = index + 1;
    watchdog.begin(index, limitOf(cell));
    try {
      const result = cell.run.applySync(undefined, args);
      this.#words[C.RUNNING] = 0;
      watchdog.end();
      if (cell.shared !== undefined) cell.ranMs += performance.now() - start;
      // Nothing but small numbers comes across, whatever the entry returns.
      const bits = typeof result === 'number' ? result & 0xff : 0;
      if ((bits & RUN.FAILED) === 0) return bits;
      // What an uploaded program threw stays inside.
      this.#end(index, cell, 'exception', 'the program threw an exception');
      return -1;
    } catch (error) {
      this.#words[C.RUNNING] = 0;
      watchdog.end();
      const detail = error instanceof Error ? error.message : String(error);
      if (watchdog.ended(index)) {
        this.#end(index, cell, 'cpu', `one run took longer than ${limitOf(cell)} ms`);
      } else if (cell.isolate.isDisposed) {
        this.#end(index, cell, 'memory', `more than ${this.#heapMiB(cell)} MiB of heap (${detail})`);
      } else {
        this.#end(index, cell, 'exception', detail);
      }
      return -1;
    }
  }

  #end(index: number, cell: Cell, end: HostEnd, detail: string): void {
    if (cell.state === 'warm') this.#pool.taken(cell.shelf);
    cell.state = 'ended';
    this.#timers.clear(index);
    const { shared } = cell;
    this.#discard(index, cell);
    this.#options.send({ type: 'ended', index, end, detail: detail.slice(0, DETAIL_LENGTH) });
    if (shared !== undefined && cell.isolate.isDisposed && end !== 'host-died') {
      const id = this.#words[CELL_ID + index]! >>> 0;
      this.#endShared(shared, `cell ${id}, which shared its isolate, ended it: ${detail}`);
    }
  }

  /** A shared isolate has ended: so have all who were in it, warm ones too. */
  #endShared(shared: SharedIsolate, why: string): void {
    for (const index of [...shared.members]) {
      const cell = this.#cells[index];
      if (cell && cell.state !== 'ended') this.#end(index, cell, 'host-died', why);
    }
  }

  /** Twice does no harm. */
  #discard(index: number, cell: Cell): void {
    if (cell.shared !== undefined) leave(cell, index);
    else if (!cell.isolate.isDisposed) cell.isolate.dispose();
  }

  #heapMiB({ shelf, shared }: Cell): number {
    return shared === undefined ? shelf.memoryMiB : shelf.memoryMiB * HEAP_SHARE;
  }

  #readTimer(index: number, base: number): void {
    if (!this.#words[base + H.TIMER_SET]) {
      this.#timers.clear(index);
      return;
    }
    const now = performance.now();
    const delay = (this.#words[base + H.TIMER_MS]! - ((now + this.#clock) | 0)) | 0;
    this.#timers.set(index, now + Math.max(delay, TIMER_STEP_MS));
  }

  #done(index: number): void {
    const words = this.#words;
    if (Atomics.exchange(words, CELL_DONE + index, 1) === 0) {
      words[DONE_RING + (this.#doneHead & RING_MASK)] = index;
      this.#doneHead = (this.#doneHead + 1) | 0;
      Atomics.store(words, C.DONE_HEAD, this.#doneHead);
    }
    if (Atomics.compareExchange(words, C.AGENT_SLEEPING, 1, 0) === 1) this.#options.toAgent.signal();
  }
}
