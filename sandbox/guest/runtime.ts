/**
 * The trusted loop inside a cell: takes control messages and packets from the region, gives them to the
 * program, publishes what it decides. Works on any SharedArrayBuffer, so it runs in plain Node as well.
 */

import { H, RUN, RX_SLOTS } from '../channel/layout.ts';
import { mayChangeVerdicts } from '../channel/modifications.ts';
import { answerFor } from './answer.ts';
import { ControlIn, ControlOut } from './control.ts';
import { PacketView } from './packet-view.ts';
import type { Cell, Program } from './program.ts';
import type { RegionViews } from './region-views.ts';
import { Transmit } from './transmit.ts';

/** Captured before any foreign code can replace it. */
const { load, store } = Atomics;

const systemTime = Date.now;

/** In place of a budget: the region is the cell's from now on, and nothing more is done. */
const ATTACH = -1;
/**
 * A run begins no further message or piece of work after so many ms. The watchdog gives it ten times that, for a piece that takes
 * longer, collecting garbage, and a machine that has other things to do.
 */
const SLICE_MS = 5;

export class Runtime {
  private readonly program: Program;
  private readonly words: Int32Array;
  private readonly transmit: Transmit;
  private readonly packet: PacketView;
  private readonly controlIn: ControlIn;
  private readonly controlOut: ControlOut;
  private readonly cell: { -readonly [name in keyof Cell]: Cell[name] };
  private readonly onFailure: ((error: unknown) => void) | undefined;
  private readonly time: () => number;
  private begun = 0;
  /** There are no more messages. */
  private caughtUp = true;
  private rxTail = 0;
  private nowMs = 0;
  private timerSet = false;
  private timerAt = 0;
  private produced = false;
  private running = false;
  private started = false;
  private attached = false;
  private failed = false;

  /**
   * `onFailure` gets what the program threw. Leave it out for foreign programs: their exceptions must not be
   * touched (a getter in one could do anything). `time`: by which runs are kept short, ms.
   */
  constructor(
    program: Program,
    region: RegionViews,
    onFailure?: (error: unknown) => void,
    time = systemTime,
  ) {
    const { words, bytes } = region;
    this.program = program;
    this.words = words;
    this.transmit = new Transmit(words, bytes);
    this.packet = new PacketView(region, this.transmit);
    this.controlIn = new ControlIn(words, bytes);
    this.controlOut = new ControlOut(words, bytes);
    this.onFailure = onFailure;
    this.time = time;
    this.cell = {
      id: 0,
      now: () => this.nowMs,
      send: (message) => this.send(message),
      setTimer: (at) => this.setTimer(true, at),
      clearTimer: () => this.setTimer(false, 0),
    };
  }

  /** Starts a program of our own ahead of time: one that needs no number of its cell, and no time, before its first message. */
  prepare(): void {
    this.started = true;
    this.program.start?.(this.cell);
  }

  /**
   * Takes the ring positions from the region, which is the cell's from now on, and starts the program unless it is.
   * Returns RUN bits; never throws (unless onFailure does).
   */
  attach(): number {
    return this.guarded(ATTACH);
  }

  /** One batch: control messages, up to `budget` packets, the timer if due. The first one attaches. Returns RUN bits. */
  run(budget: number): number {
    return this.guarded(budget);
  }

  private guarded(budget: number): number {
    // A program that finds a way to call this from inside gets nothing done.
    if (this.running) return 0;
    if (this.failed) return RUN.FAILED;
    this.running = true;
    this.produced = false;
    let result: number;
    try {
      if (!this.attached) this.begin();
      result = budget === ATTACH ? 0 : this.step(budget);
    } catch (error) {
      this.failed = true;
      result = RUN.FAILED;
      this.onFailure?.(error);
    } finally {
      this.running = false;
    }
    return this.produced ? result | RUN.PRODUCED : result;
  }

  private begin(): void {
    const { words } = this;
    this.attached = true;
    this.rxTail = load(words, H.RX_TAIL);
    this.nowMs = load(words, H.NOW_MS);
    this.packet.modifications = 0;
    this.cell.id = load(words, H.CELL_ID) >>> 0;
    this.transmit.attach();
    this.controlIn.attach();
    this.controlOut.attach();
    if (!this.started) this.program.start?.(this.cell);
  }

