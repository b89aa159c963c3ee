/** Tags and TTLs where the random pipeline test does not go: odd frames, lack of room, offload, packet-ins. */
import { describe, expect, it } from 'vitest';
import { type ActionInit, type Match, PacketInReason } from '../../openflow/index.ts';
import { ethernet, ipv4, ipv6, tcp, udp, vlan } from '../../packet/index.ts';
import { H } from '../../sandbox/channel/layout.ts';
import { GuestHarness, type PushOptions, type Sent } from '../support/guest-harness.ts';

const CONTROLLER = 0xfffffffd;
const output: ActionInit = { type: 'output', port: 9 };
const pushMpls: ActionInit = { type: 'push_mpls', ethertype: 0x8847 };
const pushPbb: ActionInit = { type: 'push_pbb', ethertype: 0x88e7 };
const pushVlan: ActionInit = { type: 'push_vlan', ethertype: 0x8100 };
const set = (field: object) => ({ type: 'set_field', field }) as ActionInit;

interface Run {
  sent: Sent[];
  harness: GuestHarness;
}

function run(frame: Uint8Array, actions: ActionInit[], match: Match = {}, options?: PushOptions): Run {
  const harness = new GuestHarness();
  const instructions = [{ type: 'apply_actions' as const, actions }];
  expect(harness.ask({ type: 'flow_mod', match, instructions })).toEqual([]);
  return { sent: harness.send(frame, options), harness };
}

/** The frame that leaves after these actions. */
function edited(frame: Uint8Array, actions: ActionInit[], match?: Match, options?: PushOptions): Buffer {
  const { sent } = run(frame, [...actions, output], match, options);
  expect(sent).toHaveLength(1);
  return Buffer.from(sent[0].frame);
}

const ip = (rest: object = {}) => ipv4({ proto: 17, payload: udp(), ...rest });
const frame = (payload = ip()) => ethernet({ type: 0x0800, payload });
const shim = (label: number, tc: number, bos: number, ttl: number, payload: Uint8Array) =>
  Buffer.concat([Buffer.from([label >> 12, label >> 4, (label << 4) | (tc << 1) | bos, ttl]), payload]);
const labelled = (payload: Uint8Array, type = 0x8847) => Buffer.from(ethernet({ type, payload }));

/** An 802.3 frame with SNAP: length, LLC, organisation 0, Ethernet type. */
const snap = (type: number, payload: Uint8Array) => {
  const head = [0xaa, 0xaa, 3, 0, 0, 0, type >> 8, type & 255];
  return Buffer.from(ethernet({ type: 8 + payload.length, payload: Uint8Array.from([...head, ...payload]) }));
};
/** An 802.3 frame that has no Ethernet type: spanning tree. */
const llc = ethernet({ type: 38, payload: Uint8Array.from([0x42, 0x42, 3, ...new Uint8Array(35)]) });

describe('a label', () => {
  it('goes in front of VLAN tags, and they are there again when it is popped', () => {
    const tagged = Buffer.from(vlan(vlan(frame(), { vid: 7, pcp: 5 }), { vid: 9, tpid: 0x88a8 }));
    const covered = edited(tagged, [pushMpls, set({ mpls_label: 0x54321 }), set({ mpls_tc: 3 })]);
    expect(covered).toEqual(labelled(shim(0x54321, 3, 1, 64, tagged.subarray(14))));
    expect(edited(covered, [{ type: 'pop_mpls', ethertype: 0x88a8 }])).toEqual(tagged);
  });

  it('pushed onto a labelled frame with a VLAN tag outside copies the label, and is a stack of its own', () => {
    const inner = vlan(labelled(shim(77, 2, 1, 9, ip())), { vid: 3 });
    expect(edited(inner, [pushMpls])).toEqual(labelled(shim(77, 2, 1, 9, inner.subarray(14))));
  });

  it('copies what set-field has just written', () => {
    const packet = labelled(shim(77, 2, 1, 9, ip()));
    const stack = [set({ mpls_label: 5 }), pushMpls];
    expect(edited(packet, stack, { eth_type: 0x8847 })).toEqual(
      labelled(shim(5, 2, 0, 9, shim(5, 2, 1, 9, ip()))),
    );
  });

  it('goes behind SNAP, whose length grows, and comes off again', () => {
    const covered = edited(snap(0x0800, ip()), [pushMpls]);
    expect(covered).toEqual(snap(0x8847, shim(0, 0, 1, 64, ip())));
    expect(edited(covered, [{ type: 'pop_mpls', ethertype: 0x0800 }])).toEqual(snap(0x0800, ip()));
  });

  it('has no place in an 802.3 frame without Ethernet type, or in a runt', () => {
    expect(edited(llc, [pushMpls, { type: 'pop_mpls', ethertype: 0x0800 }])).toEqual(Buffer.from(llc));
    const runt = Buffer.from(frame().subarray(0, 13));
    expect(edited(runt, [pushMpls, pushPbb, pushVlan])).toEqual(runt);
  });

  it('is cut off in a frame that ends in it: left alone', () => {
    const cut = labelled(Buffer.from([0, 1, 2]));
    const actions: ActionInit[] = [
      { type: 'set_mpls_ttl', mpls_ttl: 3 },
      { type: 'dec_mpls_ttl' },
      { type: 'copy_ttl_in' },
      { type: 'copy_ttl_out' },
      { type: 'pop_mpls', ethertype: 0x0800 },
    ];
    expect(edited(cut, actions)).toEqual(cut);
    const bottomless = labelled(shim(1, 0, 0, 64, Buffer.from([1, 2])));
    expect(edited(bottomless, [{ type: 'copy_ttl_in' }, { type: 'copy_ttl_out' }])).toEqual(bottomless);
  });
});

