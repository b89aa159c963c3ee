/**
 * How many new flows per second may ask the controller, per port and per tenant: a flood of new flows must neither use up
 * the cells nor starve others.
 */

/** Times are milliseconds of any one clock. */
export class TokenBucket {
  /** Tokens per second, and the most that can be saved up. */
  readonly rate: number;
  readonly burst: number;
  #tokens: number;
  #at: number;

  constructor(rate: number, burst: number, now: number) {
    this.rate = rate;
    this.burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Whether a token is there now. */
  ready(now: number): boolean {
    if (now > this.#at) {
      this.#tokens = Math.min(this.burst, this.#tokens + ((now - this.#at) * this.rate) / 1000);
      this.#at = now;
    }
    return this.#tokens >= 1;
  }

  take(): void {
    this.#tokens--;
  }
}

/** New flows allowed per second; 0: no limit. */
export interface AdmissionLimits {
  perPort: number;
  perTenant: number;
}

/** A tenth of a second's flows may come at once, but no fewer than this. */
const LEAST_BURST = 16;

export class Admission {
  readonly counters = { admitted: 0, refusedByPort: 0, refusedByTenant: 0 };
  #limits: AdmissionLimits;
  readonly #ports = new Map<number, TokenBucket>();
  readonly #tenants = new Map<number, TokenBucket>();

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get limits(): AdmissionLimits {
    return this.#limits;
  }

  configure(limits: AdmissionLimits): void {
    this.#limits = limits;
    this.#ports.clear();
    this.#tenants.clear();
  }

  /** Counts one new flow in, or refuses it. A flow refused by one limit uses nothing of the other. */
  admit(port: number, tenant: number, now: number): boolean {
    const { perPort, perTenant } = this.#limits;
    const byPort = perPort > 0 ? bucket(this.#ports, port, perPort, now) : undefined;
    if (byPort !== undefined && !byPort.ready(now)) {
      this.counters.refusedByPort++;
      return false;
    }
    const byTenant = perTenant > 0 ? bucket(this.#tenants, tenant, perTenant, now) : undefined;
    if (byTenant !== undefined && !byTenant.ready(now)) {
      this.counters.refusedByTenant++;
      return false;
    }
    byPort?.take();
    byTenant?.take();
    this.counters.admitted++;
    return true;
  }
}

/** Ports and tenants are numbers the operator gave: few. Numbers off the wire never get here. */
const bucket = (buckets: Map<number, TokenBucket>, key: number, rate: number, now: number): TokenBucket => {
  let found = buckets.get(key);
  if (found === undefined) {
    found = new TokenBucket(rate, Math.max(LEAST_BURST, rate / 10), now);
    buckets.set(key, found);
  }
  return found;
};
