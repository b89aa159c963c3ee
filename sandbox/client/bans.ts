/** Programs that get no cell for a while, because they took their host down or do not load. */

const BAN_MS = 60_000;

export class Bans {
  /** By hash, or by shelf; until when (performance.now() clock), and why. */
  readonly #bans = new Map<string, { until: number; why: string }>();

  add(key: string, why: string): void {
    const now = performance.now();
    for (const [each, { until }] of this.#bans) if (until <= now) this.#bans.delete(each);
    this.#bans.set(key, { until: now + BAN_MS, why });
  }

  /** Why there is no cell for this now; undefined: nothing is against it. */
  why(key: string): string | undefined {
    const ban = this.#bans.get(key);
    return ban !== undefined && performance.now() < ban.until ? ban.why : undefined;
  }
}
