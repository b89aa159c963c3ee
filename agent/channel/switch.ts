/** The device as an OpenFlow switch: each message type has its handler; the rest belongs to the cells. */
import type { Logger } from 'pino';
import {
  BadMatchCode,
  BadRequestCode,
  EncodeError,
  ErrorType,
  FlowModFailedCode,
  type Message,
  type MessageOf,
  type MessageType,
  MultipartFlag,
  NO_BUFFER,
  OpenFlowError,
  PortReason,
} from '../../openflow/index.ts';
import { keyToMatch } from '../../sandbox/match.ts';
import { type CellRecord, type CellReply, type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Dispatcher } from '../dispatcher/dispatcher.ts';
import type { Flows } from '../dispatcher/flows.ts';
import type { PacketIn } from '../dispatcher/output.ts';
import type { PendingFlow } from '../dispatcher/pending.ts';
import type { Liveness } from '../liveness.ts';
import type { Frame, FramePool } from '../ports/frames.ts';
import type { Port } from '../ports/port.ts';
import type { PortChange } from '../ports/ports.ts';
import { Barriers } from './barriers.ts';
import type { Connection } from './connection.ts';
import type { Extension } from './extension.ts';
import { handlePacketOut } from './packet-out.ts';
import { describePort } from './port-messages.ts';
import type { Requests } from './requests.ts';
import type { Role } from './roles.ts';

export type FailMode = 'secure' | 'standalone';

export interface SwitchOptions {
  connection: Connection;
  requests: Requests;
  extension: Extension;
  role: Role;
  cells: Cells;
  flows: Flows;
  dispatcher: Dispatcher;
  pool: FramePool;
  clock: Clock;
  liveness: Liveness;
  failMode: FailMode;
  /** The cell that switches while no controller is there; undefined in fail mode secure. */
  standaloneCell: () => CellRecord | undefined;
  logger: Logger;
}

/** After the features handshake a controller has this long to send DISPATCH_CONFIG; then it is taken for an ordinary one. */
const PLAIN_AFTER_MS = 500;

/** Messages a slave must not send (OpenFlow 1.3, section 6.3.6), and ours that change something. */
const NOT_FOR_SLAVES = new Set<MessageType>([
  'packet_out',
  'flow_mod',
  'group_mod',
  'port_mod',
  'table_mod',
  'meter_mod',
  'dispatch_config',
  'dispatch_rule',
  'program',
]);

const REASONS: Record<PortChange, number> = {
  add: PortReason.ADD,
  delete: PortReason.DELETE,
  modify: PortReason.MODIFY,
};

type Handlers = { [T in MessageType]?: (message: MessageOf<T>, bytes: Uint8Array) => void };

export class Switch {
  readonly counters = { packetIns: 0, packetOuts: 0, queriesUnsent: 0, lostPacketOuts: 0 };
  readonly #options: SwitchOptions;
  readonly #barriers: Barriers;
  readonly #handlers: Handlers;
  #plainTimer: NodeJS.Timeout | undefined;
  /** This connection's controller has sent DISPATCH_CONFIG. */
  #extended = false;
  /** Counts connections: what one asked is not answered to the next. */
  #session = 0;

  constructor(options: SwitchOptions) {
    this.#options = options;
    this.#barriers = new Barriers((cell) => options.flows.run(cell));
    this.#handlers = this.#table();
  }

  /** Asks the controller about a flow, if one is there that wants to be asked. */
  ask(flow: PendingFlow, frame: Frame, key: Uint32Array): boolean {
    const { connection, extension, role } = this.#options;
    if (!this.#extended || role.isSlave) {
      this.counters.queriesUnsent++;
      return false;
    }
    const { fields, query_bytes } = extension.config;
    const length = Math.min(frame.length, query_bytes);
    const sent = connection.offer({
      type: 'dispatch_query',
      query_id: flow.queryId,
      in_port: frame.inPort,
      total_len: Math.min(frame.length, 0xffff),
      reason: flow.reason,
      match: keyToMatch(key, fields),
      data: frame.bytes.subarray(frame.offset, frame.offset + length),
    });
    if (!sent) this.counters.queriesUnsent++;
    return sent;
  }

