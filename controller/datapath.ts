/** A connected device as apps see it: a Flowcell agent or any OpenFlow 1.3 switch. */

import {
  type ActionInit,
  FlowModCommand,
  type FlowStats,
  type Match,
  type Message,
  type MessageInit,
  type MessageOf,
  NO_BUFFER,
  Port,
  type PortStats,
} from '../openflow/index.ts';
import type { FlowEntry, PortDesc } from './app.ts';
import type { CellRecord } from './cells.ts';
import { FlowcellError } from './errors.ts';
import type { ProgramSource } from './programs.ts';
import { flowModMessage } from './rules.ts';
import type { FeaturesReply, Session } from './session.ts';

type ReplyBody<T extends string> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;

/** Which flow entries are meant: those at least as specific as the match, with this cookie under the mask. */
export interface FlowFilter {
  /** Default: all tables. */
  table_id?: number;
  match?: Match;
  cookie?: bigint;
  cookie_mask?: bigint;
  /** Only entries with an output to this port. */
  out_port?: number;
}

export interface PacketOut {
  actions: readonly ActionInit[];
  /** Default: CONTROLLER. */
  in_port?: number;
  data?: Uint8Array;
  /** Instead of data: a packet that the switch has buffered. */
  buffer_id?: number;
}

/** What the controller's inside provides. */
export interface DatapathLink {
  readonly session: Session;
  readonly features: FeaturesReply;
  readonly ports: ReadonlyMap<number, PortDesc>;
  readonly flowMode: boolean;
  readonly cells: ReadonlyMap<number, CellRecord>;
  readonly rules: ReadonlyMap<bigint, CellRecord>;
  removeRule(cookie: bigint): boolean;
  upload(source: ProgramSource): Promise<string>;
}

const ALL_TABLES = 0xff;

export class Datapath {
  readonly id: bigint;
  /** The id as 16 hex digits. */
  readonly name: string;
  /** Peer's address and port. */
  readonly remote: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt = Date.now();
  readonly features: FeaturesReply;
  readonly #link: DatapathLink;

  constructor(link: DatapathLink) {
    this.#link = link;
    this.features = link.features;
    this.id = link.features.datapath_id;
    this.name = this.id.toString(16).padStart(16, '0');
    this.remote = link.session.remote;
  }

  /** Ports by number, kept up to date by port_status. Reserved ports are not among them, except LOCAL. */
  get ports(): ReadonlyMap<number, PortDesc> {
    return this.#link.ports;
  }

  /** The device opens a cell per flow (our extension); false for ordinary switches. */
  get flowMode(): boolean {
    return this.#link.flowMode;
  }

  /** False when the connection has ended; nothing can be sent any more. */
  get connected(): boolean {
    return this.#link.session.open;
  }

  /** Cells that are ready, by cell number (flow mode). */
  get cells(): ReadonlyMap<number, CellRecord> {
    return this.#link.cells;
  }

  /** Dispatch rules by cookie, with those on their way (flow mode). */
  get rules(): ReadonlyMap<bigint, CellRecord> {
    return this.#link.rules;
  }

  /**
   * Sends a message without waiting for anything; returns its transaction id. All messages sent in one turn
   * of the event loop leave in one write. Errors of the device come to `App.onError`.
   *
   * @throws EncodeError when the message has a field that cannot be on the wire.
   */
  send(message: MessageInit): number {
    return this.#link.session.send(message);
  }

  /**
   * Sends a request and waits for its reply; parts of a multipart reply are joined.
   *
   * @throws DeviceError (the device's OpenFlow error), FlowcellError FC_REQUEST_TIMEOUT, FC_DISCONNECTED,
   *   FC_TOO_MANY_REQUESTS, FC_REPLY_TOO_LARGE.
   */
  request(message: MessageInit, timeoutMs?: number): Promise<Message> {
    return this.#link.session.request(message, timeoutMs);
  }

  /** Resolves when the device has done everything sent before. */
  async barrier(): Promise<void> {
    await this.request({ type: 'barrier_request' });
  }

  /** Adds an entry; one with the same table, match and priority is replaced. With `cell` in that cell. */
  addFlow(entry: FlowEntry, cell = 0): number {
    return this.send(flowModMessage(entry, FlowModCommand.ADD, cell));
  }

  /** Gives other instructions to the entries at least as specific as `entry.match`. */
  modifyFlow(entry: FlowEntry, cell = 0): number {
    return this.send(flowModMessage(entry, FlowModCommand.MODIFY, cell));
  }

  /** Deletes the entries the filter means; with `strict` the one with exactly this match and priority. */
  deleteFlows(filter: FlowFilter & { strict?: boolean; priority?: number } = {}, cell = 0): number {
    return this.send({
      type: 'flow_mod',
      command: filter.strict ? FlowModCommand.DELETE_STRICT : FlowModCommand.DELETE,
      table_id: filter.table_id ?? ALL_TABLES,
      priority: filter.priority ?? 0,
      cookie: filter.cookie ?? 0n,
      cookie_mask: filter.cookie_mask ?? 0n,
      out_port: filter.out_port ?? Port.ANY,
      match: cell === 0 ? (filter.match ?? {}) : { ...filter.match, cell },
    });
  }

  /** Flow statistics; for a cell's entries put `cell` into the match. */
  async flows(filter: FlowFilter = {}): Promise<FlowStats[]> {
    const body = { type: 'flow' as const, table_id: ALL_TABLES, match: {}, ...filter };
    return (await this.#multipart({ type: 'multipart_request', body }, 'flow')).flows;
  }

  /** Statistics of one port or of all. */
  async portStats(port: number = Port.ANY): Promise<PortStats[]> {
    const body = { type: 'port_stats' as const, port_no: port };
    return (await this.#multipart({ type: 'multipart_request', body }, 'port_stats')).ports;
  }

  /** Sends a packet out by the device. */
  packetOut(packet: PacketOut): number {
    return this.send({
      type: 'packet_out',
      buffer_id: packet.buffer_id ?? NO_BUFFER,
      in_port: packet.in_port ?? Port.CONTROLLER,
      actions: packet.actions,
      data: packet.data ?? new Uint8Array(0),
    });
  }

  /** Takes back a dispatch rule, and ends its cell. False when there is no such rule. */
  removeRule(cookie: bigint): boolean {
    return this.#link.removeRule(cookie);
  }

  /**
   * Gives the device a switch program, once per content; cells then name it by `name` or by the hash returned
   * (hex SHA-256).
   *
   * @throws FlowcellError FC_PROGRAM_NAME, FC_PROGRAM_SIZE, FC_PROGRAM_REFUSED, FC_NOT_FLOW_MODE.
   */
  uploadProgram(source: ProgramSource): Promise<string> {
    if (!this.flowMode) {
      return Promise.reject(
        new FlowcellError(
          'FC_NOT_FLOW_MODE',
          `datapath ${this.name} is an ordinary switch and runs no programs; look at datapath.flowMode first`,
        ),
      );
    }
    return this.#link.upload(source);
  }

  async #multipart<T extends 'flow' | 'port_stats'>(message: MessageInit, type: T): Promise<ReplyBody<T>> {
    const reply = await this.request(message);
    if (reply.type !== 'multipart_reply' || reply.body.type !== type) {
      throw new FlowcellError(
        'FC_UNEXPECTED_REPLY',
        `the device answered a ${type} request with ${reply.type}`,
      );
    }
    return reply.body as ReplyBody<T>;
  }
}
