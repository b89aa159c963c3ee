/** The live cells, for the panel at the bottom of the demo's screen. */

import { type AgentCell, cellFlow } from '../lib/agent-state.ts';
import { bytes, integer } from '../lib/format.ts';
import { get } from '../lib/local.ts';
import { table } from '../lib/table.ts';
import type { View } from './view.ts';

const EVERY_MS = 250;
/** The busiest cells are shown, the others counted. */
const ROWS = 8;

export class CellPanel {
  readonly #socket: string;
  readonly #view: View;
  readonly #timer: NodeJS.Timeout | undefined;
  #asking = false;

  constructor(agentSocket: string, view: View) {
    this.#socket = agentSocket;
    this.#view = view;
    if (view.style.live) this.#timer = setInterval(() => void this.#refresh(), EVERY_MS);
  }

  async #refresh(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const cells = await get<AgentCell[]>(this.#socket, '/cells');
      if (this.#timer?.hasRef()) this.#show(cells);
    } catch {
      // The agent is busy or on its way out; the demo itself hears of the latter.
    } finally {
      this.#asking = false;
    }
  }

  #show(all: readonly AgentCell[]): void {
    const cells = all.filter((cell) => cell.match !== null).sort((a, b) => b.packets - a.packets);
    const busiest = cells.slice(0, ROWS);
    const rows = table<AgentCell>(
      [
        { title: 'CELL', value: (cell) => cell.id, align: 'right' },
        { title: 'FLOW', value: cellFlow },
        { title: 'PACKETS', value: (cell) => integer(cell.packets), align: 'right' },
        { title: 'BYTES', value: (cell) => bytes(cell.bytes), align: 'right' },
      ],
      busiest,
    );
    const more = cells.length - busiest.length;
    this.#view.panel(['', ...rows, ...(more > 0 ? [`... and ${more} more cells`] : [])]);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer?.unref();
    this.#view.clear();
  }
}
