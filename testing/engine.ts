/** Lets everything in a virtual network happen, in turns, until nothing moves any more. */

/** Taken now: a test may have its own in their place later. */
const { setImmediate } = globalThis;

/** Turns of the event loop without news after which all is quiet: promises of apps take some. */
const QUIET_TURNS = 3;

export class Engine {
  readonly #pumps = new Set<() => boolean>();
  #activity = 0;
  #scheduled = false;
  #failure: unknown;

  /** `pump` does what there is to do and returns whether there was anything. Returns what takes it out again. */
  add(pump: () => boolean): () => void {
    this.#pumps.add(pump);
    return () => this.#pumps.delete(pump);
  }

  /** Something has happened that the pumps may have to do with. */
  readonly wake = (): void => {
    this.#activity++;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  };

  /** Resolves when nothing moves. Throws what a pump has thrown. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
      const before = this.#activity;
      await new Promise<void>((resolve) => setImmediate(resolve));
      quiet = this.#activity === before ? quiet + 1 : 0;
      this.#throw();
    }
  }

  #turn(): void {
    try {
      for (let again = true; again; ) {
        again = false;
        for (const pump of this.#pumps) again = pump() || again;
        if (again) this.#activity++;
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #throw(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }
}
