/**
 * What FLOW_MOD, GROUP_MOD, METER_MOD and time do to a switch's tables, as plainly as it can be written (OpenFlow 1.3,
 * sections 5.5, 6.4, 6.5 and 7.3.4), to test the real tables against: lists, searched from front to end.
 */
import type { Action, Bucket, Instruction, Match, MeterBand } from '../../openflow/index.ts';
import { integer } from './reference-pipeline.ts';

/** Type and code. */
export type ErrorCode = readonly [number, number];

export interface FlowMod {
  type: 'flow_mod';
  command: number;
  table_id: number;
  priority: number;
  cookie: bigint;
  cookie_mask: bigint;
  flags: number;
  idle_timeout: number;
  hard_timeout: number;
  out_port: number;
  out_group: number;
  match: Match;
  instructions: Instruction[];
}
export interface GroupMod {
  type: 'group_mod';
  command: number;
  group_id: number;
  group_type: number;
  buckets: Bucket[];
}
export interface MeterMod {
  type: 'meter_mod';
  command: number;
  meter_id: number;
  flags: number;
  bands: MeterBand[];
}
export type Mod = FlowMod | GroupMod | MeterMod;

/** Which entries a statistics request is about. */
export type Filter = Pick<
  FlowMod,
  'table_id' | 'out_port' | 'out_group' | 'cookie' | 'cookie_mask' | 'match'
>;

const COMMAND = { ADD: 0, MODIFY: 1, MODIFY_STRICT: 2, DELETE: 3, DELETE_STRICT: 4 };
const FLAG = { SEND_FLOW_REM: 1, CHECK_OVERLAP: 2, RESET_COUNTS: 4, NO_PKT_COUNTS: 8, NO_BYT_COUNTS: 16 };
const REASON = { IDLE_TIMEOUT: 0, HARD_TIMEOUT: 1, DELETE: 2, GROUP_DELETE: 3 };
const GROUP = { ALL: 0xfffffffc, MAX: 0xffffff00 };
const METER_ALL = 0xffffffff;
const METER_MAX = 0xffff0000;
const ALL_TABLES = 255;
const LAST_TABLE = 253;
const ANY = 0xffffffff;
const NOT_COUNTED = 0xffffffffffffffffn;

const ERROR = {
  BAD_OUT_PORT: [2, 4],
  BAD_OUT_GROUP: [2, 9],
  BAD_GOTO: [3, 2],
  TABLE_FULL: [5, 1],
  BAD_TABLE_ID: [5, 2],
  OVERLAP: [5, 3],
  FLOW_BAD_COMMAND: [5, 6],
  BAD_FLAGS: [5, 7],
  GROUP_EXISTS: [6, 0],
  INVALID_GROUP: [6, 1],
  LOOP: [6, 7],
  UNKNOWN_GROUP: [6, 8],
  CHAINED_GROUP: [6, 9],
  GROUP_BAD_COMMAND: [6, 11],
  METER_EXISTS: [12, 1],
  INVALID_METER: [12, 2],
  UNKNOWN_METER: [12, 3],
  METER_BAD_COMMAND: [12, 4],
} as const;

interface Counted {
  packets: number;
  bytes: number;
}
interface Entry
  extends Counted,
    Omit<FlowMod, 'type' | 'command' | 'out_port' | 'out_group' | 'cookie_mask'> {
  created: number;
  used: number;
}
interface Group extends Counted, Omit<GroupMod, 'type' | 'command'> {
  created: number;
  inBuckets: Counted[];
}
interface Meter extends Counted, Omit<MeterMod, 'type' | 'command'> {
  created: number;
}

const isDelete = ({ command }: FlowMod) => command === COMMAND.DELETE || command === COMMAND.DELETE_STRICT;
const isStrict = ({ command }: FlowMod) =>
  command === COMMAND.MODIFY_STRICT || command === COMMAND.DELETE_STRICT;

/** A match as what it says of each field: value and mask. */
function terms(match: Match): Map<string, readonly [bigint, bigint]> {
  const all = (1n << 128n) - 1n;
  const term = (given: unknown): readonly [bigint, bigint] =>
    Array.isArray(given) ? [integer(given[0]), integer(given[1])] : [integer(given), all];
  return new Map(Object.entries(match).map(([name, given]) => [name, term(given)]));
}

