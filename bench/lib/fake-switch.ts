/**
 * A switch that only the load generator needs: it shakes hands, answers what a controller asks of it, and otherwise
 * sends prepared messages and counts what comes back. What it counts it finds by fixed offsets; nothing is decoded.
 */
import { connect, type Socket } from 'node:net';
import { encode, type Message, type MessageInit, messageType, PortState } from '../../openflow/index.ts';
import { createDialect, type Dialect } from '../../openflow/translate/index.ts';
import type { WireVersion } from '../../openflow/version-name.ts';

/** ofp_type in both versions; barriers are those of 1.3. */
const EXPERIMENTER = 4;
const PACKET_OUT = 13;
const FLOW_MOD = 14;
const BARRIER_REQUEST = 20;
/** Offset of buffer_id in a flow_mod, by wire version. In a packet_out it is at 8 in both. */
const FLOW_MOD_BUFFER: Readonly<Record<number, number>> = { 1: 64, 4: 32 };
const DISPATCH_RULE = 3;

const READ_BYTES = 256 * 1024;
const HEADER_BYTES = 8;
const PORTS = [1, 2];

export interface Tally {
  /** flow_mods and packet_outs: what cbench counts. */
  responses: number;
  /** Packet-ins answered (by a packet_out, or a flow_mod that names the buffer), or queries whose flow is live. */
  answered: number;
}

export interface FakeSwitchOptions {
  port: number;
  /** 1 or 4. */
  version: WireVersion;
  id: number;
  /** Flow mode: DISPATCH_CONFIG is accepted, rules and their barriers are answered. */
  flowMode: boolean;
  tally: Tally;
  /** The controller has asked for its features, and gets them now. */
  connected(device: FakeSwitch): void;
  /** So many were answered since the last call: those are free to be sent again. */
  answered(device: FakeSwitch, count: number): void;
  /** An echo request of its own was answered. */
  echoed?(xid: number): void;
}

const u32 = (b: Uint8Array, at: number) =>
  ((b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3]) >>> 0;

/** The device's half of a cell's life, with the rule's query id and cookie to be put in. */
const cellStatus = (state: number, cell: number) => encode({ type: 'cell_status', state, cell });
const STATUS_QUERY = 20;
const STATUS_COOKIE = 32;
const RULE_QUERY = 20;
const RULE_COOKIE = 24;
const READY = 0;
const REMOVED = 2;

const portDescription = (port_no: number) => ({
  port_no,
  hw_addr: `02:00:00:00:00:0${port_no}`,
  name: `p${port_no}`,
  config: 0,
  state: PortState.LIVE,
  curr: 0,
  advertised: 0,
  supported: 0,
  peer: 0,
  curr_speed: 0,
  max_speed: 0,
});

export class FakeSwitch {
  /** Sent and not answered yet. */
  outstanding = 0;
  /** Where in the prepared messages it goes on. */
  next = 0;
  /** What it was sent was answered once: the controller has it as a switch. */
  live = false;
  readonly #options: FakeSwitchOptions;
  readonly #socket: Socket;
  readonly #dialect: Dialect;
  readonly #flowModBuffer: number;
  /** What was read; the first `#kept` bytes are a message that is not complete yet. */
  #input = Buffer.allocUnsafe(READ_BYTES);
  #kept = 0;
  /** Replies to one chunk of input leave together. */
  readonly #replies: Uint8Array[] = [];
  /** Cookies of rules whose barrier is to come, in order. */
  readonly #cookies: Uint8Array[] = [];
  #cells = 0;
  #known = false;

