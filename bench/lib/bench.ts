/** What a benchmark is, and the session it runs in. */

export interface BenchResult {
  /** Ours to each peer's, the first thing to read. */
  ratios: Record<string, number>;
  /** Those of ours that a target is set for as they are, by name and unit. */
  figures?: Record<string, number>;
  rows: Record<string, string | number>[];
  /** Tables of other columns, by name. */
  more?: Record<string, Record<string, string | number>[]>;
  /** A picture as SVG. Default: the ratios as bars. */
  plot?: string;
}

/** What the project wants of the ratios or figures whose names begin like this (issue 5). */
export type Target = { readonly of: string } & ({ readonly atLeast: number } | { readonly atMost: number });

export interface Bench {
  readonly name: string;
  /** What is measured and under which conditions, in a line. */
  readonly title: string;
  /** Programs that must be installed. */
  readonly needs: readonly string[];
  /** It makes no network namespaces. */
  readonly anyUser?: boolean;
  /** How long all of it takes on two cores, about. */
  readonly minutes: number;
  /** What `--part=` can name. */
  readonly parts?: readonly string[];
  readonly targets?: readonly Target[];
  run(session: Session): Promise<BenchResult>;
}

/** `entries-100` is a part of `entries`. */
export const isPartOf = (part: string, chosen: string): boolean =>
  part === chosen || part.startsWith(`${chosen}-`);

export interface SessionOptions {
  /** One round in place of several, to see whether it works. */
  readonly quick: boolean;
  readonly part?: string;
  /** No more live cells than that. */
  readonly cells: number;
  /** Called with what is done now. */
  readonly progress: (step: string) => void;
}

/** One run of one benchmark. */
export class Session {
  readonly quick: boolean;
  readonly cells: number;
  readonly progress: (step: string) => void;
  /** Steps that came to nothing, and why; the others' figures stand. */
  readonly failed: Record<string, string> = {};
  readonly #part: string | undefined;

  constructor({ quick, part, cells, progress }: SessionOptions) {
    this.quick = quick;
    this.cells = cells;
    this.progress = progress;
    this.#part = part;
  }

  /** How many rounds there are of what should have so many. */
  rounds(count: number): number {
    return this.quick ? 1 : count;
  }

  /** Whether this part is to be measured. */
  wants(part: string): boolean {
    return this.#part === undefined || isPartOf(part, this.#part);
  }

  /** What comes of a step; undefined when it fails, which is kept and does not end the others. */
  async attempt<T>(step: string, work: () => Promise<T> | T): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.progress(`failed: ${step}: ${text}`);
      this.failed[step] = text.split('\n')[0];
      return undefined;
    }
  }
}
