import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checksum16,
  ethernet,
  fold16,
  icmp,
  ipv4,
  ipv6,
  neighbour,
  pseudoHeaderSum,
  sum16,
  tcp,
  udp,
  updateChecksum16,
} from '../../packet/index.ts';

describe('checksums', () => {
  it('gives the header checksum of a known packet', () => {
    // A DNS answer's IPv4 header, as captured; the checksum field is zeroed here.
    const header = Uint8Array.from(Buffer.from('45000073000040004011' + '0000' + 'c0a80001c0a800c7', 'hex'));
    expect(checksum16(header, 0, 20)).toBe(0xb861);
  });

  it('updates like computing anew', () => {
    const bytes = fc.uint8Array({ minLength: 2, maxLength: 41 });
    fc.assert(
      fc.property(bytes, fc.nat(0xffff), fc.nat(20), (data, value, at) => {
        fc.pre(data.some((byte) => byte !== 0) && value !== 0 && 2 * at + 1 < data.length);
        const before = checksum16(data, 0, data.length);
        const old = (data[2 * at] << 8) | data[2 * at + 1];
        data[2 * at] = value >> 8;
        data[2 * at + 1] = value & 255;
        expect(updateChecksum16(before, old, value)).toBe(checksum16(data, 0, data.length));
      }),
    );
  });

  it('makes frames a receiver accepts: everything summed up is all ones', () => {
    for (const [proto, payload] of [
      [6, tcp({ payload: Uint8Array.of(1, 2, 3) })],
      [17, udp()],
    ] as const) {
      for (const packet of [ipv4({ proto, payload, options: new Uint8Array(4) }), ipv6({ proto, payload })]) {
        const l4 = packet.length - payload.length;
        if (l4 === 24) expect(fold16(sum16(packet, 0, l4))).toBe(0xffff);
        const pseudo = pseudoHeaderSum(packet, 0, proto, payload.length);
        expect(fold16(sum16(packet, l4, payload.length, pseudo))).toBe(0xffff);
      }
    }
    const solicit = neighbour({ type: 135, target: 'fd00::9', linkAddress: '02:00:00:00:00:01' });
    const packet = ipv6({ proto: 58, payload: solicit });
    const pseudo = pseudoHeaderSum(packet, 0, 58, solicit.length);
    expect(fold16(sum16(packet, 40, solicit.length, pseudo))).toBe(0xffff);
    expect(fold16(sum16(icmp({ payload: Uint8Array.of(9, 9, 9) }), 0, 7))).toBe(0xffff);
    expect(ethernet({ type: 0x0806 })).toHaveLength(14);
  });
});
