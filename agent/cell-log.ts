/**
 * What a cell was told, so that it can be told again after its sandbox host died: the flow entries that are in force, as
 * the FLOW_MOD bytes they came in. An ADD takes the place of an earlier one with the same table, priority and match;
 * deletions take entries out. What cannot be folded like that is kept in its place in the sequence.
 */
import {
  decode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  Group,
  type Match,
  type Message,
  Port,
  Table,
} from '../openflow/index.ts';
import { type CompiledMatch, compileMatch } from '../sandbox/match.ts';
import { isWithin, sameMatch } from './dispatcher/rules.ts';

export type FlowMod = Extract<Message, { type: 'flow_mod' }>;

/** ofp_flow_mod: the match begins here, after header and fixed fields. */
const MATCH_OFFSET = 48;
const TABLE_OFFSET = 24;
const COMMAND_OFFSET = 25;
const PRIORITY_OFFSET = 30;
const HARD_TIMEOUT_OFFSET = 28;
const FLAGS_OFFSET = 44;

interface Entry {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly hardTimeout: number;
  /** An ADD, which later messages can replace or take out. */
  readonly foldable: boolean;
  readonly table: number;
  readonly priority: number;
  /** Made when it is first needed. */
  match?: CompiledMatch;
}

const matchOf = (entry: Entry): CompiledMatch => {
  if (entry.match === undefined) {
    const message = decode(entry.bytes);
    entry.match = compileMatch(message.type === 'flow_mod' ? message.match : {});
  }
  return entry.match;
};

const keyOf = (bytes: Uint8Array): string => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const match = view.readUInt16BE(MATCH_OFFSET + 2);
  return (
    view.toString('latin1', TABLE_OFFSET, TABLE_OFFSET + 1) +
    view.toString('latin1', PRIORITY_OFFSET, PRIORITY_OFFSET + 2) +
    view.toString('latin1', MATCH_OFFSET + 4, MATCH_OFFSET + match)
  );
};

/** Deletes everything its match covers, with no further condition. */
const isPlainDelete = (message: FlowMod): boolean =>
  message.cookie_mask === 0n && message.out_port === Port.ANY && message.out_group === Group.ANY;

export class CellLog {
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();
  #sequence = 0;
  /** False once something had to be left out: the log then does not make the cell what it was. */
  complete = true;

  constructor(limit = 16384) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Notes a FLOW_MOD; `bytes` may be reused by the caller. */
  record(message: FlowMod, bytes: Uint8Array, now: number): void {
    switch (message.command) {
      case FlowModCommand.ADD:
        this.#put(keyOf(bytes), message, bytes, now);
        return;
      case FlowModCommand.DELETE_STRICT:
        if (!isPlainDelete(message)) break;
        this.#entries.delete(keyOf(bytes));
        return;
      case FlowModCommand.DELETE:
        if (!isPlainDelete(message)) break;
        this.#deleteWithin(message);
        return;
      default:
        if ((message.flags & FLOW_MOD_UPSERT) === 0) break;
        this.#upsert(message, bytes.slice(), now);
        return;
    }
    this.#put(`#${this.#sequence++}`, message, bytes, now);
  }

  /** An entry ran out in the cell: it is not to come back. */
  removed(table: number, priority: number, match: Match): void {
    const compiled = compileMatch(match);
    for (const [key, entry] of this.#entries) {
      if (!entry.foldable || entry.table !== table || entry.priority !== priority) continue;
      if (sameMatch(matchOf(entry), compiled)) this.#entries.delete(key);
    }
  }

  /** The messages that rebuild the cell, in order; hard timeouts are what is left of them. */
  *replay(now: number): Generator<Uint8Array> {
    for (const entry of this.#entries.values()) {
      if (entry.hardTimeout === 0) {
        yield entry.bytes;
        continue;
      }
      const left = Math.ceil(entry.hardTimeout - (now - entry.at) / 1000);
      if (left <= 0) continue;
      const bytes = entry.bytes.slice();
      bytes[HARD_TIMEOUT_OFFSET] = left >>> 8;
      bytes[HARD_TIMEOUT_OFFSET + 1] = left;
      yield bytes;
    }
  }

  #put(key: string, message: FlowMod, bytes: Uint8Array, now: number): void {
    // Out and in again: an ADD counts from where it stands in the sequence now.
    this.#entries.delete(key);
    if (this.#entries.size >= this.#limit) {
      this.complete = false;
      return;
    }
    this.#entries.set(key, {
      bytes: bytes.slice(),
      at: now,
      hardTimeout: message.hard_timeout,
      foldable: message.command === FlowModCommand.ADD,
      table: message.table_id,
      priority: message.priority,
    });
  }

  /** Kept as the ADD or the plain MODIFY that it is in the cell: replayed, it must not add what was deleted later. */
  #upsert(message: FlowMod, bytes: Uint8Array, now: number): void {
    const flags = message.flags & ~FLOW_MOD_UPSERT;
    bytes[FLAGS_OFFSET] = flags >>> 8;
    if (this.#finds(message, bytes)) {
      this.#put(`#${this.#sequence++}`, message, bytes, now);
      return;
    }
    bytes[COMMAND_OFFSET] = FlowModCommand.ADD;
    this.#put(keyOf(bytes), { ...message, command: FlowModCommand.ADD }, bytes, now);
  }

  /** Whether there is an entry that this MODIFY is about. */
  #finds(message: FlowMod, bytes: Uint8Array): boolean {
    if (message.command === FlowModCommand.MODIFY_STRICT) return this.#entries.has(keyOf(bytes));
    const match = compileMatch(message.match);
    for (const entry of this.#entries.values()) {
      if (entry.foldable && entry.table === message.table_id && isWithin(matchOf(entry), match)) return true;
    }
    return false;
  }

  #deleteWithin(message: FlowMod): void {
    const match = compileMatch(message.match);
    for (const [key, entry] of this.#entries) {
      if (!entry.foldable) continue;
      if (message.table_id !== Table.ALL && entry.table !== message.table_id) continue;
      if (isWithin(matchOf(entry), match)) this.#entries.delete(key);
    }
  }
}
