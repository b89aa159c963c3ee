/** Makes isolates with a program in them, off the host's own thread. */
import ivm from 'isolated-vm';
import { regionOffset } from '../channel/control.ts';
import { REGION_BYTES } from '../channel/layout.ts';
import { PageWindow } from '../sys/memory.ts';
import type { SharedIsolate } from './shared-isolates.ts';

/**
 * A program must be loaded and warm by then, ms: many times what it takes. Less for a foreign one, since no other
 * isolate is built meanwhile. Then the isolate is disposed, and must have let go of its thread after as long again.
 */
const BUILD_MS = { builtIn: 5_000, uploaded: 2_000 };

/** A script, with V8's compiled code, made here (never taken from outside). */
export interface Source {
  readonly code: string;
  compiled?: ivm.ExternalCopy<ArrayBuffer>;
  /** `compiled` has all functions in it that a flow's set-up calls. Else: only what V8 compiles before it runs anything. */
  warmed?: boolean;
}

export interface Program {
  readonly hash: string;
  /** Trusted: defines the entries. */
  readonly runtime: Source;
  /** Foreign: evaluated when the runtime stands. */
  readonly uploaded: Source | null;
  /** A cell of it has been reset: it knows how. */
  renews?: boolean;
}

export type Entry = ivm.Reference<(value: number) => number>;

/** An isolate ready to become a cell. */
export interface Built {
  readonly isolate: ivm.Isolate;
  readonly context: ivm.Context;
  /** Others have contexts in the isolate too. */
  readonly shared?: SharedIsolate;
  /** `__run(budget)`: handles messages, a due timer and up to `budget` packets. RUN bits. First the region must be the cell's. */
  readonly run: Entry;
  /** Collects the isolate's garbage, to the last of it. */
  readonly collect: ivm.Reference<() => void>;
}

/** A function for the host alone: what runs in the cell has no gc(). (The host runs with --expose-gc.) */
const COLLECT = `((gc) => () => gc({ type: 'major', flavor: 'last-resort' }))(globalThis.gc)`;

const FACTORY = 'function create(memoryLimit) { return new ivm.Isolate({ memoryLimit }); }';

/** A program kept its thread although its isolate was disposed: this process cannot get rid of it any more. */
export class BuildStuckError extends Error {
  constructor(afterMs: number) {
    super(`the program was not loaded after ${afterMs} ms and cannot be interrupted`);
    this.name = 'BuildStuckError';
  }
}

export class Builder {
  readonly #memory: number;
  readonly #create: ivm.Reference<(memoryMiB: number) => ivm.Isolate>;
  /** By cell index; a window keeps showing the same pages and is never freed. */
  readonly #windows: PageWindow[] = [];

  /** `memory`: descriptor of the host's memfd. */
  static async create(memory: number): Promise<Builder> {
    // `new Isolate` blocks its caller for 2-3 ms: the caller is an isolate on isolated-vm's thread pool.
    const isolate = new ivm.Isolate({ memoryLimit: 64 });
    const context = await isolate.createContext();
    await context.global.set('ivm', ivm);
    await context.eval(FACTORY);
    return new Builder(memory, await context.global.get('create', { reference: true }));
  }

  private constructor(memory: number, create: ivm.Reference<(memoryMiB: number) => ivm.Isolate>) {
    this.#memory = memory;
    this.#create = create;
  }

  /**
   * A new isolate that sees region `index`, with the program loaded; and with its code compiled and its garbage
   * collected if `warm`, which takes four times as long. Throws with V8's words when the program does not load,
   * BuildStuckError when it never ends.
   */
  async build(program: Program, memoryMiB: number, index: number, warm: boolean): Promise<Built> {
    const isolate = await this.#create.apply(undefined, [memoryMiB]);
    return await this.#build(isolate, program, index, warm);
  }

  /** A context more, with its program, in an isolate that is there; it ends if that fails. */
  async buildIn(isolate: ivm.Isolate, program: Program, index: number): Promise<Built> {
    return await this.#build(isolate, program, index, false);
  }

  async #build(isolate: ivm.Isolate, program: Program, index: number, warm: boolean): Promise<Built> {
    const limit = program.uploaded === null ? BUILD_MS.builtIn : BUILD_MS.uploaded;
    let late = false;
    const stuck = Promise.withResolvers<never>();
    let timer = setTimeout(() => {
      late = true;
      if (!isolate.isDisposed) isolate.dispose();
      timer = setTimeout(() => stuck.reject(new BuildStuckError(limit)), limit);
    }, limit);
    try {
      return await Promise.race([this.#load(isolate, program, index, warm), stuck.promise]);
    } catch (error) {
      if (error instanceof BuildStuckError) throw error;
      if (!isolate.isDisposed) isolate.dispose();
      if (late) throw new Error(`the program was not loaded after ${limit} ms`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #load(isolate: ivm.Isolate, program: Program, index: number, warm: boolean): Promise<Built> {
    const context = await isolate.createContext();
    const global = context.global;
    const window = this.#window(index);
    await global.set('__region', new ivm.ExternalCopy(window.shared).copyInto());
    await global.set('__regionOffset', window.offset);
    await evaluate(isolate, context, program.runtime);
    const run = await this.#entry(context, '__run');
    const collect = await context.eval(COLLECT, { reference: true });
    if (warm) {
      const warmUp = await this.#entry(context, '__warm');
      await warmUp.apply(undefined, [0]);
      warmUp.release();
      await keepWarmed(isolate, program.runtime);
      // Warming leaves a third of an isolate's memory behind.
      await collect.apply(undefined, []);
    }
    await context.eval('delete globalThis.gc');
    if (program.uploaded) await evaluate(isolate, context, program.uploaded);
    return { isolate, context, run, collect };
  }

  async #entry(context: ivm.Context, name: string): Promise<Entry> {
    const reference = await context.global.get(name, { reference: true });
    if (reference.typeof !== 'function') {
      throw new Error(`the program defines no function ${name}; bundle it with the guest runtime`);
    }
    return reference;
  }

  #window(index: number): PageWindow {
    let window = this.#windows[index];
    if (!window) {
      window = new PageWindow(REGION_BYTES);
      window.map(this.#memory, regionOffset(index));
      this.#windows[index] = window;
    }
    return window;
  }
}

/** Runs a script, compiled with V8's data of an earlier time once there is any. */
async function evaluate(isolate: ivm.Isolate, context: ivm.Context, source: Source): Promise<void> {
  const script = await compile(isolate, source, source.compiled);
  source.compiled ??= script.cachedData;
  await script.run(context);
  script.release();
}

/**
 * Keeps what V8 has compiled of a script that has run in this isolate: the isolates after it need not compile those
 * functions again, which halves what it takes to load and warm them. (Compiled once more, the script is found in V8's own
 * cache as it is by now. Nothing foreign has run in the isolate yet.)
 */
async function keepWarmed(isolate: ivm.Isolate, source: Source): Promise<void> {
  if (source.warmed) return;
  source.warmed = true;
  const script = await compile(isolate, source, undefined);
  source.compiled = script.cachedData;
  script.release();
}

/** Without data to compile it with, data for the next time are in the answer. */
async function compile(
  isolate: ivm.Isolate,
  { code }: Source,
  compiled: Source['compiled'],
): Promise<ivm.Script & ivm.CachedDataResult> {
  return isolate.compileScript(code, {
    filename: 'program.js',
    ...(compiled ? { cachedData: compiled } : { produceCachedData: true }),
  });
}
