/** What a learning switch does with a frame: pure decisions, shared by flow mode and plain mode. */

import type { Match } from '../openflow/index.ts';
import { macAt } from '../packet/index.ts';
import { isGroup, isReserved, type Learned, type MacTable } from './mac-table.ts';

/** The link layer of a frame. */
export interface Addresses {
  src: string;
  dst: string;
  /** As in a match: 0 without a tag, else the VLAN id with OFPVID_PRESENT. */
  vlan: number;
}

export type Forwarding =
  /** Not forwarded and not worth a rule: reserved address, impossible source, flapping source. */
  | { to: 'nowhere'; learned: Learned; why: string }
  /** The destination is at the port the frame came from. */
  | { to: 'same-port'; learned: Learned }
  /** Group address, or a destination nobody has heard of. */
  | { to: 'flood'; learned: Learned; unknown: boolean }
  | { to: 'port'; learned: Learned; port: number };

/** Learns the source, looks up the destination. `now` in ms. */
export function forward(table: MacTable, inPort: number, frame: Addresses, now: number): Forwarding {
  if (isReserved(frame.dst)) return { to: 'nowhere', learned: 'ignored', why: 'reserved address' };
  if (isGroup(frame.src)) return { to: 'nowhere', learned: 'ignored', why: 'the source is a group address' };
  const learned = table.learn(frame.vlan, frame.src, inPort, now);
  if (learned === 'flapping') return { to: 'nowhere', learned, why: 'its source keeps changing ports' };
  if (isGroup(frame.dst)) return { to: 'flood', learned, unknown: false };
  const port = table.lookup(frame.vlan, frame.dst, now);
  if (port === undefined) return { to: 'flood', learned, unknown: true };
  return port === inPort ? { to: 'same-port', learned } : { to: 'port', learned, port };
}

const VLAN_TYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
const OFPVID_PRESENT = 0x1000;

/** Addresses from a frame's first bytes; undefined when there are too few. */
export function addressesOf(frame: Uint8Array): Addresses | undefined {
  if (frame.length < 14) return undefined;
  const type = (frame[12] << 8) | frame[13];
  const tagged = VLAN_TYPES.has(type) && frame.length >= 16;
  return {
    dst: macAt(frame, 0),
    src: macAt(frame, 6),
    vlan: tagged ? OFPVID_PRESENT | (((frame[14] << 8) | frame[15]) & 0xfff) : 0,
  };
}

/** Addresses from a match that names them exactly; undefined otherwise. */
export function addressesIn(match: Match): Addresses | undefined {
  const { eth_src: src, eth_dst: dst, vlan_vid: vlan = 0 } = match;
  if (typeof src !== 'string' || typeof dst !== 'string' || typeof vlan !== 'number') return undefined;
  return { src, dst, vlan };
}
