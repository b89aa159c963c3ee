/** CRC32c as SCTP has it (RFC 9260, appendix A), changed in place without the rest of the packet. */

const TABLE = new Int32Array(256);
for (let i = 0; i < 256; i++) {
  let c = i;
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  TABLE[i] = c;
}

/**
 * What to XOR a packet's CRC with when its first 32-bit word changes by XOR `change` and the packet is
 * `length` bytes long: the CRC is linear, so the bytes that stay do not matter, only how many they are.
 */
export function crc32cChange(change: number, length: number): number {
  let c = 0;
  for (let shift = 24; shift >= 0; shift -= 8) c = TABLE[(c ^ (change >>> shift)) & 255] ^ (c >>> 8);
  for (let i = 4; i < length; i++) c = TABLE[c & 255] ^ (c >>> 8);
  return c;
}
