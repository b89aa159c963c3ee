/**
 * Queries about flows on one device: an app is asked, and its answer goes out as a rule, or a refusal (docs/architecture.md,
 * "A flow's life", step 3).
 */

import { DispatchCommand, DispatchQueryFlag, type MessageOf } from '../openflow/index.ts';
import type { FlowAnswer, FlowDecision, FlowQuery } from './app.ts';
import type { AppsHost, Decision } from './apps-host.ts';
import type { CookieJar } from './cells.ts';
import type { Datapath } from './datapath.ts';
import { errorText } from './errors.ts';
import type { EventHub } from './events.ts';
import { Flow } from './flow.ts';
import { type FlowTable, tenantKey } from './flow-table.ts';
import type { Limits } from './limits.ts';
import type { Logger } from './log.ts';
import { matchKey } from './match.ts';
import type { Counters, Durations } from './metrics.ts';
import type { Report } from './report.ts';
import { bareRule, DEFAULT_PRIORITY, type ProgramLookup, ruleMessage } from './rules.ts';
import type { Session } from './session.ts';
import type { Time } from './time.ts';

export type DispatchQuery = MessageOf<'dispatch_query'>;

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

export class Queries {
  readonly #c: DispatchContext;
  readonly #session: Session;
  readonly #counters: Counters;
  readonly #debug: boolean;
  readonly #flows: FlowTable;
  readonly #report: Report;
  readonly #push: (flow: Flow, cell: number) => void;

  /** `push`: sends a flow's entries to its cell. */
  constructor(
    context: DispatchContext,
    flows: FlowTable,
    report: Report,
    push: (flow: Flow, cell: number) => void,
  ) {
    this.#push = push;
    this.#c = context;
    this.#session = context.session;
    this.#counters = context.counters;
    this.#debug = context.log.isLevelEnabled('debug');
    this.#flows = flows;
    this.#report = report;
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
      this.refuse(message.query_id, 'too many flows are being set up');
      return;
    }
    const flow = new Flow(message.match, tenant, message.query_id, key, false, this.#c.time.now());
    flow.numbered = (message.flags & DispatchQueryFlag.NUMBERED) !== 0;
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
      this.refuseFlow(flow, app === undefined ? 'no app answered' : `refused by app '${app}'`);
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
      this.refuseFlow(flow, `the answer of app '${app}' cannot be sent: ${errorText(error)}`);
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
    if (flow.numbered) this.#push(flow, flow.queryId);
    this.#c.apps.notify(app, 'onRule', this.#c.datapath, flow);
  }

  /** Gives a flow up for which there is no rule. */
  refuseFlow(flow: Flow, why: string): void {
    this.#flows.endProgress(flow);
    flow.stage = 'gone';
    this.refuse(flow.queryId, why);
    for (const id of flow.waiting) this.refuse(id, why);
  }

  /** The device drops what it holds for this query. */
  refuse(queryId: number, why: string): void {
    this.#counters.queries_refused++;
    this.#session.send(bareRule(DispatchCommand.REFUSE, { queryId }));
    if (this.#report.watched) this.#report.event('refused', { query_id: queryId, why });
    if (this.#debug) this.#c.log.debug({ query_id: queryId, why }, 'query refused');
  }
}

function isRefusal(decision: FlowDecision): boolean {
  return typeof decision === 'object' && decision !== null && 'refuse' in decision;
}
