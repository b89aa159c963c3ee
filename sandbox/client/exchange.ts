/** The packet side of one sandbox host: at each turn of the loop its cells are told what is new and give what they made. */
import { RING_SIZE } from '../channel/control.ts';
import type { PollLoop } from '../sys/loop.ts';
import { type CellOwner, emptyVerdict, type HostCell } from './cell.ts';
import type { SharedPages } from './shared-pages.ts';
import type { FrameRef, Verdict } from './types.ts';

/** Turns for which a host that sleeps is left asleep while more packets are there to be received. */
const GATHER_TURNS = 4;

export interface ExchangeOptions<F extends FrameRef> {
  readonly pages: SharedPages;
  readonly loop: PollLoop;
  /** By index. */
  readonly cells: readonly (HostCell<F> | null)[];
  /** What was taken is sent now. */
  batchEnd(): void;
  /** Memory of the cell's index is not looked at any more. */
  release(index: number): void;
  /** It writes nonsense. */
  wrong(cell: HostCell<F>, why: string): void;
  /** The host itself does. */
  distrust(why: string): void;
  /** Something comes from this index: true when that is its isolate, reset, and no cell. */
  returned(index: number): boolean;
  closeCell(cell: HostCell<F>, well: boolean): void;
}

export class Exchange<F extends FrameRef> implements CellOwner<F> {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly verdict: Verdict<F>;
  readonly counters = { frames: 0, records: 0, messages: 0, batches: 0 };
  readonly #options: ExchangeOptions<F>;
  readonly #pages: SharedPages;
  readonly #cells: readonly (HostCell<F> | null)[];
  readonly #dirty: (HostCell<F> | null)[] = new Array(RING_SIZE).fill(null);
  #dirtyCount = 0;
  /** Cells were marked as ready since the host was told; one of them is urgent; turns since. */
  #untold = false;
  #urgent = false;
  #gathered = 0;
  readonly #taken = new Uint16Array(RING_SIZE);
  /** Indexes to give back when the present batch has been sent. */
  readonly #releases: number[] = [];
  #inBatch = false;
  readonly #each = (): boolean => this.#turn();
  readonly #beforeSleep = (): boolean => this.#goingToSleep();
  readonly #afterWake = (): void => this.#pages.awake();

  constructor(options: ExchangeOptions<F>) {
    const { pages, loop, cells } = options;
    this.#options = options;
    this.#pages = pages;
    this.#cells = cells;
    this.words = pages.words;
    this.bytes = pages.bytes;
    this.address = pages.address;
    this.verdict = emptyVerdict(this.bytes, this.address);
    const { toAgent } = pages;
    loop.watch(toAgent.fd, () => toAgent.drain());
    loop.each(this.#each);
    loop.beforeSleep(this.#beforeSleep);
    loop.afterWake(this.#afterWake);
  }

  dirty(cell: HostCell<F>): void {
    cell.isDirty = true;
    this.#dirty[this.#dirtyCount++] = cell;
  }

  closeCell(cell: HostCell<F>, well: boolean): void {
    this.#options.closeCell(cell, well);
  }

  /** Tells the host of everything pushed and sent since the last call. */
  kick(): void {
    this.#mark();
    if (this.#untold) this.#tell();
  }

  /** What a cell gave before its end still counts. Returns what is wrong with it, or null. */
  takeLast(cell: HostCell<F>): string | null {
    this.#inBatch = true;
    const wrong = cell.take();
    this.#endBatch();
    return wrong;
  }

  /** Gives an index back, at once or when what was taken from its memory has been sent. */
  release(index: number): void {
    if (this.#inBatch) this.#releases.push(index);
    else this.#options.release(index);
  }

  /** As for a new process. */
  reset(): void {
    this.#pages.reset();
    for (let i = 0; i < this.#dirtyCount; i++) {
      this.#dirty[i]!.isDirty = false;
      this.#dirty[i] = null;
    }
    this.#dirtyCount = 0;
    this.#untold = false;
    this.#urgent = false;
    this.#gathered = 0;
    this.#releases.length = 0;
  }

  /** Takes it out of the loop. */
  close(): void {
    const { loop } = this.#options;
    loop.remove(this.#each);
    loop.remove(this.#beforeSleep);
    loop.remove(this.#afterWake);
    loop.unwatch(this.#pages.toAgent.fd);
  }

  /** Marks cells that have something new as ready: a host that is awake sees it. */
  #mark(): void {
    if (this.#dirtyCount === 0) return;
    for (let i = 0; i < this.#dirtyCount; i++) {
      const cell = this.#dirty[i]!;
      this.#dirty[i] = null;
      cell.isDirty = false;
      if (!cell.alive) continue;
      if (cell.isUrgent) this.#urgent = true;
      cell.isUrgent = false;
      if (cell.waiting) this.#pages.want(cell.index);
      this.#pages.ready(cell.index);
    }
    this.#dirtyCount = 0;
    this.#untold = true;
  }

  #tell(): void {
    this.#untold = false;
    this.#urgent = false;
    this.#gathered = 0;
    this.#pages.wake();
  }

  #goingToSleep(): boolean {
    this.kick();
    this.#pages.sleeping();
    return this.#pages.produced;
  }

  #turn(): boolean {
    const worked = this.#pages.produced && this.#takeDone();
    this.#mark();
    // One packet is no reason to wake it while more are there: entering a cell costs as much as ten packets.
    if (this.#untold && (this.#urgent || ++this.#gathered >= GATHER_TURNS || !this.#options.loop.more)) {
      this.#tell();
    }
    return worked;
  }

  #takeDone(): boolean {
    const count = this.#pages.takeDone(this.#taken);
    if (count === -1) {
      this.#options.distrust('its done ring makes no sense');
      return false;
    }
    this.counters.batches += count;
    this.#inBatch = true;
    for (let i = 0; i < count; i++) {
      const index = this.#taken[i]!;
      if (this.#options.returned(index)) continue;
      const cell = this.#cells[index];
      const wrong = cell?.take() ?? null;
      if (wrong !== null && cell!.alive) this.#options.wrong(cell!, wrong);
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
    this.#options.batchEnd();
    this.#inBatch = false;
    for (const index of this.#releases) this.#options.release(index);
    this.#releases.length = 0;
  }
}
