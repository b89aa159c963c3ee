/**
 * The connection to one controller: TCP, hello and version, keep-alive, framing, reconnecting. Knows no message beyond that.
 * Above it all messages are of OpenFlow 1.3; a dialect translates where the controller speaks another version.
 */
import net from 'node:net';
import {
  BadRequestCode,
  EncodeError,
  ErrorType,
  encode,
  Framer,
  type Message,
  type MessageInit,
  messageType,
  messageVersion,
  OFP_VERSION,
  OpenFlowError,
} from '../../openflow/index.ts';
import { createDialect, type Dialect } from '../../openflow/translate/index.ts';
import { helloBytes } from '../../openflow/translate/negotiate.ts';
import type { WireVersion } from '../../openflow/version-name.ts';
import { SYSTEM_TIME, type Time } from '../clock.ts';
import {
  type Connect,
  type ConnectionLimits,
  type ConnectionOptions,
  type ControllerSocket,
  DEFAULT_CONNECTION_LIMITS,
} from './connection-options.ts';
import { greeting, spokenVersions } from './negotiate.ts';
import { errorReply } from './onf.ts';
import { Outgoing } from './outgoing.ts';

const OFPT_HELLO = 0;
const OFPT_ERROR = 1;

/**
 * What Node reads from a socket at once. Where there was so much libuv reads on, up to 32 times, before packets and other
 * controllers have their turn.
 */
const FULL_READ_BYTES = 65_536;

/** Part of the bytes a controller may leave unread that reports of cells may take. */
const REPORT_SHARE = 0.5;

/** How long what was said last may take to leave when a connection ends, ms. */
const LINGER_MS = 1000;

const connectTcp: Connect = (address) => net.connect({ ...address, noDelay: true });

