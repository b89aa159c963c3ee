/** Counters: plain numbers on plain objects, so that counting costs an addition. */

/** Every limit and every refusal has its counter here; names are stable (they are shown by the CLI). */
export class Counters {
  connections_accepted = 0;
  connections_refused = 0;
  connections_closed = 0;
  handshakes_failed = 0;
  messages_in = 0;
  messages_out = 0;
  bytes_in = 0;
  bytes_out = 0;
  writes = 0;
  malformed_messages = 0;
  unexpected_messages = 0;
  /** What the version of the connection has no words for (FC_NOT_IN_VERSION). */
  messages_not_in_version = 0;
  errors_in = 0;
  errors_out = 0;
  error_replies_suppressed = 0;
  partial_message_timeouts = 0;
  keepalive_timeouts = 0;
  outgoing_overflows = 0;
  reads_paused = 0;
  /** Reads that were as long as a read can be: the device waited for the others before the next. */
  reads_yielded = 0;
  request_timeouts = 0;
  requests_refused = 0;
  multipart_overflows = 0;
  port_limit = 0;
  packet_ins = 0;
  queries = 0;
  queries_duplicate = 0;
  queries_over_limit = 0;
  queries_refused = 0;
  queries_expired = 0;
  rules_sent = 0;
  rules_removed = 0;
  rules_cancelled = 0;
  rules_expired = 0;
  cells_ready = 0;
  cells_adopted = 0;
  cells_incomplete = 0;
  cells_failed = 0;
  cells_removed = 0;
  cells_killed = 0;
  cells_exited = 0;
  cells_quarantined = 0;
  cells_restarted = 0;
  cells_unknown = 0;
  cells_over_limit = 0;
  entries_pushed = 0;
  entries_failed = 0;
  barriers = 0;
  programs_uploaded = 0;
  app_errors = 0;
  app_timeouts = 0;
  event_lines_dropped = 0;
}

export interface Quantiles {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

/** The latest `size` durations; adding is an array store, sorting happens when somebody asks. */
export class Durations {
  readonly #ring: Float64Array;
  #count = 0;

  constructor(size = 4096) {
    this.#ring = new Float64Array(size);
  }

  add(value: number): void {
    this.#ring[this.#count++ % this.#ring.length] = value;
  }

  /** Quantiles over what the ring holds; `count` is the number of all values ever added. */
  quantiles(): Quantiles {
    const held = Math.min(this.#count, this.#ring.length);
    if (held === 0) return { count: 0, p50: 0, p99: 0, max: 0 };
    const sorted = this.#ring.slice(0, held).sort();
    const at = (q: number) => Math.round(sorted[Math.min(held - 1, Math.floor(q * held))]);
    return { count: this.#count, p50: at(0.5), p99: at(0.99), max: Math.round(sorted[held - 1]) };
  }
}

/** Microseconds since the epoch, as a number (exact until the year 2255). */
export function nowMicros(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}
