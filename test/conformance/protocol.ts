/**
 * The versions of OpenFlow that the target is tested in, each with its own codec: the dialects of
 * openflow/translate are part of what is tested.
 */
import {
  FlowModCommand,
  Group,
  GroupModCommand,
  Meter,
  MeterModCommand,
  Table,
} from '../../openflow/index.ts';
import { FlowModCommand as FlowModCommand10 } from '../../openflow/v10/index.ts';
import { codecs, errorMessageName, type MessageIn, type MessageInitIn } from '../../openflow/versions.ts';
import { type Json, type Structures, translate } from './json.ts';
import { MODS } from './messages.ts';
import { MODS10 } from './messages10.ts';

/** Wire versions. */
type Version = 1 | 4 | 5;
export type AnyMessage = MessageIn<Version>;
export type AnyInit = MessageInitIn<Version>;
export type Of<T> = Extract<AnyMessage, { type: T }>;
/** What a prerequisite installs. */
export type Mod = Of<'flow_mod'> | Of<'group_mod'> | Of<'meter_mod'>;

/** Names that all versions have for statistics of the same kind. */
export type StatisticsType = 'flow' | 'table' | 'group_desc' | 'meter_config';

export interface Protocol {
  readonly name: '1.0' | '1.3' | '1.4';
  /** On the wire. */
  readonly version: Version;
  /** Folder of its patterns. */
  readonly folder: string;
  /** What empties a target. All but the last may be refused: a target need not know groups and meters. */
  readonly emptying: readonly AnyInit[];
  /** Asks for all of a kind. */
  readonly statistics: { readonly request: string; readonly reply: 'stats_reply' | 'multipart_reply' };
  /** A message of a prerequisite, complete with our codec's defaults. Throws PatternError or EncodeError. */
  mod(value: Json): Mod;
  errorName(error: Of<'error'>): string;
}

function protocol(
  name: Protocol['name'],
  version: Version,
  structures: Structures,
  rest: Pick<Protocol, 'emptying' | 'statistics'>,
): Protocol {
  const codec = codecs[version] as unknown as {
    decode(bytes: Uint8Array): AnyMessage;
    encode(message: AnyInit): Uint8Array;
  };
  return {
    ...{ name, version, folder: `of${name.replace('.', '')}` },
    ...rest,
    mod: (value) => codec.decode(codec.encode(translate(structures, value) as unknown as AnyInit)) as Mod,
    errorName: (error) => errorMessageName(version, error),
  };
}

const since13: Pick<Protocol, 'emptying' | 'statistics'> = {
  emptying: [
    { type: 'meter_mod', command: MeterModCommand.DELETE, meter_id: Meter.ALL },
    { type: 'group_mod', command: GroupModCommand.DELETE, group_id: Group.ALL },
    { type: 'flow_mod', command: FlowModCommand.DELETE, table_id: Table.ALL },
  ],
  statistics: { request: 'multipart_request', reply: 'multipart_reply' },
};

export const PROTOCOLS: readonly Protocol[] = [
  protocol('1.0', 1, MODS10, {
    emptying: [{ type: 'flow_mod', command: FlowModCommand10.DELETE }],
    statistics: { request: 'stats_request', reply: 'stats_reply' },
  }),
  protocol('1.3', 4, MODS, since13),
  protocol('1.4', 5, MODS, since13),
];

/** Of '1.0', '1.3', '1.4'; undefined for other names. */
export const protocolNamed = (name: string): Protocol | undefined =>
  PROTOCOLS.find((one) => one.name === name);
