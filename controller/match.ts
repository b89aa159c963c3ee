/** Matches as flow identities: names of the fields, canonical keys, and the other direction of a connection. */

import { FIELD_NAMES, type FieldName, type Match, OPPOSITE_FIELD } from '../openflow/index.ts';
import { FlowcellError } from './errors.ts';

/** The `fields` bit set of DISPATCH_CONFIG. */
export function fieldBits(names: Iterable<string>): bigint {
  let bits = 0n;
  for (const name of names) {
    const field = FIELD_NAMES.indexOf(name as FieldName);
    if (field < 0) {
      throw new FlowcellError(
        'FC_FIELD_UNKNOWN',
        `'${name}' is not an OpenFlow match field; use the names of the specification, such as eth_src`,
      );
    }
    bits |= 1n << BigInt(field);
  }
  return bits;
}

/** The default flow before a rule exists: VLAN, MAC addresses and the 5-tuple (docs/architecture.md). */
export const FIVE_TUPLE_FIELDS: readonly FieldName[] = [
  'eth_dst',
  'eth_src',
  'eth_type',
  'vlan_vid',
  'ip_proto',
  'ipv4_src',
  'ipv4_dst',
  'tcp_src',
  'tcp_dst',
  'udp_src',
  'udp_dst',
  'sctp_src',
  'sctp_dst',
  'ipv6_src',
  'ipv6_dst',
];

const KEY_ORDER: readonly string[] = [...FIELD_NAMES, 'cell'];

/** Where a field stands in a key, and the field of the other direction (itself where there is none). */
interface KeyField {
  readonly index: number;
  readonly opposite: string;
}
const KEY_FIELDS: ReadonlyMap<string, KeyField> = new Map(
  KEY_ORDER.map((name, index) => [name, { index, opposite: OPPOSITE_FIELD.get(name) ?? name }]),
);
/** in_port and in_phy_port are the first two. */
const FIRST_BEHIND_PORTS = 2;

/**
 * A string that is equal for equal matches, whatever order their fields were written in. `mirrored` gives the
 * key of the other direction: sources and destinations swapped, without the ingress port (a rule for both
 * directions takes answers from any port).
 */
export function matchKey(match: Match, mirrored = false): string {
  return keyOf(match as Record<string, unknown>, mirrored ? FIRST_BEHIND_PORTS : 0, mirrored);
}

/** The key of a match without its ingress port: what `matchKey(m, true)` of the opposite direction gives. */
export function portlessKey(match: Match): string {
  return keyOf(match as Record<string, unknown>, FIRST_BEHIND_PORTS, false);
}

/**
 * Matches come off the wire in the order of the key, so their own fields are gone through, which are few, and not all
 * there are. What is in another order, or has no opposite, takes the long way.
 */
function keyOf(fields: Record<string, unknown>, first: number, mirrored: boolean): string {
  let key = '';
  let last = -1;
  for (const name in fields) {
    const field = KEY_FIELDS.get(name);
    if (field === undefined || fields[name] === undefined) continue;
    const { index, opposite } = field;
    const value = fields[mirrored ? opposite : name];
    if (index < last || value === undefined) return sortedKey(fields, first, mirrored);
    last = index;
    if (index >= first) key += `${index}=${String(value)};`;
  }
  return key;
}

function sortedKey(fields: Record<string, unknown>, first: number, mirrored: boolean): string {
  let key = '';
  for (let i = first; i < KEY_ORDER.length; i++) {
    const name = KEY_ORDER[i];
    const value = fields[mirrored ? (OPPOSITE_FIELD.get(name) ?? name) : name];
    if (value !== undefined) key += `${i}=${String(value)};`;
  }
  return key;
}
