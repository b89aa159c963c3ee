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
  eviction_flags: 0,
};

export class TableSettings {
  readonly #cells: Cells;
  readonly #sessions: Iterable<Session>;
  /** What was last said of the first table. */
  #first = NOTHING;
  /** Whether packets that match nothing go to the controller. */
  #missToController = false;

  constructor(cells: Cells, sessions: Iterable<Session>) {
    this.#cells = cells;
    this.#sessions = sessions;
  }

  /** A controller has come or gone. */
  update(): void {
    const wanted = [...this.#sessions].some(({ version }) => version === OPENFLOW_10);
    if (wanted === this.#missToController || this.#cells.get(DEFAULT_CELL) === undefined) return;
    this.#missToController = wanted;
    this.#tellFirst();
  }

  /** A controller has set a table, or all, and the cell was told. */
  noted(message: TableConfig, bytes: Uint8Array): void {
    this.#cells.get(DEFAULT_CELL)?.log.objects.table(message.table_id, bytes);
    if (message.table_id !== FIRST_TABLE && message.table_id !== Table.ALL) return;
    this.#first = { ...message, table_id: FIRST_TABLE };
    if (this.#missToController) this.#tellFirst();
  }

  #tellFirst(): void {
    const cell = this.#cells.get(DEFAULT_CELL);
    const miss = this.#missToController ? TableConfigFlag.MISS_TO_CONTROLLER : 0;
    const flags = this.#first.flags | miss;
    const bytes = encode({ ...this.#first, type: 'table_config', flags });
    cell?.control.tell(bytes);
    cell?.log.objects.table(FIRST_TABLE, bytes);
  }
}
