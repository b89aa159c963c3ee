/**
 * Flow mode on one device: what becomes of the rules that were sent, the life of cells (docs/architecture.md, "A flow's
 * life", steps 4 to 7). Nothing here waits: every flow goes on by its own events, so none can hold up another.
 */

import { DispatchCommand, type MessageInit, type MessageOf } from '../openflow/index.ts';
import type { FlowEntry } from './app.ts';
import { CELL_REASONS, CELL_STATES, type CellRecord } from './cells.ts';
import { FlowcellError } from './errors.ts';
import { Flow } from './flow.ts';
import { FlowTable, tenantKey } from './flow-table.ts';
import { matchKey } from './match.ts';
import type { Counters } from './metrics.ts';
import { type DispatchContext, type DispatchQuery, Queries } from './queries.ts';
import { type CellStatusMessage, Report } from './report.ts';
import { bareRule, flowModMessage } from './rules.ts';
import type { Session } from './session.ts';

type ErrorMessage = MessageOf<'error'>;

const BARRIER: MessageInit = { type: 'barrier_request' };
/** Header of a BARRIER_REQUEST of OpenFlow 1.3; the transaction id follows. */
const BARRIER_HEAD = [4, 20, 0, 8] as const;

function barrierOf(cell: number, xid: number): MessageInit {
  const message = Uint8Array.of(...BARRIER_HEAD, xid >>> 24, xid >>> 16, xid >>> 8, xid);
  return { type: 'cell_message', cell, message };
}

export class Dispatch {
  readonly #c: DispatchContext;
  readonly #session: Session;
  readonly #counters: Counters;
  readonly #debug: boolean;
  readonly #flows = new FlowTable();
  readonly #report: Report;
  readonly #queries: Queries;

  constructor(context: DispatchContext) {
    this.#c = context;
    this.#session = context.session;
    this.#counters = context.counters;
    this.#report = new Report(context);
    this.#queries = new Queries(context, this.#flows, this.#report, (flow, cell) => this.#push(flow, cell));
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
    this.#queries.query(message);
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
    const pushed = flow.pushedTo === message.cell && !restored;
    if (!pushed) this.#flows.forgetXids(flow);
    flow.setupUs = message.setup_us;
    this.#flows.setCell(flow, message.cell);
    if (restored) {
      this.#counters.cells_restarted++;
      flow.stage = 'live';
    } else {
      // Entries first: the flow waits for them, and apps may take their time with the news.
      flow.stage = 'pushing';
      if (!pushed) this.#push(flow, message.cell);
    }
    this.#report.tell(flow, 'ready', message);
  }

  /** Sends the flow's entries and a barrier to a cell, which need not be there yet if the device has named it. */
  #push(flow: Flow, cell: number): void {
    flow.pushedTo = cell;
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
    // Of this cell alone: a barrier for all would wait for the other flows that are being set up.
    const barrier = flow.numbered ? (xid: number) => barrierOf(cell, xid) : BARRIER;
    this.#session.call(barrier, (error) => {
      if (flow.pushedTo !== cell) return;
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
    // Its rule failed, and what was sent behind that found no cell.
    if (flow.stage === 'gone') return true;
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
    for (const id of flow.waiting) this.#queries.refuse(id, 'its rule was taken back');
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
        this.#queries.refuseFlow(flow, 'no app answered in time');
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
      this.#queries.refuse(flow.queryId, why);
      for (const id of flow.waiting) this.#queries.refuse(id, why);
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
}