/** Every packet that matches `inner` matches `outer` (section 6.4: what non-strict commands select by). */
function covers(outer: Match, inner: Match): boolean {
  const has = terms(inner);
  return [...terms(outer)].every(([name, [value, mask]]) => {
    const [theirs, bits] = has.get(name) ?? [0n, 0n];
    return (bits & mask) === mask && (theirs & mask) === (value & mask);
  });
}

const same = (one: Match, other: Match) => covers(one, other) && covers(other, one);

/** A packet may match both. */
function overlap(one: Match, other: Match): boolean {
  const has = terms(other);
  return [...terms(one)].every(([name, [value, mask]]) => {
    const [theirs, bits] = has.get(name) ?? [0n, 0n];
    return ((value ^ theirs) & mask & bits) === 0n;
  });
}

function actionsOf(instructions: readonly Instruction[]): Action[] {
  return instructions.flatMap((one) =>
    one.type === 'apply_actions' || one.type === 'write_actions' ? one.actions : [],
  );
}
const groupsIn = (actions: readonly Action[]) =>
  actions.flatMap((action) => (action.type === 'group' ? [action.group_id] : []));
const outputsIn = (actions: readonly Action[]) =>
  actions.flatMap((action) => (action.type === 'output' ? [action.port] : []));
const meterOf = (instructions: readonly Instruction[]) =>
  instructions.flatMap((one) => (one.type === 'meter' ? [one.meter_id] : []));
const gotoOf = (instructions: readonly Instruction[]) =>
  instructions.flatMap((one) => (one.type === 'goto_table' ? [one.table_id] : []));

/** What a message did: errors it deserves (any one of them), or what the controller is told of entries that went. */
export interface Done {
  errors: ErrorCode[];
  removed: object[];
}

export class ReferenceTables {
  /** Milliseconds. */
  now = 0;
  private readonly limit: number;
  private entries: Entry[] = [];
  private groups: Group[] = [];
  private meters: Meter[] = [];
  private lookups = new Map<number, { lookups: number; matches: number }>();
  private removed: object[] = [];

  /** `limit`: entries in all tables. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** One message. With an error nothing changes. */
  mod(mod: Mod): Done {
    const errors = this.errorsOf(mod);
    if (errors.length > 0) return { errors, removed: [] };
    if (mod.type === 'flow_mod') this.flowMod(mod);
    else if (mod.type === 'group_mod') this.groupMod(mod);
    else this.meterMod(mod);
    return { errors, removed: this.removed.splice(0) };
  }

  /** All of the messages or none: then the errors are those of the first that has any. */
  transaction(mods: readonly Mod[]): Done {
    const { entries, groups, meters } = structuredClone({
      entries: this.entries,
      groups: this.groups,
      meters: this.meters,
    });
    const removed: object[] = [];
    for (const mod of mods) {
      const done = this.mod(mod);
      if (done.errors.length > 0) {
        Object.assign(this, { entries, groups, meters });
        return done;
      }
      removed.push(...done.removed);
    }
    return { errors: [], removed };
  }

  /** A second passes. */
  second(): object[] {
    this.now += 1000;
    const due = (seconds: number, since: number) => seconds > 0 && this.now >= since + seconds * 1000;
    const hard = this.entries.filter((entry) => due(entry.hard_timeout, entry.created));
    this.remove(hard, REASON.HARD_TIMEOUT);
    const idle = this.entries.filter((entry) => due(entry.idle_timeout, entry.used));
    this.remove(idle, REASON.IDLE_TIMEOUT);
    return this.removed.splice(0);
  }

  /** A packet with these fields. False: which entry it meets is open, so it must not be sent. */
  packet(match: Match, length: number): boolean {
    const { entries, missed } = this.way(match);
    if (entries === undefined) return false;
    const set: Action[] = [];
    for (const entry of entries) {
      const counts = this.tableCounts(entry.table_id);
      counts.lookups++;
      counts.matches++;
      entry.used = this.now;
      count(entry, length);
      for (const id of meterOf(entry.instructions)) {
        count(this.meters.find((one) => one.meter_id === id)!, length);
      }
      for (const one of entry.instructions) {
        if (one.type === 'apply_actions') {
          for (const id of groupsIn(one.actions)) this.throughGroup(id, length);
        }
        if (one.type === 'write_actions') set.push(...one.actions);
      }
    }
    if (missed !== undefined) {
      this.tableCounts(missed).lookups++;
      return true;
    }
    // The last group written is the one in the set.
    const last = groupsIn(set).at(-1);
    if (last !== undefined) this.throughGroup(last, length);
    return true;
  }

