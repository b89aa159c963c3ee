import { expect, test } from 'vitest';
import { bytes, flowText, integer, matchText, micros } from '../../cli/lib/format.ts';
import { humanLine } from '../../cli/lib/log.ts';
import { quantile } from '../../cli/lib/statistics.ts';
import { style } from '../../cli/lib/style.ts';
import { table } from '../../cli/lib/table.ts';

test.each([
  [0, '0 us'],
  [999.4, '999 us'],
  [1000, '1.00 ms'],
  [1_240_000, '1.24 s'],
])('%d us', (us, text) => {
  expect(micros(us)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_960, '1.0 MB'],
  [64e6, '64.0 MB'],
  [5e15, '5000.0 TB'],
])('%d bytes', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test('numbers have separators, bigints too', () => {
  expect(integer(1234567n)).toBe('1,234,567');
});

test.each([
  [{}, 'any'],
  [{ in_port: 3 }, 'in_port=3'],
  [{ eth_type: 0x806, arp_spa: '10.0.0.1', arp_tpa: '10.0.0.2' }, 'arp 10.0.0.1 > 10.0.0.2'],
  [
    { eth_type: 0x800, ip_proto: 6, ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2', tcp_src: 4, tcp_dst: 80 },
    'tcp 10.0.0.1:4 > 10.0.0.2:80',
  ],
  [{ eth_type: 0x86dd, ip_proto: 58, ipv6_src: 'fe80::1', ipv6_dst: 'ff02::2' }, 'icmpv6 fe80::1 > ff02::2'],
  [{ eth_type: 0x800, ipv4_dst: ['10.1.0.0', '255.255.0.0'] }, 'ip * > 10.1.0.0/255.255.0.0'],
  [{ eth_type: 0x88cc, eth_src: '02:00:00:00:00:01' }, '0x88cc 02:00:00:00:00:01 > *'],
  [{ eth_type: 0x800, ip_proto: 89, ipv4_src: '10.0.0.1' }, 'ip-proto-89 10.0.0.1 > *'],
])('what a flow is, in short (%#)', (match, text) => {
  expect(flowText(match)).toBe(text);
});

test('a whole match names its fields', () => {
  expect(matchText({})).toBe('any');
  expect(
    matchText({ eth_type: 0x800, vlan_vid: [0x1000, 0x1000], ipv4_src: ['10.0.0.0', '255.0.0.0'] }),
  ).toBe('eth_type=0x800 vlan_vid=0x1000/0x1000 ipv4_src=10.0.0.0/255.0.0.0');
});

test('tables are as wide as they must be', () => {
  const rows = [
    { name: 'a', count: 10 },
    { name: 'longer', count: 9 },
  ];
  const lines = table(
    [
      { title: 'NAME', value: (row) => row.name },
      { title: 'COUNT', value: (row) => row.count, align: 'right' },
    ],
    rows,
  );
  expect(lines).toEqual(['NAME    COUNT', 'a          10', 'longer      9']);
  expect(table([{ title: 'NAME', value: () => '' }], [])).toEqual(['NAME']);
});

test('quantiles are values that occurred', () => {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  expect(quantile(values, 0.5)).toBe(50);
  expect(quantile(values, 0.99)).toBe(99);
  expect(quantile(values, 1)).toBe(100);
  expect(quantile([7], 0.99)).toBe(7);
  expect(quantile([], 0.5)).toBe(0);
});

test('colours only where a person watches and wants them', () => {
  expect(style({ isTTY: true }, {}).red('x')).toBe('\x1b[31mx\x1b[0m');
  expect(style({ isTTY: true }, { NO_COLOR: '1' }).red('x')).toBe('x');
  expect(style({}, {}).red('x')).toBe('x');
  expect(style({ isTTY: true }, { TERM: 'dumb' }).live).toBe(false);
});

test('a log line is a sentence with its fields', () => {
  const plain = { dim: (text: string) => text, red: (text: string) => text };
  const at = Date.UTC(2026, 0, 1, 12, 30, 1, 5);
  expect(humanLine(JSON.stringify({ level: 30, time: at, pid: 1, msg: 'ready', port: 6653 }), plain)).toBe(
    '12:30:01.005 ready port=6653\n',
  );
  expect(humanLine(JSON.stringify({ level: 40, time: at, msg: 'odd', detail: { a: 1 } }), plain)).toBe(
    '12:30:01.005 warn odd detail={"a":1}\n',
  );
});