  packetIn(packet: PacketIn): void {
    const { connection, role } = this.#options;
    if (!connection.established || !role.wants('packet_in_mask', packet.reason)) return;
    const match: MessageOf<'packet_in'>['match'] = { in_port: packet.inPort };
    if (packet.metadata !== 0n) match.metadata = packet.metadata;
    if (packet.cell !== DEFAULT_CELL) match.cell = packet.cell;
    const sent = connection.offer({
      type: 'packet_in',
      total_len: packet.totalLength,
      reason: packet.reason,
      table_id: packet.tableId,
      cookie: packet.cookie,
      match,
      data: packet.data,
    });
    if (sent) this.counters.packetIns++;
  }

  portChanged(port: Port, change: PortChange): void {
    const { connection, role } = this.#options;
    const reason = REASONS[change];
    if (!role.wants('port_status_mask', reason)) return;
    connection.send({ type: 'port_status', reason, desc: describePort(port) });
  }

  /** What a cell says to the controller; its xid and match are right already. */
  reply(_cell: CellRecord, reply: CellReply): void {
    const { connection, role } = this.#options;
    if (reply.type === 'flow_removed' && !role.wants('flow_removed_mask', reply.reason)) return;
    try {
      connection.send(reply);
    } catch (error) {
      if (!(error instanceof EncodeError)) throw error;
      this.#sendInHalves(reply, error);
    }
  }

  established(): void {
    this.#options.role.reset();
    this.#extended = false;
  }

