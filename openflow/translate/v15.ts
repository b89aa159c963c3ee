/** OpenFlow 1.5 in terms of 1.3: tables of what differs. */
import type { Message, MessageInit, MessageInitOf, MessageOf } from '../index.ts';
import { BadMatchCode, BadRequestCode, ErrorType, Group, Port } from '../index.ts';
import { extendedCodec } from '../schema/extended.ts';
import { type MessageIn, type MessageOut, message } from '../schema/messages.ts';
import { choice, opt, rest, variant } from '../schema/types.ts';
import { BAD_MULTIPART } from '../v13/multipart.ts';
import { Capability } from '../v15/constants.ts';
import { BundleFailedCode, errorName, RoleRequestFailedCode } from '../v15/errors.ts';
import { messagesOf } from '../v15/messages.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { KINDS_OF_15, packetInReasonTo13 } from './later-async.ts';
import { type Asked, type Connection, laterDialect } from './later-connection.ts';
import { bundleFail } from './later-errors.ts';
import { checkFlags } from './later-helpers.ts';
import { splitImportance, withImportance } from './later-importance.ts';
import {
  askQueues,
  askTables,
  badMultipart,
  flowcellWireMessages,
  isMore,
  messagesFrom13,
  messagesTo13,
  queueDescTo13,
  tableDescsTo13,
} from './later-messages.ts';
import { portFrom13, portStatsFrom13, portStatsTo13, portTo13, queueStatsTo13 } from './later-ports.ts';
import { each, fail } from './shared.ts';
import { type Translation, translate } from './table.ts';
import { tableFeaturesFrom13, tableFeaturesTo13, wantedTableFeaturesTo13 } from './v15-features.ts';
import {
  actionsTo13,
  instructionsFrom13,
  instructionsTo13,
  kit15,
  matchTo13,
  statsTo13,
  withStats,
} from './v15-flows.ts';
import { groupDescFrom13, groupDescTo13, groupModFrom13, groupModTo13 } from './v15-groups.ts';

const own = messagesOf(kit15);
const { meter_features: features, ...bodies } = own.multipart_reply.fields.body.variants;
const { features: _features, pad2: _pad, ...features13 } = features.fields;
const messages = {
  ...own,
  ...flowcellWireMessages,
  multipart_reply: message(19, '7.3.5', {
    ...own.multipart_reply.fields,
    body: choice('multipart_reply', BAD_MULTIPART, {
      ...bodies,
      /** What 1.5 adds is not used here, and Open vSwitch leaves it out: all zero. */
      meter_features: variant(11, { ...features13, more: opt(rest, new Uint8Array(8)) }),
    }),
  }),
};
const codec = extendedCodec(6, messages);

type Message15 = MessageOut<typeof messages>;
type Init15 = MessageIn<typeof messages>;
type Of15<T extends Message15['type']> = Extract<Message15, { type: T }>;
type Request15 = Of15<'multipart_request'>['body'];
type Reply15 = Of15<'multipart_reply'>['body'];
type Request13 = MessageOf<'multipart_request'>['body'];
type Reply13 = MessageOf<'multipart_reply'>['body'];
type RequestInit13 = MessageInitOf<'multipart_request'>['body'];
type ReplyInit13 = MessageInitOf<'multipart_reply'>['body'];
type RequestInit15 = Extract<Init15, { type: 'multipart_request' }>['body'];
type ReplyInit15 = Extract<Init15, { type: 'multipart_reply' }>['body'];

/** OFPCID_UNDEFINED: a controller without a number. */
const NO_SHORT_ID = 0;

// To 1.3 ----------------------------------------------------------------------------------------------------

const withMatch = <T extends { match: Of15<'flow_mod'>['match'] }>(message: T) => ({
  ...message,
  match: matchTo13(message.match),
});

type Special = 'table_desc' | 'queue_desc';

