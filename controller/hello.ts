/** Version negotiation. OpenFlow 1.3.5, 6.3.3 and 7.5.1. */

import { decode, messageVersion, OFP_VERSION } from '../openflow/index.ts';

/**
 * Why there is no version in common with a peer that sent this HELLO; undefined when there is one.
 *
 * With version bitmaps the highest common bit counts, without the smaller of both headers' versions; as this
 * controller speaks one version only, both come down to whether the peer speaks that one.
 *
 * @throws OpenFlowError when the HELLO is malformed.
 */
export function incompatible(bytes: Uint8Array): string | undefined {
  const hello = decode(bytes);
  const elements = hello.type === 'hello' ? hello.elements : [];
  const versions = elements.find((element) => element.type === 'versionbitmap')?.versions;
  const highest = messageVersion(bytes);
  if (versions === undefined ? highest >= OFP_VERSION : versions.includes(OFP_VERSION)) return undefined;
  const offered = versions?.map(versionName).join(', ') ?? `up to ${versionName(highest)}`;
  return `this controller speaks OpenFlow ${versionName(OFP_VERSION)}, the device offers ${offered}`;
}

function versionName(version: number): string {
  return version >= 1 && version <= 6 ? `1.${version - 1}` : `version ${version}`;
}
