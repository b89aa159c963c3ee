/** Messages that are for a cell: which one, whether it is there, and what of them a cell that takes its place is to know. */
import {
  BadMatchCode,
  BadRequestCode,
  decode,
  ErrorType,
  FlowModFailedCode,
  type Message,
  type MessageOf,
  OFP_VERSION,
  OpenFlowError,
} from '../../openflow/index.ts';
import { headOf, type Request } from '../cell-conversation.ts';
import type { Logged } from '../cell-log.ts';
import { type CellRecord, type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Clock } from '../clock.ts';
import type { Liveness } from '../liveness.ts';
import type { Barriers } from './barriers.ts';
import type { Pace } from './pace.ts';
import type { Session } from './session.ts';

/** A message from a controller: of OpenFlow 1.3, and as it was received. */
export interface Received<M extends Message = Message> {
  readonly message: M;
  readonly bytes: Uint8Array;
  readonly original: Uint8Array;
}

interface Parts {
  cells: Cells;
  barriers: Barriers;
  clock: Clock;
  liveness: Liveness;
  pace: Pace;
  /** A cell has its messages and a barrier behind them. */
  prime: (cell: CellRecord) => void;
}

/** Messages of a controller that change nothing, by what is asked. */
type Question = MessageOf<'multipart_request'>['body']['type'];
/** Multipart requests that a cell_message may carry; those about flows name their cell in the match. */
const QUESTIONS = new Set<Question>([
  'group',
  'group_desc',
  'group_features',
  'meter',
  'meter_config',
  'meter_features',
  'table',
  'table_features',
]);

export class CellMessages {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Throws OpenFlowError of this type and code when there is no such cell. */
  cell(id: number, type: number, code: number): CellRecord {
    const cell = this.#parts.cells.get(id);
    if (cell === undefined) throw new OpenFlowError(type, code, `there is no cell ${id}`);
    return cell;
  }

  /** Changes flow entries, groups or meters of a cell. */
  change(session: Session, cell: CellRecord, received: Received<Logged>): void {
    const { message, bytes } = received;
    if (message.type === 'group_mod') this.#parts.liveness.watch(cell, message);
    const undo = cell.log.record(message, bytes, this.#parts.clock.now);
    try {
      this.hand(session, cell, received, undo);
    } catch (error) {
      undo();
      throw error;
    }
  }

  flowMod(session: Session, received: Received<MessageOf<'flow_mod'>>): void {
    const { message } = received;
    const id = message.match.cell ?? DEFAULT_CELL;
    const cell = this.cell(id, ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.UNKNOWN);
    this.change(session, cell, received);
  }

  forward(session: Session, id: number, received: Received): void {
    this.hand(session, this.cell(id, ErrorType.BAD_MATCH, BadMatchCode.BAD_VALUE), received);
  }

  /** What is inside a CELL_MESSAGE goes to the cell it names (docs/protocol.md). */
  cellMessage(session: Session, { message }: Received<MessageOf<'cell_message'>>): void {
    const bytes = message.message;
    const inside = decode(bytes);
    const cell = this.cell(message.cell, ErrorType.BAD_MATCH, BadMatchCode.BAD_VALUE);
    const request = { bytes, original: bytes };
    switch (inside.type) {
      case 'group_mod':
      case 'meter_mod':
        this.change(session, cell, { ...request, message: inside });
        return;
      case 'barrier_request': {
        const { xid } = inside;
        this.#parts.barriers.requestOf(cell, () => session.send({ type: 'barrier_reply', xid }));
        if (!cell.control.waiting) this.#parts.prime(cell);
        return;
      }
      case 'table_mod':
        this.hand(session, cell, { ...request, message: inside });
        return;
      case 'multipart_request':
        if (!QUESTIONS.has(inside.body.type)) break;
        this.hand(session, cell, { ...request, message: inside });
        return;
    }
    const text = `cell_message with ${inside.type}`;
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE, text);
  }

  /** Throws OpenFlowError when the cell has too many messages waiting. */
  hand(session: Session, cell: CellRecord, received: Received, refused?: () => void): void {
    this.#parts.barriers.touched(cell);
    const taken = cell.control.forward(received.bytes, requestOf(session, received, refused));
    this.#parts.pace.sent(session, cell);
    if (taken) return;
    const text = `cell ${cell.id} does not take in messages fast enough`;
    // The specification has no words for it; the type at least is to fit the request.
    const [type, code] = received.message.type === 'flow_mod' ? FLOW_MOD_UNKNOWN : NOT_PERMITTED;
    throw new OpenFlowError(type, code, text);
  }
}

const FLOW_MOD_UNKNOWN = [ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.UNKNOWN] as const;
const NOT_PERMITTED = [ErrorType.BAD_REQUEST, BadRequestCode.EPERM] as const;

/** A cell shows in its errors what it was given, so that there is nothing to keep where that is what was received. */
const requestOf = (session: Session, { message, original }: Received, refused?: () => void): Request => ({
  asker: session,
  xid: message.xid,
  head: session.version === OFP_VERSION ? undefined : headOf(original),
  refused,
});
