/** Messages that OpenFlow 1.4 and 1.5 have in the same form, and 1.3 in another or not at all. */
import { flowcellMessages } from '../flowcell-messages.ts';
import type { Message, MessageInitOf, MessageOf } from '../index.ts';
import {
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  MultipartFlag,
  Port,
  QUEUE_ALL,
  Table,
  TableConfigFlag,
} from '../index.ts';
import { BundleFailedCode } from '../v14/errors.ts';
import type * as v14 from '../v14/index.ts';
import type { Connection } from './later-connection.ts';
import { bundleFail, errorFrom13, errorTo13 } from './later-errors.ts';
import { portModFrom13, portModTo13, queueFrom13, queueTo13 } from './later-ports.ts';
import {
  tableDescFrom13,
  tableDescTo13,
  tableModTo13,
  tableStatusFrom13,
  tableStatusTo13,
} from './later-tables.ts';
import { fromExperimenter, isOnf, type OnfMessageInit, toExperimenter } from './onf.ts';
import { each, fail } from './shared.ts';

const {
  table_config: _config,
  table_status: _status,
  transaction: _transaction,
  ...wireMessages
} = flowcellMessages;
/**
 * Messages of the Flowcell extension between controller and device, the same in each version; a message inside
 * cell_message stays one of 1.3. Those inside a device are left out: nobody may send them.
 */
export const flowcellWireMessages = wireMessages;

type Body<T extends string> = Extract<v14.MessageOf<'multipart_reply'>['body'], { type: T }>;

/** More queues than any switch has; what a switch may make a controller collect. */
const MAX_QUEUES = 4096;
/** ofp_type of what a bundle may hold: packet_out, flow_mod, group_mod, port_mod, table_mod, meter_mod. */
const BUNDLED: readonly number[] = [13, 14, 15, 16, 17, 29];

export const isMore = (flags: number | undefined): boolean => ((flags ?? 0) & MultipartFlag.MORE) !== 0;

export function badMultipart(what: string): never {
  fail(ErrorType.BAD_REQUEST, BadRequestCode.BAD_MULTIPART, `${what} is not supported`);
}

// To 1.3 ----------------------------------------------------------------------------------------------------

/** Every table's settings, and a barrier whose answer says that they were all. */
export function askTables({ asked }: Connection, xid: number): Message[] {
  asked.set(xid, { kind: 'table_desc', tables: [] });
  const query = {
    type: 'table_config' as const,
    xid,
    table_id: Table.ALL,
    flags: TableConfigFlag.QUERY,
    vacancy_down: 0,
    vacancy_up: 0,
    vacancy: 0,
    eviction_flags: 0,
  };
  return [query, { type: 'barrier_request', xid }];
}

export function askQueues(
  { asked }: Connection,
  xid: number,
  { port_no, queue_id }: { port_no: number; queue_id: number },
): MessageOf<'queue_get_config_request'> {
  asked.set(xid, { kind: 'queue_desc', queue_id });
  return { type: 'queue_get_config_request', xid, port: port_no };
}

/** 1.3 answers in one message: parts are collected. */
export function queueDescTo13(
  { asked }: Connection,
  { xid, flags }: { xid: number; flags: number },
  { queues }: Body<'queue_desc'>,
): Message[] {
  const request = asked.get(xid);
  const { port, queues: before } =
    request?.kind === 'queue_config' ? request : { port: Port.ANY, queues: [] };
  const all = [...before, ...queues.map(queueTo13)];
  const more = isMore(flags);
  if (all.length > MAX_QUEUES) {
    asked.take(xid);
    fail(ErrorType.BAD_REQUEST, BadRequestCode.MULTIPART_BUFFER_OVERFLOW, `more than ${MAX_QUEUES} queues`);
  }
  if (more) asked.set(xid, { kind: 'queue_config', port, queues: all });
  else asked.take(xid);
  return more ? [] : [{ type: 'queue_get_config_reply', xid, port, queues: all }];
}

export const tableDescsTo13 = (xid: number, { tables }: Body<'table_desc'>): Message[] =>
  tables.map((table) => tableDescTo13(table, xid));

function addToBundle(connection: Connection, message: v14.MessageOf<'bundle_add_message'>): Message[] {
  if (!BUNDLED.includes(message.message[1])) {
    bundleFail(BundleFailedCode.MSG_UNSUP, `a bundle cannot hold a message of type ${message.message[1]}`);
  }
  const inside = connection.decode(message.message);
  return inside.map((one) => toExperimenter({ ...message, message: encode(one) }));
}

