/** Every match field as its TLV comes in a FLOW_MOD: prerequisites, masks, sizes (OpenFlow 1.3, section 7.2.3). */
import { describe, expect, it } from 'vitest';
import { BadMatchCode, ErrorType, encode } from '../../openflow/index.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const BASIC = 0x8000;

/** An OXM TLV. */
function tlv(field: number, value: bigint, size: number, mask?: bigint, oxmClass = BASIC): number[] {
  const bytes = (number: bigint) =>
    Array.from({ length: size }, (_, i) => Number((number >> BigInt(8 * (size - 1 - i))) & 255n));
  const body = mask === undefined ? bytes(value) : [...bytes(value), ...bytes(mask)];
  return [oxmClass >> 8, oxmClass & 255, (field << 1) | (mask === undefined ? 0 : 1), body.length, ...body];
}

/** Error code of OFPET_BAD_MATCH that answers a FLOW_MOD with these TLVs; undefined: it was accepted. */
function refusal(fields: number[], matchType = 1): number | undefined {
  const length = 4 + fields.length;
  const match = [
    0,
    matchType,
    length >> 8,
    length & 255,
    ...fields,
    ...Array((8 - (length % 8)) % 8).fill(0),
  ];
  const message = Buffer.concat([
    encode({ type: 'flow_mod', match: {} }).subarray(0, 48),
    Buffer.from(match),
  ]);
  message.writeUInt16BE(message.length, 2);
  const harness = new GuestHarness();
  const [answer, ...more] = harness.ask(message);
  expect(more).toEqual([]);
  if (answer === undefined) return undefined;
  expect(answer).toMatchObject({ type: 'error', error_type: ErrorType.BAD_MATCH });
  return answer.type === 'error' ? answer.code : undefined;
}

const inPort = tlv(0, 1n, 4);
const tag = tlv(6, 0x1005n, 2);
const type = (value: number) => tlv(5, BigInt(value), 2);
const proto = (ethType: number, value: number) => [...type(ethType), ...tlv(10, BigInt(value), 1)];
const icmpv6 = (value: number) => [...proto(0x86dd, 58), ...tlv(29, BigInt(value), 1)];

/** Table 12 and the text below it: size in bits, whether it takes a mask, and TLVs that meet the prerequisites. */
const FIELDS: [name: string, bits: number, maskable: boolean, ...prerequisites: number[][]][] = [
  ['in_port', 32, false],
  ['in_phy_port', 32, false, inPort],
  ['metadata', 64, true],
  ['eth_dst', 48, true],
  ['eth_src', 48, true],
  ['eth_type', 16, false],
  ['vlan_vid', 13, true],
  ['vlan_pcp', 3, false, tag],
  ['ip_dscp', 6, false, type(0x0800), type(0x86dd)],
  ['ip_ecn', 2, false, type(0x0800), type(0x86dd)],
  ['ip_proto', 8, false, type(0x0800), type(0x86dd)],
  ['ipv4_src', 32, true, type(0x0800)],
  ['ipv4_dst', 32, true, type(0x0800)],
  ['tcp_src', 16, false, proto(0x0800, 6), proto(0x86dd, 6)],
  ['tcp_dst', 16, false, proto(0x0800, 6), proto(0x86dd, 6)],
  ['udp_src', 16, false, proto(0x0800, 17), proto(0x86dd, 17)],
  ['udp_dst', 16, false, proto(0x0800, 17), proto(0x86dd, 17)],
  ['sctp_src', 16, false, proto(0x0800, 132), proto(0x86dd, 132)],
  ['sctp_dst', 16, false, proto(0x0800, 132), proto(0x86dd, 132)],
  ['icmpv4_type', 8, false, proto(0x0800, 1)],
  ['icmpv4_code', 8, false, proto(0x0800, 1)],
  ['arp_op', 16, false, type(0x0806)],
  ['arp_spa', 32, true, type(0x0806)],
  ['arp_tpa', 32, true, type(0x0806)],
  ['arp_sha', 48, true, type(0x0806)],
  ['arp_tha', 48, true, type(0x0806)],
  ['ipv6_src', 128, true, type(0x86dd)],
  ['ipv6_dst', 128, true, type(0x86dd)],
  ['ipv6_flabel', 20, true, type(0x86dd)],
  ['icmpv6_type', 8, false, proto(0x86dd, 58)],
  ['icmpv6_code', 8, false, proto(0x86dd, 58)],
  ['ipv6_nd_target', 128, false, icmpv6(135), icmpv6(136)],
  ['ipv6_nd_sll', 48, false, icmpv6(135)],
  ['ipv6_nd_tll', 48, false, icmpv6(136)],
  ['mpls_label', 20, false, type(0x8847), type(0x8848)],
  ['mpls_tc', 3, false, type(0x8847), type(0x8848)],
  ['mpls_bos', 1, false, type(0x8847), type(0x8848)],
  ['pbb_isid', 24, true, type(0x88e7)],
  ['tunnel_id', 64, true],
  ['ipv6_exthdr', 9, true, type(0x86dd)],
];
/** Bytes of a value on the wire: whole ones, but flow label and MPLS label have 4. */
const sizeOf = (bits: number) => (bits === 20 ? 4 : Math.ceil(bits / 8));

