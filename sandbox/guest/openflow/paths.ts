/**
 * Packets that the device's flow cache forwards are never seen here, but they count: in the entries, tables and groups
 * that the first packet of their kind went through. That is a path. The cell numbers the paths of verdicts that may be
 * cached, and the agent tells it how many packets each had (docs/protocol.md, path_credit).
 *
 * Paths are a tree: a step is an entry, a group, a bucket, or a table in which nothing matched.
 */
import { type MessageInit, type MessageOf, PathFlag, PathMessageFlag } from '../../../openflow/index.ts';
import type { FlowEntry } from './entry.ts';
import type { Tables } from './table.ts';
import type { Clock } from './timeouts.ts';

/** Nodes of the tree; verdicts with a path beyond that are not cacheable. */
export const MAX_PATHS = 16384;
/** Paths named in one message. */
const PATHS_PER_MESSAGE = 1024;

/** What counts packets. */
export interface Counting {
  packets: number;
  bytes: number;
}

/** A table in which a packet matched nothing. */
export class TableMiss implements Counting {
  readonly tableId: number;
  packets = 0;
  bytes = 0;

  constructor(tableId: number) {
    this.tableId = tableId;
  }
}

export class Path {
  /** The agent's name for it while its packets may be cached, else 0. */
  id = 0;
  readonly step: Counting | undefined;
  readonly parent: Path | undefined;
  /** Set when its entry is gone, or its tree. */
  detached = false;
  children: Map<Counting, Path> | undefined;
  /** The child that was asked for last. */
  lastStep: Counting | undefined;
  lastChild: Path | undefined;

  constructor(step: Counting | undefined, parent: Path | undefined) {
    this.step = step;
    this.parent = parent;
  }
}

/** Entries whose time is up, and that wait for the agent's answer to a message of this token. */
type Waiting = Map<number, FlowEntry[]>;

export class Paths {
  /** Where packets begin; undefined as long as nobody wants to know their paths. */
  root: Path | undefined;
  private readonly tables: Tables;
  private readonly clock: Clock;
  private readonly send: (message: MessageInit) => void;
  private readonly byId = new Map<number, Path>();
  private readonly misses = new Map<number, TableMiss>();
  private readonly waiting: Waiting = new Map();
  private nodes = 0;
  private lastId = 0;
  private lastToken = 0;

  constructor(tables: Tables, clock: Clock, send: (message: MessageInit) => void) {
    this.tables = tables;
    this.clock = clock;
    this.send = send;
  }

  /** The path that goes on by this step; undefined: there are too many. */
  next(path: Path, step: Counting): Path | undefined {
    if (path.lastStep === step) return path.lastChild;
    let child = path.children?.get(step);
    if (child === undefined) {
      if (this.nodes >= MAX_PATHS) return undefined;
      this.nodes++;
      child = new Path(step, path);
      path.children ??= new Map();
      path.children.set(step, child);
      if (isEntry(step)) {
        step.paths ??= [];
        step.paths.push(child);
      }
    }
    path.lastStep = step;
    path.lastChild = child;
    return child;
  }

  missed(path: Path, tableId: number): Path | undefined {
    let miss = this.misses.get(tableId);
    if (miss === undefined) {
      miss = new TableMiss(tableId);
      this.misses.set(tableId, miss);
    }
    return this.next(path, miss);
  }

  /** The number of a path whose verdict is cacheable. */
  name(path: Path): number {
    if (path.id === 0) {
      do this.lastId = (this.lastId + 1) | 0;
      while (this.lastId === 0 || this.byId.has(this.lastId));
      path.id = this.lastId;
      this.byId.set(path.id, path);
    }
    return path.id;
  }

  /** The entry left its table: the agent has forgotten its paths before. */
  forget(entry: FlowEntry): void {
    const { paths } = entry;
    entry.paths = undefined;
    for (const path of paths ?? []) {
      if (path.detached) continue;
      const parent = path.parent!;
      parent.children?.delete(entry);
      parent.lastStep = undefined;
      this.detach(path);
    }
  }

  /** All paths are others from now on. */
  clear(): void {
    if (this.root === undefined) return;
    this.detach(this.root);
    this.root = new Path(undefined, undefined);
    this.nodes = 1;
  }

  /** Whether packets may be going by the entry that have not been counted. */
  inUse(entry: FlowEntry): boolean {
    return entry.paths?.some((path) => firstNamed(path)) ?? false;
  }

  /**
   * Asks the agent to forget the paths of these entries: all of them, or but those that had packets meanwhile.
   * `credited` gives the entries back.
   */
  release(entries: readonly FlowEntry[], force: boolean): void {
    let ids: number[] = [];
    let done: FlowEntry[] = [];
    const flush = () => {
      this.lastToken = (this.lastToken + 1) >>> 0 || 1;
      this.waiting.set(this.lastToken, done);
      const flags = force ? PathMessageFlag.FORCE : 0;
      this.send({ type: 'path_release', token: this.lastToken, flags, paths: ids });
      ids = [];
      done = [];
    };
    for (const entry of entries) {
      for (const path of entry.paths ?? []) {
        for (const id of namesUnder(path)) {
          ids.push(id);
          if (ids.length === PATHS_PER_MESSAGE) flush();
        }
      }
      // Answers come in the order of the questions: with this one's those before it are there.
      done.push(entry);
    }
    if (done.length > 0) flush();
  }

  /** Counts what the agent says, and returns the entries that wait for it. */
  credited({ token, flags, credits }: MessageOf<'path_credit'>): readonly FlowEntry[] {
    if (flags & PathMessageFlag.NAME_PATHS) this.root ??= this.newRoot();
    for (const credit of credits) {
      const path = this.byId.get(credit.path | 0);
      if (path === undefined) continue;
      this.count(path, Number(credit.packet_count), Number(credit.byte_count), credit.last_seen_ms);
      // Only an answer says which paths are still cached.
      if (token === 0 || credit.flags & PathFlag.CACHED) continue;
      this.byId.delete(path.id);
      path.id = 0;
    }
    const answered = this.waiting.get(token) ?? [];
    this.waiting.delete(token);
    return answered;
  }

  private newRoot(): Path {
    this.nodes = 1;
    return new Path(undefined, undefined);
  }

  private count(path: Path, packets: number, bytes: number, lastSeen: number): void {
    if (packets === 0) return;
    const { tables } = this;
    const lastUsed = this.clock.at(lastSeen);
    for (let node: Path | undefined = path; node?.step !== undefined; node = node.parent) {
      const { step } = node;
      step.packets += packets;
      step.bytes += bytes;
      if (isEntry(step)) {
        tables.lookups[step.tableId] += packets;
        tables.matches[step.tableId] += packets;
        step.lastUsed = Math.max(step.lastUsed, lastUsed);
      } else if (step instanceof TableMiss) {
        tables.lookups[step.tableId] += packets;
      }
    }
  }

  private detach(path: Path): void {
    this.nodes--;
    path.detached = true;
    if (path.id !== 0) this.byId.delete(path.id);
    path.id = 0;
    for (const child of path.children?.values() ?? []) this.detach(child);
  }
}

function isEntry(step: Counting): step is FlowEntry {
  return 'lastUsed' in step;
}

function firstNamed(path: Path): boolean {
  if (path.id !== 0) return true;
  for (const child of path.children?.values() ?? []) if (firstNamed(child)) return true;
  return false;
}

function* namesUnder(path: Path): Generator<number> {
  if (path.id !== 0) yield path.id >>> 0;
  for (const child of path.children?.values() ?? []) yield* namesUnder(child);
}
