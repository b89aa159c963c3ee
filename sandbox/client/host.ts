/** One sandbox host as the agent sees it: opens cells in it, feeds them, takes what they produce. */
import type { Logger } from 'pino';
import { HOST_CELLS, regionOffset, type ToAgent } from '../channel/control.ts';
import { Bans } from './bans.ts';
import { HostCell } from './cell.ts';
import { SandboxError } from './errors.ts';
import { Exchange } from './exchange.ts';
import type { SandboxHostOptions, SandboxHostStats } from './host-types.ts';
import { type Death, HostKeeper } from './keeper.ts';
import { limitsRefusal } from './limits.ts';
import { uploadedRuntime } from './programs.ts';
import { Reuse } from './reuse.ts';
import { SharedPages } from './shared-pages.ts';
import { kindOf, MOST_SURPLUS, Shelves, shelfKey, type Waiter } from './shelves.ts';
import {
  type CellEnd,
  type CellEvents,
  type CellLimits,
  type CellRequest,
  DEFAULT_LIMITS,
  type FrameRef,
  type ProgramImage,
} from './types.ts';

/** First uid of tenants: tenant n runs as FIRST_UID + n. */
const FIRST_UID = 64000;
const DEFAULT_POOL = 32;
/** Packets a cell may handle before the next one has its turn. */
const BUDGET = 64;
/**
 * Who has a cell index: the host; the agent, as a warm isolate or a cell; nobody until it is wiped; nobody until its isolate is
 * reset.
 */
const OWNER = { HOST: 0, WARM: 1, CELL: 2, RELEASED: 3, BACK: 4 } as const;
/** Warm isolates that were not needed for so long, and are more than are to be kept, are given up, ms. */
const TRIM_MS = 10_000;
/** When there was more than is given up at once, ms. */
const TRIM_ON_MS = 1000;

export class SandboxHost<F extends FrameRef> {
  readonly #options: SandboxHostOptions<F>;
  /** How many cells it takes. */
  readonly #capacity: number;
  /** Evaluated before programs that were uploaded. */
  readonly #uploadedRuntime: string;
  readonly #logger: Logger;
  readonly #pages: SharedPages;
  readonly #exchange: Exchange<F>;
  /** By index; a cell that ended stays until its index is the host's again. */
  readonly #cells: (HostCell<F> | null)[];
  readonly #shelves = new Shelves<F>();
  /** Programs the present process has got. */
  readonly #known = new Set<string>();
  /** Who has each index. */
  readonly #owners: Uint8Array;
  readonly #reuse = new Reuse();
  /** Indexes that are the host's: free, or an isolate being built. */
  #unused: number;
  /** Isolates kept warm of each of these kinds. */
  readonly #poolSize: number;
  readonly #pooled = new Set<string>();
  readonly #bans: Bans;
  readonly #keeper: HostKeeper;
  #closed = false;
  readonly #stats = { live: 0, warm: 0, opened: 0, openFailed: 0, badRecords: 0 };
  #trimmer: NodeJS.Timeout | undefined;
  readonly #ended: Record<CellEnd, number> = { closed: 0, memory: 0, cpu: 0, exception: 0, 'host-died': 0 };

  /** Starts the process; resolves when it is locked down and warming. */
  static async start<F extends FrameRef>(options: SandboxHostOptions<F>): Promise<SandboxHost<F>> {
    const host = new SandboxHost(options, await uploadedRuntime());
    try {
      await host.#keeper.start();
    } catch (error) {
      host.#release();
      const message = error instanceof Error ? error.message : String(error);
      throw new SandboxError('FC_HOST_UNAVAILABLE', message, { cause: error });
    }
    return host;
  }

