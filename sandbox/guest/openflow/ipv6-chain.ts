/** The extension headers of an IPv6 packet, looked at again by the few edits that depend on them. */
import type { PacketView } from '../packet-view.ts';

const NEXT = { HOP_BY_HOP: 0, ROUTING: 43, FRAGMENT: 44, AUTHENTICATION: 51, DESTINATION: 60 } as const;
const MAX_HEADERS = 8;

/** What walkChain() found; the same object every time. */
export const chain = {
  /** Absolute offset of the byte that names the protocol of the payload. */
  protocolAt: 0,
  /** The first fragment of several. */
  moreFragments: false,
  /** There is a routing header with segments left: checksums have the last address in it, not ipv6_dst. */
  rerouted: false,
};

/** Walks from the IPv6 header at `l3` as far as the head goes. */
export function walkChain(packet: PacketView, l3: number): void {
  const b = packet.bytes;
  const end = packet.offset + packet.length;
  chain.protocolAt = l3 + 6;
  chain.moreFragments = false;
  chain.rerouted = false;
  let p = l3 + 40;
  for (let n = 0; n < MAX_HEADERS && p + 8 <= end; n++) {
    let size = (b[p + 1] + 1) * 8;
    switch (b[chain.protocolAt]) {
      case NEXT.HOP_BY_HOP:
      case NEXT.DESTINATION:
        break;
      case NEXT.ROUTING:
        if (b[p + 3] !== 0) chain.rerouted = true;
        break;
      case NEXT.FRAGMENT:
        size = 8;
        if ((b[p + 3] & 1) !== 0) chain.moreFragments = true;
        // What a later fragment holds is a piece of the payload, no header.
        if ((b[p + 2] | (b[p + 3] & 0xf8)) !== 0) {
          chain.protocolAt = p;
          return;
        }
        break;
      case NEXT.AUTHENTICATION:
        size = (b[p + 1] + 2) * 4;
        break;
      default:
        return;
    }
    chain.protocolAt = p;
    p += size;
  }
}
