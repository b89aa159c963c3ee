/** The packet loop: frame -> flow key -> rule -> cell; or held, while the controller is asked once per flow. */
import { DispatchMiss, DispatchQueryReason } from '../../openflow/index.ts';
import { ETH_TYPE, extractKey, K, KEY_WORDS } from '../../packet/index.ts';
import { DATA_MAX, SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import type { CellRecord } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Frame, FramePool } from '../ports/frames.ts';
import type { Admission } from './admission.ts';
import type { FrameQueue, Holding } from './hold.ts';
import { type PendingFlow, PendingFlows } from './pending.ts';
import type { Rule, RuleTable } from './rules.ts';
import type { Setups } from './setups.ts';

/** In an IPv4 header: "more fragments", and the fragment's offset. */
const FLAGS_AND_OFFSET = 6;
const MORE_OR_OFFSET = 0x3fff;
/** OFPIEH_FRAG */
const IPV6_FRAGMENT_HEADER = 16;

/** Tenant of packets that no rule claims yet. */
const DEFAULT_TENANT = 0;

export interface DispatcherOptions {
  rules: RuleTable;
  holding: Holding;
  admission: Admission;
  setups: Setups;
  pool: FramePool;
  clock: Clock;
  fields: bigint;
  /** Sends the query for a flow; `frame` is its first packet. False while there is nobody to ask. */
  ask: (flow: PendingFlow, frame: Frame, key: Uint32Array) => boolean;
  /** A rule whose cell is gone and whose next packet has come: to be taken out of the table. */
  retire: (rule: Rule) => void;
  /** Packets without a rule may go another way from now on. */
  rerouted?: () => void;
  /** The id of a query, which is the number of the cell that the answer opens. */
  nextNumber: () => number;
}

