/**
 * Controllers are read no faster than cells take in what they send: a burst of messages waits in the controller's socket,
 * and nothing of it has to be refused. A cell that does not get on at all holds up nobody for long: then what it has no
 * room for is refused.
 */
import type { CellRecord } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Session } from './session.ts';

/** How long a cell may take in nothing before controllers are read all the same, ms. */
const PATIENCE_MS = 1000;

interface Crowd {
  /** Controllers that are not read because of this cell. */
  readonly held: Set<Session>;
  /** Messages that waited when the cell last got on, and when that was. */
  left: number;
  at: number;
  givenUp: boolean;
}

export class Pace {
  readonly counters = { paused: 0, givenUp: 0 };
  readonly #clock: Clock;
  readonly #crowds = new Map<CellRecord, Crowd>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call after each message of a controller to a cell. */
  sent(session: Session, cell: CellRecord): void {
    const { control } = cell;
    if (!control.crowded) return;
    let crowd = this.#crowds.get(cell);
    if (crowd === undefined) {
      crowd = { held: new Set(), left: control.backlog, at: this.#clock.now, givenUp: false };
      this.#crowds.set(cell, crowd);
    }
    if (crowd.givenUp || crowd.held.has(session)) return;
    crowd.held.add(session);
    session.hold();
    this.counters.paused++;
  }

  /** Once per turn of the loop. */
  turn(): void {
    for (const [cell, crowd] of this.#crowds) this.#look(cell, crowd);
  }

  #look(cell: CellRecord, crowd: Crowd): void {
    const { control } = cell;
    const { now } = this.#clock;
    control.pump();
    if (!control.waiting) {
      this.#crowds.delete(cell);
      release(crowd);
    } else if (control.backlog < crowd.left) {
      crowd.left = control.backlog;
      crowd.at = now;
    } else if (!crowd.givenUp && now - crowd.at >= PATIENCE_MS) {
      crowd.givenUp = true;
      this.counters.givenUp++;
      release(crowd);
    }
  }
}

const release = ({ held }: Crowd): void => {
  for (const session of held) session.release();
  held.clear();
};