const requestsTo13 = (
  { asked }: Connection,
  xid: number,
): Translation<Exclude<Request15, { type: Special }>, Request13> => ({
  flow_desc: (body) => ({ ...withMatch(body), type: 'flow' }),
  flow_stats(body) {
    asked.set(xid, { kind: 'flow_stats' });
    return { ...withMatch(body), type: 'flow' };
  },
  aggregate_stats: (body) => ({ ...withMatch(body), type: 'aggregate' }),
  table_stats: () => ({ type: 'table' }),
  queue_stats: (body) => ({ ...body, type: 'queue' }),
  group_stats: (body) => ({ ...body, type: 'group' }),
  group_desc({ type, group_id }) {
    asked.set(xid, { kind: 'group_desc', group_id });
    return { type };
  },
  meter_stats: (body) => ({ ...body, type: 'meter' }),
  meter_desc: (body) => ({ ...body, type: 'meter_config' }),
  table_features: ({ type, tables }) => ({ type, tables: tables.map(wantedTableFeaturesTo13) }),
  port_desc({ type, port_no }) {
    asked.set(xid, { kind: 'port_desc', port_no });
    return { type };
  },
  flow_monitor: () => badMultipart('flow_monitor'),
  controller_status: () => badMultipart('controller_status'),
  bundle_features: () => badMultipart('bundle_features'),
});

const repliesTo13: Translation<Exclude<Reply15, { type: Special }>, Reply13> = {
  flow_desc: ({ flows }) => ({
    type: 'flow',
    flows: flows.map(({ importance, stats, match, ...flow }) => ({
      ...flow,
      ...statsTo13(stats),
      match: matchTo13(match),
      instructions: withImportance(instructionsTo13(flow.instructions), importance),
    })),
  }),
  flow_stats: () => badMultipart('flow_stats'),
  aggregate_stats: ({ stats: { packet_count = 0n, byte_count = 0n, flow_count = 0 } }) => ({
    type: 'aggregate',
    packet_count,
    byte_count,
    flow_count,
  }),
  table_stats: (body) => ({ ...body, type: 'table' }),
  port_stats: ({ type, ports }) => ({ type, ports: ports.map(portStatsTo13) }),
  queue_stats: ({ queues }) => ({ type: 'queue', queues: queues.map(queueStatsTo13) }),
  group_stats: (body) => ({ ...body, type: 'group' }),
  group_desc: ({ type, groups }) => ({ type, groups: groups.map(groupDescTo13) }),
  meter_stats: ({ meters }) => ({
    type: 'meter',
    meters: meters.map(({ ref_count, ...meter }) => ({ ...meter, flow_count: ref_count })),
  }),
  meter_desc: (body) => ({ ...body, type: 'meter_config' }),
  meter_features: ({ more: _, ...body }) => body,
  table_features: ({ type, tables }) => ({ type, tables: tables.map(tableFeaturesTo13) }),
  port_desc: ({ type, ports }) => ({ type, ports: ports.map(portTo13) }),
  flow_monitor: () => badMultipart('flow_monitor'),
  controller_status: () => badMultipart('controller_status'),
  bundle_features: () => badMultipart('bundle_features'),
};

/** Fields that a packet has before the pipeline; of these 1.3's packet-out has in_port only. */
function packetOutTo13({ match, actions, ...kept }: Of15<'packet_out'>): MessageOf<'packet_out'> {
  const { in_port, ...others } = matchTo13(match);
  if (in_port === undefined) {
    fail(ErrorType.BAD_REQUEST, BadRequestCode.BAD_PORT, 'packet_out: its match has no in_port');
  }
  const [other] = Object.keys(others);
  if (other !== undefined) {
    fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_FIELD, `packet_out: a packet cannot be given ${other}`);
  }
  return { ...kept, in_port, actions: actionsTo13(actions) };
}

/** Numbers of controllers are for controller_status, which there is not. */
function roleRequestTo13({ short_id, ...message }: Of15<'role_request'>): MessageOf<'role_request'> {
  if (short_id !== NO_SHORT_ID) {
    const text = `role_request: controllers have no numbers here, ${short_id} neither`;
    fail(ErrorType.ROLE_REQUEST_FAILED, RoleRequestFailedCode.ID_UNSUP, text);
  }
  return message;
}

