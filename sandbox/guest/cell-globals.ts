/** How the host reaches what runs in a cell: functions on the global, and nothing but numbers across. */
import type { Program } from './program.ts';
import { Runtime } from './runtime.ts';
import { type WarmUp, warm } from './warm.ts';

declare global {
  /** Set by the host before the scripts: the memory that holds the cell's region, and where in it. */
  var __region: SharedArrayBuffer | undefined;
  var __regionOffset: number | undefined;
}

/**
 * Defines, for the host to take References to:
 *
 * - `__warm()`: runs the hot paths on private memory until V8 has compiled them, and starts a built-in program;
 * - `__run(budget)`: one batch. RUN bits. The first call, when the region is the cell's, takes positions from it and
 *   starts a program that is not started yet. One function for both, because entering an isolate whose memory is in
 *   no cache costs more than the work.
 *
 * The names cannot be replaced, so what the host takes is what stands here even if foreign code ran before. That code
 * may see and call them, and gains nothing: it disturbs no cell but its own.
 */
export function defineCell(program: Program, warmUp: WarmUp, onFailure?: (error: unknown) => void): void {
  const region = globalThis.__region;
  const offset = globalThis.__regionOffset ?? 0;
  if (region === undefined) throw new Error('the host has set no __region');
  delete globalThis.__region;
  delete globalThis.__regionOffset;

  const runtime = new Runtime(program, region, offset, onFailure);
  let warmed = false;
  const expose = (name: string, value: (argument: number) => number): void => {
    Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
  };
  expose('__warm', () => {
    if (!warmed) {
      warmed = true;
      warm(warmUp);
      if (warmUp.startsAhead) runtime.prepare();
    }
    return 0;
  });
  expose('__run', (budget) => runtime.run(budget));
}
