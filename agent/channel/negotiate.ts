/** Which version of OpenFlow a connection speaks (OpenFlow 1.3.5, section 6.3.1). */
import {
  decode,
  type MessageOf,
  messageType,
  messageVersion,
  messageXid,
  OpenFlowError,
} from '../../openflow/index.ts';
import { SPOKEN_VERSIONS } from '../../openflow/translate/index.ts';
import { agree, helloFailed } from '../../openflow/translate/negotiate.ts';
import { versionName, type WireVersion } from '../../openflow/version-name.ts';

/** What a hello says: the version in its header, and its bitmap if it has one. */
export interface Offer {
  readonly version: number;
  /** Wire versions. */
  readonly bitmap?: readonly number[];
}

const offerOf = (hello: MessageOf<'hello'>): Offer => {
  const element = hello.elements.find(({ type }) => type === 'versionbitmap');
  return { version: hello.version, bitmap: element?.versions };
};

/** The wire versions to offer, ascending: all that can be spoken, or those of them that were asked for. */
export const spokenVersions = (wanted?: readonly number[]): readonly WireVersion[] =>
  wanted === undefined ? SPOKEN_VERSIONS : SPOKEN_VERSIONS.filter((version) => wanted.includes(version));

/** Undefined where there is no version in common; `ours` ascending. */
export const negotiate = (
  ours: readonly WireVersion[],
  { version, bitmap }: Offer,
): WireVersion | undefined => agree(ours, version, bitmap);

const nameVersions = (versions: readonly number[]): string =>
  versions.map((version) => versionName(version) ?? `wire version ${version}`).join(', ') || 'no version';

/** A sentence for the error that ends the connection. */
export const noCommonVersion = (ours: readonly number[], theirs: Offer): string =>
  `this device speaks OpenFlow ${nameVersions(ours)}; the controller offers ${nameVersions(theirs.bitmap ?? [theirs.version])}`;

const OFPT_ERROR = 1;
/** Where an error's data begins, and how much of it is looked at: bytes. */
const ERROR_DATA = 12;
const MAX_TEXT = 256;

/** What a controller's first message leads to: a version, or why there is none, and what is said to that. */
export type Greeting =
  | { readonly version: WireVersion }
  | { readonly version?: undefined; readonly problem: string; readonly answer?: Uint8Array };

/** The first message must be a hello with a version of ours. */
export const greeting = (ours: readonly WireVersion[], first: Uint8Array): Greeting => {
  if (messageType(first) === OFPT_ERROR) {
    const text = new TextDecoder().decode(first.subarray(ERROR_DATA, ERROR_DATA + MAX_TEXT));
    return { problem: `the controller refused the hello: ${JSON.stringify(text)}` };
  }
  let offer: Offer = { version: messageVersion(first) };
  let problem = 'the first message is no hello';
  try {
    const hello = decode(first);
    if (hello.type === 'hello') {
      offer = offerOf(hello);
      const version = negotiate(ours, offer);
      if (version !== undefined) return { version };
      problem = noCommonVersion(ours, offer);
    }
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
  }
  return { problem, answer: helloFailed(ours, offer.version, messageXid(first), problem) };
};
