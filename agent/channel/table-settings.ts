/**
 * What controllers of other versions say of tables, told to the default cell by table_config (docs/protocol.md). OpenFlow
 * 1.4 has eviction and vacancy events. OpenFlow 1.0 has no table-miss entry: packets that match nothing in its one table go
 * to the controller, and so they do while a controller is connected that speaks 1.0.
 */
import { encode, type MessageOf, Table, TableConfigFlag } from '../../openflow/index.ts';
import { type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Session } from './session.ts';

type TableConfig = MessageOf<'table_config'>;

const OPENFLOW_10 = 1;
/** The table of OpenFlow 1.0. */
const FIRST_TABLE = 0;

const NOTHING: Omit<TableConfig, 'type' | 'xid'> = {
  table_id: FIRST_TABLE,
  flags: 0,
  vacancy_down: 0,
  vacancy_up: 0,
  vacancy: 0,
  miss_send_len: 0,
  eviction_flags: 0,
};

export class TableSettings {
  readonly #cells: Cells;
  readonly #sessions: Iterable<Session>;
  /** What was last said of the first table. */
  #first = NOTHING;
  /** Bytes of a packet that matches nothing; undefined: it is dropped. */
  #missSendLen: number | undefined;

  constructor(cells: Cells, sessions: Iterable<Session>) {
    this.#cells = cells;
    this.#sessions = sessions;
  }

  /** A controller has come or gone, or has said how much of a packet it wants. */
  update(): void {
    const wanted = this.#wanted();
    if (wanted === this.#missSendLen || this.#cells.get(DEFAULT_CELL) === undefined) return;
    this.#missSendLen = wanted;
    this.#tellFirst();
  }

  /** A controller has set a table, or all, and the cell was told. */
  noted(message: TableConfig, bytes: Uint8Array): void {
    this.#cells.get(DEFAULT_CELL)?.log.objects.table(message.table_id, bytes);
    if (message.table_id !== FIRST_TABLE && message.table_id !== Table.ALL) return;
    this.#first = { ...message, table_id: FIRST_TABLE };
    if (this.#missSendLen !== undefined) this.#tellFirst();
  }

  #tellFirst(): void {
    const cell = this.#cells.get(DEFAULT_CELL);
    const miss_send_len = this.#missSendLen;
    const miss = miss_send_len === undefined ? 0 : TableConfigFlag.MISS_TO_CONTROLLER;
    const flags = this.#first.flags | miss;
    const bytes = encode({ ...this.#first, type: 'table_config', flags, miss_send_len });
    cell?.control.tell(bytes);
    cell?.log.objects.table(FIRST_TABLE, bytes);
  }

  #wanted(): number | undefined {
    let longest: number | undefined;
    for (const { version, missSendLen } of this.#sessions) {
      if (version === OPENFLOW_10) longest = Math.max(longest ?? 0, missSendLen);
    }
    return longest;
  }
}