  private step(budget: number): number {
    const { words } = this;
    this.nowMs = load(words, H.NOW_MS);
    let result = 0;
    if (this.controlOut.blocked && this.controlOut.flush()) this.produced = true;
    if (this.transmit.blocked && this.finishWaiting()) result = RUN.BLOCKED;

    // Packets are counted before control messages are read: the messages that came before them are seen.
    const rxHead = load(words, H.RX_HEAD);
    this.begun = this.time() | 0;
    // Most runs have packets alone: V8 is not to compile all that a program does with messages for them.
    if (!this.caughtUp || this.program.pending !== undefined || !this.controlIn.empty) this.messages();
    if (result === 0 && this.program.pending !== 'closed') result = this.packets(rxHead, budget);
    if (this.timerIsDue && this.program.pending === undefined && !this.controlOut.blocked) {
      this.setTimer(false, 0);
      this.program.timer?.(this.nowMs);
      this.carryOn();
    }
    store(words, H.RX_TAIL, this.rxTail);
    if (this.controlOut.blocked) return result | RUN.BLOCKED;
    return this.caughtUp && this.program.pending === undefined ? result : result | RUN.MORE;
  }

  private get timerIsDue(): boolean {
    return this.timerSet && ((this.nowMs - this.timerAt) | 0) >= 0;
  }

  /** By difference, of 32 bits (V8 allocates no number for those): the time of day can be set. */
  private get inTime(): boolean {
    const spent = ((this.time() | 0) - this.begun) | 0;
    return spent >= 0 && spent < SLICE_MS;
  }

  /** Sends what the last packet still had to send. True: there is still something left. */
  private finishWaiting(): boolean {
    const done = this.transmit.flush();
    if (done) this.release();
    if (this.transmit.publish()) this.produced = true;
    return !done;
  }

  /** Takes messages as long as there is time. */
  private messages(): void {
    this.caughtUp = false;
    do {
      this.carryOn();
      if (this.program.pending !== undefined || this.controlOut.blocked) return;
      const message = this.controlIn.next();
      if (message === undefined) {
        this.caughtUp = true;
        return;
      }
      if (mayChangeVerdicts(message)) this.packet.modifications = (this.packet.modifications + 1) | 0;
      if (this.program.message === undefined) this.send(answerFor(message));
      else this.program.message(message);
    } while (this.inTime);
    this.caughtUp = this.controlIn.empty;
  }

  /** Goes on with what is pending as long as there is time, and room for what it says. */
  private carryOn(): void {
    const { program } = this;
    while (program.pending !== undefined && !this.controlOut.blocked) {
      program.work?.();
      if (!this.inTime) return;
    }
  }

  private packets(rxHead: number, budget: number): number {
    const { packet, program, transmit } = this;
    let left = Math.min(budget, RX_SLOTS);
    let result = 0;
    while (((rxHead - this.rxTail) | 0) > 0) {
      if (left-- <= 0) {
        result = RUN.MORE;
        break;
      }
      packet.begin(this.rxTail & (RX_SLOTS - 1));
      // Its PACKET_OUT message, or what its cell is set up with, is still on its way, or yet to be read.
      if (packet.isBehindMessages && (this.controlIn.partial || !this.caughtUp)) {
        result = this.controlIn.partial || this.controlOut.blocked ? RUN.BLOCKED : RUN.MORE;
        break;
      }
      program.packet(packet);
      const done = packet.finish();
      // Published one by one: what is decided is not lost should the next packet end the cell.
      if (transmit.publish()) this.produced = true;
      if (!done) {
        result = RUN.BLOCKED;
        break;
      }
      this.release();
    }
    return result;
  }

  private release(): void {
    this.rxTail = (this.rxTail + 1) | 0;
  }

  private send(message: Uint8Array): void {
    if (this.controlOut.send(message)) this.produced = true;
  }

  private setTimer(set: boolean, at: number): void {
    this.timerSet = set;
    this.timerAt = at | 0;
    store(this.words, H.TIMER_MS, this.timerAt);
    store(this.words, H.TIMER_SET, set ? 1 : 0);
  }
}
