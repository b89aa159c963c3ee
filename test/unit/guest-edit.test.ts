/** Edits that the random pipeline test does not reach: other protocols, partial checksums, odd frames. */
import { describe, expect, it } from 'vitest';
import type { ActionInit, Match } from '../../openflow/index.ts';
import {
  arp,
  ethernet,
  fold16,
  icmp,
  ipv4,
  ipv6,
  neighbour,
  pseudoHeaderSum,
  sctp,
  sum16,
  tcp,
  udp,
  vlan,
} from '../../packet/index.ts';
import { GuestHarness, type PushOptions } from '../support/guest-harness.ts';

/** What the frame is after these actions, in an entry with this match. */
function edited(frame: Uint8Array, match: Match, fields: object[], options?: PushOptions): Uint8Array {
  const harness = new GuestHarness();
  const actions = fields.map((field) => ({ type: 'set_field', field }) as ActionInit);
  const instructions = [
    { type: 'apply_actions' as const, actions: [...actions, { type: 'output' as const, port: 9 }] },
  ];
  expect(harness.ask({ type: 'flow_mod', match, instructions })).toEqual([]);
  const [sent, ...more] = harness.send(frame, options);
  expect(more).toEqual([]);
  return sent.frame;
}

const ip4 = (proto: number, payload: Uint8Array, rest: object = {}) =>
  ethernet({ type: 0x0800, payload: ipv4({ proto, payload, ...rest }) });
const ip6 = (proto: number, payload: Uint8Array, rest: object = {}) =>
  ethernet({ type: 0x86dd, payload: ipv6({ proto, payload, ...rest }) });

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) !== 0 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

