/** One sandbox host as the agent sees it: opens cells in it, feeds them, takes what they produce. */
import type { Logger } from 'pino';
import { HOST_CELLS, RING_SIZE, regionOffset, type ToAgent } from '../channel/control.ts';
import type { PollLoop } from '../sys/loop.ts';
import { Backoff } from './backoff.ts';
import { Bans } from './bans.ts';
import { type CellOwner, emptyVerdict, HostCell } from './cell.ts';
import { SandboxError } from './errors.ts';
import { Heartbeat } from './heartbeat.ts';
import type { OpenCallback, SandboxHostOptions, SandboxHostStats } from './host-types.ts';
import { limitsRefusal } from './limits.ts';
import { HostProcess } from './process.ts';
import { uploadedRuntime } from './programs.ts';
import { SharedPages } from './shared-pages.ts';
import { kindOf, Shelves, shelfKey, type Waiter } from './shelves.ts';
import {
  type CellEnd,
  type CellEvents,
  type CellLimits,
  DEFAULT_LIMITS,
  type FrameRef,
  type ProgramImage,
  type Verdict,
} from './types.ts';

/** First uid of tenants: tenant n runs as FIRST_UID + n. */
const FIRST_UID = 64000;
const DEFAULT_POOL = 32;
/** Packets a cell may handle before the next one has its turn. */
const BUDGET = 64;
/** Who has a cell index: the host; the agent, as a warm isolate or a cell; nobody until it is wiped. */
const OWNER = { HOST: 0, WARM: 1, CELL: 2, RELEASED: 3 } as const;

