/** FLOW_MOD, and how entries leave (OpenFlow 1.3, sections 6.4, 7.3.4.1 and 7.4.2). */
import {
  BadRequestCode,
  ErrorType,
  FLOW_MOD_UPSERT,
  FlowModCommand,
  FlowModFailedCode,
  FlowModFlag,
  FlowRemovedReason,
  Group,
  type Instruction,
  type MessageOf,
  NO_BUFFER,
  OpenFlowError,
  Port,
  Table as TableNumber,
} from '../../../openflow/index.ts';
import { compileMatch } from '../../match.ts';
import { compileInstructions, counter, duration, type FlowEntry, makeEntry, TABLES } from './entry.ts';
import { victim } from './eviction.ts';
import type { Parts } from './parts.ts';
import { inPieces, type Steps } from './steps.ts';

type FlowMod = MessageOf<'flow_mod'>;

const ALL_FLAGS =
  FlowModFlag.SEND_FLOW_REM |
  FlowModFlag.CHECK_OVERLAP |
  FlowModFlag.RESET_COUNTS |
  FlowModFlag.NO_PKT_COUNTS |
  FlowModFlag.NO_BYT_COUNTS |
  FLOW_MOD_UPSERT;

/** ofp_flow_removed_reason of OpenFlow 1.4; only who configures eviction, which 1.3 has not, hears it. */
const REASON_EVICTION = 5;

/** An entry's statistics are longer than the FLOW_MOD that it comes from, and get the match field `cell`. */
const LONGEST = 65535 - 64;

export class FlowMods {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Carries out a FLOW_MOD that is `length` bytes long. Throws OpenFlowError. */
  *mod(message: FlowMod, length: number): Steps {
    const { tables } = this.parts;
    const { command, flags, table_id: tableId } = message;
    if ((flags & ~ALL_FLAGS) !== 0) {
      throw failed(FlowModFailedCode.BAD_FLAGS, `flags 0x${flags.toString(16)}`);
    }
    const isDelete = command === FlowModCommand.DELETE || command === FlowModCommand.DELETE_STRICT;
    if (tableId >= TABLES && !(isDelete && tableId === TableNumber.ALL)) {
      throw failed(FlowModFailedCode.BAD_TABLE_ID, `tables go from 0 to ${TABLES - 1}`);
    }
    if (!isDelete && message.buffer_id !== NO_BUFFER) {
      throw new OpenFlowError(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BUFFER_UNKNOWN,
        'packets are not buffered here',
      );
    }
    if (!isDelete && length > LONGEST) {
      throw failed(FlowModFailedCode.UNKNOWN, 'the statistics of so long an entry fit no message');
    }
    switch (command) {
      case FlowModCommand.ADD:
        yield* this.add(message);
        break;
      case FlowModCommand.MODIFY:
      case FlowModCommand.MODIFY_STRICT:
        yield* this.modify(message);
        break;
      case FlowModCommand.DELETE:
        yield* this.removeAll(yield* tables.select(message), FlowRemovedReason.DELETE);
        break;
      case FlowModCommand.DELETE_STRICT:
        yield* this.removeAll(tables.selectStrict(message, message.priority), FlowRemovedReason.DELETE);
        break;
      default:
        throw failed(FlowModFailedCode.BAD_COMMAND, `command ${command}`);
    }
  }

  *removeAll(entries: readonly FlowEntry[], reason: number): Steps {
    yield* inPieces(entries, 'closed', (entry) => this.remove(entry, reason));
  }

  /** Takes an entry out and tells the controller, if it wished to know. */
  remove(entry: FlowEntry, reason: number): void {
    const { tables, timeouts, journal, clock, paths } = this.parts;
    tables.remove(entry);
    timeouts.remove(entry);
    paths.forget(entry);
    journal.note(() => {
      tables.insert(entry);
      timeouts.add(entry);
    });
    if (!entry.sendsFlowRemoved) return;
    this.parts.send({
      type: 'flow_removed',
      cookie: entry.cookie,
      priority: entry.priority,
      reason,
      table_id: entry.tableId,
      ...duration(entry, clock.ms),
      idle_timeout: entry.idleTimeout,
      hard_timeout: entry.hardTimeout,
      packet_count: counter(entry.packets, entry.countsPackets),
      byte_count: counter(entry.bytes, entry.countsBytes),
      match: entry.match,
    });
  }

