/** What was wanted beside what came of it. */
import type { BenchResult, Target } from './bench.ts';

/** A ratio or figure that a target is set for. */
export interface Goal {
  readonly of: string;
  readonly measured: number;
  readonly target: string;
  readonly met: boolean;
}

export interface Outcome {
  readonly name: string;
  readonly title: string;
  readonly result?: BenchResult;
  readonly goals?: readonly Goal[];
  /** Steps that came to nothing, and why. */
  readonly failed?: Readonly<Record<string, string>>;
  /** How long it took. */
  readonly seconds?: number;
  /** Why there is no result. */
  readonly error?: string;
}

export function goalsOf(targets: readonly Target[], { ratios, figures = {} }: BenchResult): Goal[] {
  const goals: Goal[] = [];
  for (const [of, measured] of Object.entries({ ...figures, ...ratios })) {
    const target = targets.find((one) => of.startsWith(one.of));
    if (target === undefined) continue;
    goals.push(
      'atLeast' in target
        ? { of, measured, target: `at least ${target.atLeast}`, met: measured >= target.atLeast }
        : { of, measured, target: `at most ${target.atMost}`, met: measured <= target.atMost },
    );
  }
  return goals;
}
