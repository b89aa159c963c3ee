/** The OpenFlow messages a cell answers; every other belongs to the agent. */
import {
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  FlowModFailedCode,
  FlowModFlag,
  FlowRemovedReason,
  type Message,
  type MessageInit,
  type MessageOf,
  MultipartFlag,
  messageType,
  messageXid,
  NO_BUFFER,
  OpenFlowError,
  Table as TableNumber,
  toErrorMessage,
} from '../../../openflow/index.ts';
import { compileMatch } from '../../match.ts';
import type { Cell } from '../program.ts';
import { compileActions, type Op } from './actions.ts';
import { compileInstructions, counter, duration, FlowEntry, flowStats, TABLES } from './entry.ts';
import type { Tables } from './table.ts';
import type { Clock, Timeouts } from './timeouts.ts';

type FlowMod = MessageOf<'flow_mod'>;
type MultipartRequest = MessageOf<'multipart_request'>;

const OFPT_PACKET_OUT = 13;

const ALL_FLOW_MOD_FLAGS =
  FlowModFlag.SEND_FLOW_REM |
  FlowModFlag.CHECK_OVERLAP |
  FlowModFlag.RESET_COUNTS |
  FlowModFlag.NO_PKT_COUNTS |
  FlowModFlag.NO_BYT_COUNTS |
  FLOW_MOD_UPSERT;

/** Room for the list in a multipart reply. */
const MAX_BODY = 65535 - 16;

/** PACKET_OUT messages whose packet has not come yet. The agent sends at most a few slots' worth ahead. */
const MAX_PACKET_OUTS = 256;

interface PendingPacketOut {
  xid: number;
  /** undefined: the message was refused; its packet, when it comes, is dropped. */
  ops: Op[] | undefined;
}

export class Messages {
  private readonly cell: Cell;
  private readonly tables: Tables;
  private readonly clock: Clock;
  private readonly timeouts: Timeouts;
  private packetOuts: PendingPacketOut[] = [];

  constructor(cell: Cell, tables: Tables, clock: Clock, timeouts: Timeouts) {
    this.cell = cell;
    this.tables = tables;
    this.clock = clock;
    this.timeouts = timeouts;
  }

  handle(bytes: Uint8Array): void {
    this.clock.update();
    try {
      this.dispatch(decode(bytes));
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      if (messageType(bytes) === OFPT_PACKET_OUT) this.expectPacket(messageXid(bytes), undefined);
      this.send(toErrorMessage(error, bytes));
    }
  }

  /** The actions for the packet of a PACKET_OUT; undefined: refused, or never heard of. */
  takePacketOut(xid: number): readonly Op[] | undefined {
    const index = this.packetOuts.findIndex((pending) => pending.xid === xid);
    if (index < 0) return undefined;
    const { ops } = this.packetOuts[index];
    // Messages and packets come in the same order: those before it will not get theirs any more.
    this.packetOuts = this.packetOuts.slice(index + 1);
    return ops;
  }

  /** Takes an entry out and tells the controller, if it wished to know. */
  remove(entry: FlowEntry, reason: number): void {
    this.tables.remove(entry);
    this.timeouts.remove(entry);
    if (!entry.sendsFlowRemoved) return;
    this.send({
      type: 'flow_removed',
      cookie: entry.cookie,
      priority: entry.priority,
      reason,
      table_id: entry.tableId,
      ...duration(entry, this.clock.ms),
      idle_timeout: entry.idleTimeout,
      hard_timeout: entry.hardTimeout,
      packet_count: counter(entry.packets, entry.countsPackets),
      byte_count: counter(entry.bytes, entry.countsBytes),
      match: entry.match,
    });
  }

  private send(message: MessageInit): void {
    this.cell.send(encode(message));
  }

