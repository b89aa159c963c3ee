/** What OpenFlow 1.0 and 1.4 say of tables and 1.3 cannot (docs/protocol.md, table_config and table_status). */
import {
  ErrorType,
  type MessageInitOf,
  type MessageOf,
  OpenFlowError,
  TableConfigFlag,
  TableModFailedCode,
} from '../../../openflow/index.ts';
import { meansTable, TABLES } from './entry.ts';
import type { Journal } from './journal.ts';

/** ofp_table_reason of OpenFlow 1.4 */
const VACANCY_DOWN = 3;
const VACANCY_UP = 4;

const KEPT = TableConfigFlag.MISS_TO_CONTROLLER | TableConfigFlag.EVICTION | TableConfigFlag.VACANCY_EVENTS;

interface Setting {
  readonly flags: number;
  readonly vacancyDown: number;
  readonly vacancyUp: number;
  readonly evictionFlags: number;
}
const DEFAULT: Setting = { flags: 0, vacancyDown: 0, vacancyUp: 0, evictionFlags: 0 };

export class TableSettings {
  /** By table: packets that match nothing in it go to the controller. Else, and where nothing is said, they are dropped. */
  readonly missToController: boolean[] = [];
  private readonly journal: Journal;
  /** Where they are not DEFAULT. */
  private readonly settings = new Map<number, Setting>();
  /** Tables with vacancy events, and whether the next event is that there is room again. */
  private readonly watched = new Map<number, boolean>();

  constructor(journal: Journal) {
    this.journal = journal;
  }

  /** Somebody wants to hear when tables fill or empty. */
  get watching(): boolean {
    return this.watched.size > 0;
  }

  /** OFPTMPEF bits if the table evicts entries, else undefined. */
  eviction(tableId: number): number | undefined {
    const setting = this.settings.get(tableId);
    return setting !== undefined && setting.flags & TableConfigFlag.EVICTION
      ? setting.evictionFlags
      : undefined;
  }

  /** Throws OpenFlowError (OFPET_TABLE_MOD_FAILED). */
  configure(message: MessageOf<'table_config'>): void {
    checkTable(message.table_id);
    const { flags, vacancy_down: vacancyDown, vacancy_up: vacancyUp } = message;
    if ((flags & ~KEPT) !== 0 || vacancyDown > vacancyUp || vacancyUp > 100) {
      throw failed(TableModFailedCode.BAD_CONFIG, `flags ${flags}, vacancy ${vacancyDown} to ${vacancyUp} %`);
    }
    const { eviction_flags: evictionFlags } = message;
    const setting = { flags, vacancyDown, vacancyUp, evictionFlags };
    for (const tableId of tablesOf(message.table_id)) {
      const before = this.settings.get(tableId) ?? DEFAULT;
      this.set(tableId, setting);
      this.journal.note(() => this.set(tableId, before));
    }
  }

  /** What is in force, one message per table. */
  describe({ table_id, xid }: MessageOf<'table_config'>, vacancy: number): MessageInitOf<'table_config'>[] {
    checkTable(table_id);
    return tablesOf(table_id).map((tableId) => {
      const setting = this.settings.get(tableId) ?? DEFAULT;
      return {
        type: 'table_config',
        xid,
        table_id: tableId,
        flags: setting.flags,
        vacancy_down: setting.vacancyDown,
        vacancy_up: setting.vacancyUp,
        vacancy,
        eviction_flags: setting.evictionFlags,
      };
    });
  }

  /** Limits that the vacancy, in percent, has passed since the last call. */
  events(vacancy: number): MessageInitOf<'table_status'>[] {
    const events: MessageInitOf<'table_status'>[] = [];
    for (const [tableId, wasLow] of this.watched) {
      const { vacancyDown, vacancyUp } = this.settings.get(tableId) ?? DEFAULT;
      if (wasLow ? vacancy <= vacancyUp : vacancy >= vacancyDown) continue;
      this.watched.set(tableId, !wasLow);
      events.push({
        type: 'table_status',
        table_id: tableId,
        reason: wasLow ? VACANCY_UP : VACANCY_DOWN,
        vacancy_down: vacancyDown,
        vacancy_up: vacancyUp,
        vacancy,
      });
    }
    return events;
  }

  private set(tableId: number, setting: Setting): void {
    this.settings.set(tableId, setting);
    this.missToController[tableId] = (setting.flags & TableConfigFlag.MISS_TO_CONTROLLER) !== 0;
    if ((setting.flags & TableConfigFlag.VACANCY_EVENTS) === 0) this.watched.delete(tableId);
    else if (!this.watched.has(tableId)) this.watched.set(tableId, false);
  }
}

/** TABLE_MOD of OpenFlow 1.3 has nothing but bits of earlier versions, which mean nothing any more (section 7.3.3). */
export function checkTableMod({ table_id, config }: MessageOf<'table_mod'>): void {
  checkTable(table_id);
  if (config > 3) throw failed(TableModFailedCode.BAD_CONFIG, `config 0x${config.toString(16)}`);
}

function tablesOf(wanted: number): number[] {
  return Array.from({ length: TABLES }, (_, tableId) => tableId).filter((tableId) =>
    meansTable(wanted, tableId),
  );
}

function checkTable(tableId: number): void {
  if (tablesOf(tableId).length > 0) return;
  throw failed(TableModFailedCode.BAD_TABLE, `tables go from 0 to ${TABLES - 1}`);
}

function failed(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.TABLE_MOD_FAILED, code, text);
}
