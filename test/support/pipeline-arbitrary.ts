/** Random packets, and random flow entries that a switch has to accept, for the pipeline's property test. */
import fc from 'fast-check';
import type { ActionInit, Instruction, Match } from '../../openflow/index.ts';
import { fold16, sum16 } from '../../packet/index.ts';
import type { Description, Mpls, Payload, Tag } from './reference-packet.ts';
import { type Entry, inSetOrder } from './reference-pipeline.ts';

const macs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff');
const ip4s = fc.constantFrom('10.0.0.1', '10.0.0.2', '192.168.255.254', '255.255.255.255');
const ip6s = fc.constantFrom('fd00::1', 'fd00::2', '2001:db8::ffff:0:1');
const ports = fc.constantFrom(1, 80, 65535);
const inPorts = fc.constantFrom(1, 2, 3);
const vids = fc.constantFrom(0, 5, 4095);
const labels = fc.constantFrom(0, 16, 0x45678, 0xfffff);
const isids = fc.constantFrom(0, 5, 0xabcdef);
const ttls = fc.constantFrom(0, 1, 2, 64);
const bits = (n: number) => fc.nat(2 ** n - 1);
const payload = fc.uint8Array({ maxLength: 300 });
const kind = <T extends string>(...names: T[]) => fc.constantFrom(...names);

// Packets ---------------------------------------------------------------------------------------------------

const portsOf = (...names: ('tcp' | 'udp' | 'sctp')[]) =>
  fc.record({ kind: kind(...names), src: ports, dst: ports, payload });
const withPorts = portsOf('tcp', 'udp', 'sctp');
/** Not one that makes the checksum of an echo reply 0, for which 0xffff is as good, and found without all the data. */
const echoData = payload.filter((bytes) => fold16(sum16(bytes, 0, bytes.length)) !== 0xffff);
const echo4 = fc.record({
  kind: kind('icmpv4'),
  type: fc.constantFrom(0, 8),
  code: fc.constant(0),
  payload: echoData,
});
const echo6 = fc.record({
  kind: kind('icmpv6'),
  type: fc.constantFrom(128, 129),
  code: fc.constant(0),
  payload,
});
const neighbour = (type: 135 | 136) =>
  fc.record({
    kind: kind('nd'),
    type: fc.constant(type),
    option: fc.constant((type - 134) as 1 | 2),
    target: ip6s,
    linkAddress: macs,
  });
const ipRest = { dscp: bits(6), ecn: bits(2), ttl: ttls };
const ipv4 = <T>(l4: fc.Arbitrary<T>) =>
  fc.record({ kind: kind('ipv4'), src: ip4s, dst: ip4s, flabel: fc.constant(0), ...ipRest, l4 });
const ipv6 = <T>(l4: fc.Arbitrary<T>) =>
  fc.record({ kind: kind('ipv6'), src: ip6s, dst: ip6s, flabel: bits(20), ...ipRest, l4 });
const tunnel = fc.oneof(ipv4(echo4), ipv6(withPorts)).map((inner) => ({ kind: 'ip' as const, inner }));
const arp = fc.record({
  kind: kind('arp'),
  op: fc.constantFrom(1, 2),
  sha: macs,
  spa: ip4s,
  tha: macs,
  tpa: ip4s,
});
const anyPayload: fc.Arbitrary<Payload> = fc.oneof(
  ipv4(fc.oneof({ weight: 3, arbitrary: withPorts }, echo4, tunnel)),
  ipv6(fc.oneof({ weight: 3, arbitrary: withPorts }, echo6, neighbour(135), neighbour(136), tunnel)),
  arp,
);

const vlan = fc.record({
  kind: kind('vlan'),
  tpid: fc.constantFrom(0x8100, 0x88a8),
  vid: vids,
  pcp: bits(3),
});
const mpls = fc.record({
  kind: kind('mpls'),
  type: fc.constantFrom(0x8847, 0x8848),
  label: labels,
  tc: bits(3),
  ttl: ttls,
});
const pbb = fc.record({ kind: kind('pbb'), pcp: bits(3), uca: bits(1), isid: isids, src: macs, dst: macs });
const vlans = fc.array(vlan, { maxLength: 2 });
const stack = (outer: fc.Arbitrary<Tag[]>, entry: fc.Arbitrary<Omit<Mpls, 'bos'>> = mpls) =>
  fc
    .tuple(outer, fc.array(entry, { minLength: 1, maxLength: 3 }))
    .map(([tags, labels]) => [
      ...tags,
      ...labels.map((one, i) => ({ ...one, bos: i === labels.length - 1 ? 1 : 0 })),
    ]);
