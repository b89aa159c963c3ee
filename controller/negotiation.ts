/** Version negotiation. OpenFlow 1.3.5, 6.3.1 (set-up) and 7.5.1 (hello). */

import { decode, messageVersion } from '../openflow/index.ts';
import { SPOKEN_VERSIONS } from '../openflow/translate/index.ts';
import { agree } from '../openflow/translate/negotiate.ts';
import { versionName, type WireVersion } from '../openflow/version-name.ts';
import { FlowcellError } from './errors.ts';

/**
 * The wire versions a controller offers, ascending and each once; all that there is a dialect for by default.
 *
 * @throws FlowcellError FC_PROTOCOL_UNKNOWN
 */
export function offeredVersions(asked: readonly number[] = SPOKEN_VERSIONS): readonly WireVersion[] {
  const unknown = asked.filter((version) => !SPOKEN_VERSIONS.includes(version as WireVersion));
  if (unknown.length > 0 || asked.length === 0) {
    throw new FlowcellError(
      'FC_PROTOCOL_UNKNOWN',
      `a controller speaks one or more of the wire versions ${SPOKEN_VERSIONS.join(', ')}` +
        ` (OpenFlow ${names(SPOKEN_VERSIONS)}), not '${asked.join(', ')}'`,
    );
  }
  return SPOKEN_VERSIONS.filter((version) => asked.includes(version));
}

/** What a HELLO leads to: the version of the connection, or why there is none, as a sentence. */
export type Agreement = { readonly version: WireVersion } | { readonly why: string };

/** @throws OpenFlowError when the HELLO is malformed. */
export function negotiate(bytes: Uint8Array, offered: readonly WireVersion[]): Agreement {
  const hello = decode(bytes);
  const elements = hello.type === 'hello' ? hello.elements : [];
  const bitmap = elements.find((element) => element.type === 'versionbitmap')?.versions;
  const header = messageVersion(bytes);
  const version = agree(offered, header, bitmap);
  if (version !== undefined) return { version };
  const theirs = bitmap === undefined ? `up to ${nameOf(header)}` : names(bitmap) || 'none';
  return { why: `this controller speaks OpenFlow ${names(offered)}, the device offers ${theirs}` };
}

const nameOf = (version: number): string => versionName(version) ?? `version ${version}`;
const names = (versions: readonly number[]): string => versions.map(nameOf).join(', ');
