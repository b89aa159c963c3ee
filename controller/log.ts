/** What the controller needs of a logger; a pino logger is one. */

import { pino } from 'pino';

export interface Logger {
  debug(fields: object, sentence: string): void;
  info(fields: object, sentence: string): void;
  warn(fields: object, sentence: string): void;
  error(fields: object, sentence: string): void;
  isLevelEnabled(level: string): boolean;
}

/** JSON lines on stderr; level from FLOWCELL_LOG (default `info`). */
export function defaultLogger(): Logger {
  return pino({ name: 'controller', level: process.env.FLOWCELL_LOG ?? 'info' }, pino.destination(2));
}

/**
 * Lets a sentence through once per key and interval, and says how many were held back since. What a device
 * or an app does wrong a million times a second must not become a million lines.
 */
export class LogGate {
  readonly #intervalMs: number;
  readonly #keys = new Map<string, { until: number; held: number }>();

  constructor(intervalMs = 1000) {
    this.#intervalMs = intervalMs;
  }

  /** How many were held back since the last one that passed, or -1 when this one is to be held back. */
  pass(key: string, now = Date.now()): number {
    const state = this.#keys.get(key);
    if (state === undefined) {
      if (this.#keys.size >= 1024) this.#keys.clear();
      this.#keys.set(key, { until: now + this.#intervalMs, held: 0 });
      return 0;
    }
    if (now < state.until) {
      state.held++;
      return -1;
    }
    const held = state.held;
    state.until = now + this.#intervalMs;
    state.held = 0;
    return held;
  }
}
