/** Keeps isolates warm per program: one is built at a time, those that are waited for first. */
import type { CellKind } from '../channel/control.ts';
import { type Builder, BuildStuckError, type Built, type Program } from './builder.ts';
import { SharedIsolates } from './shared-isolates.ts';

export interface PoolEvents {
  warm(index: number, built: Built, shelf: Shelf): void;
  failed(shelf: Shelf, reason: 'bad_program' | 'no_resources', detail: string): void;
  /** After `failed`: a program cannot be stopped; nothing is built any more. */
  stuck(error: BuildStuckError): void;
}

/** One kind of isolate: a program with a memory limit. */
export interface Shelf {
  readonly program: Program;
  readonly memoryMiB: number;
  /** Contexts in shared isolates. */
  readonly shared: boolean;
  /** Isolates to keep warm, and how many are. */
  target: number;
  warm: number;
  /** Isolates asked for by name. */
  wanted: number;
  /** When a cell's isolate was last warm again (performance.now() clock). */
  returnedAt: number;
}

export const kindOf = ({ program, memoryMiB, shared }: Shelf): CellKind => ({
  hash: program.hash,
  memoryMiB,
  shared,
});

/** Contexts are made in a millisecond: so many are kept once one was asked for. */
const CONTEXTS_WARM = 16;
/** Below this part of the target refilling goes on without pauses, and without warming. */
const LOW = 0.25;
/** Above it, refilling waits until no isolate was taken for so long: new flows need the processor more, ms. */
const QUIET_MS = 50;
/** Nor is it urgent while isolates come back from cells that ended: for so long after the last, ms. */
const RETURNS_MS = 200;
/** Otherwise refilling takes at most half of a core; and a tenth while packets keep the host busy for more than this part of the time. */
const BUSY = 0.25;
const BUSY_PAUSES = 9;

export class Pool {
  readonly #builder: Builder;
  readonly #sharedIsolates: SharedIsolates;
  readonly #events: PoolEvents;
  readonly #programs = new Map<string, Program>();
  readonly #shelves = new Map<string, Shelf>();
  /** Free cell indexes, the last used on top: its memory is more likely to be near. */
  readonly #free: number[];
  readonly #capacity: number;
  #building = false;
  #lastTaken = -Infinity;
  #quiet: NodeJS.Timeout | undefined;
  /** CPU of this thread, and when that was (performance.now() clock), ms. */
  #usedMs = 0;
  #askedAt = 0;

  /** `capacity`: isolates it may have out, warm ones and cells. */
  constructor(builder: Builder, capacity: number, events: PoolEvents) {
    this.#capacity = capacity;
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - 1 - i);
    this.#builder = builder;
    this.#sharedIsolates = new SharedIsolates(builder);
    this.#events = events;
  }

  addProgram(program: Program, target: number, memoryMiB: number): void {
    if (!this.#programs.has(program.hash)) this.#programs.set(program.hash, program);
    const shelf = this.#shelf({ hash: program.hash, memoryMiB, shared: false });
    if (shelf) shelf.target = target;
    this.#next();
  }

  /** One more isolate of this kind is needed now. */
  make(kind: CellKind): void {
    const shelf = this.#shelf(kind);
    if (!shelf) throw new Error(`program ${kind.hash} was never sent to this host`);
    if (shelf.shared) shelf.target = CONTEXTS_WARM;
    shelf.wanted++;
    this.#next();
  }

  /** A warm isolate became a cell. */
  taken(shelf: Shelf): void {
    shelf.warm--;
    this.#lastTaken = performance.now();
    this.#next();
  }

  /** A cell's isolate is warm again. Who waits gets it, so one less need be built. */
  returned(shelf: Shelf): void {
    shelf.warm++;
    if (shelf.wanted > 0) shelf.wanted--;
    shelf.returnedAt = performance.now();
  }

  /** The region is clean: the index can be used again. */
  recycle(index: number): void {
    this.#free.push(index);
    this.#next();
  }

  #shelf({ hash, memoryMiB, shared }: CellKind): Shelf | undefined {
    const key = `${hash}/${memoryMiB}/${shared}`;
    const program = this.#programs.get(hash);
    let shelf = this.#shelves.get(key);
    if (!shelf && program) {
      shelf = { program, memoryMiB, shared, target: 0, warm: 0, wanted: 0, returnedAt: -Infinity };
      this.#shelves.set(key, shelf);
    }
    return shelf;
  }

  #next(): void {
    if (this.#building) return;
    const shelf = this.#neediest();
    if (!shelf || this.#waitForQuiet(shelf)) return;
    const index = this.#free.pop();
    if (index === undefined) {
      // Refilling can wait for a cell to end; a flow cannot.
      if (shelf.wanted > 0) {
        shelf.wanted = 0;
        this.#events.failed(shelf, 'no_resources', `all ${this.#capacity} cells of this host are in use`);
      }
      return;
    }
    this.#building = true;
    this.#build(shelf, index);
  }

  /** True if refilling this shelf can wait, and will go on by itself. */
  #waitForQuiet(shelf: Shelf): boolean {
    if (this.#isUrgent(shelf)) return false;
    const wait = this.#lastTaken + QUIET_MS - performance.now();
    if (wait <= 0) return false;
    this.#quiet ??= setTimeout(() => {
      this.#quiet = undefined;
      this.#next();
    }, wait);
    return true;
  }

  #isUrgent({ wanted, warm, target, returnedAt }: Shelf): boolean {
    if (wanted > 0) return true;
    return warm < target * LOW && performance.now() - returnedAt > RETURNS_MS;
  }

  #neediest(): Shelf | undefined {
    let found: Shelf | undefined;
    for (const shelf of this.#shelves.values()) {
      if (shelf.wanted > 0) return shelf;
      if (shelf.warm < shelf.target && (!found || shelf.warm < found.warm)) found = shelf;
    }
    return found;
  }

  async #build(shelf: Shelf, index: number): Promise<void> {
    const start = performance.now();
    try {
      // Whoever waits, or will if this goes on, is served sooner by an isolate that still has to warm up. The first is
      // warmed in any case: all others are loaded with the code that was compiled for it.
      const warm = !this.#isUrgent(shelf) || !shelf.program.runtime.warmed;
      const { program, memoryMiB, shared } = shelf;
      const built = shared
        ? await this.#sharedIsolates.build(program, memoryMiB, index)
        : await this.#builder.build(program, memoryMiB, index, warm);
      if (shelf.wanted > 0) shelf.wanted--;
      shelf.warm++;
      this.#events.warm(index, built, shelf);
    } catch (error) {
      // Not tried again until somebody asks: it would fail again.
      shelf.wanted = 0;
      shelf.target = 0;
      this.#events.failed(shelf, 'bad_program', error instanceof Error ? error.message : String(error));
      if (error instanceof BuildStuckError) {
        this.#events.stuck(error);
        return;
      }
      this.#free.push(index);
    }
    const end = performance.now();
    const pause = this.#isUrgent(shelf) ? 0 : (end - start) * (this.#isBusy(end) ? BUSY_PAUSES : 1);
    setTimeout(() => {
      this.#building = false;
      this.#next();
    }, pause);
  }

  /** Whether the thread that runs the cells had much to do since this was last asked. */
  #isBusy(now: number): boolean {
    const { user, system } = process.threadCpuUsage();
    const used = (user + system) / 1000;
    const busy = used - this.#usedMs > BUSY * (now - this.#askedAt);
    this.#usedMs = used;
    this.#askedAt = now;
    return busy;
  }
}
