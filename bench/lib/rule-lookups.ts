/** What finding a packet's dispatch rule costs, by how many rules there are and of what kind. */
import { Rule, RuleTable } from '../../agent/dispatcher/rules.ts';
import type { Match } from '../../openflow/index.ts';
import { KEY_WORDS } from '../../packet/index.ts';
import { median } from './report.ts';

/** Look-ups of one round, and rounds of which the median counts. */
const LOOKUPS = 400_000;
const ROUNDS = 5;
/** Look-ups before that: V8 compiles, caches fill. */
const WARM_UP = 200_000;

export interface RuleLookups {
  readonly rules: number;
  readonly masks: number;
  /** Nanoseconds of a look-up: packets of 100 flows in turn, of all flows in random order, and of flows without a rule. */
  readonly hotNs: number;
  readonly allNs: number;
  readonly missNs: number;
  /** Microseconds to add a rule, and to take one out. */
  readonly addUs: number;
  readonly removeUs: number;
  /** Look at which rules have run out, none has, microseconds. */
  readonly sweepUs: number;
  /** The rule itself included. */
  readonly bytesPerRule: number;
}

const rule = (match: Match, priority: number): Rule =>
  new Rule(
    {
      match,
      priority,
      idleTimeout: 60,
      hardTimeout: 0,
      flags: 0,
      bothDirections: false,
      cookie: 0n,
      tenant: 0,
      onFailure: 0,
    },
    0,
  );

const address = (net: number, number: number): string =>
  `${net}.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;

/** A 5-tuple each, all with one mask. */
export const exactRule = (number: number): Rule =>
  rule(
    {
      in_port: 1,
      eth_type: 0x0800,
      ip_proto: 17,
      ipv4_src: address(10, number),
      ipv4_dst: address(11, number),
      udp_src: 1024 + (number % 50_000),
      udp_dst: 7,
    },
    100,
  );

const WILDCARD_MASKS = 50;

/** Prefixes of source and destination with and without ports: 50 masks, priorities all over. */
export const wildcardRule = (number: number): Rule => {
  const mask = number % WILDCARD_MASKS;
  const [src, dst] = [16 + (mask % 5) * 4, 16 + (Math.floor(mask / 5) % 5) * 4];
  const ports: Match = mask < WILDCARD_MASKS / 2 ? {} : { udp_dst: 1000 + number };
  return rule(
    {
      eth_type: 0x0800,
      ip_proto: 17,
      ipv4_src: prefix(20 + (number % 100), number * 7919, src),
      ipv4_dst: prefix(120 + (number % 100), number * 104729, dst),
      ...ports,
    },
    (number * 31) % 1000,
  );
};

/** The first `bits` of `net.x.x.x`, and their mask. */
const prefix = (net: number, rest: number, bits: number): [string, string] => {
  const mask = (-1 << (32 - bits)) >>> 0;
  return [dotted((((net << 24) | (rest & 0xffffff)) & mask) >>> 0), dotted(mask)];
};

const dotted = (word: number): string =>
  `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;

/** A packet that the rule matches; bits that it does not look at are `noise`. */
function keyOf({ forward: { value, mask } }: Rule, noise: number): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  for (let word = 0; word < KEY_WORDS; word++) key[word] = value[word] | (noise & ~mask[word] & 0xff);
  return key;
}

export function measureLookups(count: number, make: (number: number) => Rule): RuleLookups {
  const table = new RuleTable(2 ** 20);
  globalThis.gc?.();
  const heap = heapBytes();
  const rules = Array.from({ length: count }, (_, i) => make(i));
  const addStart = performance.now();
  for (const each of rules) table.add(each);
  const addUs = ((performance.now() - addStart) * 1000) / count;
  globalThis.gc?.();
  const bytesPerRule = (heapBytes() - heap) / count;
  const masks = new Set(rules.map(({ forward }) => forward.mask.join())).size;
  // A flow per rule; wildcard rules have several.
  const flows = rules.map((each, i) => keyOf(each, count < 1000 ? 0 : i));
  const hot = flows.slice(0, 100);
  const shuffled = shuffle([...flows]);
  const misses = flows.slice(0, 10_000).map((key) => key.map((word, i) => (i === 9 ? 0x0806_0000 : word)));
  const hotNs = nanoseconds(table, flat(hot));
  const allNs = nanoseconds(table, flat(shuffled));
  const missNs = nanoseconds(table, flat(misses));
  const sweepStart = performance.now();
  for (let i = 0; i < 20; i++) [...table.expired(1)].length;
  const sweepUs = ((performance.now() - sweepStart) * 1000) / 20;
  const removeStart = performance.now();
  for (const each of rules) table.remove(each);
  const removeUs = ((performance.now() - removeStart) * 1000) / count;
  return { rules: count, masks, hotNs, allNs, missNs, addUs, removeUs, sweepUs, bytesPerRule };
}

/** One after the other, so that reading them is no part of what is measured. */
function flat(keys: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(keys.length * KEY_WORDS);
  keys.forEach((key, i) => {
    all.set(key, i * KEY_WORDS);
  });
  return all;
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function nanoseconds(table: RuleTable, keys: Uint32Array): number {
  look(table, keys, WARM_UP);
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    look(table, keys, LOOKUPS);
    rounds.push(((performance.now() - start) * 1e6) / LOOKUPS);
  }
  return median(rounds);
}

/** As the dispatcher does it: one key, filled for each packet. */
function look(table: RuleTable, keys: Uint32Array, count: number): number {
  const key = new Uint32Array(KEY_WORDS);
  let found = 0;
  for (let i = 0, at = 0; i < count; i++, at += KEY_WORDS) {
    if (at === keys.length) at = 0;
    for (let word = 0; word < KEY_WORDS; word++) key[word] = keys[at + word];
    if (table.lookup(key) !== undefined) found++;
  }
  return found;
}

function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}
