/** A device for the controller's tests: the other end of the connection, played by the test. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Controller, type ControllerOptions, type Logger } from '../../controller/index.ts';
import {
  decode,
  encode,
  Framer,
  type Match,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  type MessageType,
  messageType,
  OFP_VERSION,
  type PortDesc,
} from '../../openflow/index.ts';
import { createDialect, type Dialect } from '../../openflow/translate/index.ts';
import type { WireVersion } from '../../openflow/versions.ts';

const HELLO = 0;
const ERROR = 1;

export type Mode = 'flow' | 'plain' | 'silent';

export interface DeviceOptions {
  id?: bigint;
  /** Wire version it speaks, as a switch does that knows no other; default 4 (its HELLO offers 1.0 and 1.3). */
  version?: WireVersion;
  /** flow: answers DISPATCH_CONFIG; plain: BAD_EXPERIMENTER; silent: not at all. */
  mode?: Mode;
  ports?: readonly number[];
  /** Live cells reported while DISPATCH_CONFIG asks for it. */
  cells?: readonly MessageInitOf<'cell_status'>[];
  /** Entries those cells have, by cell number. */
  entries?: ReadonlyMap<number, MessageInitOf<'flow_mod'>[]>;
  /** Does the handshake and answers requests by itself; default true. */
  handshake?: boolean;
  /** Answers barriers by itself; default true. */
  barriers?: boolean;
}

export function portDesc(number: number, state = 4): PortDesc {
  return {
    port_no: number,
    hw_addr: `02:00:00:00:01:${number.toString(16).padStart(2, '0')}`,
    name: `p${number}`,
    config: 0,
    state,
    curr: 0,
    advertised: 0,
    supported: 0,
    peer: 0,
    curr_speed: 0,
    max_speed: 0,
  };
}

