/**
 * What happens in the controller, as it happens, for whoever watches (the demo, `flowcell events`). Nothing
 * is built while nobody watches.
 */

import { nowMicros } from './metrics.ts';

export type EventType =
  | 'connected'
  | 'disconnected'
  | 'port'
  | 'query'
  | 'rule'
  | 'refused'
  | 'ready'
  | 'failed'
  | 'entries'
  | 'barrier'
  | 'removed'
  | 'killed'
  | 'exited'
  | 'quarantined'
  | 'adopted'
  | 'error';

/** One line of GET /events. `at` is in microseconds since the epoch; bigints are decimal strings in JSON. */
export interface ControllerEvent {
  at: number;
  type: EventType;
  /** Datapath id, 16 hex digits. */
  datapath?: string;
  [detail: string]: unknown;
}

export type EventListener = (event: ControllerEvent) => void;

export class EventHub {
  readonly #listeners = new Set<EventListener>();

  /** False while nobody watches: ask before building the details of an event. */
  get watched(): boolean {
    return this.#listeners.size > 0;
  }

  /** Calls `listener` for every event from now on; returns what ends that. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(type: EventType, details: { datapath?: string; [detail: string]: unknown }): void {
    if (this.#listeners.size === 0) return;
    const event: ControllerEvent = { at: nowMicros(), type, ...details };
    for (const listener of this.#listeners) listener(event);
  }
}

/** JSON with bigints as decimal strings and bytes as hex. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => {
    if (typeof item === 'bigint') return item.toString();
    if (item instanceof Uint8Array) return Buffer.from(item).toString('hex');
    return item;
  });
}
