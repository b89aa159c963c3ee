/** The life of flows: rules and their cells, from the controller's answer to the end, whatever ends them. */
import type { Logger } from 'pino';
import {
  CellReason,
  DispatchFlag,
  type MessageInit,
  type MessageOf,
  OnFailure,
  OpenFlowError,
  Wall,
} from '../../openflow/index.ts';
import {
  type CellEnd,
  type CellLimits,
  type CellWall,
  DEFAULT_LIMITS,
  type ProgramImage,
} from '../../sandbox/client/types.ts';
import type { Asker, CellReply } from '../cell-conversation.ts';
import { type CellListener, type CellRecord, type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { FastPath } from '../fastpath/fast-path.ts';
import type { Liveness } from '../liveness.ts';
import type { Programs } from '../programs.ts';
import { TokenBucket } from './admission.ts';
import { CellReports, type RuleEnd } from './cell-reports.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { PendingFlow } from './pending.ts';
import { isWithin, Rule, type RuleTable } from './rules.ts';
import type { Setups } from './setups.ts';

export type DispatchRule = MessageOf<'dispatch_rule'>;

const WALLS: ReadonlyMap<number, CellWall> = new Map([
  [Wall.ISOLATE, 'isolate'],
  [Wall.PROCESS, 'process'],
  [Wall.CONTEXT, 'context'],
]);

/** After host deaths, cells are started again by the agent at most this often per minute; then the flow asks anew. */
const HOST_DEATHS_PER_MINUTE = 5;
/** The default cell and the standalone cell come back after this, ms, doubled each time up to the most. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
/** That flows are refused for want of cells is said this often, ms. */
const TELL_EVERY_MS = 10_000;

export interface FlowsOptions {
  rules: RuleTable;
  cells: Cells;
  dispatcher: Dispatcher;
  setups: Setups;
  programs: Programs;
  clock: Clock;
  liveness: Liveness;
  /** CELL_STATUS to the controllers, if any are there. */
  send: (message: MessageInit) => void;
  /** What a cell says: to the controller that asked, or to all when none did. */
  reply: (cell: CellRecord, reply: CellReply, asker: Asker | undefined) => void;
  /** How long an openflow cell waits for its first barrier before it runs with the entries it has, ms. */
  firstBarrierMs: () => number;
  fastPath?: FastPath;
  logger: Logger;
}

/** Collecting the garbage of a large table takes longer than a flow's cell may; and these run no foreign code. */
const OWN_RUN_MS = 500;

export class Flows implements CellListener {
  readonly counters = { added: 0, failed: 0, restarted: 0, askedAgain: 0, quarantined: 0 };
  readonly #options: FlowsOptions;
  readonly #reports: CellReports;
  readonly #waiting = new Set<CellRecord>();
  readonly #hostDeaths: TokenBucket;
  #hostDiedAt = -Infinity;
  /** Flows refused for want of cells when that was last said, and when. */
  #refusalsTold = 0;
  #toldAt = -Infinity;
  readonly #retries = new Map<number, { at: number; delay: number; start: () => void }>();

  constructor(options: FlowsOptions) {
    this.#options = options;
    this.#reports = new CellReports(options.clock, options.send);
    this.#hostDeaths = new TokenBucket(
      HOST_DEATHS_PER_MINUTE / 60,
      HOST_DEATHS_PER_MINUTE,
      options.clock.now,
    );
  }

  /** Opens a cell that belongs to the device, not to a rule; it is kept alive. `memoryMiB`: of its heap. */
  openOwn(id: number, program: ProgramImage, memoryMiB = DEFAULT_LIMITS.memoryMiB): CellRecord {
    return this.#options.cells.open({ id, tenant: 0, program, limits: { memoryMiB, runMs: OWN_RUN_MS } });
  }

  /** ADD. Throws OpenFlowError for a match that the specification does not allow. */
  add(message: DispatchRule): void {
    const { rules, cells, programs, dispatcher, setups, clock } = this.#options;
    const rule = new Rule(
      { ...ruleInit(message), bothDirections: (message.flags & DispatchFlag.BOTH_DIRECTIONS) !== 0 },
      clock.now,
    );
    const wall = WALLS.get(message.wall);
    if (wall === undefined || message.cells.length !== 1) {
      const what = message.cells.length === 1 ? `wall ${message.wall}` : `${message.cells.length} cells`;
      this.#refuse(
        rule,
        message,
        CellReason.UNSUPPORTED,
        `${what} in a rule is not supported: give one cell`,
      );
      return;
    }
    const [spec] = message.cells;
    const program = programs.find(spec.program);
    if (program === undefined) {
      this.#refuse(rule, message, CellReason.BAD_PROGRAM, `program ${spec.program} was not uploaded`);
      return;
    }
    if (wall === 'context' && !program.trusted) {
      const why = 'uploaded programs get an isolate or a process each, not a context';
      this.#refuse(rule, message, CellReason.UNSUPPORTED, why);
      return;
    }
    const answered = dispatcher.pending.get(message.query_id);
    if (message.query_id !== 0 && this.#tooMany(rule.tenant, answered)) {
      const detail = `${setups.waiting} flows wait for a cell already`;
      this.#refuse(rule, message, CellReason.NO_RESOURCES, detail);
      return;
    }
    const displaced = rules.add(rule);
    if (displaced === undefined) {
      this.#refuse(rule, message, CellReason.NO_RESOURCES, rules.whyRefused(rule));
      return;
    }
    this.counters.added++;
    this.#options.fastPath?.ruleAdded(rule);
    for (const other of displaced) this.#dispose(other, 'delete');
    const limits: CellLimits = {
      memoryMiB: spec.memory_mib || DEFAULT_LIMITS.memoryMiB,
      runMs: spec.run_ms || DEFAULT_LIMITS.runMs,
      wall,
    };
    // The number that the controller was promised.
    const id = message.query_id === 0 ? undefined : message.query_id;
    const cell = cells.open({ id, tenant: rule.tenant, program, limits, rule, queryId: message.query_id });
    if (message.query_id !== 0 && cell.phase === 'opening') setups.begin(cell, clock.now);
    if (rules.has(rule)) dispatcher.adopt(rule, answered);
    else if (answered !== undefined) dispatcher.refuse(answered);
    for (const { cell } of displaced) if (cell !== undefined) dispatcher.redispatch(cell.queue);
  }

  /** Whether the answer to a query comes to nothing, for want of cells. */
  #tooMany(tenant: number, answered: PendingFlow | undefined): boolean {
    const { setups } = this.#options;
    const from = answered?.queue.head?.inPort;
    if (from !== undefined) setups.belongs(from, tenant);
    if (setups.full(tenant)) {
      setups.counters.refused++;
      return true;
    }
    // Its packets are gone: those of others wait, and the next of this flow will ask again.
    if (answered !== undefined || !setups.busy(tenant)) return false;
    setups.counters.stale++;
    return true;
  }

  /** MODIFY: timeouts, flags, cookie and policy of the rule with this match and priority. */
  modify(message: DispatchRule): void {
    const { rules, clock } = this.#options;
    const wanted = new Rule({ ...ruleInit(message), bothDirections: false }, clock.now);
    const rule = rules.find(wanted.forward, message.priority);
    if (rule === undefined) {
      this.#refuse(wanted, message, CellReason.NONE, 'there is no rule with this match and priority');
      return;
    }
    rule.idleTimeout = message.idle_timeout;
    rule.hardTimeout = message.hard_timeout;
    rules.timeoutsChanged(rule);
    rule.cookie = message.cookie;
    rule.onFailure = message.on_failure;
    // Which directions a rule covers is part of what it is, not of what can be changed.
    rule.flags =
      (message.flags & ~DispatchFlag.BOTH_DIRECTIONS) | (rule.flags & DispatchFlag.BOTH_DIRECTIONS);
    if (rule.cell !== undefined) this.#options.fastPath?.drop(rule.cell);
    if (rule.cell?.handle !== undefined) this.#reports.ready(rule.cell, rule, message.query_id);
  }

  /** DELETE: all rules at least as specific, and of this cell when it is not 0. */
  delete(message: DispatchRule): void {
    const { rules, clock } = this.#options;
    const wanted = new Rule({ ...ruleInit(message), bothDirections: false }, clock.now);
    // The rule of a cell that lives is known, however many rules there are.
    const own = message.cell === 0 ? undefined : this.#options.cells.get(message.cell)?.rule;
    if (own !== undefined) {
      if (rules.has(own) && isWithin(own.forward, wanted.forward)) this.end(own, 'delete');
      return;
    }
    for (const rule of rules.within(wanted.forward)) {
      if (message.cell === 0 || rule.cell?.id === message.cell) this.end(rule, 'delete');
    }
  }

  deleteStrict(message: DispatchRule): void {
    const { rules, clock } = this.#options;
    const wanted = new Rule({ ...ruleInit(message), bothDirections: false }, clock.now);
    const rule = rules.find(wanted.forward, message.priority);
    if (rule !== undefined && (message.cell === 0 || rule.cell?.id === message.cell))
      this.end(rule, 'delete');
  }

  refuse(queryId: number): void {
    const flow: PendingFlow | undefined = this.#options.dispatcher.pending.get(queryId);
    if (flow !== undefined) this.#options.dispatcher.refuse(flow);
  }

  /** Takes a rule out of the table and disposes its cell. */
  end(rule: Rule, why: RuleEnd): void {
    this.#options.rules.remove(rule);
    this.#dispose(rule, why);
    // Its waiting packets are a new flow's, or another rule's.
    if (rule.cell !== undefined) this.#options.dispatcher.redispatch(rule.cell.queue);
  }

  /** A rule whose cell is gone: its next packet asks the controller. */
  retire(rule: Rule): void {
    this.counters.askedAgain++;
    this.#options.rules.remove(rule);
  }

  /** A cell's entries and its first barrier are in its ring: its packets go in behind them. */
  prime(cell: CellRecord): void {
    if (cell.phase !== 'waiting') return;
    cell.phase = 'primed';
    this.#options.dispatcher.release(cell);
  }

  /** A cell's entries are in: it gets its packets. */
  run(cell: CellRecord): void {
    if (cell.phase !== 'waiting' && cell.phase !== 'primed') return;
    this.#waiting.delete(cell);
    cell.phase = 'running';
    this.#options.dispatcher.release(cell);
  }

  /** CELL_STATUS ready for every live cell of a rule. */
  reportAll(send: (message: MessageInit) => void): void {
    for (const rule of this.#options.rules.all()) {
      if (rule.state === 'active' && rule.cell?.handle !== undefined) {
        this.#reports.ready(rule.cell, rule, 0, send);
      }
    }
  }

  /** Timeouts, cells that wait for a barrier that does not come, cells to start again. A few times a second. */
  sweep(): void {
    const { rules, clock, cells } = this.#options;
    const { now } = clock;
    // Packets that the kernel has forwarded count as well.
    const settle = (rule: Rule) => this.#options.fastPath?.foldCell(rule.cell);
    for (const [rule, why] of rules.expired(now, settle)) this.end(rule, why);
    this.#giveUpLate(now);
    this.#tellRefusals(now);
    const limit = this.#options.firstBarrierMs();
    for (const cell of this.#waiting) {
      if (now - cell.readyAt < limit) continue;
      this.#options.logger.warn(
        { cell: cell.id },
        'no barrier after CELL_STATUS ready; the cell runs as it is',
      );
      this.run(cell);
    }
    for (const [id, retry] of this.#retries) {
      if (now < retry.at || cells.get(id) !== undefined) continue;
      retry.at = Infinity;
      retry.start();
    }
    cells.pump();
  }

  opened(cell: CellRecord): void {
    const { rule } = cell;
    const { setups, clock } = this.#options;
    setups.end(cell, true, clock.now);
    if (rule !== undefined) rule.lastUsed = Math.max(rule.lastUsed, clock.now);
    if (rule !== undefined) this.#reports.ready(cell, rule, cell.queryId);
    // Programs other than openflow need no entries, and nobody knows whether they answer a barrier.
    if (cell.program.name !== 'openflow') this.run(cell);
    else if (cell.restored) this.#replay(cell);
    // What the device opens itself runs as it is.
    else if (rule !== undefined) this.#waiting.add(cell);
    else this.run(cell);
  }

  failed(cell: CellRecord, code: string, detail: string): void {
    this.counters.failed++;
    this.#options.setups.end(cell, false, this.#options.clock.now);
    this.#options.dispatcher.abandon(cell.queue);
    const { rule } = cell;
    if (rule === undefined) {
      this.#retryOwn(cell);
      return;
    }
    this.#options.rules.remove(rule);
    rule.cell = undefined;
    const reason = code === 'FC_BAD_PROGRAM' ? CellReason.BAD_PROGRAM : CellReason.NO_RESOURCES;
    this.#reports.failed(rule, cell, cell.queryId, reason, detail);
  }

  ended(cell: CellRecord, end: CellEnd, detail: string): void {
    this.#waiting.delete(cell);
    const { rule } = cell;
    if (rule === undefined) {
      this.#retryOwn(cell);
      return;
    }
    this.#reports.ended(rule, cell, end, detail);
    if (end === 'host-died' && cell.log.complete && this.#mayRestart()) this.#restart(rule, cell);
    else this.#applyPolicy(rule, cell);
  }

  /** Entries that ran out are not to come back with the next replay. */
  reply(cell: CellRecord, reply: CellReply, asker: Asker | undefined): void {
    if (reply.type === 'flow_removed' && !forget(cell, reply)) {
      this.#options.cells.control.refused++;
      return;
    }
    this.#options.reply(cell, reply, asker);
  }

  drained(cell: CellRecord): void {
    this.#options.dispatcher.release(cell);
  }

  /** Cells that did not come in time for the packets that wait for them. */
  #giveUpLate(now: number): void {
    const { setups, cells, dispatcher, rules } = this.#options;
    for (let cell = setups.late(now); cell !== undefined; cell = setups.late(now)) {
      setups.counters.late++;
      this.counters.failed++;
      setups.end(cell, false, now);
      cells.close(cell);
      dispatcher.abandon(cell.queue);
      const { rule } = cell;
      if (rule === undefined) continue;
      rules.remove(rule);
      rule.cell = undefined;
      const detail = `no cell within ${setups.limitMs} ms`;
      this.#reports.failed(rule, cell, cell.queryId, CellReason.NO_RESOURCES, detail);
    }
  }

  #tellRefusals(now: number): void {
    const { waiting, refusals } = this.#options.setups;
    if (refusals === this.#refusalsTold || now - this.#toldAt < TELL_EVERY_MS) return;
    const fields = { refused: refusals - this.#refusalsTold, waiting };
    this.#options.logger.warn(fields, 'new flows come faster than cells can be made');
    this.#refusalsTold = refusals;
    this.#toldAt = now;
  }

  /** One death of a host ends many cells at once: it counts once. */
  #mayRestart(): boolean {
    const { now } = this.#options.clock;
    if (now - this.#hostDiedAt < 1000) return true;
    if (!this.#hostDeaths.ready(now)) return false;
    this.#hostDeaths.take();
    this.#hostDiedAt = now;
    return true;
  }

  #restart(rule: Rule, before: CellRecord): void {
    const { cells } = this.#options;
    const { tenant, program, limits, log, watchedPorts, queue } = before;
    this.counters.restarted++;
    cells.open({ tenant, program, limits, rule, log, watchedPorts, queue });
  }

  #replay(cell: CellRecord): void {
    this.#options.liveness.restored(cell);
    cell.control.restore(cell.log.replay(this.#options.clock.now), () => this.run(cell));
  }

  #applyPolicy(rule: Rule, cell: CellRecord): void {
    const { dispatcher, rules } = this.#options;
    switch (rule.onFailure) {
      case OnFailure.QUARANTINE:
        this.counters.quarantined++;
        rule.state = 'quarantined';
        dispatcher.abandon(cell.queue);
        this.#reports.quarantined(rule, cell);
        break;
      case OnFailure.DROP:
        rules.remove(rule);
        dispatcher.abandon(cell.queue);
        break;
      default:
        rule.state = 'asking';
        dispatcher.redispatch(cell.queue);
    }
  }

  /** Closes a rule's cell and says so; packets that wait for it are the caller's matter. */
  #dispose(rule: Rule, why: RuleEnd): void {
    const { cell } = rule;
    if (cell !== undefined) {
      this.#waiting.delete(cell);
      this.#options.setups.end(cell, false, this.#options.clock.now);
      this.#options.cells.close(cell);
    }
    if (rule.flags & DispatchFlag.NOTIFY_REMOVED) this.#reports.removed(rule, cell, why);
  }

  #retryOwn(cell: CellRecord): void {
    const { now } = this.#options.clock;
    const settled = cell.readyAt > 0 && now - cell.readyAt > MAX_RETRY_MS;
    const known = settled ? undefined : this.#retries.get(cell.id);
    const delay = Math.min(MAX_RETRY_MS, (known?.delay ?? RETRY_MS / 2) * 2);
    this.#retries.set(cell.id, { at: now + delay, delay, start: () => this.#reopenOwn(cell) });
  }

  #reopenOwn(before: CellRecord): void {
    const { cells, dispatcher } = this.#options;
    const { id, tenant, program, limits, log, watchedPorts, queue } = before;
    const record = cells.open({ id, tenant, program, limits, log, watchedPorts, queue });
    if (id === DEFAULT_CELL) dispatcher.defaultCell = record;
    else if (dispatcher.standaloneCell !== undefined) dispatcher.standaloneCell = record;
  }

  #refuse(rule: Rule, message: DispatchRule, reason: number, detail: string): void {
    this.counters.failed++;
    this.refuse(message.query_id);
    this.#reports.failed(rule, undefined, message.query_id, reason, detail);
  }
}

/** False when the match is none: what a cell says need not make sense. */
const forget = (cell: CellRecord, { table_id, priority, match }: MessageOf<'flow_removed'>): boolean => {
  try {
    cell.log.removed(table_id, priority, match);
    return true;
  } catch (error) {
    if (error instanceof OpenFlowError) return false;
    throw error;
  }
};

const ruleInit = (message: DispatchRule) => ({
  match: message.match,
  priority: message.priority,
  idleTimeout: message.idle_timeout,
  hardTimeout: message.hard_timeout,
  flags: message.flags,
  cookie: message.cookie,
  tenant: message.tenant,
  onFailure: message.on_failure,
});
