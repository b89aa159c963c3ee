/**
 * Flow mode on one device: queries in, rules out, the life of cells (docs/architecture.md, "A flow's life",
 * steps 3 to 7). Nothing here waits: every query goes on by its own events, so none can hold up another.
 */

import { DispatchCommand, type MessageOf } from '../openflow/index.ts';
import type { FlowAnswer, FlowDecision, FlowEntry, FlowQuery } from './app.ts';
import type { AppsHost, Decision } from './apps-host.ts';
import { CELL_REASONS, CELL_STATES, type CellRecord, type CookieJar } from './cells.ts';
import type { Datapath } from './datapath.ts';
import { errorText, FlowcellError } from './errors.ts';
import type { EventHub } from './events.ts';
import { Flow } from './flow.ts';
import { FlowTable, tenantKey } from './flow-table.ts';
import type { Limits } from './limits.ts';
import type { Logger } from './log.ts';
import { matchKey } from './match.ts';
import type { Counters, Durations } from './metrics.ts';
import { type CellStatusMessage, Report } from './report.ts';
import { bareRule, DEFAULT_PRIORITY, flowModMessage, type ProgramLookup, ruleMessage } from './rules.ts';
import type { Session } from './session.ts';
import type { Time } from './time.ts';

export type DispatchQuery = MessageOf<'dispatch_query'>;
type ErrorMessage = MessageOf<'error'>;

export interface DispatchContext {
  session: Session;
  datapath: Datapath;
  apps: AppsHost;
  cookies: CookieJar;
  programs: ProgramLookup;
  limits: Limits;
  counters: Counters;
  /** Query received to barrier answered, microseconds. */
  setup: Durations;
  events: EventHub;
  log: Logger;
  time: Time;
}

export class Dispatch {
  readonly #c: DispatchContext;
  readonly #session: Session;
  readonly #counters: Counters;
  readonly #debug: boolean;
  readonly #flows = new FlowTable();
  readonly #report: Report;

  constructor(context: DispatchContext) {
    this.#c = context;
    this.#session = context.session;
    this.#counters = context.counters;
    this.#report = new Report(context);
    this.#debug = context.log.isLevelEnabled('debug');
  }

  /** Cells by their number. */
  get cells(): ReadonlyMap<number, CellRecord> {
    return this.#flows.cells;
  }

  /** Rules by their cookie, those in progress included. */
  get rules(): ReadonlyMap<bigint, CellRecord> {
    return this.#flows.rules;
  }

  get pending(): number {
    return this.#flows.inProgress.size;
  }

