/**
 * Flow mode on one device: queries in, rules out, the life of cells (docs/architecture.md, "A flow's life",
 * steps 3 to 7). Nothing here waits: every query goes on by its own events, so none can hold up another.
 */

import { DispatchCommand, type MessageOf } from '../openflow/index.ts';
import type { FlowAnswer, FlowDecision, FlowEntry, FlowQuery } from './app.ts';
import type { AppsHost, Decision } from './apps-host.ts';
import {
  CELL_REASONS,
  CELL_STATES,
  type CellRecord,
  type CellState,
  type CellStatus,
  type CookieJar,
} from './cells.ts';
import type { Datapath } from './datapath.ts';
import { errorText, FlowcellError } from './errors.ts';
import type { EventHub } from './events.ts';
import { Flow } from './flow.ts';
import type { Limits } from './limits.ts';
import { LogGate, type Logger } from './log.ts';
import { matchKey, portlessKey } from './match.ts';
import type { Counters, Durations } from './metrics.ts';
import { bareRule, DEFAULT_PRIORITY, flowModMessage, type ProgramLookup, ruleMessage } from './rules.ts';
import type { Session } from './session.ts';

export type DispatchQuery = MessageOf<'dispatch_query'>;
export type CellStatusMessage = MessageOf<'cell_status'>;
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
}

export class Dispatch {
  readonly #c: DispatchContext;
  readonly #session: Session;
  readonly #counters: Counters;
  readonly #gate = new LogGate();
  readonly #debug: boolean;
  /** Flows in progress by the key of the match that was asked for, and by that of their other direction. */
  readonly #asked = new Map<string, Flow>();
  readonly #mirrored = new Map<string, Flow>();
  /** Flows whose rule was sent. */
  readonly #byCookie = new Map<bigint, Flow>();
  readonly #byRule = new Map<string, Flow>();
  readonly #byCell = new Map<number, Flow>();
  /** Flows whose rule or entries may still be answered by an error. */
  readonly #byXid = new Map<number, Flow>();
  /** Ended or cancelled flows the device has still to say a word about. */
  readonly #lingering = new Set<Flow>();

  constructor(context: DispatchContext) {
    this.#c = context;
    this.#session = context.session;
    this.#counters = context.counters;
    this.#debug = context.log.isLevelEnabled('debug');
  }

  /** Cells by their number. */
  get cells(): ReadonlyMap<number, CellRecord> {
    return this.#byCell;
  }

  /** Rules by their cookie, those in progress included. */
  get rules(): ReadonlyMap<bigint, CellRecord> {
    return this.#byCookie;
  }

  get pending(): number {
    return this.#asked.size;
  }

