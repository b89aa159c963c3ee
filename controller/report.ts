/** How flows are reported: to the app that owns them, as events to whoever watches, as warnings to the log. */

import type { MessageOf } from '../openflow/index.ts';
import type { AppsHost } from './apps-host.ts';
import { CELL_REASONS, type CellState, type CellStatus } from './cells.ts';
import type { Datapath } from './datapath.ts';
import type { EventHub, EventType } from './events.ts';
import type { Flow } from './flow.ts';
import { LogGate, type Logger } from './log.ts';

export type CellStatusMessage = MessageOf<'cell_status'>;

export interface ReportContext {
  datapath: Datapath;
  apps: AppsHost;
  events: EventHub;
  log: Logger;
}

export class Report {
  readonly #c: ReportContext;
  readonly #gate = new LogGate();

  constructor(context: ReportContext) {
    this.#c = context;
  }

  /** Gives the app its news; without a message there are no figures. */
  tell(flow: Flow, state: CellState, message?: CellStatusMessage): void {
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

  /** Ask `watched` before building `details`. */
  get watched(): boolean {
    return this.#c.events.watched;
  }

  event(type: EventType, details: Record<string, unknown>): void {
    this.#c.events.emit(type, { datapath: this.#c.datapath.name, ...details });
  }

  statusEvent(type: EventType, message: CellStatusMessage): void {
    if (!this.watched) return;
    this.event(type, {
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

  warn(code: string, flow: Flow, sentence: string): void {
    const held = this.#gate.pass(code);
    if (held < 0) return;
    const { app, cell } = flow;
    const cookie = flow.cookie.toString();
    this.#c.log.warn({ code, datapath: this.#c.datapath.name, app, cell, cookie, held }, sentence);
  }
}
