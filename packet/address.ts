/** Addresses as people write them, to and from integers. */

const COLON = 58;
const DOT = 46;

const hexDigit = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : Number.NaN;
};

/** 'aa:bb:cc:dd:ee:ff' as a 48-bit number, NaN when it is not a MAC address. */
export function macNumber(text: string): number {
  if (text.length !== 17) return Number.NaN;
  let value = 0;
  for (let at = 0; at < 17; at += 3) {
    if (at > 0 && text.charCodeAt(at - 1) !== COLON) return Number.NaN;
    value = value * 256 + hexDigit(text.charCodeAt(at)) * 16 + hexDigit(text.charCodeAt(at + 1));
  }
  return value;
}

/** The same as a bigint. Throws RangeError when it is not a MAC address. */
export function parseMac(text: string): bigint {
  const value = macNumber(text);
  if (Number.isNaN(value)) throw new RangeError(`'${text}' is not a MAC address (aa:bb:cc:dd:ee:ff)`);
  return BigInt(value);
}

/** A 48-bit integer as 'aa:bb:cc:dd:ee:ff'. */
export function formatMac(value: bigint): string {
  return value
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}

/** Code of the hexadecimal digit of 0 to 15. */
const digit = (value: number): number => value + (value < 10 ? 48 : 87);

/** The MAC address that stands in the 6 bytes at `at`. A string in one piece: several times as quick as joining six. */
export function macAt(bytes: Uint8Array, at: number): string {
  const a = bytes[at];
  const b = bytes[at + 1];
  const c = bytes[at + 2];
  const d = bytes[at + 3];
  const e = bytes[at + 4];
  const f = bytes[at + 5];
  // biome-ignore format: one line for each byte
  return String.fromCharCode(
    digit(a >> 4), digit(a & 15), COLON,
    digit(b >> 4), digit(b & 15), COLON,
    digit(c >> 4), digit(c & 15), COLON,
    digit(d >> 4), digit(d & 15), COLON,
    digit(e >> 4), digit(e & 15), COLON,
    digit(f >> 4), digit(f & 15),
  );
}

/** '10.0.0.1' as an unsigned 32-bit number, NaN when it is not an IPv4 address. */
export function ipv4Number(text: string): number {
  let value = 0;
  let byte = 0;
  let digits = 0;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT && digits > 0) {
      value = value * 256 + byte;
      byte = 0;
      digits = 0;
      dots++;
    } else if (code >= 48 && code <= 57 && ++digits <= 3) {
      byte = byte * 10 + (code - 48);
      if (byte > 255) return Number.NaN;
    } else return Number.NaN;
  }
  return dots === 3 && digits > 0 ? value * 256 + byte : Number.NaN;
}

/** The same. Throws RangeError when it is not an IPv4 address. */
export function parseIpv4(text: string): number {
  const value = ipv4Number(text);
  if (Number.isNaN(value)) throw new RangeError(`'${text}' is not an IPv4 address`);
  return value;
}

/** An unsigned 32-bit number as '10.0.0.1'. */
export function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** 'fe80::1' or '::ffff:10.0.0.1' as a 128-bit integer. Throws RangeError when it is not an IPv6 address. */
export function parseIpv6(text: string): bigint {
  const bad = () => new RangeError(`'${text}' is not an IPv6 address`);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const low = parseIpv4(dotted[2]);
    return parseIpv6(`${dotted[1]}${(low >>> 16).toString(16)}:${(low & 0xffff).toString(16)}`);
  }
  const halves = text.split('::');
  if (halves.length > 2) throw bad();
  const groups = (half: string) => (half === '' ? [] : half.split(':'));
  const head = groups(halves[0]);
  const tail = halves.length === 2 ? groups(halves[1]) : [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) throw bad();
  let value = 0n;
  for (const group of [...head, ...Array<string>(missing).fill('0'), ...tail]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) throw bad();
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

/** A 128-bit integer in the canonical text form (RFC 5952, without dotted quads). */
export function formatIpv6(value: bigint): string {
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((value >> shift) & 0xffffn).toString(16));
  let best = 0;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === '0') length++;
    if (length > bestLength) [best, bestLength] = [i, length];
  }
  if (bestLength < 2) return groups.join(':');
  return `${groups.slice(0, best).join(':')}::${groups.slice(best + bestLength).join(':')}`;
}
