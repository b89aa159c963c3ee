/** CRC32c as SCTP has it (RFC 9260, appendix A), changed in place without the rest of the packet. */

/** Made when first needed: hardly any cell meets SCTP. */
let table: Int32Array | undefined;

function makeTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, i) => {
    let c = i;
    for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    return c;
  });
}

/**
 * What to XOR a packet's CRC with when its first 32-bit word changes by XOR `change` and the packet is
 * `length` bytes long: the CRC is linear, so the bytes that stay do not matter, only how many they are.
 */
export function crc32cChange(change: number, length: number): number {
  table ??= makeTable();
  let c = 0;
  for (let shift = 24; shift >= 0; shift -= 8) c = table[(c ^ (change >>> shift)) & 255] ^ (c >>> 8);
  for (let i = 4; i < length; i++) c = table[c & 255] ^ (c >>> 8);
  return c;
}
