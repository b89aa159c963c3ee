/**
 * The OpenFlow conversation with one cell. Every message to a cell gets a transaction id of the agent's own, which is
 * turned back in what the cell answers: so a cell can answer only what it was asked, each controller gets the answers to
 * its own requests, and the agent's never mix with theirs.
 */
import {
  decode,
  encode,
  type Message,
  MultipartFlag,
  messageType,
  OpenFlowError,
  PathFlag,
  PathMessageFlag,
  TransactionPhase,
} from '../openflow/index.ts';
import { mayChangeVerdicts } from '../sandbox/channel/modifications.ts';
import type { CellHandle } from '../sandbox/client/types.ts';
import type {
  Asker,
  CellReply,
  ControlCounters,
  ControlWatch,
  OwnReply,
  PathCredit,
  Request,
} from './cell-conversation.ts';
import type { Frame } from './ports/frames.ts';

/** Credits told in one message. */
const CREDITS_PER_MESSAGE = 1024;

/** What was sent and may be answered. */
type Expected =
  | { kind: 'controller'; request: Request }
  | { kind: 'silent' }
  | { kind: 'barrier'; done: () => void }
  | { kind: 'commit'; failed: () => void }
  | { kind: 'request'; done: (reply: OwnReply | undefined) => void };

const OFPT = {
  ERROR: 1,
  EXPERIMENTER: 4,
  FLOW_REMOVED: 11,
  MULTIPART_REQUEST: 18,
  MULTIPART_REPLY: 19,
  BARRIER_REPLY: 21,
} as const;
/** What cells may send. */
const { MULTIPART_REQUEST, ...FROM_CELLS } = OFPT;
const ALLOWED = new Set<number>(Object.values(FROM_CELLS));

/** Messages that wait because the cell's queue is full or the cell is still starting. */
const MAX_BACKLOG = 4096;
/** When so many wait, who sends them had better pause. */
const CROWDED = 1024;
/** Barriers, and answers to cells, may wait beyond that: a barrier that is said to be answered while messages before it wait would be a lie. */
const MAX_BACKLOG_OF_BARRIERS = 2 * MAX_BACKLOG;
/** Unanswered messages after which the agent puts in a barrier of its own, so that they can be forgotten. */
const BARRIER_EVERY = 256;

const XID_OFFSET = 4;

const writeXid = (bytes: Uint8Array, xid: number): void => {
  bytes[XID_OFFSET] = xid >>> 24;
  bytes[XID_OFFSET + 1] = xid >>> 16;
  bytes[XID_OFFSET + 2] = xid >>> 8;
  bytes[XID_OFFSET + 3] = xid;
};

export class CellControl {
  readonly #cell: number;
  readonly #counters: ControlCounters;
  readonly #pass: (reply: CellReply, asker: Asker | undefined) => void;
  readonly #behind: Set<CellControl>;
  readonly #expected = new Map<number, Expected>();
  #handle: CellHandle<Frame> | undefined;
  #backlog: Uint8Array[] = [];
  #lastXid = 0;
  #sinceBarrier = 0;
  #inTransaction = false;
  /** Messages sent that may change verdicts, as the cell counts them, 32 bits. */
  modifications = 0;
  watch: ControlWatch | undefined;
  #ended = false;

  /**
   * `pass` gets what controllers should see, with the match field `cell` put in: an answer to `asker` in its own xids, or
   * what nobody asked for. `behind`: has this in it as long as messages wait; call pump() of those every now and then.
   */
  constructor(
    cell: number,
    counters: ControlCounters,
    pass: (reply: CellReply, asker: Asker | undefined) => void,
    behind: Set<CellControl> = new Set(),
  ) {
    this.#behind = behind;
    this.#cell = cell;
    this.#counters = counters;
    this.#pass = pass;
  }

  /** The cell got messages after its last barrier. */
  get dirty(): boolean {
    return this.#sinceBarrier > 0;
  }

  /** Messages wait to be sent. */
  get waiting(): boolean {
    return this.#backlog.length > 0;
  }

  /** How many of them. */
  get backlog(): number {
    return this.#backlog.length;
  }

  get crowded(): boolean {
    return this.#backlog.length >= CROWDED;
  }

  /** The cell is there: what waited goes out. */
  attach(handle: CellHandle<Frame>): void {
    this.#handle = handle;
    this.pump();
  }

