/** How the host reaches what runs in a cell: functions on the global, and nothing but numbers across. */
import { RENEW, RENEW_FIRST, RUN } from '../channel/layout.ts';
import type { Program } from './program.ts';
import { regionViews } from './region-views.ts';
import { Runtime } from './runtime.ts';
import { type WarmUp, warm } from './warm.ts';

declare global {
  /** Set by the host before the scripts: the memory that holds the cell's region, and where in it. */
  var __region: SharedArrayBuffer | undefined;
  var __regionOffset: number | undefined;
}

export interface CellDefinition {
  readonly program: Program;
  readonly warmUp: WarmUp;
  /**
   * Makes the program of the next cell, which needs neither number nor time to start, and leaves nothing of the last one
   * reachable that is outside of its program. Left out: the isolate is used once.
   */
  readonly renew?: () => Program;
  /** As Runtime's. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Defines, for the host to take References to:
 *
 * - `__warm()`: runs the hot paths until V8 has compiled them, sets the region to zero, and starts a built-in program;
 * - `__run(budget)`: one batch. RUN bits. The first call, when the region is the cell's, takes positions from it and
 *   starts a program that is not started yet. One function for both, because entering an isolate whose memory is in
 *   no cache costs more than the work. RENEW in place of a budget: the cell ends, and the next call is another's first; RENEW_FIRST
 *   with a budget: this call is.
 *
 * The names cannot be replaced, so what the host takes is what stands here even if foreign code ran before. That code
 * may see and call them, and gains nothing: it disturbs no cell but its own.
 */
export function defineCell({ program, warmUp, renew, onFailure }: CellDefinition): void {
  const region = globalThis.__region;
  const offset = globalThis.__regionOffset ?? 0;
  if (region === undefined) throw new Error('the host has set no __region');
  delete globalThis.__region;
  delete globalThis.__regionOffset;

  const views = regionViews(region, offset);
  let runtime = new Runtime(program, views, onFailure);
  let warmed: Runtime | undefined;
  const expose = (name: string, value: (argument: number) => number): void => {
    Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
  };
  expose('__warm', () => {
    if (warmed === undefined) {
      warmed = warm(warmUp, views);
      // Made once more: objects of before the warm-up may have other shapes than those that the code was compiled for.
      if (renew !== undefined) runtime = new Runtime(renew(), views, onFailure);
      if (warmUp.startsAhead) runtime.prepare();
    }
    return 0;
  });
  expose('__run', (budget) => {
    if (budget !== RENEW && budget < RENEW_FIRST) return runtime.run(budget);
    if (renew === undefined) return RUN.FAILED;
    // All that a cell comes to know is in its runtime and its program.
    runtime = new Runtime(renew(), views, onFailure);
    runtime.prepare();
    return budget === RENEW ? RUN.RENEWED : RUN.RENEWED | runtime.run(budget - RENEW_FIRST);
  });
}
