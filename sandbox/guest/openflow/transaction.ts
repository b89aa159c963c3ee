/** The messages between begin and commit of a transaction, which wait for the commit (docs/protocol.md). */
import {
  BadRequestCode,
  ErrorType,
  FLOWCELL_EXPERIMENTER,
  messageType,
  OpenFlowError,
} from '../../../openflow/index.ts';

/** Of the messages in one transaction, which the cell keeps until the commit. */
export const MAX_TRANSACTION_BYTES = 1024 * 1024;

const OFPT_EXPERIMENTER = 4;
const OFPT_PORT_STATUS = 12;
const OFPT_PACKET_OUT = 13;
const TRANSACTION = 10;

export class Transaction {
  private waiting: Uint8Array[] | undefined;
  private bytes = 0;
  private refused = false;

  get open(): boolean {
    return this.waiting !== undefined;
  }

  /** Throws if one is open already; that one goes on. */
  begin(): void {
    if (this.open) throw notNow('a transaction is open already');
    this.waiting = [];
    this.bytes = 0;
    this.refused = false;
  }

  /**
   * Keeps a message for the commit; false: it is not a matter of the transaction. Packets are not, which come when they
   * come, nor the states of ports. Throws when there is no more room: the transaction can then not be committed.
   */
  take(message: Uint8Array): boolean {
    if (this.waiting === undefined || !belongs(message)) return false;
    if (this.bytes + message.length > MAX_TRANSACTION_BYTES) {
      this.refused = true;
      throw notNow(`a transaction has ${MAX_TRANSACTION_BYTES} bytes at most`);
    }
    this.bytes += message.length;
    this.waiting.push(message.slice());
    return true;
  }

  /** Ends it and hands out its messages. `complete`: none was refused. Throws if none is open. */
  end(): { messages: readonly Uint8Array[]; complete: boolean } {
    if (this.waiting === undefined) throw notNow('no transaction is open');
    const messages = this.waiting;
    this.waiting = undefined;
    return { messages, complete: !this.refused };
  }
}

function belongs(message: Uint8Array): boolean {
  const type = messageType(message);
  if (type === OFPT_PORT_STATUS || type === OFPT_PACKET_OUT) return false;
  if (type !== OFPT_EXPERIMENTER || message.length < 16) return true;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return view.getUint32(8) !== FLOWCELL_EXPERIMENTER || view.getUint32(12) !== TRANSACTION;
}

export function notNow(text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.EPERM, text);
}
