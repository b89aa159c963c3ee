/** Whatever a packet holds and wherever it is cut off: edits stay in its head and the room in front of it. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ActionInit } from '../../openflow/index.ts';
import { FIELDS } from '../../packet/index.ts';
import {
  DATA_MAX,
  DATA_OFFSET,
  H,
  HEADROOM_OFFSET,
  RX_OFFSET,
  RX_SLOTS,
  SLOT_BYTES,
} from '../../sandbox/channel/layout.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import { anyPacket } from '../support/pipeline-arbitrary.ts';
import { buildFrame } from '../support/reference-packet.ts';

const frame = fc
  .tuple(
    anyPacket,
    fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 6 }),
    fc.oneof(fc.nat(150), fc.constant(9999)),
  )
  .map(([packet, changes, length]) => {
    const bytes = buildFrame(packet).slice(0, length);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

const SAMPLE = { number: 1, u64: 1n, mac: '02:00:00:00:00:0f', ipv4: '192.0.2.77', ipv6: '2001:db8::77' };
const setFields = FIELDS.filter(({ name }) => !/^(in_|metadata|ipv6_exthdr)/.test(name)).map(
  ({ name, kind }) => ({ type: 'set_field', field: { [name]: SAMPLE[kind] } }) as unknown as ActionInit,
);
const action = fc.oneof(
  fc.constantFrom(...setFields),
  fc.constantFrom<ActionInit>(
    { type: 'push_vlan', ethertype: 0x88a8 },
    { type: 'pop_vlan' },
    { type: 'push_mpls', ethertype: 0x8847 },
    { type: 'pop_mpls', ethertype: 0x8847 },
    { type: 'pop_mpls', ethertype: 0x0800 },
    { type: 'pop_mpls', ethertype: 0x86dd },
    { type: 'push_pbb', ethertype: 0x88e7 },
    { type: 'pop_pbb' },
    { type: 'set_mpls_ttl', mpls_ttl: 9 },
    { type: 'dec_mpls_ttl' },
    { type: 'set_nw_ttl', nw_ttl: 9 },
    { type: 'dec_nw_ttl' },
    { type: 'copy_ttl_in' },
    { type: 'copy_ttl_out' },
    { type: 'output', port: 5 },
  ),
);

it('nothing is written outside the packet', () => {
  let sent = 0;
  fc.assert(
    fc.property(
      frame,
      fc.array(action, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(false, true, 40),
      (bytes, actions, partial) => {
        const harness = new GuestHarness();
        // Marked all over, so that whatever is written to shows.
        const slots = harness.bytes.subarray(RX_OFFSET, RX_OFFSET + RX_SLOTS * SLOT_BYTES);
        slots.fill(0xee);
        harness.control({ type: 'packet_out', xid: 7, actions: [...actions, { type: 'output', port: 5 }] });
        harness.push(bytes, { packetOut: 7, partial });
        const before = slots.slice();
        harness.run();
        sent += harness.take().length;
        const own = HEADROOM_OFFSET;
        const end = DATA_OFFSET + Math.min(bytes.length, DATA_MAX);
        const changed = slots.findIndex((byte, i) => byte !== before[i] && (i < own || i >= end));
        expect(changed).toBe(-1);
        expect(harness.words[H.RX_TAIL]).toBe(1);
      },
    ),
    { numRuns: 3000 },
  );
  expect(sent).toBeGreaterThan(3000);
});
