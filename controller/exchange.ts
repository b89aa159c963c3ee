/** Ways of asking a device that are more than one message: one that is confirmed by a barrier, and bundles. */

import type { Message, MessageInit } from '../openflow/index.ts';
import { FlowcellError } from './errors.ts';
import { BundleCtrlType, bundleAdd, bundleControl, bundleReply } from './onf.ts';
import type { Request, Session } from './session.ts';

/**
 * Collects the errors of messages that are not answered when all is well. The first of them in the order they were
 * sent counts.
 */
class Unanswered {
  readonly #session: Session;
  readonly #waiting = new Set<number>();
  error: FlowcellError | undefined;
  #errorAt = Number.POSITIVE_INFINITY;
  #sent = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** @throws EncodeError */
  send(request: Request): void {
    const at = this.#sent++;
    let xid = 0;
    xid = this.#session.call(request, (error) => {
      this.#waiting.delete(xid);
      if (error === undefined || at > this.#errorAt) return;
      this.error = error;
      this.#errorAt = at;
    });
    if (xid !== 0) this.#waiting.add(xid);
  }

  /** No more errors can come. */
  end(): void {
    for (const xid of this.#waiting) this.#session.forget(xid);
  }
}

/**
 * Sends messages that have no reply and a barrier behind them; resolves when the device has carried them out. What
 * is called in one turn leaves in one write.
 *
 * @throws DeviceError, FlowcellError: of the first message that failed; the others are carried out all the same.
 * @throws EncodeError: those before are carried out, it and those behind it are not sent.
 */
export async function confirm(session: Session, requests: readonly Request[]): Promise<void> {
  const unanswered = new Unanswered(session);
  try {
    for (const request of requests) unanswered.send(request);
    await session.request({ type: 'barrier_request' });
  } finally {
    unanswered.end();
  }
  if (unanswered.error !== undefined) throw unanswered.error;
}

/**
 * Carries out messages as one bundle: all or, where one of them fails, none. The number must be free on this
 * connection; `flags` are those of BundleFlag.
 *
 * @throws DeviceError, FlowcellError: of the message that failed, else of the bundle.
 */
export async function carryOut(
  session: Session,
  bundle_id: number,
  flags: number,
  messages: readonly MessageInit[],
): Promise<void> {
  const control = async (ctrl_type: number) => {
    const reply = await session.request(bundleControl(bundle_id, ctrl_type, flags));
    expectReply(reply, bundle_id, ctrl_type);
  };
  await control(BundleCtrlType.OPEN_REQUEST);
  const unanswered = new Unanswered(session);
  let discard = true;
  try {
    for (const message of messages) {
      unanswered.send((xid) => bundleAdd(bundle_id, flags, message, xid));
    }
    // A message that is refused is simply not in the bundle, which could be committed without it.
    await Promise.all([session.request({ type: 'barrier_request' }), control(BundleCtrlType.CLOSE_REQUEST)]);
    if (unanswered.error === undefined) {
      // Whatever comes of it, the bundle is gone afterwards.
      discard = false;
      await control(BundleCtrlType.COMMIT_REQUEST);
    }
  } catch (error) {
    throw unanswered.error ?? error;
  } finally {
    unanswered.end();
    if (discard)
      session.call(bundleControl(bundle_id, BundleCtrlType.DISCARD_REQUEST, flags), () => undefined);
  }
  if (unanswered.error !== undefined) throw unanswered.error;
}

function expectReply(reply: Message, bundle_id: number, ctrl_type: number): void {
  const answer = bundleReply(reply);
  // The reply to a request has the number after it.
  if (answer?.bundle_id === bundle_id && answer.ctrl_type === ctrl_type + 1) return;
  throw new FlowcellError(
    'FC_UNEXPECTED_REPLY',
    `the device answered a bundle's control message of type ${ctrl_type} with ${reply.type}`,
  );
}
