/** The group table of a cell (OpenFlow 1.3, sections 5.6, 6.5 and 7.3.4.2). */
import {
  BadActionCode,
  type Bucket as BucketMessage,
  ErrorType,
  Group as GroupId,
  GroupModCommand,
  GroupModFailedCode,
  GroupType,
  type MessageOf,
  OpenFlowError,
  Port,
} from '../../../openflow/index.ts';
import { compileActionSet, OP, type Op } from './actions.ts';
import type { Journal } from './journal.ts';
import type { Liveness } from './liveness.ts';
import { attraction, flowHash } from './select.ts';
import type { Clock } from './timeouts.ts';

/** In one cell. */
export const MAX_GROUPS = 4096;
/** In all groups of a cell together, and in one of them: its statistics must fit a message. */
export const MAX_BUCKETS = 16384;
export const MAX_BUCKETS_OF_GROUP = 2048;
/** Groups that a packet can go through one inside the other. */
export const MAX_CHAIN = 16;
/** A group description is this much longer than the GROUP_MOD that it comes from. */
const DESCRIPTION_GROWTH = 8;
const MAX_MESSAGE = 65535;

const ANY_PORT = Port.ANY | 0;
const ANY_GROUP = GroupId.ANY | 0;

type GroupMod = MessageOf<'group_mod'>;

export class Bucket {
  /** As the controller gave it. */
  readonly given: BucketMessage;
  readonly ops: readonly Op[];
  /** For select groups: its share; 0: none. */
  readonly weight: number;
  readonly watchPort: number;
  readonly watchGroup: number;
  packets = 0;
  bytes = 0;

  constructor(given: BucketMessage, ops: readonly Op[], weight: number) {
    this.given = given;
    this.ops = ops;
    this.weight = weight;
    this.watchPort = given.watch_port | 0;
    this.watchGroup = given.watch_group | 0;
  }
}

export class Group {
  readonly id: number;
  readonly type: number;
  readonly buckets: readonly Bucket[];
  /** Numbers of the groups that its buckets forward to. */
  readonly forwardsTo: ReadonlySet<number>;
  /** The same, and those that they watch. */
  readonly next: ReadonlySet<number>;
  created: number;
  packets = 0;
  bytes = 0;
  /** Whether one of its buckets was live, and in which look for live buckets (Groups.choose) that was seen. */
  live = false;
  seenIn = 0;

  constructor(id: number, type: number, buckets: readonly Bucket[], created: number) {
    this.id = id;
    this.type = type;
    this.buckets = buckets;
    this.created = created;
    const actions = buckets.flatMap(({ given }) => given.actions);
    this.forwardsTo = new Set(actions.flatMap((one) => (one.type === 'group' ? [one.group_id] : [])));
    const watched = buckets.map(({ given }) => given.watch_group).filter((other) => other !== GroupId.ANY);
    this.next = watched.length === 0 ? this.forwardsTo : new Set([...this.forwardsTo, ...watched]);
  }
}

export class Groups {
  private readonly clock: Clock;
  private readonly liveness: Liveness;
  private readonly journal: Journal;
  /** By number as a signed 32-bit integer. */
  private readonly byId = new Map<number, Group>();
  private buckets = 0;
  /** Counts the looks for live buckets. */
  private look = 0;

  constructor(clock: Clock, liveness: Liveness, journal: Journal) {
    this.clock = clock;
    this.liveness = liveness;
    this.journal = journal;
  }

  get(id: number): Group | undefined {
    return this.byId.get(id | 0);
  }

  /** The groups a number means: one, all (OFPG_ALL), none. */
  select(id: number): Group[] {
    if (id === GroupId.ALL) return this.all();
    const group = this.get(id);
    return group === undefined ? [] : [group];
  }

  all(): Group[] {
    return [...this.byId.values()];
  }

  /** How many groups forward to this one. */
  referencesTo(id: number): number {
    let count = 0;
    for (const group of this.byId.values()) if (group.forwardsTo.has(id)) count++;
    return count;
  }

