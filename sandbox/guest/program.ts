/**
 * What a switch program is: the small interface every program in a cell implements, the built-in `openflow`
 * pipeline as well as an uploaded one. Types only; nothing here runs outside a cell.
 */

/** One packet, a view on a receive slot. The same object is reused for every packet: never keep it. */
export interface Packet {
  /** OpenFlow port the packet came in by. */
  readonly inPort: number;
  /** Length of the whole frame in bytes; the head below may be shorter. */
  readonly frameLength: number;
  /** The cell's whole shared region as bytes; this packet's head is bytes[offset .. offset+length). */
  readonly bytes: Uint8Array;
  /** Start of the Ethernet header in `bytes`. Moves when headers are pushed or popped. */
  offset: number;
  /** Bytes of the head, at most DATA_MAX when received. */
  length: number;
  /** The L4 checksum is partial (pseudo-header sum only). */
  readonly partialChecksum: boolean;
  /** The flow key as the dispatcher extracted it (packet/key.ts), valid until the packet is edited. */
  readonly key: Uint32Array;
  /** OpenFlow PACKET_OUT that brought this packet, or 0 for a packet from a port. */
  readonly packetOutXid: number;
  /**
   * Makes the head writable: after `output` the bytes sent so far must not change, so the head is copied to
   * scratch space first when it was already sent. Call before any edit: what is edited without is sent as it was received.
   */
  edit(): void;
  /**
   * Sends the packet as it is now to a port (number or reserved port), by one of its queues if one is named. May be called
   * several times.
   */
  output(port: number, queue?: number): void;
  /** Sends the packet as it is now to the controller. */
  toController(reason: number, tableId: number, cookie: bigint, metadata: bigint): void;
  /** Declares that this verdict depends on nothing but the flow key. */
  cacheable(): void;
}

/** What a cell offers its program. */
export interface Cell {
  readonly id: number;
  /** Milliseconds, monotonic, 32 bits, free-running: compare by difference `(a - b) | 0`. */
  now(): number;
  /** Sends an OpenFlow message to the controller (by way of the agent, which checks it). */
  send(message: Uint8Array): void;
  /** Asks for `timer()` to be called at or after this time (same clock); one timer, the last call counts. */
  setTimer(at: number): void;
  clearTimer(): void;
}

/** What may happen between two pieces of a program's work: `open`: packets go on; `closed`: nothing. */
export type Pause = 'open' | 'closed';

export interface Program {
  /** Once, before anything else. */
  start?(cell: Cell): void;
  /** For each packet of the flow, in order. No output means drop. */
  packet(packet: Packet): void;
  /**
   * For each OpenFlow message addressed to this cell; whole messages, length already checked. Without it messages
   * are refused. Barriers of uploaded programs are answered for them.
   */
  message?(message: Uint8Array): void;
  /** Set as long as there is work that a message or the timer has begun: neither comes until it is done. */
  readonly pending?: Pause | undefined;
  /** Does a piece of that work, of about a millisecond: one run is too short for all of it. */
  work?(): void;
  timer?(now: number): void;
}
