/**
 * What is said to a device whose messages cannot be understood: to the request that waits for them, in the log, and to
 * the device, but only so often: a flood of malformed messages must not become a flood of answers.
 */

import {
  type MessageInit,
  messageType,
  messageXid,
  OpenFlowError,
  toErrorMessage,
} from '../openflow/index.ts';
import { errorCode, errorText, FlowcellError } from './errors.ts';
import { ERROR } from './handshake.ts';
import { LogGate, type Logger } from './log.ts';
import { UNASKED } from './message-kinds.ts';
import type { Counters } from './metrics.ts';
import type { Time } from './time.ts';

export interface ErrorRepliesOptions {
  /** Errors sent at most. */
  perSecond: number;
  /** Peer's address and port, for the log. */
  remote: string;
  counters: Counters;
  log: Logger;
  time: Time;
  send(message: MessageInit, xid: number): void;
  /** Fails the request that waits for an answer with this xid. False when none does. */
  fail(xid: number, error: FlowcellError): boolean;
}

export class ErrorReplies {
  readonly #options: ErrorRepliesOptions;
  readonly #gate = new LogGate();
  #second = 0;
  #sent = 0;

  constructor(options: ErrorRepliesOptions) {
    this.#options = options;
  }

  /** Answers a message, of which `request` is at least the header, with an error. */
  reply(error: OpenFlowError, request: Uint8Array): void {
    const { counters, send, time } = this.#options;
    if (!this.#mayReply(time.now())) {
      counters.error_replies_suppressed++;
      return;
    }
    counters.errors_out++;
    const message = toErrorMessage(error, request);
    send(message, message.xid);
  }

  /** A message that could not be decoded. */
  malformed(error: unknown, bytes: Uint8Array): void {
    const { counters, log, remote, fail } = this.#options;
    counters.malformed_messages++;
    const held = this.#gate.pass('malformed');
    if (held >= 0) {
      log.warn(
        { code: errorCode(error, 'FC_MALFORMED'), device: remote, type: messageType(bytes), held },
        `malformed message from the device: ${errorText(error)}`,
      );
    }
    const reply = new FlowcellError(
      'FC_MALFORMED_REPLY',
      `the device's answer cannot be understood: ${errorText(error)}`,
      { cause: error },
    );
    const answered = !UNASKED.has(messageType(bytes)) && fail(messageXid(bytes), reply);
    // An ERROR is never answered by an ERROR: two ends would do that for ever. Nor is a reply.
    if (answered || messageType(bytes) === ERROR) return;
    if (error instanceof OpenFlowError) this.reply(error, bytes);
  }

  #mayReply(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#sent = 0;
    }
    return ++this.#sent <= this.#options.perSecond;
  }
}