const backbone = fc.tuple(vlans, pbb, vlans).map(([outer, tag, inner]) => [...outer, tag, ...inner]);
const anyTags = fc.oneof({ weight: 3, arbitrary: vlans }, stack(vlans), backbone);

function packets(tags: fc.Arbitrary<Tag[]>, payload: fc.Arbitrary<Payload>): fc.Arbitrary<Description> {
  return fc.record({ src: macs, dst: macs, tags, payload });
}

export const anyPacket = packets(anyTags, anyPayload);

// Entries ---------------------------------------------------------------------------------------------------

type Fields = Record<string, fc.Arbitrary<unknown>>;

/** Fields a match may have, and set-field may set, with each set of prerequisites. */
const common = { eth_src: macs, eth_dst: macs };
const v4 = { ip_dscp: bits(6), ip_ecn: bits(2), ipv4_src: ip4s, ipv4_dst: ip4s };
const v6 = { ip_dscp: bits(6), ip_ecn: bits(2), ipv6_src: ip6s, ipv6_dst: ip6s, ipv6_flabel: bits(20) };
const tcp = { tcp_src: ports, tcp_dst: ports };
const udp = { udp_src: ports, udp_dst: ports };
const sctp = { sctp_src: ports, sctp_dst: ports };
const shim = { mpls_label: labels, mpls_tc: bits(3), mpls_bos: bits(1) };
const arpFields = {
  ...{ arp_op: fc.constantFrom(1, 2), arp_spa: ip4s, arp_tpa: ip4s },
  ...{ arp_sha: macs, arp_tha: macs },
};
interface Kind {
  base: Match;
  fields: Fields;
  /** Packets that match the base. */
  packets: fc.Arbitrary<Description>;
}

const tagged = fc.array(vlan, { minLength: 1, maxLength: 2 });
const any: Kind = { base: {}, fields: {}, packets: anyPacket };
const kinds: Kind[] = [
  any,
  {
    base: { vlan_vid: [0x1000, 0x1000] },
    fields: { vlan_pcp: bits(3) },
    packets: packets(tagged, anyPayload),
  },
  { base: { eth_type: 0x0800 }, fields: v4, packets: packets(vlans, ipv4(tunnel)) },
  { base: { eth_type: 0x86dd }, fields: v6, packets: packets(vlans, ipv6(tunnel)) },
  ...[tcp, udp, sctp].flatMap((fields, i): Kind[] => {
    const name = (['tcp', 'udp', 'sctp'] as const)[i];
    const ip_proto = [6, 17, 132][i];
    return [
      {
        base: { eth_type: 0x0800, ip_proto },
        fields: { ...v4, ...fields },
        packets: packets(vlans, ipv4(portsOf(name))),
      },
      {
        base: { eth_type: 0x86dd, ip_proto },
        fields: { ...v6, ...fields },
        packets: packets(vlans, ipv6(portsOf(name))),
      },
    ];
  }),
  {
    base: { eth_type: 0x0800, ip_proto: 1 },
    fields: { ...v4, icmpv4_type: fc.constantFrom(0, 8), icmpv4_code: bits(1) },
    packets: packets(vlans, ipv4(echo4)),
  },
  {
    base: { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 128 },
    fields: { ...v6, icmpv6_type: fc.constantFrom(128, 129), icmpv6_code: bits(1) },
    packets: packets(vlans, ipv6(echo6)),
  },
  {
    base: { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135 },
    fields: { ipv6_src: ip6s, ipv6_nd_target: ip6s, ipv6_nd_sll: macs },
    packets: packets(vlans, ipv6(neighbour(135))),
  },
  {
    base: { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 136 },
    fields: { ipv6_dst: ip6s, ipv6_nd_target: ip6s, ipv6_nd_tll: macs },
    packets: packets(vlans, ipv6(neighbour(136))),
  },
  { base: { eth_type: 0x0806 }, fields: arpFields, packets: packets(vlans, arp) },
  ...[0x8847, 0x8848].map((type): Kind => {
    const entry = mpls.map((one) => ({ ...one, type }));
    return { base: { eth_type: type }, fields: shim, packets: packets(stack(vlans, entry), anyPayload) };
  }),
  {
    base: { eth_type: 0x88e7 },
    fields: { pbb_isid: isids, pbb_uca: bits(1) },
    packets: packets(backbone, anyPayload),
  },
];
const matchOnly = {
  in_port: inPorts,
  vlan_vid: vids.map((vid) => (vid === 0 ? 0 : vid | 0x1000)),
  metadata: fc.constantFrom<[bigint, bigint]>([1n, 0xffn], [0x1_0000_0000n, 0xff_0000_0000n], [0n, 1n]),
  ipv4_masked: fc.constantFrom<[string, string]>(['10.0.0.0', '255.0.0.0'], ['0.0.0.1', '0.0.0.1']),
};

