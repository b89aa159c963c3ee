/** The Internet checksum (RFC 1071), whole and updated in place (RFC 1624). */

/** Ones' complement sum of bytes[offset .. offset+length), added to `sum`; not folded, not inverted. */
export function sum16(bytes: Uint8Array, offset: number, length: number, sum = 0): number {
  const even = offset + (length & ~1);
  let total = sum;
  for (let p = offset; p < even; p += 2) total += (bytes[p] << 8) | bytes[p + 1];
  if ((length & 1) !== 0) total += bytes[even] << 8;
  return total;
}

/** Folds a sum (below 2^32: that of up to 128 kB) to 16 bits. */
export function fold16(sum: number): number {
  let total = sum;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** The checksum of bytes[offset .. offset+length), as it stands in a header whose field is zero. */
export function checksum16(bytes: Uint8Array, offset: number, length: number, sum = 0): number {
  return ~fold16(sum16(bytes, offset, length, sum)) & 0xffff;
}

/** A checksum after one 16-bit word under it changed (RFC 1624, equation 3). */
export function updateChecksum16(checksum: number, before: number, after: number): number {
  return ~fold16((~checksum & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}

/** Sum over the pseudo-header of TCP, UDP or ICMPv6; `l3` is where the IP header starts. Not folded. */
export function pseudoHeaderSum(bytes: Uint8Array, l3: number, proto: number, l4Length: number): number {
  const v6 = bytes[l3] >> 4 === 6;
  const addresses = v6 ? sum16(bytes, l3 + 8, 32) : sum16(bytes, l3 + 12, 8);
  return addresses + proto + (l4Length >>> 16) + (l4Length & 0xffff);
}
