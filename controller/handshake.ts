/** HELLO and the features handshake, up to the point where apps may use the device. OpenFlow 1.3.5, 6.3.1, 7.3.1. */

import { type MessageOf, messageType, messageVersion, messageXid } from '../openflow/index.ts';
import { helloFailed } from '../openflow/translate/negotiate.ts';
import type { WireVersion } from '../openflow/version-name.ts';
import { errorText } from './errors.ts';
import type { Counters } from './metrics.ts';
import { negotiate } from './negotiation.ts';
import type { ReplyCallback } from './requests.ts';

export type FeaturesReply = MessageOf<'features_reply'>;

/** ofp_type of the two messages that matter before anything is decoded. */
const HELLO = 0;
export const ERROR = 1;

/** What the handshake needs of its session. */
export interface HandshakeLink {
  readonly offered: readonly WireVersion[];
  readonly counters: Counters;
  sendBytes(bytes: Uint8Array): void;
  /** This version is spoken from now on. */
  agreed(version: WireVersion): void;
  askFeatures(done: ReplyCallback): void;
  opened(features: FeaturesReply): void;
  malformed(error: unknown, bytes: Uint8Array): void;
  close(reason: string): void;
}

/** Takes the first message of a device. */
export function firstMessage(bytes: Uint8Array, link: HandshakeLink): void {
  if (messageType(bytes) === ERROR) {
    const text = new TextDecoder().decode(bytes.subarray(12, 12 + 256));
    link.counters.errors_in++;
    link.counters.handshakes_failed++;
    link.close(`it refused our HELLO: ${JSON.stringify(text)}`);
    return;
  }
  if (messageType(bytes) !== HELLO) {
    refuse(bytes, 'the first message must be HELLO', link);
    return;
  }
  let agreement: ReturnType<typeof negotiate>;
  try {
    agreement = negotiate(bytes, link.offered);
  } catch (error) {
    link.malformed(error, bytes);
    link.close(`its HELLO is malformed (${errorText(error)})`);
    return;
  }
  if ('why' in agreement) {
    refuse(bytes, agreement.why, link);
    return;
  }
  link.agreed(agreement.version);
  link.askFeatures((error, reply) => {
    if (error !== undefined) {
      link.close(`no features reply (${error.message})`);
    } else if (reply?.type !== 'features_reply') {
      link.close(`it answered FEATURES_REQUEST with ${reply?.type}`);
    } else if (reply.auxiliary_id !== 0) {
      link.close('auxiliary connections are not supported; use one connection per device');
    } else {
      link.opened(reply);
    }
  });
}

function refuse(first: Uint8Array, sentence: string, link: HandshakeLink): void {
  link.counters.handshakes_failed++;
  link.counters.errors_out++;
  link.sendBytes(helloFailed(link.offered, messageVersion(first), messageXid(first), sentence));
  link.close(`no version in common: ${sentence}`);
}
