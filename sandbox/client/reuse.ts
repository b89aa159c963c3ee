/** What became of the isolates of cells that ended well (docs/architecture.md, "Isolates that are used again"). */

/** Why one was not used again, as hosts say it (host/recycling.ts); and that it ended while it was reset. */
const REFUSALS = ['program', 'shared', 'heap', 'ended'] as const;

export class Reuse {
  /** Isolates that are being reset. */
  returning = 0;
  /** Reset and warm again. */
  recycled = 0;
  /** Warm ones that were too many for too long. */
  trimmed = 0;
  readonly #refused: Record<string, number> = {};
  /** By index: what kind of isolate is there. */
  readonly #kinds: string[] = [];

  /** An isolate of this kind is warm under this index. */
  isWarm(index: number, kind: string): void {
    this.#kinds[index] = kind;
  }

  /** It is being reset. */
  begin(): void {
    this.returning++;
  }

  /** It is as new. Its kind. */
  done(index: number): string {
    this.returning--;
    this.recycled++;
    return this.#kinds[index]!;
  }

  /** It is not. `why`: whatever the host wrote there. */
  refused(why: string | undefined): void {
    this.returning--;
    const reason = REFUSALS.find((known) => known === why) ?? 'other';
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
  }

  /** The process is gone, and all isolates with it. */
  clear(): void {
    this.returning = 0;
  }

  get counters(): { recycled: number; trimmed: number; notRecycled: Record<string, number> } {
    return { recycled: this.recycled, trimmed: this.trimmed, notRecycled: { ...this.#refused } };
  }
}
