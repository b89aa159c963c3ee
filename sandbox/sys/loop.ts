/**
 * One event loop for libuv and for raw descriptors (packet sockets, eventfds) that Node cannot wait for.
 *
 * libuv documents for embedding that its backend descriptor becomes readable when it has something to do.
 * So a setImmediate callback polls our descriptors together with that one, and libuv gets its turn between
 * two calls. What libuv has not registered with its backend yet (a watcher made by code that just ran)
 * cannot wake the poll: therefore the loop blocks only after a libuv turn in which no event was handled, and
 * never longer than MAX_SLEEP_MS, which is also how late a JS timer can be unless `deadline()` names it.
 *
 * Main thread only (uv_default_loop). Nothing is allocated per turn but the Immediate object that Node makes
 * when libuv gets its turn, once for up to INNER_TURNS of ours.
 */
import koffi from 'koffi';
import { addressOf, POLLIN, raw } from './libc.ts';

const node = koffi.load(null);
const uv_default_loop = node.func('void *uv_default_loop()');
const uv_backend_fd = node.func('int uv_backend_fd(void *loop)');
const uv_metrics_info = node.func('int uv_metrics_info(void *loop, void *metrics)');

/** Longest sleep, ms. */
const MAX_SLEEP_MS = 20;
/** Longest sleep while a source is paused. */
const PAUSE_US = 200;
/** Turns with work before libuv gets one, and the longest time it waits for that, ms. */
const INNER_TURNS = 16;
const INNER_MS = 0.5;
/** Of those turns, every how many ask the kernel what is readable. */
const POLL_EVERY = 4;
/** uv_metrics_t: loop_count, events, events_waiting and 13 reserved words, all u64. */
const METRICS_BYTES = 128;
/** Low 32 bits of `events`, as index into a Uint32Array (little-endian machines only, as all we support). */
const METRICS_EVENTS = 2;
/** struct pollfd as two 32-bit words: fd; events (low half) and revents (high half). */
const POLLFD_WORDS = 2;

/** A descriptor of which more can be seen than the kernel says. */
export interface Source {
  /** There is something to read, as far as can be seen without a system call. */
  readonly ready: boolean;
  /** It is not to be read now, whatever there is. Asked again within PAUSE_US. */
  readonly paused: boolean;
}

export interface PollLoopOptions {
  /** Keep polling this long after the last work before sleeping, microseconds. Default 0. */
  spinUs?: number;
}

export class PollLoop {
  readonly #spinMs: number;
  readonly #uv: unknown = uv_default_loop();
  readonly #metrics = new Uint32Array(new ArrayBuffer(METRICS_BYTES));
  readonly #metricsAddress = addressOf(this.#metrics);
  /** Entry 0 is libuv's backend. */
  #pollfds = new Int32Array(new ArrayBuffer(16 * POLLFD_WORDS * 4));
  #pollfdsAddress = addressOf(this.#pollfds);
  /** By slot, -1: free. The pollfd of a paused source is negative. */
  readonly #fds: number[] = [0];
  #handlers: (((fd: number) => void) | null)[] = [null];
  #sources: (Source | null)[] = [null];
  /** Those there are. */
  #sourceCount = 0;
  readonly #pause = new BigInt64Array([0n, BigInt(PAUSE_US) * 1000n]);
  readonly #pauseAddress = addressOf(this.#pause);
  #count = 1;
  #each: (() => unknown)[] = [];
  #beforeSleep: (() => boolean)[] = [];
  #afterWake: (() => void)[] = [];
  #deadline = Infinity;
  #running = false;
  #lastEvents = -1;
  #lastWork = 0;
  #sleeps = 0;
  #turns = 0;
  readonly #turn = () => this.#uvTurn();

  constructor(options: PollLoopOptions = {}) {
    this.#spinMs = (options.spinUs ?? 0) / 1000;
    this.#pollfds[0] = uv_backend_fd(this.#uv);
    this.#pollfds[1] = POLLIN;
  }

