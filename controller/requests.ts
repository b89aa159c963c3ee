/**
 * Requests in flight on one connection: which reply belongs to which request, until when to wait, and the
 * parts of multipart replies. No timers of its own; the session calls `expire`.
 */

import type { Message, MessageOf } from '../openflow/index.ts';
import { DeviceError, FlowcellError } from './errors.ts';
import type { Limits } from './limits.ts';
import { REPLIES } from './message-kinds.ts';
import type { Counters } from './metrics.ts';

export type MultipartReply = MessageOf<'multipart_reply'>;
export type ReplyCallback = (error: FlowcellError | undefined, reply: Message | undefined) => void;

interface Pending {
  readonly deadline: number;
  readonly done: ReplyCallback;
  /** It was an experimenter's request: such a message may be the reply. */
  readonly experimenter: boolean;
  /** Parts of a multipart reply received so far. */
  parts: MultipartReply | undefined;
  bytes: number;
}

/** Requests waiting, and what one multipart reply may add up to. */
type RequestLimits = Pick<Limits, 'maxRequests' | 'maxMultipartBytes'>;

/** OFPMPF_REPLY_MORE. */
const REPLY_MORE = 1;

/** List members of multipart reply bodies: what is joined when a reply comes in parts. */
const LISTS = ['flows', 'tables', 'ports', 'queues', 'groups', 'meters'] as const;

export class Requests {
  readonly #pending = new Map<number, Pending>();
  readonly #limits: RequestLimits;
  readonly #counters: Pick<Counters, 'multipart_overflows'>;

  constructor(limits: RequestLimits, counters: Pick<Counters, 'multipart_overflows'>) {
    this.#limits = limits;
    this.#counters = counters;
  }

  get size(): number {
    return this.#pending.size;
  }

  get full(): boolean {
    return this.#pending.size >= this.#limits.maxRequests;
  }

  has(xid: number): boolean {
    return this.#pending.has(xid);
  }

  add(xid: number, deadline: number, done: ReplyCallback, experimenter = false): void {
    this.#pending.set(xid, { deadline, done, experimenter, parts: undefined, bytes: 0 });
  }

  /** Nobody waits for this one any more; `done` is not called. */
  drop(xid: number): void {
    this.#pending.delete(xid);
  }

  /**
   * Gives a message to the request it answers. False when nothing waits for it. `length` is its size on the
   * wire.
   */
  settle(message: Message, length: number): boolean {
    const pending = this.#pending.get(message.xid);
    if (pending === undefined) return false;
    if (!REPLIES.has(message.type) && !(message.type === 'experimenter' && pending.experimenter))
      return false;
    if (message.type === 'error') {
      this.#pending.delete(message.xid);
      pending.done(
        new DeviceError(message.error_type, message.code, message.xid, message.data.slice()),
        undefined,
      );
      return true;
    }
    if (message.type !== 'multipart_reply') {
      this.#pending.delete(message.xid);
      pending.done(undefined, message);
      return true;
    }
    pending.bytes += length;
    const { maxMultipartBytes } = this.#limits;
    if (pending.bytes > maxMultipartBytes) {
      this.#counters.multipart_overflows++;
      this.#pending.delete(message.xid);
      pending.done(
        new FlowcellError(
          'FC_REPLY_TOO_LARGE',
          `a multipart reply grew over ${maxMultipartBytes} bytes; ask for less at a time (a table, a match)`,
        ),
        undefined,
      );
      return true;
    }
    pending.parts = pending.parts === undefined ? message : join(pending.parts, message);
    if ((message.flags & REPLY_MORE) === 0) {
      this.#pending.delete(message.xid);
      pending.done(undefined, pending.parts);
    }
    return true;
  }

  /** Fails one request. False when nothing waits for it. */
  fail(xid: number, error: FlowcellError): boolean {
    const pending = this.#pending.get(xid);
    if (pending === undefined) return false;
    this.#pending.delete(xid);
    pending.done(error, undefined);
    return true;
  }

  /** Fails the requests whose time is over; returns how many. */
  expire(now: number): number {
    let expired = 0;
    for (const [xid, pending] of this.#pending) {
      if (pending.deadline > now) continue;
      this.#pending.delete(xid);
      expired++;
      pending.done(
        new FlowcellError('FC_REQUEST_TIMEOUT', `the device did not answer request xid ${xid} in time`),
        undefined,
      );
    }
    return expired;
  }

  /** Fails everything: the connection is gone. */
  failAll(error: FlowcellError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const request of pending) request.done(error, undefined);
  }
}

/** Appends the list of `next` to that of `whole`. */
function join(whole: MultipartReply, next: MultipartReply): MultipartReply {
  const into = whole.body as unknown as Record<string, unknown>;
  const from = next.body as unknown as Record<string, unknown>;
  for (const name of LISTS) {
    const list = into[name];
    const more = from[name];
    if (!Array.isArray(list) || !Array.isArray(more)) continue;
    for (const item of more) list.push(item);
  }
  return whole;
}