/** TLVs that lack the prerequisites of most fields. */
const OTHERS = [
  [],
  ...[type(0x88b5), type(0x86dd), proto(0x0800, 50), proto(0x86dd, 50), icmpv6(134), tlv(6, 0n, 2)],
];
const startsWith = (tlvs: number[], start: number[]) => start.every((byte, i) => tlvs[i] === byte);
const hasField = (tlvs: number[], field: number): boolean =>
  tlvs.length > 0 && (tlvs[2] === field << 1 || hasField(tlvs.slice(4 + tlvs[3]), field));

describe.each(FIELDS.map((row, field) => [row[0], field, row] as const))('%s', (_, field, row) => {
  const [, bits, maskable, ...given] = row;
  const prerequisites = given.length > 0 ? given : [[]];
  const size = sizeOf(bits);
  const all = (1n << BigInt(bits)) - 1n;

  it('is accepted with its prerequisites, of all values and masks it may have', () => {
    for (const before of prerequisites) {
      expect(refusal([...before, ...tlv(field, all, size)])).toBeUndefined();
      const masked = refusal([...before, ...tlv(field, 1n, size, 1n)]);
      expect(masked).toBe(maskable ? undefined : BadMatchCode.BAD_MASK);
    }
  });

  it('is refused without them', () => {
    const wrong = OTHERS.filter(
      (one) => !hasField(one, field) && !given.some((start) => startsWith(one, start)),
    );
    for (const before of given.length > 0 ? wrong : []) {
      expect([before, refusal([...before, ...tlv(field, all, size)])]).toEqual([
        before,
        BadMatchCode.BAD_PREREQ,
      ]);
    }
  });

  it('is refused twice, in another size, with too large a value, with bits the mask leaves out', () => {
    const [before] = prerequisites;
    const own = tlv(field, all, size);
    expect(refusal([...before, ...own, ...own])).toBe(BadMatchCode.DUP_FIELD);
    expect(refusal([...before, ...tlv(field, 1n, size + 1)])).toBe(BadMatchCode.BAD_LEN);
    expect(refusal([...before, ...own.slice(0, -1)])).toBe(BadMatchCode.BAD_LEN);
    if (bits < 8 * size)
      expect(refusal([...before, ...tlv(field, all + 1n, size)])).toBe(BadMatchCode.BAD_VALUE);
    if (maskable) expect(refusal([...before, ...tlv(field, 3n, size, 2n)])).toBe(BadMatchCode.BAD_WILDCARDS);
  });
});

describe('a match', () => {
  it('of another type, or with fields that there are not, is refused', () => {
    expect(refusal([], 0)).toBe(BadMatchCode.BAD_TYPE);
    expect(refusal(tlv(40, 1n, 2))).toBe(BadMatchCode.BAD_FIELD);
    expect(refusal(tlv(0, 1n, 4, undefined, 0x0001))).toBe(BadMatchCode.BAD_FIELD);
    expect(refusal([...tlv(0, 0x1234_5678n, 4, undefined, 0xffff), ...inPort])).toBe(BadMatchCode.BAD_FIELD);
  });

  it('of vlan_vid means no tag, any tag, one number, or some of its bits', () => {
    const vid = (value: number, mask?: number) =>
      tlv(6, BigInt(value), 2, mask === undefined ? undefined : BigInt(mask));
    for (const one of [
      vid(0),
      vid(0x1000),
      vid(0x1fff),
      vid(0x1000, 0x1000),
      vid(0x1005, 0x100f),
      vid(0, 0x1000),
    ]) {
      expect(refusal(one)).toBeUndefined();
    }
    // A number without OFPVID_PRESENT is neither.
    expect(refusal(vid(5))).toBe(BadMatchCode.BAD_VALUE);
    // The priority needs a tag for certain.
    const pcp = tlv(7, 1n, 1);
    expect(refusal([...vid(0x1000, 0x1000), ...pcp])).toBeUndefined();
    expect(refusal([...vid(0), ...pcp])).toBe(BadMatchCode.BAD_PREREQ);
    expect(refusal([...vid(5, 0xf), ...pcp])).toBe(BadMatchCode.BAD_PREREQ);
  });
});