  private constructor(options: SandboxHostOptions<F>, runtime: string) {
    this.#options = options;
    this.#uploadedRuntime = runtime;
    this.#logger = options.logger;
    this.#capacity = options.cells ?? HOST_CELLS;
    this.#poolSize = options.poolSize ?? DEFAULT_POOL;
    this.#unused = this.#capacity;
    this.#owners = new Uint8Array(this.#capacity);
    this.#cells = new Array(this.#capacity).fill(null);
    this.#bans = options.bans ?? new Bans();
    this.#pages = new SharedPages(`flowcell-${options.tenant}`, this.#capacity);
    this.#keeper = this.#makeKeeper();
    this.#exchange = new Exchange({
      pages: this.#pages,
      loop: options.loop,
      cells: this.#cells,
      batchEnd: options.batchEnd ?? (() => options.events.batchEnd?.()),
      release: (index) => this.#giveBack(index),
      returned: (index) => this.#isBack(index),
      wrong: (cell, why) => this.#wrong(cell, why),
      distrust: (why) => this.#keeper.kill(why),
      closeCell: (cell, well) => this.#closeCell(cell, well),
    });
  }

  /** Process id of the present host process, or -1 between two. */
  get pid(): number {
    return this.#keeper.pid;
  }

  /** Indexes that nobody has or waits for: it takes so many cells more of any kind. 0 while it does not run. */
  get room(): number {
    if (!this.#keeper.running) return 0;
    return Math.max(0, this.#unused + this.#reuse.returning - this.#shelves.size);
  }

  /** The same, with those that are warm for cells of one kind. */
  get spare(): number {
    return this.room + (this.#keeper.running ? this.#stats.warm : 0);
  }

  /** Requests for a cell. */
  get waiting(): number {
    return this.#shelves.size;
  }

  /** Cells, and requests for one. */
  get load(): number {
    return this.#stats.live + this.#shelves.size;
  }

  /** A cell of this kind would be there at once. */
  isWarm(program: ProgramImage, limits: CellLimits): boolean {
    return this.#keeper.running && this.#shelves.has(shelfKey(kindOf(program, limits)));
  }

  /** Closes the cells that report to `events`. */
  closeCellsOf(events: CellEvents<F>): void {
    for (const cell of this.#cells) if (cell?.events === events) this.#closeCell(cell);
  }

  /** Opens a cell; `events` hears of it, in place of those the host was started with. */
  open(request: CellRequest<F>, events: CellEvents<F> = this.#options.events): void {
    const since = performance.now();
    const { program, limits, callback } = request;
    const problem = this.#refusal(program, limits);
    if (problem) {
      this.#stats.openFailed++;
      callback(problem, null, 0);
      return;
    }
    const key = shelfKey(kindOf(program, limits));
    const waiter = { ...request, events, since, asked: false };
    const index = this.#keeper.running ? this.#shelves.take(key) : undefined;
    if (index !== undefined) {
      this.#take(index, waiter);
      return;
    }
    this.#shelves.wait(key, waiter);
    this.#request(waiter);
  }

  /** Tells the host of everything pushed and sent since the last call. The loop's turn does it too. */
  kick(): void {
    this.#exchange.kick();
  }

  stats(): SandboxHostStats {
    const waiting = this.#shelves.size;
    const { restarts } = this.#keeper;
    const { counters } = this.#exchange;
    return {
      ...this.#stats,
      waiting,
      restarts,
      ended: { ...this.#ended },
      ...this.#reuse.counters,
      ...counters,
    };
  }

  /** Ends the process and every cell ('closed'). Views on the host's memory become empty. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#keeper.close();
    this.#endAll('closed', 'the sandbox host was closed');
    this.#failWaiting(new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox host was closed'));
    this.#release();
  }

  /** Ends a cell at the agent's wish (CellHandle.close). */
  #closeCell(cell: HostCell<F>, well = false): void {
    this.#endCell(cell, 'closed', '', well && cell.program.trusted);
  }

  #refusal(program: ProgramImage, limits: CellLimits): SandboxError | null {
    if (this.#closed) return new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox host was closed');
    const ban = this.#bans.why(program.hash) ?? this.#bans.why(shelfKey(kindOf(program, limits)));
    if (ban !== undefined) return new SandboxError('FC_BAD_PROGRAM', ban);
    if (limits.wall === 'context' && !program.trusted) {
      return new SandboxError(
        'FC_BAD_LIMITS',
        'an uploaded program is not let into an isolate that others share',
      );
    }
    return limitsRefusal(limits);
  }

  #makeKeeper(): HostKeeper {
    const { tenant, uid, logger, restarts } = this.#options;
    const pages = this.#pages;
    return new HostKeeper({
      arguments: { tenant, uid: uid ?? FIRST_UID + tenant, budget: BUDGET, cells: this.#capacity },
      memory: pages.fd,
      toHost: pages.toHost.fd,
      toAgent: pages.toAgent.fd,
      logger,
      restarts: restarts ?? true,
      heartbeat: () => pages.heartbeat,
      busy: () => pages.pending || this.#anyBusy(),
      events: {
        started: () => this.#started(),
        message: (message) => this.#receive(message),
        died: (detail, death) => this.#died(detail, death),
        unavailable: () =>
          this.#failWaiting(new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox host does not start')),
      },
    });
  }

  #started(): void {
    this.#trimIn(TRIM_MS);
    for (const program of this.#options.programs) this.#sendProgram(program, true);
    for (const waiter of this.#shelves.waiting) this.#request(waiter);
  }

  #sendProgram(program: ProgramImage, pooled: boolean): void {
    const { hash, code, trusted } = program;
    const target = pooled ? this.#poolSize : 0;
    const memoryMiB = DEFAULT_LIMITS.memoryMiB;
    if (pooled) this.#pooled.add(shelfKey({ hash, memoryMiB, shared: false }));
    this.#known.add(hash);
    const runtime = trusted ? code : this.#uploadedRuntime;
    const uploaded = trusted ? null : code;
    this.#keeper.send({ type: 'program', hash, runtime, uploaded, target, memoryMiB });
  }

  #request(waiter: Waiter<F>): void {
    if (!this.#keeper.running) return;
    // What is to be had is on its way back, or will be free.
    if (this.#unused === 0 && this.#reuse.returning > 0) return;
    waiter.asked = true;
    const { program, limits } = waiter;
    if (!this.#known.has(program.hash)) this.#sendProgram(program, false);
    this.#keeper.send({ type: 'make', ...kindOf(program, limits) });
  }

  #take(index: number, waiter: Waiter<F>): void {
    const { id, limits, since, callback } = waiter;
    const cell = new HostCell<F>(this.#exchange, index, regionOffset(index), waiter);
    this.#cells[index] = cell;
    this.#owners[index] = OWNER.CELL;
    this.#pages.take(index, id, limits.runMs);
    // With what it is told now, which is one run instead of two.
    this.#exchange.dirty(cell);
    this.#stats.warm--;
    this.#stats.live++;
    this.#stats.opened++;
    callback(null, cell, (performance.now() - since) * 1000);
  }

  /** An isolate is no longer being reset, whatever came of it. */
  #hasReturned(): void {
    if (this.#shelves.size === 0) return;
    for (const waiter of this.#shelves.waiting) if (!waiter.asked) this.#request(waiter);
  }

  /** Nobody looks at the memory of an index any more: its isolate is reset, or disposed. */
  #giveBack(index: number): void {
    if (this.#owners[index] !== OWNER.BACK) {
      this.#keeper.send({ type: 'release', index });
      return;
    }
    this.#pages.giveBack(index);
    this.#pages.wake();
  }

  #wrong(cell: HostCell<F>, why: string): void {
    this.#stats.badRecords++;
    this.#endCell(cell, 'exception', why);
  }

  #receive(message: ToAgent): void {
    if (message.type === 'warm') this.#warmed(message.index, shelfKey(message));
    else if (message.type === 'failed') {
      const code = message.reason === 'no_resources' ? 'FC_NO_RESOURCES' : 'FC_BAD_PROGRAM';
      const key = shelfKey(message);
      const why = String(message.detail);
      const foreign = this.#shelves.some(key, ({ program }) => !program.trusted);
      if (foreign && code === 'FC_BAD_PROGRAM') this.#bans.add(key, why);
      this.#failWaiting(new SandboxError(code, why), key);
    } else if (message.type === 'ended') this.#endedByHost(message.index, message.end, message.detail);
    else if (message.type === 'released') this.#released(message.index, message.why);
    else if (message.type === 'usage') {
      for (const [index, id, cpuUs, heapBytes] of message.cells) {
        const cell = this.#cells[index];
        // Another may have its place by now.
        if (!cell?.alive || cell.id !== id) continue;
        cell.usage.cpuUs = Number(cpuUs);
        cell.usage.heapBytes = Number(heapBytes);
      }
    }
  }

  #warmed(index: number, key: string): void {
    // (An index that is no such number finds undefined, which is no owner.)
    if (this.#owners[index] !== OWNER.HOST) {
      this.#keeper.kill(`index ${index} is announced as warm`);
      return;
    }
    this.#unused--;
    this.#isWarmNow(index, key);
  }

  #isWarmNow(index: number, key: string): void {
    this.#owners[index] = OWNER.WARM;
    this.#stats.warm++;
    this.#reuse.isWarm(index, key);
    const waiter = this.#shelves.next(key);
    if (waiter) this.#take(index, waiter);
    else this.#shelves.put(key, index);
  }

  /** True when the isolate of a cell that ended is as new: then it is warm. */
  #isBack(index: number): boolean {
    if (this.#owners[index] !== OWNER.BACK || !this.#pages.isBack(index)) return false;
    this.#isWarmNow(index, this.#reuse.done(index));
    this.#hasReturned();
    return true;
  }

  #endedByHost(index: number, end: CellEnd, detail: string): void {
    // Both sides ended it at the same time.
    const owner = this.#owners[index];
    if (owner === OWNER.RELEASED) return;
    if (owner === OWNER.BACK) {
      this.#reuse.refused('ended');
      this.#letGo(index);
      this.#hasReturned();
      return;
    }
    if (owner === OWNER.WARM) {
      this.#shelves.drop(index);
      this.#stats.warm--;
      this.#letGo(index);
      return;
    }
    const cell = this.#cells[index];
    if (!cell) {
      this.#keeper.kill(`cell index ${index} is reported as ended`);
      return;
    }
    const wrong = this.#exchange.takeLast(cell);
    if (wrong !== null) this.#stats.badRecords++;
    this.#endCell(cell, end in this.#ended ? end : 'exception', String(detail));
  }

  /** Gives an index back, and whatever is in it. */
  #letGo(index: number): void {
    this.#owners[index] = OWNER.RELEASED;
    this.#keeper.send({ type: 'release', index });
  }

  #released(index: number, why: string | undefined): void {
    const owner = this.#owners[index];
    if (owner !== OWNER.RELEASED && owner !== OWNER.BACK) {
      this.#keeper.kill(`index ${index} is reported as released`);
      return;
    }
    this.#owners[index] = OWNER.HOST;
    this.#unused++;
    if (owner !== OWNER.BACK) return;
    this.#reuse.refused(why);
    this.#hasReturned();
  }

  /** Gives up what is warm beyond what was needed since the last time, or is to be kept in any case. */
  #trim(): void {
    const surplus = this.#shelves.surplus(this.#pooled, this.#poolSize);
    for (const index of surplus) {
      this.#stats.warm--;
      this.#reuse.trimmed++;
      this.#letGo(index);
    }
    this.#trimIn(surplus.length === MOST_SURPLUS ? TRIM_ON_MS : TRIM_MS);
  }

  #trimIn(ms: number): void {
    clearTimeout(this.#trimmer);
    this.#trimmer = setTimeout(() => this.#trim(), ms);
    this.#trimmer.unref();
  }

  /** Ends a cell on this side and gives its region back; `lost` and `ended` are told before this returns. */
  #endCell(cell: HostCell<F>, end: CellEnd, detail: string, reuse = false): void {
    if (!cell.alive) return;
    cell.alive = false;
    this.#cells[cell.index] = null;
    this.#stats.live--;
    this.#ended[end]++;
    this.#owners[cell.index] = reuse ? OWNER.BACK : OWNER.RELEASED;
    if (reuse) this.#reuse.begin();
    cell.lose();
    this.#exchange.release(cell.index);
    cell.events.ended(cell, end, detail);
    if (this.#stats.live === 0) this.#options.emptied?.(this);
  }

  #endAll(end: CellEnd, detail: string): void {
    for (const cell of this.#cells) if (cell) this.#endCell(cell, end, detail);
  }

  #failWaiting(error: SandboxError, key?: string): void {
    const waiters = this.#shelves.takeWaiting(key);
    this.#stats.openFailed += waiters.length;
    for (const { callback, since } of waiters) callback(error, null, (performance.now() - since) * 1000);
  }

  #anyBusy(): boolean {
    for (const cell of this.#cells) if (cell?.busy) return true;
    return false;
  }

  #died(detail: string, death: Death): void {
    const culprit = death === 'ended' ? null : (this.#cells[this.#pages.running] ?? null);
    const end = death === 'stuck' ? 'cpu' : 'exception';
    const { tenant } = this.#options;
    this.#logger.error({ tenant, detail, live: this.#stats.live }, 'sandbox host died');
    this.#reset();
    if (culprit !== null) {
      const { hash, name, trusted } = culprit.program;
      if (!trusted)
        this.#bans.add(hash, `program ${name} has taken its sandbox host down; it gets no cell for a while`);
      this.#endCell(culprit, end, `it could not be interrupted; the sandbox host ${detail}`);
    }
    this.#endAll('host-died', `the sandbox host ${detail}`);
    this.#owners.fill(OWNER.HOST);
    this.#unused = this.#capacity;
    if (this.#options.restarts === false) {
      this.#failWaiting(new SandboxError('FC_HOST_UNAVAILABLE', `the sandbox host ${detail}`));
    }
  }

  /** Memory and bookkeeping as for a new process. */
  #reset(): void {
    this.#exchange.reset();
    this.#shelves.clear();
    this.#known.clear();
    this.#stats.warm = 0;
    this.#reuse.clear();
  }

  #release(): void {
    clearTimeout(this.#trimmer);
    this.#exchange.close();
    this.#pages.release();
  }
}
