/** The controller's record of the cells of one device. */

import type { Match } from '../openflow/index.ts';
import type { FlowEntry } from './app.ts';

/**
 * asking: an app is thinking; starting: the rule is sent; pushing: the cell is ready, its entries are on the
 * way; live: the barrier came back; ended: killed or exited, the device may start it again; quarantined: the
 * device drops the flow's packets; gone: nothing is left of it.
 */
export type CellStage = 'asking' | 'starting' | 'pushing' | 'live' | 'ended' | 'quarantined' | 'gone';

/** A dispatch rule and its cell. */
export interface CellRecord {
  /** Names the rule, on this device and for as long as it lives. */
  readonly cookie: bigint;
  /** The app that opened it; undefined when no app of this controller has that mark. */
  readonly app: string | undefined;
  readonly stage: CellStage;
  /** The cell's number on the device; 0 until it is ready. */
  readonly cell: number;
  readonly match: Match;
  readonly priority: number;
  readonly bothDirections: boolean;
  readonly tenant: number;
  /** The entries as the app gave them (of adopted cells: none). */
  readonly entries: readonly FlowEntry[];
  /** Found on the device when it connected: opened before this connection. */
  readonly adopted: boolean;
  /** When the query came (or the cell was adopted), ms since the epoch. */
  readonly since: number;
  /** Device's own figure: from the rule's arrival to the cell being ready, microseconds. */
  readonly setupUs: number;
}

export type CellState = 'ready' | 'failed' | 'removed' | 'killed' | 'exited' | 'quarantined';

/** CELL_STATUS for apps; figures are those of the cell's life so far. */
export interface CellStatus {
  readonly state: CellState;
  readonly reason: string;
  readonly record: CellRecord;
  readonly cpuUs: number;
  readonly memoryBytes: number;
  readonly durationSec: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  /** What the device has to say about it. */
  readonly detail: string;
}

/** By the numbers of the protocol (docs/protocol.md, cell_status). */
export const CELL_STATES: readonly CellState[] = [
  'ready',
  'failed',
  'removed',
  'killed',
  'exited',
  'quarantined',
];
export const CELL_REASONS: readonly string[] = [
  'none',
  'idle_timeout',
  'hard_timeout',
  'delete',
  'memory',
  'cpu',
  'exception',
  'host_died',
  'no_resources',
  'bad_program',
  'unsupported',
];

/**
 * Rule cookies: 16 bits that name the app (so that its rules are recognised after a controller restart),
 * 16 random bits per controller start (so that new cookies do not meet old ones), 32 bits of counter.
 */
export class CookieJar {
  readonly #epoch: bigint;
  readonly #bases = new Map<string, bigint>();
  #count = 0;

  constructor(epoch = Math.floor(Math.random() * 0x10000)) {
    this.#epoch = BigInt(epoch) << 32n;
  }

  next(app: string): bigint {
    let base = this.#bases.get(app);
    if (base === undefined) {
      base = (BigInt(appMark(app)) << 48n) | this.#epoch;
      this.#bases.set(app, base);
    }
    this.#count = (this.#count + 1) >>> 0;
    return base | BigInt(this.#count);
  }
}

/** The 16 bits of a cookie that name the app: FNV-1a folded to 16 bits. */
export function appMark(app: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < app.length; i++) hash = Math.imul(hash ^ app.charCodeAt(i), 0x01000193);
  return ((hash >>> 16) ^ hash) & 0xffff;
}

export function cookieMark(cookie: bigint): number {
  return Number(cookie >> 48n);
}
