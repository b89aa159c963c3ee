/** Which version of OpenFlow a connection speaks (OpenFlow 1.3.5, section 6.3.1). */
import type { MessageOf } from '../../openflow/index.ts';
import { SPOKEN_VERSIONS } from '../../openflow/translate/index.ts';
import { versionName } from '../../openflow/versions.ts';

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
export const spokenVersions = (wanted?: readonly number[]): readonly number[] =>
  wanted === undefined ? SPOKEN_VERSIONS : SPOKEN_VERSIONS.filter((version) => wanted.includes(version));

/**
 * With bitmaps on both sides the highest common version, else the lower of the two that the headers name. Undefined where
 * that is none of `ours` (ascending; the last is in the header of our hello).
 */
export const negotiate = (ours: readonly number[], theirs: Offer): number | undefined => {
  const { bitmap } = theirs;
  if (bitmap !== undefined) return ours.findLast((version) => bitmap.includes(version));
  const lower = Math.min(theirs.version, ours.at(-1) ?? 0);
  return ours.includes(lower) ? lower : undefined;
};

const nameVersions = (versions: readonly number[]): string =>
  versions.map((version) => versionName(version) ?? `wire version ${version}`).join(', ') || 'no version';

/** A sentence for the error that ends the connection. */
export const noCommonVersion = (ours: readonly number[], theirs: Offer): string =>
  `this device speaks OpenFlow ${nameVersions(ours)}; the controller offers ${nameVersions(theirs.bitmap ?? [theirs.version])}`;