describe('set-field', () => {
  it('keeps the checksum of neighbour discovery right', () => {
    const solicit = (target: string, linkAddress: string, src = 'fe80::1') =>
      ip6(58, neighbour({ type: 135, target, linkAddress }), { src });
    const match: Match = { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135 };
    const fields = [
      { ipv6_nd_target: '2001:db8:1:2:3:4:5:6' },
      { ipv6_nd_sll: '0a:0b:0c:0d:0e:0f' },
      { ipv6_src: 'fe80::77' },
    ];
    expect(edited(solicit('fe80::9', '02:00:00:00:00:01'), match, fields)).toEqual(
      solicit('2001:db8:1:2:3:4:5:6', '0a:0b:0c:0d:0e:0f', 'fe80::77'),
    );
    const advert = (linkAddress: string) => ip6(58, neighbour({ type: 136, target: 'fe80::9', linkAddress }));
    expect(
      edited(advert('02:00:00:00:00:01'), { ...match, icmpv6_type: 136 }, [
        { ipv6_nd_tll: '0a:0b:0c:0d:0e:0f' },
      ]),
    ).toEqual(advert('0a:0b:0c:0d:0e:0f'));
  });

  it('of ICMP type and code, flow label, traffic class and ARP addresses', () => {
    expect(
      edited(ip4(1, icmp({ type: 8, code: 0 })), { eth_type: 0x0800, ip_proto: 1 }, [
        { icmpv4_type: 3 },
        { icmpv4_code: 13 },
      ]),
    ).toEqual(ip4(1, icmp({ type: 3, code: 13 })));
    const wide = { trafficClass: 0xff, flabel: 0xfffff };
    expect(
      edited(ip6(17, udp(), wide), { eth_type: 0x86dd }, [
        { ipv6_flabel: 0x12345 },
        { ip_dscp: 10 },
        { ip_ecn: 1 },
      ]),
    ).toEqual(ip6(17, udp(), { trafficClass: 41, flabel: 0x12345 }));
    const reply = {
      op: 2,
      sha: '0a:00:00:00:00:01',
      tha: '0a:00:00:00:00:02',
      spa: '1.2.3.4',
      tpa: '4.3.2.1',
    };
    expect(
      edited(ethernet({ type: 0x0806, payload: arp() }), { eth_type: 0x0806 }, [
        { arp_op: 2 },
        { arp_sha: reply.sha },
        { arp_tha: reply.tha },
        { arp_spa: reply.spa },
        { arp_tpa: reply.tpa },
      ]),
    ).toEqual(ethernet({ type: 0x0806, payload: arp(reply) }));
  });

  it('leaves UDP without a checksum without one', () => {
    const frame = ip4(17, udp({ payload: Uint8Array.of(1, 2) }));
    frame.fill(0, 40, 42);
    const match: Match = { eth_type: 0x0800, ip_proto: 17 };
    const after = edited(frame, match, [{ ipv4_src: '10.9.9.9' }, { udp_dst: 99 }]);
    expect([...after.subarray(40, 42)]).toEqual([0, 0]);
    expect(fold16(sum16(after, 14, 20))).toBe(0xffff);
  });

  it('makes a UDP checksum that comes out as zero all ones', () => {
    // Chosen by trying: some destination port makes the sum so.
    const match: Match = { eth_type: 0x0800, ip_proto: 17 };
    const plain = ip4(17, udp({ dst: 1 }));
    const checksum = (plain[40] << 8) | plain[41];
    const frame = edited(plain, match, [{ udp_dst: 1 + checksum }]);
    expect([...frame.subarray(40, 42)]).toEqual([0xff, 0xff]);
  });

  it('keeps a partial checksum the sum of the pseudo-header', () => {
    const segment = tcp({ payload: new Uint8Array(100).fill(7) });
    const withPseudo = (packet: Uint8Array, field: number) => {
      const l3 = packet.slice(14);
      const v6 = l3[0] >> 4 === 6;
      const header = v6 ? 40 : 20;
      const sum = fold16(pseudoHeaderSum(l3, 0, 6, segment.length));
      packet[14 + header + field] = sum >> 8;
      packet[14 + header + field + 1] = sum & 255;
      return packet;
    };
    const before = withPseudo(ip4(6, segment), 16);
    const ports = { src: 5, dst: 6, payload: segment.subarray(20) };
    const after = withPseudo(ip4(6, tcp(ports), { src: '172.16.0.1', dst: '172.31.255.254' }), 16);
    expect(
      edited(
        before,
        { eth_type: 0x0800, ip_proto: 6 },
        [{ ipv4_src: '172.16.0.1' }, { tcp_src: 5 }, { ipv4_dst: '172.31.255.254' }, { tcp_dst: 6 }],
        { partial: true },
      ),
    ).toEqual(after);
    const v6 = withPseudo(ip6(6, segment), 16);
    expect(edited(v6, { eth_type: 0x86dd }, [{ ipv6_dst: 'fd00::abcd' }], { partial: true })).toEqual(
      withPseudo(ip6(6, segment, { dst: 'fd00::abcd' }), 16),
    );
  });

  it('keeps the CRC of SCTP right without seeing all of the packet', () => {
    const message = (src: number, dst: number) =>
      sctp({ src, dst, payload: Uint8Array.from({ length: 700 }, (_, i) => i) });
    // The check value of the polynomial's catalogue, for what the frames are built with.
    const known = ip4(132, Buffer.concat([Buffer.from('12345678'), Buffer.alloc(4), Buffer.from('9')]));
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    const zeroed = known.slice(34);
    zeroed.fill(0, 8, 12);
    expect(Buffer.from(known).readUInt32LE(42)).toBe(crc32c(zeroed));
    const fields = [{ sctp_src: 40_000 }, { sctp_dst: 9 }];
    const v4: Match = { eth_type: 0x0800, ip_proto: 132 };
    expect(edited(ip4(132, message(1, 2)), v4, fields)).toEqual(ip4(132, message(40_000, 9)));
    const v6: Match = { eth_type: 0x86dd, ip_proto: 132 };
    expect(edited(ip6(132, message(1, 2)), v6, fields)).toEqual(ip6(132, message(40_000, 9)));
    // A fragment header that says it is the only one.
    const alone = (src: number, dst: number) => {
      const whole = ip6(132, message(src, dst)).subarray(54);
      return ip6(44, Buffer.concat([Buffer.from([132, 0, 0, 0, 0, 0, 0, 7]), whole]));
    };
    expect(edited(alone(1, 2), v6, fields)).toEqual(alone(40_000, 9));
  });

  it('leaves the CRC of SCTP in fragments, which none of them can tell', () => {
    const message = sctp({ src: 1, dst: 2, payload: new Uint8Array(52).fill(3) });
    message.fill(0xc5, 8, 12);
    const after = message.slice();
    after[1] = 9;
    const fields = [{ sctp_src: 9 }];
    const rest = { moreFragments: true };
    expect(edited(ip4(132, message, rest), { eth_type: 0x0800, ip_proto: 132 }, fields)).toEqual(
      ip4(132, after, rest),
    );
    const first = (payload: Uint8Array) =>
      ip6(44, Buffer.concat([Buffer.from([132, 0, 0, 1, 0, 0, 0, 7]), payload]));
    expect(edited(first(message), { eth_type: 0x86dd, ip_proto: 132 }, fields)).toEqual(first(after));
  });

  it("keeps TCP and UDP checksums right in first fragments: they are the whole message's", () => {
    const whole = (dst: string, src: number) =>
      ip4(17, udp({ src, payload: new Uint8Array(600).fill(9) }), { dst });
    const fragment = (frame: Uint8Array, dst: string) =>
      ip4(17, frame.subarray(34, 34 + 400), { dst, moreFragments: true });
    const fields = [{ udp_src: 7 }, { ipv4_dst: '192.0.2.1' }];
    expect(
      edited(fragment(whole('10.0.0.2', 1), '10.0.0.2'), { eth_type: 0x0800, ip_proto: 17 }, fields),
    ).toEqual(fragment(whole('192.0.2.1', 7), '192.0.2.1'));
  });

  it('of ip_proto keeps the L4 bytes and their checksum, which has the protocol in it', () => {
    const segment = tcp({ payload: Uint8Array.of(1, 2, 3) });
    const fields = [{ ip_proto: 200 }];
    const sum = (l3: Uint8Array, header: number) => {
      const length = l3.length - header;
      return fold16(sum16(l3, header, length, pseudoHeaderSum(l3, 0, 200, length)));
    };
    const v4 = edited(ip4(6, segment), { eth_type: 0x0800, ip_proto: 6 }, fields).slice(14);
    expect([v4[9], fold16(sum16(v4, 0, 20)), sum(v4, 20)]).toEqual([200, 0xffff, 0xffff]);
    const v6 = edited(ip6(6, segment), { eth_type: 0x86dd, ip_proto: 6 }, fields).slice(14);
    expect([v6[6], sum(v6, 40)]).toEqual([200, 0xffff]);
  });

  it("of ip_proto behind extension headers is the last one's", () => {
    const chain = (proto: number, fragment: number) =>
      ip6(
        0,
        Uint8Array.from([
          60,
          0,
          0,
          0,
          0,
          0,
          0,
          0,
          44,
          0,
          1,
          4,
          0,
          0,
          0,
          0,
          proto,
          0,
          fragment,
          0,
          0,
          0,
          0,
          1,
          9,
          9,
        ]),
      );
    const match: Match = { eth_type: 0x86dd, ip_proto: 99 };
    expect(edited(chain(99, 0), match, [{ ip_proto: 100 }])).toEqual(chain(100, 0));
    // A later fragment.
    expect(edited(chain(99, 5), match, [{ ip_proto: 100 }])).toEqual(chain(100, 5));
  });

  it('of ipv6_dst on the way through a routing header is not in the checksum', () => {
    const routed = (dst: string, left: number, segment: Uint8Array) =>
      ip6(43, Buffer.concat([Buffer.from([6, 2, 0, left]), Buffer.alloc(20, 7), segment]), { dst });
    const segment = tcp();
    segment.fill(0x5a, 16, 18);
    const field = [{ ipv6_dst: 'fd00::77' }];
    const match: Match = { eth_type: 0x86dd };
    expect(edited(routed('fd00::2', 1, segment), match, field)).toEqual(routed('fd00::77', 1, segment));
    const arrived = edited(routed('fd00::2', 0, segment), match, field);
    expect(arrived.subarray(-4)).not.toEqual(segment.subarray(-4));
  });

  it('of an echo reply that is all zero makes its checksum ones', () => {
    const echo = (type: number) => ip4(1, icmp({ type, payload: new Uint8Array(20) }));
    expect(edited(echo(8), { eth_type: 0x0800, ip_proto: 1 }, [{ icmpv4_type: 0 }])).toEqual(echo(0));
  });

  it('of eth_type behind SNAP leaves the length; frames without a type stay as they are', () => {
    const snap = (type: number) =>
      ethernet({
        type: 12,
        payload: Uint8Array.from([0xaa, 0xaa, 3, 0, 0, 0, type >> 8, type & 255, 1, 2, 3, 4]),
      });
    expect(edited(snap(0x88b5), {}, [{ eth_type: 0x88b6 }])).toEqual(snap(0x88b6));
    const llc = ethernet({ type: 3, payload: Uint8Array.of(0x42, 0x42, 3) });
    expect(edited(llc, {}, [{ eth_type: 0x88b6 }])).toEqual(llc);
  });

  it('does not take the padding behind a neighbour solicitation for an option', () => {
    const bare = ip6(58, neighbour({ type: 135, target: 'fd00::9' }));
    const padded = Buffer.concat([bare, Buffer.from([1, 1, 0, 0, 0, 0, 0, 0])]);
    const match: Match = { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135 };
    expect(Buffer.from(edited(padded, match, [{ ipv6_nd_sll: '02:00:00:00:00:09' }]))).toEqual(padded);
  });

  it('behind an edit of eth_type or ip_proto meets the packet as it is then', () => {
    const match: Match = { eth_type: 0x0800, ip_proto: 6 };
    const after = edited(ip4(6, tcp()), match, [{ ip_proto: 17 }, { udp_dst: 7 }]);
    expect([after[23], (after[36] << 8) | after[37]]).toEqual([17, 7]);
    expect(fold16(sum16(after, 14, 20))).toBe(0xffff);
    const other = edited(vlan(ip4(6, tcp()), { vid: 1 }), { eth_type: 0x0800 }, [{ eth_type: 0x88b5 }]);
    const payload = ipv4({ proto: 6, payload: tcp() });
    expect(other).toEqual(vlan(ethernet({ type: 0x88b5, payload }), { vid: 1 }));
  });

  it('leaves alone what the packet, or its head, has not got', () => {
    const fragment = ip4(17, udp(), { fragmentOffset: 8 });
    const match: Match = { eth_type: 0x0800, ip_proto: 17 };
    expect(edited(fragment, match, [{ udp_dst: 9 }])).toEqual(fragment);
    const options = { fragmentOffset: 8, src: '9.9.9.9' };
    expect(edited(fragment, match, [{ ipv4_src: '9.9.9.9' }])).toEqual(ip4(17, udp(), options));
    const runt = Uint8Array.of(1, 2, 3);
    expect(edited(runt, {}, [{ eth_src: '02:00:00:00:00:09' }])).toEqual(runt);
    const untagged = ip4(17, udp());
    expect(edited(untagged, {}, [{ vlan_vid: 0x1005 }])).toEqual(untagged);
  });
});

