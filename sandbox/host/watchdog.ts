/**
 * Ends cells whose run takes too long. A stuck run blocks the host's thread, so the watchdog is an isolate of
 * its own that runs on isolated-vm's thread pool: it holds the cells' handles, reads a heartbeat in shared
 * memory and disposes the cell that does not come back. (isolated-vm's own {timeout} costs a thread and
 * three times the call.) What even that cannot interrupt ends with the host: the agent watches it.
 *
 * Time is counted in ticks the watchdog itself got to run, not by a clock: on a machine that starves both
 * threads, or was suspended, a cell is not ended for time it did not have.
 */
import ivm from 'isolated-vm';
import { MAX_INDEX } from '../channel/control.ts';

/** Ticks while a run is on, and between looks when none is, ms. */
const TICK_MS = 5;
const IDLE_MS = 20;

type Watch = ivm.Reference<(ticket: number, index: number, handle: ivm.Isolate | null) => void>;

/** Words of the heartbeat. */
const B = {
  /** Odd while a run is on; counts up at its start and end. */
  SEQUENCE: 0,
  INDEX: 1,
  LIMIT_TICKS: 2,
  /** Number of the last watch() call: the one before returns, so that isolated-vm can start this one. */
  TICKET: 3,
  /** Set to index + 1 when a cell was ended. */
  KILLED: 4,
} as const;

const SOURCE = `
const beat = new Int32Array(shared);
const handles = new Array(${MAX_INDEX}).fill(null);
let last = 0;
let ticks = 0;
function watch(ticket, index, handle) {
  if (index >= 0) handles[index] = handle;
  while (Atomics.load(beat, ${B.TICKET}) === ticket) {
    const running = last & 1;
    Atomics.wait(beat, ${B.TICKET}, ticket, running ? ${TICK_MS} : ${IDLE_MS});
    const sequence = Atomics.load(beat, ${B.SEQUENCE});
    if (sequence !== last || !(sequence & 1)) {
      last = sequence;
      ticks = 0;
      continue;
    }
    if (++ticks < Atomics.load(beat, ${B.LIMIT_TICKS})) continue;
    ticks = 0;
    const stuck = Atomics.load(beat, ${B.INDEX});
    // Read between two equal sequence numbers: the index is this run's.
    if (Atomics.load(beat, ${B.SEQUENCE}) !== sequence) continue;
    Atomics.store(beat, ${B.KILLED}, stuck + 1);
    try {
      handles[stuck].dispose();
    } catch {
      // Disposed already, by the memory limit: the host sees that itself.
    }
  }
}
`;

export class Watchdog {
  readonly #beat: Int32Array;
  readonly #watch: Watch;
  readonly #onFailure: (error: unknown) => void;
  #sequence = 0;
  #ticket = 0;

  /** `onFailure`: the watchdog itself died; a host without one must not go on. */
  static async create(onFailure: (error: unknown) => void): Promise<Watchdog> {
    const shared = new SharedArrayBuffer(64);
    const isolate = new ivm.Isolate({ memoryLimit: 16 });
    const context = await isolate.createContext();
    await context.global.set('shared', new ivm.ExternalCopy(shared).copyInto());
    await context.eval(SOURCE);
    const watch = await context.global.get('watch', { reference: true });
    const watchdog = new Watchdog(new Int32Array(shared), watch, onFailure);
    watchdog.#call(-1, null);
    return watchdog;
  }

  private constructor(beat: Int32Array, watch: Watch, onFailure: (error: unknown) => void) {
    this.#beat = beat;
    this.#watch = watch;
    this.#onFailure = onFailure;
  }

  /** Watches over the runs of this isolate under `index`, in place of an earlier one. */
  add(index: number, isolate: ivm.Isolate): void {
    this.#call(index, isolate);
  }

  /** Before each run. */
  begin(index: number, limitMs: number): void {
    this.#beat[B.INDEX] = index;
    this.#beat[B.LIMIT_TICKS] = Math.ceil(limitMs / TICK_MS);
    this.#sequence = (this.#sequence + 1) | 0;
    Atomics.store(this.#beat, B.SEQUENCE, this.#sequence);
  }

  /** After each run. */
  end(): void {
    this.#sequence = (this.#sequence + 1) | 0;
    Atomics.store(this.#beat, B.SEQUENCE, this.#sequence);
  }

  /** Whether the watchdog has ended this cell, asked after a run that threw. Tells once. */
  ended(index: number): boolean {
    return Atomics.compareExchange(this.#beat, B.KILLED, index + 1, 0) === index + 1;
  }

  #call(index: number, isolate: ivm.Isolate | null): void {
    this.#ticket = (this.#ticket + 1) | 0;
    Atomics.store(this.#beat, B.TICKET, this.#ticket);
    Atomics.notify(this.#beat, B.TICKET);
    // Runs until the next ticket; queued by isolated-vm behind the one that runs now.
    this.#watch.apply(undefined, [this.#ticket, index, isolate]).catch(this.#onFailure);
  }
}
