/** What the dispatcher and the control channel know of a port, whatever kind of interface is behind it. */

import type { Frame } from './frames.ts';
import type { Medium } from './medium.ts';

export interface PortCounters {
  rxPackets: number;
  rxBytes: number;
  /** Lost on the way in: the kernel's socket buffer or the frame pool was full, or the port is not to receive. */
  rxDropped: number;
  rxErrors: number;
  /** Times that packets were taken in one go: rxPackets for each of them says how many there were. */
  rxBatches: number;
  txPackets: number;
  txBytes: number;
  /** Not sent: queue full (ENOBUFS, EAGAIN), port down (ENETDOWN). */
  txDropped: number;
  /** Not sent: refused by the kernel (EMSGSIZE, EINVAL ...) or offload data that made no sense. */
  txErrors: number;
  /** System calls that sent something. */
  txBatches: number;
  /** txDropped and txErrors by errno name. */
  errors: Record<string, number>;
}

/** Of a port that has just been added. */
export const emptyCounters = (): PortCounters => ({
  rxPackets: 0,
  rxBytes: 0,
  rxDropped: 0,
  rxErrors: 0,
  rxBatches: 0,
  txPackets: 0,
  txBytes: 0,
  txDropped: 0,
  txErrors: 0,
  txBatches: 0,
  errors: {},
});

export interface LinkState {
  /** The interface exists. */
  present: boolean;
  /** Administratively up. */
  up: boolean;
  /** Has a carrier. */
  running: boolean;
}

/** OFPPC_NO_FLOOD of OpenFlow 1.0, which later versions dropped; FLOOD passes over such a port. */
export const NO_FLOOD = 1 << 4;

/** A queue of a port: a class of its HTB qdisc. */
export interface PortQueue {
  readonly id: number;
  /** Guaranteed and most, bits per second. */
  readonly minRate: number;
  readonly maxRate: number;
  /** When it was found, ms of the agent's clock. */
  readonly since: number;
  readonly txPackets: bigint;
  readonly txBytes: bigint;
  /** Packets that had no room in it. */
  readonly drops: number;
}

export interface Port {
  /** OpenFlow port number. */
  readonly number: number;
  readonly name: string;
  readonly hardwareAddress: string;
  readonly medium: Medium;
  readonly link: LinkState;
  readonly counters: PortCounters;
  /** OFPPC bits in force. PORT_DOWN is what the interface says, whoever set it down. */
  readonly config: number;
  /** When the port was added, ms of the agent's clock. */
  readonly since: number;
  /** Carries out a PORT_MOD: takes all OFPPC bits. Throws PortError when the interface cannot be set up or down. */
  configure(config: number): void;
  hasQueue(id: number): boolean;
  /** Its queues with the kernel's figures of this moment, by their numbers. */
  queues(): readonly PortQueue[];
  /**
   * Queues a packet: `headLength` bytes at `headAddress`, then the frame from `consumed` on; `headLength` 0: the frame as
   * it was received. It goes by `queue`
   * if the port has that. The frame keeps a reference until it is sent; the head must stay as it is until flush().
   */
  send(frame: Frame, headAddress: number, headLength: number, consumed: number, queue: number): void;
  /** Sends what is queued. */
  flush(): void;
  /** Fetches what only the kernel counts. */
  refreshCounters(): void;
  close(): void;
}

/** Receives each frame; it belongs to the callee, which releases it to the pool. */
export type FrameSink = (frame: Frame) => void;
