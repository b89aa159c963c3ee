/** What is known of match fields as such: their names by number, and which belong together as source and destination. */
import { basicFields } from './v13/oxm.ts';

export type FieldName = keyof typeof basicFields;

/** OXM basic fields in the order of their numbers (OpenFlow 1.3.5, table 12): FIELD_NAMES[n] is field n. */
export const FIELD_NAMES = Object.keys(basicFields) as readonly FieldName[];

const PAIRS: readonly (readonly [FieldName, FieldName])[] = [
  ['eth_src', 'eth_dst'],
  ['ipv4_src', 'ipv4_dst'],
  ['ipv6_src', 'ipv6_dst'],
  ['tcp_src', 'tcp_dst'],
  ['udp_src', 'udp_dst'],
  ['sctp_src', 'sctp_dst'],
  ['arp_spa', 'arp_tpa'],
  ['arp_sha', 'arp_tha'],
];

/** For a field with a direction, the field that has its value in packets of the other direction. */
export const OPPOSITE_FIELD: ReadonlyMap<string, FieldName> = /* @__PURE__ */ new Map(
  PAIRS.flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]),
);
