/** A controller played by the test: says what it is told to, and keeps what the switch says. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { FlowEntry, Transport } from '../controller/index.ts';
import { type FlowDeletion, flowDeletion } from '../controller/modifications.ts';
import { flowModMessage } from '../controller/rules.ts';
import {
  decode,
  encode,
  errorName,
  FlowModCommand,
  Framer,
  type Message,
  type MessageInit,
  type MessageOf,
  type MessageType,
  messageType,
  OFP_VERSION,
} from '../openflow/index.ts';
import { createDialect, type Dialect } from '../openflow/translate/index.ts';
import type { WireVersion } from '../openflow/version-name.ts';

const HELLO = 0;
const VERSION_OF_FIRST_BITMAP = 4;

/** The switch has answered a request with an OpenFlow error. */
export class SwitchError extends Error {
  /** The error as it came. */
  readonly error: MessageOf<'error'>;

  constructor(request: string, error: MessageOf<'error'>) {
    super(`${request}: ${errorName(error.error_type, error.code)}`);
    this.name = 'SwitchError';
    this.error = error;
  }
}

interface Waiter {
  /** True: the message is what was waited for. */
  readonly look: (message: Message) => boolean;
  readonly failed: (error: Error) => void;
}

export class FakeController {
  /** Everything received and not taken yet, as OpenFlow 1.3 whatever the version of the connection. Echoes are answered. */
  readonly received: Message[] = [];
  /** Called for every message, before it is kept: an app in short. */
  onMessage: ((message: Message) => void) | undefined;
  readonly #transport: Transport;
  readonly #dialect: Dialect;
  readonly #waiters = new Set<Waiter>();
  #xid = 0;
  #open = true;

  /**
   * Greets the switch at the other end, and asks for its features. `version`: wire version, the only one spoken
   * (default 4, OpenFlow 1.3).
   *
   * @throws Error when the connection ends before that.
   */
  static async connect(transport: Transport, version: WireVersion = OFP_VERSION): Promise<FakeController> {
    const controller = new FakeController(transport, version);
    await controller.request({ type: 'features_request' });
    return controller;
  }

