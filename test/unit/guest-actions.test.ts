/** Which actions an entry may have: what its match and the actions before them say of the packets. */
import { describe, expect, it } from 'vitest';
import { type ActionInit, BadActionCode, ErrorType, type Match } from '../../openflow/index.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const { BAD_ARGUMENT, BAD_SET_TYPE, MATCH_INCONSISTENT } = BadActionCode;

/** Code of the OFPET_BAD_ACTION error that answers the entry; undefined: it was accepted. */
function refusal(
  match: Match,
  actions: ActionInit[],
  type: 'apply_actions' | 'write_actions',
): number | undefined {
  const harness = new GuestHarness();
  const [answer] = harness.ask({ type: 'flow_mod', match, instructions: [{ type, actions }] });
  if (answer === undefined) return undefined;
  expect(answer).toMatchObject({ type: 'error', error_type: ErrorType.BAD_ACTION });
  return answer.type === 'error' ? answer.code : undefined;
}

const set = (field: object) => ({ type: 'set_field', field }) as ActionInit;
const pushMpls: ActionInit = { type: 'push_mpls', ethertype: 0x8847 };
const pushPbb: ActionInit = { type: 'push_pbb', ethertype: 0x88e7 };
const popMpls = (ethertype: number): ActionInit => ({ type: 'pop_mpls', ethertype });
const popPbb: ActionInit = { type: 'pop_pbb' };
const popVlan: ActionInit = { type: 'pop_vlan' };
const arp: Match = { eth_type: 0x0806 };
const ipv4: Match = { eth_type: 0x0800 };
const mpls: Match = { eth_type: 0x8848 };
const pbb: Match = { eth_type: 0x88e7 };
const tagged: Match = { vlan_vid: 0x1005 };

const refused: [string, Match, ActionInit[], number][] = [
  ['a label of VLAN type', {}, [{ type: 'push_mpls', ethertype: 0x8100 }], BAD_ARGUMENT],
  ['an I-TAG of VLAN type', {}, [{ type: 'push_pbb', ethertype: 0x88a8 }], BAD_ARGUMENT],
  ['a tag of IPv4 type', {}, [{ type: 'push_vlan', ethertype: 0x0800 }], BAD_ARGUMENT],
  ['a length in place of a type', mpls, [popMpls(0x5ff)], BAD_ARGUMENT],
  ['pop_mpls of ARP', arp, [popMpls(0x0800)], MATCH_INCONSISTENT],
  ['pop_pbb of ARP', arp, [popPbb], MATCH_INCONSISTENT],
  ['pop_vlan of untagged packets', { vlan_vid: 0 }, [popVlan], MATCH_INCONSISTENT],
  ['dec_mpls_ttl of ARP', arp, [{ type: 'dec_mpls_ttl' }], MATCH_INCONSISTENT],
  ['set_mpls_ttl of IPv4', ipv4, [{ type: 'set_mpls_ttl', mpls_ttl: 1 }], MATCH_INCONSISTENT],
  ['dec_nw_ttl of ARP', arp, [{ type: 'dec_nw_ttl' }], MATCH_INCONSISTENT],
  ['set_nw_ttl of MPLS', mpls, [{ type: 'set_nw_ttl', nw_ttl: 1 }], MATCH_INCONSISTENT],
  ['copy_ttl_in of ARP', arp, [{ type: 'copy_ttl_in' }], MATCH_INCONSISTENT],
  ['copy_ttl_out of PBB', pbb, [{ type: 'copy_ttl_out' }], MATCH_INCONSISTENT],
  ['mpls_tc of any packet', {}, [set({ mpls_tc: 1 })], MATCH_INCONSISTENT],
  ['pbb_isid of MPLS', mpls, [set({ pbb_isid: 1 })], MATCH_INCONSISTENT],
  ['vlan_pcp of any packet', {}, [set({ vlan_pcp: 1 })], MATCH_INCONSISTENT],
  ['IPv4 behind a new label', ipv4, [pushMpls, set({ ip_dscp: 1 })], MATCH_INCONSISTENT],
  ['a VLAN tag behind a new label', tagged, [pushMpls, popVlan], MATCH_INCONSISTENT],
  ['a VLAN tag behind a new I-TAG', tagged, [pushPbb, set({ vlan_pcp: 1 })], MATCH_INCONSISTENT],
  ['a label that is popped', mpls, [popMpls(0x0800), set({ mpls_label: 1 })], MATCH_INCONSISTENT],
  ['an I-TAG that is popped', pbb, [popPbb, set({ pbb_isid: 1 })], MATCH_INCONSISTENT],
  [
    'ports behind another Ethernet type',
    { ...ipv4, ip_proto: 6 },
    [set({ eth_type: 0x86dd }), set({ tcp_src: 1 })],
    MATCH_INCONSISTENT,
  ],
  ['what follows from other headers', { eth_type: 0x86dd }, [set({ ipv6_exthdr: 1 })], BAD_SET_TYPE],
];

