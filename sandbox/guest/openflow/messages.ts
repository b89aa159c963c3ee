/** The OpenFlow messages a cell answers; every other belongs to the agent. */
import {
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  FlowRemovedReason,
  HEADER_BYTES,
  type Message,
  type MessageInit,
  type MessageOf,
  messageType,
  messageXid,
  NO_BUFFER,
  OFP_VERSION,
  OpenFlowError,
  TableConfigFlag,
  TransactionPhase,
  toErrorMessage,
} from '../../../openflow/index.ts';
import { compileActions, type Op } from './actions.ts';
import type { FlowEntry } from './entry.ts';
import { FlowMods } from './flow-mods.ts';
import type { Parts } from './parts.ts';
import { readPlainAdd } from './plain-add.ts';
import { Statistics } from './statistics.ts';
import { type Steps, selectInPieces } from './steps.ts';
import { checkTableMod } from './table-settings.ts';
import { notNow, Transaction } from './transaction.ts';

const OFPT_PACKET_OUT = 13;
const OFPT_FLOW_MOD = 14;
const OFPT_GROUP_MOD = 15;
const OFPT_BARRIER_REQUEST = 20;
const OFPT_BARRIER_REPLY = 21;
const TYPE_OFFSET = 1;

/** How many times its own length the memory may have that an entry keeps for its message. */
const MAX_SHARED = 8;

/** PACKET_OUT messages whose packet has not come yet. The agent sends at most a few slots' worth ahead. */
const MAX_PACKET_OUTS = 256;

interface PendingPacketOut {
  xid: number;
  /** undefined: the message was refused; its packet, when it comes, is dropped. */
  ops: Op[] | undefined;
}

/** What the messages work on, but for how to answer. */
export type MessageParts = Omit<Parts, 'send' | 'hasGroup' | 'hasMeter'>;

export class Messages {
  readonly flowMods: FlowMods;
  private readonly parts: Parts;
  private readonly output: (message: Uint8Array) => void;
  private readonly statistics: Statistics;
  private readonly transaction = new Transaction();
  /** While a transaction is carried out: what is to be sent if all of it succeeds. */
  private held: Uint8Array[] | undefined;
  private packetOuts: PendingPacketOut[] = [];

  constructor(parts: MessageParts, output: (message: Uint8Array) => void) {
    this.output = output;
    this.parts = {
      ...parts,
      send: (message) => this.send(message),
      hasGroup: (id) => parts.groups.get(id) !== undefined,
      hasMeter: (id) => parts.meters.get(id) !== undefined,
    };
    this.flowMods = new FlowMods(this.parts);
    this.statistics = new Statistics(this.parts);
  }

  /** Carries out a message of a flow's set-up if it is as plain as most are; false: it is for handle(). */
  handlePlain(bytes: Uint8Array): boolean {
    if (this.transaction.open) return false;
    const { tables, settings, clock } = this.parts;
    switch (messageType(bytes)) {
      case OFPT_BARRIER_REQUEST: {
        if (bytes.length !== HEADER_BYTES || bytes[0] !== OFP_VERSION) return false;
        const reply = bytes.slice();
        reply[TYPE_OFFSET] = OFPT_BARRIER_REPLY;
        this.output(reply);
        return true;
      }
      case OFPT_FLOW_MOD: {
        if (tables.full || settings.watching) return false;
        // The entry keeps its message; all that came at once share their memory.
        const kept = bytes.buffer.byteLength <= MAX_SHARED * bytes.length ? bytes : bytes.slice();
        const entry = readPlainAdd(kept);
        if (entry === undefined) return false;
        clock.update();
        this.flowMods.put(entry, 0);
        return true;
      }
      default:
        return false;
    }
  }