it('may be cached what does the same to every packet of a flow', () => {
  const verdictOf = (frame: Uint8Array, ...actions: ActionInit[]) => {
    const harness = new GuestHarness();
    const all: ActionInit[] = [...actions, { type: 'output', port: 3 }];
    const match: Match = { eth_type: 0x0800, ip_proto: 17 };
    harness.ask({ type: 'flow_mod', match, instructions: [{ type: 'apply_actions', actions: all }] });
    return harness.send(frame).at(-1)!;
  };
  const cacheable = (...actions: ActionInit[]) => verdictOf(ip4(17, udp()), ...actions).cacheable;
  expect(cacheable()).toBe(true);
  expect(cacheable({ type: 'dec_nw_ttl' })).toBe(true);
  expect(cacheable({ type: 'push_vlan', ethertype: 0x8100 })).toBe(true);
  expect(cacheable({ type: 'set_field', field: { ipv4_src: '9.9.9.9' } })).toBe(true);
  // The agent sees to it that the controller gets each packet. A TTL is set whatever it was; other headers are looked at than before.
  expect(cacheable({ type: 'output', port: 0xfffffffd })).toBe(true);
  const expired = verdictOf(ip4(17, udp(), { ttl: 1 }), { type: 'dec_nw_ttl' });
  expect(expired).toMatchObject({ kind: 'controller', cacheable: false });
  expect(cacheable({ type: 'set_nw_ttl', nw_ttl: 9 })).toBe(false);
  expect(cacheable({ type: 'set_field', field: { ip_proto: 1 } })).toBe(false);
});
