/** Follows the controller's events and puts them together, flow by flow. */

import { flowText, type MatchFields } from '../lib/format.ts';
import { quantile } from '../lib/statistics.ts';

/** One line of the controller's GET /events; only what is used here. */
export interface Event {
  /** Microseconds since the epoch. */
  at: number;
  type: string;
  query_id?: number;
  cell?: number;
  cookie?: string | number;
  match?: MatchFields;
  in_port?: number;
  reason?: string | number;
  entries?: number;
  setup_us?: number;
}

/** A flow's way from its query to its live cell; times in microseconds from the query, -1 when not yet. */
export interface FlowStory {
  readonly name: string;
  readonly match: MatchFields;
  readonly inPort: number;
  /** Asked again because its cell had ended. */
  readonly again: boolean;
  readonly queriedAt: number;
  cell: number;
  entries: number;
  ruleUs: number;
  readyUs: number;
  /** The device's own figure: from the rule's arrival to the cell being ready. */
  cellStartUs: number;
  entriesUs: number;
  liveUs: number;
}

export type Step = 'query' | 'rule' | 'ready' | 'entries' | 'live' | 'ended' | 'other';

export class Story {
  readonly flows: FlowStory[] = [];
  /** Every cell that was ever ready. */
  readonly cells = new Set<number>();
  readonly #byQuery = new Map<number, FlowStory>();
  readonly #byCookie = new Map<string, FlowStory>();

  /** Takes an event. Returns the flow it belongs to and what it means for it. */
  add(event: Event): { step: Step; flow: FlowStory | undefined } {
    switch (event.type) {
      case 'query': {
        const match = event.match ?? {};
        const flow: FlowStory = {
          name: flowText(match),
          match,
          inPort: event.in_port ?? 0,
          again: event.reason === 1 || event.reason === 'cell_ended',
          queriedAt: event.at,
          cell: 0,
          entries: 0,
          ruleUs: -1,
          readyUs: -1,
          cellStartUs: 0,
          entriesUs: -1,
          liveUs: -1,
        };
        this.#byQuery.set(event.query_id ?? 0, flow);
        return { step: 'query', flow };
      }
      case 'rule': {
        const flow = this.#byQuery.get(event.query_id ?? 0);
        this.#byQuery.delete(event.query_id ?? 0);
        if (flow === undefined) return { step: 'other', flow };
        flow.ruleUs = event.at - flow.queriedAt;
        this.#byCookie.set(String(event.cookie), flow);
        return { step: 'rule', flow };
      }
      case 'ready':
        return this.#ready(event);
      case 'entries': {
        const flow = this.#of(event);
        if (flow === undefined) return { step: 'other', flow };
        // They may be on their way before the cell is.
        flow.cell = event.cell ?? flow.cell;
        flow.entries = event.entries ?? 0;
        flow.entriesUs = event.at - flow.queriedAt;
        return { step: 'entries', flow };
      }
      case 'barrier': {
        const flow = this.#of(event);
        if (flow === undefined || flow.liveUs >= 0) return { step: 'other', flow };
        flow.liveUs = event.at - flow.queriedAt;
        this.flows.push(flow);
        return { step: 'live', flow };
      }
      case 'killed':
      case 'exited':
        return { step: 'ended', flow: this.#of(event) };
      default:
        return { step: 'other', flow: this.#of(event) };
    }
  }

  /** A cell is ready: the flow's first one, or one that follows on a cell that ended. */
  #ready(event: Event): { step: Step; flow: FlowStory | undefined } {
    let flow = this.#of(event);
    if (event.cell !== undefined) this.cells.add(event.cell);
    if (flow === undefined) return { step: 'other', flow };
    if (flow.readyUs >= 0 && event.cell !== flow.cell) {
      // The device replaced it by itself: no query, so the clock starts here.
      flow = { ...flow, again: true, queriedAt: event.at, ruleUs: -1, entriesUs: -1, liveUs: -1 };
      this.#byCookie.set(String(event.cookie), flow);
    }
    flow.cell = event.cell ?? 0;
    flow.cellStartUs = event.setup_us ?? 0;
    flow.readyUs = event.at - flow.queriedAt;
    return { step: 'ready', flow };
  }

  #of(event: Event): FlowStory | undefined {
    return event.cookie === undefined ? undefined : this.#byCookie.get(String(event.cookie));
  }

  /** The flow whose cell this is now. */
  byCell(cell: number): FlowStory | undefined {
    return this.flows.findLast((flow) => flow.cell === cell);
  }

  /** From query to live cell, microseconds, over all flows that came by a query of their own. */
  setup(): { count: number; p50: number; p99: number } {
    const times = this.flows
      .filter((flow) => !flow.again)
      .map((flow) => flow.liveUs)
      .sort((a, b) => a - b);
    return { count: times.length, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  }
}