  constructor(options: FakeSwitchOptions) {
    this.#options = options;
    const { version, port } = options;
    this.#flowModBuffer = FLOW_MOD_BUFFER[version];
    this.#dialect = createDialect(version, { ports: () => PORTS.map(portDescription) })!;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: () => this.#input.subarray(this.#kept),
        callback: (count) => {
          this.#received(this.#kept + count);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      throw error;
    });
    this.#socket.on('connect', () => this.send(encode({ type: 'hello', version, elements: [] })));
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Bytes that the controller has not taken yet. */
  get backlog(): number {
    return this.#socket.writableLength;
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(end: number): void {
    const b = this.#input;
    let at = 0;
    let responses = 0;
    let answered = 0;
    while (end - at >= HEADER_BYTES) {
      const length = (b[at + 2] << 8) | b[at + 3];
      if (length > end - at) break;
      switch (b[at + 1]) {
        case PACKET_OUT:
          responses++;
          answered++;
          break;
        case FLOW_MOD:
          responses++;
          if (u32(b, at + this.#flowModBuffer) !== 0xffffffff) answered++;
          break;
        case BARRIER_REQUEST:
          if (this.#cookies.length > 0) answered++;
          this.#other(b.subarray(at, at + length));
          break;
        default:
          this.#other(b.subarray(at, at + length));
      }
      at += length;
    }
    b.copyWithin(0, at, end);
    this.#kept = end - at;
    if (this.#replies.length > 0) {
      this.send(Buffer.concat(this.#replies));
      this.#replies.length = 0;
    }
    this.#options.tally.responses += responses;
    this.#options.tally.answered += answered;
    if (answered > 0) {
      this.outstanding = Math.max(0, this.outstanding - answered);
      this.#options.answered(this, answered);
    }
  }

  #other(bytes: Uint8Array): void {
    if (this.#options.flowMode) {
      if (messageType(bytes) === EXPERIMENTER && u32(bytes, 12) === DISPATCH_RULE) {
        this.#ruled(bytes);
        return;
      }
      const cookie = messageType(bytes) === BARRIER_REQUEST ? this.#cookies.shift() : undefined;
      if (cookie !== undefined) {
        const reply = Uint8Array.from(bytes);
        reply[1]++;
        // Nothing is left of the flow: the same may come again.
        const removed = cellStatus(REMOVED, 0);
        removed.set(cookie, STATUS_COOKIE);
        this.#replies.push(reply, removed);
        return;
      }
    }
    for (const message of this.#dialect.decode(Uint8Array.from(bytes))) {
      if (message.type === 'echo_reply') this.#options.echoed?.(message.xid);
      const reply = this.#reply(message);
      if (reply !== undefined)
        this.#replies.push(...this.#dialect.encode({ ...reply, xid: message.xid } as MessageInit));
    }
  }

  #ruled(rule: Uint8Array): void {
    const ready = cellStatus(READY, ++this.#cells);
    // Not slice: of a Buffer that shares memory, and the next chunk of input is read into it.
    const cookie = Uint8Array.from(rule.subarray(RULE_COOKIE, RULE_COOKIE + 8));
    ready.set(rule.subarray(RULE_QUERY, RULE_QUERY + 4), STATUS_QUERY);
    ready.set(cookie, STATUS_COOKIE);
    this.#cookies.push(cookie);
    this.#replies.push(ready);
  }

  #reply(message: Message): MessageInit | undefined {
    switch (message.type) {
      case 'features_request':
        if (!this.#known) setImmediate(() => this.#options.connected(this));
        this.#known = true;
        return { type: 'features_reply', datapath_id: BigInt(this.#options.id), n_buffers: 256, n_tables: 1 };
      case 'echo_request':
        return { type: 'echo_reply', data: message.data };
      case 'barrier_request':
        return { type: 'barrier_reply' };
      case 'get_config_request':
        return { type: 'get_config_reply', miss_send_len: 0xffff };
      case 'dispatch_config':
        if (this.#options.flowMode) return { ...message, flags: 0 };
        return { type: 'error', error_type: 1, code: 3, data: encode(message).subarray(0, 64) };
      case 'multipart_request':
        if (message.body.type === 'port_desc')
          return { type: 'multipart_reply', body: { type: 'port_desc', ports: PORTS.map(portDescription) } };
        if (message.body.type === 'flow')
          return { type: 'multipart_reply', body: { type: 'flow', flows: [] } };
        return { type: 'error', error_type: 1, code: 2, data: new Uint8Array(0) };
      default:
        return undefined;
    }
  }
}
