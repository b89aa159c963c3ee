import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arp,
  ethernet,
  extractKey,
  FIELD_BY_NAME,
  FIELDS,
  formatIpv6,
  formatMac,
  getField,
  icmp,
  ipv4,
  ipv6,
  KEY_WORDS,
  macAt,
  neighbour,
  parseIpv4,
  parseIpv6,
  parseMac,
  putField,
  sctp,
  tcp,
  udp,
  vlan,
} from '../../packet/index.ts';

function keyOf(frame: Uint8Array, length = frame.length) {
  const key = new Uint32Array(KEY_WORDS).fill(0xdeadbeef);
  const at = { l3: -1, l4: -1 };
  // Somewhere inside a larger buffer of noise, so that reading outside the frame shows.
  const bytes = new Uint8Array(frame.length + 200).fill(0xa5);
  bytes.set(frame, 100);
  extractKey(bytes, 100, length, 7, key, at);
  return { key, at };
}

function fields(frame: Uint8Array, ...names: string[]): Record<string, bigint> {
  const { key } = keyOf(frame);
  return Object.fromEntries(names.map((name) => [name, getField(FIELD_BY_NAME.get(name)!, key)]));
}

const ip4 = (text: string) => BigInt(parseIpv4(text));

describe('extractKey', () => {
  it('reads Ethernet, IPv4 and L4 ports of TCP, UDP and SCTP', () => {
    for (const [proto, payload, name] of [
      [6, tcp({ src: 1234, dst: 80 }), 'tcp'],
      [17, udp({ src: 1234, dst: 80 }), 'udp'],
      [132, sctp({ src: 1234, dst: 80 }), 'sctp'],
    ] as const) {
      const frame = ethernet({
        src: '00:11:22:33:44:55',
        dst: '66:77:88:99:aa:bb',
        type: 0x0800,
        payload: ipv4({ src: '192.0.2.1', dst: '198.51.100.9', proto, dscp: 46, ecn: 1, payload }),
      });
      const names = ['in_port', 'in_phy_port', 'eth_src', 'eth_dst', 'eth_type', 'vlan_vid', 'ip_proto'];
      expect(fields(frame, ...names, 'ip_dscp', 'ip_ecn', 'ipv4_src', 'ipv4_dst')).toEqual({
        in_port: 7n,
        in_phy_port: 7n,
        eth_src: parseMac('00:11:22:33:44:55'),
        eth_dst: parseMac('66:77:88:99:aa:bb'),
        eth_type: 0x800n,
        vlan_vid: 0n,
        ip_proto: BigInt(proto),
        ip_dscp: 46n,
        ip_ecn: 1n,
        ipv4_src: ip4('192.0.2.1'),
        ipv4_dst: ip4('198.51.100.9'),
      });
      expect(fields(frame, `${name}_src`, `${name}_dst`)).toEqual({
        [`${name}_src`]: 1234n,
        [`${name}_dst`]: 80n,
      });
      expect(keyOf(frame).at).toEqual({ l3: 14, l4: 34 });
    }
  });

  it('takes vlan_vid and vlan_pcp from the outer tag and eth_type from behind all tags', () => {
    const plain = ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp() }) });
    const double = vlan(vlan(plain, { vid: 20, pcp: 1 }), { vid: 300, pcp: 6, tpid: 0x88a8 });
    expect(fields(double, 'vlan_vid', 'vlan_pcp', 'eth_type', 'udp_dst')).toEqual({
      vlan_vid: 0x1000n | 300n,
      vlan_pcp: 6n,
      eth_type: 0x800n,
      udp_dst: 2000n,
    });
    expect(keyOf(double).at).toEqual({ l3: 22, l4: 42 });
    // A priority tag (VLAN 0) is a tag all the same.
    expect(fields(vlan(plain, { vid: 0, pcp: 5 }), 'vlan_vid', 'vlan_pcp')).toEqual({
      vlan_vid: 0x1000n,
      vlan_pcp: 5n,
    });
  });

  it('reads ARP, ICMP, MPLS and PBB', () => {
    const request = arp({
      op: 2,
      sha: '00:00:00:00:00:0a',
      spa: '10.1.2.3',
      tha: '00:00:00:00:00:0b',
      tpa: '10.3.2.1',
    });
    const names = ['arp_op', 'arp_sha', 'arp_spa', 'arp_tha', 'arp_tpa'];
    expect(fields(ethernet({ type: 0x0806, payload: request }), ...names)).toEqual({
      arp_op: 2n,
      arp_sha: 10n,
      arp_spa: ip4('10.1.2.3'),
      arp_tha: 11n,
      arp_tpa: ip4('10.3.2.1'),
    });
    const ping = ethernet({ type: 0x0800, payload: ipv4({ proto: 1, payload: icmp({ type: 3, code: 4 }) }) });
    expect(fields(ping, 'icmpv4_type', 'icmpv4_code')).toEqual({ icmpv4_type: 3n, icmpv4_code: 4n });
    const mpls = ethernet({ type: 0x8847, payload: Uint8Array.of(0x12, 0x34, 0x5b, 64) });
    expect(fields(mpls, 'mpls_label', 'mpls_tc', 'mpls_bos')).toEqual({
      mpls_label: 0x12345n,
      mpls_tc: 5n,
      mpls_bos: 1n,
    });
    const pbb = ethernet({ type: 0x88e7, payload: Uint8Array.of(0xf7, 0xab, 0xcd, 0xef) });
    expect(fields(pbb, 'pbb_isid', 'pbb_uca')).toEqual({ pbb_isid: 0xabcdefn, pbb_uca: 0n });
    const uca = ethernet({ type: 0x88e7, payload: Uint8Array.of(0x08, 0, 0, 0) });
    expect(fields(uca, 'pbb_isid', 'pbb_uca')).toEqual({ pbb_isid: 0n, pbb_uca: 1n });
  });

  it('reads IPv6 and neighbour discovery', () => {
    const solicit = neighbour({ type: 135, target: 'fe80::99', linkAddress: '02:00:00:00:00:77' });
    const frame = ethernet({
      type: 0x86dd,
      payload: ipv6({
        src: 'fe80::1',
        dst: 'ff02::1:ff00:99',
        proto: 58,
        trafficClass: 0xb9,
        flabel: 0xabcde,
        payload: solicit,
      }),
    });
    const names = ['ipv6_src', 'ipv6_dst', 'ipv6_flabel', 'ip_dscp', 'ip_ecn', 'ip_proto', 'icmpv6_type'];
    expect(fields(frame, ...names, 'ipv6_nd_target', 'ipv6_nd_sll', 'ipv6_exthdr')).toEqual({
      ipv6_src: parseIpv6('fe80::1'),
      ipv6_dst: parseIpv6('ff02::1:ff00:99'),
      ipv6_flabel: 0xabcden,
      ip_dscp: 46n,
      ip_ecn: 1n,
      ip_proto: 58n,
      icmpv6_type: 135n,
      ipv6_nd_target: parseIpv6('fe80::99'),
      ipv6_nd_sll: parseMac('02:00:00:00:00:77'),
      ipv6_exthdr: 0n,
    });
    const advert = neighbour({ type: 136, target: 'fe80::99', linkAddress: '02:00:00:00:00:78' });
    const reply = ethernet({ type: 0x86dd, payload: ipv6({ proto: 58, payload: advert }) });
    expect(fields(reply, 'ipv6_nd_tll').ipv6_nd_tll).toBe(parseMac('02:00:00:00:00:78'));
  });

  describe('IPv6 extension headers', () => {
    const header = (next: number, words = 0) => {
      const bytes = new Uint8Array(8 + 8 * words);
      bytes[0] = next;
      bytes[1] = words;
      return bytes;
    };
    const chain = (first: number, ...parts: Uint8Array[]) =>
      ethernet({
        type: 0x86dd,
        payload: ipv6({ proto: first, payload: Uint8Array.from(parts.flatMap((part) => [...part])) }),
      });
    const seen = (frame: Uint8Array) => Number(fields(frame, 'ipv6_exthdr').ipv6_exthdr);

    it('finds L4 behind them', () => {
      const frame = chain(0, header(60), header(43), header(44, 1), header(6), tcp({ src: 5, dst: 6 }));
      // hop-by-hop, destination, routing (with one more word), fragment
      const ordered = chain(0, header(60), header(43), header(6, 1), tcp({ src: 5, dst: 6 }));
      expect(fields(ordered, 'ip_proto', 'tcp_src', 'tcp_dst')).toEqual({
        ip_proto: 6n,
        tcp_src: 5n,
        tcp_dst: 6n,
      });
      expect(seen(ordered)).toBe(64 | 8 | 32);
      expect(seen(frame) & 16).toBe(16);
    });

    it('tells repeated and misplaced ones', () => {
      expect(seen(chain(43, header(0), header(6), tcp()))).toBe(32 | 64 | 256);
      expect(seen(chain(43, header(43), header(6), tcp()))).toBe(32 | 128);
      // Twice is in order for the destination header when the routing header stands between.
      expect(seen(chain(60, header(43), header(60), header(6), tcp()))).toBe(8 | 32);
    });

    it('stops at ESP, at "no next header" and after eight', () => {
      expect(seen(chain(50, new Uint8Array(16)))).toBe(2);
      expect(fields(chain(59), 'ip_proto', 'ipv6_exthdr')).toEqual({ ip_proto: 59n, ipv6_exthdr: 1n });
      const many = Array.from({ length: 12 }, (_, i) => header(i === 11 ? 6 : 60));
      expect(keyOf(chain(60, ...many, tcp())).at.l4).toBe(0);
    });

    it('finds no L4 in a later fragment', () => {
      const fragment = header(17);
      fragment[3] = 8;
      const frame = chain(44, fragment, udp({ src: 7, dst: 8 }));
      expect(fields(frame, 'ip_proto', 'udp_src')).toEqual({ ip_proto: 17n, udp_src: 0n });
      expect(keyOf(frame).at.l4).toBe(0);
    });
  });

  it('finds no L4 in later IPv4 fragments, and in the first', () => {
    const part = (fragmentOffset: number) =>
      ethernet({
        type: 0x0800,
        payload: ipv4({ proto: 17, fragmentOffset, moreFragments: true, payload: udp({ src: 9, dst: 10 }) }),
      });
    expect(fields(part(0), 'udp_src')).toEqual({ udp_src: 9n });
    expect(fields(part(64), 'udp_src', 'ip_proto')).toEqual({ udp_src: 0n, ip_proto: 17n });
  });

  it('takes padding after a short IP packet for padding', () => {
    const frame = new Uint8Array(60).fill(0xff);
    frame.set(ethernet({ type: 0x0800, payload: ipv4({ proto: 6 }) }));
    expect(fields(frame, 'ip_proto', 'tcp_src')).toEqual({ ip_proto: 6n, tcp_src: 0n });
  });

  it('knows 802.3 frames', () => {
    const llc = ethernet({ type: 38, payload: Uint8Array.from([0x42, 0x42, 3, ...new Array(35).fill(0)]) });
    expect(fields(llc, 'eth_type')).toEqual({ eth_type: 0x05ffn });
    const snap = ethernet({ type: 8, payload: Uint8Array.of(0xaa, 0xaa, 3, 0, 0, 0, 0x20, 0x00) });
    expect(fields(snap, 'eth_type')).toEqual({ eth_type: 0x2000n });
  });

  it('uses nothing beyond the given length', () => {
    const frame = vlan(
      ethernet({
        type: 0x86dd,
        payload: ipv6({
          proto: 58,
          payload: neighbour({ type: 136, target: 'fe80::9', linkAddress: '02:00:00:00:00:78' }),
        }),
      }),
      { vid: 3 },
    );
    for (let length = 0; length <= frame.length; length++) {
      // The same prefix followed by other bytes must give the same key.
      const other = frame.map((byte, i) => (i < length ? byte : byte ^ 0xff));
      expect(keyOf(other, length).key).toEqual(keyOf(frame, length).key);
    }
  });

  it('never throws and is a function of the bytes alone, whatever they are', () => {
    const interesting = fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847, 0x88e7, 0x0026);
    const frame = fc
      .tuple(interesting, fc.uint8Array({ maxLength: 120 }))
      .map(([type, rest]) => ethernet({ type, payload: rest }));
    fc.assert(
      fc.property(fc.oneof(frame, fc.uint8Array({ maxLength: 120 })), fc.nat(120), (bytes, length) => {
        const first = keyOf(bytes, Math.min(length, bytes.length));
        const second = keyOf(bytes, Math.min(length, bytes.length));
        expect(second).toEqual(first);
        expect(first.key[0]).toBe(7);
        expect(first.at.l4).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('FIELDS', () => {
  it('has the 40 basic fields of 1.3, and pbb_uca, with the sizes of the specification', () => {
    expect(FIELDS.map(({ bits }) => bits)).toEqual([
      32, 32, 64, 48, 48, 16, 13, 3, 6, 2, 8, 32, 32, 16, 16, 16, 16, 16, 16, 8, 8, 16, 32, 32, 48, 48, 128,
      128, 20, 8, 8, 128, 48, 48, 20, 3, 1, 24, 64, 9, 1,
    ]);
  });

  it('stores and reads every field back', () => {
    for (const field of FIELDS) {
      const key = new Uint32Array(KEY_WORDS);
      const value = 0x123456789abcdef0fedcba9876543210n & ((1n << BigInt(field.bits)) - 1n);
      putField(field, value, key);
      expect(getField(field, key)).toBe(value);
      putField(field, 0n, key);
      expect(key).toEqual(new Uint32Array(KEY_WORDS));
    }
  });

  it('lets fields share bits only if no packet has both', () => {
    const groups: Record<string, string> = {
      ipv4: 'ipv4_src ipv4_dst',
      arp: 'arp_op arp_spa arp_tpa arp_sha arp_tha',
      ipv6: 'ipv6_src ipv6_dst ipv6_flabel ipv6_exthdr',
      common: 'in_port in_phy_port metadata eth_dst eth_src eth_type vlan_vid vlan_pcp tunnel_id',
      ip: 'ip_dscp ip_ecn ip_proto',
      nd: 'ipv6_nd_target ipv6_nd_sll ipv6_nd_tll icmpv6_type icmpv6_code',
      tcp: 'tcp_src tcp_dst',
    };
    const together = [
      ['common', 'ip', 'ipv4', 'tcp'],
      ['common', 'ip', 'ipv6', 'tcp'],
      ['common', 'ip', 'ipv6', 'nd'],
      ['common', 'arp'],
    ];
    for (const kinds of together) {
      const used = new Uint32Array(KEY_WORDS);
      for (const name of kinds.flatMap((kind) => groups[kind].split(' '))) {
        const field = FIELD_BY_NAME.get(name)!;
        expect([name, getField(field, used)]).toEqual([name, 0n]);
        putField(field, (1n << BigInt(field.bits)) - 1n, used);
      }
    }
  });
});

describe('addresses', () => {
  it('go to numbers and back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        const sparse = value & 0xffff0000000000000000ffff0000ffffn;
        expect(parseIpv6(formatIpv6(value))).toBe(value);
        expect(parseIpv6(formatIpv6(sparse))).toBe(sparse);
        expect(parseMac(formatMac(value & 0xffffffffffffn))).toBe(value & 0xffffffffffffn);
        const bytes = new Uint8Array(9);
        new DataView(bytes.buffer).setBigUint64(1, value & 0xffffffffffffn);
        expect(macAt(bytes, 3)).toBe(formatMac(value & 0xffffffffffffn));
      }),
    );
    expect(formatIpv6(parseIpv6('2001:0DB8:0:0:1:0:0:0'))).toBe('2001:db8:0:0:1::');
    expect(parseIpv6('::ffff:10.0.0.1')).toBe(0xffff0a000001n);
  });

  it('are refused when malformed', () => {
    for (const text of ['1.2.3', '1.2.3.256', '1.2.3.4.5', 'a.b.c.d', ''])
      expect(() => parseIpv4(text)).toThrow();
    for (const text of ['::1::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', 'g::', '1:2:3:4:5:6:7:8::', ':']) {
      expect(() => parseIpv6(text), text).toThrow(RangeError);
    }
    for (const text of ['00:11:22:33:44', '00:11:22:33:44:5g', '001122334455'])
      expect(() => parseMac(text)).toThrow();
  });
});
