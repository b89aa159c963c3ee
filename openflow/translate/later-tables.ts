/**
 * Tables: eviction and vacancy events, which OpenFlow 1.4 sets by table_mod and reports by table_desc and
 * table_status, are table_config and table_status of the Flowcell extension (docs/protocol.md, 8 and 9).
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType, TableModFailedCode } from '../index.ts';
import type { In, Out } from '../schema/types.ts';
import { TableConfig } from '../v14/constants.ts';
import { BadPropertyCode, ErrorType as ErrorType14 } from '../v14/errors.ts';
import type * as v14 from '../v14/index.ts';
import type { tableDesc } from '../v14/structs.ts';
import { onlyProperties, property } from './later-helpers.ts';
import { fail } from './shared.ts';

type TableDesc = Out<typeof tableDesc>;
type Properties = v14.MessageOf<'table_mod'>['properties'];

/** Of table_config.flags and of ofp_table_config: the same bits in both. */
export const TABLE_CONFIG_BITS = TableConfig.EVICTION | TableConfig.VACANCY_EVENTS;

/** What the properties say, in fields of table_config. */
function settings(properties: Properties) {
  const vacancy = property(properties, 'vacancy');
  return {
    vacancy_down: vacancy?.vacancy_down ?? 0,
    vacancy_up: vacancy?.vacancy_up ?? 0,
    vacancy: vacancy?.vacancy ?? 0,
    eviction_flags: property(properties, 'eviction')?.flags ?? 0,
  };
}

/** table_mod, as a table_config. */
export function tableModTo13(message: v14.MessageOf<'table_mod'>): MessageOf<'table_config'> {
  const { xid, table_id, config, properties } = message;
  if (config & ~(TABLE_CONFIG_BITS | TableConfig.DEPRECATED_MASK)) {
    fail(
      ErrorType.TABLE_MOD_FAILED,
      TableModFailedCode.BAD_CONFIG,
      `table_mod: config 0x${config.toString(16)}`,
    );
  }
  onlyProperties(properties, 'eviction', 'vacancy');
  const set = settings(properties);
  if (set.vacancy_down > set.vacancy_up || set.vacancy_up > 100) {
    fail(
      ErrorType14.BAD_PROPERTY,
      BadPropertyCode.BAD_VALUE,
      `table_mod: vacancy events at ${set.vacancy_down} and ${set.vacancy_up} %`,
    );
  }
  return { type: 'table_config', xid, table_id, flags: config & TABLE_CONFIG_BITS, ...set };
}

type Described = Omit<In<typeof tableDesc>, 'type'>;
type TableConfigInit = Omit<MessageInitOf<'table_config'>, 'type'>;

/** Config and properties of a table_mod or ofp_table_desc. A property that says nothing is left out. */
export function tableDescFrom13(set: TableConfigInit): Described {
  const { table_id, flags = 0, eviction_flags = 0, vacancy_down = 0, vacancy_up = 0, vacancy = 0 } = set;
  const properties: NonNullable<Described['properties']>[number][] = [];
  if (eviction_flags !== 0) properties.push({ type: 'eviction', flags: eviction_flags });
  if ((vacancy_down | vacancy_up | vacancy) !== 0) {
    properties.push({ type: 'vacancy', vacancy_down, vacancy_up, vacancy });
  }
  return { table_id, config: flags & TABLE_CONFIG_BITS, properties };
}

/** ofp_table_desc, as a table_config that tells what is in force. */
export const tableDescTo13 = (table: TableDesc, xid: number): MessageOf<'table_config'> => ({
  type: 'table_config',
  xid,
  table_id: table.table_id,
  flags: table.config & TABLE_CONFIG_BITS,
  ...settings(table.properties),
});

export function tableStatusTo13({
  xid,
  reason,
  table,
}: v14.MessageOf<'table_status'>): MessageOf<'table_status'> {
  const { vacancy_down, vacancy_up, vacancy } = settings(table.properties);
  return { type: 'table_status', xid, table_id: table.table_id, reason, vacancy_down, vacancy_up, vacancy };
}

/** The status comes only while VACANCY_EVENTS is on; of the rest of the table's config it says nothing. */
export const tableStatusFrom13 = ({ xid, reason, ...status }: MessageInitOf<'table_status'>) => ({
  type: 'table_status' as const,
  xid,
  reason,
  table: tableDescFrom13({ ...status, flags: TableConfig.VACANCY_EVENTS }),
});

/** OXM headers without mask: what tells a field from others. */
const PBB_ISID = 0x80000000 + (37 << 9) + 3;
const PBB_UCA = 0x80000000 + (41 << 9) + 1;
const OXM_MASKED = 256;

/**
 * A property of ofp_table_features as a device of 1.4 and later has it: whatever takes pbb_isid takes pbb_uca, too, for
 * which 1.3 has no number of its own.
 */
export function withPbbUca<P extends object>(property: P): P {
  const { oxm_ids: ids } = property as { oxm_ids?: readonly number[] };
  // The masked header has twice the length.
  const hasIsid = ids?.some((id) => id === PBB_ISID || id === PBB_ISID + OXM_MASKED + 3);
  return hasIsid ? { ...property, oxm_ids: [...ids!, PBB_UCA] } : property;
}
