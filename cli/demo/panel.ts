/** The live cells, for the panel at the bottom of the demo's screen. */

import { type AgentCell, cellFlow } from '../lib/agent-state.ts';
import { bytes, integer } from '../lib/format.ts';
import { get } from '../lib/local.ts';
import { table } from '../lib/table.ts';
import type { View } from './view.ts';

const EVERY_MS = 250;
/** The busiest cells are shown, the others counted. */
const ROWS = 8;

/** The cells that saw most packets, as a table; the agent's own cells are left out. */
export async function busiestCells(agentSocket: string, rows: number): Promise<string[]> {
  const cells = (await get<AgentCell[]>(agentSocket, '/cells')).filter((cell) => cell.match !== null);
  cells.sort((a, b) => b.packets - a.packets);
  const lines = table<AgentCell>(
    [
      { title: 'CELL', value: (cell) => cell.id, align: 'right' },
      { title: 'FLOW', value: cellFlow },
      { title: 'PACKETS', value: (cell) => integer(cell.packets), align: 'right' },
      { title: 'BYTES', value: (cell) => bytes(cell.bytes), align: 'right' },
    ],
    cells.slice(0, rows),
  );
  const more = cells.length - rows;
  return more > 0 ? [...lines, `... and ${more} more cells`] : lines;
}

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
      const lines = await busiestCells(this.#socket, ROWS);
      if (this.#timer?.hasRef()) this.#view.panel(['', ...lines]);
    } catch {
      // The agent is busy or on its way out; the demo itself hears of the latter.
    } finally {
      this.#asking = false;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer?.unref();
    this.#view.clear();
  }
}
