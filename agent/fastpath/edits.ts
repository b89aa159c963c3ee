/**
 * From what a cell made of a packet's head to what the kernel does to every packet of the flow. Flow keys are exact: what
 * was rewritten is constant for the flow, but for the TTL. Whatever else differs between the head that was received and
 * the one that is to be sent cannot be said in an entry, and the flow stays with its cell.
 */
import type { Shape } from './flow-key.ts';
import { EDIT, ENTRY, ENTRY_BYTES, IPV4_L4_OFFSET, IPV6_L4_OFFSET, SUM_FLAG } from './layout.ts';

/** A packet's head as it is to be sent. */
export interface Head {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
  /** How many bytes of the received frame it stands for. */
  readonly consumed: number;
}

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

/** Words as a little-endian machine reads them, which is what the kernel's checksums are made of. */
const word = (bytes: Uint8Array, at: number): number => bytes[at] | (bytes[at + 1] << 8);

const same = (a: Uint8Array, at: number, b: Uint8Array, bAt: number, length: number): boolean => {
  for (let i = 0; i < length; i++) if (a[at + i] !== b[bAt + i]) return false;
  return true;
};

const copy = (from: Uint8Array, at: number, to: Uint8Array, toAt: number, length: number): void => {
  for (let i = 0; i < length; i++) to[toAt + i] = from[at + i];
};

const fold = (sum: number): number => {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return folded;
};

/** Ones' complement difference of two stretches of bytes, new minus old. */
const difference = (
  old: Uint8Array,
  oldAt: number,
  now: Uint8Array,
  nowAt: number,
  length: number,
  sum = 0,
): number => {
  let total = sum;
  for (let i = 0; i < length; i += 2) total += word(now, nowAt + i) + (~word(old, oldAt + i) & 0xffff);
  return fold(total);
};

export class Edits {
  /** An entry in the making. */
  readonly entry = new Uint8Array(ENTRY_BYTES);
  /** Bytes that a packet grows by. */
  growth = 0;
  readonly #fields = new DataView(this.entry.buffer);

  /**
   * Fills the entry but for key, outputs and length. `shape`: of the received frame at bytes[offset ..). False: what was
   * done to the packet cannot be said.
   */
  derive(bytes: Uint8Array, offset: number, shape: Shape, head: Head): boolean {
    this.entry.fill(0);
    this.growth = 0;
    const { bytes: out, offset: at, length, consumed } = head;
    this.growth = length - consumed;
    // A packet that was not touched is its slot's own copy of what came in.
    const tagOut = length >= 18 && (u16(out, at + 12) === 0x8100 || u16(out, at + 12) === 0x88a8);
    const l3Out = tagOut ? 18 : 14;
    const rest = consumed - shape.l3;
    // L4 ports and the checksum of TCP are in the head, and what follows is the same length as before.
    if (rest !== length - l3Out || rest < (shape.ipv6 ? 40 : 20) + (shape.tcp ? 18 : 8)) return false;
    if (u16(out, at + l3Out - 2) !== u16(bytes, offset + shape.l3 - 2)) return false;
    let edits = this.#link(bytes, offset, shape, head, tagOut);
    const l3 = shape.ipv6
      ? this.#ipv6(bytes, offset + shape.l3, out, at + l3Out)
      : this.#ipv4(bytes, offset + shape.l3, out, at + l3Out);
    if (l3 < 0) return false;
    edits |= l3;
    const l4 = offset + shape.l4;
    const l4Out = at + l3Out + (shape.l4 - shape.l3);
    edits |= this.#transport(bytes, l4, out, l4Out, shape);
    const sumAt = shape.tcp ? 16 : 6;
    const l4Rest = rest - (shape.l4 - shape.l3);
    if (!same(bytes, l4 + 4, out, l4Out + 4, sumAt - 4)) return false;
    if (!same(bytes, l4 + sumAt + 2, out, l4Out + sumAt + 2, l4Rest - sumAt - 2)) return false;
    // Of an edit of the TTL alone there is no bit: the kernel looks at that where there is any.
    if (edits === 0 && this.#fields.getUint32(ENTRY.TTL, true) > 0) edits = shape.ipv6 ? EDIT.IPV6 : EDIT.TOS;
    if (edits !== 0 && shape.ipv6) edits |= EDIT.IPV6;
    if ((edits & EDIT.TOS) !== 0) this.#fields.setUint32(ENTRY.TOS, this.#tos(out, at + l3Out, shape), true);
    this.#fields.setUint32(ENTRY.EDITS, edits, true);
    return true;
  }

  #tos(out: Uint8Array, l3: number, { ipv6 }: Shape): number {
    return ipv6 ? (u16(out, l3) >> 4) & 0xff : out[l3 + 1];
  }

