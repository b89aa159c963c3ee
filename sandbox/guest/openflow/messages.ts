/** The OpenFlow messages a cell answers; every other belongs to the agent. */
import {
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  FlowRemovedReason,
  type Message,
  type MessageInit,
  type MessageOf,
  messageType,
  messageXid,
  NO_BUFFER,
  OpenFlowError,
  TableConfigFlag,
  TransactionPhase,
  toErrorMessage,
} from '../../../openflow/index.ts';
import { compileActions, type Op } from './actions.ts';
import type { FlowEntry } from './entry.ts';
import { FlowMods } from './flow-mods.ts';
import type { Parts } from './parts.ts';
import { Statistics } from './statistics.ts';
import { checkTableMod } from './table-settings.ts';
import { notNow, Transaction } from './transaction.ts';

const OFPT_PACKET_OUT = 13;
const OFPT_FLOW_MOD = 14;
const OFPT_GROUP_MOD = 15;
const OFPT_BARRIER_REQUEST = 20;

/** PACKET_OUT messages whose packet has not come yet. The agent sends at most a few slots' worth ahead. */
const MAX_PACKET_OUTS = 256;

interface PendingPacketOut {
  xid: number;
  /** undefined: the message was refused; its packet, when it comes, is dropped. */
  ops: Op[] | undefined;
}

/** Messages of a transaction that are carried out in one go: a few milliseconds at most. */
const COMMIT_STEP = 32;

interface Commit {
  readonly request: Uint8Array;
  readonly messages: readonly Uint8Array[];
  /** How many of them are carried out. */
  done: number;
  /** What is to be sent if all succeed. */
  readonly answers: Uint8Array[];
}

/** What the messages work on, but for how to answer. */
export type MessageParts = Omit<Parts, 'send' | 'hasGroup' | 'hasMeter'>;

export class Messages {
  readonly flowMods: FlowMods;
  private readonly parts: Parts;
  private readonly output: (message: Uint8Array) => void;
  private readonly statistics: Statistics;
  private readonly transaction = new Transaction();
  /** What is left of the answer to a multipart request. */
  private answer: Iterator<void> | undefined;
  /** The transaction that is being carried out. */
  private commit: Commit | undefined;
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

  handle(bytes: Uint8Array): void {
    this.parts.clock.update();
    try {
      if (!this.transaction.take(bytes)) this.carryOut(bytes);
    } catch (error) {
      this.refuse(error, bytes);
    }
    if (this.commit === undefined) this.reportVacancy();
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
    if (this.commit === undefined) this.output(bytes);
    else this.commit.answers.push(bytes);
  }

  private carryOut(bytes: Uint8Array): void {
    const type = messageType(bytes);
    // Entries and groups keep parts of their message, and the bytes are only lent.
    const kept = type === OFPT_FLOW_MOD || type === OFPT_GROUP_MOD ? bytes.slice() : bytes;
    this.dispatch(decode(kept), bytes);
  }

  private refuse(error: unknown, bytes: Uint8Array): void {
    if (!(error instanceof OpenFlowError)) throw error;
    if (messageType(bytes) === OFPT_PACKET_OUT) this.expectPacket(messageXid(bytes), undefined);
    this.send(toErrorMessage(error, bytes));
  }

  private dispatch(message: Message, bytes: Uint8Array): void {
    const { groups, meters, liveness } = this.parts;
    switch (message.type) {
      case 'flow_mod':
        this.flowMods.mod(message, bytes.length);
        break;
      case 'barrier_request':
        this.send({ type: 'barrier_reply', xid: message.xid });
        break;
      case 'multipart_request':
        this.beginAnswer(this.statistics.answer(message));
        break;
      case 'packet_out':
        this.packetOut(message);
        break;
      case 'group_mod': {
        const gone = new Set(groups.mod(message, bytes.length).map(({ id }) => id));
        const uses = ({ compiled }: FlowEntry) => compiled.groups.some((id) => gone.has(id));
        if (gone.size > 0) this.removeEntries(uses, FlowRemovedReason.GROUP_DELETE);
        break;
      }
      case 'meter_mod': {
        const gone = new Set(meters.mod(message).map(({ id }) => id));
        if (gone.size > 0)
          this.removeEntries(({ compiled }) => gone.has(compiled.meter), FlowRemovedReason.DELETE);
        break;
      }
      case 'table_mod':
        checkTableMod(message);
        break;
      case 'port_status':
        liveness.portStatus(message);
        break;
      case 'table_config':
        this.tableConfig(message);
        break;
      case 'transaction':
        this.transactionPhase(message.phase, bytes);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_TYPE, `a cell does not answer ${message.type}`);
    }
  }

  private removeEntries(test: (entry: FlowEntry) => boolean, reason: number): void {
    this.flowMods.removeAll([...this.parts.tables.all()].filter(test), reason);
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

  private transactionPhase(phase: number, bytes: Uint8Array): void {
    switch (phase) {
      case TransactionPhase.BEGIN:
        this.transaction.begin();
        break;
      case TransactionPhase.COMMIT:
        this.beginCommit(bytes);
        break;
      case TransactionPhase.ABORT:
        this.answerBarriers(this.transaction.end().messages);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_EXP_TYPE, `a transaction has no phase ${phase}`);
    }
  }

  private beginCommit(bytes: Uint8Array): void {
    const { messages, complete } = this.transaction.end();
    if (!complete) {
      this.answerBarriers(messages);
      throw notNow('not all messages of the transaction are here');
    }
    this.parts.journal.begin();
    this.commit = { request: bytes.slice(), messages, done: 0, answers: [] };
  }

  /** The first reply; the others follow in work(), but within a transaction at once. */
  private beginAnswer(answer: Iterator<void>): void {
    let { done } = answer.next();
    if (this.commit === undefined) this.answer = done === true ? undefined : answer;
    else while (done !== true) done = answer.next().done;
  }

  /** Does some more of what a message began; true: there is still something left. */
  work(): boolean {
    if (this.commit !== undefined) return this.continueCommit(this.commit);
    if (this.answer?.next().done === true) this.answer = undefined;
    return this.answer !== undefined;
  }

  /**
   * Carries out some more of what waited for a commit; true: there is still something left. If a message fails, all is as
   * before, and nobody has heard of what was done.
   */
  private continueCommit(commit: Commit): boolean {
    const { messages, request } = commit;
    this.parts.clock.update();
    const end = Math.min(commit.done + COMMIT_STEP, messages.length);
    try {
      for (; commit.done < end; commit.done++) this.carryOut(messages[commit.done]);
    } catch (error) {
      this.commit = undefined;
      this.parts.journal.rollBack();
      this.answerBarriers(messages.slice(0, commit.done));
      this.refuse(error, messages[commit.done]);
      this.answerBarriers(messages.slice(commit.done + 1));
      this.refuse(notNow('a message of the transaction failed'), request);
      return false;
    }
    if (end < messages.length) return true;
    this.commit = undefined;
    this.parts.journal.commit();
    for (const answer of commit.answers) this.output(answer);
    this.reportVacancy();
    return false;
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