  /** Turns taken and sleeps begun so far. */
  get turns(): number {
    return this.#turns;
  }
  get sleeps(): number {
    return this.#sleeps;
  }

  /** Some source has more to be read in the turn that follows. */
  get more(): boolean {
    for (let slot = 1; slot < this.#count; slot++) {
      const source = this.#sources[slot]!;
      if (source?.ready === true && !source.paused) return true;
    }
    return false;
  }

  /**
   * Calls `onReadable` while `fd` is readable (level-triggered), has an error or was hung up. With a `source` the kernel
   * is asked less often while there is much to do, and not at all while the source is paused.
   */
  watch(fd: number, onReadable: (fd: number) => void, source: Source | null = null): void {
    if (this.#find(fd) !== -1) throw new Error(`descriptor ${fd} is watched already; unwatch it first`);
    let slot = this.#find(-1);
    if (slot === -1) {
      slot = this.#count++;
      if (slot * POLLFD_WORDS === this.#pollfds.length) this.#grow();
    }
    this.#fds[slot] = fd;
    this.#pollfds[slot * POLLFD_WORDS] = fd;
    this.#pollfds[slot * POLLFD_WORDS + 1] = POLLIN;
    this.#handlers[slot] = onReadable;
    this.#sources[slot] = source;
    if (source !== null) this.#sourceCount++;
  }

  /** Must come before the descriptor is closed. */
  unwatch(fd: number): void {
    const slot = this.#find(fd);
    if (slot === -1) return;
    // poll() passes over negative descriptors; the slot is used again by a later watch().
    this.#fds[slot] = -1;
    this.#pollfds[slot * POLLFD_WORDS] = -1;
    this.#pollfds[slot * POLLFD_WORDS + 1] = 0;
    this.#handlers[slot] = null;
    if (this.#sources[slot] !== null) this.#sourceCount--;
    this.#sources[slot] = null;
  }

  /**
   * Calls `fn` as the last thing before every sleep: set your sleeping flag in it, then look once more for
   * work. True: work appeared, do not sleep. `afterWake` follows in any case.
   */
  beforeSleep(fn: () => boolean): void {
    this.#beforeSleep = [...this.#beforeSleep, fn];
  }

  /** Calls `fn` after every sleep (and after a beforeSleep that prevented one). */
  afterWake(fn: () => void): void {
    this.#afterWake = [...this.#afterWake, fn];
  }

  /** Calls `fn` once per turn, after the readable descriptors. A result of true means that it found work. */
  each(fn: () => unknown): void {
    this.#each = [...this.#each, fn];
  }

  /** Takes a function given to beforeSleep, afterWake or each out again. */
  remove(fn: () => unknown): void {
    this.#each = this.#each.filter((entry) => entry !== fn);
    this.#beforeSleep = this.#beforeSleep.filter((entry) => entry !== fn);
    this.#afterWake = this.#afterWake.filter((entry) => entry !== fn);
  }

  /** Do not sleep beyond this time (performance.now() clock, ms). The earliest counts, once. */
  deadline(at: number): void {
    if (at < this.#deadline) this.#deadline = at;
  }

  /** Starts turning; keeps the process alive until stop(). */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(this.#turn);
  }

  stop(): void {
    this.#running = false;
  }

  #find(fd: number): number {
    for (let slot = 1; slot < this.#count; slot++) if (this.#fds[slot] === fd) return slot;
    return -1;
  }

  #grow(): void {
    const grown = new Int32Array(new ArrayBuffer(this.#pollfds.byteLength * 2));
    grown.set(this.#pollfds);
    this.#pollfds = grown;
    this.#pollfdsAddress = addressOf(grown);
  }

  /** One setImmediate callback: turns of ours as long as there is work, else a sleep. */
  #uvTurn(): void {
    if (!this.#running) return;
    setImmediate(this.#turn);
    uv_metrics_info(this.#uv, this.#metricsAddress);
    const events = this.#metrics[METRICS_EVENTS]!;
    const quiet = events === this.#lastEvents;
    this.#lastEvents = events;

    if (!this.#ourTurn() && quiet) {
      const now = performance.now();
      if (now - this.#lastWork >= this.#spinMs) this.#sleep(now);
      return;
    }
    const start = performance.now();
    this.#lastWork = start;
    for (let turn = 1; turn < INNER_TURNS && this.#running; turn++) {
      const worked = turn % POLL_EVERY === 0 ? this.#ourTurn() : this.#quickTurn();
      if (!worked || this.#pollfds[1]! >>> 16 !== 0) return;
      this.#lastWork = performance.now();
      if (this.#lastWork - start >= INNER_MS) return;
    }
  }

  #sleep(now: number): void {
    let timeout = MAX_SLEEP_MS;
    if (this.#deadline < now + MAX_SLEEP_MS) {
      // Rounded up: waking a fraction early would mean spinning through the rest.
      timeout = Math.max(0, Math.ceil(this.#deadline - now));
      if (this.#deadline <= now) this.#deadline = Infinity;
    }
    for (const fn of this.#beforeSleep) if (fn()) timeout = 0;
    this.#sleeps++;
    const worked = this.#poll(timeout);
    for (const fn of this.#afterWake) fn();
    if (worked) {
      this.#dispatch();
      for (const fn of this.#each) fn();
      this.#lastWork = performance.now();
      // Makes the next turn one that does not sleep: microtasks and new watchers come first.
      this.#lastEvents = -1;
    }
  }

  /** Polls, calls the handlers of readable descriptors and the each-functions. True: there was work. */
  #ourTurn(): boolean {
    const readable = this.#poll(0);
    if (readable) this.#dispatch();
    return this.#endTurn(readable);
  }

  /** The same for those descriptors that can be seen to be readable without asking the kernel. */
  #quickTurn(): boolean {
    let worked = false;
    for (let slot = 1; slot < this.#count; slot++) {
      const source = this.#sources[slot]!;
      if (source === null || !source.ready || source.paused) continue;
      worked = true;
      this.#handlers[slot]?.(this.#fds[slot]!);
    }
    return this.#endTurn(worked);
  }

  #endTurn(readable: boolean): boolean {
    this.#turns++;
    let worked = readable;
    for (const fn of this.#each) if (fn() === true) worked = true;
    return worked;
  }

  /** True if one of ours is readable. EINTR counts as nothing readable: libuv handles the signal. */
  #poll(timeout: number): boolean {
    const paused = this.#sourceCount > 0 && this.#setPaused();
    const ready =
      paused && timeout > 0
        ? raw.ppoll(this.#pollfdsAddress, this.#count, this.#pauseAddress, 0n)
        : raw.poll(this.#pollfdsAddress, this.#count, timeout);
    if (ready <= 0) {
      this.#pollfds[1] = POLLIN;
      return false;
    }
    return this.#pollfds[1]! >>> 16 === 0 || ready > 1;
  }

  /** poll() passes over negative descriptors. True: some source is paused. */
  #setPaused(): boolean {
    let any = false;
    for (let slot = 1; slot < this.#count; slot++) {
      const source = this.#sources[slot]!;
      if (source === null) continue;
      const { paused } = source;
      this.#pollfds[slot * POLLFD_WORDS] = paused ? -1 : this.#fds[slot]!;
      if (paused) any = true;
    }
    return any;
  }

  #dispatch(): void {
    const count = this.#count;
    for (let slot = 1; slot < count; slot++) {
      const word = slot * POLLFD_WORDS;
      if (this.#pollfds[word + 1]! >>> 16 === 0) continue;
      this.#pollfds[word + 1] = POLLIN;
      this.#handlers[slot]?.(this.#fds[slot]!);
    }
  }
}
