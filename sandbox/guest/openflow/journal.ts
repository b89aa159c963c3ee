import { inPieces, type Steps } from './steps.ts';

/** How to take back what a transaction has done so far. Outside of a transaction nothing is noted. */
export class Journal {
  private steps: (() => void)[] | undefined;

  begin(): void {
    this.steps = [];
  }

  /** After a change: how it is undone, when all later changes have been. */
  note(undo: () => void): void {
    this.steps?.push(undo);
  }

  /** What was done stays done. */
  commit(): void {
    this.steps = undefined;
  }

  *rollBack(): Steps {
    const undo = (this.steps ?? []).reverse();
    this.steps = undefined;
    yield* inPieces(undo, 'closed', (step) => step());
  }
}