describe('PBB', () => {
  const addresses = { src: '02:00:00:00:0b:0b', dst: '02:00:00:00:0c:0c' };
  const customer = Buffer.from(ethernet({ ...addresses, type: 0x0800, payload: ip() }));
  const itag = (isid: number, pcp = 0) => Buffer.from([pcp << 5, isid >> 16, isid >> 8, isid]);

  it('takes the priority of the tag outside, and leaves the frame whole', () => {
    const tagged = vlan(customer, { vid: 9, pcp: 6 });
    const covered = edited(tagged, [
      pushPbb,
      set({ pbb_isid: 0xabcdef }),
      set({ eth_dst: '02:00:00:00:00:0d' }),
    ]);
    expect(covered).toEqual(
      Buffer.from(
        ethernet({
          src: addresses.src,
          dst: '02:00:00:00:00:0d',
          type: 0x88e7,
          payload: Buffer.concat([itag(0xabcdef, 6), tagged]),
        }),
      ),
    );
    expect(edited(covered, [{ type: 'pop_pbb' }])).toEqual(Buffer.from(tagged));
  });

  it('shows and sets whether the customer addresses are used, and nothing else', () => {
    const bytes = (first: number) =>
      ethernet({ type: 0x88e7, payload: Buffer.concat([Buffer.from([first, 0xff, 0xff, 0xff]), customer]) });
    const harness = new GuestHarness();
    for (const value of [0, 1]) {
      harness.ask({
        type: 'flow_mod',
        match: { eth_type: 0x88e7, pbb_uca: value },
        instructions: [{ type: 'apply_actions', actions: [set({ pbb_uca: 1 - value }), output] }],
      });
    }
    for (const [from, to] of [
      [0xf7, 0xff],
      [0x08, 0x00],
    ]) {
      const sent = harness.send(bytes(from)).map(({ frame: one }) => Buffer.from(one));
      expect(sent).toEqual([Buffer.from(bytes(to))]);
    }
    const refused = { type: 'flow_mod', match: { eth_type: 0x88e7, pbb_uca: 2 } } as const;
    expect(harness.ask(refused)).toMatchObject([{ type: 'error', error_type: 4, code: 7 }]);
  });

  it('popped with its backbone VLAN tag leaves that', () => {
    const backbone = vlan(ethernet({ type: 0x88e7, payload: Buffer.concat([itag(5), customer]) }), {
      vid: 44,
    });
    expect(edited(backbone, [{ type: 'pop_pbb' }])).toEqual(Buffer.from(vlan(customer, { vid: 44 })));
  });

  it("cut off before the customer's Ethernet type is left alone", () => {
    const cut = Buffer.from(
      ethernet({ type: 0x88e7, payload: Buffer.concat([itag(5), customer.subarray(0, 11)]) }),
    );
    expect(edited(cut, [{ type: 'pop_pbb' }])).toEqual(cut);
  });

  it("shows the customer's frame to the next table", () => {
    const harness = new GuestHarness();
    const backbone = ethernet({ type: 0x88e7, payload: Buffer.concat([itag(0x123456), customer]) });
    harness.ask(
      {
        type: 'flow_mod',
        match: { eth_type: 0x88e7, pbb_isid: [0x120000, 0xff0000] },
        instructions: [
          { type: 'apply_actions', actions: [{ type: 'pop_pbb' }] },
          { type: 'goto_table', table_id: 1 },
        ],
      },
      {
        type: 'flow_mod',
        table_id: 1,
        match: { eth_type: 0x0800, eth_src: addresses.src, ip_proto: 17, udp_dst: 2000 },
        instructions: [{ type: 'apply_actions', actions: [output] }],
      },
    );
    expect(harness.send(backbone).map(({ frame: sent }) => Buffer.from(sent))).toEqual([customer]);
  });
});

