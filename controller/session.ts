/**
 * One OpenFlow connection as the controller sees it: hello and version negotiation, the features handshake,
 * keep-alive, request/response correlation, and what to do with malformed input. Knows nothing of apps or
 * cells. OpenFlow 1.3.5 sections 6.3 (channel), 7.3.1 (handshake), 7.4.4 (errors), 7.5.1 (hello).
 */

import {
  BadRequestCode,
  ErrorType,
  Framer,
  type Message,
  type MessageInit,
  OpenFlowError,
} from '../openflow/index.ts';
import { helloBytes } from '../openflow/translate/negotiate.ts';
import type { WireVersion } from '../openflow/version-name.ts';
import { ErrorReplies } from './error-replies.ts';
import { errorCode, errorText, FlowcellError } from './errors.ts';
import { type FeaturesReply, firstMessage, type HandshakeLink } from './handshake.ts';
import { type Limits, tickInterval } from './limits.ts';
import type { Logger } from './log.ts';
import { FROM_DEVICE } from './message-kinds.ts';
import type { Counters } from './metrics.ts';
import { roleStatus } from './onf.ts';
import { type ReplyCallback, Requests } from './requests.ts';
import type { Time } from './time.ts';
import type { Transport } from './transport.ts';
import { Watch } from './watch.ts';
import { Wire } from './wire.ts';

/** Who uses a session. Exceptions from these are caught, logged and do not end the connection. */
export interface SessionOwner {
  /** The handshake is complete. */
  opened(features: FeaturesReply): void;
  /** Every message that is neither the session's own business nor a reply. Byte fields are views: copy to keep. */
  message(message: Message): void;
  /** What was sent without waiting for anything could not be said in the connection's version. */
  unsent(error: FlowcellError): void;
  /** About four times a second, for time limits. `now` is in ms (Time). */
  tick(now: number): void;
  /** Called once; nothing follows. */
  closed(reason: string): void;
}

/** A message, or what makes one that has to know its own transaction id (one that carries another). */
export type Request = MessageInit | ((xid: number) => MessageInit);

export interface SessionOptions {
  /** Wire versions to offer, ascending. */
  offered: readonly WireVersion[];
  limits: Limits;
  counters: Counters;
  log: Logger;
  time: Time;
  owner: SessionOwner;
}

/**
 * What Node reads from a socket at once. Where there was so much libuv reads on, up to 32 times, before it looks at
 * another socket: some 20,000 packet-ins, and 50 ms for all other devices.
 */
const FULL_READ_BYTES = 65_536;

export class Session {
  readonly remote: string;
  readonly #socket: Transport;
  readonly #limits: Limits;
  readonly #offered: readonly WireVersion[];
  readonly #counters: Counters;
  readonly #log: Logger;
  readonly #owner: SessionOwner;
  readonly #framer = new Framer();
  readonly #wire: Wire;
  readonly #requests: Requests;
  readonly #errorReplies: ErrorReplies;
  readonly #watch: Watch;
  readonly #time: Time;
  readonly #endTicks: () => void;
  #state: 'hello' | 'features' | 'open' | 'closing' | 'closed' = 'hello';
  /** 1 is that of HELLO. */
  #xid = 1;
  #wholeMessages = 0;

