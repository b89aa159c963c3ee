/** The dispatch table: which packets are which flow, and which cell that flow has. */
import type { Match } from '../../openflow/index.ts';
import { Classifier, KEY_WORDS } from '../../packet/index.ts';
import { type CompiledMatch, compileMatch, reverseMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';

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

export class Rule {
  readonly match: Match;
  readonly priority: number;
  readonly tenant: number;
  readonly forward: CompiledMatch;
  /** Undefined: one direction only, or that direction belongs to a newer rule. */
  reverse: CompiledMatch | undefined;
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
  }

  /** Why this rule's time is up, if it is. */
  expiry(now: number): 'idle' | 'hard' | undefined {
    // Nobody can use it before its cell is there. How long that may take is another matter (setups.ts).
    if (this.cell?.phase === 'opening') return undefined;
    if (this.hardTimeout > 0 && now - this.createdAt >= this.hardTimeout * 1000) return 'hard';
    if (this.idleTimeout > 0 && now - this.lastUsed >= this.idleTimeout * 1000) return 'idle';
    return undefined;
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

/** Whether everything `inner` matches is matched by `outer` too. */
export const isWithin = (inner: CompiledMatch, outer: CompiledMatch): boolean => {
  for (let word = 0; word < KEY_WORDS; word++) {
    const mask = outer.mask[word];
    if ((inner.mask[word] & mask) >>> 0 !== mask) return false;
    if (((inner.value[word] & mask) ^ outer.value[word]) !== 0) return false;
  }
  return true;
};

export class RuleTable {
  readonly limit: number;
  /** ADDs refused because the table was full. */
  refused = 0;
  readonly #entries = new Classifier<Rule>();
  readonly #rules = new Set<Rule>();

  constructor(limit = 65536) {
    this.limit = limit;
  }

  get size(): number {
    return this.#rules.size;
  }

  lookup(key: Uint32Array): Rule | undefined {
    return this.#entries.lookup(key);
  }

  all(): Iterable<Rule> {
    return this.#rules;
  }

  /**
   * Adds a rule. Returns the rules it put out of the table: the one with the same match and priority, and any that it left
   * without a direction. Undefined: the table is full.
   */
  add(rule: Rule): Rule[] | undefined {
    const replaced = this.find(rule.forward, rule.priority);
    if (replaced === undefined && this.#rules.size >= this.limit) {
      this.refused++;
      return undefined;
    }
    if (replaced !== undefined) this.remove(replaced);
    const displaced = this.#insert(rule);
    return replaced === undefined ? displaced : [replaced, ...displaced];
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
    if (rule.hasForward) this.#entries.remove(rule.forward.value, rule.forward.mask, rule.priority);
    if (rule.reverse !== undefined) {
      this.#entries.remove(rule.reverse.value, rule.reverse.mask, rule.priority);
    }
  }

  has(rule: Rule): boolean {
    return this.#rules.has(rule);
  }

  /** Rules whose time is up, with the reason. Looks at every rule, at no packet. */
  *expired(now: number): Generator<[Rule, 'idle' | 'hard']> {
    for (const rule of this.#rules) {
      const reason = rule.expiry(now);
      if (reason !== undefined) yield [rule, reason];
    }
  }

  #insert(rule: Rule): Rule[] {
    this.#rules.add(rule);
    const losers = new Set<Rule>();
    for (const direction of [rule.forward, rule.reverse]) {
      if (direction === undefined) continue;
      const loser = this.#entries.insert(direction.value, direction.mask, rule.priority, rule);
      if (loser === undefined || loser === rule) continue;
      if (loser.hasForward && sameMatch(loser.forward, direction)) loser.hasForward = false;
      else loser.reverse = undefined;
      losers.add(loser);
    }
    const displaced = [...losers].filter((loser) => !loser.hasForward && loser.reverse === undefined);
    for (const loser of displaced) this.#rules.delete(loser);
    return displaced;
  }
}
