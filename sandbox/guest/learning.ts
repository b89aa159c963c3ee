/**
 * The built-in program `learning-switch`: what a device does on its own while no controller is there
 * (fail-standalone). Learns which port a MAC address is behind, per VLAN; sends there, or floods.
 */
import { K } from '../../packet/index.ts';
import type { Cell, Packet, Program } from './program.ts';

const FLOOD = 0xfffffffb;
/** Addresses kept; a power of two. */
const SIZE = 2048;
/** Places an address may be at, from its hash on. */
const WAYS = 8;
const AGE_MS = 300_000;
const VID = 0x1fff;

export class LearningSwitch implements Program {
  private cell!: Cell;
  /** Address and VLAN of a place; VLAN in the upper half of `high`. A port of 0: nothing there. */
  private readonly high = new Int32Array(SIZE);
  private readonly low = new Int32Array(SIZE);
  private readonly ports = new Uint32Array(SIZE);
  private readonly seen = new Int32Array(SIZE);

  start(cell: Cell): void {
    this.cell = cell;
  }

  packet(packet: Packet): void {
    const { key } = packet;
    const now = this.cell.now();
    const vlan = (key[K.TYPE_VLAN] & VID) << 16;
    const dstHigh = key[K.ETH] >>> 16;
    const dstLow = (key[K.ETH] << 16) | (key[K.ETH + 1] >>> 16);
    const srcHigh = key[K.ETH + 1] & 0xffff;
    const srcLow = key[K.ETH + 2] | 0;
    if (!isGroup(srcHigh)) this.learn(vlan | srcHigh, srcLow, packet.inPort, now);
    // Bridges keep the frames of link protocols to themselves (IEEE 802.1Q, 8.6.3).
    if (dstHigh === 0x0180 && dstLow >>> 4 === 0xc200000) return;
    const port = isGroup(dstHigh) ? 0 : this.find(vlan | dstHigh, dstLow, now);
    if (port === 0) packet.output(FLOOD);
    else if (port !== packet.inPort) packet.output(port);
  }

  private find(high: number, low: number, now: number): number {
    const start = hash(high, low);
    for (let i = 0; i < WAYS; i++) {
      const at = (start + i) & (SIZE - 1);
      if (this.high[at] === high && this.low[at] === low) {
        return ((now - this.seen[at]) | 0) <= AGE_MS ? this.ports[at] : 0;
      }
    }
    return 0;
  }

  /** In its own place, else an empty one, else in that of the address not seen for longest. */
  private learn(high: number, low: number, port: number, now: number): void {
    const start = hash(high, low);
    let best = start;
    let bestAge = -1;
    for (let i = 0; i < WAYS; i++) {
      const at = (start + i) & (SIZE - 1);
      if (this.high[at] === high && this.low[at] === low) {
        best = at;
        break;
      }
      const age = this.ports[at] === 0 ? 0x7fffffff : (now - this.seen[at]) | 0;
      if (age > bestAge) {
        best = at;
        bestAge = age;
      }
    }
    this.high[best] = high;
    this.low[best] = low;
    this.ports[best] = port;
    this.seen[best] = now;
  }
}

function isGroup(high: number): boolean {
  return (high & 0x0100) !== 0;
}

function hash(high: number, low: number): number {
  const h = Math.imul(high ^ Math.imul(low, 0x9e3779b1), 0x85ebca6b);
  return (h ^ (h >>> 15)) & (SIZE - 1);
}
