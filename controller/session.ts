/**
 * One OpenFlow connection as the controller sees it: hello and version negotiation, the features handshake,
 * keep-alive, request/response correlation, and what to do with malformed input. Knows nothing of apps or
 * cells. OpenFlow 1.3.5 sections 6.3 (channel), 7.3.1 (handshake), 7.4.4 (errors), 7.5.1 (hello).
 */

import type { Socket } from 'node:net';
import {
  BadRequestCode,
  decode,
  ErrorType,
  Framer,
  HelloFailedCode,
  type Message,
  type MessageInit,
  type MessageOf,
  messageType,
  messageXid,
  OFP_VERSION,
  OpenFlowError,
  toErrorMessage,
} from '../openflow/index.ts';
import { ErrorReplies } from './error-replies.ts';
import { errorCode, errorText, FlowcellError } from './errors.ts';
import { incompatible } from './hello.ts';
import { type Limits, tickInterval } from './limits.ts';
import { LogGate, type Logger } from './log.ts';
import type { Counters } from './metrics.ts';
import { Outbox } from './outbox.ts';
import { type ReplyCallback, Requests } from './requests.ts';

/** ofp_type of the two messages that matter before anything is decoded. */
const HELLO = 0;
const ERROR = 1;

export type FeaturesReply = MessageOf<'features_reply'>;

/** Who uses a session. Exceptions from these are caught, logged and do not end the connection. */
export interface SessionOwner {
  /** The handshake is complete. */
  opened(features: FeaturesReply): void;
  /** Every message that is neither the session's own business nor a reply. Byte fields are views: copy to keep. */
  message(message: Message): void;
  /** About four times a second, for time limits. `now` is in ms (performance.now()). */
  tick(now: number): void;
  /** Called once; nothing follows. */
  closed(reason: string): void;
}

export interface SessionOptions {
  limits: Limits;
  counters: Counters;
  log: Logger;
  owner: SessionOwner;
}

export class Session {
  readonly remote: string;
  readonly #socket: Socket;
  readonly #limits: Limits;
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #owner: SessionOwner;
  readonly #framer = new Framer();
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #errorReplies: ErrorReplies;
  readonly #gate = new LogGate();
  readonly #timer: NodeJS.Timeout;
  readonly #openedAt = performance.now();
  #state: 'hello' | 'features' | 'open' | 'closing' | 'closed' = 'hello';
  #xid = 0;
  #lastHeard = performance.now();
  #echoSent = false;
  /** When the message that is not complete yet began. */
  #partialSince = 0;
  #wholeMessages = 0;

  constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#owner = options.owner;
    this.remote = `${socket.remoteAddress ?? 'local'}:${socket.remotePort ?? 0}`;
    this.#outbox = new Outbox(socket, options.limits.maxOutgoingBytes);
    this.#requests = new Requests(options.limits.maxRequests, options.limits.maxMultipartBytes);
    this.#errorReplies = new ErrorReplies(options.limits.maxErrorRepliesPerSecond);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('drain', () => {
      this.#lastHeard = performance.now();
      socket.resume();
    });
    socket.on('end', () => this.close('the device closed the connection'));
    socket.on('error', (error) => this.#gone(`connection lost (${errorText(error)})`));
    socket.on('close', () => this.#gone('connection closed'));
    this.#timer = setInterval(() => this.#tick(), tickInterval(options.limits));
    this.#timer.unref();
    this.send({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [OFP_VERSION] }] });
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Sends a message under a new transaction id and returns that. What is sent in one turn leaves in one write. */
  send(message: MessageInit): number {
    const xid = this.#nextXid();
    this.sendAs(message, xid);
    return xid;
  }

  /** Sends a message under this transaction id: answers have that of the question. */
  sendAs(message: MessageInit, xid: number): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    if (!this.#outbox.push(message, xid)) {
      this.#counters.outgoing_overflows++;
      this.#abort(
        `the device does not read: ${this.#outbox.backlog} bytes wait for it (limit ${this.#limits.maxOutgoingBytes})`,
      );
      return;
    }
    this.#counters.messages_out++;
  }

  /**
   * Sends a request and calls `done` once: with the reply (all parts of a multipart reply joined), with the
   * device's error, at the time limit, or when the connection ends. Returns the transaction id (0: not sent).
   */
  call(message: MessageInit, done: ReplyCallback, timeoutMs = this.#limits.requestMs): number {
    if (this.#state === 'closed' || this.#state === 'closing') {
      done(new FlowcellError('FC_DISCONNECTED', 'the device is not connected any more'), undefined);
      return 0;
    }
    if (this.#requests.full) {
      this.#counters.requests_refused++;
      done(
        new FlowcellError(
          'FC_TOO_MANY_REQUESTS',
          `${this.#requests.size} requests to this device are waiting for replies; wait for some of them first`,
        ),
        undefined,
      );
      return 0;
    }
    const xid = this.#nextXid();
    this.sendAs(message, xid);
    this.#requests.add(xid, performance.now() + timeoutMs, done);
    return xid;
  }

  request(message: MessageInit, timeoutMs?: number): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.call(
        message,
        (error, reply) => (error === undefined ? resolve(reply!) : reject(error)),
        timeoutMs,
      );
    });
  }

  /** Ends the connection after what is queued has been written. */
  close(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#outbox.release();
    this.#state = 'closing';
    this.#socket.destroySoon();
    // A peer that does not read would keep the socket for ever.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
    this.#gone(reason);
  }

  #abort(reason: string): void {
    if (this.#state === 'closed') return;
    this.#socket.destroy();
    this.#gone(reason);
  }

  #gone(reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearInterval(this.#timer);
    this.#guard(() =>
      this.#requests.failAll(new FlowcellError('FC_DISCONNECTED', `the device went away: ${reason}`)),
    );
    this.#guard(() => this.#owner.closed(reason));
  }

  #nextXid(): number {
    do {
      this.#xid = (this.#xid + 1) >>> 0;
    } while (this.#xid === 0 || this.#requests.has(this.#xid));
    return this.#xid;
  }

  #received(chunk: Uint8Array): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    const now = performance.now();
    this.#lastHeard = now;
    this.#echoSent = false;
    this.#counters.bytes_in += chunk.length;
    const partial = this.#framer.buffered > 0;
    const messages = this.#wholeMessages;
    this.#outbox.hold();
    try {
      this.#framer.push(chunk, this.#onBytes);
    } catch (error) {
      // The length field is wrong, so there is no way to find the next message.
      if (error instanceof OpenFlowError) this.#replyError(error, chunk.subarray(0, 64));
      this.#counters.malformed_messages++;
      this.close(`the message stream is broken (${errorText(error)})`);
      return;
    }
    this.#outbox.release();
    if (!partial || this.#wholeMessages !== messages) this.#partialSince = now;
    this.#account();
    if (this.#outbox.backlog > this.#limits.pauseOutgoingBytes && !this.#socket.isPaused()) {
      this.#counters.reads_paused++;
      this.#socket.pause();
    }
  }

  #account(): void {
    this.#counters.bytes_out += this.#outbox.bytes;
    this.#counters.writes += this.#outbox.writes;
    this.#outbox.bytes = 0;
    this.#outbox.writes = 0;
  }

  readonly #onBytes = (bytes: Uint8Array): void => {
    this.#wholeMessages++;
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#counters.messages_in++;
    if (this.#state === 'hello') {
      this.#hello(bytes);
      return;
    }
    let message: Message;
    try {
      message = decode(bytes);
    } catch (error) {
      this.#malformed(error, bytes);
      return;
    }
    this.#dispatch(message, bytes);
  };

  #dispatch(message: Message, bytes: Uint8Array): void {
    switch (message.type) {
      case 'echo_request':
        this.sendAs({ type: 'echo_reply', data: message.data }, message.xid);
        return;
      case 'echo_reply':
      case 'hello':
        return;
      case 'error':
        this.#counters.errors_in++;
        break;
    }
    let settled = true;
    this.#guard(() => {
      settled = this.#requests.settle(message, bytes.length);
    });
    if (settled) return;
    if (this.#state !== 'open') {
      this.#counters.unexpected_messages++;
      return;
    }
    if (!FROM_DEVICE.has(message.type)) {
      this.#counters.unexpected_messages++;
      const code =
        message.type === 'experimenter' ? BadRequestCode.BAD_EXPERIMENTER : BadRequestCode.BAD_TYPE;
      this.#replyError(
        new OpenFlowError(ErrorType.BAD_REQUEST, code, `'${message.type}' is not for a controller`),
        bytes,
      );
      return;
    }
    this.#guard(() => this.#owner.message(message));
  }

  #hello(bytes: Uint8Array): void {
    if (messageType(bytes) === ERROR) {
      const text = new TextDecoder().decode(bytes.subarray(12, 12 + 256));
      this.#counters.errors_in++;
      this.#counters.handshakes_failed++;
      this.close(`it refused our HELLO: ${JSON.stringify(text)}`);
      return;
    }
    if (messageType(bytes) !== HELLO) {
      this.#helloFailed(bytes, 'the first message must be HELLO');
      return;
    }
    let why: string | undefined;
    try {
      why = incompatible(bytes);
    } catch (error) {
      this.#malformed(error, bytes);
      this.close(`its HELLO is malformed (${errorText(error)})`);
      return;
    }
    if (why !== undefined) {
      this.#helloFailed(bytes, why);
      return;
    }
    this.#state = 'features';
    this.call(
      { type: 'features_request' },
      (error, reply) => {
        if (error !== undefined) {
          this.close(`no features reply (${error.message})`);
        } else if (reply?.type !== 'features_reply') {
          this.close(`it answered FEATURES_REQUEST with ${reply?.type}`);
        } else if (reply.auxiliary_id !== 0) {
          this.close('auxiliary connections are not supported; use one connection per device');
        } else {
          this.#state = 'open';
          this.#guard(() => this.#owner.opened(reply));
        }
      },
      this.#limits.handshakeMs,
    );
  }

  #helloFailed(hello: Uint8Array, sentence: string): void {
    this.#counters.handshakes_failed++;
    this.#counters.errors_out++;
    const data = new TextEncoder().encode(sentence);
    const { INCOMPATIBLE: code } = HelloFailedCode;
    this.sendAs({ type: 'error', error_type: ErrorType.HELLO_FAILED, code, data }, messageXid(hello));
    this.close(`no version in common: ${sentence}`);
  }

  #malformed(error: unknown, bytes: Uint8Array): void {
    this.#counters.malformed_messages++;
    const held = this.#gate.pass('malformed');
    if (held >= 0) {
      this.#log.warn(
        { code: errorCode(error, 'FC_MALFORMED'), device: this.remote, type: messageType(bytes), held },
        `malformed message from the device: ${errorText(error)}`,
      );
    }
    // An ERROR is never answered by an ERROR: two ends would do that for ever.
    const isError = messageType(bytes) === ERROR;
    if (error instanceof OpenFlowError && !isError) this.#replyError(error, bytes);
  }

  #replyError(error: OpenFlowError, request: Uint8Array): void {
    if (!this.#errorReplies.allow(performance.now())) {
      this.#counters.error_replies_suppressed++;
      return;
    }
    this.#counters.errors_out++;
    const message = toErrorMessage(error, request);
    this.sendAs(message, message.xid);
  }

  #tick(): void {
    const now = performance.now();
    this.#account();
    this.#guard(() => {
      this.#counters.request_timeouts += this.#requests.expire(now);
    });
    if (this.#state !== 'open') {
      if (now - this.#openedAt > this.#limits.handshakeMs) {
        this.#counters.handshakes_failed++;
        this.close(`the handshake did not finish in ${this.#limits.handshakeMs} ms`);
      }
      return;
    }
    if (this.#framer.buffered > 0 && now - this.#partialSince > this.#limits.partialMessageMs) {
      this.#counters.partial_message_timeouts++;
      this.close(
        `the rest of a message (${this.#framer.buffered} bytes came) did not arrive in ${this.#limits.partialMessageMs} ms`,
      );
      return;
    }
    const silent = now - this.#lastHeard;
    if (silent > this.#limits.echoTimeoutMs) {
      this.#counters.keepalive_timeouts++;
      if (this.#socket.isPaused()) {
        this.#abort(`the device has not read for ${this.#limits.echoTimeoutMs} ms`);
        return;
      }
      this.#abort(`not a word from the device in ${this.#limits.echoTimeoutMs} ms`);
      return;
    }
    if (silent > this.#limits.echoIdleMs && !this.#echoSent) {
      this.#echoSent = true;
      this.send({ type: 'echo_request', data: new Uint8Array(0) });
    }
    this.#guard(() => this.#owner.tick(now));
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error(
        {
          code: errorCode(error, 'FC_INTERNAL'),
          device: this.remote,
          stack: error instanceof Error ? error.stack : undefined,
        },
        `internal error while handling a message: ${errorText(error)}; please report it`,
      );
    }
  }
}

/** What a device may send to a controller beyond replies (table of section 7.1.1, and our extension). */
const FROM_DEVICE: ReadonlySet<Message['type']> = new Set<Message['type']>([
  'error',
  'packet_in',
  'flow_removed',
  'port_status',
  'features_reply',
  'get_config_reply',
  'barrier_reply',
  'role_reply',
  'multipart_reply',
  'dispatch_config',
  'dispatch_query',
  'cell_status',
  'program_reply',
]);
