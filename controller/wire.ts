/**
 * Messages on one connection, in the version that it speaks. Everything above works with messages of OpenFlow
 * 1.3; other versions are translated here (openflow/translate). Before the versions are agreed it is 1.3, whose
 * hello and error any version can read.
 */

import { decode, type Message, type MessageInit, OFP_VERSION, OpenFlowError } from '../openflow/index.ts';
import { createDialect, type Dialect } from '../openflow/translate/index.ts';
import { versionName, type WireVersion } from '../openflow/version-name.ts';
import { FlowcellError } from './errors.ts';
import type { Counters } from './metrics.ts';
import { Outbox } from './outbox.ts';
import type { Transport } from './transport.ts';

/**
 * Sent most, and nothing to remember an answer by: their transaction id is put into the bytes. What else a dialect
 * encodes has it in a copy of the message.
 */
const XID_IN_BYTES: ReadonlySet<MessageInit['type']> = new Set(['flow_mod', 'packet_out']);

export class Wire {
  readonly outbox: Outbox;
  /** None for 1.3: that is encoded in place, without a copy. */
  #dialect: Dialect | undefined;
  #version: WireVersion = OFP_VERSION;

  constructor(socket: Transport, maxOutgoingBytes: number) {
    this.outbox = new Outbox(socket, maxOutgoingBytes);
  }

  /** Wire version: 4 is OpenFlow 1.3. */
  get version(): WireVersion {
    return this.#version;
  }

  /** From now on this version is spoken. */
  agree(version: WireVersion): void {
    this.#version = version;
    this.#dialect = version === OFP_VERSION ? undefined : createDialect(version);
  }

  /**
   * Calls `take` with what the bytes say: usually one message.
   *
   * @throws OpenFlowError; `take` has not been called then.
   */
  read(bytes: Uint8Array, take: (message: Message, bytes: Uint8Array) => void): void {
    if (this.#dialect === undefined) {
      take(decode(bytes), bytes);
      return;
    }
    for (const message of this.#dialect.decode(bytes)) take(message, bytes);
  }

  /**
   * Queues a message. False when the limit of what waits for the device is passed.
   *
   * @throws FlowcellError FC_NOT_IN_VERSION: the connection's version has no words for it. Nothing is queued then.
   * @throws EncodeError: a field's value is wrong. Nothing is queued then.
   */
  write(message: MessageInit, xid: number): boolean {
    if (this.#dialect === undefined) return this.outbox.push(message, xid);
    let translated: Uint8Array[];
    try {
      translated = this.#dialect.encode(XID_IN_BYTES.has(message.type) ? message : { ...message, xid });
    } catch (error) {
      if (!(error instanceof OpenFlowError)) throw error;
      throw this.#notSaid(message, error.message, error);
    }
    if (translated.length === 0) throw this.#notSaid(message, 'it has nothing like it');
    let fits = true;
    for (const bytes of translated) fits = this.outbox.pushBytes(bytes, xid) && fits;
    return fits;
  }

  /** Adds what has left since the last time. */
  account(counters: Counters): void {
    counters.bytes_out += this.outbox.bytes;
    counters.writes += this.outbox.writes;
    this.outbox.bytes = 0;
    this.outbox.writes = 0;
  }

  #notSaid({ type }: MessageInit, why: string, cause?: Error): FlowcellError {
    return new FlowcellError(
      'FC_NOT_IN_VERSION',
      `this ${type} cannot be sent to a datapath that speaks OpenFlow ${versionName(this.#version)}: ${why}`,
      { cause },
    );
  }
}
