/** Who takes part in the OpenFlow conversation with a cell (cell-control.ts), and what they see of it. */
import type { Message, MessageOf } from '../openflow/index.ts';

/** What a controller may see from a cell; table_config and table_status only in other words. */
export type CellReply = Extract<
  Message,
  { type: 'error' | 'flow_removed' | 'multipart_reply' | 'table_config' | 'table_status' }
>;
/** Answers to the agent's own requests. */
export type OwnReply = Extract<CellReply, { type: 'error' | 'multipart_reply' }>;

/** Whose request it is: a controller's session. */
export interface Asker {
  /** The request was refused by the cell or answered; match field `cell` and xid are the controller's. */
  answer(reply: CellReply): void;
}

/** A message on a controller's behalf. */
export interface Request {
  readonly asker: Asker;
  readonly xid: number;
  /**
   * The first bytes of what the controller sent, for errors. Absent: they are those of the message itself, which is what the
   * cell was given.
   */
  readonly head?: Uint8Array;
  /** Called when the cell refuses the message. */
  readonly refused?: () => void;
}

/** Who else takes part in the conversation (fastpath/cell-watch.ts). */
export interface ControlWatch {
  /** A message that may change verdicts is about to be sent. */
  changing(message: Uint8Array): void;
  /** Statistics are about to be asked for. */
  asking(): void;
  /** The cell wants paths forgotten. */
  released(message: MessageOf<'path_release'>): void;
  /** There will be no further conversation. */
  ended(): void;
}

/** Packets of a path that the cell has not seen, to be told to it. */
export interface PathCredit {
  readonly path: number;
  readonly cached: boolean;
  readonly credit: { readonly packets: number; readonly bytes: number; readonly lastMs: number } | undefined;
}

/** How much of a refused request goes into an error, bytes; the specification asks for at least 64. */
const HEAD_BYTES = 128;

/** What an error has to show of a request. */
export const headOf = (original: Uint8Array): Uint8Array => original.slice(0, HEAD_BYTES);

export interface ControlCounters {
  sent: number;
  /** Messages from cells that were passed on. */
  passed: number;
  /** Messages from cells of a type that cells do not send, malformed, or answering nothing. */
  refused: number;
  /** Controllers' requests that cells refused. */
  errors: number;
  /** Messages for cells that take in too few of them. */
  overflow: number;
}
