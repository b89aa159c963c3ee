/** Whether a switch's statistics show what was installed: equal in meaning, in whatever order and notation. */
import type { Mod, Of, StatisticsType } from './protocol.ts';

type Body<T extends StatisticsType> = Extract<Of<'stats_reply' | 'multipart_reply'>['body'], { type: T }>;
export type FlowStats = Body<'flow'>['flows'][number];
export type GroupDesc = Body<'group_desc'>['groups'][number];
export type MeterConfig = Body<'meter_config'>['meters'][number];

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

/** OpenFlow 1.0 says of every field whether it counts, also by bits that mean nothing (spec 1.0, 5.2.3). */
const UNUSED = new Set(['wildcards']);

function plainMatch(match: object): Record<string, unknown> {
  const fields = Object.entries(match).map(([name, value]) =>
    Array.isArray(value) && value[1] === ALL_ONES[name] ? [name, value[0]] : [name, value],
  );
  return Object.fromEntries(fields.filter(([name]) => !UNUSED.has(name)));
}

const byType = (instructions: readonly { readonly type: string }[]) =>
  [...instructions].sort((a, b) => (a.type < b.type ? -1 : 1));

/** What of a flow entry, group or meter must come back as it was sent; names as in the specification. */
const flowView = (flow: FlowStats | Of<'flow_mod'>) => ({
  ...{ priority: flow.priority, cookie: flow.cookie, match: plainMatch(flow.match) },
  ...{ idle_timeout: flow.idle_timeout, hard_timeout: flow.hard_timeout },
  // OpenFlow 1.0 has one list of actions, and leaves the choice of a table to the switch.
  ...('actions' in flow
    ? { actions: flow.actions }
    : { table_id: flow.table_id, instructions: byType(flow.instructions) }),
});
const groupView = ({ group_type, group_id, buckets }: GroupDesc | Of<'group_mod'>) => ({
  ...{ group_type, group_id, buckets },
});
const meterView = ({ flags, meter_id, bands }: MeterConfig | Of<'meter_mod'>) => ({
  ...{ flags, meter_id, bands },
});

const same = (a: unknown, b: unknown) => canonical(a) === canonical(b);
export const sameFlow = (a: FlowStats, b: Of<'flow_mod'>) => same(flowView(a), flowView(b));
export const sameGroup = (a: GroupDesc, b: Of<'group_mod'>) => same(groupView(a), groupView(b));
export const sameMeter = (a: MeterConfig, b: Of<'meter_mod'>) => same(meterView(a), meterView(b));

/** Whether statistics have what a message was to install. */
export function shows(body: Body<StatisticsType>, mod: Mod): boolean {
  switch (mod.type) {
    case 'flow_mod':
      return body.type === 'flow' && body.flows.some((one) => sameFlow(one, mod));
    case 'group_mod':
      return body.type === 'group_desc' && body.groups.some((one) => sameGroup(one, mod));
    case 'meter_mod':
      return body.type === 'meter_config' && body.meters.some((one) => sameMeter(one, mod));
  }
}
