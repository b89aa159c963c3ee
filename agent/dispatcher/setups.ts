/**
 * How many flows may wait for a cell. Cells are made at a pace of their own; flows that come faster would wait longer and
 * longer, and in the end all of them for nothing, because their packets' time is up when the cell is there. So the pace is
 * measured, per tenant, and whoever would wait too long is refused at once.
 */
import type { CellRecord } from '../cells.ts';

/** So many may wait in any case, whatever the pace looks like. */
const LEAST = 16;
/** Taken for the time between two cells until there are figures, ms. */
const FIRST_INTERVAL_MS = 10;
/** Weight of the latest interval in the mean. */
const WEIGHT = 1 / 8;
/** Part of a packet's time that waiting for a cell may be expected to take; the rest is for what was not expected. */
const EXPECTED_SHARE = 0.5;
/** One of so many is asked about all the same: several tenants may be behind one port. */
const ASKED_ALL_THE_SAME = 8;

class TenantPace {
  waiting = 0;
  intervalMs = FIRST_INTERVAL_MS;
  lastAt = 0;

  waits(now: number): void {
    if (this.waiting++ === 0) this.lastAt = now;
  }

  served(now: number): void {
    this.intervalMs += (now - this.lastAt - this.intervalMs) * WEIGHT;
    this.lastAt = now;
  }
}

export class Setups {
  readonly counters = {
    /** Flows refused when the controller had answered; and before it was asked. */
    refused: 0,
    unasked: 0,
    /** Answers for packets that were gone by then, while others waited. */
    stale: 0,
    /** Cells that did not come in time. */
    late: 0,
  };
  /** How long packets are held, ms. */
  limitMs: number;
  readonly #tenants = new Map<number, TenantPace>();
  /** Whose flows have come in by a port lately. */
  readonly #tenantOf = new Map<number, number>();
  /** In the order they were asked for. */
  readonly #waiting = new Map<CellRecord, number>();
  #turnedAway = 0;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** Flows that wait, of all tenants. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Flows that got no cell because too many others came, so far. */
  get refusals(): number {
    const { refused, unasked, stale, late } = this.counters;
    return refused + unasked + stale + late;
  }

  /** Somebody of this tenant waits. */
  busy(tenant: number): boolean {
    return (this.#tenants.get(tenant)?.waiting ?? 0) > 0;
  }

  /** One more flow of this tenant would wait too long. `asked`: those that may yet come before it. */
  full(tenant: number, asked = 0): boolean {
    const pace = this.#tenants.get(tenant);
    if (pace === undefined || pace.waiting < LEAST) return false;
    return (pace.waiting + asked + 1) * pace.intervalMs > this.limitMs * EXPECTED_SHARE;
  }

  /** The controller need not be asked about a new flow from this port: it would be refused. */
  turnsAway(port: number, asked: number): boolean {
    const tenant = this.#tenantOf.get(port);
    if (tenant === undefined || !this.full(tenant, asked)) return false;
    if (++this.#turnedAway % ASKED_ALL_THE_SAME === 0) return false;
    this.counters.unasked++;
    return true;
  }

  /** The controller has said whose a flow from this port is. (Ports are numbers the operator gave: few.) */
  belongs(port: number, tenant: number): void {
    this.#tenantOf.set(port, tenant);
  }

  /** A flow's cell is not there at once. */
  begin(cell: CellRecord, now: number): void {
    let pace = this.#tenants.get(cell.tenant);
    if (pace === undefined) {
      pace = new TenantPace();
      this.#tenants.set(cell.tenant, pace);
    }
    pace.waits(now);
    this.#waiting.set(cell, now);
  }

  /** It is there (`served`), or will not be. Cells that nobody waited for may be told of too. */
  end(cell: CellRecord, served: boolean, now: number): void {
    const pace = this.#tenants.get(cell.tenant);
    if (pace === undefined || !this.#waiting.delete(cell)) return;
    if (served) pace.served(now);
    pace.waiting--;
  }

  /** A cell that is waited for for too long. */
  late(now: number): CellRecord | undefined {
    for (const [cell, since] of this.#waiting) return now - since >= this.limitMs ? cell : undefined;
    return undefined;
  }
}
