/** When a connection has been silent, or a message or the handshake unfinished, for too long. */

import type { Limits } from './limits.ts';
import type { Counters } from './metrics.ts';

export interface WatchedState {
  /** The handshake is complete. */
  readonly open: boolean;
  /** Bytes of a message that is not complete yet. */
  readonly buffered: number;
  /** We do not read from the device, because it does not read from us. */
  readonly paused: boolean;
}

/** What is to be done: nothing, ask for an echo, end the connection in order, or at once. */
export type Verdict =
  | { readonly what: 'nothing' | 'echo' }
  | { readonly what: 'close' | 'abort'; readonly reason: string };

const NOTHING: Verdict = { what: 'nothing' };

export class Watch {
  readonly #limits: Limits;
  readonly #counters: Counters;
  readonly #openedAt: number;
  #lastHeard: number;
  #echoSent = false;
  /** When the message that is not complete yet began. */
  #partialSince = 0;

  /** `now`: when the connection was opened. Times in ms (Time). */
  constructor(limits: Limits, counters: Counters, now: number) {
    this.#limits = limits;
    this.#counters = counters;
    this.#openedAt = now;
    this.#lastHeard = now;
  }

  /** Something came from the device, or it took what we had for it. */
  heard(now: number): void {
    this.#lastHeard = now;
    this.#echoSent = false;
  }

  /** The bytes that came last completed a message, or began one. */
  progressed(now: number): void {
    this.#partialSince = now;
  }

  check(now: number, { open, buffered, paused }: WatchedState): Verdict {
    const { handshakeMs, partialMessageMs, echoIdleMs, echoTimeoutMs } = this.#limits;
    if (!open) {
      if (now - this.#openedAt <= handshakeMs) return NOTHING;
      this.#counters.handshakes_failed++;
      return { what: 'close', reason: `the handshake did not finish in ${handshakeMs} ms` };
    }
    if (buffered > 0 && now - this.#partialSince > partialMessageMs) {
      this.#counters.partial_message_timeouts++;
      const reason = `the rest of a message (${buffered} bytes came) did not arrive in ${partialMessageMs} ms`;
      return { what: 'close', reason };
    }
    const silent = now - this.#lastHeard;
    if (silent > echoTimeoutMs) {
      this.#counters.keepalive_timeouts++;
      const reason = paused
        ? `the device has not read for ${echoTimeoutMs} ms`
        : `not a word from the device in ${echoTimeoutMs} ms`;
      return { what: 'abort', reason };
    }
    if (silent <= echoIdleMs || this.#echoSent) return NOTHING;
    this.#echoSent = true;
    return { what: 'echo' };
  }
}
