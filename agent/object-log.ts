/**
 * What a cell was told besides flow entries, in force now: groups, meters, and how its tables behave; so that a cell that
 * takes its place can be told again before the entries that need them. One message each.
 */
import { encode, Group, GroupModCommand, GroupType, type Message, Meter, Table } from '../openflow/index.ts';

export type GroupMod = Extract<Message, { type: 'group_mod' }>;
export type MeterMod = Extract<Message, { type: 'meter_mod' }>;

/** Takes back what was noted, when the cell has refused it. */
export type Undo = () => void;

/** ofp_group_mod and ofp_meter_mod: the command's second byte. ADD is 0 for both, MODIFY 1. */
const COMMAND_OFFSET = 8;
const ADD = 0;
const MODIFY = 1;
const DELETE = 2;

interface Noted {
  /** As an ADD. */
  readonly bytes: Uint8Array;
  /** A group that leads to other groups. */
  readonly chained: boolean;
  readonly type: number;
}

const withCommand = (bytes: Uint8Array, command: number): Uint8Array => {
  const copy = bytes.slice();
  copy[COMMAND_OFFSET] = 0;
  copy[COMMAND_OFFSET + 1] = command;
  return copy;
};

export class ObjectLog {
  readonly #limit: number;
  readonly #groups = new Map<number, Noted>();
  readonly #meters = new Map<number, Noted>();
  readonly #tables = new Map<number, Uint8Array>();
  complete = true;

  /** `limit`: most groups, and most meters. */
  constructor(limit = 4096) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#groups.size + this.#meters.size + this.#tables.size;
  }

  group(message: GroupMod, bytes: Uint8Array): Undo {
    const chained = message.buckets.some(({ actions }) => actions.some(({ type }) => type === 'group'));
    const all = message.group_id === Group.ALL;
    return this.#note(this.#groups, message.command, message.group_id, all, {
      bytes: withCommand(bytes, ADD),
      chained,
      type: message.group_type,
    });
  }

  meter(message: MeterMod, bytes: Uint8Array): Undo {
    const all = message.meter_id === Meter.ALL;
    const noted = { bytes: withCommand(bytes, ADD), chained: false, type: 0 };
    return this.#note(this.#meters, message.command, message.meter_id, all, noted);
  }

  /** A TABLE_CONFIG: takes the place of the one before for this table, that for all of those for any. */
  table(tableId: number, bytes: Uint8Array): void {
    if (tableId === Table.ALL) this.#tables.clear();
    this.#tables.delete(tableId);
    this.#tables.set(tableId, bytes.slice());
  }

  /** The messages that bring all of it back, in order. */
  *replay(): Generator<Uint8Array> {
    yield* this.#tables.values();
    for (const { bytes } of this.#meters.values()) yield bytes;
    // Groups may lead to groups that were added or changed later: all are there before any leads anywhere.
    for (const [id, group] of this.#groups) yield group.chained ? placeholder(id, group.type) : group.bytes;
    for (const group of this.#groups.values()) if (group.chained) yield withCommand(group.bytes, MODIFY);
  }

  #note(map: Map<number, Noted>, command: number, id: number, all: boolean, noted: Noted): Undo {
    const before = map.get(id);
    if (command === DELETE) {
      const gone = all ? [...map] : before === undefined ? [] : [[id, before] as const];
      for (const [key] of gone) map.delete(key);
      return () => {
        for (const [key, value] of gone) if (!map.has(key)) map.set(key, value);
      };
    }
    // The cell refuses to add what there is, and to modify what there is not.
    if ((command === ADD) !== (before === undefined)) return () => {};
    if (before === undefined && map.size >= this.#limit) {
      this.complete = false;
      return () => {};
    }
    map.set(id, noted);
    return () => {
      if (map.get(id) !== noted) return;
      if (before === undefined) map.delete(id);
      else map.set(id, before);
    };
  }
}

/** A group that does nothing. An indirect one has exactly one bucket. */
const placeholder = (group_id: number, group_type: number): Uint8Array =>
  encode({
    type: 'group_mod',
    command: GroupModCommand.ADD,
    group_type,
    group_id,
    buckets: group_type === GroupType.INDIRECT ? [{}] : [],
  });
