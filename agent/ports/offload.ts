/**
 * The vnet header in front of a received frame (struct virtio_net_hdr, native order), and what the kernel took out of the
 * frame. Afterwards header, frame and the frame's fields say the same, and the frame can be sent as it lies there.
 */
import { SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import type { Frame } from './frames.ts';
import { VIRTIO_NET_HDR_F_NEEDS_CSUM, VNET_HDR_BYTES } from './socket.ts';

const VNET = { FLAGS: 0, GSO_TYPE: 1, HEADER_LENGTH: 2, GSO_SIZE: 4, CSUM_START: 6, CSUM_OFFSET: 8 } as const;
const TAG_BYTES = 4;

/** Takes the offload data of a frame that has just been received from the header in front of it. */
export const readOffload = (frame: Frame): void => {
  const { bytes } = frame;
  const at = frame.offset - VNET_HDR_BYTES;
  const flags = bytes[at + VNET.FLAGS];
  const gsoType = bytes[at + VNET.GSO_TYPE];
  frame.flags = 0;
  frame.gsoType = 0;
  if (flags === 0 && gsoType === 0) return;
  // That a checksum is known to be right is the receiver's business only.
  bytes[at + VNET.FLAGS] = flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
  if (flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
    frame.flags |= SLOT_FLAG.CSUM_PARTIAL;
    frame.csumStart = u16(bytes, at + VNET.CSUM_START);
    frame.csumOffset = u16(bytes, at + VNET.CSUM_OFFSET);
  }
  if (gsoType !== 0) {
    frame.flags |= SLOT_FLAG.GSO;
    frame.gsoType = gsoType;
    frame.headerLength = u16(bytes, at + VNET.HEADER_LENGTH);
    frame.gsoSize = u16(bytes, at + VNET.GSO_SIZE);
  }
};

/** Puts a VLAN tag that the kernel took out of the packet back in its place. */
export const restoreTag = (frame: Frame, tpid: number, tci: number): void => {
  const { bytes } = frame;
  const header = frame.offset - VNET_HDR_BYTES;
  // The vnet header and the addresses move; the tag fills the gap.
  bytes.copyWithin(header - TAG_BYTES, header, frame.offset + 12);
  frame.offset -= TAG_BYTES;
  frame.length += TAG_BYTES;
  const tag = frame.offset + 12;
  bytes[tag] = tpid >>> 8;
  bytes[tag + 1] = tpid;
  bytes[tag + 2] = tci >>> 8;
  bytes[tag + 3] = tci;
  const at = header - TAG_BYTES;
  if (frame.flags & SLOT_FLAG.CSUM_PARTIAL) {
    frame.csumStart += TAG_BYTES;
    setU16(bytes, at + VNET.CSUM_START, frame.csumStart);
  }
  if (frame.flags & SLOT_FLAG.GSO) {
    frame.headerLength += TAG_BYTES;
    setU16(bytes, at + VNET.HEADER_LENGTH, frame.headerLength);
  }
};

const u16 = (bytes: Uint8Array, at: number): number => bytes[at] | (bytes[at + 1] << 8);

const setU16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
};
