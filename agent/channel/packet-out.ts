/** PACKET_OUT: the packet becomes a frame, and its actions are carried out by a cell, as for any other packet. */
import {
  BadRequestCode,
  ErrorType,
  type MessageOf,
  NO_BUFFER,
  OpenFlowError,
  Port,
} from '../../openflow/index.ts';
import { headOf } from '../cell-conversation.ts';
import { type CellRecord, type Cells, DEFAULT_CELL } from '../cells.ts';
import type { Dispatcher } from '../dispatcher/dispatcher.ts';
import { FRAME_CAPACITY, type Frame, type FramePool } from '../ports/frames.ts';
import type { Received } from './cell-messages.ts';
import type { Session } from './session.ts';

/** ofp_packet_out before its actions, and where the lengths are. */
const FIXED_BYTES = 24;
const LENGTH_OFFSET = 2;
const ACTIONS_LENGTH_OFFSET = 16;
const ETHERNET_HEADER = 14;

interface Parts {
  pool: FramePool;
  cells: Cells;
  dispatcher: Dispatcher;
}

/** Returns the cell that got it, or undefined when it was lost for want of a frame or of room. Throws OpenFlowError. */
export const handlePacketOut = (
  session: Session,
  { message, bytes, original }: Received<MessageOf<'packet_out'>>,
  { pool, cells, dispatcher }: Parts,
): CellRecord | undefined => {
  const { data } = message;
  if (message.buffer_id !== NO_BUFFER) {
    const text = 'this device keeps no buffers for packet-ins';
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BUFFER_UNKNOWN, text);
  }
  if (!isIngress(message.in_port)) {
    const text = `no packet comes in by port 0x${message.in_port.toString(16)}`;
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_PORT, text);
  }
  if (data.length < ETHERNET_HEADER || data.length > FRAME_CAPACITY) {
    const text = `${data.length} bytes are no Ethernet frame`;
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_PACKET, text);
  }
  const frame = pool.take();
  if (frame === null) return undefined;
  frame.load(data, message.in_port);
  const cell = chooseCell(message, frame, cells, dispatcher);
  // The cell does not see all of the message, so it cannot show it in an error.
  const request = { asker: session, xid: message.xid, head: headOf(original) };
  const xid = cell?.control.tell(withoutData(bytes), request) ?? 0;
  if (cell === undefined || xid === 0) {
    pool.release(frame);
    return undefined;
  }
  frame.packetOutXid = xid;
  dispatcher.deliver(cell, frame);
  return cell;
};

/** A port, or the controller (section 7.3.7). ANY is not in the specification, but some controllers say so. */
const isIngress = (port: number): boolean =>
  (port > 0 && port <= Port.MAX) || port === Port.LOCAL || port === Port.CONTROLLER || port === Port.ANY;

/** "Submit it to the tables" means those of the packet's own flow; any other action needs no tables. */
const chooseCell = (
  message: MessageOf<'packet_out'>,
  frame: Frame,
  cells: Cells,
  dispatcher: Dispatcher,
): CellRecord | undefined => {
  const toTables = message.actions.some((action) => action.type === 'output' && action.port === Port.TABLE);
  return (toTables ? dispatcher.cellFor(frame) : undefined) ?? cells.get(DEFAULT_CELL);
};

/** The cell gets the packet itself through its receive slot. */
const withoutData = (bytes: Uint8Array): Uint8Array => {
  const length = FIXED_BYTES + ((bytes[ACTIONS_LENGTH_OFFSET] << 8) | bytes[ACTIONS_LENGTH_OFFSET + 1]);
  const short = bytes.slice(0, length);
  short[LENGTH_OFFSET] = length >>> 8;
  short[LENGTH_OFFSET + 1] = length;
  return short;
};
