import { expect, test } from 'vitest';
import { matchKey, portlessKey } from '../../controller/match.ts';
import type { Match } from '../../openflow/index.ts';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const there: Match = {
  in_port: 1,
  eth_dst: B,
  eth_src: A,
  eth_type: 0x0800,
  ip_proto: 6,
  ipv4_src: '10.0.0.1',
  ipv4_dst: '10.0.0.2',
  tcp_src: 1000,
  tcp_dst: 80,
};
const back: Match = {
  in_port: 2,
  eth_dst: A,
  eth_src: B,
  eth_type: 0x0800,
  ip_proto: 6,
  ipv4_src: '10.0.0.2',
  ipv4_dst: '10.0.0.1',
  tcp_src: 80,
  tcp_dst: 1000,
};
const reversed = (match: Match): Match => Object.fromEntries(Object.entries(match).reverse()) as Match;

test('equal matches have equal keys, whatever order their fields were written in', () => {
  for (const mirrored of [false, true]) {
    expect(matchKey(reversed(there), mirrored)).toBe(matchKey(there, mirrored));
  }
  expect(portlessKey(reversed(there))).toBe(portlessKey(there));
});

test('matches that differ in a value or a field have different keys', () => {
  const keys = [there, { ...there, tcp_dst: 81 }, { ...there, in_port: 2 }, { ...there, cell: 1 }, back, {}];
  expect(new Set(keys.map((match) => matchKey(match))).size).toBe(keys.length);
});

test('a field that is undefined is not there', () => {
  expect(matchKey({ ...there, vlan_vid: undefined } as unknown as Match)).toBe(matchKey(there));
});

test.each([
  ['a connection', there, back],
  ['a source alone', { eth_src: A }, { eth_dst: A }],
  ['ports and no addresses', { udp_src: 1, eth_type: 0x800 }, { udp_dst: 1, eth_type: 0x800 }],
  [
    'an address with a mask',
    { ipv4_src: ['10.0.0.0', '255.0.0.0'] },
    { ipv4_dst: ['10.0.0.0', '255.0.0.0'] },
  ],
] as [string, Match, Match][])('the key of the other direction: %s', (_title, match, opposite) => {
  expect(matchKey(match, true)).toBe(portlessKey(opposite));
  expect(matchKey(opposite, true)).toBe(portlessKey(match));
});
