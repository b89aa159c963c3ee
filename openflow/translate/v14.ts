/**
 * OpenFlow 1.4 in terms of 1.3: tables of what differs; actions and instructions are those of 1.3, and match fields but
 * for pbb_uca, which is an extension of 1.3 and has the same name.
 */
import type { Message, MessageInit, MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType, TableFeaturesFailedCode } from '../index.ts';
import { extendedCodec } from '../schema/extended.ts';
import type { MessageIn, MessageOut } from '../schema/messages.ts';
import { match, union } from '../schema/types.ts';
import {
  actionOptions,
  actionVariants,
  instructionOptions,
  instructionVariants,
  oxmFields,
} from '../v13/actions.ts';
import { TableConfig } from '../v14/constants.ts';
import { errorName } from '../v14/errors.ts';
import { messagesOf } from '../v14/messages.ts';
import { newFields } from '../v14/structs.ts';
import type { DialectContext } from './dialect.ts';
import { KINDS_OF_14, packetInReasonTo13 } from './later-async.ts';
import { type Connection, laterDialect } from './later-connection.ts';
import { checkFlags } from './later-helpers.ts';
import { splitImportance, withImportance } from './later-importance.ts';
import {
  askQueues,
  askTables,
  badMultipart,
  flowcellWireMessages,
  messagesFrom13,
  messagesTo13,
  queueDescTo13,
  tableDescsTo13,
} from './later-messages.ts';
import { portFrom13, portStatsFrom13, portStatsTo13, portTo13, queueStatsTo13 } from './later-ports.ts';
import { TABLE_CONFIG_BITS, withPbbUca } from './later-tables.ts';
import { each, fail } from './shared.ts';
import { type Translation, translate } from './table.ts';

const fields = { ...oxmFields, ...newFields } as const;
const action = union(actionOptions, actionVariants(fields));
const kit = {
  match: match(fields),
  action,
  instruction: union(instructionOptions, instructionVariants(action)),
} as const;
const messages = { ...messagesOf(kit), ...flowcellWireMessages };
const codec = extendedCodec(5, messages);

type Message14 = MessageOut<typeof messages>;
type Init14 = MessageIn<typeof messages>;
type Of14<T extends Message14['type']> = Extract<Message14, { type: T }>;
type Request14 = Of14<'multipart_request'>['body'];
type Reply14 = Of14<'multipart_reply'>['body'];
type Request13 = MessageOf<'multipart_request'>['body'];
type Reply13 = MessageOf<'multipart_reply'>['body'];
type RequestInit13 = MessageInitOf<'multipart_request'>['body'];
type ReplyInit13 = MessageInitOf<'multipart_reply'>['body'];
type RequestInit14 = Extract<Init14, { type: 'multipart_request' }>['body'];
type ReplyInit14 = Extract<Init14, { type: 'multipart_reply' }>['body'];

// To 1.3 ----------------------------------------------------------------------------------------------------

type TableFeatures14 = Extract<Reply14, { type: 'table_features' }>['tables'][number];
type TableFeatures13 = Extract<Reply13, { type: 'table_features' }>['tables'][number];

/** That tables have the same entries, 1.3 does not say. */
const tableFeaturesTo13 = ({ capabilities, properties, ...table }: TableFeatures14): TableFeatures13 => ({
  ...table,
  config: capabilities & TableConfig.DEPRECATED_MASK,
  properties: properties.filter((one) => one.type !== 'table_sync_from'),
});

const requestsTo13: Translation<Exclude<Request14, { type: 'table_desc' | 'queue_desc' }>, Request13> = {
  table_features({ type, tables }) {
    if (tables.some(({ properties }) => properties.some((one) => one.type === 'table_sync_from'))) {
      fail(
        ErrorType.TABLE_FEATURES_FAILED,
        TableFeaturesFailedCode.BAD_TYPE,
        'tables are not synchronised here',
      );
    }
    return { type, tables: tables.map(tableFeaturesTo13) };
  },
  flow_monitor: () => badMultipart('flow_monitor'),
};

