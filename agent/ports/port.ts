/** What the dispatcher and the control channel know of a port, whatever kind of interface is behind it. */
import type { Frame } from './frames.ts';

export interface PortCounters {
  rxPackets: number;
  rxBytes: number;
  /** Lost on the way in: the kernel's socket buffer or the frame pool was full. */
  rxDropped: number;
  rxErrors: number;
  txPackets: number;
  txBytes: number;
  /** Not sent: queue full (ENOBUFS, EAGAIN), port down (ENETDOWN). */
  txDropped: number;
  /** Not sent: refused by the kernel (EMSGSIZE, EINVAL ...) or offload data that made no sense. */
  txErrors: number;
  /** txDropped and txErrors by errno name. */
  errors: Record<string, number>;
}

export interface LinkState {
  /** The interface exists. */
  present: boolean;
  /** Administratively up. */
  up: boolean;
  /** Has a carrier. */
  running: boolean;
}

export interface Port {
  /** OpenFlow port number. */
  readonly number: number;
  readonly name: string;
  readonly hardwareAddress: string;
  /** Mbit/s, 0 when unknown. */
  readonly speed: number;
  readonly link: LinkState;
  readonly counters: PortCounters;
  /** OFPPC bits set by the controller (PORT_MOD). */
  config: number;
  /** When the port was added, ms of the agent's clock. */
  readonly since: number;
  /**
   * Queues a packet: `headLength` bytes at `headAddress` (0: none), then the frame from `consumed` on. The frame keeps a
   * reference until it is sent; the head must stay as it is until flush().
   */
  send(frame: Frame, headAddress: number, headLength: number, consumed: number): void;
  /** Sends what is queued. */
  flush(): void;
  /** Fetches what only the kernel counts. */
  refreshCounters(): void;
  close(): void;
}

/** Receives each frame; it belongs to the callee, which releases it to the pool. */
export type FrameSink = (frame: Frame) => void;
