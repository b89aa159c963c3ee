/**
 * The cases that our switch does not pass, by cause, with the section; test/integration/conformance.test.ts expects
 * these to fail and no others, and test/unit/conformance-known.test.ts that docs/conformance.md says the same.
 */

export interface Cause {
  /** A sentence of docs/conformance.md. */
  readonly reason: string;
  /** Whose business it is, or where the specifications have it otherwise; in docs/conformance.md, too. */
  readonly section: string;
  /** OpenFlow versions whose patterns have the cases. */
  readonly openflow: readonly string[];
  readonly names: readonly string[];
}

const popped = (icmp: string, rest: string) =>
  `ethernet/mpls/ipv4/icmp(${icmp})-->'actions=pop_mpls:0x0800,goto_table:1','table_id:1,${rest}'`;

export const CAUSES: readonly Cause[] = [
  {
    reason: 'A frame of 60 bytes without its MPLS label is one of 56, and the pattern expects 60',
    section: 'IEEE 802.3, 4.2.3.3',
    openflow: ['1.3', '1.4'],
    names: [
      `action/25_SET_FIELD/19_ICMPV4_TYPE: ${popped('type=8', 'icmpv4_type=8,actions=set_field:0->icmpv4_type,output:2')}`,
      `action/25_SET_FIELD/20_ICMPV4_CODE: ${popped('code=0', 'icmpv4_code=0,actions=set_field:10->icmpv4_code,output:2')}`,
      `match/19_ICMPV4_TYPE: ${popped('type=8', 'icmpv4_type=8,actions=output:2')}`,
      `match/19_ICMPV4_TYPE: ${popped('type=8', 'icmpv4_type=8,actions=output:CONTROLLER')}`,
      `match/20_ICMPV4_CODE: ${popped('code=0', 'icmpv4_code=0,actions=output:2')}`,
      `match/20_ICMPV4_CODE: ${popped('code=0', 'icmpv4_code=0,actions=output:CONTROLLER')}`,
    ],
  },
];

/** Names of the cases that are known not to pass in a version. */
export const knownFailures = (openflow: string): string[] =>
  CAUSES.filter((cause) => cause.openflow.includes(openflow)).flatMap(({ names }) => names);
