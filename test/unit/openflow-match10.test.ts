/** The matches of OpenFlow 1.0 and 1.1: wildcards as what is not in the object. */
import { expect, test } from 'vitest';
import * as v10 from '../../openflow/v10/index.ts';
import * as v11 from '../../openflow/v11/index.ts';

const wildcardsOf = (match: v10.Match) =>
  new DataView(v10.encode({ type: 'flow_mod', match }).slice().buffer).getUint32(8);
const { Wildcard } = v10;

test('fields clear their wildcard; prefixes count the low bits that are wild', () => {
  expect(wildcardsOf({})).toBe(Wildcard.ALL);
  const addresses = (32 << Wildcard.NW_SRC_SHIFT) | (32 << Wildcard.NW_DST_SHIFT);
  const others = Wildcard.ALL & ~(63 << Wildcard.NW_SRC_SHIFT) & ~(63 << Wildcard.NW_DST_SHIFT);
  expect(wildcardsOf({ in_port: 1 })).toBe((others & ~Wildcard.IN_PORT) | addresses);
  const prefix = wildcardsOf({ nw_src: '10.1.2.3/8', nw_dst: '10.0.0.1' });
  expect((prefix >> Wildcard.NW_SRC_SHIFT) & 63).toBe(24);
  expect((prefix >> Wildcard.NW_DST_SHIFT) & 63).toBe(0);
});

test('what is decoded: bits outside a prefix given as text are cleared', () => {
  const message = v10.decode(v10.encode({ type: 'flow_mod', match: { nw_src: '10.1.2.3/8', dl_vlan: 5 } }));
  expect(message).toMatchObject({ match: { nw_src: ['10.0.0.0', '255.0.0.0'], dl_vlan: 5 } });
});

test('other wildcards that mean the same survive', () => {
  const bytes = v10.encode({ type: 'flow_mod', match: { wildcards: 0xffffffff } });
  const message = v10.decode(bytes);
  expect(message).toMatchObject({ match: { wildcards: 0xffffffff } });
  expect(v10.encode(message)).toEqual(bytes);
});

test('what has no place is refused', () => {
  const encode = (match: object) => () => v10.encode({ type: 'flow_mod', match } as never);
  expect(encode({ nw_src: ['10.0.0.0', '255.0.255.0'] })).toThrow('prefix');
  expect(encode({ in_port: [1, 1] })).toThrow('without mask');
  expect(encode({ eth_type: 1 })).toThrow("no type 'eth_type'");
});

test('1.1: the mask on the wire has ones where nothing is compared, here where something is', () => {
  const bytes = v11.encode({ type: 'flow_mod', match: { nw_src: ['10.0.0.0', '255.0.0.0'] } });
  // ofp_match at 48, nw_src_mask at 48 of it.
  expect([...bytes.subarray(96, 100)]).toEqual([0, 255, 255, 255]);
  bytes[49] = 1;
  expect(() => v11.decode(bytes)).toThrow('BAD_MATCH/BAD_TYPE');
});

test('1.0 has no errors of matches: a bad NXM field is a bad vendor', () => {
  const bytes = v10.encode({ type: 'nx_flow_mod', match: { reg0: 1 } });
  // The field number of reg0's header, behind the message's 48 bytes.
  bytes[50] = 0xfe;
  expect(() => v10.decode(bytes)).toThrow('BAD_REQUEST/BAD_VENDOR');
});