const output = fc.constantFrom(1, 2, 3, 9, 0xfffffff8, 0xfffffffb, 0xfffffffd).map((port) => ({
  type: 'output' as const,
  port,
  max_len: 65535,
}));
const ttlAction = fc.constantFrom<ActionInit>(
  ...([{ type: 'dec_nw_ttl' }, { type: 'set_nw_ttl', nw_ttl: 7 }] as const),
  ...([{ type: 'dec_mpls_ttl' }, { type: 'set_mpls_ttl', mpls_ttl: 9 }] as const),
  ...([{ type: 'copy_ttl_in' }, { type: 'copy_ttl_out' }] as const),
);
const pop = fc.oneof(
  fc.constantFrom<ActionInit>({ type: 'pop_vlan' }, { type: 'pop_pbb' }),
  fc
    .constantFrom(0x0800, 0x86dd, 0x0806, 0x8847, 0x8100, 0x88b5)
    .map((ethertype): ActionInit => ({ type: 'pop_mpls', ethertype })),
);
const pushVlan = fc
  .constantFrom(0x8100, 0x88a8)
  .map((ethertype): ActionInit => ({ type: 'push_vlan', ethertype }));
const push = fc.oneof(
  pushVlan,
  fc.constantFrom(0x8847, 0x8848).map((ethertype): ActionInit => ({ type: 'push_mpls', ethertype })),
  fc.constant<ActionInit>({ type: 'push_pbb', ethertype: 0x88e7 }),
);
const setOf = (fields: Fields) =>
  fc
    .constantFrom(...Object.entries(fields))
    .chain(([name, value]) =>
      value.map((v) => ({ type: 'set_field', field: { [name]: v } }) as unknown as ActionInit),
    );
const present = vids.map((vid) => vid | 0x1000);
/** Tags set right after they are pushed. */
const pushed = fc.oneof(
  fc.tuple(pushVlan, setOf({ vlan_vid: present }), setOf({ vlan_pcp: bits(3) })),
  fc.tuple(push, setOf({ ...shim, pbb_isid: isids, pbb_uca: bits(1) })),
);

function actionsFor(fields: Fields): fc.Arbitrary<ActionInit[]> {
  // What only this kind of packet has is set most.
  const setField = fc.oneof(setOf(common), {
    weight: 3,
    arbitrary: setOf(Object.keys(fields).length > 0 ? fields : common),
  });
  const single = fc.oneof(
    { weight: 5, arbitrary: output },
    { weight: 4, arbitrary: setField },
    ttlAction,
    pop,
    push,
  );
  const pieces = fc.oneof({ weight: 6, arbitrary: single.map((action) => [action]) }, pushed);
  return fc.array(pieces, { minLength: 1, maxLength: 5 }).map((list) => list.flat());
}

const IP = [0x0800, 0x86dd];
const MPLS = [0x8847, 0x8848];

/** What is known of packets by an entry's match and the actions so far: what a switch may check actions by. */
class Knowledge {
  private match: Record<string, unknown>;
  private type: number | undefined;
  private tagged: boolean | undefined;

  constructor(match: Record<string, unknown>) {
    this.match = match;
    this.type = match.eth_type as number | undefined;
    const vid = match.vlan_vid;
    this.tagged = vid === undefined ? undefined : vid !== 0;
  }

  /** Whether the switch has to accept the action here; if so, it is taken account of. */
  accepts(action: ActionInit): boolean {
    const isOrMayBe = (types: number[]) => this.type === undefined || types.includes(this.type);
    switch (action.type) {
      case 'set_field':
        return this.acceptsField(Object.keys(action.field)[0]);
      case 'dec_nw_ttl':
      case 'set_nw_ttl':
        return isOrMayBe(IP);
      case 'dec_mpls_ttl':
      case 'set_mpls_ttl':
        return isOrMayBe(MPLS);
      case 'copy_ttl_in':
      case 'copy_ttl_out':
        return isOrMayBe([...IP, ...MPLS]);
      case 'push_vlan':
        this.tagged = true;
        return true;
      case 'pop_vlan': {
        const accepted = this.tagged !== false;
        if (accepted) this.tagged = undefined;
        return accepted;
      }
      case 'push_mpls':
      case 'push_pbb':
        this.becomes(action.ethertype);
        this.tagged = false;
        return true;
      case 'pop_mpls':
        if (!isOrMayBe(MPLS)) return false;
        if (action.ethertype === 0x8100) {
          this.becomes(undefined);
          this.tagged = true;
        } else {
          this.becomes(action.ethertype);
        }
        return true;
      case 'pop_pbb':
        if (!isOrMayBe([0x88e7])) return false;
        this.becomes(undefined);
        if (this.tagged === false) this.tagged = undefined;
        return true;
      default:
        return true;
    }
  }

