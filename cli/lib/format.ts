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

/** Names of OpenFlow's reserved ports. */
const PORT_NAMES: Readonly<Record<number, string>> = {
  4294967288: 'in_port',
  4294967289: 'table',
  4294967290: 'normal',
  4294967291: 'flood',
  4294967292: 'all',
  4294967293: 'controller',
  4294967294: 'local',
};

type Typed = { readonly type: string; readonly [field: string]: unknown };

function detail(value: unknown): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return matchText(value as MatchFields);
  return String(value);
}

/** One action: `output:2`, `set_field:ipv4_dst=10.0.0.9`, `pop_vlan`, `push_vlan:0x8100`. */
function actionText(action: Typed): string {
  const { type, ...fields } = action;
  if (type === 'output') return `output:${PORT_NAMES[Number(fields.port)] ?? fields.port}`;
  if (typeof fields.ethertype === 'number') return `${type}:0x${fields.ethertype.toString(16)}`;
  const values = Object.values(fields).map(detail);
  return values.length === 0 ? type : `${type}:${values.join(',')}`;
}

/** What an entry does: `apply(set_field:ip_dscp=3, output:2) goto:1`; `drop` when it does nothing. */
export function instructionsText(instructions: readonly Typed[]): string {
  const words = instructions.map(({ type, ...fields }) => {
    if (type === 'goto_table') return `goto:${fields.table_id}`;
    if (Array.isArray(fields.actions)) {
      return `${type.replace('_actions', '')}(${(fields.actions as Typed[]).map(actionText).join(', ')})`;
    }
    return actionText({ type, ...fields });
  });
  return words.length === 0 ? 'drop' : words.join(' ');
}