  private constructor(transport: Transport, version: WireVersion) {
    const dialect = createDialect(version, { ports: () => [] });
    if (dialect === undefined) throw new RangeError(`OpenFlow of wire version ${version} is not spoken here`);
    this.#transport = transport;
    this.#dialect = dialect;
    const framer = new Framer();
    transport.on('data', (chunk: Buffer) => {
      framer.push(chunk, (bytes) => {
        const own = bytes.slice();
        for (const message of messageType(own) === HELLO ? [decode(own)] : dialect.decode(own)) {
          this.#message(message);
        }
      });
    });
    transport.on('error', () => this.#ended());
    transport.on('close', () => this.#ended());
    const bitmap = { type: 'versionbitmap' as const, versions: [version] };
    const elements = version >= VERSION_OF_FIRST_BITMAP ? [bitmap] : [];
    transport.write(encode({ type: 'hello', version, elements }));
  }

  /** False when the connection has ended. */
  get open(): boolean {
    return this.#open;
  }

  /** Sends messages; returns the transaction id of the last. */
  send(...messages: MessageInit[]): number {
    for (const message of messages) {
      const xid = message.xid ?? ++this.#xid;
      for (const bytes of this.#dialect.encode({ ...message, xid })) this.#transport.write(bytes);
    }
    return this.#xid;
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): void {
    this.#transport.write(bytes);
  }

  /**
   * Sends a request and waits for what answers it (of a multipart reply: its first part).
   *
   * @throws SwitchError when that is an error; Error when the connection ends before.
   */
  async request(message: MessageInit): Promise<Message> {
    const xid = ++this.#xid;
    const answer = this.#wait((reply) => reply.xid === xid && reply.type !== 'hello');
    this.send({ ...message, xid });
    const reply = await answer;
    if (reply.type === 'error') throw new SwitchError(message.type, reply);
    return reply;
  }

  /** The next message of a type (that fits), taken out of those received; waits for it. */
  async next<T extends MessageType>(
    type: T,
    fits: (message: MessageOf<T>) => boolean = () => true,
  ): Promise<MessageOf<T>> {
    const found = await this.#wait((message) => message.type === type && fits(message as MessageOf<T>));
    return found as MessageOf<T>;
  }

  /** Takes all messages of a type out of those received so far. */
  take<T extends MessageType>(type: T): MessageOf<T>[] {
    const taken = this.received.filter((message) => message.type === type) as MessageOf<T>[];
    const rest = this.received.filter((message) => message.type !== type);
    this.received.splice(0, this.received.length, ...rest);
    return taken;
  }

  /** Adds flow entries and waits until they are in force. Throws SwitchError for one that is refused. */
  async addFlows(...entries: FlowEntry[]): Promise<void> {
    await this.#confirmed(entries.map((entry) => flowModMessage(entry, FlowModCommand.ADD, 0)));
  }

  /** Deletes the entries the filter means: all, without one. */
  async deleteFlows(filter: FlowDeletion = {}): Promise<void> {
    await this.#confirmed([flowDeletion(filter)]);
  }

  /** Resolves when everything sent before is done. Throws SwitchError when some of that was refused. */
  async confirm(...messages: MessageInit[]): Promise<void> {
    await this.#confirmed(messages);
  }

  /** Ends the connection. */
  close(): void {
    this.#transport.destroySoon();
  }

  async #confirmed(messages: readonly MessageInit[]): Promise<void> {
    const sent = new Map(messages.map((message) => [this.send(message), message.type]));
    await this.request({ type: 'barrier_request' });
    const refused = this.received.findIndex(({ type, xid }) => type === 'error' && sent.has(xid));
    if (refused < 0) return;
    const [error] = this.received.splice(refused, 1) as MessageOf<'error'>[];
    throw new SwitchError(sent.get(error.xid) ?? '', error);
  }

  #wait(fits: (message: Message) => boolean): Promise<Message> {
    const at = this.received.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.received.splice(at, 1)[0]);
    if (!this.#open) return Promise.reject(new Error('the connection has ended'));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        look: (message) => {
          if (!fits(message)) return false;
          this.#waiters.delete(waiter);
          resolve(message);
          return true;
        },
        failed: reject,
      };
      this.#waiters.add(waiter);
    });
  }

  #message(message: Message): void {
    if (message.type === 'echo_request') {
      this.send({ type: 'echo_reply', xid: message.xid, data: message.data });
      return;
    }
    this.onMessage?.(message);
    for (const waiter of this.#waiters) if (waiter.look(message)) return;
    this.received.push(message);
  }

  #ended(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { failed } of this.#waiters) failed(new Error('the connection has ended'));
    this.#waiters.clear();
  }
}

/** Where real switches connect to: gives a FakeController for each. */
export class FakeControllerServer {
  readonly #server: Server;
  readonly #version: WireVersion;
  readonly #sockets: Socket[] = [];

  /** Listens at 127.0.0.1 unless told otherwise. Throws what `listen` of node:net emits. */
  static async listen({ port = 0, host = '127.0.0.1', version = OFP_VERSION as WireVersion } = {}) {
    const server = createServer({ noDelay: true }).listen(port, host);
    await once(server, 'listening');
    return new FakeControllerServer(server, version);
  }

  private constructor(server: Server, version: WireVersion) {
    this.#server = server;
    this.#version = version;
    server.on('connection', (socket) => this.#sockets.push(socket));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The next switch that connects, as far as its features are known. */
  async connection(): Promise<FakeController> {
    while (this.#sockets.length === 0) await once(this.#server, 'connection');
    return FakeController.connect(this.#sockets.shift()!, this.#version);
  }

  /** Stops listening. Connections are ended by their controllers. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
