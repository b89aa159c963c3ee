/** What a connection to a controller is made of: its limits, who hears of it, and the socket as it uses it. */
import type { Logger } from 'pino';
import type { Message } from '../../openflow/index.ts';
import type { DialectContext } from '../../openflow/translate/index.ts';
import type { Time } from '../clock.ts';

/** Milliseconds, and bytes of output. */
export interface ConnectionLimits {
  /** Time for connecting, and for the peer's hello. */
  handshakeMs: number;
  /** Silence after which an echo request goes out, and after which the connection is given up. */
  idleMs: number;
  deadMs: number;
  /** A message that has begun must be complete by then. */
  partialMs: number;
  retryMs: number;
  maxRetryMs: number;
  /** Above this, messages that can be spared are dropped; above the second, the connection. */
  softBytes: number;
  hardBytes: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  handshakeMs: 5000,
  idleMs: 5000,
  deadMs: 15_000,
  partialMs: 10_000,
  retryMs: 250,
  maxRetryMs: 8000,
  softBytes: 4 << 20,
  hardBytes: 32 << 20,
};

export interface ConnectionEvents {
  /** Versions are agreed on. */
  established(): void;
  /**
   * Any message but hello and echo; valid until the call returns. `bytes`: the message in OpenFlow 1.3; `original`: what was
   * received, in the version of the connection (the same bytes where that is 1.3). An OpenFlowError thrown is sent.
   */
  message(message: Message, bytes: Uint8Array, original: Uint8Array): void;
  closed(reason: string): void;
}

export interface ConnectionOptions {
  host: string;
  port: number;
  events: ConnectionEvents;
  /** Wire versions to offer. Default: all that are spoken. */
  protocols?: readonly number[];
  /** What dialects ask about the device. */
  context: DialectContext;
  logger: Logger;
  limits?: Partial<ConnectionLimits>;
  time?: Time;
  /** Default: over TCP. */
  connect?: Connect;
}

/** The connection to a controller as Connection uses it: a TCP socket, or what a test has in its place. */
export interface ControllerSocket {
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect' | 'close', listener: () => void): unknown;
  write(bytes: Uint8Array): unknown;
  pause(): unknown;
  resume(): unknown;
  destroySoon(): void;
  destroy(): unknown;
}
/** Begins to connect; `connect` or `error` is emitted later. */
export type Connect = (address: { host: string; port: number }) => ControllerSocket;
