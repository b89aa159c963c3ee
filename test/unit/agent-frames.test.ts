import { expect, test } from 'vitest';
import { type Frame, FramePool } from '../../agent/ports/frames.ts';
import { readOffload, restoreTag } from '../../agent/ports/offload.ts';
import { emptyCounters } from '../../agent/ports/port.ts';
import { MMSG, VNET_HDR_BYTES } from '../../agent/ports/socket.ts';
import { BatchSender } from '../../agent/ports/transmit.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import { addressOf } from '../../sandbox/sys/libc.ts';

const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_TCPV4 = 1;

const packet = ethernet({
  type: 0x0800,
  payload: ipv4({ proto: 17, payload: udp({ payload: new Uint8Array(64) }) }),
});

interface Vnet {
  flags?: number;
  gsoType?: number;
  headerLength?: number;
  gsoSize?: number;
  csumStart?: number;
  csumOffset?: number;
}

/** As the kernel leaves it: the vnet header, and the frame behind it. */
function received(vnet: Vnet) {
  const { flags = 0, gsoType = 0, headerLength = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = vnet;
  const pool = new FramePool(2);
  const frame = pool.take()!;
  frame.load(packet, 1);
  const header = Buffer.from([flags, gsoType, ...new Uint8Array(VNET_HDR_BYTES - 2)]);
  for (const [i, value] of [headerLength, gsoSize, csumStart, csumOffset].entries()) {
    header.writeUInt16LE(value, 2 + 2 * i);
  }
  frame.bytes.set(header, frame.offset - VNET_HDR_BYTES);
  readOffload(frame);
  return { pool, frame };
}

/** Pieces that one frame is sent in. */
function pieces(pool: FramePool, frame: Frame, head: Uint8Array, consumed: number): number {
  let count = 0;
  const sender = new BatchSender(pool, (_fd, headers) => {
    count = headers[MMSG.IOVLEN];
    return 1;
  });
  const address = head.length > 0 ? Number(addressOf(head)) : 0;
  expect(sender.add(frame, address, head.length, consumed)).toBe(true);
  sender.flush(1, emptyCounters());
  return count;
}

const LARGE_TCP = {
  ...{ flags: NEEDS_CSUM, gsoType: GSO_TCPV4, headerLength: 54, gsoSize: 1448 },
  ...{ csumStart: 34, csumOffset: 16 },
};

test('offload data are those of the header in front of the frame', () => {
  const { frame } = received(LARGE_TCP);
  expect(frame).toMatchObject({
    ...{ flags: SLOT_FLAG.CSUM_PARTIAL | SLOT_FLAG.GSO, gsoType: GSO_TCPV4, headerLength: 54, gsoSize: 1448 },
    ...{ csumStart: 34, csumOffset: 16 },
  });
  expect(received({}).frame).toMatchObject({ flags: 0, gsoType: 0 });
});

test('that a checksum was found right is not passed on', () => {
  const { frame } = received({ flags: DATA_VALID });
  expect(frame.flags).toBe(0);
  expect(frame.bytes[frame.offset - VNET_HDR_BYTES]).toBe(0);
});

test('a tag is put back, and what the header points at moves with it', () => {
  const { frame } = received(LARGE_TCP);
  restoreTag(frame, 0x88a8, 0x2005);
  const tagged = Buffer.from(frame.bytes.subarray(frame.offset, frame.offset + frame.length));
  expect(tagged.toString('hex')).toBe(
    `${Buffer.from(packet.subarray(0, 12)).toString('hex')}88a82005${Buffer.from(packet.subarray(12)).toString('hex')}`,
  );
  expect(frame).toMatchObject({ csumStart: 38, headerLength: 58, length: packet.length + 4 });
  const header = Buffer.from(frame.bytes.subarray(frame.offset - VNET_HDR_BYTES, frame.offset));
  expect(header.toString('hex')).toBe('01013a00a80526001000');
});

test('a frame as it was received is sent in one piece with the header in front of it, another in three', () => {
  const { pool, frame } = received({});
  expect(pieces(pool, frame, new Uint8Array(0), 0)).toBe(1);
  expect(pieces(pool, frame, packet.slice(0, 60), 60)).toBe(3);
  expect(frame.vnetAddress).toBe(frame.address + frame.offset - frame.base - VNET_HDR_BYTES);
  expect(frame.refs).toBe(1);
});
