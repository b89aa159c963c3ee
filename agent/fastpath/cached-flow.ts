/** What the agent knows of the flows that the kernel forwards: which they are, whose, and how much of them was counted. */
import { KEY_WORDS as DISPATCH_WORDS, K } from '../../packet/index.ts';
import type { CompiledMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';
import type { Rule } from '../dispatcher/rules.ts';
import type { Frame } from '../ports/frames.ts';
import type { Port } from '../ports/port.ts';
import { KEY_BYTES, KEY_SPACE, MAX_COPIES } from './layout.ts';

export const MAX_OUTPUTS = MAX_COPIES + 1;

export interface CachedFlow {
  /** Number of its entry. */
  readonly index: number;
  readonly hash: number;
  /** KEY_BYTES of the flow key, as the map has it. */
  readonly key: Uint8Array;
  /** The dispatcher's key of its first packet. */
  readonly dispatchKey: Uint32Array;
  readonly cell: CellRecord;
  readonly rule: Rule | undefined;
  readonly path: number;
  readonly inPort: Port;
  readonly outputs: readonly Port[];
  /** The controller gets a copy of each packet. */
  readonly copy: ControllerCopy | undefined;
  /** Bytes of VLAN tag that its packets come in with, and bytes they grow by. */
  readonly tagBytes: number;
  readonly growth: number;
  /** They leave otherwise than they came. */
  readonly edited: boolean;
  /** Of the entry's counters: as much as is counted. */
  packets: number;
  bytes: number;
  /** When the last packet came, ms of CLOCK_MONOTONIC. */
  lastMs: number;
  /** Place among all. */
  place: number;
  /** The other direction, where one packet made both entries. */
  twin: CachedFlow | undefined;
  /** It was made by a packet of its twin, and does not outlive it. */
  readonly isReverse: boolean;
  /** Another flow of the same bucket. */
  next: CachedFlow | undefined;
}

/** What a packet-in says besides the packet. */
export interface ControllerCopy {
  reason: number;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

/** A head as a record has it (Verdict). */
export interface HeadOfRecord {
  headOffset: number;
  headLength: number;
  headConsumed: number;
}

/** Packets of a path that its cell has not been told of. */
export interface Credit {
  packets: number;
  bytes: number;
  lastMs: number;
}

/** What belongs to one cell. */
export class CellFlows {
  readonly flows = new Set<CachedFlow>();
  readonly byPath = new Map<number, Set<CachedFlow>>();
  readonly credits = new Map<number, Credit>();
  /** It was asked to name paths. */
  told = false;
  /** Records of a packet that has more than one. */
  frame: Frame | undefined;
  readonly ports = new Uint32Array(MAX_OUTPUTS);
  count = 0;
  /** All outputs have one head and no queue, there are not too many, and no more than one packet-in. */
  plain = true;
  readonly head: HeadOfRecord = { headOffset: 0, headLength: 0, headConsumed: 0 };
  /** There is a packet-in among them; what it says, and its head. */
  toController = false;
  readonly copy: ControllerCopy & HeadOfRecord = {
    ...{ reason: 0, tableId: 0, cookie: 0n, metadata: 0n },
    ...{ headOffset: 0, headLength: 0, headConsumed: 0 },
  };

  add(flow: CachedFlow): void {
    this.flows.add(flow);
    const same = this.byPath.get(flow.path);
    if (same === undefined) this.byPath.set(flow.path, new Set([flow]));
    else same.add(flow);
  }

  delete(flow: CachedFlow): void {
    this.flows.delete(flow);
    const same = this.byPath.get(flow.path);
    same?.delete(flow);
    if (same?.size === 0) this.byPath.delete(flow.path);
  }
}

const BUCKETS = 32_768;

/** Words of the dispatcher's key that most matches of one flow are exact in. */
const TUPLE = [K.SRC, K.DST, K.L4] as const;

const tupleOf = (key: Uint32Array): number =>
  Math.imul(Math.imul(key[K.SRC] ^ 0x5bd1e995, 0x9e3779b1) ^ key[K.DST], 0x85ebca6b) ^ key[K.L4];

/** All cached flows, by key, by number and by addresses and ports. */
export class CachedFlows {
  readonly all: CachedFlow[] = [];
  readonly #byTuple = new Map<number, Set<CachedFlow>>();
  readonly #buckets = new Array<CachedFlow | undefined>(BUCKETS).fill(undefined);

  find(hash: number, key: Uint8Array): CachedFlow | undefined {
    for (let flow = this.#buckets[hash & (BUCKETS - 1)]; flow !== undefined; flow = flow.next) {
      if (flow.hash === hash && sameKey(flow.key, key)) return flow;
    }
    return undefined;
  }

  /** Those that the match may mean, and maybe others. */
  *near({ value, mask }: CompiledMatch): Generator<CachedFlow> {
    if (TUPLE.every((word) => mask[word] === 0xffffffff))
      yield* [...(this.#byTuple.get(tupleOf(value)) ?? [])];
    else yield* [...this.all];
  }

  add(flow: CachedFlow): void {
    const tuple = tupleOf(flow.dispatchKey);
    const same = this.#byTuple.get(tuple);
    if (same === undefined) this.#byTuple.set(tuple, new Set([flow]));
    else same.add(flow);
    const bucket = flow.hash & (BUCKETS - 1);
    flow.next = this.#buckets[bucket];
    this.#buckets[bucket] = flow;
    flow.place = this.all.length;
    this.all.push(flow);
  }

  delete(flow: CachedFlow): void {
    const tuple = tupleOf(flow.dispatchKey);
    const same = this.#byTuple.get(tuple);
    same?.delete(flow);
    if (same?.size === 0) this.#byTuple.delete(tuple);
    const bucket = flow.hash & (BUCKETS - 1);
    let before: CachedFlow | undefined;
    for (let one = this.#buckets[bucket]; one !== undefined; before = one, one = one.next) {
      if (one !== flow) continue;
      if (before === undefined) this.#buckets[bucket] = flow.next;
      else before.next = flow.next;
      break;
    }
    const last = this.all.pop()!;
    if (last === flow) return;
    last.place = flow.place;
    this.all[last.place] = last;
  }
}

const sameKey = (a: Uint8Array, b: Uint8Array): boolean => {
  for (let i = 0; i < KEY_BYTES; i++) if (a[i] !== b[i]) return false;
  return true;
};

export const newKey = () => new Uint8Array(KEY_SPACE);
export const newDispatchKey = () => new Uint32Array(DISPATCH_WORDS);
