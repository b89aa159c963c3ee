/** One controller, as long as it is connected: its role, what it wants to hear, what it asked and has not finished. */
import {
  EncodeError,
  type MessageInit,
  MultipartFlag,
  OFP_VERSION,
  type OpenFlowError,
} from '../../openflow/index.ts';
import type { Asker, CellReply } from '../cell-conversation.ts';
import { Bundles } from './bundles.ts';
import { MultipartRequests } from './multipart-requests.ts';
import { Role } from './roles.ts';

/** The connection, as a session uses it. */
export interface Link {
  /** Wire version that is spoken. */
  readonly version: number | undefined;
  readonly peer: string;
  send(message: MessageInit): void;
  offer(message: MessageInit, report?: boolean): boolean;
  refuse(error: OpenFlowError, request: Uint8Array): void;
  /** Whether to take in what the controller sends. */
  read(on: boolean): void;
}

/** Bytes of a packet that a table-miss sends, unless SET_CONFIG says otherwise. */
const DEFAULT_MISS_SEND_LEN = 128;

export interface SessionCounters {
  /** Replies of cells that cannot be sent. */
  unsendable: number;
}

export class Session implements Asker {
  readonly link: Link;
  readonly version: number;
  readonly role: Role;
  readonly bundles = new Bundles();
  readonly multipart = new MultipartRequests();
  /** It has sent DISPATCH_CONFIG: it speaks the Flowcell extension. */
  extended = false;
  missSendLen = DEFAULT_MISS_SEND_LEN;
  /** False once the connection has ended: nothing reaches the controller any more. */
  open = true;
  /** How many cells ask for it not to be read. */
  #holds = 0;
  readonly #counters: SessionCounters;

  constructor(link: Link, counters: SessionCounters) {
    this.link = link;
    this.version = link.version ?? OFP_VERSION;
    this.role = new Role(this.version);
    this.#counters = counters;
  }

  /** It may be asked about flows. */
  get decides(): boolean {
    return this.extended && !this.role.isSlave;
  }

  send(message: MessageInit): void {
    if (this.open) this.link.send(message);
  }

  /** For what a controller that is slow can do without. */
  offer(message: MessageInit): boolean {
    return this.open && this.link.offer(message);
  }

  /** For what a cell says without being asked: it can say any amount. */
  report(message: MessageInit): boolean {
    return this.open && this.link.offer(message, true);
  }

  /** Answers a request, given as it was received. */
  refuse(error: OpenFlowError, original: Uint8Array): void {
    if (this.open) this.link.refuse(error, original);
  }

  /** What the controller sends waits until as many calls of release() have followed. */
  hold(): void {
    if (++this.#holds === 1 && this.open) this.link.read(false);
  }

  release(): void {
    if (--this.#holds === 0 && this.open) this.link.read(true);
  }

  /** A cell's answer. */
  answer(reply: CellReply): void {
    try {
      this.send(reply);
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      this.#inHalves(reply);
    }
  }

  /** The match field `cell`, or another version's longer structures, can make a full message too long. */
  #inHalves(reply: CellReply): void {
    if (reply.type !== 'multipart_reply' || reply.body.type !== 'flow' || reply.body.flows.length < 2) {
      this.#counters.unsendable++;
      return;
    }
    const { flows } = reply.body;
    const middle = flows.length >> 1;
    const first = { ...reply.body, flows: flows.slice(0, middle) };
    this.answer({ ...reply, flags: reply.flags | MultipartFlag.MORE, body: first });
    this.answer({ ...reply, body: { ...reply.body, flows: flows.slice(middle) } });
  }
}