export class SandboxHost<F extends FrameRef> implements CellOwner<F> {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly verdict: Verdict<F>;
  readonly counters = { frames: 0, records: 0, messages: 0, batches: 0 };
  readonly #options: SandboxHostOptions<F>;
  /** How many cells it takes. */
  readonly #capacity: number;
  /** Evaluated before programs that were uploaded. */
  readonly #uploadedRuntime: string;
  readonly #logger: Logger;
  readonly #loop: PollLoop;
  readonly #pages: SharedPages;
  /** By index; a cell that ended stays until its index is the host's again. */
  readonly #cells: (HostCell<F> | null)[];
  readonly #shelves = new Shelves<F>();
  /** Programs the present process has got. */
  readonly #known = new Set<string>();
  readonly #dirty: (HostCell<F> | null)[] = new Array(RING_SIZE).fill(null);
  #dirtyCount = 0;
  readonly #taken = new Uint16Array(RING_SIZE);
  /** Who has each index. */
  readonly #owners: Uint8Array;
  /** Indexes that are the host's: free, or an isolate being built. */
  #unused: number;
  /** Indexes to give back when the present batch has been sent. */
  readonly #releases: number[] = [];
  #inBatch = false;
  readonly #bans: Bans;
  readonly #heartbeat = new Heartbeat({
    read: () => this.#pages.heartbeat,
    busy: () => this.#pages.pending || this.#anyBusy(),
    stuck: (seconds) => {
      this.#stuck = true;
      this.#distrust(`no heartbeat for ${seconds} s`);
    },
  });
  /** The present process is killed because its thread does not get on. */
  #stuck = false;
  #process: HostProcess | null = null;
  #starting: Promise<void> | null = null;
  #closed = false;
  readonly #backoff = new Backoff();
  #restart: NodeJS.Timeout | undefined;
  #onExit: (() => void) | null = null;
  readonly #stats = { live: 0, warm: 0, opened: 0, openFailed: 0, badRecords: 0, restarts: 0 };
  readonly #ended: Record<CellEnd, number> = { closed: 0, memory: 0, cpu: 0, exception: 0, 'host-died': 0 };
  readonly #batchEnd: () => void;
  readonly #each = (): boolean => this.#turn();
  readonly #beforeSleep = (): boolean => this.#goingToSleep();
  readonly #afterWake = (): void => this.#pages.awake();

  /** Starts the process; resolves when it is locked down and warming. */
  static async start<F extends FrameRef>(options: SandboxHostOptions<F>): Promise<SandboxHost<F>> {
    const host = new SandboxHost(options, await uploadedRuntime());
    try {
      await host.#startProcess();
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
    this.#loop = options.loop;
    this.#capacity = options.cells ?? HOST_CELLS;
    this.#unused = this.#capacity;
    this.#owners = new Uint8Array(this.#capacity);
    this.#cells = new Array(this.#capacity).fill(null);
    this.#bans = options.bans ?? new Bans();
    this.#pages = new SharedPages(`flowcell-${options.tenant}`, this.#capacity);
    this.words = this.#pages.words;
    this.bytes = this.#pages.bytes;
    this.address = this.#pages.address;
    this.verdict = emptyVerdict(this.bytes, this.address);
    this.#batchEnd = options.batchEnd ?? (() => options.events.batchEnd?.());
    const { toAgent } = this.#pages;
    this.#loop.watch(toAgent.fd, () => toAgent.drain());
    this.#loop.each(this.#each);
    this.#loop.beforeSleep(this.#beforeSleep);
    this.#loop.afterWake(this.#afterWake);
  }

  /** Process id of the present host process, or -1 between two. */
  get pid(): number {
    return this.#process?.pid ?? -1;
  }

  /**
   * Opens a cell. The callback runs before open() returns when an isolate is warm; `setupUs` is the time from
   * this call to the cell being there. Errors are SandboxErrors. Who is not `wanted` any more when an isolate is there
   * does not get it, and is not called back.
   */
  open(
    id: number,
    program: ProgramImage,
    limits: CellLimits,
    callback: OpenCallback<F>,
    wanted?: () => boolean,
  ): void {
    this.openFor(this.#options.events, id, program, limits, callback, wanted);
  }

  /** Indexes that nobody has or waits for: it takes so many cells more. 0 while it does not run. */
  get room(): number {
    return this.#process === null ? 0 : Math.max(0, this.#unused - this.#shelves.size);
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
    return this.#process !== null && this.#shelves.has(shelfKey(kindOf(program, limits)));
  }

  /** Closes the cells that report to `events`. */
  closeCellsOf(events: CellEvents<F>): void {
    for (const cell of this.#cells) if (cell?.events === events) this.closeCell(cell);
  }

  /** `open` for one of several users: `events` hears of this cell. */
  openFor(
    events: CellEvents<F>,
    id: number,
    program: ProgramImage,
    limits: CellLimits,
    callback: OpenCallback<F>,
    wanted?: () => boolean,
  ): void {
    const since = performance.now();
    const problem = this.#refusal(program, limits);
    if (problem) {
      this.#stats.openFailed++;
      callback(problem, null, 0);
      return;
    }
    const key = shelfKey(kindOf(program, limits));
    const waiter = { id, program, events, limits, since, callback, wanted };
    const index = this.#process ? this.#shelves.take(key) : undefined;
    if (index !== undefined) {
      this.#take(index, waiter);
      return;
    }
    this.#shelves.wait(key, waiter);
    this.#request(waiter);
  }

  /** Tells the host of everything pushed and sent since the last call. The loop's turn does it too. */
  kick(): void {
    if (this.#dirtyCount === 0) return;
    for (let i = 0; i < this.#dirtyCount; i++) {
      const cell = this.#dirty[i]!;
      this.#dirty[i] = null;
      cell.isDirty = false;
      if (!cell.alive) continue;
      if (cell.waiting) this.#pages.want(cell.index);
      this.#pages.ready(cell.index);
    }
    this.#dirtyCount = 0;
    this.#pages.wake();
  }

  stats(): SandboxHostStats {
    const waiting = this.#shelves.size;
    return { ...this.#stats, waiting, ended: { ...this.#ended }, ...this.counters };
  }

  /** Ends the process and every cell ('closed'). Views on the host's memory become empty. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#restart);
    await this.#starting;
    const exited = new Promise<void>((resolve) => {
      this.#onExit = resolve;
    });
    if (this.#process) {
      this.#process.kill();
      await exited;
    }
    this.#endAll('closed', 'the sandbox host was closed');
    this.#failWaiting(new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox host was closed'));
    this.#release();
  }

  dirty(cell: HostCell<F>): void {
    cell.isDirty = true;
    this.#dirty[this.#dirtyCount++] = cell;
  }

  /** Ends a cell at the agent's wish (CellHandle.close). */
  closeCell(cell: HostCell<F>): void {
    this.#endCell(cell, 'closed', '');
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

  async #startProcess(): Promise<void> {
    const { tenant, uid } = this.#options;
    this.#backoff.started();
    const started = await HostProcess.start({
      arguments: { tenant, uid: uid ?? FIRST_UID + tenant, budget: BUDGET, cells: this.#capacity },
      memory: this.#pages.fd,
      toHost: this.#pages.toHost.fd,
      toAgent: this.#pages.toAgent.fd,
      logger: this.#logger,
      events: {
        message: (message) => this.#receive(message),
        exit: (detail, crashed) => this.#exited(detail, crashed),
      },
    });
    this.#process = started;
    if (this.#closed) return;
    this.#logger.info({ tenant, pid: started.pid }, 'sandbox host started');
    this.#heartbeat.start();
    for (const program of this.#options.programs) this.#sendProgram(program, true);
    for (const waiter of this.#shelves.waiting) this.#request(waiter);
  }

  #sendProgram(program: ProgramImage, pooled: boolean): void {
    const { hash, code, trusted } = program;
    const target = pooled ? (this.#options.poolSize ?? DEFAULT_POOL) : 0;
    const memoryMiB = DEFAULT_LIMITS.memoryMiB;
    this.#known.add(hash);
    const runtime = trusted ? code : this.#uploadedRuntime;
    const uploaded = trusted ? null : code;
    this.#process?.send({ type: 'program', hash, runtime, uploaded, target, memoryMiB });
  }

  #request({ program, limits }: Waiter<F>): void {
    if (!this.#process) return;
    if (!this.#known.has(program.hash)) this.#sendProgram(program, false);
    this.#process.send({ type: 'make', ...kindOf(program, limits) });
  }

  #take(index: number, waiter: Waiter<F>): void {
    const { id, limits, since, callback } = waiter;
    const cell = new HostCell<F>(this, index, regionOffset(index), waiter);
    this.#cells[index] = cell;
    this.#owners[index] = OWNER.CELL;
    this.#pages.take(index, id, limits.runMs);
    this.#pages.wake();
    this.#stats.warm--;
    this.#stats.live++;
    this.#stats.opened++;
    callback(null, cell, (performance.now() - since) * 1000);
  }

  #goingToSleep(): boolean {
    this.#pages.sleeping();
    return this.#dirtyCount > 0 || this.#pages.produced;
  }

  #turn(): boolean {
    const worked = this.#pages.produced && this.#takeDone();
    this.kick();
    return worked;
  }

  #takeDone(): boolean {
    const count = this.#pages.takeDone(this.#taken);
    if (count === -1) {
      this.#distrust('its done ring makes no sense');
      return false;
    }
    this.counters.batches += count;
    this.#inBatch = true;
    for (let i = 0; i < count; i++) {
      const cell = this.#cells[this.#taken[i]!];
      const wrong = cell?.take() ?? null;
      if (wrong !== null && cell!.alive) {
        this.#stats.badRecords++;
        this.#endCell(cell!, 'exception', wrong);
      }
    }
    this.#endBatch();
    for (let i = 0; i < count; i++) {
      const cell = this.#cells[this.#taken[i]!];
      if (!cell?.alive) continue;
      const moved = cell.settle();
      const blocked = this.#pages.takeBlocked(cell.index);
      if ((moved || blocked || cell.waiting) && cell.alive && !cell.isDirty) this.dirty(cell);
    }
    return true;
  }

  /** What was taken is sent now; only then may the memory it is in be used for something else. */
  #endBatch(): void {
    this.#batchEnd();
    this.#inBatch = false;
    for (const index of this.#releases) this.#process?.send({ type: 'release', index });
    this.#releases.length = 0;
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
    else if (message.type === 'released') this.#released(message.index);
    else if (message.type === 'usage') {
      for (const [index, cpuUs, heapBytes] of message.cells) {
        const cell = this.#cells[index];
        if (!cell?.alive) continue;
        cell.usage.cpuUs = Number(cpuUs);
        cell.usage.heapBytes = Number(heapBytes);
      }
    }
  }

  #warmed(index: number, key: string): void {
    // (An index that is no such number finds undefined, which is no owner.)
    if (this.#owners[index] !== OWNER.HOST) {
      this.#distrust(`index ${index} is announced as warm`);
      return;
    }
    this.#owners[index] = OWNER.WARM;
    this.#unused--;
    this.#stats.warm++;
    const waiter = this.#shelves.next(key);
    if (waiter) this.#take(index, waiter);
    else this.#shelves.put(key, index);
  }

  #endedByHost(index: number, end: CellEnd, detail: string): void {
    // Both sides ended it at the same time.
    if (this.#owners[index] === OWNER.RELEASED) return;
    if (this.#owners[index] === OWNER.WARM) {
      this.#dropWarm(index);
      return;
    }
    const cell = this.#cells[index];
    if (!cell) {
      this.#distrust(`cell index ${index} is reported as ended`);
      return;
    }
    // Verdicts it gave before its end still count.
    this.#inBatch = true;
    const wrong = cell.take();
    this.#endBatch();
    if (wrong !== null) this.#stats.badRecords++;
    this.#endCell(cell, end in this.#ended ? end : 'exception', String(detail));
  }

  /** It was in a shared isolate that has ended. */
  #dropWarm(index: number): void {
    this.#shelves.drop(index);
    this.#stats.warm--;
    this.#owners[index] = OWNER.RELEASED;
    this.#process?.send({ type: 'release', index });
  }

  #released(index: number): void {
    if (this.#owners[index] !== OWNER.RELEASED) {
      this.#distrust(`index ${index} is reported as released`);
      return;
    }
    this.#owners[index] = OWNER.HOST;
    this.#unused++;
  }

  /** Ends a cell on this side and gives its region back; `lost` and `ended` are told before this returns. */
  #endCell(cell: HostCell<F>, end: CellEnd, detail: string): void {
    if (!cell.alive) return;
    cell.alive = false;
    this.#cells[cell.index] = null;
    this.#stats.live--;
    this.#ended[end]++;
    this.#owners[cell.index] = OWNER.RELEASED;
    cell.lose();
    if (this.#inBatch) this.#releases.push(cell.index);
    else this.#process?.send({ type: 'release', index: cell.index });
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

  #distrust(why: string): void {
    this.#logger.error({ tenant: this.#options.tenant, pid: this.pid }, `sandbox host is killed: ${why}`);
    this.#process?.kill();
  }

  #exited(detail: string, crashed: boolean): void {
    this.#process = null;
    const culprit = this.#stuck || crashed ? (this.#cells[this.#pages.running] ?? null) : null;
    const end = this.#stuck ? 'cpu' : 'exception';
    this.#stuck = false;
    this.#heartbeat.stop();
    if (this.#closed) {
      this.#onExit?.();
      return;
    }
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
    } else this.#scheduleRestart();
  }

  #scheduleRestart(): void {
    this.#restart = setTimeout(() => {
      this.#stats.restarts++;
      this.#starting = this.#startProcess().catch((error) => {
        if (this.#closed) return;
        this.#logger.error({ tenant: this.#options.tenant, err: error }, 'sandbox host does not start');
        this.#failWaiting(new SandboxError('FC_HOST_UNAVAILABLE', 'the sandbox host does not start'));
        this.#scheduleRestart();
      });
    }, this.#backoff.next());
  }

  /** Memory and bookkeeping as for a new process. */
  #reset(): void {
    this.#pages.reset();
    for (let i = 0; i < this.#dirtyCount; i++) {
      this.#dirty[i]!.isDirty = false;
      this.#dirty[i] = null;
    }
    this.#dirtyCount = 0;
    this.#shelves.clear();
    this.#known.clear();
    this.#stats.warm = 0;
    this.#releases.length = 0;
  }

  #release(): void {
    this.#heartbeat.stop();
    this.#loop.remove(this.#each);
    this.#loop.remove(this.#beforeSleep);
    this.#loop.remove(this.#afterWake);
    this.#loop.unwatch(this.#pages.toAgent.fd);
    this.#pages.release();
  }
}
