/** The dispatch table: which packets are which flow, and which cell that flow has. */
import type { Match } from '../../openflow/index.ts';
import { CachedClassifier } from '../../packet/cached-classifier.ts';
import { K, KEY_WORDS } from '../../packet/index.ts';
import { MaskMap } from '../../packet/mask-map.ts';
import { type CompiledMatch, compileMatch, reverseMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';
import { Deadlines, type Timed } from './deadlines.ts';

export interface RuleInit {
  readonly match: Match;
  readonly priority: number;
  /** Seconds, 0: none. */
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  /** DispatchFlag bits. */
  readonly flags: number;
  readonly bothDirections: boolean;
  readonly cookie: bigint;
  readonly tenant: number;
  /** OnFailure. */
  readonly onFailure: number;
}

/**
 * active: packets go to the cell; asking: the cell is gone, the next packet asks the controller again;
 * quarantined: packets are dropped until the rule ends.
 */
export type RuleState = 'active' | 'asking' | 'quarantined';

/** How soon a rule whose time is up is looked at again while its cell is still being made, ms. */
const LOOK_AGAIN_MS = 100;

export class Rule implements Timed {
  readonly match: Match;
  readonly priority: number;
  readonly tenant: number;
  forward: CompiledMatch;
  /** Undefined: one direction only, or that direction belongs to a newer rule. */
  reverse: CompiledMatch | undefined;
  /** Of both directions, as it was made. */
  masks: readonly Uint32Array[];
  /** Whether the forward direction is (still) this rule's. */
  hasForward = true;
  idleTimeout: number;
  hardTimeout: number;
  flags: number;
  cookie: bigint;
  onFailure: number;
  state: RuleState = 'active';
  cell: CellRecord | undefined;
  packets = 0;
  bytes = 0;
  /** Milliseconds of the agent's clock. */
  readonly createdAt: number;
  lastUsed: number;
  heapAt = -1;
  due = 0;

  /** Throws OpenFlowError (BAD_MATCH). */
  constructor(init: RuleInit, now: number) {
    this.match = init.match;
    this.priority = init.priority;
    this.tenant = init.tenant;
    this.idleTimeout = init.idleTimeout;
    this.hardTimeout = init.hardTimeout;
    this.flags = init.flags;
    this.cookie = init.cookie;
    this.onFailure = init.onFailure;
    this.createdAt = now;
    this.lastUsed = now;
    this.forward = compileMatch(init.match);
    const reverse = init.bothDirections ? compileMatch(reverseMatch(init.match)) : undefined;
    this.reverse = reverse !== undefined && !sameMatch(reverse, this.forward) ? reverse : undefined;
    const masks = [this.forward, this.reverse].flatMap((direction) => direction?.mask ?? []);
    this.masks = masks.length === 2 && sameMask(masks[0], masks[1]) ? [masks[0]] : masks;
  }

  /** Masks that other rules have too need not be kept twice: a quarter of a rule's memory. */
  shareMasks(share: (mask: Uint32Array) => Uint32Array): void {
    const shared = ({ value, mask }: CompiledMatch): CompiledMatch => ({ value, mask: share(mask) });
    this.forward = shared(this.forward);
    if (this.reverse !== undefined) this.reverse = shared(this.reverse);
    this.masks = this.masks.map(share);
  }

  /** Why this rule's time is up, if it is. */
  expiry(now: number): 'idle' | 'hard' | undefined {
    // Nobody can use it before its cell is there. How long that may take is another matter (setups.ts).
    if (this.cell?.phase === 'opening') return undefined;
    if (this.hardTimeout > 0 && now - this.createdAt >= this.hardTimeout * 1000) return 'hard';
    if (this.idleTimeout > 0 && now - this.lastUsed >= this.idleTimeout * 1000) return 'idle';
    return undefined;
  }

  /** When its time is up at the earliest, milliseconds; Infinity: never. */
  get deadline(): number {
    const hard = this.hardTimeout > 0 ? this.createdAt + this.hardTimeout * 1000 : Infinity;
    const idle = this.idleTimeout > 0 ? this.lastUsed + this.idleTimeout * 1000 : Infinity;
    return Math.min(hard, idle);
  }

  /** Whether a packet or a pending flow with this key belongs to this rule. */
  covers(key: Uint32Array): boolean {
    if (this.hasForward && matches(this.forward, key)) return true;
    return this.reverse !== undefined && matches(this.reverse, key);
  }
}

const matches = ({ value, mask }: CompiledMatch, key: Uint32Array): boolean => {
  for (let word = 0; word < KEY_WORDS; word++) {
    if (((key[word] & mask[word]) ^ value[word]) !== 0) return false;
  }
  return true;
};

export const sameMatch = (a: CompiledMatch, b: CompiledMatch): boolean => {
  for (let word = 0; word < KEY_WORDS; word++) {
    if (a.value[word] !== b.value[word] || a.mask[word] !== b.mask[word]) return false;
  }
  return true;
};

const sameMask = (a: Uint32Array, b: Uint32Array): boolean => a.every((word, i) => word === b[i]);

/** Whether everything `inner` matches is matched by `outer` too. */
export const isWithin = (inner: CompiledMatch, outer: CompiledMatch): boolean => {
  for (let word = 0; word < KEY_WORDS; word++) {
    const mask = outer.mask[word];
    if ((inner.mask[word] & mask) >>> 0 !== mask) return false;
    if (((inner.value[word] & mask) ^ outer.value[word]) !== 0) return false;
  }
  return true;
};

/** Rules in all. */
const DEFAULT_LIMIT = 131_072;
/**
 * Distinct masks of one tenant's rules. Each costs a hash for a packet that is looked up the long way: without a limit, rules
 * could make every packet as slow as they like (Csikor et al., Tuple Space Explosion, CoNEXT'19).
 */
const DEFAULT_MASKS = 128;

export class RuleTable {
  readonly limit: number;
  readonly maskLimit: number;
  /** ADDs refused because the table was full, and because of too many distinct masks. */
  refused = 0;
  refusedMasks = 0;
  readonly #entries = new CachedClassifier<Rule>();
  readonly #rules = new Set<Rule>();
  #flowLabels = 0;
  readonly #deadlines = new Deadlines<Rule>();
  readonly #masks = new MaskCounts();

  constructor(limit = DEFAULT_LIMIT, maskLimit = DEFAULT_MASKS) {
    this.limit = limit;
    this.maskLimit = maskLimit;
  }

  /** Distinct masks that are searched, and how often the answer was remembered. */
  get searched() {
    return { masks: this.#entries.masks, ...this.#entries.counters };
  }

  get size(): number {
    return this.#rules.size;
  }

  /** Whether which rule a packet has may depend on its IPv6 flow label. */
  get readsFlowLabel(): boolean {
    return this.#flowLabels > 0;
  }

  lookup(key: Uint32Array): Rule | undefined {
    return this.#entries.lookup(key);
  }

  all(): Iterable<Rule> {
    return this.#rules;
  }

  /**
   * Adds a rule. Returns the rules it put out of the table: the one with the same match and priority, and any that it left
   * without a direction. Undefined: the table is full, or the tenant has too many masks (whyRefused()).
   */
  add(rule: Rule): Rule[] | undefined {
    const replaced = this.find(rule.forward, rule.priority);
    if (replaced === undefined && this.#rules.size >= this.limit) {
      this.refused++;
      return undefined;
    }
    if (replaced === undefined && this.#masks.withRule(rule) > this.maskLimit) {
      this.refusedMasks++;
      return undefined;
    }
    if (replaced !== undefined) this.remove(replaced);
    const displaced = this.#insert(rule);
    return replaced === undefined ? displaced : [replaced, ...displaced];
  }

  /** Why a rule was not added. */
  whyRefused(rule: Rule): string {
    return this.#rules.size >= this.limit
      ? `the dispatch table is full (${this.limit} rules)`
      : `the rules of tenant ${rule.tenant} have ${this.maskLimit} distinct masks already`;
  }

  /** The rule with this very match and priority. */
  find(match: CompiledMatch, priority: number): Rule | undefined {
    const rule = this.#entries.get(match.value, match.mask, priority);
    return rule?.hasForward && sameMatch(rule.forward, match) ? rule : undefined;
  }

  /** Rules at least as specific as the match, whatever their priority. */
  within(match: CompiledMatch): Rule[] {
    return [...this.#rules].filter((rule) => isWithin(rule.forward, match));
  }

  remove(rule: Rule): void {
    if (!this.#rules.delete(rule)) return;
    this.#leave(rule);
    if (rule.hasForward) this.#entries.remove(rule.forward.value, rule.forward.mask, rule.priority);
    if (rule.reverse !== undefined) {
      this.#entries.remove(rule.reverse.value, rule.reverse.mask, rule.priority);
    }
  }

  has(rule: Rule): boolean {
    return this.#rules.has(rule);
  }

  /** A rule's timeouts were changed. */
  timeoutsChanged(rule: Rule): void {
    if (this.#rules.has(rule)) this.#deadlines.set(rule, rule.deadline);
  }

  /**
   * Rules whose time is up, with the reason; they are the caller's to remove, and not told again. Looks at no others.
   * `settle` is told of each before: it may know of packets that are not counted yet.
   */
  expired(now: number, settle?: (rule: Rule) => void): [Rule, 'idle' | 'hard'][] {
    const found: [Rule, 'idle' | 'hard'][] = [];
    for (let rule = this.#deadlines.first(now); rule !== undefined; rule = this.#deadlines.first(now)) {
      if (rule.expiry(now) !== undefined) settle?.(rule);
      const reason = rule.expiry(now);
      if (reason === undefined) {
        // One whose cell is made yet may be overdue: it is looked at again.
        this.#deadlines.set(rule, Math.max(rule.deadline, now + LOOK_AGAIN_MS));
        continue;
      }
      this.#deadlines.remove(rule);
      found.push([rule, reason]);
    }
    return found;
  }

  #leave(rule: Rule): void {
    if (rule.forward.mask[K.FLABEL] !== 0) this.#flowLabels--;
    this.#deadlines.remove(rule);
    this.#masks.remove(rule);
  }

  #insert(rule: Rule): Rule[] {
    this.#rules.add(rule);
    if (rule.forward.mask[K.FLABEL] !== 0) this.#flowLabels++;
    this.#masks.add(rule);
    this.#deadlines.set(rule, rule.deadline);
    const losers = new Set<Rule>();
    for (const direction of [rule.forward, rule.reverse]) {
      if (direction === undefined) continue;
      const loser = this.#entries.insert(direction.value, direction.mask, rule.priority, rule);
      if (loser === undefined || loser === rule) continue;
      if (loser.hasForward && sameMatch(loser.forward, direction)) loser.hasForward = false;
      else loser.reverse = undefined;
      losers.add(loser);
    }
    rule.shareMasks((mask) => this.#entries.sharedMask(mask));
    const displaced = [...losers].filter((loser) => !loser.hasForward && loser.reverse === undefined);
    for (const loser of displaced) {
      this.#rules.delete(loser);
      this.#leave(loser);
    }
    return displaced;
  }
}

/** Which masks the rules of each tenant have, and how many rules each. A rule counts with both of its directions as it was made. */
class MaskCounts {
  readonly #tenants = new Map<number, MaskMap<number>>();

  /** Distinct masks of its tenant, were this rule among them. */
  withRule({ tenant, masks }: Rule): number {
    const counts = this.#tenants.get(tenant);
    if (counts === undefined) return masks.length;
    let fresh = 0;
    for (const mask of masks) if (counts.get(mask) === undefined) fresh++;
    return counts.size + fresh;
  }

  add({ tenant, masks }: Rule): void {
    let counts = this.#tenants.get(tenant);
    if (counts === undefined) {
      counts = new MaskMap();
      this.#tenants.set(tenant, counts);
    }
    for (const mask of masks) counts.set(mask, (counts.get(mask) ?? 0) + 1);
  }

  remove({ tenant, masks }: Rule): void {
    const counts = this.#tenants.get(tenant);
    if (counts === undefined) return;
    for (const mask of masks) {
      const left = (counts.get(mask) ?? 0) - 1;
      if (left > 0) counts.set(mask, left);
      else counts.delete(mask);
    }
    if (counts.size === 0) this.#tenants.delete(tenant);
  }
}