  message(message: Message, bytes: Uint8Array): void {
    if (this.#options.role.isSlave && NOT_FOR_SLAVES.has(message.type)) {
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.IS_SLAVE, `${message.type} from a slave`);
    }
    const handler = this.#handlers[message.type] as ((m: Message, b: Uint8Array) => void) | undefined;
    if (handler === undefined) {
      const text = `a switch does not take ${message.type}`;
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE, text);
    }
    handler(message, bytes);
  }

  /** The controller is gone: existing cells go on; new flows wait or are switched without it. */
  closed(): void {
    const { cells, dispatcher, failMode, standaloneCell } = this.#options;
    clearTimeout(this.#plainTimer);
    this.#extended = false;
    this.#session++;
    for (const cell of cells.all()) cell.control.disown();
    for (const flow of dispatcher.pending.all()) flow.asked = false;
    if (failMode !== 'standalone') return;
    dispatcher.standaloneCell = standaloneCell();
    dispatcher.redispatchAll();
  }

  stop(): void {
    clearTimeout(this.#plainTimer);
  }

  /** The match field `cell` can make a full message too long. Nothing else a cell says can fail to be encoded twice. */
  #sendInHalves(reply: CellReply, error: EncodeError): void {
    const { connection, cells } = this.#options;
    if (reply.type !== 'multipart_reply' || reply.body.type !== 'flow' || reply.body.flows.length < 2) {
      cells.control.refused++;
      this.#options.logger.warn({ err: error }, 'a reply of a cell cannot be sent');
      return;
    }
    const { flows } = reply.body;
    const middle = flows.length >> 1;
    const first = { ...reply.body, flows: flows.slice(0, middle) };
    connection.send({ ...reply, flags: reply.flags | MultipartFlag.MORE, body: first });
    connection.send({ ...reply, body: { ...reply.body, flows: flows.slice(middle) } });
  }

  #table(): Handlers {
    const { requests, extension, connection, liveness } = this.#options;
    const toDefaultCell = (_: Message, bytes: Uint8Array) => this.#forward(DEFAULT_CELL, bytes);
    return {
      features_request: ({ xid }) => {
        requests.features(xid);
        this.#greeted();
      },
      get_config_request: ({ xid }) => requests.getConfig(xid),
      set_config: (message) => requests.setConfig(message),
      role_request: (message) => requests.role(message),
      get_async_request: ({ xid }) => requests.getAsync(xid),
      set_async: (message) => requests.setAsync(message),
      queue_get_config_request: (message) => requests.queueConfig(message),
      port_mod: (message) => {
        const port = requests.portMod(message);
        liveness.changed(port);
        this.portChanged(port, 'modify');
      },
      barrier_request: ({ xid }) => {
        const session = this.#session;
        this.#barriers.request(() => {
          if (session === this.#session) connection.send({ type: 'barrier_reply', xid });
        });
      },
      packet_out: (message, bytes) => this.#packetOut(message, bytes),
      flow_mod: (message, bytes) => this.#flowMod(message, bytes),
      multipart_request: (message, bytes) => this.#multipart(message, bytes),
      group_mod: (message, bytes) => {
        const cell = this.#cell(DEFAULT_CELL, ErrorType.BAD_REQUEST, BadRequestCode.EPERM);
        liveness.watch(cell, message);
        this.#hand(cell, bytes);
      },
      meter_mod: toDefaultCell,
      table_mod: toDefaultCell,
      error: (message) => this.#options.logger.warn({ error: message }, 'the controller reports an error'),
      experimenter: ({ experimenter }) => {
        const text = `no experimenter 0x${experimenter.toString(16)} here`;
        throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXPERIMENTER, text);
      },
      dispatch_config: (message) => this.#configure(message),
      dispatch_rule: (message) => extension.rule(message),
      program: (message) => extension.program(message),
      dispatch_query: notFromControllers,
      cell_status: notFromControllers,
      program_reply: notFromControllers,
    };
  }

  /** The features handshake is done: the controller is in charge. */
  #greeted(): void {
    const { dispatcher, extension } = this.#options;
    dispatcher.standaloneCell = undefined;
    if (this.#extended) return;
    clearTimeout(this.#plainTimer);
    // Flows that wait for a returning Flowcell controller are not to be lost to the default cell meanwhile.
    this.#plainTimer = setTimeout(() => {
      if (!this.#extended) extension.plainMode();
    }, PLAIN_AFTER_MS);
  }

  #configure(message: MessageOf<'dispatch_config'>): void {
    clearTimeout(this.#plainTimer);
    this.#extended = true;
    this.#options.extension.configure(message);
  }

  #cell(id: number | undefined, type: number, code: number): CellRecord {
    const cell = this.#options.cells.get(id ?? DEFAULT_CELL);
    if (cell === undefined) throw new OpenFlowError(type, code, `there is no cell ${id}`);
    return cell;
  }

  #forward(id: number | undefined, bytes: Uint8Array): void {
    const cell = this.#cell(id, ErrorType.BAD_MATCH, BadMatchCode.BAD_VALUE);
    this.#hand(cell, bytes);
  }

  #hand(cell: CellRecord, bytes: Uint8Array): void {
    this.#barriers.touched(cell);
    if (cell.control.forward(bytes)) return;
    const text = `cell ${cell.id} does not take in messages fast enough`;
    throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.UNKNOWN, text);
  }

  #flowMod(message: MessageOf<'flow_mod'>, bytes: Uint8Array): void {
    const { clock } = this.#options;
    if (message.buffer_id !== NO_BUFFER) {
      const text = 'this device keeps no buffers for packet-ins';
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BUFFER_UNKNOWN, text);
    }
    const cell = this.#cell(message.match.cell, ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.UNKNOWN);
    this.#hand(cell, bytes);
    cell.log.record(message, bytes, clock.now);
  }

  #multipart(message: MessageOf<'multipart_request'>, bytes: Uint8Array): void {
    if (this.#options.requests.multipart(message)) return;
    const { body } = message;
    this.#forward(body.type === 'flow' || body.type === 'aggregate' ? body.match.cell : DEFAULT_CELL, bytes);
  }

  #packetOut(message: MessageOf<'packet_out'>, bytes: Uint8Array): void {
    this.counters.packetOuts++;
    const result = handlePacketOut(message, bytes, this.#options);
    if (result === undefined) this.counters.lostPacketOuts++;
    else this.#barriers.touched(result);
  }
}

const notFromControllers = (message: { type: string }): never => {
  const text = `${message.type} goes from the device to the controller`;
  throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, text);
};
