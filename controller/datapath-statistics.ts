/** What a datapath can be asked: statistics, descriptions, configuration. OpenFlow 1.3.5, 7.3.2, 7.3.5, 7.3.6. */

import {
  encode,
  type FlowStats,
  Group,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  Meter,
  Port,
  type PortDesc,
  type PortStats,
  QUEUE_ALL,
  Table,
  type TableStats,
} from '../openflow/index.ts';
import { versionName, type WireVersion } from '../openflow/version-name.ts';
import { FlowcellError } from './errors.ts';
import type { FlowFilter } from './modifications.ts';
import type { Request, Session } from './session.ts';

type RequestBody = MessageInitOf<'multipart_request'>['body'];
type ReplyBody<T extends string> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;

export type SwitchDesc = Omit<ReplyBody<'desc'>, 'type'>;
export type AggregateStats = Omit<ReplyBody<'aggregate'>, 'type'>;
export type TableFeatures = ReplyBody<'table_features'>['tables'][number];
export type QueueStats = ReplyBody<'queue'>['queues'][number];
export type GroupStats = ReplyBody<'group'>['groups'][number];
export type GroupDesc = ReplyBody<'group_desc'>['groups'][number];
export type GroupFeatures = Omit<ReplyBody<'group_features'>, 'type'>;
export type MeterStats = ReplyBody<'meter'>['meters'][number];
export type MeterConfig = ReplyBody<'meter_config'>['meters'][number];
export type MeterFeatures = Omit<ReplyBody<'meter_features'>, 'type'>;
export type PacketQueue = MessageOf<'queue_get_config_reply'>['queues'][number];
export type SwitchConfig = Pick<MessageOf<'get_config_reply'>, 'flags' | 'miss_send_len'>;
export type AsyncConfig = Pick<
  MessageOf<'get_async_reply'>,
  'packet_in_mask' | 'port_status_mask' | 'flow_removed_mask'
>;

/** Wire version of OpenFlow 1.0, in which statistics requests have no cookies, and much is not. */
export const V10 = 1;

/**
 * Every method here asks the datapath and waits; parts of a multipart reply are joined. All reject with DeviceError
 * (the device's OpenFlow error), or FlowcellError FC_REQUEST_TIMEOUT, FC_DISCONNECTED, FC_TOO_MANY_REQUESTS,
 * FC_REPLY_TOO_LARGE, FC_UNEXPECTED_REPLY, or FC_NOT_IN_VERSION where the datapath speaks a version that has no such
 * request.
 */
export class DatapathStatistics {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Wire version of its connection: 1 is OpenFlow 1.0, 4 is 1.3, 5 is 1.4, 6 is 1.5. */
  get version(): WireVersion {
    return this.#session.version;
  }

  /** The version by its name: '1.3'. */
  get openflow(): string {
    return versionName(this.version) as string;
  }

  /** Sends a request of any kind and waits for its reply; parts of a multipart reply are joined. */
  request(message: MessageInit, timeoutMs?: number): Promise<Message> {
    return this.#session.request(message, timeoutMs);
  }

  /** Resolves when the device has done everything sent before. */
  async barrier(): Promise<void> {
    await this.request({ type: 'barrier_request' });
  }

  /** Manufacturer, hardware, software, serial number, and the datapath's own words about itself. */
  desc(): Promise<SwitchDesc> {
    return this.#ask({ type: 'desc' });
  }

