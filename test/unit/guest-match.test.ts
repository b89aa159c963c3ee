import { describe, expect, it } from 'vitest';
import { BadMatchCode, ErrorType, type Match, OpenFlowError } from '../../openflow/index.ts';
import { arp, ethernet, extractKey, icmp, ipv4, KEY_WORDS, tcp, vlan } from '../../packet/index.ts';
import { compileMatch, FlowMasks, keyToMatch, reverseMatch } from '../../sandbox/match.ts';

function keyOf(frame: Uint8Array, inPort = 1): Uint32Array {
  const key = new Uint32Array(KEY_WORDS);
  extractKey(frame, 0, frame.length, inPort, key);
  return key;
}

function hits(match: Match, key: Uint32Array): boolean {
  const { value, mask } = compileMatch(match);
  return value.every((word, i) => ((key[i] ^ word) & mask[i]) === 0);
}

function codeOf(match: object): number | undefined {
  try {
    compileMatch(match as Match);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(OpenFlowError);
    const { errorType, errorCode } = error as OpenFlowError;
    expect(errorType).toBe(ErrorType.BAD_MATCH);
    return errorCode;
  }
}

/** Bits of OXM fields: VLAN, MACs, IP addresses, protocol and ports, ARP addresses; no ICMP type. */
const FLOW = [3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 22, 23, 26, 27].reduce(
  (sum, n) => sum | (1n << BigInt(n)),
  0n,
);

const frame = ethernet({ type: 0x0800, payload: ipv4({ proto: 6, payload: tcp({ src: 1000, dst: 80 }) }) });
const full: Match = {
  in_port: 1,
  eth_dst: '02:00:00:00:00:02',
  eth_src: '02:00:00:00:00:01',
  eth_type: 0x0800,
  vlan_vid: 0,
  ip_proto: 6,
  ipv4_src: '10.0.0.1',
  ipv4_dst: '10.0.0.2',
  tcp_src: 1000,
  tcp_dst: 80,
};

describe('compileMatch', () => {
  it('matches the packets that have the values', () => {
    expect(hits(full, keyOf(frame))).toBe(true);
    expect(hits({}, keyOf(frame))).toBe(true);
    expect(hits({ ...full, cell: 9 }, keyOf(frame))).toBe(true);
    for (const [name, value] of Object.entries({ in_port: 2, eth_src: '02:00:00:00:00:03', tcp_dst: 81 })) {
      expect(hits({ ...full, [name]: value } as Match, keyOf(frame)), name).toBe(false);
    }
  });

  it('takes masks, prefixes and OFPVID_PRESENT alone', () => {
    expect(hits({ eth_type: 0x0800, ipv4_src: ['10.0.0.0', '255.255.255.0'] }, keyOf(frame))).toBe(true);
    expect(hits({ eth_type: 0x0800, ipv4_src: '10.0.0.99/24' }, keyOf(frame))).toBe(true);
    expect(hits({ eth_type: 0x0800, ipv4_src: '10.0.1.0/24' }, keyOf(frame))).toBe(false);
    expect(hits({ eth_dst: ['01:00:00:00:00:00', '01:00:00:00:00:00'] }, keyOf(frame))).toBe(false);
    const tagged = keyOf(vlan(frame, { vid: 7 }));
    expect(hits({ vlan_vid: [0x1000, 0x1000] }, tagged)).toBe(true);
    expect(hits({ vlan_vid: [0x1000, 0x1000] }, keyOf(frame))).toBe(false);
    expect(hits({ vlan_vid: 0 }, tagged)).toBe(false);
    expect(hits({ vlan_vid: 0x1007, vlan_pcp: 0 }, tagged)).toBe(true);
  });

  it('refuses what the specification refuses, with its codes', () => {
    expect(codeOf({ ipv4_src: '10.0.0.1' })).toBe(BadMatchCode.BAD_PREREQ);
    expect(codeOf({ eth_type: 0x86dd, ipv4_src: '10.0.0.1' })).toBe(BadMatchCode.BAD_PREREQ);
    expect(codeOf({ eth_type: 0x0800, tcp_src: 1 })).toBe(BadMatchCode.BAD_PREREQ);
    expect(codeOf({ vlan_vid: 0, vlan_pcp: 1 })).toBe(BadMatchCode.BAD_PREREQ);
    expect(codeOf({ in_phy_port: 1 })).toBe(BadMatchCode.BAD_PREREQ);
    expect(codeOf({ vlan_vid: 7 })).toBe(BadMatchCode.BAD_VALUE);
    expect(codeOf({ vlan_vid: 0x2000 })).toBe(BadMatchCode.BAD_VALUE);
    expect(codeOf({ eth_src: 'nonsense' })).toBe(BadMatchCode.BAD_VALUE);
    expect(codeOf({ eth_type: [0x0800, 0xff00] })).toBe(BadMatchCode.BAD_MASK);
    expect(codeOf({ eth_type: 0x0800, ipv4_src: ['10.0.0.1', '255.0.0.0'] })).toBe(
      BadMatchCode.BAD_WILDCARDS,
    );
    expect(codeOf({ tcp_flags: 2 })).toBe(BadMatchCode.BAD_FIELD);
    expect(codeOf(full)).toBeUndefined();
  });
});