  /**
   * Carries out a GROUP_MOD that is `length` bytes long; returns the groups that are gone. Throws OpenFlowError
   * (OFPET_GROUP_MOD_FAILED, or OFPET_BAD_ACTION for what is wrong in a bucket's actions).
   */
  mod(message: GroupMod, length: number): Group[] {
    switch (message.command) {
      case GroupModCommand.ADD:
        this.checkId(message.group_id);
        if (this.get(message.group_id) !== undefined) {
          throw failed(GroupModFailedCode.GROUP_EXISTS, `there is a group ${message.group_id} already`);
        }
        if (this.byId.size >= MAX_GROUPS) {
          throw failed(GroupModFailedCode.OUT_OF_GROUPS, `a cell has ${MAX_GROUPS} groups at most`);
        }
        this.set(message.group_id, this.compile(message, length));
        return [];
      case GroupModCommand.MODIFY:
        this.modify(message, length);
        return [];
      case GroupModCommand.DELETE:
        return this.delete(message.group_id);
      default:
        throw failed(GroupModFailedCode.BAD_COMMAND, `command ${message.command}`);
    }
  }

  /** The bucket of a select or fast-failover group that a packet with this key goes to; undefined: it is dropped. */
  choose(group: Group, key: Uint32Array): Bucket | undefined {
    const { buckets } = group;
    this.look = (this.look + 1) | 0;
    const hash = group.type === GroupType.SELECT ? flowHash(key) : 0;
    let best: Bucket | undefined;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < buckets.length; i++) {
      const bucket = buckets[i];
      if (!this.isLive(bucket)) continue;
      if (group.type === GroupType.FF) return bucket;
      if (bucket.weight === 0) continue;
      const pull = attraction(hash, i, bucket.weight);
      if (best !== undefined && pull <= most) continue;
      best = bucket;
      most = pull;
    }
    return best;
  }

  /** Live if what it watches is: one of port and group is enough; a group is live if one of its buckets is. */
  private isLive({ watchPort, watchGroup }: Bucket): boolean {
    if (watchPort === ANY_PORT && watchGroup === ANY_GROUP) return true;
    if (watchPort !== ANY_PORT && this.liveness.isLive(watchPort)) return true;
    if (watchGroup === ANY_GROUP) return false;
    const watched = this.byId.get(watchGroup);
    return watched !== undefined && this.hasLive(watched);
  }

  /** Looked at once for a packet: many buckets may watch a group whose many buckets watch the next. */
  private hasLive(group: Group): boolean {
    if (group.seenIn === this.look) return group.live;
    group.seenIn = this.look;
    group.live = false;
    for (let i = 0; i < group.buckets.length && !group.live; i++) group.live = this.isLive(group.buckets[i]);
    return group.live;
  }

  /** The group's own counters and age go on, its buckets' begin anew (section 6.5). */
  private modify(message: GroupMod, length: number): void {
    const old = this.get(message.group_id);
    if (old === undefined) {
      throw failed(GroupModFailedCode.UNKNOWN_GROUP, `there is no group ${message.group_id}`);
    }
    const group = this.compile(message, length);
    group.created = old.created;
    group.packets = old.packets;
    group.bytes = old.bytes;
    this.set(group.id, group);
  }

  private delete(id: number): Group[] {
    if (id !== GroupId.ALL) {
      this.checkId(id);
      if (this.referencesTo(id) > 0) {
        throw failed(GroupModFailedCode.CHAINED_GROUP, `another group forwards to group ${id}`);
      }
    }
    const gone = this.select(id);
    for (const group of gone) this.set(group.id, undefined);
    return gone;
  }

  private set(id: number, group: Group | undefined): void {
    const before = this.get(id);
    this.put(id, group);
    this.journal.note(() => this.put(id, before));
  }

  private put(id: number, group: Group | undefined): void {
    this.buckets += (group?.buckets.length ?? 0) - (this.get(id)?.buckets.length ?? 0);
    if (group === undefined) this.byId.delete(id | 0);
    else this.byId.set(id | 0, group);
  }

  private checkId(id: number): void {
    if (id > GroupId.MAX) throw failed(GroupModFailedCode.INVALID_GROUP, `no group may be ${id}`);
  }

  private compile(message: GroupMod, length: number): Group {
    const { group_id: id, group_type: type, buckets } = message;
    if (type > GroupType.FF) throw failed(GroupModFailedCode.BAD_TYPE, `no groups of type ${type} here`);
    if (type === GroupType.INDIRECT && buckets.length !== 1) {
      throw failed(GroupModFailedCode.INVALID_GROUP, 'an indirect group has one bucket');
    }
    const total = this.buckets - (this.get(id)?.buckets.length ?? 0) + buckets.length;
    const tooLong = buckets.length > MAX_BUCKETS_OF_GROUP || length > MAX_MESSAGE - DESCRIPTION_GROWTH;
    if (total > MAX_BUCKETS || tooLong) {
      throw failed(GroupModFailedCode.OUT_OF_BUCKETS, 'too many buckets');
    }
    for (const bucket of buckets) this.checkBucket(bucket, type, id);
    // A controller that gives no bucket any weight means equal shares.
    const even = buckets.every(({ weight }) => weight === 0);
    const compiled = buckets.map((bucket) => {
      return new Bucket(bucket, this.compileActions(bucket, id), even ? 1 : bucket.weight);
    });
    const group = new Group(id, type, compiled, this.clock.ms);
    this.checkChain(group);
    return group;
  }

  private checkBucket(bucket: BucketMessage, type: number, id: number): void {
    const { weight, watch_port: port, watch_group: group } = bucket;
    if (weight !== 0 && type !== GroupType.SELECT) {
      throw failed(GroupModFailedCode.INVALID_GROUP, 'only buckets of select groups have a weight');
    }
    const watches = port !== Port.ANY || group !== GroupId.ANY;
    if (watches && (type === GroupType.ALL || type === GroupType.INDIRECT)) {
      throw failed(GroupModFailedCode.WATCH_UNSUPPORTED, 'only select and fast-failover groups watch');
    }
    if (!watches && type === GroupType.FF) {
      throw failed(GroupModFailedCode.BAD_WATCH, 'a fast-failover bucket watches a port or a group');
    }
    const isPort = port === Port.ANY || port === Port.LOCAL || (port > 0 && port <= Port.MAX);
    const isGroup = group === GroupId.ANY || group === id || this.get(group) !== undefined;
    if (!isPort || !isGroup) {
      throw failed(GroupModFailedCode.BAD_WATCH, `there is no port ${port} or no group ${group} to watch`);
    }
  }

  private compileActions({ actions }: BucketMessage, id: number): Op[] {
    // As for a PACKET_OUT nothing is known of the packet.
    const hasGroup = (other: number) => other === id || this.get(other) !== undefined;
    const ops = compileActionSet(actions, { match: {}, tableMiss: false, packetOut: true, hasGroup });
    if (ops.some(({ code }) => code === OP.TABLE)) {
      throw new OpenFlowError(ErrorType.BAD_ACTION, BadActionCode.BAD_OUT_PORT, 'a bucket outputs to TABLE');
    }
    return ops;
  }

  /** Throws if with this group there would be a loop or too long a chain. */
  private checkChain(group: Group): void {
    const all = [...this.byId.values()].filter(({ id }) => id !== group.id);
    if (group.next.size === 0 && !all.some(({ next }) => next.has(group.id))) return;
    const at = (id: number) => (id === group.id ? group : this.get(id));
    const lengths = new Map<number, number>();
    const lengthFrom = (id: number): number => {
      const known = lengths.get(id);
      if (known === UNDER_WAY) {
        throw failed(GroupModFailedCode.LOOP, `group ${group.id} would forward to or watch itself`);
      }
      if (known !== undefined) return known;
      lengths.set(id, UNDER_WAY);
      let longest = 0;
      for (const next of at(id)?.next ?? []) longest = Math.max(longest, lengthFrom(next));
      lengths.set(id, longest + 1);
      return longest + 1;
    };
    for (const { id } of [group, ...all]) {
      if (lengthFrom(id) <= MAX_CHAIN) continue;
      throw failed(GroupModFailedCode.CHAINING_UNSUPPORTED, `a chain of more than ${MAX_CHAIN} groups`);
    }
  }
}

/** In place of the length of a chain that is being followed. */
const UNDER_WAY = -1;

function failed(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.GROUP_MOD_FAILED, code, text);
}
