/**
 * BARRIER_REQUEST across cells: it is answered when every cell that got messages before it has handled them (OpenFlow 1.3,
 * section 7.3.8). Cells still being opened are not waited for: CELL_STATUS is their acknowledgement.
 */
import type { CellRecord } from '../cells.ts';

export class Barriers {
  /** Cells with messages after their last barrier. */
  readonly #dirty = new Set<CellRecord>();
  /** Cells that have yet to answer a barrier, and how many. */
  readonly #open = new Map<CellRecord, number>();
  readonly #answered: (cell: CellRecord) => void;

  /** `answered` is told of each cell that has handled everything. */
  constructor(answered: (cell: CellRecord) => void) {
    this.#answered = answered;
  }

  touched(cell: CellRecord): void {
    this.#dirty.add(cell);
  }

  /** Calls `reply` once everything sent to any cell so far is done, perhaps at once. */
  request(reply: () => void): void {
    // A cell with an unanswered barrier and nothing after it: one more barrier marks the same point for this request.
    const cells = new Set([...this.#dirty, ...this.#open.keys()]);
    this.#dirty.clear();
    let left = cells.size;
    if (left === 0) {
      reply();
      return;
    }
    for (const cell of cells) {
      this.#ask(cell, () => {
        if (--left === 0) reply();
      });
    }
  }

  /** Calls `reply` once this cell has handled everything sent to it so far: nobody else's messages are waited for. */
  requestOf(cell: CellRecord, reply: () => void): void {
    this.#dirty.delete(cell);
    this.#ask(cell, reply);
  }

  #ask(cell: CellRecord, reply: () => void): void {
    this.#open.set(cell, (this.#open.get(cell) ?? 0) + 1);
    cell.control.barrier(() => {
      this.#done(cell);
      reply();
      this.#answered(cell);
    });
  }

  #done(cell: CellRecord): void {
    const open = (this.#open.get(cell) ?? 1) - 1;
    if (open === 0) this.#open.delete(cell);
    else this.#open.set(cell, open);
  }
}