  #link(bytes: Uint8Array, offset: number, { l3 }: Shape, { bytes: out, offset: at }: Head, tagOut: boolean) {
    let edits = 0;
    const tagIn = l3 === 18;
    const sameTag = tagIn && tagOut && same(bytes, offset + 12, out, at + 12, 4);
    if (tagIn && !sameTag) edits |= EDIT.VLAN_POP;
    if (tagOut && !sameTag) {
      edits |= EDIT.VLAN_PUSH;
      this.#fields.setUint32(ENTRY.VLAN_PROTO, word(out, at + 12), true);
      this.#fields.setUint32(ENTRY.VLAN_TCI, u16(out, at + 14), true);
    }
    if (!same(bytes, offset, out, at, 12)) {
      edits |= EDIT.MACS;
      copy(out, at, this.entry, ENTRY.MACS, 12);
    }
    return edits;
  }

  /** Edits of the header, or -1. */
  #ipv4(bytes: Uint8Array, l3: number, out: Uint8Array, l3Out: number): number {
    let edits = 0;
    // Version and header length; total length, identification, fragment; protocol.
    if (bytes[l3] !== out[l3Out] || bytes[l3 + 9] !== out[l3Out + 9]) return -1;
    if (!same(bytes, l3 + 2, out, l3Out + 2, 6)) return -1;
    if (!this.#ttl(bytes[l3 + 8], out[l3Out + 8])) return -1;
    if (bytes[l3 + 1] !== out[l3Out + 1]) edits |= EDIT.TOS;
    let sum = 0;
    if (!same(bytes, l3 + 12, out, l3Out + 12, 8)) {
      edits |= EDIT.IPS;
      copy(out, l3Out + 12, this.entry, ENTRY.IPS, 8);
      sum = difference(bytes, l3 + 12, out, l3Out + 12, 8);
      this.#fields.setUint32(ENTRY.L4_ADDRESS_SUM, sum, true);
    }
    if ((edits & EDIT.TOS) !== 0) sum = difference(bytes, l3, out, l3Out, 2, sum);
    const ttl = this.#fields.getUint32(ENTRY.TTL, true);
    if (ttl > 0) sum = fold(sum + 0xffff - ttl);
    this.#fields.setUint32(ENTRY.L3_SUM, sum, true);
    return edits;
  }

  #ipv6(bytes: Uint8Array, l3: number, out: Uint8Array, l3Out: number): number {
    let edits = 0;
    const [first, firstOut] = [u16(bytes, l3), u16(out, l3Out)];
    if (((first ^ firstOut) & 0xf00f) !== 0 || !same(bytes, l3 + 2, out, l3Out + 2, 5)) return -1;
    if (!this.#ttl(bytes[l3 + 7], out[l3Out + 7])) return -1;
    if (first !== firstOut) edits |= EDIT.TOS;
    if (!same(bytes, l3 + 8, out, l3Out + 8, 32)) {
      edits |= EDIT.IPS;
      copy(out, l3Out + 8, this.entry, ENTRY.IPS, 32);
      this.#fields.setUint32(ENTRY.L4_ADDRESS_SUM, difference(bytes, l3 + 8, out, l3Out + 8, 32), true);
    }
    return edits;
  }

  #ttl(before: number, after: number): boolean {
    if (after > before) return false;
    this.#fields.setUint32(ENTRY.TTL, before - after, true);
    return true;
  }

  #transport(bytes: Uint8Array, l4: number, out: Uint8Array, l4Out: number, { ipv6, tcp }: Shape): number {
    const fields = this.#fields;
    let edits = 0;
    if (!same(bytes, l4, out, l4Out, 4)) {
      edits |= EDIT.PORTS;
      copy(out, l4Out, this.entry, ENTRY.PORTS, 4);
      fields.setUint32(ENTRY.L4_SUM, difference(bytes, l4, out, l4Out, 4), true);
    }
    if (edits === 0 && fields.getUint32(ENTRY.L4_ADDRESS_SUM, true) === 0) return edits;
    fields.setUint32(ENTRY.L4_SUM_AT, (ipv6 ? IPV6_L4_OFFSET : IPV4_L4_OFFSET) + (tcp ? 16 : 6), true);
    fields.setUint32(ENTRY.L4_SUM_FLAGS, tcp ? 0 : SUM_FLAG.UDP, true);
    return edits | EDIT.L4_SUM;
  }
}
