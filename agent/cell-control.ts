/**
 * The OpenFlow conversation with one cell. Every message to a cell gets a transaction id of the agent's own, which is
 * turned back in what the cell answers: so a cell can answer only what it was asked, and the agent's own requests never
 * mix with the controller's.
 */
import {
  decode,
  encode,
  type Message,
  MultipartFlag,
  messageType,
  messageXid,
  OpenFlowError,
} from '../openflow/index.ts';
import type { CellHandle } from '../sandbox/client/types.ts';
import type { Frame } from './ports/frames.ts';

type Reply = Extract<Message, { type: 'error' | 'flow_removed' | 'multipart_reply' }>;

/** What was sent and may be answered. */
type Expected =
  | { kind: 'controller'; xid: number }
  | { kind: 'silent' }
  | { kind: 'barrier'; done: () => void }
  | { kind: 'request'; done: (reply: Reply | undefined) => void };

export interface ControlCounters {
  sent: number;
  /** Messages from cells that were passed on. */
  passed: number;
  /** Messages from cells of a type that cells do not send, malformed, or answering nothing. */
  refused: number;
  /** Messages for cells that take in too few of them. */
  overflow: number;
}

const OFPT = { ERROR: 1, FLOW_REMOVED: 11, MULTIPART_REPLY: 19, BARRIER_REPLY: 21 } as const;
const ALLOWED = new Set<number>(Object.values(OFPT));

/** Messages that wait because the cell's queue is full or the cell is still starting. */
const MAX_BACKLOG = 4096;
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
  readonly #pass: (reply: Reply) => void;
  readonly #expected = new Map<number, Expected>();
  #handle: CellHandle<Frame> | undefined;
  #backlog: Uint8Array[] = [];
  #lastXid = 0;
  #sinceBarrier = 0;

  /** `pass` gets what the controller should see, in its own xids and with the match field `cell` put in. */
  constructor(cell: number, counters: ControlCounters, pass: (reply: Reply) => void) {
    this.#cell = cell;
    this.#counters = counters;
    this.#pass = pass;
  }

  /** The cell got messages after its last barrier. */
  get dirty(): boolean {
    return this.#sinceBarrier > 0;
  }

  /** Messages wait to be sent: call pump() every now and then. */
  get waiting(): boolean {
    return this.#backlog.length > 0;
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
  }

  /** Sends a copy of a controller's message. False: too many wait already. */
  forward(message: Uint8Array): boolean {
    return this.#send(message.slice(), { kind: 'controller', xid: messageXid(message) }) !== 0;
  }

  /** Sends a message whose answers nobody waits for. Returns the xid the cell sees, 0 when too many messages wait. */
  tell(message: Uint8Array, controllerXid?: number): number {
    const expected: Expected =
      controllerXid === undefined ? { kind: 'silent' } : { kind: 'controller', xid: controllerXid };
    return this.#send(message.slice(), expected);
  }

  /** Calls `done` when the cell has handled everything sent so far, or has ended. */
  barrier(done: () => void): void {
    this.#sinceBarrier = 0;
    if (this.#send(encode({ type: 'barrier_request' }), { kind: 'barrier', done }) === 0) done();
  }

  /** A request of the agent's own. `done` is called once per part of the reply, with undefined when there is none. */
  request(message: Uint8Array, done: (reply: Reply | undefined) => void): void {
    if (this.#send(message.slice(), { kind: 'request', done }) === 0) done(undefined);
  }

  /** The controller's connection has ended: what is still to come must not answer the next one's requests. */
  disown(): void {
    for (const [xid, { kind }] of this.#expected) {
      if (kind === 'controller') this.#expected.set(xid, { kind: 'silent' });
    }
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
      this.#hand({ ...message, xid: 0, match: this.#stamp(message.match) });
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
  }

  /** The cell is gone: nobody waits any longer. */
  ended(): void {
    this.#handle = undefined;
    this.#backlog = [];
    const expected = [...this.#expected.values()];
    this.#expected.clear();
    this.#sinceBarrier = 0;
    for (const entry of expected) {
      if (entry.kind === 'barrier') entry.done();
      else if (entry.kind === 'request') entry.done(undefined);
    }
  }

  #send(message: Uint8Array, expected: Expected): number {
    if (this.#backlog.length >= MAX_BACKLOG) {
      this.#counters.overflow++;
      return 0;
    }
    this.#lastXid = (this.#lastXid + 1) >>> 0 || 1;
    const xid = this.#lastXid;
    writeXid(message, xid);
    this.#expected.set(xid, expected);
    this.#counters.sent++;
    if (this.#backlog.length > 0 || this.#handle?.send(message) !== true) this.#backlog.push(message);
    if (expected.kind !== 'barrier' && ++this.#sinceBarrier % BARRIER_EVERY === 0) {
      const kept = this.#sinceBarrier;
      this.barrier(() => {});
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
      if (entry.kind === 'controller' || entry.kind === 'silent') this.#expected.delete(earlier);
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
    if (expected.kind !== 'controller') return;
    const data = message.data.slice();
    if (data.length >= 8) writeXid(data, expected.xid);
    this.#hand({ ...message, xid: expected.xid, data });
  }

  #multipartAnswered(message: Extract<Message, { type: 'multipart_reply' }>, expected: Expected): void {
    if (expected.kind === 'barrier') {
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
    this.#hand({ ...message, xid: expected.xid, body: stamped });
  }

  #hand(reply: Reply): void {
    this.#counters.passed++;
    this.#pass(reply);
  }

  #stamp<M extends { cell?: number }>(match: M): M {
    return this.#cell === 0 ? match : { ...match, cell: this.#cell };
  }
}