  /** The entries that a packet meets, and the table where it finds none; undefined: several of one priority match. */
  private way(match: Match): { entries?: Entry[]; missed?: number } {
    const entries: Entry[] = [];
    for (let table: number | undefined = 0; table !== undefined; ) {
      const [entry, next] = this.entries
        .filter((one) => one.table_id === table && covers(one.match, match))
        .sort((x, y) => y.priority - x.priority);
      if (entry === undefined) return { entries, missed: table };
      if (entry.priority === next?.priority) return {};
      entries.push(entry);
      [table] = gotoOf(entry.instructions);
    }
    return { entries };
  }

  /** All groups here are of the types all and indirect: every bucket has a copy. */
  private throughGroup(id: number, length: number): void {
    const group = this.groups.find((one) => one.group_id === id)!;
    count(group, length);
    for (const [i, bucket] of group.buckets.entries()) {
      count(group.inBuckets[i], length);
      // A bucket's actions are a set: the last group is the one in it.
      const next = groupsIn(bucket.actions).at(-1);
      if (next !== undefined) this.throughGroup(next, length);
    }
  }

  // What a controller can ask for -----------------------------------------------------------------------------

  flows(filter: Filter): object[] {
    return this.select(filter, false).map((entry) => ({
      ...this.view(entry),
      flags: entry.flags,
      instructions: entry.instructions,
    }));
  }

  aggregate(filter: Filter): object {
    const entries = this.select(filter, false);
    const sum = (key: 'packets' | 'bytes') => BigInt(entries.reduce((total, entry) => total + entry[key], 0));
    return { packet_count: sum('packets'), byte_count: sum('bytes'), flow_count: entries.length };
  }

  table(table_id: number): object {
    const { lookups, matches } = this.tableCounts(table_id);
    const active_count = this.entries.filter((entry) => entry.table_id === table_id).length;
    return { table_id, active_count, lookup_count: BigInt(lookups), matched_count: BigInt(matches) };
  }

  groupDescriptions(): object[] {
    return this.groups.map(({ group_id, group_type, buckets }) => ({ group_id, group_type, buckets }));
  }

  groupStatistics(): object[] {
    const users = [
      ...this.entries.map(({ instructions }) => actionsOf(instructions)),
      ...this.groupActions(),
    ];
    return this.groups.map((group) => ({
      group_id: group.group_id,
      ref_count: users.filter((actions) => groupsIn(actions).includes(group.group_id)).length,
      ...counters(group),
      ...this.age(group),
      bucket_stats: group.inBuckets.map(counters),
    }));
  }

  meterConfigurations(): object[] {
    return this.meters.map(({ meter_id, flags, bands }) => ({ meter_id, flags, bands }));
  }

  meterStatistics(): object[] {
    return this.meters.map((meter) => ({
      meter_id: meter.meter_id,
      flow_count: this.entries.filter(({ instructions }) => meterOf(instructions).includes(meter.meter_id))
        .length,
      packet_in_count: BigInt(meter.packets),
      byte_in_count: BigInt(meter.bytes),
      ...this.age(meter),
      band_stats: meter.bands.map(() => ({ packet_band_count: 0n, byte_band_count: 0n })),
    }));
  }

  private groupActions(): Action[][] {
    return this.groups.map(({ buckets }) => buckets.flatMap(({ actions }) => actions));
  }

  private tableCounts(table: number): { lookups: number; matches: number } {
    const counts = this.lookups.get(table) ?? { lookups: 0, matches: 0 };
    this.lookups.set(table, counts);
    return counts;
  }

  private age({ created }: { created: number }): { duration_sec: number; duration_nsec: number } {
    const ms = this.now - created;
    return { duration_sec: Math.floor(ms / 1000), duration_nsec: (ms % 1000) * 1e6 };
  }

  /** What statistics and FLOW_REMOVED say alike. */
  private view(entry: Entry): object {
    const { table_id, priority, idle_timeout, hard_timeout, cookie, flags, match } = entry;
    const packet_count = (flags & FLAG.NO_PKT_COUNTS) !== 0 ? NOT_COUNTED : BigInt(entry.packets);
    const byte_count = (flags & FLAG.NO_BYT_COUNTS) !== 0 ? NOT_COUNTED : BigInt(entry.bytes);
    const times = { ...this.age(entry), idle_timeout, hard_timeout };
    return { table_id, priority, cookie, match, ...times, packet_count, byte_count };
  }

  // What messages do ------------------------------------------------------------------------------------------

