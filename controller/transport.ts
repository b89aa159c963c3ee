/** The connection to a device as the controller uses it: a TCP socket, or what a test has in its place. */

/** Members are those of net.Socket. */
export interface Transport {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly writable: boolean;
  /** Bytes written that have not left yet. */
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'drain' | 'end' | 'close', listener: () => void): unknown;
  setNoDelay(noDelay?: boolean): unknown;
  write(bytes: Uint8Array): unknown;
  pause(): unknown;
  resume(): unknown;
  isPaused(): boolean;
  /** Ends the connection when what was written has left. */
  destroySoon(): void;
  destroy(): unknown;
}
