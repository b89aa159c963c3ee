/**
 * Table features of OpenFlow 1.5: the meter is an action, requests have commands, tables may be for egress. What a
 * switch reports beyond 1.3 is left out; to ask for it is refused.
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType, TableFeaturesFailedCode } from '../index.ts';
import type { In, Out } from '../schema/types.ts';
import { TableConfig } from '../v14/constants.ts';
import { TableFeatureFlag, TableFeaturesCommand } from '../v15/constants.ts';
import { TableFeaturesFailedCode as TableFeaturesFailedCode15 } from '../v15/errors.ts';
import type { tableFeatures } from '../v15/structs.ts';
import { TABLE_CONFIG_BITS, withPbbUca } from './later-tables.ts';
import { fail } from './shared.ts';

type Table15 = Out<typeof tableFeatures>;
type Property15 = Table15['properties'][number];
type PropertyInit15 = NonNullable<In<typeof tableFeatures>['properties']>[number];
type Table13 = Extract<MessageOf<'multipart_reply'>['body'], { type: 'table_features' }>['tables'][number];
type Property13 = Table13['properties'][number];
type TableInit13 = Extract<
  MessageInitOf<'multipart_reply'>['body'],
  { type: 'table_features' }
>['tables'][number];
type PropertyInit13 = NonNullable<TableInit13['properties']>[number];

type Ids = readonly { readonly type: string }[];
type AnyProperty = { readonly type: string; readonly ids?: Ids };

const has = (ids: Ids | undefined, type: string): boolean => ids?.some((one) => one.type === type) ?? false;

/** The ids of a property; where one for table misses is left out, those for hits count. */
function idsOf(properties: readonly AnyProperty[], type: string): Ids | undefined {
  const found =
    properties.find((one) => one.type === type) ?? properties.find((one) => `${one.type}_miss` === type);
  return found?.ids;
}

/** Property by property, with the meter where the version has it. */
function propertyTo13(one: Property15, all: readonly Property15[]): Property13[] {
  switch (one.type) {
    case 'instructions':
    case 'instructions_miss': {
      const ids = one.ids.filter((id) => id.type !== 'stat_trigger');
      const applied = one.type === 'instructions' ? 'apply_actions' : 'apply_actions_miss';
      return [{ type: one.type, ids: has(idsOf(all, applied), 'meter') ? [...ids, { type: 'meter' }] : ids }];
    }
    case 'write_actions':
    case 'write_actions_miss':
    case 'apply_actions':
    case 'apply_actions_miss':
      return [
        { type: one.type, ids: one.ids.filter((id) => id.type !== 'meter' && id.type !== 'copy_field') },
      ];
    case 'table_sync_from':
    case 'write_copyfield':
    case 'write_copyfield_miss':
    case 'apply_copyfield':
    case 'apply_copyfield_miss':
    case 'packet_types':
      return [];
    default:
      return [one];
  }
}

function propertyFrom13(one: PropertyInit13, all: readonly PropertyInit13[]): PropertyInit15 {
  switch (one.type) {
    case 'instructions':
    case 'instructions_miss':
      return { type: one.type, ids: one.ids.filter((id) => id.type !== 'meter') };
    case 'apply_actions':
    case 'apply_actions_miss': {
      const instructions = one.type === 'apply_actions' ? 'instructions' : 'instructions_miss';
      return {
        type: one.type,
        ids: has(idsOf(all, instructions), 'meter') ? [...one.ids, { type: 'meter' }] : one.ids,
      };
    }
    default:
      return one;
  }
}

/** As a switch reports it. */
export const tableFeaturesTo13 = (table: Table15): Table13 => {
  const { command: _command, features: _features, capabilities, properties, ...kept } = table;
  return {
    ...kept,
    config: capabilities & TableConfig.DEPRECATED_MASK,
    properties: properties.flatMap((one) => propertyTo13(one, properties)),
  };
};

const EGRESS = TableFeatureFlag.EGRESS_TABLE | TableFeatureFlag.FIRST_EGRESS;

/**
 * As a controller asks for it.
 * @throws OpenFlowError TABLE_FEATURES_FAILED
 */
export function wantedTableFeaturesTo13(table: Table15): Table13 {
  const { table_id, command, features, properties } = table;
  if (command !== TableFeaturesCommand.REPLACE) {
    const text = `table_features: command ${command} for table ${table_id}; tables can only be replaced`;
    fail(ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode15.BAD_COMMAND, text);
  }
  if (features & EGRESS) {
    const text = `table_features: table ${table_id} cannot be for egress`;
    fail(ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode15.BAD_FEATURES, text);
  }
  for (const one of properties as readonly AnyProperty[]) {
    const unknown =
      propertyTo13(one as Property15, properties).length === 0 ||
      has(one.ids, 'copy_field') ||
      has(one.ids, 'stat_trigger') ||
      (one.type.startsWith('write') && has(one.ids, 'meter'));
    if (unknown) {
      const text = `table_features: ${one.type} of table ${table_id} asks for more than there is`;
      fail(ErrorType.TABLE_FEATURES_FAILED, TableFeaturesFailedCode.BAD_ARGUMENT, text);
    }
  }
  return tableFeaturesTo13(table);
}

/** A device can evict entries and tell the vacancy of tables, which 1.3 has no bits for. */
export const tableFeaturesFrom13 =
  (device: boolean) =>
  ({ config = 0, properties = [], ...kept }: TableInit13) => {
    const said = properties.map((one) => propertyFrom13(one, properties));
    return {
      ...kept,
      command: TableFeaturesCommand.REPLACE,
      features: TableFeatureFlag.INGRESS_TABLE,
      capabilities: (config | (device ? TABLE_CONFIG_BITS : 0)) >>> 0,
      properties: device ? said.map(withPbbUca) : said,
    };
  };
