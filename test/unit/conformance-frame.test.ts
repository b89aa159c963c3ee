/** Expected bytes are os-ken's (test/conformance/osken-frames.py). */
import { expect, test } from 'vitest';
import { extractKey, KEY_WORDS } from '../../packet/index.ts';
import { ExpressionError } from '../conformance/expression.ts';
import { FrameTemplate, sequence } from '../conformance/frame.ts';
import { frameMatcher } from '../conformance/rates.ts';

const hex = (...expressions: string[]) =>
  Buffer.from(new FrameTemplate(expressions).build(sequence(1))).toString('hex');

test('TCP over IPv4: lengths and checksums are filled in', () => {
  expect(
    hex(
      "ethernet(dst='22:22:22:22:22:22', src='12:11:11:11:11:11', ethertype=2048)",
      "ipv4(tos=32, proto=6, src='192.168.10.10', dst='192.168.20.20', ttl=64)",
      "tcp(dst_port=2222, option=bytes(b'\\x00' * 4), src_port=11111)",
      "b'\\x01\\x02'",
    ),
  ).toBe(
    '22222222222212111111111108004520002e000000004006db3bc0a80a0ac0a81414' +
      '2b6708ae000000000000000060000000cb580000000000000102',
  );
});

test('SCTP has the CRC32c of RFC 9260', () => {
  const frame = hex(
    'ethernet(ethertype=2048)',
    'ipv4(proto=132)',
    "sctp(chunks=[chunk_data(payload_data=b'\\x01\\x23\\x45\\x67\\x89\\xab\\xcd\\xef')], dst_port=2222, src_port=11111)",
  );
  expect(frame.slice(2 * 34)).toBe(
    '2b6708ae00000000c2a9f2df000000180000000000000000000000000123456789abcdef',
  );
});

test('an Ethernet header pads what it carries, inside a PBB tag too', () => {
  expect(hex('ethernet(ethertype=2054)', 'arp()')).toHaveLength(2 * 60);
  const pbb = hex('ethernet(ethertype=35047)', 'itag(sid=100)', 'ethernet(ethertype=2054)', 'arp()');
  expect(pbb).toHaveLength(2 * (14 + 4 + 60));
  expect(pbb.slice(28, 36)).toBe('00000064');
});

test('tags and labels bit by bit', () => {
  expect(hex('vlan(pcp=3, cfi=1, vid=100, ethertype=2048)')).toBe('70640800');
  expect(hex('mpls(bsb=1, label=100, exp=3, ttl=64)')).toBe('00064740');
  expect(hex('svlan(vid=10)')).toBe('000a8100');
});

test('random frames differ, are the same in every run, and parse', () => {
  const template = new FrameTemplate([
    'ethernet(dst=netaddr.EUI(randint(0, 2 ** 48 - 1)), src=netaddr.EUI(randint(0, 2 ** 48 - 1) & 0xfeffffffffff), ethertype=2048)',
    'ipv4(proto=6, dst=netaddr.IPAddress(randint(0, 2 ** 32 - 1)), src=netaddr.IPAddress(randint(5, 5)))',
    'tcp(dst_port=randint(7, 8), src_port=1)',
  ]);
  expect(template.random).toBe(true);
  const random = sequence(1);
  const frames = Array.from({ length: 50 }, () => Buffer.from(template.build(random)).toString('hex'));
  expect(new Set(frames).size).toBe(50);
  expect(frames[0]).toBe(Buffer.from(template.build(sequence(1))).toString('hex'));
  for (const frame of frames) {
    const bytes = Buffer.from(frame, 'hex');
    expect(bytes[6] & 1).toBe(0);
    expect(bytes.subarray(26, 30)).toEqual(Buffer.from([0, 0, 0, 5]));
    expect([7, 8]).toContain(bytes.readUInt16BE(36));
    expect(() => extractKey(bytes, 0, bytes.length, 1, new Uint32Array(KEY_WORDS))).not.toThrow();
  }
});

test.each([
  ['ipv4(colour=1)', /no parameter/],
  ['vlan(1, 2, 3, 4, 5)', /fewer arguments/],
  ['itag(sid=2 ** 24)', /value/],
  ['ethernet(dst=5)', /not an address/],
  ['tcp()', /IP header/],
])('refuses %s', (expression, message) => {
  expect(() => hex(expression)).toThrow(message);
  expect(() => hex(expression)).toThrow(ExpressionError);
});

test('tells frames apart by port, Ethernet type and DSCP', () => {
  const v4 = new FrameTemplate(['ethernet()', 'ipv4(tos=80, proto=6)', 'tcp()']).build(sequence(1));
  const v6 = new FrameTemplate(['ethernet(ethertype=34525)', 'ipv6(traffic_class=80)', 'tcp()']);
  const af22 = frameMatcher({ in_port: 2, eth_type: 0x0800, ip_dscp: 20 });
  expect(af22(v4, 2)).toBe(true);
  expect(af22(v4, 3)).toBe(false);
  expect(af22(v6.build(sequence(1)), 2)).toBe(false);
  expect(frameMatcher({ eth_type: 0x86dd, ip_dscp: 20 })(v6.build(sequence(1)), 2)).toBe(true);
  expect(frameMatcher({ ip_dscp: 18 })(v4, 2)).toBe(false);
  expect(() => frameMatcher({ tcp_src: 1 })).toThrow(/tcp_src/);
});