  private dispatch(message: Message): void {
    switch (message.type) {
      case 'flow_mod':
        this.flowMod(message);
        break;
      case 'barrier_request':
        this.send({ type: 'barrier_reply', xid: message.xid });
        break;
      case 'multipart_request':
        this.multipart(message);
        break;
      case 'packet_out':
        this.packetOut(message);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_TYPE, `a cell does not answer ${message.type}`);
    }
  }

  private packetOut(message: MessageOf<'packet_out'>): void {
    if (message.buffer_id !== NO_BUFFER) {
      throw badRequest(BadRequestCode.BUFFER_UNKNOWN, 'packets are not buffered here');
    }
    const context = { match: {}, tableMiss: false, packetOut: true };
    this.expectPacket(message.xid, compileActions(message.actions, context));
  }

  private expectPacket(xid: number, ops: Op[] | undefined): void {
    if (this.packetOuts.length === MAX_PACKET_OUTS) this.packetOuts.shift();
    this.packetOuts.push({ xid, ops });
  }

  private flowMod(message: FlowMod): void {
    const { command, flags, table_id: tableId } = message;
    if ((flags & ~ALL_FLOW_MOD_FLAGS) !== 0) {
      throw flowModFailed(FlowModFailedCode.BAD_FLAGS, `flags 0x${flags.toString(16)}`);
    }
    const isDelete = command === FlowModCommand.DELETE || command === FlowModCommand.DELETE_STRICT;
    if (tableId >= TABLES && !(isDelete && tableId === TableNumber.ALL)) {
      throw flowModFailed(FlowModFailedCode.BAD_TABLE_ID, `tables go from 0 to ${TABLES - 1}`);
    }
    if (!isDelete && message.buffer_id !== NO_BUFFER) {
      throw badRequest(BadRequestCode.BUFFER_UNKNOWN, 'packets are not buffered here');
    }
    switch (command) {
      case FlowModCommand.ADD:
        this.add(message);
        break;
      case FlowModCommand.MODIFY:
      case FlowModCommand.MODIFY_STRICT:
        this.modify(message);
        break;
      case FlowModCommand.DELETE:
        this.delete(this.tables.select(message));
        break;
      case FlowModCommand.DELETE_STRICT:
        this.delete(this.tables.selectStrict(message, message.priority));
        break;
      default:
        throw flowModFailed(FlowModFailedCode.BAD_COMMAND, `command ${command}`);
    }
  }

  private add(message: FlowMod): void {
    const entry = new FlowEntry({
      tableId: message.table_id,
      priority: message.priority,
      cookie: message.cookie,
      flags: message.flags,
      idleTimeout: message.idle_timeout,
      hardTimeout: message.hard_timeout,
      match: message.match,
      instructions: message.instructions,
    });
    const overlapMatters = (message.flags & FlowModFlag.CHECK_OVERLAP) !== 0;
    if (overlapMatters && this.tables.overlaps(entry.tableId, entry, entry.priority)) {
      throw flowModFailed(FlowModFailedCode.OVERLAP, 'an entry of the same priority overlaps');
    }
    const old = this.tables.insert(entry);
    entry.created = this.clock.ms;
    entry.lastUsed = this.clock.ms;
    if (old !== undefined) {
      this.timeouts.remove(old);
      if ((message.flags & FlowModFlag.RESET_COUNTS) === 0) {
        entry.packets = old.packets;
        entry.bytes = old.bytes;
      }
    }
    this.timeouts.add(entry);
  }

  private modify(message: FlowMod): void {
    // out_port and out_group mean nothing here (section 6.4).
    const filter = { ...message, out_port: ANY_OUTPUT, out_group: ANY_OUTPUT };
    const strict = message.command === FlowModCommand.MODIFY_STRICT;
    const { instructions } = message;
    // Checked even if there is no entry to modify, and for all before the first is changed.
    compileInstructions(instructions, {
      ...compileMatch(message.match),
      tableId: message.table_id,
      priority: message.priority,
      match: message.match,
    });
    const entries = strict ? this.tables.selectStrict(filter, message.priority) : this.tables.select(filter);
    if (entries.length === 0 && (message.flags & FLOW_MOD_UPSERT) !== 0) {
      this.add({ ...message, flags: message.flags & ~FLOW_MOD_UPSERT });
      return;
    }
    const compiled = entries.map((entry) => compileInstructions(instructions, entry));
    entries.forEach((entry, i) => {
      entry.modify(instructions, compiled[i]);
      if ((message.flags & FlowModFlag.RESET_COUNTS) !== 0) entry.resetCounters();
    });
  }

  private delete(entries: FlowEntry[]): void {
    for (const entry of entries) this.remove(entry, FlowRemovedReason.DELETE);
  }

  private multipart(message: MultipartRequest): void {
    const { body, xid } = message;
    switch (body.type) {
      case 'flow':
        this.flowReplies(xid, this.tables.select(checkTable(body)));
        break;
      case 'aggregate':
        this.aggregateReply(xid, this.tables.select(checkTable(body)));
        break;
      case 'table':
        this.tableReply(xid);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_MULTIPART, `a cell has no ${body.type} statistics`);
    }
  }

  /** As many entries in a reply as fit, all but the last with the MORE flag. */
  private flowReplies(xid: number, entries: FlowEntry[]): void {
    let start = 0;
    do {
      let end = start;
      for (let size = 0; end < entries.length; end++) {
        size += entries[end].statsLength;
        if (size > MAX_BODY) break;
      }
      const flows = entries.slice(start, end).map((entry) => flowStats(entry, this.clock.ms));
      const flags = end < entries.length ? MultipartFlag.MORE : 0;
      this.send({ type: 'multipart_reply', xid, flags, body: { type: 'flow', flows } });
      start = end;
    } while (start < entries.length);
  }

  private aggregateReply(xid: number, entries: FlowEntry[]): void {
    const sum = (of: (entry: FlowEntry) => number) => entries.reduce((total, entry) => total + of(entry), 0);
    this.send({
      type: 'multipart_reply',
      xid,
      body: {
        type: 'aggregate',
        packet_count: BigInt(sum((entry) => entry.packets)),
        byte_count: BigInt(sum((entry) => entry.bytes)),
        flow_count: entries.length,
      },
    });
  }

  private tableReply(xid: number): void {
    const { tables } = this;
    const all = Array.from({ length: TABLES }, (_, tableId) => ({
      table_id: tableId,
      active_count: tables.activeCount(tableId),
      lookup_count: BigInt(tables.lookups[tableId]),
      matched_count: BigInt(tables.matches[tableId]),
    }));
    this.send({ type: 'multipart_reply', xid, body: { type: 'table', tables: all } });
  }
}

const ANY_OUTPUT = 0xffffffff;

function badRequest(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_REQUEST, code, text);
}

function flowModFailed(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.FLOW_MOD_FAILED, code, text);
}

function checkTable<T extends { table_id: number }>(body: T): T {
  if (body.table_id < TABLES || body.table_id === TableNumber.ALL) return body;
  throw badRequest(BadRequestCode.BAD_TABLE_ID, `tables go from 0 to ${TABLES - 1}`);
}