/** Bundles are not committed at a given time. */
function untimed<P extends { readonly type: string }>(properties: readonly P[]) {
  if (properties.some(({ type }) => type === 'time')) {
    bundleFail(BundleFailedCode.SCHED_NOT_SUPPORTED, 'a bundle cannot be committed at a given time');
  }
  return properties as Exclude<P, { type: 'time' }>[];
}

function to13(connection: Connection): Translation<Message15, Message, Message | Message[]> {
  const common = messagesTo13(connection);
  return {
    ...common,
    features_reply: (message) => ({
      ...message,
      capabilities: (message.capabilities & ~(Capability.BUNDLES | Capability.FLOW_MONITORING)) >>> 0,
    }),
    packet_in: (message) => ({ ...withMatch(message), reason: packetInReasonTo13(message.reason) }),
    flow_removed: ({ stats, match, ...message }) => ({
      ...message,
      ...statsTo13(stats),
      match: matchTo13(match),
    }),
    port_status: (message) => ({ ...message, desc: portTo13(message.desc) }),
    packet_out: packetOutTo13,
    flow_mod: ({ importance, ...message }) => ({
      ...withMatch(checkFlags(message)),
      instructions: withImportance(instructionsTo13(message.instructions), importance),
    }),
    group_mod: groupModTo13,
    role_request: roleRequestTo13,
    role_reply: ({ short_id: _, ...message }) => message,
    get_async_reply: ({ xid, properties }) => connection.async.replyTo13(properties, xid),
    set_async: ({ xid, properties }) => connection.async.set(properties, xid),
    bundle_control: (message) =>
      common.bundle_control({ ...message, properties: untimed(message.properties) }),
    bundle_add_message: (message) =>
      common.bundle_add_message({ ...message, properties: untimed(message.properties) }),
    controller_status: () => [],
    multipart_request(message) {
      const { body, ...kept } = message;
      if (body.type === 'table_desc') return askTables(connection, message.xid);
      if (body.type === 'queue_desc') return askQueues(connection, message.xid, body);
      return { ...kept, body: translate(requestsTo13(connection, message.xid), body) };
    },
    multipart_reply(message) {
      const { body, ...kept } = message;
      if (body.type === 'table_desc') return tableDescsTo13(message.xid, body);
      if (body.type === 'queue_desc') return queueDescTo13(connection, message, body);
      return { ...kept, body: translate(repliesTo13, body) };
    },
  };
}

// From 1.3 --------------------------------------------------------------------------------------------------

const requestsFrom13: Translation<RequestInit13, RequestInit15> = {
  flow: (body) => ({ ...body, type: 'flow_desc' }),
  aggregate: (body) => ({ ...body, type: 'aggregate_stats' }),
  table: () => ({ type: 'table_stats' }),
  queue: (body) => ({ ...body, type: 'queue_stats' }),
  group: (body) => ({ ...body, type: 'group_stats' }),
  meter: (body) => ({ ...body, type: 'meter_stats' }),
  meter_config: (body) => ({ ...body, type: 'meter_desc' }),
  table_features: ({ type, tables }) => ({ type, tables: each(tables, tableFeaturesFrom13(false)) }),
};

