/** Small programs for cells, and an agent's side that records what it is told. */
import { createHash } from 'node:crypto';
import pino, { type Logger } from 'pino';
import {
  CTL_IN_BYTES,
  CTL_IN_OFFSET,
  CTL_OUT_BYTES,
  CTL_OUT_OFFSET,
  DATA_OFFSET,
  H,
  KEY_WORDS,
  REGION_BYTES,
  RENEW,
  RENEW_FIRST,
  RUN,
  RX_OFFSET,
  RX_SLOTS,
  SLOT,
  SLOT_BYTES,
  TX,
  TX_FLAG,
  TX_KIND,
  TX_OFFSET,
  TX_RECORDS,
  TX_WORDS,
} from '../../sandbox/channel/layout.ts';
import type {
  CellEnd,
  CellEvents,
  CellHandle,
  CellLimits,
  FrameRef,
  OpenCallback,
  ProgramImage,
  SandboxHost,
  Verdict,
} from '../../sandbox/index.ts';

/** Code to put into a raw program. `words` and `bytes` (the region), `send(bytes)` are in scope. */
export interface RawHooks {
  /** At the top level, in the first __run (`id` is in scope), at the start of each __run. */
  load?: string;
  attach?: string;
  run?: string;
  /** The isolate can be used again, and this is done when it is reset; `given` (run's argument) is in scope. */
  renew?: string;
  /** Before each packet is sent back; `slot` (words), `data` (bytes) and `place` are in scope. */
  packet?: string;
}

/**
 * A program without the guest runtime: sends each packet back to its port, answers each byte of control with
 * the same byte.
 */
export function rawProgram(name: string, hooks: RawHooks = {}): ProgramImage {
  const code = `
    ${hooks.load ?? ''}
    const words = new Int32Array(__region, __regionOffset, ${REGION_BYTES / 4});
    const bytes = new Uint8Array(__region, __regionOffset, ${REGION_BYTES});
    let rx = 0, tx = 0, ctlIn = 0, ctlOut = 0;
    function packet(place) {
      const slot = words.subarray(${RX_OFFSET / 4} + place * ${SLOT_BYTES / 4});
      const start = ${RX_OFFSET} + place * ${SLOT_BYTES} + ${DATA_OFFSET};
      const data = bytes.subarray(start, start + slot[${SLOT.HEAD_LEN}]);
      ${hooks.packet ?? ''}
      const record = ${TX_OFFSET / 4} + (tx & ${TX_RECORDS - 1}) * ${TX_WORDS};
      words[record + ${TX.KIND}] = ${TX_KIND.OUTPUT | TX_FLAG.LAST};
      words[record + ${TX.SLOT}] = place;
      words[record + ${TX.PORT}] = slot[${SLOT.IN_PORT}];
      words[record + ${TX.HEAD_OFFSET}] = start;
      words[record + ${TX.HEAD_LEN}] = slot[${SLOT.HEAD_LEN}];
      words[record + ${TX.HEAD_CONSUMED}] = slot[${SLOT.HEAD_LEN}];
      tx++;
    }
    function control() {
      const head = Atomics.load(words, ${H.CTL_IN_HEAD});
      const room = ${CTL_OUT_BYTES} - (ctlOut - Atomics.load(words, ${H.CTL_OUT_TAIL}));
      let left = Math.min(head - ctlIn, room);
      for (; left > 0; left--, ctlIn++, ctlOut++) {
        bytes[${CTL_OUT_OFFSET} + (ctlOut & ${CTL_OUT_BYTES - 1})] =
          bytes[${CTL_IN_OFFSET} + (ctlIn & ${CTL_IN_BYTES - 1})];
      }
      Atomics.store(words, ${H.CTL_IN_TAIL}, ctlIn);
      Atomics.store(words, ${H.CTL_OUT_HEAD}, ctlOut);
      return ctlIn !== head;
    }
    function send(message) {
      for (const byte of message) bytes[${CTL_OUT_OFFSET} + (ctlOut++ & ${CTL_OUT_BYTES - 1})] = byte;
      Atomics.store(words, ${H.CTL_OUT_HEAD}, ctlOut);
    }
    let attached = false;
    function attach(id) { ${hooks.attach ?? ''} }
    function __warm() { bytes.fill(1); }
    function __run(given) {
      let budget = given;
      let renewed = 0;
      if (${hooks.renew !== undefined} && (given === ${RENEW} || given >= ${RENEW_FIRST})) {
        attached = false;
        rx = tx = ctlIn = ctlOut = 0;
        ${hooks.renew ?? ''}
        renewed = ${RUN.RENEWED};
        if (given === ${RENEW}) return renewed;
        budget -= ${RENEW_FIRST};
      }
      if (!attached) {
        attached = true;
        attach(words[${H.CELL_ID}] >>> 0);
      }
      ${hooks.run ?? ''}
      const blocked = control();
      const head = Atomics.load(words, ${H.RX_HEAD});
      for (; rx !== head && budget > 0; rx++, budget--) packet(rx & ${RX_SLOTS - 1});
      Atomics.store(words, ${H.RX_TAIL}, rx);
      Atomics.store(words, ${H.TX_HEAD}, tx);
      return renewed | ${RUN.PRODUCED} | (rx !== head ? ${RUN.MORE} : 0) | (blocked ? ${RUN.BLOCKED} : 0);
    }
  `;
  return { name, hash: createHash('sha256').update(code).digest('hex'), code, trusted: true };
}

