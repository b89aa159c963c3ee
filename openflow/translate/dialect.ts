/**
 * One version of OpenFlow spoken in terms of 1.3: agent and controller work with 1.3 messages (with the Flowcell
 * extension) only, and a dialect turns bytes of another version into those and back.
 */
import type { Message, MessageInit, PortDesc } from '../index.ts';
import type { WireVersion } from '../version-name.ts';

/** What a dialect asks the device about that its messages concern; a controller leaves it out. */
export interface DialectContext {
  /** OpenFlow 1.0 has the ports in the features reply, 1.3 in a multipart reply. */
  ports(): readonly PortDesc[];
  /** OpenFlow 1.0 says in table statistics how many entries a table holds. */
  readonly maxEntries?: number;
}

/** Belongs to one connection: it may remember what was asked in order to understand the answer. */
export interface Dialect {
  readonly version: WireVersion;
  /**
   * Bytes of this version to 1.3: usually one message; none where there is nothing to say, several where 1.3 takes
   * more than one (all with the xid of the original).
   * @throws OpenFlowError with types and codes of 1.3, for what is malformed or cannot be said in 1.3
   */
  decode(bytes: Uint8Array): Message[];
  /**
   * A message of 1.3 to bytes of this version; errors' types and codes, too. Usually one message.
   * @throws OpenFlowError when this version cannot say it (BAD_REQUEST for requests)
   * @throws EncodeError when a field's value is wrong
   */
  encode(message: MessageInit): Uint8Array[];
}