  private *add(message: FlowMod): Steps {
    const { tables } = this.parts;
    const entry = makeEntry(message, this.parts);
    const overlapMatters = (message.flags & FlowModFlag.CHECK_OVERLAP) !== 0;
    if (overlapMatters && (yield* tables.overlaps(entry.tableId, entry, entry.priority))) {
      throw failed(FlowModFailedCode.OVERLAP, 'an entry of the same priority overlaps');
    }
    this.makeRoom(entry);
    this.put(entry, message.flags);
  }

  /** Puts an entry into its table, in place of one with the same match and priority. */
  put(entry: FlowEntry, flags: number): void {
    const { tables, timeouts, journal, clock, paths } = this.parts;
    const old = tables.insert(entry);
    entry.created = clock.ms;
    entry.lastUsed = clock.ms;
    if (old !== undefined) {
      timeouts.remove(old);
      paths.forget(old);
      if ((flags & FlowModFlag.RESET_COUNTS) === 0) {
        entry.packets = old.packets;
        entry.bytes = old.bytes;
      }
    }
    timeouts.add(entry);
    journal.note(() => {
      tables.remove(entry);
      timeouts.remove(entry);
      if (old === undefined) return;
      tables.insert(old);
      timeouts.add(old);
    });
  }

  /** In a table that evicts entries, one goes if there is no room for this. */
  private makeRoom(entry: FlowEntry): void {
    const { tables, settings } = this.parts;
    if (!tables.full || tables.find(entry.tableId, entry, entry.priority) !== undefined) return;
    const flags = settings.eviction(entry.tableId);
    if (flags === undefined) return;
    const old = victim(tables.at(entry.tableId)?.entries ?? [], entry.importance, flags);
    if (old !== undefined) this.remove(old, REASON_EVICTION);
  }

  private *modify(message: FlowMod): Steps {
    const { tables } = this.parts;
    // out_port and out_group mean nothing here (section 6.4).
    const filter = { ...message, out_port: Port.ANY, out_group: Group.ANY };
    const strict = message.command === FlowModCommand.MODIFY_STRICT;
    const { instructions } = message;
    // Checked even if there is no entry to modify, and for all before the first is changed.
    const context = { tableId: message.table_id, priority: message.priority, match: message.match };
    compileInstructions(instructions, { ...compileMatch(message.match), ...context }, this.parts);
    const entries = strict ? tables.selectStrict(filter, message.priority) : yield* tables.select(filter);
    if (entries.length === 0 && (message.flags & FLOW_MOD_UPSERT) !== 0) {
      yield* this.add({ ...message, flags: message.flags & ~FLOW_MOD_UPSERT });
      return;
    }
    // Compiled twice rather than kept: for a full table it would be more memory than the entries have.
    const compile = (entry: FlowEntry) => compileInstructions(instructions, entry, this.parts);
    yield* inPieces(entries, 'closed', compile);
    const resets = (message.flags & FlowModFlag.RESET_COUNTS) !== 0;
    yield* inPieces(entries, 'closed', (entry) => {
      this.noteState(entry);
      entry.modify(keepImportance(instructions, entry.instructions), compile(entry));
      if (resets) entry.resetCounters();
    });
  }

  private noteState(entry: FlowEntry): void {
    const { instructions, compiled, packets, bytes } = entry;
    this.parts.journal.note(() => {
      entry.modify(instructions, compiled);
      entry.packets = packets;
      entry.bytes = bytes;
    });
  }
}

/** An entry's importance is settled when it is added: the instruction that says it stays as it was. */
function keepImportance(now: readonly Instruction[], before: readonly Instruction[]): readonly Instruction[] {
  const saysImportance = ({ type }: Instruction) => type === 'experimenter';
  const kept = before.filter(saysImportance);
  if (kept.length === 0 && !now.some(saysImportance)) return now;
  return [...now.filter((instruction) => !saysImportance(instruction)), ...kept];
}

function failed(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.FLOW_MOD_FAILED, code, text);
}
