/** The connection to the controller: TCP, hello, keep-alive, framing, reconnecting. Knows no message beyond that. */
import net from 'node:net';
import type { Logger } from 'pino';
import {
  BadRequestCode,
  decode,
  ErrorType,
  encode,
  Framer,
  HelloFailedCode,
  type Message,
  type MessageInit,
  type MessageOf,
  messageVersion,
  OpenFlowError,
  toErrorMessage,
} from '../../openflow/index.ts';

const VERSION = 4;
const VERSION_OFFSET = 0;

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
  /** Any message but hello and echo. `bytes` are the message's own until the call returns. */
  message(message: Message, bytes: Uint8Array): void;
  closed(reason: string): void;
}

export interface ConnectionOptions {
  host: string;
  port: number;
  events: ConnectionEvents;
  logger: Logger;
  limits?: Partial<ConnectionLimits>;
}

/** Several messages are written at once: at the end of the loop's turn, or when this many bytes wait. */
const WRITE_BYTES = 65536;

export class Connection {
  readonly counters = {
    connects: 0,
    received: 0,
    sent: 0,
    /** Messages that did not follow the specification and were answered by an error. */
    malformed: 0,
    /** Messages dropped because the controller reads too slowly. */
    dropped: 0,
  };
  readonly #options: ConnectionOptions;
  readonly #limits: ConnectionLimits;
  #socket: net.Socket | undefined;
  #framer = new Framer();
  #state: 'stopped' | 'waiting' | 'connecting' | 'greeting' | 'established' = 'stopped';
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #connectedAt = 0;
  #heardAt = 0;
  #partialSince = 0;
  #echoSent = false;
  #out: Uint8Array[] = [];
  #outBytes = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_CONNECTION_LIMITS, ...options.limits };
  }

  get established(): boolean {
    return this.#state === 'established';
  }

  get state(): string {
    return this.#state;
  }

  get peer(): string {
    return `${this.#options.host}:${this.#options.port}`;
  }

  start(): void {
    if (this.#state !== 'stopped') return;
    this.#watch = setInterval(() => this.#check(), Math.min(1000, this.#limits.idleMs / 4));
    this.#connect();
  }

  stop(): void {
    const socket = this.#socket;
    this.flush();
    this.#close('the agent stops', true);
    this.#state = 'stopped';
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    socket?.destroySoon();
  }

  /** Queues a message; lost when there is no connection. */
  send(message: MessageInit): void {
    if (this.#state === 'established') this.#queue(encode(message));
  }

  /** The same for what the controller can do without when it is slow. False: not sent. */
  offer(message: MessageInit): boolean {
    if (this.#state !== 'established') return false;
    if (this.#outBytes + (this.#socket?.writableLength ?? 0) > this.#limits.softBytes) {
      this.counters.dropped++;
      return false;
    }
    this.#queue(encode(message));
    return true;
  }

  /** Answers a request with an error. */
  refuse(error: OpenFlowError, request: Uint8Array): void {
    this.counters.malformed++;
    this.send(toErrorMessage(error, request));
  }

  /** Writes what is queued: once per turn of the loop. */
  flush(): void {
    if (this.#outBytes === 0 || this.#socket === undefined) return;
    const bytes = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out, this.#outBytes);
    this.#out = [];
    this.#outBytes = 0;
    this.#socket.write(bytes);
    if (this.#socket.writableLength > this.#limits.hardBytes)
      this.#close('the controller does not read', false);
  }

  #connect(): void {
    const { host, port } = this.#options;
    this.#state = 'connecting';
    this.#connectedAt = performance.now();
    const socket = net.connect({ host, port, noDelay: true });
    this.#socket = socket;
    socket.on('connect', () => this.#greet(socket));
    socket.on('data', (chunk: Buffer) => this.#receive(socket, chunk));
    socket.on('error', (error) => this.#closeFrom(socket, error.message));
    socket.on('close', () => this.#closeFrom(socket, 'closed by the controller'));
  }

  #greet(socket: net.Socket): void {
    if (socket !== this.#socket) return;
    const now = performance.now();
    this.#state = 'greeting';
    this.#connectedAt = now;
    this.#heardAt = now;
    this.#echoSent = false;
    this.#framer = new Framer();
    this.#queue(encode({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [VERSION] }] }));
    this.flush();
  }

  #receive(socket: net.Socket, chunk: Uint8Array): void {
    if (socket !== this.#socket) return;
    this.#heardAt = performance.now();
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
    if (messageVersion(bytes) !== VERSION) {
      const text = `version ${messageVersion(bytes)} after 1.3 was agreed on`;
      this.refuse(new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_VERSION, text), bytes);
      this.#close(text, false);
      return;
    }
    try {
      this.#dispatch(decode(bytes), bytes);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      this.refuse(error, bytes);
    }
  }

  #dispatch(message: Message, bytes: Uint8Array): void {
    if (message.type === 'echo_request') {
      this.send({ type: 'echo_reply', xid: message.xid, data: message.data });
    } else if (message.type !== 'echo_reply' && message.type !== 'hello') {
      this.#options.events.message(message, bytes);
    }
  }

  /** The first message must be a hello with our version in it (OpenFlow 1.3, section 6.3.1). */
  #hello(bytes: Uint8Array): void {
    const theirs = messageVersion(bytes);
    const readable = bytes.slice();
    // A hello of any version reads as one of ours does.
    readable[VERSION_OFFSET] = VERSION;
    let hello: Message | undefined;
    try {
      hello = decode(readable);
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
    }
    const problem = hello?.type === 'hello' ? versionProblem(hello, theirs) : 'the first message is no hello';
    this.#state = 'established';
    if (problem !== undefined) {
      this.send({
        type: 'error',
        error_type: ErrorType.HELLO_FAILED,
        code: HelloFailedCode.INCOMPATIBLE,
        data: new TextEncoder().encode(problem),
      });
      this.#state = 'greeting';
      this.#close(problem, false);
      return;
    }
    this.#attempts = 0;
    this.counters.connects++;
    this.#options.logger.info({ controller: this.peer }, 'controller connected');
    this.#options.events.established();
  }

  #queue(bytes: Uint8Array): void {
    this.counters.sent++;
    this.#out.push(bytes);
    this.#outBytes += bytes.length;
    if (this.#outBytes > WRITE_BYTES) this.flush();
  }

  #check(): void {
    const now = performance.now();
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

  #closeFrom(socket: net.Socket, reason: string): void {
    if (socket === this.#socket) this.#close(reason, false);
  }

  #close(reason: string, stopping: boolean): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const was = this.#state;
    this.flush();
    this.#socket = undefined;
    this.#out = [];
    this.#outBytes = 0;
    this.#partialSince = 0;
    // What was said last (an error) still goes out; then the socket goes, whatever the peer does.
    if (was === 'connecting') socket.destroy();
    else socket.destroySoon();
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
    this.#retry = setTimeout(() => this.#connect(), delay);
  }
}

const versionProblem = (hello: MessageOf<'hello'>, theirs: number): string | undefined => {
  const bitmap = hello.elements.find((element) => element.type === 'versionbitmap');
  const spoken = bitmap === undefined ? theirs >= VERSION : bitmap.versions.includes(VERSION);
  return spoken ? undefined : 'this device speaks OpenFlow 1.3 (version 4) only';
};