/** `asked` is what this answers, where 1.3 was asked for more. */
const repliesFrom13 = (device: boolean, asked: Asked | undefined): Translation<ReplyInit13, ReplyInit15> => ({
  flow: ({ flows }) =>
    asked?.kind === 'flow_stats'
      ? { type: 'flow_stats', flows: flows.map(withStats) }
      : {
          type: 'flow_desc',
          flows: flows.map((flow) => {
            const { importance, instructions } = splitImportance(flow.instructions);
            return { ...withStats(flow), importance, instructions: instructionsFrom13(instructions) };
          }),
        },
  aggregate: ({ packet_count = 0n, byte_count = 0n, flow_count = 0 }) => ({
    type: 'aggregate_stats',
    stats: { packet_count, byte_count, flow_count },
  }),
  table: (body) => ({ ...body, type: 'table_stats' }),
  port_stats: ({ type, ports }) => ({ type, ports: ports.map(portStatsFrom13) }),
  queue: (body) => ({ ...body, type: 'queue_stats' }),
  group: (body) => ({ ...body, type: 'group_stats' }),
  group_desc({ type, groups }) {
    const wanted = asked?.kind === 'group_desc' ? asked.group_id : Group.ALL;
    const found = groups.filter(({ group_id }) => wanted === Group.ALL || group_id === wanted);
    return { type, groups: found.map(groupDescFrom13) };
  },
  meter: ({ meters }) => ({
    type: 'meter_stats',
    meters: meters.map(({ flow_count, ...meter }) => ({ ...meter, ref_count: flow_count })),
  }),
  meter_config: (body) => ({ ...body, type: 'meter_desc' }),
  table_features: ({ type, tables }) => ({
    type,
    tables: tables.map(tableFeaturesFrom13(device)),
  }),
  port_desc({ type, ports }) {
    const wanted = asked?.kind === 'port_desc' ? asked.port_no : Port.ANY;
    const found = ports.filter(({ port_no }) => wanted === Port.ANY || port_no === wanted);
    return { type, ports: found.map(portFrom13) };
  },
});

function from13(connection: Connection): Translation<MessageInit, Init15, Init15 | Init15[]> {
  const { async, asked, device } = connection;
  return {
    ...messagesFrom13(connection),
    /** An agent has bundles; 1.3 says so by extension only. */
    features_reply: ({ capabilities = 0, ...message }) => ({
      ...message,
      capabilities: device ? (capabilities | Capability.BUNDLES) >>> 0 : capabilities,
    }),
    role_reply(message) {
      async.role = message.role;
      return message;
    },
    flow_removed: withStats,
    port_status: (message) => ({ ...message, desc: portFrom13(message.desc) }),
    packet_out: ({ in_port = Port.CONTROLLER, ...message }) => ({ ...message, match: { in_port } }),
    flow_mod(message) {
      const { importance, instructions } = splitImportance(message.instructions);
      return { ...message, importance, instructions: instructionsFrom13(instructions) };
    },
    group_mod: groupModFrom13,
    get_async_reply: ({ type, xid, ...masks }) => ({
      type,
      xid,
      properties: async.replyFrom13(masks, KINDS_OF_15),
    }),
    set_async: ({ type, xid, ...masks }) => ({ type, xid, properties: async.setFrom13(masks) }),
    multipart_request: (message) => ({ ...message, body: translate(requestsFrom13, message.body) }),
    multipart_reply(message) {
      const request = asked.take(message.xid, isMore(message.flags));
      return { ...message, body: translate(repliesFrom13(device, request), message.body) };
    },
  };
}

/** OpenFlow 1.5 on one connection. */
export const dialect15 = (context: DialectContext | undefined): Dialect => {
  const dialect = laterDialect({ version: 6, errorName, codec, to13, from13 }, context);
  return { ...dialect, decode: (bytes) => dialect.decode(wholeMeterFeatures(bytes)) };
};

/** Length of a meter features reply as it was before 1.5, of one in 1.5, and where it begins: bytes. */
const METER_FEATURES = { before: 32, now: 40, head: [6, 19, 0, 32] } as const;
const METER_FEATURES_TYPE = 11;

/** Open vSwitch 3.1 leaves out the features that 1.5 has added to a meter features reply: it has none of them. */
function wholeMeterFeatures(bytes: Uint8Array): Uint8Array {
  const { before, now, head } = METER_FEATURES;
  if (bytes.length !== before || bytes[9] !== METER_FEATURES_TYPE || bytes[8] !== 0) return bytes;
  if (head.some((byte, at) => bytes[at] !== byte)) return bytes;
  const whole = new Uint8Array(now);
  whole.set(bytes);
  whole[3] = now;
  return whole;
}