  query(message: DispatchQuery): void {
    this.#counters.queries++;
    const key = matchKey(message.match);
    if (this.#c.events.watched) {
      this.#event('query', {
        query_id: message.query_id,
        in_port: message.in_port,
        reason: message.reason,
        match: message.match,
      });
    }
    const running =
      this.#asked.get(key) ??
      (this.#mirrored.size > 0 ? this.#mirrored.get(portlessKey(message.match)) : undefined);
    if (running !== undefined) {
      this.#counters.queries_duplicate++;
      running.join(message.query_id);
      return;
    }
    if (this.#asked.size >= this.#c.limits.maxPendingFlows) {
      this.#counters.queries_over_limit++;
      this.#refuse(message.query_id, 'too many flows are being set up');
      return;
    }
    const flow = new Flow(message.match, message.tenant, message.query_id, key, false);
    flow.deadline = flow.startedAt + this.#c.limits.appAnswerMs;
    this.#asked.set(key, flow);
    const query: FlowQuery = {
      datapath: this.#c.datapath,
      inPort: message.in_port,
      match: message.match,
      data: message.data.slice(),
      totalLength: message.total_len,
      reason: message.reason === 1 ? 'cell_ended' : 'no_match',
      tenant: message.tenant,
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
      const matched = answer.match === flow.match ? flow.askedKey : matchKey(answer.match);
      const ruleKey = `${priority}/${matched}`;
      const same = this.#byRule.get(ruleKey);
      if (same?.inProgress) {
        // Another query led to this very rule and it is on its way: it will serve both.
        this.#counters.queries_duplicate++;
        this.#leaveProgress(flow);
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
    flow.deadline = performance.now() + this.#c.limits.cellReadyMs;
    this.#byXid.set(flow.ruleXid, flow);
    this.#byCookie.set(flow.cookie, flow);
    this.#byRule.set(flow.ruleKey, flow);
    if (flow.bothDirections) {
      flow.mirrorKey = matchKey(answer.match, true);
      this.#mirrored.set(flow.mirrorKey, flow);
    }
    this.#c.apps.notify(app, 'onRule', this.#c.datapath, flow);
    if (this.#c.events.watched) {
      this.#event('rule', {
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
    let flow = this.#byCookie.get(message.cookie);
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
      if (this.#c.events.watched) this.#statusEvent('adopted', message);
      return;
    }
    if (this.#c.events.watched && state !== undefined) this.#statusEvent(state, message);
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
        this.#drop(flow);
        this.#tell(flow, 'removed', message);
        return;
      case 'killed':
      case 'exited':
        if (state === 'killed') this.#counters.cells_killed++;
        else this.#counters.cells_exited++;
        this.#ended(flow, state, message);
        this.#tell(flow, state, message);
        return;
      case 'quarantined':
        this.#counters.cells_quarantined++;
        this.#leaveProgress(flow);
        flow.stage = 'quarantined';
        this.#tell(flow, 'quarantined', message);
        return;
      default:
        this.#counters.cells_unknown++;
    }
  }

  #ready(flow: Flow, message: CellStatusMessage): void {
    if (flow.stage === 'gone') return;
    this.#counters.cells_ready++;
    if (flow.stage !== 'starting') this.#counters.cells_restarted++;
    if (flow.cell !== message.cell) this.#forgetCell(flow);
    this.#lingering.delete(flow);
    this.#leaveProgress(flow);
    this.#forgetXids(flow);
    flow.stage = 'pushing';
    flow.cell = message.cell;
    flow.setupUs = message.setup_us;
    this.#byCell.set(flow.cell, flow);
    // Entries first: the flow waits for them, and apps may take their time with the news.
    this.#push(flow);
    this.#tell(flow, 'ready', message);
  }

  /** Sends the flow's entries and a barrier. */
  #push(flow: Flow): void {
    const cell = flow.cell;
    flow.entryErrors = 0;
    try {
      for (const entry of flow.entries) {
        const xid = this.#session.send(flowModMessage(entry, undefined, cell, flow.cookie));
        this.#byXid.set(xid, flow);
        flow.entryXids.push(xid);
      }
    } catch (error) {
      // What cannot be encoded is the app's mistake.
      this.#c.apps.failed(flow.app ?? '?', 'onFlow', error);
      this.#counters.entries_failed++;
      flow.entryErrors++;
    }
    this.#counters.entries_pushed += flow.entries.length;
    if (this.#c.events.watched) {
      this.#event('entries', { cell, cookie: flow.cookie, entries: flow.entries.length });
    }
    this.#session.call({ type: 'barrier_request' }, (error) => {
      this.#forgetXids(flow);
      if (flow.stage !== 'pushing' || flow.cell !== cell) return;
      if (error !== undefined || flow.entryErrors > 0) {
        if (error?.code === 'FC_DISCONNECTED') return;
        this.#warn(
          'entries',
          'FC_ENTRIES_FAILED',
          flow,
          'its entries could not be installed, the rule is taken back',
        );
        this.remove(flow.cookie);
        return;
      }
      flow.stage = 'live';
      this.#counters.barriers++;
      const micros = (performance.now() - flow.startedAt) * 1000;
      if (!flow.adopted) this.#c.setup.add(micros);
      if (this.#c.events.watched) {
        this.#event('barrier', { cell, cookie: flow.cookie, setup_us: Math.round(micros) });
      }
    });
  }

  /** An OpenFlow error that no request waited for. True when it concerns a rule or an entry of ours. */
  error(message: ErrorMessage): boolean {
    const flow = this.#byXid.get(message.xid);
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
    this.#warn('refused', error.code, flow, error.message);
    this.#c.apps.notify(flow.app, 'onError', this.#c.datapath, error, flow);
    return true;
  }

  /** Takes a rule back, whatever stage it is in. False when there is no such rule. */
  remove(cookie: bigint): boolean {
    const flow = this.#byCookie.get(cookie);
    if (flow === undefined || flow.stage === 'gone') return false;
    this.#counters.rules_removed++;
    if (flow.inProgress) this.#counters.rules_cancelled++;
    this.#session.send(
      bareRule(DispatchCommand.DELETE_STRICT, {
        cookie,
        priority: flow.priority,
        match: flow.match,
        cell: flow.cell,
      }),
    );
    for (const id of flow.waiting) this.#refuse(id, 'its rule was taken back');
    flow.waiting.length = 0;
    this.#leaveProgress(flow);
    if (this.#byRule.get(flow.ruleKey) === flow) this.#byRule.delete(flow.ruleKey);
    flow.stage = 'gone';
    this.#linger(flow);
    return true;
  }

  /** Cells that the device reported while it connected. */
  adopted(): Flow[] {
    return [...this.#byCookie.values()].filter((flow) => flow.adopted);
  }

  /** An adopted cell's entries are known: its app hears of it. */
  announce(flow: Flow, entries: readonly FlowEntry[]): void {
    flow.entries = entries;
    this.#tell(flow, 'ready');
  }

  tick(now: number): void {
    for (const flow of this.#asked.values()) {
      if (flow.deadline > now) continue;
      if (flow.stage === 'asking') {
        this.#counters.app_timeouts++;
        this.#warn('app-timeout', 'FC_APP_TIMEOUT', flow, 'no app answered the query in time');
        this.#counters.queries_expired++;
        this.#refuseFlow(flow, 'no app answered in time');
      } else {
        this.#counters.rules_expired++;
        this.#fail(flow, 'the device did not report the cell ready in time');
      }
    }
    for (const flow of this.#lingering) {
      if (flow.deadline > now) continue;
      this.#drop(flow);
      this.#tell(flow, 'removed');
    }
  }

  /** The device is gone. */
  close(): void {
    for (const flow of this.#byCookie.values()) flow.stage = 'gone';
    for (const flow of this.#asked.values()) flow.stage = 'gone';
    for (const map of [
      this.#asked,
      this.#mirrored,
      this.#byCookie,
      this.#byRule,
      this.#byCell,
      this.#byXid,
    ]) {
      map.clear();
    }
    this.#lingering.clear();
  }

  #adopt(message: CellStatusMessage): Flow | undefined {
    if (this.#byCookie.size >= this.#c.limits.maxCells) {
      this.#counters.cells_over_limit++;
      return undefined;
    }
    const flow = new Flow(message.match, message.tenant, 0, '', true);
    flow.cookie = message.cookie;
    flow.app = this.#c.apps.owner(message.cookie);
    flow.stage = 'live';
    flow.cell = message.cell;
    flow.priority = message.priority;
    flow.setupUs = message.setup_us;
    flow.ruleKey = `${message.priority}/${matchKey(message.match)}`;
    this.#byCookie.set(flow.cookie, flow);
    this.#byRule.set(flow.ruleKey, flow);
    this.#byCell.set(flow.cell, flow);
    this.#counters.cells_adopted++;
    return flow;
  }

  /** A rule that came to nothing: it is taken back, its queries are refused, its app is told. */
  #fail(flow: Flow, why: string, message?: CellStatusMessage): void {
    this.#warn('failed', 'FC_CELL_FAILED', flow, why);
    if (flow.inProgress) {
      this.#session.send(
        bareRule(DispatchCommand.DELETE_STRICT, {
          cookie: flow.cookie,
          priority: flow.priority,
          match: flow.match,
        }),
      );
      this.#refuse(flow.queryId, why);
      for (const id of flow.waiting) this.#refuse(id, why);
    }
    this.#drop(flow);
    this.#tell(flow, 'failed', message);
  }

  #ended(flow: Flow, state: string, message: CellStatusMessage): void {
    this.#warn(
      'ended',
      'FC_CELL_ENDED',
      flow,
      `cell ${message.cell} ${state} (${CELL_REASONS[message.reason]})`,
    );
    this.#leaveProgress(flow);
    if (flow.stage === 'gone') return;
    this.#forgetCell(flow);
    this.#forgetXids(flow);
    flow.stage = 'ended';
    this.#linger(flow);
  }

  #linger(flow: Flow): void {
    flow.deadline = performance.now() + this.#c.limits.cellReadyMs;
    this.#lingering.add(flow);
  }

  /** Forgets everything about a flow. */
  #drop(flow: Flow): void {
    this.#leaveProgress(flow);
    this.#forgetCell(flow);
    this.#forgetXids(flow);
    if (this.#byRule.get(flow.ruleKey) === flow) this.#byRule.delete(flow.ruleKey);
    this.#byCookie.delete(flow.cookie);
    this.#lingering.delete(flow);
    flow.stage = 'gone';
  }

  #leaveProgress(flow: Flow): void {
    if (this.#asked.get(flow.askedKey) === flow) this.#asked.delete(flow.askedKey);
    if (flow.mirrorKey !== '' && this.#mirrored.get(flow.mirrorKey) === flow)
      this.#mirrored.delete(flow.mirrorKey);
  }

  #forgetCell(flow: Flow): void {
    if (this.#byCell.get(flow.cell) === flow) this.#byCell.delete(flow.cell);
  }

  #forgetXids(flow: Flow): void {
    this.#byXid.delete(flow.ruleXid);
    for (const xid of flow.entryXids) this.#byXid.delete(xid);
    flow.entryXids.length = 0;
  }

  #refuseFlow(flow: Flow, why: string): void {
    this.#leaveProgress(flow);
    flow.stage = 'gone';
    this.#refuse(flow.queryId, why);
    for (const id of flow.waiting) this.#refuse(id, why);
  }

  #refuse(queryId: number, why: string): void {
    this.#counters.queries_refused++;
    this.#session.send(bareRule(DispatchCommand.REFUSE, { queryId }));
    if (this.#c.events.watched) this.#event('refused', { query_id: queryId, why });
    if (this.#debug) this.#c.log.debug({ query_id: queryId, why }, 'query refused');
  }

  /** Gives the app its news; without a message there are no figures. */
  #tell(flow: Flow, state: CellState, message?: CellStatusMessage): void {
    const status: CellStatus = {
      state,
      reason: CELL_REASONS[message?.reason ?? 0] ?? String(message?.reason),
      record: flow,
      cpuUs: message?.cpu_us ?? 0,
      memoryBytes: message?.memory_bytes ?? 0,
      durationSec: message?.duration_sec ?? 0,
      packetCount: message?.packet_count ?? 0n,
      byteCount: message?.byte_count ?? 0n,
      detail: message?.detail ?? '',
    };
    this.#c.apps.notify(flow.app, 'onCellStatus', this.#c.datapath, status);
  }

  #statusEvent(type: Parameters<EventHub['emit']>[0], message: CellStatusMessage): void {
    this.#event(type, {
      cell: message.cell,
      cookie: message.cookie,
      query_id: message.query_id,
      reason: CELL_REASONS[message.reason],
      setup_us: message.setup_us,
      packet_count: message.packet_count,
      byte_count: message.byte_count,
      detail: message.detail,
    });
  }

  #event(type: Parameters<EventHub['emit']>[0], details: Record<string, unknown>): void {
    this.#c.events.emit(type, { datapath: this.#c.datapath.name, ...details });
  }

  #warn(kind: string, code: string, flow: Flow, sentence: string): void {
    const held = this.#gate.pass(kind);
    if (held < 0) return;
    const { name } = this.#c.datapath;
    this.#c.log.warn(
      { code, datapath: name, app: flow.app, cell: flow.cell, cookie: flow.cookie.toString(), held },
      sentence,
    );
  }
}

function isRefusal(decision: FlowDecision): boolean {
  return typeof decision === 'object' && decision !== null && 'refuse' in decision;
}
