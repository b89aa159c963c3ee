/** The device as an OpenFlow switch: each message type has its handler; the rest belongs to the cells. */
import type { Logger } from 'pino';
import {
  BadRequestCode,
  ErrorType,
  FLOWCELL_EXPERIMENTER,
  type MessageOf,
  type MessageType,
  OFP_VERSION,
  OpenFlowError,
  TableConfigFlag,
} from '../../openflow/index.ts';
import type { Asker, CellReply } from '../cell-conversation.ts';
import { type CellRecord, type Cells, DEFAULT_CELL } from '../cells.ts';
import { type Clock, SYSTEM_TIME, type Time } from '../clock.ts';
import type { Dispatcher } from '../dispatcher/dispatcher.ts';
import type { Flows } from '../dispatcher/flows.ts';
import type { Liveness } from '../liveness.ts';
import type { FramePool } from '../ports/frames.ts';
import { Barriers } from './barriers.ts';
import { BundleRequests } from './bundle-requests.ts';
import { CellMessages, type Received } from './cell-messages.ts';
import type { Extension } from './extension.ts';
import { ONF_EXPERIMENTER, OnfType } from './onf.ts';
import { Pace } from './pace.ts';
import { handlePacketOut } from './packet-out.ts';
import type { Requests } from './requests.ts';
import { type Link, Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import { changesState } from './slaves.ts';
import type { TableSettings } from './table-settings.ts';

export type FailMode = 'secure' | 'standalone';

export interface SwitchOptions {
  sessions: Sessions;
  requests: Requests;
  extension: Extension;
  tableSettings: TableSettings;
  cells: Cells;
  flows: Flows;
  dispatcher: Dispatcher;
  pool: FramePool;
  clock: Clock;
  time?: Time;
  liveness: Liveness;
  failMode: FailMode;
  /** False: rules and programs are refused, the device is an ordinary switch for all. Default true. */
  flowMode?: boolean;
  /** The cell that switches while no controller is there; undefined in fail mode secure. */
  standaloneCell: () => CellRecord | undefined;
  /** A controller has taken charge. */
  inCharge?: (mode: 'plain' | 'flow') => void;
  logger: Logger;
}

/** After the features handshake a controller has this long to send DISPATCH_CONFIG; then it is taken for an ordinary one. */
const PLAIN_AFTER_MS = 500;

type Handlers = { [T in MessageType]?: (session: Session, received: Received<MessageOf<T>>) => void };

export class Switch {
  readonly counters = { packetOuts: 0, lostPacketOuts: 0 };
  readonly bundles: BundleRequests;
  readonly pace: Pace;
  readonly #options: SwitchOptions;
  readonly #barriers: Barriers;
  readonly #toCells: CellMessages;
  readonly #handlers: Handlers;
  #endPlainTimer: () => void = () => {};

  constructor(options: SwitchOptions) {
    const { cells, clock, flows, liveness, requests } = options;
    this.#options = options;
    this.pace = new Pace(clock);
    this.#barriers = new Barriers((cell) => flows.run(cell));
    this.#toCells = new CellMessages({
      cells,
      clock,
      liveness,
      barriers: this.#barriers,
      pace: this.pace,
      prime: (cell) => flows.prime(cell),
    });
    this.bundles = new BundleRequests({
      cells,
      clock,
      liveness,
      barriers: this.#barriers,
      checkPortMod: (session, message) => requests.checkPortMod(session, message),
      portMod: (session, message) => this.#portMod(session, message),
    });
    this.#handlers = this.#table();
  }

  /** What a cell says: to the controller that asked, or to all who want to hear it. */
  reply(_cell: CellRecord, reply: CellReply, asker: Asker | undefined): void {
    if (asker !== undefined) asker.answer(reply);
    else if (reply.type === 'flow_removed') this.#options.sessions.flowRemoved(reply);
    else if (reply.type === 'table_status') this.#options.sessions.tableStatus(reply);
  }

  /** A controller has connected. */
  established(link: Link): Session {
    const { sessions, tableSettings } = this.#options;
    const session = new Session(link, sessions.counters);
    sessions.add(session);
    tableSettings.update();
    return session;
  }

  /** Throws OpenFlowError, for the connection to send. */
  message(session: Session, received: Received): void {
    const { message } = received;
    if (session.role.isSlave && changesState(message)) {
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.IS_SLAVE, `${message.type} from a slave`);
    }
    const handler = this.#handlers[message.type] as ((s: Session, r: Received) => void) | undefined;
    if (handler === undefined) {
      const text = `a switch does not take ${message.type}`;
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE, text);
    }
    handler(session, received);
  }

  /** A controller is gone. Those that are left go on; without the last one existing cells go on; new flows wait or are switched without it. */
  closed(session: Session): void {
    const { sessions, dispatcher, failMode, standaloneCell, tableSettings } = this.#options;
    sessions.delete(session);
    tableSettings.update();
    dispatcher.askOthers(session);
    if (sessions.size > 0) {
      this.#plainSoon();
      return;
    }
    this.#endPlainTimer();
    if (failMode !== 'standalone') return;
    dispatcher.standaloneCell = standaloneCell();
    dispatcher.redispatchAll();
  }

  stop(): void {
    this.#endPlainTimer();
  }

  #table(): Handlers {
    const { requests, extension, tableSettings } = this.#options;
    const toCells = this.#toCells;
    const change = (session: Session, received: Received<MessageOf<'group_mod' | 'meter_mod'>>) =>
      toCells.change(session, this.#defaultCell(), received);
    return {
      features_request: (session, { message }) => {
        requests.features(session, message.xid);
        this.#greeted();
      },
      get_config_request: (session, { message }) => requests.getConfig(session, message.xid),
      set_config: (session, { message }) => {
        requests.setConfig(session, message);
        tableSettings.update();
      },
      role_request: (session, { message }) => this.#role(session, message),
      get_async_request: (session, { message }) => requests.getAsync(session, message.xid),
      set_async: (session, { message }) => requests.setAsync(session, message),
      queue_get_config_request: (session, { message }) => requests.queueConfig(session, message),
      port_mod: (session, { message }) => this.#portMod(session, message),
      barrier_request: (session, { message: { xid } }) =>
        this.#barriers.request(() => session.send({ type: 'barrier_reply', xid })),
      packet_out: (session, received) => this.#packetOut(session, received),
      flow_mod: (session, received) => toCells.flowMod(session, received),
      multipart_request: (session, received) => this.#multipart(session, received),
      group_mod: change,
      meter_mod: change,
      table_mod: (session, received) => toCells.forward(session, DEFAULT_CELL, received),
      cell_message: (session, received) => toCells.cellMessage(session, received),
      error: (session, { message }) => {
        const { peer } = session.link;
        this.#options.logger.warn({ controller: peer, error: message }, 'the controller reports an error');
      },
      experimenter: (session, { message, original }) => this.#experimenter(session, message, original),
      dispatch_config: (session, { message }) => {
        this.#needFlowMode();
        this.#endPlainTimer();
        session.extended = true;
        extension.configure(session, message);
        if (extension.asksController) this.#options.inCharge?.('flow');
      },
      dispatch_rule: (_, { message }) => {
        this.#needFlowMode();
        extension.rule(message);
      },
      program: (session, { message }) => {
        this.#needFlowMode();
        extension.program(session, message);
      },
      dispatch_query: notFromControllers,
      cell_status: notFromControllers,
      program_reply: notFromControllers,
      table_config: (session, received) => this.#tableConfig(session, received),
      table_status: notFromControllers,
      transaction: notFromControllers,
      path_release: notFromControllers,
      path_credit: notFromControllers,
    };
  }

  #needFlowMode(): void {
    if (this.#options.flowMode === false) throw noExperimenter(FLOWCELL_EXPERIMENTER);
  }

  /** The features handshake is done: the controller is in charge. */
  #greeted(): void {
    this.#options.dispatcher.standaloneCell = undefined;
    this.#options.inCharge?.('plain');
    this.#plainSoon();
  }

  /** Without a Flowcell controller the device becomes an ordinary switch, unless one comes (back) shortly. */
  #plainSoon(): void {
    const { extension, sessions } = this.#options;
    if (sessions.some(({ extended }) => extended)) return;
    this.#endPlainTimer();
    // Flows that wait for a returning Flowcell controller are not to be lost to the default cell meanwhile.
    this.#endPlainTimer = (this.#options.time ?? SYSTEM_TIME).after(PLAIN_AFTER_MS, () => {
      if (!sessions.some(({ extended }) => extended)) extension.plainMode();
    });
  }

  #role(session: Session, message: MessageOf<'role_request'>): void {
    const { sessions, dispatcher } = this.#options;
    if (!sessions.requestRole(session, message)) return;
    for (const other of sessions) if (!other.decides) dispatcher.askOthers(other);
    dispatcher.askAgain();
  }

  #experimenter(session: Session, message: MessageOf<'experimenter'>, original: Uint8Array): void {
    const { experimenter, exp_type } = message;
    if (experimenter === ONF_EXPERIMENTER) {
      if (exp_type !== OnfType.BUNDLE_CONTROL && exp_type !== OnfType.BUNDLE_ADD_MESSAGE) {
        const text = `no message ${exp_type} of the ONF here`;
        throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, text);
      }
      this.bundles.handle(session, message, original);
      return;
    }
    throw noExperimenter(experimenter);
  }

  #portMod(session: Session, message: MessageOf<'port_mod'>): void {
    const { requests, sessions, liveness } = this.#options;
    const port = requests.portMod(session, message);
    liveness.changed(port);
    sessions.portChanged(port, 'modify');
  }

  /** What OpenFlow 1.4 says by table_mod; who speaks 1.3 has no such message. */
  #tableConfig(session: Session, received: Received<MessageOf<'table_config'>>): void {
    if (session.version === OFP_VERSION) notFromControllers(session, received);
    const { message, bytes } = received;
    this.#toCells.hand(session, this.#defaultCell(), received);
    if ((message.flags & TableConfigFlag.QUERY) === 0) this.#options.tableSettings.noted(message, bytes);
  }

  #defaultCell(): CellRecord {
    return this.#toCells.cell(DEFAULT_CELL, ErrorType.BAD_REQUEST, BadRequestCode.EPERM);
  }

  #multipart(session: Session, received: Received<MessageOf<'multipart_request'>>): void {
    const { message } = received;
    if (!session.multipart.whole(message) || this.#options.requests.multipart(session, message)) return;
    const { body } = message;
    const cell = body.type === 'flow' || body.type === 'aggregate' ? body.match.cell : undefined;
    this.#toCells.forward(session, cell ?? DEFAULT_CELL, received);
  }

  #packetOut(session: Session, received: Received<MessageOf<'packet_out'>>): void {
    this.counters.packetOuts++;
    const result = handlePacketOut(session, received, this.#options);
    if (result === undefined) this.counters.lostPacketOuts++;
    else this.#barriers.touched(result);
  }
}

const noExperimenter = (experimenter: number): OpenFlowError => {
  const text = `no experimenter 0x${experimenter.toString(16)} here`;
  return new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXPERIMENTER, text);
};

const notFromControllers = (_: Session, { message }: Received): never => {
  const text = `${message.type} is not for controllers to send`;
  throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE, text);
};
