/** The frames the benchmarks send. */

import { encode } from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import type { SenderOptions } from './sender.ts';

type FlowOptions = Pick<SenderOptions, 'size' | 'flows' | 'srcMac' | 'dstMac' | 'srcIp' | 'dstIp'>;

/** UDP source port of the first flow. */
export const FIRST_PORT = 10000;

/** UDP from ports FIRST_PORT and up, one 5-tuple after the other; at least 64 frames. */
export function flowFrames(options: FlowOptions): Uint8Array[] {
  const frames: Uint8Array[] = [];
  // A multiple of the burst size and of the number of flows, so that every flow gets the same share.
  const total = options.flows <= 64 ? options.flows * 64 : Math.ceil(options.flows / 64) * 64;
  for (let i = 0; i < total; i++) frames.push(flowFrame(options, i % options.flows));
  return frames;
}

export function flowFrame(options: FlowOptions, flow: number): Uint8Array {
  const datagram = udp({
    src: FIRST_PORT + (flow % 50000),
    dst: 5001 + Math.floor(flow / 50000),
    payload: new Uint8Array(options.size - 42),
  });
  return ethernet({
    src: options.srcMac,
    dst: options.dstMac,
    type: 0x0800,
    payload: ipv4({ src: options.srcIp, dst: options.dstIp, proto: 17, payload: datagram }),
  });
}

/** Where newFlowFrame() puts its number: 4 bytes at the start of the UDP payload. */
export const NUMBER_AT = 42;

/** A frame of a flow never seen before: source MAC, source address and source port all follow from `number`. */
export function newFlowFrame(number: number, dstMac: string, dstIp: string): Uint8Array {
  const hex = number.toString(16).padStart(6, '0');
  const payload = new Uint8Array(22);
  new DataView(payload.buffer).setUint32(0, number);
  return ethernet({
    src: `02:f0:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`,
    dst: dstMac,
    type: 0x0800,
    payload: ipv4({
      src: `10.${64 + ((number >> 16) & 63)}.${(number >> 8) & 255}.${number & 255}`,
      dst: dstIp,
      proto: 17,
      payload: udp({ src: 1024 + (number % 60000), dst: 7, payload }),
    }),
  });
}

/** 64 bytes on the wire of one flow, with room for a number at NUMBER_AT. */
export function numberedFrame(ends: Omit<FlowOptions, 'size' | 'flows'>): Uint8Array {
  return flowFrame({ ...ends, size: 60, flows: 1 }, 0);
}

/** The number of a frame of newFlowFrame(), or -1 for any other. */
export function numberIn(b: Uint8Array, length: number): number {
  if (length < NUMBER_AT + 4 || b[6] !== 0x02 || b[7] !== 0xf0) return -1;
  return ((b[NUMBER_AT] << 24) | (b[NUMBER_AT + 1] << 16) | (b[NUMBER_AT + 2] << 8) | b[NUMBER_AT + 3]) >>> 0;
}

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

/** A PACKET_IN of OpenFlow 1.3 with a datagram from one station to another. */
export function packetInOf(src: string, dst: string, in_port: number): Uint8Array {
  const data = numberedFrame({ srcMac: src, dstMac: dst, srcIp: '10.9.9.1', dstIp: '10.9.9.2' });
  return encode({ type: 'packet_in', xid: 0, total_len: data.length, reason: 0, match: { in_port }, data });
}
