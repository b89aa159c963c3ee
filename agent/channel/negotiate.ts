/** Which version of OpenFlow a connection speaks (OpenFlow 1.3.5, section 6.3.1). */
import type { MessageOf } from '../../openflow/index.ts';
import { SPOKEN_VERSIONS } from '../../openflow/translate/index.ts';
import { agree } from '../../openflow/translate/negotiate.ts';
import { versionName, type WireVersion } from '../../openflow/versions.ts';

/** What a hello says: the version in its header, and its bitmap if it has one. */
export interface Offer {
  readonly version: number;
  /** Wire versions. */
  readonly bitmap?: readonly number[];
}

export const offerOf = (hello: MessageOf<'hello'>): Offer => {
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
