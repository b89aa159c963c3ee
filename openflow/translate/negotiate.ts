/** Which version two ends speak. OpenFlow 1.3.5, 6.3.1 (set-up) and 7.5.1 (hello). */
import { encode } from '../index.ts';
import { OFP_VERSION } from '../v13/constants.ts';
import { ErrorType, HelloFailedCode } from '../v13/errors.ts';
import type { WireVersion } from '../version-name.ts';

/**
 * OpenFlow 1.3 with the Flowcell extension, as a bit in the version bitmap of both our ends. An experimental version
 * has its highest bit set, so this is the highest that they have in common and they get by without translation;
 * whoever does not know it goes by the other bits. On the wire it is 1.3.
 */
export const FLOWCELL_VERSION = 0x80 | OFP_VERSION;

/** The bits of our HELLO's bitmap; its header has the highest of `spoken` (ascending). */
export const helloVersions = (spoken: readonly WireVersion[]): number[] =>
  spoken.includes(OFP_VERSION) && (spoken.at(-1) ?? 0) > OFP_VERSION
    ? [...spoken, FLOWCELL_VERSION]
    : [...spoken];

/** The first version that knows of elements in a HELLO. */
const FIRST_WITH_BITMAP = 2;

/** Our HELLO: the highest version in its header, all of `spoken` (ascending) in its bitmap. */
export function helloBytes(spoken: readonly WireVersion[]): Uint8Array {
  const version = spoken.at(-1) ?? OFP_VERSION;
  const bitmap = { type: 'versionbitmap' as const, versions: helloVersions(spoken) };
  return encode({ type: 'hello', version, elements: version < FIRST_WITH_BITMAP ? [] : [bitmap], xid: 1 });
}

/**
 * HELLO_FAILED/INCOMPATIBLE, with a sentence. Type and code are the same in every version; the header has one that the
 * peer may know: its own (`header`), if that is not above ours.
 */
export function helloFailed(
  spoken: readonly WireVersion[],
  header: number,
  xid: number,
  sentence: string,
): Uint8Array {
  const { INCOMPATIBLE: code } = HelloFailedCode;
  // An error's text is ASCII (7.4.4); TextEncoder is not part of the language.
  const data = Uint8Array.from(sentence, (character) => character.charCodeAt(0));
  const bytes = encode({ type: 'error', error_type: ErrorType.HELLO_FAILED, code, data, xid });
  bytes[0] = Math.max(1, Math.min(header, spoken.at(-1) ?? OFP_VERSION));
  return bytes;
}

/**
 * With bitmaps the highest common bit counts. A peer without one goes by the headers: the smaller of both versions.
 *
 * @param spoken what we offer, ascending
 * @param header version in the header of the peer's HELLO
 * @param bitmap versions in its bitmap, if it has one
 * @returns undefined where nothing is common
 */
export function agree(
  spoken: readonly WireVersion[],
  header: number,
  bitmap: readonly number[] | undefined,
): WireVersion | undefined {
  if (bitmap === undefined) {
    const lower = Math.min(header, spoken.at(-1) ?? 0);
    return spoken.find((version) => version === lower);
  }
  if (bitmap.includes(FLOWCELL_VERSION) && spoken.includes(OFP_VERSION)) return OFP_VERSION;
  return spoken.findLast((version) => bitmap.includes(version));
}
