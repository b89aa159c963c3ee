/** Whether a switch's statistics show what was installed: equal in meaning, in whatever order and notation. */
import type { FlowStats, Instruction, Match, MessageOf } from '../../openflow/index.ts';

type Reply<T extends string> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;
export type GroupDesc = Reply<'group_desc'>['groups'][number];
export type MeterConfig = Reply<'meter_config'>['meters'][number];

/** Objects by sorted keys, bigints as text: equal texts, equal values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'bigint') return `${one}n`;
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** A mask that leaves nothing out is the same as none (spec 7.2.3.5), by field where its width matters. */
const ALL_ONES: Readonly<Record<string, unknown>> = {
  ...{ metadata: 0xffffffffffffffffn, tunnel_id: 0xffffffffffffffffn },
  ...{ eth_dst: 'ff:ff:ff:ff:ff:ff', eth_src: 'ff:ff:ff:ff:ff:ff' },
  ...{ arp_sha: 'ff:ff:ff:ff:ff:ff', arp_tha: 'ff:ff:ff:ff:ff:ff' },
  ...{ ipv4_src: '255.255.255.255', ipv4_dst: '255.255.255.255' },
  ...{ arp_spa: '255.255.255.255', arp_tpa: '255.255.255.255' },
  ipv6_src: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ipv6_dst: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ...{ vlan_vid: 0x1fff, ipv6_flabel: 0xfffff, pbb_isid: 0xffffff, ipv6_exthdr: 0x1ff },
};

function plainMatch(match: Match): Record<string, unknown> {
  const fields = Object.entries(match).map(([name, value]) =>
    Array.isArray(value) && value[1] === ALL_ONES[name] ? [name, value[0]] : [name, value],
  );
  return Object.fromEntries(fields);
}

const byType = (instructions: readonly Instruction[]) =>
  [...instructions].sort((a, b) => (a.type < b.type ? -1 : 1));

/** What of a flow entry, group or meter must come back as it was sent; names as in the specification. */
const flowView = (flow: FlowStats | MessageOf<'flow_mod'>) => ({
  ...{ table_id: flow.table_id, priority: flow.priority, cookie: flow.cookie },
  ...{ idle_timeout: flow.idle_timeout, hard_timeout: flow.hard_timeout },
  match: plainMatch(flow.match),
  instructions: byType(flow.instructions),
});
const groupView = ({ group_type, group_id, buckets }: GroupDesc | MessageOf<'group_mod'>) => ({
  ...{ group_type, group_id, buckets },
});
const meterView = ({ flags, meter_id, bands }: MeterConfig | MessageOf<'meter_mod'>) => ({
  ...{ flags, meter_id, bands },
});

export const sameFlow = (a: FlowStats, b: MessageOf<'flow_mod'>) =>
  canonical(flowView(a)) === canonical(flowView(b));
export const sameGroup = (a: GroupDesc, b: MessageOf<'group_mod'>) =>
  canonical(groupView(a)) === canonical(groupView(b));
export const sameMeter = (a: MeterConfig, b: MessageOf<'meter_mod'>) =>
  canonical(meterView(a)) === canonical(meterView(b));