describe('keyToMatch', () => {
  it('names the fields the packet has, and their prerequisites', () => {
    expect(keyToMatch(keyOf(frame), FLOW)).toEqual(full);
    expect(keyToMatch(keyOf(frame), 1n << 14n)).toEqual({
      in_port: 1,
      eth_type: 0x0800,
      ip_proto: 6,
      tcp_dst: 80,
    });
    const request = keyOf(ethernet({ type: 0x0806, payload: arp() }));
    expect(keyToMatch(request, (1n << 22n) | (1n << 11n))).toEqual({
      in_port: 1,
      eth_type: 0x0806,
      arp_spa: '10.0.0.1',
    });
  });

  it('gives a match that its packet has', () => {
    const all = (1n << 40n) - 1n;
    for (const packet of [frame, vlan(frame, { vid: 9, pcp: 3 }), ethernet({ type: 0x88cc })]) {
      expect(hits(keyToMatch(keyOf(packet), all), keyOf(packet))).toBe(true);
    }
  });
});

describe('masks that tell flows apart', () => {
  const same = (mask: Uint32Array, x: Uint32Array, y: Uint32Array) =>
    mask.every((bits, i) => ((x[i] ^ y[i]) & bits) === 0);
  const tcpTo = (dst: number) =>
    keyOf(ethernet({ type: 0x0800, payload: ipv4({ proto: 6, ttl: dst & 63, payload: tcp({ dst }) }) }));
  const ping = (type: number) =>
    keyOf(ethernet({ type: 0x0800, payload: ipv4({ proto: 1, payload: icmp({ type }) }) }));

  it('differ where a field of the flow differs', () => {
    const masks = new FlowMasks(FLOW);
    const mask = masks.maskFor(tcpTo(80));
    expect(same(mask, tcpTo(80), tcpTo(81))).toBe(false);
    expect(same(mask, tcpTo(80), tcpTo(80))).toBe(true);
    expect(same(masks.maskFor(keyOf(frame)), keyOf(frame, 1), keyOf(frame, 2))).toBe(false);
  });

  it('per kind of packet take in only the fields it has', () => {
    const masks = new FlowMasks(FLOW);
    expect(same(masks.maskFor(ping(8)), ping(8), ping(3))).toBe(true);
    expect(same(masks.maskFor(tcpTo(80)), tcpTo(80), tcpTo(81))).toBe(false);
    expect(masks.maskFor(tcpTo(80))).toBe(masks.maskFor(tcpTo(90)));
    // The exact mask is what the match of the same packet compiles to.
    for (const key of [ping(8), tcpTo(80), keyOf(ethernet({ type: 0x0806, payload: arp() }))]) {
      expect(masks.maskFor(key)).toEqual(compileMatch(keyToMatch(key, FLOW)).mask);
    }
  });
});

describe('reverseMatch', () => {
  it('swaps ends, and is its own inverse but for the port', () => {
    const { in_port: _, ...rest } = full as Record<string, unknown>;
    expect(reverseMatch(full)).toEqual({
      ...rest,
      eth_src: full.eth_dst,
      eth_dst: full.eth_src,
      ipv4_src: full.ipv4_dst,
      ipv4_dst: full.ipv4_src,
      tcp_src: full.tcp_dst,
      tcp_dst: full.tcp_src,
    });
    expect(reverseMatch(reverseMatch(full))).toEqual(rest);
  });

  it('turns requests into replies', () => {
    expect(reverseMatch({ eth_type: 0x0806, arp_op: 1, arp_spa: '10.0.0.1' })).toEqual({
      eth_type: 0x0806,
      arp_op: 2,
      arp_tpa: '10.0.0.1',
    });
    const echo: Match = { eth_type: 0x0800, ip_proto: 1, icmpv4_type: 8 };
    expect(reverseMatch(echo)).toEqual({ ...echo, icmpv4_type: 0 });
  });
});
