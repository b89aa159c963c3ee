/** CELL_STATUS: what controllers are told of rules and their cells (docs/protocol.md). */
import { CellReason, CellState, type MessageInit } from '../../openflow/index.ts';
import type { CellEnd } from '../../sandbox/client/types.ts';
import type { CellRecord } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Rule } from './rules.ts';

type CellStatus = Extract<MessageInit, { type: 'cell_status' }>;
type Send = (message: MessageInit) => void;

const END_STATES: Record<Exclude<CellEnd, 'closed'>, [state: number, reason: number]> = {
  memory: [CellState.KILLED, CellReason.MEMORY],
  cpu: [CellState.KILLED, CellReason.CPU],
  exception: [CellState.EXITED, CellReason.EXCEPTION],
  'host-died': [CellState.EXITED, CellReason.HOST_DIED],
};

const RULE_ENDS = {
  idle: CellReason.IDLE_TIMEOUT,
  hard: CellReason.HARD_TIMEOUT,
  delete: CellReason.DELETE,
} as const;
export type RuleEnd = keyof typeof RULE_ENDS;

const microseconds = (value: number): number => Math.min(0xffffffff, Math.max(0, Math.round(value)));

export class CellReports {
  readonly #clock: Clock;
  readonly #send: Send;

  /** `send`: to all controllers that decide about flows. */
  constructor(clock: Clock, send: Send) {
    this.#clock = clock;
    this.#send = send;
  }

  /** `queryId`: the query that its rule answers, 0: none. `send`: to whom, where not to all. */
  ready(cell: CellRecord, rule: Rule, queryId: number, send = this.#send): void {
    const init = { query_id: queryId, setup_us: microseconds(cell.setupUs) };
    this.#report(CellState.READY, CellReason.NONE, rule, cell, init, send);
  }

  failed(rule: Rule, cell: CellRecord | undefined, query_id: number, reason: number, detail: string): void {
    this.#report(CellState.FAILED, reason, rule, cell, { query_id, detail });
  }

  removed(rule: Rule, cell: CellRecord | undefined, why: RuleEnd): void {
    this.#report(CellState.REMOVED, RULE_ENDS[why], rule, cell, {});
  }

  ended(rule: Rule, cell: CellRecord, end: CellEnd, detail: string): void {
    // A cell that ends "closed" without our closing it is one whose host would have it so.
    const [state, reason] = END_STATES[end === 'closed' ? 'host-died' : end];
    this.#report(state, reason, rule, cell, { detail });
  }

  quarantined(rule: Rule, cell: CellRecord): void {
    this.#report(CellState.QUARANTINED, CellReason.NONE, rule, cell, {});
  }

  #report(
    state: number,
    reason: number,
    rule: Rule,
    cell: CellRecord | undefined,
    more: Partial<CellStatus>,
    send = this.#send,
  ): void {
    const usage = cell?.handle?.usage;
    send({
      type: 'cell_status',
      state,
      reason,
      priority: rule.priority,
      cell: cell?.id ?? 0,
      tenant: rule.tenant,
      cookie: rule.cookie,
      cpu_us: microseconds(usage?.cpuUs ?? 0),
      memory_bytes: microseconds(usage?.heapBytes ?? 0),
      duration_sec: Math.floor((this.#clock.now - rule.createdAt) / 1000),
      packet_count: BigInt(rule.packets),
      byte_count: BigInt(rule.bytes),
      match: rule.match,
      ...more,
    });
  }
}