  constructor(socket: Transport, options: SessionOptions) {
    this.#socket = socket;
    this.#limits = options.limits;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#time = options.time;
    this.#owner = options.owner;
    this.remote = `${socket.remoteAddress ?? 'local'}:${socket.remotePort ?? 0}`;
    this.#wire = new Wire(socket, options.limits.maxOutgoingBytes);
    this.#requests = new Requests(options.limits, options.counters);
    this.#watch = new Watch(options.limits, options.counters, options.time.now());
    this.#errorReplies = new ErrorReplies({
      perSecond: options.limits.maxErrorRepliesPerSecond,
      remote: this.remote,
      counters: options.counters,
      log: options.log,
      time: options.time,
      send: (message, xid) => this.sendAs(message, xid),
      fail: (xid, error) => this.#fail(xid, error),
    });
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('drain', () => {
      this.#watch.heard(this.#time.now());
      socket.resume();
    });
    socket.on('end', () => this.close('the device closed the connection'));
    socket.on('error', (error) => this.#gone(`connection lost (${errorText(error)})`));
    socket.on('close', () => this.#gone('connection closed'));
    this.#endTicks = this.#time.every(tickInterval(options.limits), () => this.#tick());
    this.#offered = options.offered;
    this.#sendBytes(helloBytes(this.#offered));
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  /** Wire version that is spoken (4 is OpenFlow 1.3); that of our HELLO as long as none is agreed. */
  get version(): WireVersion {
    return this.#wire.version;
  }

  /**
   * Sends a message under a new transaction id and returns that. What is sent in one turn leaves in one write.
   * What the version cannot say goes to the owner (`unsent`).
   *
   * @throws EncodeError
   */
  send(message: MessageInit): number {
    const xid = this.#nextXid();
    this.sendAs(message, xid);
    return xid;
  }

  /** Sends a message under this transaction id: answers have that of the question. As `send` otherwise. */
  sendAs(message: MessageInit, xid: number): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    const refusal = this.#put(message, xid);
    if (refusal !== undefined) this.#guard(() => this.#owner.unsent(refusal));
  }

  /**
   * Sends a request and calls `done` once: with the reply (all parts of a multipart reply joined), with the
   * device's error, at the time limit, or when the connection ends. Returns the transaction id (0: not sent).
   *
   * @throws EncodeError; `done` is not called then.
   */
  call(request: Request, done: ReplyCallback, timeoutMs = this.#limits.requestMs): number {
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
    const message = typeof request === 'function' ? request(xid) : request;
    this.#requests.add(xid, this.#time.now() + timeoutMs, done, message.type === 'experimenter');
    let refusal: FlowcellError | undefined;
    try {
      refusal = this.#put(message, xid);
    } catch (error) {
      this.#requests.drop(xid);
      throw error;
    }
    if (refusal === undefined) return xid;
    this.#requests.drop(xid);
    done(refusal, undefined);
    return 0;
  }

  /** Ends the waiting for what has no reply unless it fails; `done` is not called any more. */
  forget(xid: number): void {
    this.#requests.drop(xid);
  }

  request(request: Request, timeoutMs?: number): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.call(
        request,
        (error, reply) => (error === undefined ? resolve(reply!) : reject(error)),
        timeoutMs,
      );
    });
  }

  /** What the version cannot say comes back as an error. */
  #put(message: MessageInit, xid: number): FlowcellError | undefined {
    try {
      this.#written(this.#wire.write(message, xid));
    } catch (error) {
      if (!(error instanceof FlowcellError)) throw error;
      this.#counters.messages_not_in_version++;
      return error;
    }
    return undefined;
  }

  #sendBytes(bytes: Uint8Array): void {
    this.#written(this.#wire.outbox.pushBytes(bytes));
  }

  #written(fits: boolean): void {
    if (fits) {
      this.#counters.messages_out++;
      return;
    }
    this.#counters.outgoing_overflows++;
    this.#abort(
      `the device does not read: ${this.#wire.outbox.backlog} bytes wait for it (limit ${this.#limits.maxOutgoingBytes})`,
    );
  }

  /** Ends the connection after what is queued has been written. */
  close(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#wire.outbox.release();
    this.#state = 'closing';
    this.#socket.destroySoon();
    // A peer that does not read would keep the socket for ever.
    this.#time.after(1000, () => this.#socket.destroy());
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
    this.#endTicks();
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
    const now = this.#time.now();
    this.#watch.heard(now);
    this.#counters.bytes_in += chunk.length;
    const partial = this.#framer.buffered > 0;
    const messages = this.#wholeMessages;
    this.#wire.outbox.hold();
    try {
      this.#framer.push(chunk, this.#onBytes);
    } catch (error) {
      // The length field is wrong, so there is no way to find the next message.
      if (error instanceof OpenFlowError) this.#errorReplies.reply(error, this.#framer.refused);
      this.#counters.malformed_messages++;
      this.close(`the message stream is broken (${errorText(error)})`);
      return;
    }
    this.#wire.outbox.release();
    if (!partial || this.#wholeMessages !== messages) this.#watch.progressed(now);
    this.#wire.account(this.#counters);
    if (this.#backlogged) this.#pause();
    else if (chunk.length >= FULL_READ_BYTES) this.#yield();
  }

  get #backlogged(): boolean {
    return this.#wire.outbox.backlog > this.#limits.pauseOutgoingBytes;
  }

  /** Until the device has taken what we have for it ('drain'). */
  #pause(): void {
    if (this.#socket.isPaused()) return;
    this.#counters.reads_paused++;
    this.#socket.pause();
  }

  /** A device that sends as fast as it can gets one read in a turn, as all others do. */
  #yield(): void {
    if (this.#socket.isPaused()) return;
    this.#counters.reads_yielded++;
    this.#socket.pause();
    setImmediate(() => {
      if (this.#state === 'closed' || this.#state === 'closing') return;
      this.#socket.resume();
      if (this.#backlogged) this.#pause();
    });
  }

  readonly #onBytes = (bytes: Uint8Array): void => {
    this.#wholeMessages++;
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#counters.messages_in++;
    if (this.#state === 'hello') {
      firstMessage(bytes, this.#handshake());
      return;
    }
    try {
      this.#wire.read(bytes, this.#dispatch);
    } catch (error) {
      this.#errorReplies.malformed(error, bytes);
    }
  };

  readonly #dispatch = (message: Message, bytes: Uint8Array): void => {
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
    if (
      !FROM_DEVICE.has(message.type) &&
      !(message.type === 'experimenter' && roleStatus(message) !== undefined)
    ) {
      this.#counters.unexpected_messages++;
      const code =
        message.type === 'experimenter' ? BadRequestCode.BAD_EXPERIMENTER : BadRequestCode.BAD_TYPE;
      const text = `'${message.type}' is not for a controller`;
      this.#errorReplies.reply(new OpenFlowError(ErrorType.BAD_REQUEST, code, text), bytes);
      return;
    }
    this.#guard(() => this.#owner.message(message));
  };

  #handshake(): HandshakeLink {
    return {
      offered: this.#offered,
      counters: this.#counters,
      sendBytes: (bytes) => this.#sendBytes(bytes),
      agreed: (version) => {
        this.#wire.agree(version);
        this.#state = 'features';
      },
      askFeatures: (done) => this.call({ type: 'features_request' }, done, this.#limits.handshakeMs),
      opened: (features) => {
        this.#state = 'open';
        this.#guard(() => this.#owner.opened(features));
      },
      malformed: (error, bytes) => this.#errorReplies.malformed(error, bytes),
      close: (reason) => this.close(reason),
    };
  }

  #fail(xid: number, error: FlowcellError): boolean {
    let failed = false;
    this.#guard(() => {
      failed = this.#requests.fail(xid, error);
    });
    return failed;
  }

  #tick(): void {
    const now = this.#time.now();
    this.#wire.account(this.#counters);
    this.#guard(() => {
      this.#counters.request_timeouts += this.#requests.expire(now);
    });
    const { open } = this;
    const paused = this.#socket.isPaused();
    const verdict = this.#watch.check(now, { open, buffered: this.#framer.buffered, paused });
    switch (verdict.what) {
      case 'close':
        this.close(verdict.reason);
        return;
      case 'abort':
        this.#abort(verdict.reason);
        return;
      case 'echo':
        this.send({ type: 'echo_request', data: new Uint8Array(0) });
    }
    if (!open) return;
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
