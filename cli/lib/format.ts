/** Numbers, matches and flows as people read them. */

/** `950 us`, `1.24 ms`, `3.20 s`. */
export function micros(us: number): string {
  if (us < 1000) return `${Math.round(us)} us`;
  if (us < 1e6) return `${(us / 1000).toFixed(2)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Decimal units: `0 B`, `1.5 kB`, `64.0 MB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** 1234567 as `1,234,567`. */
export function integer(count: number | bigint): string {
  return count.toLocaleString('en-US');
}

export type MatchFields = Readonly<Record<string, unknown>>;

function fieldValue(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((part) => fieldValue(name, part)).join('/');
  if (typeof value === 'number' && (name === 'eth_type' || name === 'vlan_vid'))
    return `0x${value.toString(16)}`;
  return String(value);
}

/** All of a match: `in_port=1 eth_type=0x800 ipv4_src=10.0.0.1`; `any` when it has no field. */
export function matchText(match: MatchFields): string {
  const words = Object.entries(match).map(([name, value]) => `${name}=${fieldValue(name, value)}`);
  return words.length === 0 ? 'any' : words.join(' ');
}

const IP_PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
};
const ETHER_TYPES: Readonly<Record<number, string>> = {
  2048: 'ip',
  2054: 'arp',
  34525: 'ipv6',
  33024: 'vlan',
};

/** What a flow is, in short: `tcp 10.0.0.1:40000 > 10.0.0.2:80`, `arp 10.0.0.1 > 10.0.0.2`. */
export function flowText(match: MatchFields): string {
  const type = match.eth_type as number | undefined;
  const source = match.ipv4_src ?? match.ipv6_src ?? match.arp_spa ?? match.eth_src;
  const target = match.ipv4_dst ?? match.ipv6_dst ?? match.arp_tpa ?? match.eth_dst;
  if (source === undefined && target === undefined) return matchText(match);
  const protocol = match.ip_proto as number | undefined;
  const name =
    protocol !== undefined
      ? (IP_PROTOCOLS[protocol] ?? `ip-proto-${protocol}`)
      : type === undefined
        ? 'any'
        : (ETHER_TYPES[type] ?? `0x${type.toString(16)}`);
  const port = (end: 'src' | 'dst') => {
    const value = match[`tcp_${end}`] ?? match[`udp_${end}`] ?? match[`sctp_${end}`];
    return value === undefined ? '' : `:${fieldValue('port', value)}`;
  };
  const side = (value: unknown, end: 'src' | 'dst') =>
    `${value === undefined ? '*' : fieldValue('address', value)}${port(end)}`;
  return `${name} ${side(source, 'src')} > ${side(target, 'dst')}`;
}
