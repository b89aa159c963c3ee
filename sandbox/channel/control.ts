/**
 * What the agent and one sandbox host share besides the cells' regions: the control page (start of the
 * host's memfd) and the messages over the control socket. Guests see none of it.
 *
 * The page carries what is hot: which cells have something to do (READY, agent -> host), which cells have
 * produced something (DONE, host -> agent), taking a warm cell, and who sleeps. The socket carries the rest
 * as lines of JSON.
 */
import { REGION_BYTES } from './layout.ts';

/** Cell indexes of one host: 0 .. MAX_INDEX-1. A host uses at most HOST_CELLS of them (facts.md). */
export const MAX_INDEX = 2048;
export const HOST_CELLS = 2000;

/** The control page comes first in the memfd, then region 0, region 1, ... */
export const CONTROL_BYTES = 2 * REGION_BYTES;

export function regionOffset(index: number): number {
  return CONTROL_BYTES + index * REGION_BYTES;
}

/** Words (32 bits) of the control page, a cache line apart. */
export const C = {
  /** Counts the host's turns and runs: it changes as long as the host's thread gets on. */
  HEARTBEAT: 0,
  /** 1 while that side sleeps in poll() (or is about to): whoever sets it to 0 must signal the eventfd. */
  HOST_SLEEPING: 16,
  AGENT_SLEEPING: 32,
  READY_HEAD: 48,
  READY_TAIL: 64,
  DONE_HEAD: 80,
  DONE_TAIL: 96,
  /** Index + 1 of the cell that runs, 0 while none does: whom to blame when the host gets stuck or crashes. */
  RUNNING: 112,
} as const;

/**
 * Rings of cell indexes. An index is in a ring at most once (its flag in CELL_READY or CELL_DONE is 1 as long
 * as it is), so a ring of at least MAX_INDEX entries never overflows. The consumer clears the flag before it
 * looks at the cell.
 */
export const RING_SIZE = 2 * MAX_INDEX;
export const READY_RING = 1024;
export const DONE_RING = READY_RING + RING_SIZE;

/** One word per cell index. */
const TABLE = DONE_RING + RING_SIZE;
export const CELL_READY = TABLE;
export const CELL_DONE = TABLE + MAX_INDEX;
/** Set by the host: the cell waits for room in its transmit or control ring; the agent clears it, marks READY. */
export const CELL_BLOCKED = TABLE + 2 * MAX_INDEX;
/** Set by the agent: it has more control bytes than fitted; the host clears it and marks DONE after a run. */
export const CELL_WANT = TABLE + 3 * MAX_INDEX;
/**
 * One of TAKEN. A warm cell is taken by writing its number and run limit (ms), then TAKEN.CELL, and then marking it READY.
 * A cell whose isolate may have another flow is given back by TAKEN.BACK, and marking it READY: it is warm again when
 * the host has written TAKEN.AGAIN and marked it DONE; or `released`, or `ended`, as after a `release`. The host
 * writes TAKEN.NO when the index is free again.
 */
export const CELL_TAKEN = TABLE + 4 * MAX_INDEX;
export const TAKEN = { NO: 0, CELL: 1, BACK: 2, AGAIN: 3 } as const;
export const CELL_ID = TABLE + 5 * MAX_INDEX;
export const CELL_RUN_MS = TABLE + 6 * MAX_INDEX;

/** Arguments of the host process, as one JSON string. */
export interface HostArguments {
  tenant: number;
  /** Own user and group id to take on. */
  uid: number;
  /** Packets one cell may handle before the next has its turn. */
  budget: number;
  /** Cells it is to hold at most. */
  cells: number;
}

/** Inherited descriptors of the host process. */
export const HOST_FD = { CONTROL: 3, MEMORY: 4, TO_HOST: 5, TO_AGENT: 6 } as const;

/** host-died: the isolate that it shared with others ended by another's doing. */
export type HostEnd = 'closed' | 'memory' | 'cpu' | 'exception' | 'host-died';

/** What isolates are made and kept by. */
export interface CellKind {
  /** Of the program. */
  hash: string;
  memoryMiB: number;
  /** A context in an isolate that others have one in. */
  shared: boolean;
}

export type ToHost =
  /** A program to keep `target` isolates (of `memoryMiB`) warm of; 0: made to order only. */
  | {
      type: 'program';
      hash: string;
      /** Trusted script that defines the entries (guest/cell-globals.ts). */
      runtime: string;
      /** Foreign script that runs on it, or null when the program is built in. */
      uploaded: string | null;
      target: number;
      memoryMiB: number;
    }
  /** One isolate is needed now; answered by `warm` or `failed`. */
  | ({ type: 'make' } & CellKind)
  /** The agent will not touch this region again: dispose the cell if it lives, and use the index again. */
  | { type: 'release'; index: number };

export type ToAgent =
  /** Locked down; programs are welcome. `notices`: protections this system does not permit. */
  | { type: 'ready'; pid: number; notices: string[] }
  | ({ type: 'warm'; index: number } & CellKind)
  | ({ type: 'failed'; reason: 'bad_program' | 'no_resources'; detail: string } & CellKind)
  /** The cell is gone; its index is the agent's until `release`. */
  | { type: 'ended'; index: number; end: HostEnd; detail: string }
  /** A `release`d index is wiped; `why`: one that was given back for another flow is not fit for it. */
  | { type: 'released'; index: number; why?: string }
  /** [index, cell number, CPU microseconds since the cell began, V8 heap bytes] of cells that ran. */
  | { type: 'usage'; cells: [number, number, number, number][] };

/** Longest line either side accepts, bytes. */
export const MAX_LINE = 16 * 1024 * 1024;

/** Splits a byte stream into lines of JSON. */
export class LineReader {
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #limit: number;

  constructor(limit = MAX_LINE) {
    this.#limit = limit;
  }

  /** Calls `onMessage` for each whole line; throws on a line that is too long or is not JSON. */
  push(chunk: Buffer, onMessage: (message: unknown) => void): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.#parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.#parts).toString();
      this.#parts = [];
      this.#bytes = 0;
      start = end + 1;
      onMessage(JSON.parse(line));
    }
    if (start === chunk.length) return;
    this.#parts.push(chunk.subarray(start));
    this.#bytes += chunk.length - start;
    if (this.#bytes > this.#limit) throw new RangeError(`control line longer than ${this.#limit} bytes`);
  }
}