/** Those of both versions, to 1.3. */
export const messagesTo13 = (connection: Connection) => ({
  error: errorTo13<v14.MessageOf<'error'>>,
  /** What 1.4 has messages of its own for is not taken as the ONF's extension of 1.3. */
  experimenter(message: v14.MessageOf<'experimenter'>): Message {
    if (!isOnf(message)) return message;
    const text = `0x4f4e4600/${message.exp_type} is an extension of OpenFlow 1.3 that this version does without`;
    return fail(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, text);
  },
  port_mod: portModTo13,
  table_mod: tableModTo13,
  table_status: tableStatusTo13,
  role_status: (message: v14.MessageOf<'role_status'>) => toExperimenter(message),
  /** 1.3 has no word for another controller's request. */
  requestforward: (): Message[] => [],
  get_async_request: ({ xid }: { xid: number }): Message => ({ type: 'get_async_request', xid }),
  bundle_control: (message: v14.MessageOf<'bundle_control'>) => toExperimenter(message),
  bundle_add_message: (message: v14.MessageOf<'bundle_add_message'>) => addToBundle(connection, message),
});

// From 1.3 --------------------------------------------------------------------------------------------------

export const multipartRequest = <B>(xid: number | undefined, body: B) => ({
  type: 'multipart_request' as const,
  xid,
  body,
});
export const multipartReply = <B>(xid: number | undefined, body: B) => ({
  type: 'multipart_reply' as const,
  xid,
  body,
});

function tableConfigFrom13({ asked, device }: Connection, message: MessageInitOf<'table_config'>) {
  const request = asked.get(message.xid);
  const described = tableDescFrom13(message);
  if (request?.kind === 'table_desc') {
    if (request.tables.length <= Table.MAX) request.tables.push(described);
    return [];
  }
  if (device) return [];
  const { xid, flags = 0 } = message;
  if (flags & TableConfigFlag.QUERY) return [multipartRequest(xid, { type: 'table_desc' as const })];
  return [{ ...described, type: 'table_mod' as const, xid }];
}

function barrierReplyFrom13({ asked }: Connection, message: MessageInitOf<'barrier_reply'>) {
  const request = asked.get(message.xid);
  if (request?.kind !== 'table_desc') return message;
  asked.take(message.xid);
  return multipartReply(message.xid, { type: 'table_desc' as const, tables: request.tables });
}

function onfFrom13(connection: Connection, message: MessageInitOf<'experimenter'>): OnfMessageInit[] {
  const { async } = connection;
  const onf = fromExperimenter(message);
  if (onf.type === 'role_status') {
    if (connection.device) async.role = onf.role;
    return !connection.device || async.wants('role_status', onf.reason) ? [onf] : [];
  }
  if (onf.type === 'bundle_control') return [onf];
  return connection.encode(decode(onf.message)).map((inside) => ({ ...onf, message: inside }));
}

/** Those of both versions, from 1.3. */
export const messagesFrom13 = (connection: Connection) => ({
  error(message: MessageInitOf<'error'>) {
    connection.asked.take(message.xid);
    return errorFrom13(message);
  },
  experimenter: (message: MessageInitOf<'experimenter'>) =>
    isOnf(message) ? onfFrom13(connection, message) : message,
  port_mod: portModFrom13,
  table_config: (message: MessageInitOf<'table_config'>) => tableConfigFrom13(connection, message),
  table_status: (message: MessageInitOf<'table_status'>) =>
    !connection.device || connection.async.wants('table_status', message.reason)
      ? tableStatusFrom13(message)
      : [],
  transaction: (): never =>
    fail(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, 'a transaction stays inside the device'),
  barrier_reply: (message: MessageInitOf<'barrier_reply'>) => barrierReplyFrom13(connection, message),
  queue_get_config_request({ xid, port = Port.ANY }: MessageInitOf<'queue_get_config_request'>) {
    connection.asked.set(xid ?? 0, { kind: 'queue_config', port, queues: [] });
    return multipartRequest(xid, { type: 'queue_desc' as const, port_no: port, queue_id: QUEUE_ALL });
  },
  queue_get_config_reply({ xid, queues }: MessageInitOf<'queue_get_config_reply'>) {
    const request = connection.asked.take(xid);
    const wanted = request?.kind === 'queue_desc' ? request.queue_id : QUEUE_ALL;
    const found = each(queues, queueFrom13).filter((one) => wanted === QUEUE_ALL || one.queue_id === wanted);
    return multipartReply(xid, { type: 'queue_desc' as const, queues: found });
  },
});