  private select(filter: Filter, strict: boolean, priority = 0): Entry[] {
    return this.entries.filter((entry) => {
      const actions = actionsOf(entry.instructions);
      return (
        (filter.table_id === ALL_TABLES || filter.table_id === entry.table_id) &&
        (strict
          ? same(filter.match, entry.match) && priority === entry.priority
          : covers(filter.match, entry.match)) &&
        (entry.cookie & filter.cookie_mask) === (filter.cookie & filter.cookie_mask) &&
        (filter.out_port === ANY || outputsIn(actions).includes(filter.out_port)) &&
        (filter.out_group === ANY || groupsIn(actions).includes(filter.out_group))
      );
    });
  }

  private remove(entries: readonly Entry[], reason: number): void {
    this.entries = this.entries.filter((entry) => !entries.includes(entry));
    const told = entries.filter(({ flags }) => (flags & FLAG.SEND_FLOW_REM) !== 0);
    this.removed.push(...told.map((entry) => ({ ...this.view(entry), reason })));
  }

  /** The entry that an ADD takes the place of. */
  private replacedBy(mod: FlowMod): Entry | undefined {
    return this.entries.find(
      (entry) =>
        entry.table_id === mod.table_id && entry.priority === mod.priority && same(entry.match, mod.match),
    );
  }

  private flowMod(mod: FlowMod): void {
    const resets = (mod.flags & FLAG.RESET_COUNTS) !== 0;
    if (mod.command === COMMAND.ADD) {
      const { type, command, out_port, out_group, cookie_mask, ...given } = mod;
      const old = this.replacedBy(mod);
      const { packets, bytes } = old === undefined || resets ? { packets: 0, bytes: 0 } : old;
      this.entries = this.entries.filter((entry) => entry !== old);
      this.entries.push({ ...given, packets, bytes, created: this.now, used: this.now });
    } else if (isDelete(mod)) {
      this.remove(this.select(mod, isStrict(mod), mod.priority), REASON.DELETE);
    } else {
      const filter = { ...mod, out_port: ANY, out_group: ANY };
      for (const entry of this.select(filter, isStrict(mod), mod.priority)) {
        entry.instructions = mod.instructions;
        if (resets) Object.assign(entry, { packets: 0, bytes: 0 });
      }
    }
  }

  private groupMod({ type, command, ...given }: GroupMod): void {
    const old = this.groups.find((group) => group.group_id === given.group_id);
    if (command === COMMAND.ADD || command === COMMAND.MODIFY) {
      const { packets, bytes, created } = old ?? { packets: 0, bytes: 0, created: this.now };
      const inBuckets = given.buckets.map(() => ({ packets: 0, bytes: 0 }));
      this.groups = this.groups.filter((group) => group !== old);
      this.groups.push({ ...given, packets, bytes, created, inBuckets });
      return;
    }
    const goes = ({ group_id }: { group_id: number }) =>
      given.group_id === GROUP.ALL || given.group_id === group_id;
    const gone = this.groups.filter(goes).map(({ group_id }) => group_id);
    this.groups = this.groups.filter((group) => !goes(group));
    const users = this.entries.filter(({ instructions }) =>
      groupsIn(actionsOf(instructions)).some((id) => gone.includes(id)),
    );
    this.remove(users, REASON.GROUP_DELETE);
  }

  private meterMod({ type, command, ...given }: MeterMod): void {
    const old = this.meters.find((meter) => meter.meter_id === given.meter_id);
    if (command === COMMAND.ADD || command === COMMAND.MODIFY) {
      const { packets, bytes, created } = old ?? { packets: 0, bytes: 0, created: this.now };
      this.meters = this.meters.filter((meter) => meter !== old);
      this.meters.push({ ...given, packets, bytes, created });
      return;
    }
    const goes = (id: number) => given.meter_id === METER_ALL || given.meter_id === id;
    this.meters = this.meters.filter(({ meter_id }) => !goes(meter_id));
    this.remove(
      this.entries.filter(({ instructions }) => meterOf(instructions).some(goes)),
      REASON.DELETE,
    );
  }

  // What is wrong with messages -------------------------------------------------------------------------------

  private errorsOf(mod: Mod): ErrorCode[] {
    if (mod.type === 'flow_mod') return this.flowErrors(mod);
    return mod.type === 'group_mod' ? this.groupErrors(mod) : this.meterErrors(mod);
  }

