/** Fields and actions of Nicira's whose encodings are not those of others. */
import { describe, expect, test } from 'vitest';
import * as v13 from '../../openflow/v13/index.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const flow = (match: v13.Match) => v13.encode({ type: 'flow_mod', match });
/** The match of a flow_mod without instructions, as it is on the wire: from its length on. */
const matchOf = (bytes: Uint8Array) => hex(bytes.subarray(50));
const decoded = (bytes: Uint8Array) => (v13.decode(bytes) as v13.MessageOf<'flow_mod'>).match;

describe('tun_metadata: a field of any length', () => {
  test.each([
    [{ tun_metadata0: '00000123' }, '000c0001500400000123'],
    [{ tun_metadata63: 'ab' }, '00090001ce01ab'],
    [{ tun_metadata1: ['1200', 'ff00'] }, '000c000153041200ff00'],
    [{ tun_metadata2: '' }, '000800015400'],
  ] as [v13.Match, string][])('%j', (match, wire) => {
    const bytes = flow(match);
    expect(matchOf(bytes)).toMatch(new RegExp(`^${wire}(00)*$`));
    expect(decoded(bytes)).toEqual(match);
  });

  test('as long as a TLV has room for', () => {
    for (const most of [
      { tun_metadata0: 'ab'.repeat(255) },
      { tun_metadata0: ['0b', 'ff'].map((v) => v.repeat(127)) },
    ]) {
      expect(decoded(flow(most as v13.Match))).toEqual(most);
    }
    expect(() => flow({ tun_metadata0: 'ab'.repeat(256) })).toThrow('255 bytes');
    expect(() => flow({ tun_metadata0: ['ab'.repeat(128), 'ff'.repeat(128)] })).toThrow('127 bytes');
  });

  test('what does not fit together is refused', () => {
    expect(() => flow({ tun_metadata0: ['abcd', 'ff'] })).toThrow('the same length');
    expect(() => flow({ tun_metadata0: 'abc' })).toThrow('hexadecimal');
    expect(() => flow({ tun_metadata0: 'xy' })).toThrow('hexadecimal');
    // A mask of as many bytes as the value and one more.
    const odd = flow({ tun_metadata1: ['1200', 'ff00'] });
    odd[55] = 3;
    odd[51] = 11;
    expect(() => v13.decode(odd)).toThrow('BAD_MATCH/BAD_LEN');
  });

  test('an action sets one', () => {
    const action = { type: 'set_field', field: { tun_metadata3: '0a0b0c0d' } } as const;
    const out = v13.decode(v13.encode({ type: 'packet_out', actions: [action] }));
    expect(out).toMatchObject({ actions: [action] });
  });
});

test('a mask of digits only is not a prefix, where the field is no address', () => {
  const match: v13.Match = { ct_label: ['0'.repeat(32), `${'0'.repeat(31)}1`], eth_dst: '0a:00:00:00:00:01' };
  expect(decoded(flow(match))).toEqual(match);
  expect(decoded(flow({ ipv4_dst: ['10.0.0.0', '8'] }))).toEqual({ ipv4_dst: ['10.0.0.0', '255.0.0.0'] });
});

test('nx_reg_load2 is read as Open vSwitch pads it, and as os-ken does', () => {
  const action = { type: 'nx_reg_load2', field: { ip_dscp: 3 } } as const;
  const ours = v13.encode({ type: 'packet_out', actions: [action] });
  expect(hex(ours.subarray(24))).toBe('ffff00100000232000218000100103'.padEnd(32, '0'));
  const theirs = new Uint8Array(ours.length + 8);
  theirs.set(ours);
  theirs[3] += 8; // length of the message,
  theirs[17] += 8; // of the actions,
  theirs[27] += 8; // of this one
  expect(v13.decode(theirs)).toEqual(v13.decode(ours));
});