  /** Flow entries with their statistics; for a cell's entries put `cell` into the match. */
  async flows(filter: FlowFilter = {}): Promise<FlowStats[]> {
    if (this.version === V10 && filter.cookie_mask) {
      const { cookie = 0n, cookie_mask: mask, ...without } = filter;
      const { flows } = await this.#ask({ type: 'flow', match: {}, ...without });
      return flows.filter((flow) => (flow.cookie & mask) === (cookie & mask));
    }
    return (await this.#ask({ type: 'flow', table_id: Table.ALL, match: {}, ...filter })).flows;
  }

  /** Packets, bytes and number of the entries that the filter means, summed up by the device. */
  aggregate(filter: FlowFilter = {}): Promise<AggregateStats> {
    return this.#ask({ type: 'aggregate', table_id: Table.ALL, match: {}, ...filter });
  }

  /** Entries in each table, packets looked up and matched. */
  async tableStats(): Promise<TableStats[]> {
    return (await this.#ask({ type: 'table' })).tables;
  }

  /** What each table can do: match fields, instructions, actions, next tables. */
  async tableFeatures(): Promise<TableFeatures[]> {
    return (await this.#ask({ type: 'table_features' })).tables;
  }

  /** Statistics of one port or of all. */
  async portStats(port_no: number = Port.ANY): Promise<PortStats[]> {
    return (await this.#ask({ type: 'port_stats', port_no })).ports;
  }

  /** The ports as they are now. `datapath.ports` is kept up to date without asking. */
  async portDesc(): Promise<PortDesc[]> {
    return (await this.#ask({ type: 'port_desc' })).ports;
  }

  /** Statistics of the queues of one port or of all. */
  async queueStats(port_no: number = Port.ANY, queue_id: number = QUEUE_ALL): Promise<QueueStats[]> {
    return (await this.#ask({ type: 'queue', port_no, queue_id })).queues;
  }

  /** Queues as they are set up at one port or at all; rates in 1/10 percent. */
  async queueConfig(port: number = Port.ANY): Promise<PacketQueue[]> {
    const request = { type: 'queue_get_config_request', port } as const;
    return (await this.#reply(request, 'queue_get_config_reply')).queues;
  }

  /** Statistics of one group or of all; with `cell` of that cell's groups. */
  async groupStats(group_id: number = Group.ALL, cell = 0): Promise<GroupStats[]> {
    return (await this.#ask({ type: 'group', group_id }, cell)).groups;
  }

  /** All groups with their buckets. */
  async groupDesc(cell = 0): Promise<GroupDesc[]> {
    return (await this.#ask({ type: 'group_desc' }, cell)).groups;
  }

  /** Which kinds of groups there can be, how many, with which actions (bits of the types' numbers). */
  groupFeatures(): Promise<GroupFeatures> {
    return this.#ask({ type: 'group_features' });
  }

  /** Statistics of one meter or of all; with `cell` of that cell's meters. */
  async meterStats(meter_id: number = Meter.ALL, cell = 0): Promise<MeterStats[]> {
    return (await this.#ask({ type: 'meter', meter_id }, cell)).meters;
  }

  /** One meter or all, as they were added. */
  async meterConfig(meter_id: number = Meter.ALL, cell = 0): Promise<MeterConfig[]> {
    return (await this.#ask({ type: 'meter_config', meter_id }, cell)).meters;
  }

  /** How many meters and bands there can be, and which. */
  meterFeatures(): Promise<MeterFeatures> {
    return this.#ask({ type: 'meter_features' });
  }

  /** How fragments are handled (ConfigFlag) and how much of a packet a table miss sends, bytes. */
  async config(): Promise<SwitchConfig> {
    const { flags, miss_send_len } = await this.#reply({ type: 'get_config_request' }, 'get_config_reply');
    return { flags, miss_send_len };
  }

  /** Which asynchronous messages this controller gets: bits 1 << reason, as master or equal, and as slave. */
  async asyncConfig(): Promise<AsyncConfig> {
    const reply = await this.#reply({ type: 'get_async_request' }, 'get_async_reply');
    const { packet_in_mask, port_status_mask, flow_removed_mask } = reply;
    return { packet_in_mask, port_status_mask, flow_removed_mask };
  }

  async #ask<T extends RequestBody['type']>(
    body: Extract<RequestBody, { type: T }>,
    cell = 0,
  ): Promise<ReplyBody<T>> {
    const message = { type: 'multipart_request', body } as const;
    const reply = await this.#session.request(inCell(message, cell));
    if (reply.type === 'multipart_reply' && reply.body.type === body.type) {
      return reply.body as unknown as ReplyBody<T>;
    }
    throw unexpected(body.type, reply);
  }

  async #reply<T extends Message['type']>(message: MessageInit, type: T): Promise<MessageOf<T>> {
    const reply = await this.request(message);
    if (reply.type === type) return reply as MessageOf<T>;
    throw unexpected(message.type, reply);
  }
}

/** The message for a cell, wrapped up as the device wants it; 0 is the default pipeline. docs/protocol.md, 7. */
export function inCell(message: MessageInit, cell: number): Request {
  if (cell === 0) return message;
  return (xid) => ({ type: 'cell_message', cell, message: encode({ ...message, xid }) });
}

export function unexpected(asked: string, reply: Message): FlowcellError {
  const what = reply.type === 'multipart_reply' ? `${reply.body.type} multipart reply` : reply.type;
  return new FlowcellError('FC_UNEXPECTED_REPLY', `the device answered a ${asked} request with ${what}`);
}