const repliesTo13: Translation<Exclude<Reply14, { type: 'table_desc' | 'queue_desc' }>, Reply13> = {
  flow: ({ type, flows }) => ({
    type,
    flows: flows.map(({ importance, ...flow }) => ({
      ...flow,
      instructions: withImportance(flow.instructions, importance),
    })),
  }),
  port_stats: ({ type, ports }) => ({ type, ports: ports.map(portStatsTo13) }),
  queue: ({ type, queues }) => ({ type, queues: queues.map(queueStatsTo13) }),
  table_features: ({ type, tables }) => ({ type, tables: tables.map(tableFeaturesTo13) }),
  port_desc: ({ type, ports }) => ({ type, ports: ports.map(portTo13) }),
  flow_monitor: () => badMultipart('flow_monitor'),
};

const to13 = (connection: Connection): Translation<Message14, Message, Message | Message[]> => ({
  ...messagesTo13(connection),
  packet_in: (message) => ({ ...message, reason: packetInReasonTo13(message.reason) }),
  port_status: (message) => ({ ...message, desc: portTo13(message.desc) }),
  flow_mod: ({ importance, ...message }) => ({
    ...checkFlags(message),
    instructions: withImportance(message.instructions, importance),
  }),
  get_async_reply: ({ xid, properties }) => connection.async.replyTo13(properties, xid),
  set_async: ({ xid, properties }) => connection.async.set(properties, xid),
  multipart_request(message) {
    const { body, ...kept } = message;
    if (body.type === 'table_desc') return askTables(connection, message.xid);
    if (body.type === 'queue_desc') return askQueues(connection, message.xid, body);
    return { ...kept, body: translate(requestsTo13, body) };
  },
  multipart_reply(message) {
    const { body, ...kept } = message;
    if (body.type === 'table_desc') return tableDescsTo13(message.xid, body);
    if (body.type === 'queue_desc') return queueDescTo13(connection, message, body);
    return { ...kept, body: translate(repliesTo13, body) };
  },
});

// From 1.3 --------------------------------------------------------------------------------------------------

type TableFeaturesInit13 = Extract<ReplyInit13, { type: 'table_features' }>['tables'][number];

/** A device can evict entries and tell the vacancy of tables; controllers that ask to change tables say nothing of it. */
const tableFeaturesFrom13 =
  (device: boolean) =>
  ({ config = 0, properties = [], ...table }: TableFeaturesInit13) => ({
    ...table,
    capabilities: (config | (device ? TABLE_CONFIG_BITS : 0)) >>> 0,
    properties: device ? properties.map(withPbbUca) : properties,
  });

const requestsFrom13: Translation<RequestInit13, RequestInit14> = {
  table_features: ({ type, tables }) => ({ type, tables: each(tables, tableFeaturesFrom13(false)) }),
};

const repliesFrom13 = ({ device }: Connection): Translation<ReplyInit13, ReplyInit14> => ({
  flow: ({ type, flows }) => ({
    type,
    flows: flows.map((flow) => ({ ...flow, ...splitImportance(flow.instructions) })),
  }),
  port_stats: ({ type, ports }) => ({ type, ports: ports.map(portStatsFrom13) }),
  table_features: ({ type, tables }) => ({
    type,
    tables: tables.map(tableFeaturesFrom13(device)),
  }),
  port_desc: ({ type, ports }) => ({ type, ports: ports.map(portFrom13) }),
});

function from13(connection: Connection): Translation<MessageInit, Init14, Init14 | Init14[]> {
  const { async } = connection;
  const replies = repliesFrom13(connection);
  return {
    ...messagesFrom13(connection),
    role_reply(message) {
      async.role = message.role;
      return message;
    },
    port_status: (message) => ({ ...message, desc: portFrom13(message.desc) }),
    flow_mod: (message) => ({ ...message, ...splitImportance(message.instructions) }),
    get_async_reply: ({ type, xid, ...masks }) => ({
      type,
      xid,
      properties: async.replyFrom13(masks, KINDS_OF_14),
    }),
    set_async: ({ type, xid, ...masks }) => ({ type, xid, properties: async.setFrom13(masks) }),
    multipart_request: (message) => ({ ...message, body: translate(requestsFrom13, message.body) }),
    multipart_reply: (message) => ({ ...message, body: translate(replies, message.body) }),
  };
}

/** OpenFlow 1.4 on one connection. */
export const dialect14 = (context: DialectContext | undefined) =>
  laterDialect({ version: 5, errorName, codec, to13, from13 }, context);