describe('beyond the headroom', () => {
  it.each([
    ['labels', pushMpls, 16],
    ['VLAN tags', pushVlan, 16],
    ['I-TAGs', pushPbb, 3],
  ])('%s end the packet, which is counted', (_, push, fits) => {
    const most = run(frame(), [...Array<ActionInit>(fits).fill(push), output]);
    expect(most.sent).toHaveLength(1);
    expect(most.harness.words[H.NO_HEADROOM]).toBe(0);
    const more = run(frame(), [output, ...Array<ActionInit>(fits + 1).fill(push), output]);
    expect(more.sent).toHaveLength(1);
    expect(more.harness.words[H.NO_HEADROOM]).toBe(1);
  });
});

describe('TTL', () => {
  it.each([0, 1])('of a label that is %i goes to the controller as invalid', (ttl) => {
    const packet = labelled(shim(5, 0, 1, ttl, ip()));
    const { sent } = run(packet, [{ type: 'dec_mpls_ttl' }, output]);
    expect(sent).toMatchObject([{ kind: 'controller', port: PacketInReason.INVALID_TTL }]);
    expect(Buffer.from(sent[0].frame)).toEqual(packet);
  });

  it('is not copied to what only looks like IP behind a label', () => {
    // VLAN tags of priorities 2 and 3: 0x4..., 0x6...
    for (const pcp of [2, 3]) {
      const covered = labelled(shim(5, 0, 1, 9, vlan(frame(), { vid: 0x500, pcp }).subarray(14)));
      expect(edited(covered, [{ type: 'copy_ttl_in' }, { type: 'copy_ttl_out' }])).toEqual(covered);
    }
  });

  it('of IPv6 is copied although the frame is padded', () => {
    const packet = (hopLimit: number) =>
      Buffer.concat([labelled(shim(5, 0, 1, 9, ipv6({ proto: 59, hopLimit }))), Buffer.from([0, 0])]);
    expect(edited(packet(64), [{ type: 'copy_ttl_in' }])).toEqual(packet(9));
  });

  it('goes to the controller by the tag in front', () => {
    const { sent } = run(frame(), [pushMpls, { type: 'output', port: CONTROLLER, max_len: 0xffff }]);
    expect(Buffer.from(sent[0].frame)).toEqual(labelled(shim(0, 0, 1, 64, ip())));
  });
});

it('a partial checksum is found behind labels that come and go', () => {
  const before = labelled(shim(5, 0, 1, 64, ipv4({ proto: 6, payload: tcp() })));
  const sent = (partial: number) => {
    const harness = new GuestHarness();
    const pop: ActionInit = { type: 'pop_mpls', ethertype: 0x0800 };
    harness.ask(
      {
        type: 'flow_mod',
        match: { eth_type: 0x8847 },
        instructions: [
          { type: 'apply_actions', actions: [pop] },
          { type: 'goto_table', table_id: 1 },
        ],
      },
      {
        type: 'flow_mod',
        table_id: 1,
        match: { eth_type: 0x0800, ip_proto: 6 },
        instructions: [{ type: 'apply_actions', actions: [set({ tcp_dst: 9 }), output] }],
      },
    );
    return Buffer.from(harness.send(before, { partial })[0].frame);
  };
  const l4 = 14 + 4 + 20;
  // Its field holds what it did: ports are not in the pseudo-header.
  expect(sent(l4).readUInt16BE(l4 - 4 + 16)).toBe(before.readUInt16BE(l4 + 16));
  expect(sent(l4).readUInt16BE(l4 - 4 + 2)).toBe(9);
  // Where another checksum further back is the partial one, this one is complete.
  expect(sent(l4 + 40)).toEqual(Buffer.from(frame(ipv4({ proto: 6, payload: tcp({ dst: 9 }) }))));
});
