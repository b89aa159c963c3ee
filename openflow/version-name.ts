/** The versions' numbers and names, apart from their codecs (versions.ts), which take a while to load. */

/** Number of a version in the header of its messages: 1 is OpenFlow 1.0, 4 is 1.3. */
export type WireVersion = 1 | 2 | 3 | 4 | 5 | 6;

/** "1.3" for 4; undefined for a number that is not a version of OpenFlow. */
export const versionName = (wireVersion: number): string | undefined =>
  ['1.0', '1.1', '1.2', '1.3', '1.4', '1.5'][wireVersion - 1];