  query(message: DispatchQuery): void {
    this.#counters.queries++;
    const { tenant } = message;
    const key = tenantKey(tenant, matchKey(message.match));
    if (this.#report.watched) {
      this.#report.event('query', {
        query_id: message.query_id,
        in_port: message.in_port,
        reason: message.reason,
        match: message.match,
      });
    }
    const running = this.#flows.running(key, tenant, message.match);
    if (running !== undefined) {
      this.#counters.queries_duplicate++;
      running.join(message.query_id);
      return;
    }
    if (this.#flows.inProgress.size >= this.#c.limits.maxPendingFlows) {
      this.#counters.queries_over_limit++;
      this.#refuse(message.query_id, 'too many flows are being set up');
      return;
    }
    const flow = new Flow(message.match, tenant, message.query_id, key, false, this.#c.time.now());
    flow.deadline = flow.startedAt + this.#c.limits.appAnswerMs;
    this.#flows.addAsked(flow);
    const query: FlowQuery = {
      datapath: this.#c.datapath,
      inPort: message.in_port,
      match: message.match,
      data: message.data.slice(),
      totalLength: message.total_len,
      reason: message.reason === 1 ? 'cell_ended' : 'no_match',
      tenant,
    };
    const decision = this.#c.apps.ask(query);
    if (decision instanceof Promise) {
      decision.then(
        (later) => this.#decided(flow, later),
        (error) => this.#c.apps.failed('?', 'onFlow', error),
      );
    } else {
      this.#decided(flow, decision);
    }
  }

  #decided(flow: Flow, { app, decision }: Decision): void {
    // Too late: the time limit passed, or the device is gone.
    if (flow.stage !== 'asking') return;
    if (app === undefined || isRefusal(decision)) {
      this.#refuseFlow(flow, app === undefined ? 'no app answered' : `refused by app '${app}'`);
      return;
    }
    this.#rule(flow, app, decision as FlowAnswer);
  }

  #rule(flow: Flow, app: string, answer: FlowAnswer): void {
    const priority = answer.priority ?? DEFAULT_PRIORITY;
    try {
      const cookie = this.#c.cookies.next(app);
      const frame = { cookie, queryId: flow.queryId, tenant: flow.tenant };
      const message = ruleMessage(answer, frame, this.#c.programs);
      const matched =
        answer.match === flow.match ? flow.askedKey : tenantKey(flow.tenant, matchKey(answer.match));
      const ruleKey = `${priority}/${matched}`;
      const same = this.#flows.byRule(ruleKey);
      if (same?.inProgress) {
        // Another query led to this very rule and it is on its way: it will serve both.
        this.#counters.queries_duplicate++;
        this.#flows.endProgress(flow);
        flow.stage = 'gone';
        same.join(flow.queryId);
        for (const id of flow.waiting) same.join(id);
        return;
      }
      flow.ruleXid = this.#session.send(message);
      flow.cookie = cookie;
      flow.ruleKey = ruleKey;
    } catch (error) {
      this.#c.apps.failed(app, 'onFlow', error);
      this.#refuseFlow(flow, `the answer of app '${app}' cannot be sent: ${errorText(error)}`);
      return;
    }
    this.#counters.rules_sent++;
    flow.app = app;
    flow.stage = 'starting';
    flow.match = answer.match;
    flow.priority = priority;
    flow.bothDirections = answer.bothDirections === true;
    flow.entries = answer.entries;
    flow.deadline = this.#c.time.now() + this.#c.limits.cellReadyMs;
    this.#flows.addRule(flow);
    this.#c.apps.notify(app, 'onRule', this.#c.datapath, flow);
    if (this.#report.watched) {
      this.#report.event('rule', {
        query_id: flow.queryId,
        cookie: flow.cookie,
        app,
        match: flow.match,
        priority,
        both_directions: flow.bothDirections,
      });
    }
  }

  status(message: CellStatusMessage): void {
    const state = CELL_STATES[message.state];
    let flow = this.#flows.rules.get(message.cookie);
    if (this.#debug) {
      this.#c.log.debug({ state, cell: message.cell, cookie: message.cookie.toString() }, 'cell status');
    }
    if (flow === undefined) {
      if (state !== 'ready') {
        this.#counters.cells_unknown++;
        return;
      }
      flow = this.#adopt(message);
      if (flow === undefined) return;
      this.#report.statusEvent('adopted', message);
      return;
    }
    if (state !== undefined) this.#report.statusEvent(state, message);
    switch (state) {
      case 'ready':
        this.#ready(flow, message);
        return;
      case 'failed':
        this.#counters.cells_failed++;
        this.#fail(
          flow,
          `the device could not open a cell (${CELL_REASONS[message.reason]}) ${message.detail}`,
          message,
        );
        return;
      case 'removed':
        this.#counters.cells_removed++;
        this.#flows.drop(flow);
        this.#report.tell(flow, 'removed', message);
        return;
      case 'killed':
      case 'exited':
        if (state === 'killed') this.#counters.cells_killed++;
        else this.#counters.cells_exited++;
        this.#ended(flow, state, message);
        this.#report.tell(flow, state, message);
        return;
      case 'quarantined':
        this.#counters.cells_quarantined++;
        this.#flows.endProgress(flow);
        this.#flows.removeCell(flow);
        flow.stage = 'quarantined';
        this.#report.tell(flow, 'quarantined', message);
        return;
      default:
        this.#counters.cells_unknown++;
    }
  }

  #ready(flow: Flow, message: CellStatusMessage): void {
    if (flow.stage === 'gone') return;
    this.#counters.cells_ready++;
    // Not an answer: the device has started the cell again by itself, and put its entries back.
    const restored = flow.stage !== 'starting' && message.query_id === 0;
    this.#flows.lingering.delete(flow);
    this.#flows.endProgress(flow);
    this.#flows.forgetXids(flow);
    flow.setupUs = message.setup_us;
    this.#flows.setCell(flow, message.cell);
    if (restored) {
      this.#counters.cells_restarted++;
      flow.stage = 'live';
    } else {
      // Entries first: the flow waits for them, and apps may take their time with the news.
      flow.stage = 'pushing';
      this.#push(flow);
    }
    this.#report.tell(flow, 'ready', message);
  }

  /** Sends the flow's entries and a barrier. */
  #push(flow: Flow): void {
    const cell = flow.cell;
    flow.entryErrors = 0;
    try {
      for (const entry of flow.entries) {
        const xid = this.#session.send(flowModMessage(entry, undefined, cell, flow.cookie));
        this.#flows.addEntry(flow, xid);
      }
    } catch (error) {
      // What cannot be encoded is the app's mistake.
      this.#c.apps.failed(flow.app ?? '?', 'onFlow', error);
      this.#counters.entries_failed++;
      flow.entryErrors++;
    }
    this.#counters.entries_pushed += flow.entries.length;
    if (this.#report.watched) {
      this.#report.event('entries', { cell, cookie: flow.cookie, entries: flow.entries.length });
    }
    this.#session.call({ type: 'barrier_request' }, (error) => {
      this.#flows.forgetXids(flow);
      if (flow.stage !== 'pushing' || flow.cell !== cell) return;
      if (error !== undefined || flow.entryErrors > 0) {
        if (error?.code === 'FC_DISCONNECTED') return;
        this.#report.warn(
          'FC_ENTRIES_FAILED',
          flow,
          'its entries could not be installed, the rule is taken back',
        );
        this.remove(flow.cookie);
        return;
      }
      flow.stage = 'live';
      this.#counters.barriers++;
      const micros = (this.#c.time.now() - flow.startedAt) * 1000;
      if (!flow.adopted) this.#c.setup.add(micros);
      if (this.#report.watched) {
        this.#report.event('barrier', { cell, cookie: flow.cookie, setup_us: Math.round(micros) });
      }
    });
  }

  /** An OpenFlow error that no request waited for. True when it concerns a rule or an entry of ours. */
  error(message: ErrorMessage): boolean {
    const flow = this.#flows.byXid(message.xid);
    if (flow === undefined) return false;
    const what = `OpenFlow error type ${message.error_type} code ${message.code}`;
    if (message.xid === flow.ruleXid && flow.inProgress) {
      this.#counters.cells_failed++;
      this.#fail(flow, `the device refused the rule (${what})`);
    } else {
      this.#counters.entries_failed++;
      flow.entryErrors++;
    }
    const error = new FlowcellError('FC_RULE_REFUSED', `${what} for a rule or entry of cell ${flow.cell}`);
    this.#report.warn(error.code, flow, error.message);
    this.#c.apps.notify(flow.app, 'onError', this.#c.datapath, error, flow);
    return true;
  }

  /** Takes a rule back, whatever stage it is in. False when there is no such rule. */
  remove(cookie: bigint): boolean {
    const flow = this.#flows.rules.get(cookie);
    if (flow === undefined || flow.stage === 'gone') return false;
    this.#counters.rules_removed++;
    if (flow.inProgress) this.#counters.rules_cancelled++;
    // Unless an equal rule has taken its place: that one would be deleted.
    if (this.#flows.byRule(flow.ruleKey) === flow) this.#delete(flow);
    for (const id of flow.waiting) this.#refuse(id, 'its rule was taken back');
    flow.waiting.length = 0;
    this.#flows.endProgress(flow);
    this.#flows.releaseRule(flow);
    flow.stage = 'gone';
    this.#linger(flow);
    return true;
  }

  /** Cells that the device reported while it connected. */
  adopted(): Flow[] {
    return [...this.#flows.rules.values()].filter((flow) => flow.adopted);
  }

  /** An adopted cell's entries are known: its app hears of it. */
  announce(flow: Flow, entries: readonly FlowEntry[]): void {
    flow.entries = entries;
    this.#report.tell(flow, 'ready');
  }

  tick(now: number): void {
    for (const flow of this.#flows.inProgress.values()) {
      if (flow.deadline > now) continue;
      if (flow.stage === 'asking') {
        this.#counters.app_timeouts++;
        this.#report.warn('FC_APP_TIMEOUT', flow, 'no app answered the query in time');
        this.#counters.queries_expired++;
        this.#refuseFlow(flow, 'no app answered in time');
      } else {
        this.#counters.rules_expired++;
        this.#fail(flow, 'the device did not report the cell ready in time');
      }
    }
    for (const flow of this.#flows.lingering) {
      if (flow.deadline > now) continue;
      this.#flows.drop(flow);
      this.#report.tell(flow, 'removed');
    }
  }

  /** The device is gone. */
  close(): void {
    this.#flows.clear();
  }

  #adopt(message: CellStatusMessage): Flow | undefined {
    if (this.#flows.rules.size >= this.#c.limits.maxCells) {
      this.#counters.cells_over_limit++;
      return undefined;
    }
    const flow = new Flow(message.match, message.tenant, 0, '', true, this.#c.time.now());
    flow.cookie = message.cookie;
    flow.app = this.#c.apps.owner(message.cookie);
    flow.stage = 'live';
    flow.priority = message.priority;
    flow.setupUs = message.setup_us;
    flow.ruleKey = `${message.priority}/${tenantKey(message.tenant, matchKey(message.match))}`;
    this.#flows.addRule(flow);
    this.#flows.setCell(flow, message.cell);
    this.#counters.cells_adopted++;
    return flow;
  }

  /** A rule that came to nothing: it is taken back, its queries are refused, its app is told. */
  #fail(flow: Flow, why: string, message?: CellStatusMessage): void {
    this.#report.warn('FC_CELL_FAILED', flow, why);
    if (flow.inProgress) {
      this.#delete(flow);
      this.#refuse(flow.queryId, why);
      for (const id of flow.waiting) this.#refuse(id, why);
    }
    this.#flows.drop(flow);
    this.#report.tell(flow, 'failed', message);
  }

  #delete({ cookie, priority, match }: Flow): void {
    this.#session.send(bareRule(DispatchCommand.DELETE_STRICT, { cookie, priority, match }));
  }

  #ended(flow: Flow, state: string, message: CellStatusMessage): void {
    this.#report.warn(
      'FC_CELL_ENDED',
      flow,
      `cell ${message.cell} ${state} (${CELL_REASONS[message.reason]})`,
    );
    this.#flows.endProgress(flow);
    if (flow.stage === 'gone') return;
    this.#flows.removeCell(flow);
    this.#flows.forgetXids(flow);
    flow.stage = 'ended';
    this.#linger(flow);
  }

  #linger(flow: Flow): void {
    flow.deadline = this.#c.time.now() + this.#c.limits.cellReadyMs;
    this.#flows.lingering.add(flow);
  }

  #refuseFlow(flow: Flow, why: string): void {
    this.#flows.endProgress(flow);
    flow.stage = 'gone';
    this.#refuse(flow.queryId, why);
    for (const id of flow.waiting) this.#refuse(id, why);
  }

  #refuse(queryId: number, why: string): void {
    this.#counters.queries_refused++;
    this.#session.send(bareRule(DispatchCommand.REFUSE, { queryId }));
    if (this.#report.watched) this.#report.event('refused', { query_id: queryId, why });
    if (this.#debug) this.#c.log.debug({ query_id: queryId, why }, 'query refused');
  }
}

function isRefusal(decision: FlowDecision): boolean {
  return typeof decision === 'object' && decision !== null && 'refuse' in decision;
}