export class Connection {
  readonly counters = {
    connects: 0,
    received: 0,
    sent: 0,
    /** Messages that did not follow the specification and were answered by an error. */
    malformed: 0,
    /** Messages dropped because the controller reads too slowly. */
    dropped: 0,
    /** Times the rest of what a controller sends was left for the next turn, so that others have theirs. */
    yielded: 0,
    /** Messages that the controller's version of OpenFlow has no words for. */
    untranslated: 0,
  };
  /** Wire versions offered, ascending. */
  readonly versions: readonly WireVersion[];
  readonly #options: ConnectionOptions;
  readonly #limits: ConnectionLimits;
  readonly #time: Time;
  #socket: ControllerSocket | undefined;
  #dialect: Dialect | undefined;
  #framer = new Framer();
  #state: 'stopped' | 'waiting' | 'connecting' | 'greeting' | 'established' = 'stopped';
  #attempts = 0;
  #endRetry: () => void = nothing;
  #endWatch: () => void = nothing;
  #connectedAt = 0;
  #heardAt = 0;
  #partialSince = 0;
  #echoSent = false;
  #paused = false;
  /** The socket's: what could not be sent to a controller is not sent to the next one. */
  #out: Outgoing | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#time = options.time ?? SYSTEM_TIME;
    this.versions = spokenVersions(options.protocols);
    this.#limits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits };
  }

  get established(): boolean {
    return this.#state === 'established';
  }

  get state(): string {
    return this.#state;
  }

  /** The wire version that is spoken; undefined while there is no agreement. */
  get version(): number | undefined {
    return this.#dialect?.version;
  }

  get peer(): string {
    return `${this.#options.host}:${this.#options.port}`;
  }

  start(): void {
    if (this.#state !== 'stopped') return;
    this.#endWatch = this.#time.every(Math.min(1000, this.#limits.idleMs / 4), () => this.#check());
    this.#connect();
  }

  stop(): void {
    this.#close('the agent stops', true);
    this.#state = 'stopped';
    this.#endRetry();
    this.#endWatch();
  }

  /** Queues a message; lost when there is no connection. Throws EncodeError for one that is too long. */
  send(message: MessageInit): void {
    if (this.#state === 'established') this.#write(message);
  }

  /**
   * The same for what the controller can do without when it is slow. `report`: for what it had rather not miss, though
   * whoever causes it must not be able to end the connection. False: not sent.
   */
  offer(message: MessageInit, report = false): boolean {
    if (this.#state !== 'established') return false;
    const { softBytes, hardBytes } = this.#limits;
    const most = report ? Math.max(softBytes, hardBytes * REPORT_SHARE) : softBytes;
    if ((this.#out?.waiting ?? 0) > most) {
      this.counters.dropped++;
      return false;
    }
    return this.#write(message);
  }

  /** Answers a request, given as it was received, with an error. */
  refuse(error: OpenFlowError, request: Uint8Array): void {
    this.counters.malformed++;
    this.send(errorReply(error, request));
  }

  /** Writes what is queued: once per turn of the loop. */
  flush(): void {
    if (this.#out?.flush() === false) this.#close(NOT_READ, false);
  }

  /** What the controller sends stays in its socket while this is off; it is not taken for silent then. */
  read(on: boolean): void {
    this.#paused = !on;
    if (!on) {
      this.#socket?.pause();
      return;
    }
    this.#heardAt = this.#time.now();
    if (this.#partialSince > 0) this.#partialSince = this.#heardAt;
    this.#socket?.resume();
  }

  #connect(): void {
    const { host, port, connect = connectTcp } = this.#options;
    this.#state = 'connecting';
    this.#connectedAt = this.#time.now();
    const socket = connect({ host, port });
    this.#socket = socket;
    this.#out = new Outgoing(socket, this.#limits.hardBytes);
    socket.on('connect', () => this.#greet(socket));
    socket.on('data', (chunk: Buffer) => this.#receive(socket, chunk));
    socket.on('error', (error) => this.#closeFrom(socket, error.message));
    socket.on('close', () => this.#closeFrom(socket, 'closed by the controller'));
  }

  #greet(socket: ControllerSocket): void {
    if (socket !== this.#socket) return;
    const now = this.#time.now();
    this.#state = 'greeting';
    this.#connectedAt = now;
    this.#heardAt = now;
    this.#echoSent = false;
    this.#paused = false;
    this.#framer = new Framer();
    this.#dialect = undefined;
    this.#queue(helloBytes(this.versions));
    this.flush();
  }

  #receive(socket: ControllerSocket, chunk: Uint8Array): void {
    if (socket !== this.#socket) return;
    this.#heardAt = this.#time.now();
    this.#echoSent = false;
    try {
      this.#framer.push(chunk, (bytes) => {
        // The connection may have been closed by an earlier message of the same chunk.
        if (socket === this.#socket) this.#message(bytes);
      });
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.refuse(error, this.#framer.refused);
      this.#close(error.message, false);
      return;
    }
    if (this.#framer.buffered === 0) this.#partialSince = 0;
    else if (this.#partialSince === 0) this.#partialSince = this.#heardAt;
    if (chunk.length >= FULL_READ_BYTES) this.#yield(socket);
  }

  #yield(socket: ControllerSocket): void {
    if (socket !== this.#socket || this.#paused) return;
    this.counters.yielded++;
    socket.pause();
    setImmediate(() => {
      if (socket === this.#socket && !this.#paused) socket.resume();
    });
  }

  #message(bytes: Uint8Array): void {
    this.#partialSince = 0;
    this.counters.received++;
    if (this.#state === 'greeting') {
      this.#hello(bytes);
      return;
    }
    try {
      this.#understand(bytes);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      // An error is never answered by an error: two ends would do that for ever.
      if (messageType(bytes) === OFPT_ERROR) this.counters.malformed++;
      else this.refuse(error, bytes);
    }
  }

  #understand(bytes: Uint8Array): void {
    const dialect = this.#dialect;
    if (dialect === undefined || messageVersion(bytes) !== dialect.version) {
      if (messageType(bytes) === OFPT_HELLO) return;
      const text = `wire version ${messageVersion(bytes)} after ${dialect?.version} was agreed on`;
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_VERSION, text);
    }
    // The bytes of OpenFlow 1.3 go on to the cells as they are.
    const plain = dialect.version === OFP_VERSION ? bytes : undefined;
    for (const message of dialect.decode(bytes)) this.#dispatch(message, plain, bytes);
  }

  #dispatch(message: Message, bytes: Uint8Array | undefined, original: Uint8Array): void {
    if (message.type === 'echo_request') {
      this.send({ type: 'echo_reply', xid: message.xid, data: message.data });
    } else if (message.type !== 'echo_reply' && message.type !== 'hello') {
      this.#options.events.message(message, bytes ?? canonical(message), original);
    }
  }

  /** The first message (OpenFlow 1.3.5, section 6.3.1). */
  #hello(bytes: Uint8Array): void {
    const greeted = greeting(this.versions, bytes);
    if (greeted.version === undefined) {
      if (greeted.answer !== undefined) this.#queue(greeted.answer);
      this.#close(greeted.problem, false);
      return;
    }
    const { version } = greeted;
    this.#dialect = createDialect(version, this.#options.context);
    this.#state = 'established';
    this.#attempts = 0;
    this.counters.connects++;
    this.#options.logger.info({ controller: this.peer, version }, 'controller connected');
    this.#options.events.established();
  }

  /** False when this version of OpenFlow cannot say it. */
  #write(message: MessageInit): boolean {
    const dialect = this.#dialect;
    if (dialect === undefined) return false;
    if (dialect.version === OFP_VERSION) {
      this.#queue(encode(message));
      return true;
    }
    try {
      for (const bytes of dialect.encode(message)) this.#queue(bytes);
      return true;
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.counters.untranslated++;
      // Whoever waits for an answer is not to wait in vain.
      if (message.type !== 'error' && message.xid)
        this.#write({ ...errorReply(error, NO_BYTES), xid: message.xid });
      return false;
    }
  }

  #queue(bytes: Uint8Array): void {
    if (this.#out === undefined) return;
    this.counters.sent++;
    if (!this.#out.push(bytes)) this.#close(NOT_READ, false);
  }

  #check(): void {
    const now = this.#time.now();
    const { handshakeMs, idleMs, deadMs, partialMs } = this.#limits;
    const silent = now - this.#heardAt;
    if (this.#state === 'connecting' || this.#state === 'greeting') {
      if (now - this.#connectedAt >= handshakeMs) this.#close('no hello in time', false);
    } else if (this.#state === 'established' && !this.#paused) {
      if (this.#partialSince > 0 && now - this.#partialSince >= partialMs) {
        this.#close('a message was begun and not finished', false);
      } else if (silent >= deadMs) {
        this.#close('the controller is silent', false);
      } else if (silent >= idleMs && !this.#echoSent) {
        this.#echoSent = true;
        this.send({ type: 'echo_request' });
        this.flush();
      }
    }
  }

  #closeFrom(socket: ControllerSocket, reason: string): void {
    if (socket === this.#socket) this.#close(reason, false);
  }

  #close(reason: string, stopping: boolean): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const was = this.#state;
    const out = this.#out;
    this.#socket = undefined;
    this.#out = undefined;
    this.#dialect = undefined;
    this.#partialSince = 0;
    if (was === 'connecting') socket.destroy();
    else {
      // What was said last (an error) still goes out; then the socket goes, whatever the peer does.
      out?.flush();
      socket.destroySoon();
      const endWait = this.#time.after(LINGER_MS, () => socket.destroy());
      socket.on('close', endWait);
    }
    if (!stopping) this.#retryLater(reason);
    if (was === 'established') this.#options.events.closed(reason);
  }

  #retryLater(reason: string): void {
    const { retryMs, maxRetryMs } = this.#limits;
    this.#state = 'waiting';
    const longest = Math.min(maxRetryMs, retryMs * 2 ** this.#attempts);
    const delay = longest * (0.5 + Math.random() / 2);
    const level = this.#attempts === 0 ? 'info' : 'debug';
    this.#attempts++;
    this.#options.logger[level](
      { controller: this.peer, reason, retryMs: Math.round(delay) },
      'no controller',
    );
    this.#endRetry = this.#time.after(delay, () => this.#connect());
  }
}

const NOT_READ = 'the controller does not read';
const NO_BYTES = new Uint8Array(0);
const nothing = (): void => {};

/** A translated message as bytes of OpenFlow 1.3. */
const canonical = (message: Message): Uint8Array => {
  try {
    return encode(message);
  } catch (error) {
    if (!(error instanceof EncodeError)) throw error;
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN, error.message);
  }
};
