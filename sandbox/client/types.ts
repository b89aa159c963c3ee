/** The agent's side of a sandbox host: what the dispatcher and the control channel work with. */

/** A switch program as hosts load it: one self-contained script, named by its content. */
export interface ProgramImage {
  /** Name for people, e.g. `openflow`. */
  readonly name: string;
  /** Lower-case hex SHA-256 of `code`. */
  readonly hash: string;
  readonly code: string;
  /** Built in (our own, may compile code at run time) or uploaded (hardened globals). */
  readonly trusted: boolean;
}

export interface CellLimits {
  /** V8 heap of the isolate, MiB (8 is the least V8 takes). */
  readonly memoryMiB: number;
  /** Longest time one run (a batch of packets) may take before the watchdog ends the cell, ms. */
  readonly runMs: number;
  /** What is between it and other cells. Default `isolate`. */
  readonly wall?: CellWall;
}

/**
 * isolate: an isolate of its own in one of the tenant's sandbox hosts; process: a sandbox host of its own; context: a context
 * of its own in an isolate that other cells of the tenant share (programs that come with Flowcell only).
 */
export type CellWall = 'isolate' | 'process' | 'context';

export const DEFAULT_LIMITS: CellLimits = { memoryMiB: 16, runMs: 50 };

/** Why a cell ended. `host-died` is the only one after which the agent restarts the cell by itself. */
export type CellEnd = 'closed' | 'memory' | 'cpu' | 'exception' | 'host-died';

export interface CellUsage {
  cpuUs: number;
  heapBytes: number;
}

/**
 * A frame the agent owns while a cell looks at its head. The dispatcher's own frame class has these fields;
 * the client keeps the reference per slot and hands it back with each transmit record.
 */
export interface FrameRef {
  /** The whole receive memory; the frame is bytes[offset .. offset+length). */
  readonly bytes: Uint8Array;
  readonly offset: number;
  length: number;
  inPort: number;
  /** SLOT_FLAG bits. */
  flags: number;
  csumStart: number;
  csumOffset: number;
  l3Offset: number;
  l4Offset: number;
  /** Set for a PACKET_OUT being run through a cell, else 0. */
  packetOutXid: number;
}

/** A transmit record after it was checked; one object, reused for every record. */
export interface Verdict<F extends FrameRef> {
  /** TX_KIND. */
  kind: number;
  last: boolean;
  cacheable: boolean;
  /** Where it is cacheable: the cell's name for how it came to be, 0: none; messages seen (channel/modifications.ts). */
  path: number;
  modifications: number;
  frame: F;
  port: number;
  /**
   * Head to send: region[headOffset .. headOffset+headLength), then frame[headConsumed ..). An OUTPUT of headLength 0 is
   * the frame as it was received.
   */
  region: Uint8Array;
  /** Address of region[0], for iovecs. */
  regionAddress: bigint;
  headOffset: number;
  headLength: number;
  headConsumed: number;
  /** OUTPUT: the queue of the port as a signed word, or NO_QUEUE. */
  queue: number;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

export interface CellEvents<F extends FrameRef> {
  /** Every checked record, in order. With `last` the frame is the caller's again. */
  verdict(cell: CellHandle<F>, verdict: Verdict<F>): void;
  /**
   * Called after a batch of verdicts, before the memory they point at may be used again (before TX_TAIL moves
   * or a slot is refilled): whoever queued them for sending sends now.
   */
  batchEnd?(): void;
  /** One whole OpenFlow message from the cell (length-checked, otherwise untrusted). Copy it to keep it. */
  message(cell: CellHandle<F>, message: Uint8Array): void;
  /** The cell is gone. Frames still in it are handed back through `lost` first. */
  ended(cell: CellHandle<F>, end: CellEnd, detail: string): void;
  lost(cell: CellHandle<F>, frame: F): void;
  /** There is room again in the slots (after push() returned false). */
  drained(cell: CellHandle<F>): void;
}

export interface CellHandle<F extends FrameRef> {
  /** The agent's number for this cell (32 bits, unique on the device); 0 is the default cell. */
  readonly id: number;
  readonly program: ProgramImage;
  readonly alive: boolean;
  /** Frames inside the cell now. */
  readonly inFlight: number;
  /** Hands a frame to the cell: copies head and key into the next slot. False when all slots are taken. */
  push(frame: F, key: Uint32Array): boolean;
  /** Sends whole OpenFlow messages to the cell, in order. False when the bounded queue is full. */
  send(message: Uint8Array): boolean;
  /** Latest figures the host reported (about once a second). */
  readonly usage: CellUsage;
  /** Ends the cell; `ended` follows with 'closed'. */
  close(): void;
}

/** `setupUs`: from the request to the cell's being there. Errors are SandboxErrors. */
export type OpenCallback<F extends FrameRef> = (
  error: Error | null,
  cell: CellHandle<F> | null,
  setupUs: number,
) => void;

/** What is said to open a cell. */
export interface CellRequest<F extends FrameRef> {
  /** The cell's number. */
  readonly id: number;
  readonly program: ProgramImage;
  readonly limits: CellLimits;
  /** Called before open() returns when an isolate is warm. */
  readonly callback: OpenCallback<F>;
  /**
   * Asked when an isolate is there. False: whoever asked has given up, does not get it and is not called back. Left
   * out: nobody does.
   */
  readonly wanted?: () => boolean;
}
