/**
 * Isolates that cells share, each with a context of its own (wall `context`): a fifth of the memory of an isolate each. What they
 * share is the heap and its limit, and their fate: when one of them uses up the heap or does not come back from a run,
 * the isolate ends, and with it all of them. Only trusted programs are let in.
 */
import type ivm from 'isolated-vm';
import type { Builder, Built, Program } from './builder.ts';

/** Contexts of one isolate: as many cells end with one that goes wrong. */
const CONTEXTS = 64;
/** Its heap's limit, as a multiple of what each of them may be given. */
export const HEAP_SHARE = 8;

export interface SharedIsolate {
  readonly isolate: ivm.Isolate;
  /** Indexes of the cells in it, warm ones too. */
  readonly members: Set<number>;
  /** Contexts being made in it. */
  building: number;
}

export class SharedIsolates {
  readonly #builder: Builder;
  /** The one that is being filled, by program and memory. */
  readonly #open = new Map<string, SharedIsolate>();

  constructor(builder: Builder) {
    this.#builder = builder;
  }

  /** A context for this program in an isolate with room, or in a new one. Throws as Builder.build does. */
  async build(program: Program, memoryMiB: number, index: number): Promise<Built> {
    const key = `${program.hash}/${memoryMiB}`;
    let shared = this.#open.get(key);
    if (shared !== undefined && !shared.isolate.isDisposed && shared.members.size < CONTEXTS) {
      shared.building++;
      try {
        const built = await this.#builder.buildIn(shared.isolate, program, index);
        shared.members.add(index);
        return { ...built, shared };
      } catch (error) {
        // It ended meanwhile, by another's doing: then a new one has to do.
        if (!shared.isolate.isDisposed) throw error;
      } finally {
        shared.building--;
      }
    }
    const first = await this.#builder.build(program, memoryMiB * HEAP_SHARE, index, true);
    shared = { isolate: first.isolate, members: new Set([index]), building: 0 };
    this.#open.set(key, shared);
    return { ...first, shared };
  }
}

/** A cell's context ends, and the isolate with the last one. Twice does no harm. */
export function leave({ shared, isolate, context, run, collect }: Built, index: number): void {
  if (shared === undefined) return;
  if (!shared.members.delete(index) || isolate.isDisposed) return;
  for (const handle of [run, collect, context]) handle.release();
  if (shared.members.size === 0 && shared.building === 0) isolate.dispose();
}