export interface TestFrame extends FrameRef {
  readonly serial: number;
}

/** A frame of `length` bytes that depend on the seed. */
export function makeFrame(serial: number, length = 64): TestFrame {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (serial * 31 + i * 7) & 0xff;
  return {
    serial,
    bytes,
    offset: 0,
    length,
    inPort: 1 + (serial % 100),
    flags: 0,
    csumStart: 0,
    csumOffset: 0,
    l3Offset: 14,
    l4Offset: 34,
    packetOutXid: 0,
  };
}

export const NO_KEY = new Uint32Array(KEY_WORDS);

export interface Sent {
  cell: number;
  serial: number;
  port: number;
  head: Uint8Array;
}

/** Records events; `until` resolves when they have come far enough. */
export class Recorder implements CellEvents<TestFrame> {
  readonly sent: Sent[] = [];
  readonly messages: Uint8Array[] = [];
  readonly ends: { cell: number; end: CellEnd; detail: string }[] = [];
  readonly lostFrames: number[] = [];
  drains = 0;
  readonly #counts = new Map<number, number>();
  #waits: { condition: () => boolean; resolve: () => void }[] = [];

  verdict(cell: CellHandle<TestFrame>, verdict: Verdict<TestFrame>): void {
    const { frame, port, region, headOffset, headLength } = verdict;
    const head = region.slice(headOffset, headOffset + headLength);
    this.#counts.set(cell.id, this.count(cell.id) + 1);
    this.sent.push({ cell: cell.id, serial: frame.serial, port, head });
    this.#check();
  }

  message(_cell: CellHandle<TestFrame>, message: Uint8Array): void {
    this.messages.push(message.slice());
    this.#check();
  }

  ended(cell: CellHandle<TestFrame>, end: CellEnd, detail: string): void {
    this.ends.push({ cell: cell.id, end, detail });
    this.#check();
  }

  lost(_cell: CellHandle<TestFrame>, frame: TestFrame): void {
    this.lostFrames.push(frame.serial);
  }

  drained(): void {
    this.drains++;
    this.#check();
  }

  /** Records so far from this cell. */
  count(cell: number): number {
    return this.#counts.get(cell) ?? 0;
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waits.push({ condition, resolve });
    });
  }

  #check(): void {
    if (this.#waits.length === 0) return;
    this.#waits = this.#waits.filter(({ condition, resolve }) => {
      if (!condition()) return true;
      resolve();
      return false;
    });
  }
}

/** Time enough for a run on a machine with other work: where the time is what is tested, a test says how much. */
const DEFAULT_LIMITS: CellLimits = { memoryMiB: 16, runMs: 900 };

export function openCell(
  host: SandboxHost<TestFrame>,
  id: number,
  program: ProgramImage,
  limits = DEFAULT_LIMITS,
): Promise<CellHandle<TestFrame>> {
  return new Promise((resolve, reject) => {
    const callback: OpenCallback<TestFrame> = (error, cell) => (cell ? resolve(cell) : reject(error));
    host.open({ id, program, limits, callback });
  });
}

/** Shows warnings when asked for by FLOWCELL_TEST_LOG. */
export function testLogger(): Logger {
  return pino({ level: process.env.FLOWCELL_TEST_LOG ?? 'silent' });
}