export class Dispatcher {
  readonly counters = {
    received: 0,
    /** Packets dropped, by the reason. */
    dropped: {
      /** No room to hold it (see the hold queues' own counters). */
      hold: 0,
      /** Too many new flows. */
      admission: 0,
      /** Too many flows wait for a cell for the controller to be asked about another. */
      noSetup: 0,
      /** The controller did not answer in time. */
      timeout: 0,
      refused: 0,
      /** No rule, and the device is configured to drop. */
      miss: 0,
      quarantined: 0,
      /** A piece of a fragmented IP packet, and dropFragments is set. */
      fragment: 0,
      /** The cell could not be had, or its rule ended with packets waiting. */
      noCell: 0,
    },
    queries: 0,
  };
  readonly pending: PendingFlows;
  /** OFPC_FRAG_DROP is in force: IP fragments are dropped, first ones too. */
  dropFragments = false;
  defaultCell: CellRecord | undefined;
  #miss: number = DispatchMiss.DEFAULT_CELL;
  #standaloneCell: CellRecord | undefined;
  readonly #options: DispatcherOptions;
  readonly #key = new Uint32Array(KEY_WORDS);
  readonly #at = { l3: 0, l4: 0 };

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.pending = new PendingFlows(options.fields, options.nextNumber);
  }

  /** DispatchMiss in force; DEFAULT_CELL is plain mode. */
  get miss(): number {
    return this.#miss;
  }

  set miss(miss: number) {
    this.#miss = miss;
    this.#options.rerouted?.();
  }

  /** Takes packets without a rule while it is set (fail mode standalone). */
  get standaloneCell(): CellRecord | undefined {
    return this.#standaloneCell;
  }

  set standaloneCell(cell: CellRecord | undefined) {
    this.#standaloneCell = cell;
    this.#options.rerouted?.();
  }

  /** The cell of packets that no rule matches, if one has them. */
  get cellWithoutRule(): CellRecord | undefined {
    if (this.#standaloneCell !== undefined) return this.#standaloneCell;
    return this.#miss === DispatchMiss.DEFAULT_CELL ? this.defaultCell : undefined;
  }

  /** One frame, from a port or taken out of a queue. It is the dispatcher's from here on. */
  receive(frame: Frame): void {
    this.counters.received++;
    if (this.dropFragments && this.#isFragment(frame)) {
      this.counters.dropped.fragment++;
      this.#options.pool.release(frame);
      return;
    }
    this.#dispatch(frame);
  }

  /** A frame for one cell, whatever the rules say (PACKET_OUT). */
  deliver(cell: CellRecord, frame: Frame): void {
    this.#parse(frame);
    this.#toCell(cell, frame);
  }

  /** The cell that the rules have for this packet. */
  cellFor(frame: Frame): CellRecord | undefined {
    this.#parse(frame);
    const rule = this.#options.rules.lookup(this.#key);
    if (rule !== undefined) return rule.state === 'active' ? rule.cell : undefined;
    return this.defaultCell;
  }

  /** Packets that waited for a cell go in, in order, as far as there is room. */
  release(cell: CellRecord): void {
    const { holding } = this.#options;
    if ((cell.phase !== 'running' && cell.phase !== 'primed') || cell.handle === undefined) return;
    for (let frame = cell.queue.head; frame !== null; frame = cell.queue.head) {
      this.#parse(frame);
      // Either way: it may have been turned back in the other phase.
      if (cell.phase === 'primed') frame.flags |= SLOT_FLAG.BEHIND_MESSAGES;
      else frame.flags &= ~SLOT_FLAG.BEHIND_MESSAGES;
      if (!cell.handle.push(frame, this.#key)) return;
      holding.shift(cell.queue);
      cell.packets++;
      cell.bytes += frame.length;
    }
  }

  /** Packets held for flows that this rule covers find their way again. */
  adopt(rule: Rule, answered: PendingFlow | undefined): void {
    if (answered !== undefined) this.#redispatchFlow(answered);
    if (this.pending.size === 0) return;
    const covered: PendingFlow[] = [];
    for (const flow of this.pending.all()) if (rule.covers(flow.value)) covered.push(flow);
    for (const flow of covered) this.#redispatchFlow(flow);
  }

  /** The controller will not have this flow: what is held is dropped; the next packet asks again. */
  refuse(flow: PendingFlow): void {
    this.pending.remove(flow);
    this.counters.dropped.refused += this.#drop(flow.queue);
  }

  /** Drops what has waited too long for an answer. */
  expire(now: number, timeoutMs: number): void {
    for (;;) {
      const flow = this.pending.expired(now, timeoutMs);
      if (flow === undefined) return;
      this.pending.remove(flow);
      this.counters.dropped.timeout += this.#drop(flow.queue);
    }
  }

  /** Asks for the flows that came while there was nobody to ask. */
  askAgain(): void {
    for (const flow of this.pending.all()) {
      const first = flow.queue.head;
      if (flow.asked || first === null) continue;
      this.#parse(first);
      flow.asked = this.#ask(flow, first);
    }
  }

  /** What was asked of a controller that will not answer is asked of another, if there is one. */
  askOthers(asker: object): void {
    for (const flow of this.pending.all()) if (flow.asker === asker) flow.asked = false;
    this.askAgain();
  }

  /** All held packets go the way of the mode that is in force now. */
  redispatchAll(): void {
    for (const flow of [...this.pending.all()]) this.#redispatchFlow(flow);
  }

  /** Frames of a queue find their way as if they had just arrived. */
  redispatch(queue: FrameQueue): void {
    const { holding } = this.#options;
    // No more than there are now: a frame may come back to the same queue.
    for (let count = queue.count; count > 0; count--) {
      const frame = holding.shift(queue);
      if (frame === null) return;
      this.#dispatch(frame);
    }
  }

  /** Drops what waits for a cell that will not come. */
  abandon(queue: FrameQueue): void {
    this.counters.dropped.noCell += this.#drop(queue);
  }

  #parse(frame: Frame): void {
    const length = Math.min(frame.length, DATA_MAX);
    extractKey(frame.bytes, frame.offset, length, frame.inPort, this.#key, this.#at);
    frame.l3Offset = this.#at.l3;
    frame.l4Offset = this.#at.l4;
  }

  #isFragment(frame: Frame): boolean {
    this.#parse(frame);
    if (frame.l3Offset === 0) return false;
    const type = this.#key[K.TYPE_VLAN] >>> 16;
    if (type === ETH_TYPE.IPV6) return (this.#key[K.PROTO] & IPV6_FRAGMENT_HEADER) !== 0;
    const at = frame.offset + frame.l3Offset + FLAGS_AND_OFFSET;
    return type === ETH_TYPE.IPV4 && (((frame.bytes[at] << 8) | frame.bytes[at + 1]) & MORE_OR_OFFSET) !== 0;
  }

  #dispatch(frame: Frame): void {
    this.#parse(frame);
    const rule = this.#options.rules.lookup(this.#key);
    if (rule === undefined) this.#toMiss(frame, DispatchQueryReason.NO_MATCH);
    else this.#toRule(rule, frame);
  }

  #toRule(rule: Rule, frame: Frame): void {
    rule.packets++;
    rule.bytes += frame.length;
    rule.lastUsed = this.#options.clock.now;
    if (rule.state === 'active' && rule.cell !== undefined) {
      this.#toCell(rule.cell, frame);
    } else if (rule.state === 'asking') {
      this.#options.retire(rule);
      this.#toMiss(frame, DispatchQueryReason.CELL_ENDED);
    } else {
      this.counters.dropped.quarantined++;
      this.#options.pool.release(frame);
    }
  }

  #toMiss(frame: Frame, reason: number): void {
    const cell = this.cellWithoutRule;
    if (cell !== undefined) {
      this.#toCell(cell, frame);
    } else if (this.#miss === DispatchMiss.QUERY) {
      this.#hold(frame, reason);
    } else {
      this.counters.dropped.miss++;
      this.#options.pool.release(frame);
    }
  }

  #toCell(cell: CellRecord, frame: Frame): void {
    const { handle, queue } = cell;
    if (cell.phase === 'primed') {
      // By way of the queue: what waits goes in by release(), in order.
      if (this.#options.holding.push(queue, frame)) this.release(cell);
      else this.#lose(frame);
      return;
    }
    if (cell.phase === 'running' && queue.count === 0 && handle?.push(frame, this.#key) === true) {
      cell.packets++;
      cell.bytes += frame.length;
      return;
    }
    if (cell.phase === 'ended') {
      this.counters.dropped.noCell++;
    } else if (this.#options.holding.push(queue, frame, cell.phase === 'running')) {
      return;
    } else {
      this.#lose(frame);
      return;
    }
    this.#options.pool.release(frame);
  }

  /** There is no room to hold it. */
  #lose(frame: Frame): void {
    this.counters.dropped.hold++;
    this.#options.pool.release(frame);
  }

  #hold(frame: Frame, reason: number): void {
    const { holding, admission, setups, clock, pool } = this.#options;
    const known = this.pending.find(this.#key);
    if (known !== undefined) {
      if (holding.push(known.queue, frame)) return;
      this.counters.dropped.hold++;
      pool.release(frame);
      return;
    }
    if (setups.turnsAway(frame.inPort, this.pending.size)) {
      this.counters.dropped.noSetup++;
      pool.release(frame);
      return;
    }
    if (!admission.admit(frame.inPort, DEFAULT_TENANT, clock.now)) {
      this.counters.dropped.admission++;
      pool.release(frame);
      return;
    }
    const queue = holding.queueFor(DEFAULT_TENANT);
    if (!holding.push(queue, frame)) {
      this.counters.dropped.hold++;
      pool.release(frame);
      return;
    }
    const flow = this.pending.add(this.#key, queue, reason, clock.now);
    flow.asked = this.#ask(flow, frame);
  }

  #ask(flow: PendingFlow, frame: Frame): boolean {
    const asked = this.#options.ask(flow, frame, this.#key);
    if (asked) this.counters.queries++;
    return asked;
  }

  #redispatchFlow(flow: PendingFlow): void {
    this.pending.remove(flow);
    this.redispatch(flow.queue);
  }

  #drop(queue: FrameQueue): number {
    const { holding, pool } = this.#options;
    let count = 0;
    for (let frame = holding.shift(queue); frame !== null; frame = holding.shift(queue)) {
      pool.release(frame);
      count++;
    }
    return count;
  }
}
