/**
 * What a cell was told, so that it can be told again after its sandbox host died: groups and meters (object-log.ts), and the
 * flow entries that are in force, as the FLOW_MOD bytes they came in. An ADD takes the place of an earlier one with the same
 * table, priority and match; deletions take entries out. What cannot be folded like that is kept in its place in the sequence.
 */
import {
  decode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  Group,
  GroupModCommand,
  type Match,
  type Message,
  Meter,
  MeterModCommand,
  Port,
  Table,
} from '../openflow/index.ts';
import { type CompiledMatch, compileMatch } from '../sandbox/match.ts';
import { isWithin, sameMatch } from './dispatcher/rules.ts';
import { type GroupMod, type MeterMod, ObjectLog, type Undo } from './object-log.ts';

export type FlowMod = Extract<Message, { type: 'flow_mod' }>;
/** What is noted. */
export type Logged = FlowMod | GroupMod | MeterMod;

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
  /** Groups and meters it needs: with them it goes. */
  readonly groups: readonly number[];
  readonly meters: readonly number[];
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

const NONE: readonly number[] = [];

/** Groups that an entry leads to. */
const groupsOf = (message: FlowMod): readonly number[] => {
  let groups: number[] | undefined;
  for (const instruction of message.instructions) {
    if (instruction.type !== 'apply_actions' && instruction.type !== 'write_actions') continue;
    for (const action of instruction.actions) {
      if (action.type !== 'group') continue;
      groups ??= [];
      groups.push(action.group_id);
    }
  }
  return groups ?? NONE;
};

const metersOf = (message: FlowMod): readonly number[] => {
  const meter = message.instructions.find(({ type }) => type === 'meter');
  return meter?.type === 'meter' ? [meter.meter_id] : NONE;
};

export class CellLog {
  readonly objects = new ObjectLog();
  readonly #limit: number;
  readonly #entries = new Map<string, Entry>();
  #sequence = 0;
  #complete = true;

  /** `limit`: most entries; by default as many as a cell holds (MAX_ENTRIES of the `openflow` program). */
  constructor(limit = 65536) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** False once something had to be left out: the log then does not make the cell what it was. */
  get complete(): boolean {
    return this.#complete && this.objects.complete;
  }

  /** Notes a message; `bytes` may be reused by the caller. What is returned takes it back. */
  record(message: Logged, bytes: Uint8Array, now: number): Undo {
    switch (message.type) {
      case 'group_mod':
        return this.#group(message, bytes);
      case 'meter_mod':
        return this.#meter(message, bytes);
      default:
        return this.#flow(message, bytes, now);
    }
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
    yield* this.objects.replay();
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

  #flow(message: FlowMod, bytes: Uint8Array, now: number): Undo {
    switch (message.command) {
      case FlowModCommand.ADD:
        return this.#put(keyOf(bytes), message, bytes, now);
      case FlowModCommand.DELETE_STRICT:
        if (!isPlainDelete(message)) break;
        return this.#deleteOne(keyOf(bytes));
      case FlowModCommand.DELETE:
        if (!isPlainDelete(message)) break;
        return this.#deleteWithin(message);
      default:
        if ((message.flags & FLOW_MOD_UPSERT) !== 0) return this.#upsert(message, bytes.slice(), now);
    }
    return this.#put(`#${this.#sequence++}`, message, bytes, now);
  }

  /** Entries that lead to a group go with it (OpenFlow 1.3.5, section 6.5). */
  #group(message: GroupMod, bytes: Uint8Array): Undo {
    const undo = this.objects.group(message, bytes);
    if (message.command !== GroupModCommand.DELETE) return undo;
    const { group_id: id } = message;
    return both(
      undo,
      this.#take(({ groups }) => (id === Group.ALL ? groups.length > 0 : groups.includes(id))),
    );
  }

  #meter(message: MeterMod, bytes: Uint8Array): Undo {
    const undo = this.objects.meter(message, bytes);
    if (message.command !== MeterModCommand.DELETE) return undo;
    const { meter_id: id } = message;
    return both(
      undo,
      this.#take(({ meters }) => (id === Meter.ALL ? meters.length > 0 : meters.includes(id))),
    );
  }

  #put(key: string, message: FlowMod, bytes: Uint8Array, now: number): Undo {
    const before = this.#entries.get(key);
    // Out and in again: an ADD counts from where it stands in the sequence now.
    this.#entries.delete(key);
    if (this.#entries.size >= this.#limit) {
      this.#complete = false;
      return () => {};
    }
    const entry: Entry = {
      bytes: bytes.slice(),
      at: now,
      hardTimeout: message.hard_timeout,
      foldable: message.command === FlowModCommand.ADD,
      table: message.table_id,
      priority: message.priority,
      groups: groupsOf(message),
      meters: metersOf(message),
    };
    this.#entries.set(key, entry);
    return () => {
      if (this.#entries.get(key) !== entry) return;
      if (before === undefined) this.#entries.delete(key);
      else this.#entries.set(key, before);
    };
  }

  /** Kept as the ADD or the plain MODIFY that it is in the cell: replayed, it must not add what was deleted later. */
  #upsert(message: FlowMod, bytes: Uint8Array, now: number): Undo {
    const flags = message.flags & ~FLOW_MOD_UPSERT;
    bytes[FLAGS_OFFSET] = flags >>> 8;
    if (this.#finds(message, bytes)) return this.#put(`#${this.#sequence++}`, message, bytes, now);
    bytes[COMMAND_OFFSET] = FlowModCommand.ADD;
    return this.#put(keyOf(bytes), { ...message, command: FlowModCommand.ADD }, bytes, now);
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

  #deleteOne(key: string): Undo {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    return () => {
      if (entry !== undefined && !this.#entries.has(key)) this.#entries.set(key, entry);
    };
  }

  #deleteWithin(message: FlowMod): Undo {
    const match = compileMatch(message.match);
    return this.#take((entry) => {
      if (!entry.foldable) return false;
      if (message.table_id !== Table.ALL && entry.table !== message.table_id) return false;
      return isWithin(matchOf(entry), match);
    });
  }

  #take(fits: (entry: Entry, key: string) => boolean): Undo {
    const taken: [string, Entry][] = [];
    for (const [key, entry] of this.#entries) if (fits(entry, key)) taken.push([key, entry]);
    for (const [key] of taken) this.#entries.delete(key);
    return () => {
      for (const [key, entry] of taken) if (!this.#entries.has(key)) this.#entries.set(key, entry);
    };
  }
}

const both = (first: Undo, second: Undo) => () => {
  first();
  second();
};