  private becomes(type: number | undefined): void {
    this.type = type;
    this.match = {};
  }

  private acceptsField(name: string): boolean {
    if (name.startsWith('eth_')) return true;
    if (name === 'vlan_vid') return this.tagged !== false;
    if (name === 'vlan_pcp') return this.tagged === true;
    if (name.startsWith('mpls_')) return MPLS.includes(this.type ?? 0);
    if (name.startsWith('pbb_')) return this.type === 0x88e7;
    // Of the others those of the match's own kind are tried, while the packet is what the match says.
    return this.match.eth_type !== undefined;
  }
}

function entryArbitrary(index: number, focus: Kind): fc.Arbitrary<Entry> {
  return fc
    .oneof(fc.constant(any), fc.constant(focus), fc.constantFrom(...kinds))
    .chain(({ base, fields }) => {
      const optional = fc.record({ ...common, ...fields, ...matchOnly });
      const actions = actionsFor(fields);
      const instructions = fc.record({
        apply: fc.option(actions, { freq: 4 }),
        clear: fc.boolean(),
        write: fc.option(actions),
        metadata: fc.option(fc.constantFrom<[bigint, bigint]>([1n, 1n], [0x1_0000_0001n, 0xff_0000_00ffn])),
        goto: fc.option(fc.nat(2)),
        bare: fc.boolean(),
      });
      return fc
        .tuple(fc.constantFrom(0, 0, 0, 1, 2), optional, instructions, fc.nat(20), fc.nat(20))
        .map(([table_id, extra, plan, one, other]): Entry => {
          // Up to two fields more: an entry that matches nothing tests nothing.
          const chosen = Object.entries(extra).filter((_, i) => i === one || i === other);
          const match: Record<string, unknown> = { ...Object.fromEntries(chosen), ...base };
          if (match.ipv4_masked !== undefined && base.eth_type === 0x0800) match.ipv4_src = match.ipv4_masked;
          delete match.ipv4_masked;
          const known = new Knowledge(match);
          const list: unknown[] = [];
          if (plan.apply) {
            list.push({
              type: 'apply_actions',
              actions: plan.apply.filter((action) => known.accepts(action)),
            });
          }
          if (plan.clear) list.push({ type: 'clear_actions' });
          if (plan.write) {
            // Written in any order, executed in the set's.
            const accepted = inSetOrder(plan.write, (one) => one as { type: never }).filter((action) =>
              known.accepts(action),
            );
            list.push({ type: 'write_actions', actions: plan.write.filter((one) => accepted.includes(one)) });
          }
          if (plan.metadata) {
            list.push({
              type: 'write_metadata',
              metadata: plan.metadata[0],
              metadata_mask: plan.metadata[1],
            });
          }
          if (plan.goto !== null && table_id < 2) list.push({ type: 'goto_table', table_id: table_id + 1 });
          return {
            table_id,
            // Distinct priorities: which of equal ones wins is not defined.
            priority: plan.bare && Object.keys(match).length === 0 ? 0 : index + 1,
            cookie: (BigInt(index) << 32n) | 0x80000001n,
            match: match as Match,
            instructions: list as Instruction[],
          };
        });
    });
}

/**
 * Entries, and packets to send with their ports. Half of both are of one kind, which all the others are not: an
 * edit that no packet meets is not tested.
 */
export const scenario: fc.Arbitrary<{ entries: Entry[]; sent: [Description, number][] }> = fc
  .tuple(fc.constantFrom(...kinds), fc.nat(10))
  .chain(([focus, count]) =>
    fc.record({
      entries: fc.tuple(...Array.from({ length: count }, (_, index) => entryArbitrary(index, focus))),
      sent: fc.array(fc.tuple(fc.oneof(focus.packets, anyPacket), inPorts), { minLength: 1, maxLength: 6 }),
    }),
  );
