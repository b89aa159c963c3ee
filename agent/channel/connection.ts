/**
 * The connection to one controller: TCP, hello and version, keep-alive, framing, reconnecting. Knows no message beyond that.
 * Above it all messages are of OpenFlow 1.3; a dialect translates where the controller speaks another version.
 */
import net from 'node:net';
import type { Logger } from 'pino';
import {
  BadRequestCode,
  decode,
  EncodeError,
  ErrorType,
  encode,
  Framer,
  HelloFailedCode,
  type Message,
  type MessageInit,
  messageType,
  messageVersion,
  OFP_VERSION,
  OpenFlowError,
} from '../../openflow/index.ts';
import { createDialect, type Dialect, type DialectContext } from '../../openflow/translate/index.ts';
import { helloVersions } from '../../openflow/translate/negotiate.ts';
import type { WireVersion } from '../../openflow/versions.ts';
import { SYSTEM_TIME, type Time } from '../clock.ts';
import { negotiate, noCommonVersion, type Offer, offerOf, spokenVersions } from './negotiate.ts';
import { errorReply } from './onf.ts';

const OFPT_HELLO = 0;
const VERSION_OFFSET = 0;
/** OpenFlow 1.0 knows no elements in a hello. */
const FIRST_WITH_BITMAP = 2;

/** Milliseconds, and bytes of output. */
export interface ConnectionLimits {
  /** Time for connecting, and for the peer's hello. */
  handshakeMs: number;
  /** Silence after which an echo request goes out, and after which the connection is given up. */
  idleMs: number;
  deadMs: number;
  /** A message that has begun must be complete by then. */
  partialMs: number;
  retryMs: number;
  maxRetryMs: number;
  /** Above this, messages that can be spared are dropped; above the second, the connection. */
  softBytes: number;
  hardBytes: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  handshakeMs: 5000,
  idleMs: 5000,
  deadMs: 15_000,
  partialMs: 10_000,
  retryMs: 250,
  maxRetryMs: 8000,
  softBytes: 4 << 20,
  hardBytes: 32 << 20,
};

export interface ConnectionEvents {
  /** Versions are agreed on. */
  established(): void;
  /**
   * Any message but hello and echo; valid until the call returns. `bytes`: the message in OpenFlow 1.3; `original`: what was
   * received, in the version of the connection (the same bytes where that is 1.3). An OpenFlowError thrown is sent.
   */
  message(message: Message, bytes: Uint8Array, original: Uint8Array): void;
  closed(reason: string): void;
}

export interface ConnectionOptions {
  host: string;
  port: number;
  events: ConnectionEvents;
  /** Wire versions to offer. Default: all that are spoken. */
  protocols?: readonly number[];
  /** What dialects ask about the device. */
  context: DialectContext;
  logger: Logger;
  limits?: Partial<ConnectionLimits>;
  time?: Time;
  /** Default: over TCP. */
  connect?: Connect;
}

/** The connection to a controller as this class uses it: a TCP socket, or what a test has in its place. */
export interface ControllerSocket {
  readonly writableLength: number;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect' | 'close', listener: () => void): unknown;
  write(bytes: Uint8Array): unknown;
  destroySoon(): void;
  destroy(): unknown;
}
/** Begins to connect; `connect` or `error` is emitted later. */
export type Connect = (address: { host: string; port: number }) => ControllerSocket;

const connectTcp: Connect = (address) => net.connect({ ...address, noDelay: true });

/** Several messages are written at once: at the end of the loop's turn, or when this many bytes wait. */
const WRITE_BYTES = 65536;
/** For the last message of a connection to go out. */
const LAST_WORDS_MS = 1000;

export class Connection {
  readonly counters = {
    connects: 0,
    received: 0,
    sent: 0,
    /** Messages that did not follow the specification and were answered by an error. */
    malformed: 0,
    /** Messages dropped because the controller reads too slowly. */
    dropped: 0,
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
  #out: Uint8Array[] = [];
  #outBytes = 0;

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
    const socket = this.#socket;
    this.flush();
    this.#close('the agent stops', true);
    this.#state = 'stopped';
    this.#endRetry();
    this.#endWatch();
    socket?.destroySoon();
  }