export class FakeDevice {
  readonly socket: Socket;
  /** Everything received, in order. */
  readonly received: Message[] = [];
  /** Sizes of the chunks received. */
  readonly chunks: number[] = [];
  readonly closed: Promise<void>;
  readonly #options: DeviceOptions;
  readonly #framer = new Framer();
  readonly #dialect: Dialect;
  #taken = 0;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(socket: Socket, options: DeviceOptions) {
    this.socket = socket;
    this.#options = options;
    this.#dialect = createDialect(options.version ?? OFP_VERSION, { ports: () => this.#ports() })!;
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk.length);
      this.#framer.push(chunk, (bytes) => {
        for (const message of this.#decode(bytes.slice())) this.#message(message);
      });
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#ended = true;
        this.#wake?.();
        resolve();
      });
    });
  }

  static async connect(port: number, options: DeviceOptions = {}): Promise<FakeDevice> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const device = new FakeDevice(socket, options);
    await once(socket, 'connect');
    if (options.handshake !== false) {
      const { version } = options;
      const elements = [{ type: 'versionbitmap' as const, versions: version ? [version] : [1, OFP_VERSION] }];
      device.sendBytes(encode({ type: 'hello', version: version ?? OFP_VERSION, elements }));
    }
    return device;
  }

  send(...messages: MessageInit[]): void {
    this.socket.write(Buffer.concat(messages.flatMap((message) => this.#dialect.encode(message))));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The next message of this type that was not taken yet; messages before it are skipped. */
  async next<T extends MessageType>(type: T): Promise<MessageOf<T>> {
    for (;;) {
      while (this.#taken < this.received.length) {
        const message = this.received[this.#taken++];
        if (message.type === type) return message as MessageOf<T>;
      }
      if (this.#ended) throw new Error(`the connection ended before a ${type} came`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Messages of a type among all received so far. */
  all<T extends MessageType>(type: T): MessageOf<T>[] {
    return this.received.filter((message): message is MessageOf<T> => message.type === type);
  }

  /** Resolves when the controller has worked through everything sent so far. */
  async settled(): Promise<void> {
    this.send({ type: 'echo_request', xid: 0xabcd, data: new Uint8Array([1]) });
    await this.next('echo_reply');
  }

  query(queryId: number, match: Match, extra: Partial<MessageInitOf<'dispatch_query'>> = {}): void {
    this.send({
      type: 'dispatch_query',
      query_id: queryId,
      in_port: match.in_port ?? 0,
      total_len: 64,
      match,
      ...extra,
    });
  }

  status(
    rule: MessageOf<'dispatch_rule'>,
    state: number,
    extra: Partial<MessageInitOf<'cell_status'>> = {},
  ): void {
    this.send({
      type: 'cell_status',
      state,
      cookie: rule.cookie,
      priority: rule.priority,
      query_id: rule.query_id,
      match: rule.match,
      setup_us: 40,
      ...extra,
    });
  }

  async end(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #decode(bytes: Uint8Array): Message[] {
    if (messageType(bytes) === HELLO) return [decode(bytes)];
    // HELLO_FAILED comes before versions are agreed; an error is the same in all of them.
    if (messageType(bytes) === ERROR) return [decode(bytes.with(0, OFP_VERSION))];
    return this.#dialect.decode(bytes);
  }

  #ports(): PortDesc[] {
    return (this.#options.ports ?? [1, 2, 3]).map((port) => portDesc(port));
  }

  #message(message: Message): void {
    this.received.push(message);
    if (this.#options.handshake === false) return;
    const { xid } = message;
    switch (message.type) {
      case 'features_request':
        this.send({ type: 'features_reply', xid, datapath_id: this.#options.id ?? 1n, n_tables: 254 });
        return;
      case 'barrier_request':
        if (this.#options.barriers !== false) this.send({ type: 'barrier_reply', xid });
        return;
      case 'echo_request':
        this.send({ type: 'echo_reply', xid, data: message.data });
        return;
      case 'multipart_request':
        this.#multipart(message);
        return;
      case 'dispatch_config':
        this.#dispatchConfig(message);
    }
  }

  #multipart({ xid, body }: MessageOf<'multipart_request'>): void {
    if (body.type === 'port_desc') {
      this.send({ type: 'multipart_reply', xid, body: { type: 'port_desc', ports: this.#ports() } });
    } else if (body.type === 'flow') {
      const entries = this.#options.entries?.get(body.match.cell ?? 0) ?? [];
      const flows = entries.map((entry) => ({
        table_id: entry.table_id ?? 0,
        cookie: entry.cookie,
        priority: entry.priority,
        match: entry.match,
        instructions: entry.instructions,
      }));
      this.send({ type: 'multipart_reply', xid, body: { type: 'flow', flows } });
    }
  }

  #dispatchConfig(message: MessageOf<'dispatch_config'>): void {
    if (this.#options.mode === 'silent') return;
    if (this.#options.mode === 'plain') {
      this.send({ type: 'error', xid: message.xid, error_type: 1, code: 3, data: new Uint8Array(64) });
      return;
    }
    this.send(...(this.#options.cells ?? []), { ...message, flags: 0 });
  }
}

/** Keeps what is logged. */
export class MemoryLog implements Logger {
  readonly lines: { level: string; fields: Record<string, unknown>; sentence: string }[] = [];

  debug(): void {}

  info(fields: object, sentence: string): void {
    this.#add('info', fields, sentence);
  }

  warn(fields: object, sentence: string): void {
    this.#add('warn', fields, sentence);
  }

  error(fields: object, sentence: string): void {
    this.#add('error', fields, sentence);
  }

  isLevelEnabled(level: string): boolean {
    return level !== 'debug';
  }

  codes(): unknown[] {
    return this.lines.map(({ fields }) => ('code' in fields ? fields.code : undefined));
  }

  #add(level: string, fields: object, sentence: string): void {
    this.lines.push({ level, fields: fields as Record<string, unknown>, sentence });
  }
}

export class Bench {
  readonly controller: Controller;
  readonly log: MemoryLog;
  readonly #devices: FakeDevice[] = [];

  private constructor(controller: Controller, log: MemoryLog) {
    this.controller = controller;
    this.log = log;
  }

  /** A controller on a port the system chooses, without local state unless told where. */
  static async start(options: Partial<ControllerOptions> = {}): Promise<Bench> {
    const log = new MemoryLog();
    const controller = await Controller.start({
      port: 0,
      host: '127.0.0.1',
      log,
      apps: [],
      ...options,
    });
    return new Bench(controller, log);
  }

  async connect(options: DeviceOptions = {}): Promise<FakeDevice> {
    const device = await FakeDevice.connect(this.controller.port, options);
    this.#devices.push(device);
    return device;
  }

  /** A device whose handshake is done and of which the apps know. */
  async device(options: DeviceOptions = {}): Promise<FakeDevice> {
    const known = new Promise<void>((resolve) => {
      const end = this.controller.events.subscribe((event) => {
        if (event.type !== 'connected') return;
        end();
        resolve();
      });
    });
    const device = await this.connect(options);
    await known;
    return device;
  }

  async stop(): Promise<void> {
    await this.controller.stop();
    for (const device of this.#devices) device.socket.destroy();
  }
}