  pump(): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    let sent = 0;
    while (sent < this.#backlog.length && handle.send(this.#backlog[sent])) sent++;
    if (sent > 0) this.#backlog = this.#backlog.slice(sent);
    if (this.#backlog.length === 0) this.#behind.delete(this);
  }

  /** Sends a copy of a controller's message. False: too many wait already. */
  forward(message: Uint8Array, request: Request): boolean {
    return this.#send(message.slice(), { kind: 'controller', request }) !== 0;
  }

  /**
   * Sends a message; errors go to `request.asker`, to nobody when there is none. Returns the xid the cell sees, 0 when too
   * many messages wait.
   */
  tell(message: Uint8Array, request?: Request): number {
    const expected: Expected = request === undefined ? { kind: 'silent' } : { kind: 'controller', request };
    return this.#send(message.slice(), expected);
  }

  /**
   * Sends messages that the cell carries out together or not at all (docs/protocol.md, transaction). `done` is told once
   * which it was; a cell that ends has carried out none. False: too many messages wait, and none of these was sent.
   */
  transaction(
    messages: readonly { readonly bytes: Uint8Array; readonly request: Request }[],
    done: (committed: boolean) => void,
  ): boolean {
    const extra = 3;
    if (this.#backlog.length + messages.length + extra > MAX_BACKLOG) {
      this.#counters.overflow++;
      return false;
    }
    let committed = true;
    const failed = () => {
      committed = false;
    };
    this.#inTransaction = true;
    this.tell(encode({ type: 'transaction', phase: TransactionPhase.BEGIN }));
    for (const { bytes, request } of messages) this.forward(bytes, request);
    this.#send(encode({ type: 'transaction', phase: TransactionPhase.COMMIT }), { kind: 'commit', failed });
    this.#inTransaction = false;
    // Nothing says that it has committed but that nothing says the contrary before the barrier.
    this.barrier(() => done(committed && this.#handle !== undefined));
    return true;
  }

  /** Calls `done` when the cell has handled everything sent so far, or has ended. */
  barrier(done: () => void): void {
    this.#barrier(done, MAX_BACKLOG_OF_BARRIERS);
  }

  /** Tells the cell what the one before it knew, however much that is: its log is bounded. Calls `done` as barrier() does. */
  restore(messages: Iterable<Uint8Array>, done: () => void): void {
    for (const message of messages) this.#send(message.slice(), { kind: 'silent' }, Number.POSITIVE_INFINITY);
    this.#barrier(done, Number.POSITIVE_INFINITY);
  }

  /** From now on the cell is to name the paths of its verdicts. */
  namePaths(): void {
    this.tell(encode({ type: 'path_credit', flags: PathMessageFlag.NAME_PATHS }));
  }

  /**
   * Tells the cell of packets that were forwarded without it; `token` of the path_release that this answers, or 0. Returns
   * how many of the credits went out: what a cell that is too far behind was not told is to be told later.
   */
  credit(token: number, credits: readonly PathCredit[]): number {
    // A cell whose question gets no answer keeps its entries for good.
    const limit = token === 0 ? MAX_BACKLOG : MAX_BACKLOG_OF_BARRIERS;
    let at = 0;
    do {
      const part = credits.slice(at, at + CREDITS_PER_MESSAGE);
      const message = encode({
        type: 'path_credit',
        token,
        credits: part.map(({ path, cached, credit }) => ({
          path,
          flags: cached ? PathFlag.CACHED : 0,
          packet_count: BigInt(credit?.packets ?? 0),
          byte_count: BigInt(credit?.bytes ?? 0),
          last_seen_ms: Math.floor(credit?.lastMs ?? 0) >>> 0,
        })),
      });
      if (this.#send(message, { kind: 'silent' }, limit) === 0) return at;
      at += CREDITS_PER_MESSAGE;
    } while (at < credits.length);
    return credits.length;
  }

  /** A request of the agent's own. `done` is called once per part of the reply, with undefined when there is none. */
  request(message: Uint8Array, done: (reply: OwnReply | undefined) => void): void {
    if (this.#send(message.slice(), { kind: 'request', done }) === 0) done(undefined);
  }

  /** One message from the cell, which is not trusted. */
  receive(bytes: Uint8Array): void {
    if (!ALLOWED.has(messageType(bytes))) {
      this.#counters.refused++;
      return;
    }
    let message: Message;
    try {
      message = decode(bytes.slice());
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.#counters.refused++;
      return;
    }
    if (message.type === 'flow_removed') {
      this.#hand({ ...message, xid: 0, match: this.#stamp(message.match) }, undefined);
      return;
    }
    if (message.type === 'path_release') {
      if (this.watch === undefined) this.#counters.refused++;
      else this.watch.released(message);
      return;
    }
    if (message.type === 'table_status') {
      this.#hand({ ...message, xid: 0 }, undefined);
      return;
    }
    const expected = this.#expected.get(message.xid);
    if (expected === undefined) {
      this.#counters.refused++;
      return;
    }
    if (message.type === 'barrier_reply') this.#barrierAnswered(message.xid, expected);
    else if (message.type === 'error') this.#errorAnswered(message, expected);
    else if (message.type === 'multipart_reply') this.#multipartAnswered(message, expected);
    else if (message.type === 'table_config') this.#tableAnswered(message, expected);
    else this.#counters.refused++;
  }

  /** The cell is gone: nobody waits any longer. */
  ended(): void {
    this.watch?.ended();
    this.#ended = true;
    this.#handle = undefined;
    this.#backlog = [];
    this.#behind.delete(this);
    const expected = [...this.#expected.values()];
    this.#expected.clear();
    this.#sinceBarrier = 0;
    for (const entry of expected) {
      if (entry.kind === 'barrier') entry.done();
      else if (entry.kind === 'request') entry.done(undefined);
    }
  }

  #barrier(done: () => void, limit: number): void {
    this.#sinceBarrier = 0;
    if (this.#send(encode({ type: 'barrier_request' }), { kind: 'barrier', done }, limit) === 0) done();
  }

  /** `limit`: how many messages may wait for this one to be taken. Returns its xid, 0 when it is not. */
  #send(message: Uint8Array, expected: Expected, limit = MAX_BACKLOG): number {
    // Whoever has heard of the cell before it ended would wait for its answer for good.
    if (this.#ended) return 0;
    if (this.#backlog.length >= limit) {
      this.#counters.overflow++;
      return 0;
    }
    if (mayChangeVerdicts(message)) {
      this.watch?.changing(message);
      this.modifications = (this.modifications + 1) | 0;
    } else if (messageType(message) === MULTIPART_REQUEST) {
      this.watch?.asking();
    }
    this.#lastXid = (this.#lastXid + 1) >>> 0 || 1;
    const xid = this.#lastXid;
    writeXid(message, xid);
    this.#expected.set(xid, expected);
    this.#counters.sent++;
    if (this.#backlog.length > 0 || this.#handle?.send(message) !== true) {
      this.#backlog.push(message);
      this.#behind.add(this);
    }
    if (expected.kind === 'barrier') return xid;
    // A transaction is not interrupted: it has a barrier of its own at its end.
    if (++this.#sinceBarrier % BARRIER_EVERY === 0 && !this.#inTransaction) {
      const kept = this.#sinceBarrier;
      this.#barrier(() => {}, Math.max(limit, MAX_BACKLOG_OF_BARRIERS));
      // The controller's messages still count as unanswered: its own barrier has yet to come.
      this.#sinceBarrier = kept;
    }
    return xid;
  }

  #barrierAnswered(xid: number, expected: Expected): void {
    if (expected.kind !== 'barrier') {
      this.#counters.refused++;
      return;
    }
    // Everything sent before it is done: no error can come for it any more.
    for (const [earlier, entry] of this.#expected) {
      if (entry.kind !== 'barrier' && entry.kind !== 'request') this.#expected.delete(earlier);
      if (earlier === xid) break;
    }
    this.#expected.delete(xid);
    expected.done();
  }

  #errorAnswered(message: Extract<Message, { type: 'error' }>, expected: Expected): void {
    if (expected.kind === 'barrier') {
      this.#counters.refused++;
      return;
    }
    this.#expected.delete(message.xid);
    if (expected.kind === 'request') expected.done(message);
    if (expected.kind === 'commit') expected.failed();
    if (expected.kind !== 'controller') return;
    const { asker, xid, head, refused } = expected.request;
    this.#counters.errors++;
    refused?.();
    const data = head ?? message.data.slice();
    if (head === undefined && data.length >= 8) writeXid(data, xid);
    this.#hand({ ...message, xid, data }, asker);
  }

  #multipartAnswered(message: Extract<Message, { type: 'multipart_reply' }>, expected: Expected): void {
    if (expected.kind === 'barrier' || expected.kind === 'commit') {
      this.#counters.refused++;
      return;
    }
    if ((message.flags & MultipartFlag.MORE) === 0) this.#expected.delete(message.xid);
    if (expected.kind === 'request') {
      expected.done(message);
      return;
    }
    if (expected.kind === 'silent') return;
    const { body } = message;
    const stamped =
      body.type === 'flow'
        ? { ...body, flows: body.flows.map((flow) => ({ ...flow, match: this.#stamp(flow.match) })) }
        : body;
    this.#hand({ ...message, xid: expected.request.xid, body: stamped }, expected.request.asker);
  }

  /** One of several; a barrier tells the last. */
  #tableAnswered(message: Extract<Message, { type: 'table_config' }>, expected: Expected): void {
    if (expected.kind !== 'controller') this.#counters.refused++;
    else this.#hand({ ...message, xid: expected.request.xid }, expected.request.asker);
  }

  #hand(reply: CellReply, asker: Asker | undefined): void {
    this.#counters.passed++;
    this.#pass(reply, asker);
  }

  #stamp<M extends { cell?: number }>(match: M): M {
    return this.#cell === 0 ? match : { ...match, cell: this.#cell };
  }
}