  /** Nothing else is to be handled, and the bytes must not change, before this is done. */
  *handle(bytes: Uint8Array): Steps {
    this.parts.clock.update();
    try {
      if (!this.transaction.take(bytes)) yield* this.carryOut(bytes);
    } catch (error) {
      this.refuse(error, bytes);
    }
    this.reportVacancy();
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

  /** After entries came or went. */
  reportVacancy(): void {
    const { settings, tables } = this.parts;
    for (const event of settings.events(tables.vacancy)) this.send(event);
  }

  private send(message: MessageInit): void {
    const bytes = encode(message);
    if (this.held === undefined) this.output(bytes);
    else this.held.push(bytes);
  }

  private carryOut(bytes: Uint8Array): Steps {
    const type = messageType(bytes);
    // Entries and groups keep parts of their message, and the bytes are only lent.
    const kept = type === OFPT_FLOW_MOD || type === OFPT_GROUP_MOD ? bytes.slice() : bytes;
    return this.dispatch(decode(kept), bytes);
  }

  private refuse(error: unknown, bytes: Uint8Array): void {
    if (!(error instanceof OpenFlowError)) throw error;
    if (messageType(bytes) === OFPT_PACKET_OUT) this.expectPacket(messageXid(bytes), undefined);
    this.send(toErrorMessage(error, bytes));
  }

  private *dispatch(message: Message, bytes: Uint8Array): Steps {
    const { groups, meters, liveness, paths, timeouts } = this.parts;
    switch (message.type) {
      case 'flow_mod':
        yield* this.flowMods.mod(message, bytes.length);
        break;
      case 'barrier_request':
        this.send({ type: 'barrier_reply', xid: message.xid });
        break;
      case 'multipart_request':
        yield* this.statistics.answer(message);
        break;
      case 'packet_out':
        this.packetOut(message);
        break;
      case 'group_mod': {
        paths.clear();
        const gone = new Set(groups.mod(message, bytes.length).map(({ id }) => id));
        const uses = ({ compiled }: FlowEntry) => compiled.groups.some((id) => gone.has(id));
        if (gone.size > 0) yield* this.removeEntries(uses, FlowRemovedReason.GROUP_DELETE);
        break;
      }
      case 'meter_mod': {
        paths.clear();
        const gone = new Set(meters.mod(message).map(({ id }) => id));
        const uses = ({ compiled }: FlowEntry) => gone.has(compiled.meter);
        if (gone.size > 0) yield* this.removeEntries(uses, FlowRemovedReason.DELETE);
        break;
      }
      case 'table_mod':
        checkTableMod(message);
        break;
      case 'port_status':
        paths.clear();
        liveness.portStatus(message);
        break;
      case 'table_config':
        this.tableConfig(message);
        break;
      case 'path_credit':
        yield* timeouts.answered(paths.credited(message));
        break;
      case 'transaction':
        yield* this.transactionPhase(message.phase, bytes);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_TYPE, `a cell does not answer ${message.type}`);
    }
  }

  private *removeEntries(test: (entry: FlowEntry) => boolean, reason: number): Steps {
    yield* this.flowMods.removeAll(yield* selectInPieces(this.parts.tables.all(), test), reason);
  }

  private packetOut(message: MessageOf<'packet_out'>): void {
    if (message.buffer_id !== NO_BUFFER) {
      throw badRequest(BadRequestCode.BUFFER_UNKNOWN, 'packets are not buffered here');
    }
    const { hasGroup } = this.parts;
    const context = { match: {}, tableMiss: false, packetOut: true, hasGroup };
    this.expectPacket(message.xid, compileActions(message.actions, context));
  }

  private expectPacket(xid: number, ops: Op[] | undefined): void {
    if (this.packetOuts.length === MAX_PACKET_OUTS) this.packetOuts.shift();
    this.packetOuts.push({ xid, ops });
  }

  private tableConfig(message: MessageOf<'table_config'>): void {
    const { settings, tables } = this.parts;
    if ((message.flags & TableConfigFlag.QUERY) === 0) settings.configure(message);
    else for (const answer of settings.describe(message, tables.vacancy)) this.send(answer);
  }

  private *transactionPhase(phase: number, bytes: Uint8Array): Steps {
    switch (phase) {
      case TransactionPhase.BEGIN:
        this.transaction.begin();
        break;
      case TransactionPhase.COMMIT:
        yield* this.commit(bytes);
        break;
      case TransactionPhase.ABORT:
        this.answerBarriers(this.transaction.end().messages);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_EXP_TYPE, `a transaction has no phase ${phase}`);
    }
  }

  /** If a message fails, all is as before, and nobody has heard of what was done. */
  private *commit(request: Uint8Array): Steps {
    const { messages, complete } = this.transaction.end();
    if (!complete) {
      this.answerBarriers(messages);
      throw notNow('not all messages of the transaction are here');
    }
    const { clock, journal } = this.parts;
    const answers: Uint8Array[] = [];
    journal.begin();
    this.held = answers;
    let done = 0;
    try {
      for (; done < messages.length; done++) {
        clock.update();
        yield* this.carryOut(messages[done]);
        yield 'closed';
      }
    } catch (error) {
      this.held = undefined;
      yield* journal.rollBack();
      this.answerBarriers(messages.slice(0, done));
      this.refuse(error, messages[done]);
      this.answerBarriers(messages.slice(done + 1));
      this.refuse(notNow('a message of the transaction failed'), request);
      return;
    }
    this.held = undefined;
    journal.commit();
    for (const answer of answers) this.output(answer);
  }

  /** Whatever becomes of the other messages, somebody waits for these. */
  private answerBarriers(messages: readonly Uint8Array[]): void {
    for (const message of messages) {
      if (messageType(message) !== OFPT_BARRIER_REQUEST) continue;
      this.send({ type: 'barrier_reply', xid: messageXid(message) });
    }
  }
}

function badRequest(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_REQUEST, code, text);
}