  private flowErrors(mod: FlowMod): ErrorCode[] {
    const errors: ErrorCode[] = [];
    if (mod.command > COMMAND.DELETE_STRICT) errors.push(ERROR.FLOW_BAD_COMMAND);
    if ((mod.flags & ~31) !== 0) errors.push(ERROR.BAD_FLAGS);
    if (mod.table_id > LAST_TABLE && !(isDelete(mod) && mod.table_id === ALL_TABLES)) {
      errors.push(ERROR.BAD_TABLE_ID);
    }
    if (isDelete(mod)) return errors;
    errors.push(...this.actionErrors(actionsOf(mod.instructions)));
    for (const id of meterOf(mod.instructions)) {
      if (!this.meters.some(({ meter_id }) => meter_id === id)) errors.push(ERROR.UNKNOWN_METER);
    }
    for (const next of gotoOf(mod.instructions)) {
      if (next <= mod.table_id || next > LAST_TABLE) errors.push(ERROR.BAD_GOTO);
    }
    if (mod.command !== COMMAND.ADD) return errors;
    const overlaps = this.entries.some(
      (entry) =>
        entry.table_id === mod.table_id && entry.priority === mod.priority && overlap(entry.match, mod.match),
    );
    if ((mod.flags & FLAG.CHECK_OVERLAP) !== 0 && overlaps) errors.push(ERROR.OVERLAP);
    if (this.entries.length >= this.limit && this.replacedBy(mod) === undefined)
      errors.push(ERROR.TABLE_FULL);
    return errors;
  }

  /** `self`: a group that may be meant though it is not there yet. */
  private actionErrors(actions: readonly Action[], self?: number): ErrorCode[] {
    const isThere = (id: number) => id === self || this.groups.some(({ group_id }) => group_id === id);
    return [
      ...(groupsIn(actions).every(isThere) ? [] : [ERROR.BAD_OUT_GROUP]),
      ...(outputsIn(actions).includes(0) ? [ERROR.BAD_OUT_PORT] : []),
    ];
  }

  private groupErrors({ command, group_id, group_type, buckets }: GroupMod): ErrorCode[] {
    const errors: ErrorCode[] = [];
    const exists = this.groups.some((group) => group.group_id === group_id);
    const actions = buckets.flatMap((bucket) => bucket.actions);
    if (command > 2) errors.push(ERROR.GROUP_BAD_COMMAND);
    if (command === COMMAND.ADD && group_id > GROUP.MAX) errors.push(ERROR.INVALID_GROUP);
    if (command === COMMAND.ADD && exists) errors.push(ERROR.GROUP_EXISTS);
    if (command === COMMAND.MODIFY && !exists) errors.push(ERROR.UNKNOWN_GROUP);
    if (command < 2) {
      if (group_type === 2 && buckets.length !== 1) errors.push(ERROR.INVALID_GROUP);
      if (buckets.some(({ weight }) => weight !== 0)) errors.push(ERROR.INVALID_GROUP);
      errors.push(...this.actionErrors(actions, group_id));
      if (this.reaches(groupsIn(actions), group_id)) errors.push(ERROR.LOOP);
    }
    if (command === 2 && group_id !== GROUP.ALL) {
      if (group_id > GROUP.MAX) errors.push(ERROR.INVALID_GROUP);
      if (this.groupActions().some((list) => groupsIn(list).includes(group_id)))
        errors.push(ERROR.CHAINED_GROUP);
    }
    return errors;
  }

  private reaches(from: readonly number[], to: number): boolean {
    return from.some((id) => {
      if (id === to) return true;
      const group = this.groups.find((one) => one.group_id === id);
      return (
        group !== undefined && this.reaches(groupsIn(group.buckets.flatMap(({ actions }) => actions)), to)
      );
    });
  }

  private meterErrors({ command, meter_id }: MeterMod): ErrorCode[] {
    const exists = this.meters.some((meter) => meter.meter_id === meter_id);
    if (command > 2) return [ERROR.METER_BAD_COMMAND];
    if (command === 2) return [];
    if (meter_id === 0 || meter_id > METER_MAX) return [ERROR.INVALID_METER];
    if (command === COMMAND.ADD && exists) return [ERROR.METER_EXISTS];
    return command === COMMAND.MODIFY && !exists ? [ERROR.UNKNOWN_METER] : [];
  }
}

function count(counted: Counted, length: number): void {
  counted.packets++;
  counted.bytes += length;
}

function counters({ packets, bytes }: Counted): object {
  return { packet_count: BigInt(packets), byte_count: BigInt(bytes) };
}
