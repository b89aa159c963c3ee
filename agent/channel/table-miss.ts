/**
 * OpenFlow 1.0 has no table-miss entry: packets that match nothing go to the controller. So they do in the default cell while
 * a controller is connected that speaks 1.0 (docs/protocol.md, table_config).
 */
import { encode, Table, TableConfigFlag } from '../../openflow/index.ts';
import { type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Session } from './session.ts';

const OPENFLOW_10 = 1;

export class TableMiss {
  readonly #cells: Cells;
  readonly #sessions: Iterable<Session>;
  #told: number | undefined;

  constructor(cells: Cells, sessions: Iterable<Session>) {
    this.#cells = cells;
    this.#sessions = sessions;
  }

  /** A controller has come or gone, or has said how much of a packet it wants. */
  update(): void {
    const miss_send_len = this.#wanted();
    const cell = this.#cells.get(DEFAULT_CELL);
    if (miss_send_len === this.#told || cell === undefined) return;
    this.#told = miss_send_len;
    const flags = miss_send_len === undefined ? 0 : TableConfigFlag.MISS_TO_CONTROLLER;
    const bytes = encode({ type: 'table_config', table_id: Table.ALL, flags, miss_send_len });
    cell.control.tell(bytes);
    cell.log.objects.table(Table.ALL, bytes);
  }

  /** Bytes of a packet; undefined: nobody wants any. */
  #wanted(): number | undefined {
    let longest: number | undefined;
    for (const { version, missSendLen } of this.#sessions) {
      if (version === OPENFLOW_10) longest = Math.max(longest ?? 0, missSendLen);
    }
    return longest;
  }
}
