/** What a table can do (OpenFlow 1.3, section 7.3.5.5). All tables are alike but for the tables after them. */
import { type MatchField, type MessageInitOf, oxmHeader } from '../../../openflow/index.ts';
import { FIELDS } from '../../../packet/index.ts';
import { NOT_SETTABLE } from './actions.ts';
import { TABLES } from './entry.ts';

type Reply = Extract<MessageInitOf<'multipart_reply'>['body'], { type: 'table_features' }>;
type TableFeatures = Reply['tables'][number];

/** Those that OpenFlow 1.3 has: pbb_uca is told to controllers of later versions only (openflow/translate). */
const FIELDS_13 = FIELDS.filter(({ name }) => name !== 'pbb_uca');

/** Number of each action, ofp_action_type. */
const ACTION_NUMBERS = {
  output: 0,
  copy_ttl_out: 11,
  copy_ttl_in: 12,
  set_mpls_ttl: 15,
  dec_mpls_ttl: 16,
  push_vlan: 17,
  pop_vlan: 18,
  push_mpls: 19,
  pop_mpls: 20,
  set_queue: 21,
  group: 22,
  set_nw_ttl: 23,
  dec_nw_ttl: 24,
  set_field: 25,
  push_pbb: 26,
  pop_pbb: 27,
} as const;
const ACTIONS = Object.keys(ACTION_NUMBERS) as (keyof typeof ACTION_NUMBERS)[];
const INSTRUCTIONS = [
  'goto_table',
  'write_metadata',
  'write_actions',
  'apply_actions',
  'clear_actions',
  'meter',
] as const;

/** The same as group features have them: bits 1 << ofp_action_type. */
export const ACTION_BITS = Object.values(ACTION_NUMBERS).reduce(
  (bits: number, number) => bits | (1 << number),
  0,
);

const ALL_METADATA = 0xffffffffffffffffn;

/** ofp_table_features of a table; made anew each time, as few ask and it is a kilobyte a table. */
export function tableFeatures(tableId: number, maxEntries: number): TableFeatures {
  const names = (fields: typeof FIELDS) => fields.map(({ name }) => name as MatchField);
  const headers = FIELDS_13.map(({ name, maskable }) => oxmHeader(name as MatchField, maskable));
  const all = names(FIELDS_13).map((name) => oxmHeader(name));
  const settable = names(FIELDS_13.filter(({ name }) => !NOT_SETTABLE.has(name))).map((name) =>
    oxmHeader(name),
  );
  const actions = ACTIONS.map((type) => ({ type }));
  const isLast = tableId === TABLES - 1;
  const instructions = INSTRUCTIONS.filter((type) => type !== 'goto_table' || !isLast).map((type) => ({
    type,
  }));
  const nextTables = Array.from({ length: TABLES - 1 - tableId }, (_, i) => tableId + 1 + i);
  // What a table-miss entry can do is the same, and then need not be said.
  return {
    table_id: tableId,
    name: `table ${tableId}`,
    metadata_match: ALL_METADATA,
    metadata_write: ALL_METADATA,
    max_entries: maxEntries,
    properties: [
      { type: 'instructions', ids: instructions },
      { type: 'next_tables', table_ids: nextTables },
      { type: 'write_actions', ids: actions },
      { type: 'apply_actions', ids: actions },
      { type: 'match', oxm_ids: headers },
      { type: 'wildcards', oxm_ids: all },
      { type: 'write_setfield', oxm_ids: settable },
      { type: 'apply_setfield', oxm_ids: settable },
    ],
  };
}
