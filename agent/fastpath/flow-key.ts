/** The flow key of a received frame, exactly as the kernel's filter makes it (programs.ts). */
import { KEY, KEY_SPACE } from './layout.ts';

const TCP = 6;
const UDP = 17;
const TCP_HEADER = 20;
const UDP_HEADER = 8;

/** Where L3 and L4 of a frame begin, from the Ethernet header, which a tag is part of. */
export interface Shape {
  l3: number;
  l4: number;
  ipv6: boolean;
  tcp: boolean;
}

export const emptyShape = (): Shape => ({ l3: 0, l4: 0, ipv6: false, tcp: false });

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

/** Finds the headers; false for a frame that the kernel leaves to the cells. Reads nothing behind `length`. */
export const shapeOf = (bytes: Uint8Array, offset: number, length: number, shape: Shape): boolean => {
  if (length < 38) return false;
  const outer = u16(bytes, offset + 12);
  const tagged = outer === 0x8100 || outer === 0x88a8;
  const l3 = tagged ? 18 : 14;
  const type = tagged ? u16(bytes, offset + 16) : outer;
  const p = offset + l3;
  shape.l3 = l3;
  if (type === 0x0800) {
    if (length < l3 + 24 || bytes[p] !== 0x45 || (u16(bytes, p + 6) & 0x3fff) !== 0) return false;
    shape.ipv6 = false;
    shape.l4 = l3 + 20;
    return transport(shape, bytes[p + 9], u16(bytes, p + 2) - 20);
  }
  if (type !== 0x86dd || length < l3 + 44 || bytes[p] >> 4 !== 6) return false;
  shape.ipv6 = true;
  shape.l4 = l3 + 40;
  return transport(shape, bytes[p + 6], u16(bytes, p + 4));
};

/** `length`: of what is behind the IP header, as that says. */
const transport = (shape: Shape, proto: number, length: number): boolean => {
  shape.tcp = proto === TCP;
  return shape.tcp ? length >= TCP_HEADER : proto === UDP && length >= UDP_HEADER;
};

/** Fills the key (KEY_SPACE bytes) of a frame that has this shape. */
export const writeKey = (
  bytes: Uint8Array,
  offset: number,
  { l3, ipv6 }: Shape,
  ifindex: number,
  key: Uint8Array,
): void => {
  key[0] = ifindex;
  key[1] = ifindex >>> 8;
  key[2] = ifindex >>> 16;
  key[3] = ifindex >>> 24;
  if (l3 === 14) {
    key[KEY.VLAN] = 0;
    key[KEY.VLAN + 1] = 0;
    key[KEY.VLAN + 2] = 0;
    key[KEY.VLAN + 3] = 0;
  } else {
    key[KEY.VLAN] = bytes[offset + 15];
    key[KEY.VLAN + 1] = bytes[offset + 14];
    key[KEY.VLAN + 2] = bytes[offset + 12];
    key[KEY.VLAN + 3] = bytes[offset + 13];
  }
  for (let i = 0; i < 12; i++) key[KEY.ETHERNET + i] = bytes[offset + i];
  const p = offset + l3;
  key[KEY.ETH_TYPE] = bytes[p - 2];
  key[KEY.ETH_TYPE + 1] = bytes[p - 1];
  let from = p + 12;
  let to: number = KEY.ADDRESSES;
  if (ipv6) {
    key[KEY.PROTO] = bytes[p + 6];
    key[KEY.TOS] = (u16(bytes, p) >> 4) & 0xff;
    from = p + 8;
  } else {
    key[KEY.PROTO] = bytes[p + 9];
    key[KEY.TOS] = bytes[p + 1];
  }
  for (const end = p + (ipv6 ? 44 : 24); from < end; from++) key[to++] = bytes[from];
  while (to < KEY_SPACE) key[to++] = 0;
};

/** Differs per process, so that nobody outside can choose flows that share a place. */
const SEED = Math.floor(Math.random() * 0x1_0000_0000) | 0;

/** Over the words of a key. Never 0. */
export const hashOf = (words: Int32Array): number => {
  let hash = SEED;
  for (let i = 0; i < 15; i++) {
    hash = Math.imul(hash ^ words[i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return (Math.imul(hash, 0x85ebca6b) ^ (hash >>> 13)) | 1;
};