  /** Queues a message; lost when there is no connection. Throws EncodeError for one that is too long. */
  send(message: MessageInit): void {
    if (this.#state === 'established') this.#write(message);
  }

  /** The same for what the controller can do without when it is slow. False: not sent. */
  offer(message: MessageInit): boolean {
    if (this.#state !== 'established') return false;
    if (this.#outBytes + (this.#socket?.writableLength ?? 0) > this.#limits.softBytes) {
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
    if (this.#outBytes === 0 || this.#socket === undefined) return;
    const bytes = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out, this.#outBytes);
    this.#out = [];
    this.#outBytes = 0;
    this.#socket.write(bytes);
    if (this.#socket.writableLength <= this.#limits.hardBytes) return;
    // Nothing that waits for it to read: it would wait for ever, with all these bytes.
    this.#socket.destroy();
    this.#close('the controller does not read', false);
  }

  #connect(): void {
    const { host, port, connect = connectTcp } = this.#options;
    this.#state = 'connecting';
    this.#connectedAt = this.#time.now();
    const socket = connect({ host, port });
    this.#socket = socket;
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
    this.#framer = new Framer();
    this.#dialect = undefined;
    const { versions } = this;
    const version = versions.at(-1) ?? OFP_VERSION;
    const bitmap = { type: 'versionbitmap' as const, versions: helloVersions(versions) };
    const elements = version < FIRST_WITH_BITMAP ? [] : [bitmap];
    this.#queue(encode({ type: 'hello', version, elements }));
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
      this.refuse(error, chunk.subarray(0, 8));
      this.#close(error.message, false);
      return;
    }
    if (this.#framer.buffered === 0) this.#partialSince = 0;
    else if (this.#partialSince === 0) this.#partialSince = this.#heardAt;
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
      if (error instanceof OpenFlowError) this.refuse(error, bytes);
      else throw error;
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

  /** The first message must be a hello with a version of ours (OpenFlow 1.3.5, section 6.3.1). */
  #hello(bytes: Uint8Array): void {
    let offer: Offer = { version: messageVersion(bytes) };
    let problem: string | undefined = 'the first message is no hello';
    try {
      const hello = decode(bytes);
      if (hello.type === 'hello') {
        offer = offerOf(hello);
        problem = undefined;
      }
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
    }
    const version = problem === undefined ? negotiate(this.versions, offer) : undefined;
    this.#dialect = version === undefined ? undefined : createDialect(version, this.#options.context);
    if (this.#dialect === undefined) {
      this.#incompatible(problem ?? noCommonVersion(this.versions, offer), offer.version);
      return;
    }
    this.#state = 'established';
    this.#attempts = 0;
    this.counters.connects++;
    this.#options.logger.info({ controller: this.peer, version }, 'controller connected');
    this.#options.events.established();
  }

  #incompatible(problem: string, theirs: number): void {
    const error = encode({
      type: 'error',
      error_type: ErrorType.HELLO_FAILED,
      code: HelloFailedCode.INCOMPATIBLE,
      data: new TextEncoder().encode(problem),
    });
    // This error looks the same in every version: in one that the peer may understand.
    error[VERSION_OFFSET] = Math.max(1, Math.min(theirs, this.versions.at(-1) ?? OFP_VERSION));
    this.#queue(error);
    this.#close(problem, false);
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
    this.counters.sent++;
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    if (this.#outBytes > WRITE_BYTES) this.flush();
  }

  #check(): void {
    const now = this.#time.now();
    const { handshakeMs, idleMs, deadMs, partialMs } = this.#limits;
    const silent = now - this.#heardAt;
    if (this.#state === 'connecting' || this.#state === 'greeting') {
      if (now - this.#connectedAt >= handshakeMs) this.#close('no hello in time', false);
    } else if (this.#state === 'established') {
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
    this.flush();
    this.#socket = undefined;
    this.#dialect = undefined;
    this.#out = [];
    this.#outBytes = 0;
    this.#partialSince = 0;
    // What was said last (an error) still goes out; then the socket goes, whether the peer reads that or not.
    if (was === 'connecting') socket.destroy();
    else {
      socket.destroySoon();
      socket.on(
        'close',
        this.#time.after(LAST_WORDS_MS, () => socket.destroy()),
      );
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