const accepted: [string, Match, ActionInit[]][] = [
  [
    'a label right after it is pushed',
    ipv4,
    [pushMpls, set({ mpls_label: 5 }), set({ mpls_bos: 0 }), { type: 'dec_mpls_ttl' }],
  ],
  ['an I-SID right after it is pushed', {}, [pushPbb, set({ pbb_isid: 0xffffff })]],
  [
    'IPv4 behind a label that is popped',
    mpls,
    [popMpls(0x0800), set({ ipv4_dst: '10.0.0.9' }), { type: 'dec_nw_ttl' }],
  ],
  ['a VLAN tag behind a label that is popped', mpls, [popMpls(0x8100), set({ vlan_pcp: 1 }), popVlan]],
  [
    'a VLAN tag before a label that is popped',
    { ...mpls, ...tagged },
    [popMpls(0x0800), set({ vlan_pcp: 1 })],
  ],
  ['a backbone VLAN tag when the I-TAG is popped', { ...pbb, ...tagged }, [popPbb, set({ vlan_pcp: 1 })]],
  ['anything where the match leaves the type open', {}, [popMpls(0x0800)]],
  ['TTL of any packet', {}, [{ type: 'dec_nw_ttl' }, { type: 'dec_mpls_ttl' }, { type: 'copy_ttl_in' }]],
];

describe('actions that cannot apply are refused', () => {
  it.each(refused)('%s', (_, match, actions, code) => {
    expect(refusal(match, actions, 'apply_actions')).toBe(code);
  });
});

describe('actions that can apply are accepted', () => {
  it.each(accepted)('%s', (_, match, actions) => {
    expect(refusal(match, actions, 'apply_actions')).toBeUndefined();
  });

  it('in an action set by the order in which that is executed', () => {
    expect(refusal(ipv4, [set({ mpls_label: 5 }), pushMpls], 'write_actions')).toBeUndefined();
    expect(refusal(ipv4, [set({ mpls_label: 5 }), pushMpls], 'apply_actions')).toBe(MATCH_INCONSISTENT);
    expect(refusal(ipv4, [set({ mpls_label: 5 })], 'write_actions')).toBe(MATCH_INCONSISTENT);
    // Of each kind the last counts, but all are checked.
    expect(refusal(mpls, [popMpls(0x0800), popMpls(0x86dd)], 'write_actions')).toBeUndefined();
    expect(refusal(mpls, [popMpls(1), popMpls(0x86dd)], 'write_actions')).toBe(BAD_ARGUMENT);
  });

  it('in an action set by what the actions applied before have made of the packet', () => {
    const harness = new GuestHarness();
    const entry = (actions: ActionInit[]) =>
      harness.ask({
        type: 'flow_mod',
        match: mpls,
        instructions: [
          { type: 'write_actions', actions },
          { type: 'apply_actions', actions: [popMpls(0x0800)] },
        ],
      });
    expect(entry([set({ ipv4_src: '10.0.0.1' })])).toEqual([]);
    expect(entry([set({ mpls_tc: 1 })])).toMatchObject([{ type: 'error', code: MATCH_INCONSISTENT }]);
  });

  it('in a PACKET_OUT whatever its packet is', () => {
    const actions = [set({ mpls_tc: 1 }), popPbb, set({ tcp_dst: 1 })];
    const harness = new GuestHarness();
    expect(harness.ask({ type: 'packet_out', actions, data: new Uint8Array(0) })).toEqual([]);
  });
});
