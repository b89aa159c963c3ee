/** Random packets, and random flow entries that a switch has to accept, for the pipeline's property test. */
import fc from 'fast-check';
import {
  type Action,
  type ActionInit,
  type Bucket,
  FLOWCELL_EXPERIMENTER,
  type Instruction,
  type Match,
  type MeterBand,
} from '../../openflow/index.ts';
import { fold16, sum16 } from '../../packet/index.ts';
import { type Description, EXTENSIONS, type Payload, type Tag } from './reference-packet.ts';
import {
  type Entry,
  inSetOrder,
  type Packet,
  type ReferenceGroup,
  type ReferenceMeter,
} from './reference-pipeline.ts';

const macs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff');
const ip4s = fc.constantFrom('10.0.0.1', '10.0.0.2', '192.168.255.254', '255.255.255.255');
const ip6s = fc.constantFrom('fd00::1', 'fd00::2', '2001:db8::ffff:0:1');
const ports = fc.constantFrom(1, 80, 65535);
const inPorts = fc.constantFrom(1, 2, 3);
const vids = fc.constantFrom(0, 5, 4095);
const labels = fc.constantFrom(0, 16, 0x45678, 0xfffff);
const isids = fc.constantFrom(0, 5, 0xabcdef);
const ttls = fc.constantFrom(0, 1, 2, 64);
/** Two of assured forwarding, which meters change, and two that are not. */
const dscps = fc.constantFrom(0, 10, 28, 46);
const flabels = fc.constantFrom(0, 0xabcde);
const bits = (n: number) => fc.nat(2 ** n - 1);
const payload = fc.uint8Array({ maxLength: 300 });
const kind = <T extends string>(...names: T[]) => fc.constantFrom(...names);

// Packets ---------------------------------------------------------------------------------------------------

const withPorts = fc.record({ kind: kind('tcp', 'udp', 'sctp'), src: ports, dst: ports, payload });
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
const neighbour = fc
  .record({ kind: kind('nd'), type: fc.constantFrom(135, 136), target: ip6s, linkAddress: macs })
  .map((one) => ({ ...one, option: (one.type - 134) as 1 | 2 }));
const ipRest = { dscp: dscps, ecn: bits(2), ttl: ttls };
const noExt = fc.constant('none' as const);
const extensions = fc.oneof(
  noExt,
  fc.constantFrom(...(Object.keys(EXTENSIONS) as (keyof typeof EXTENSIONS)[])),
);
const ipv4 = <T>(l4: fc.Arbitrary<T>) =>
  fc.record({ kind: kind('ipv4'), src: ip4s, dst: ip4s, flabel: fc.constant(0), ext: noExt, ...ipRest, l4 });
const ipv6 = <T>(l4: fc.Arbitrary<T>, ext: fc.Arbitrary<keyof typeof EXTENSIONS>) =>
  fc.record({ kind: kind('ipv6'), src: ip6s, dst: ip6s, flabel: flabels, ext, ...ipRest, l4 });
const tunnel = fc.oneof(ipv4(echo4), ipv6(withPorts, noExt)).map((inner) => ({ kind: 'ip' as const, inner }));
const arp = fc.record({
  kind: kind('arp'),
  op: fc.constantFrom(1, 2),
  sha: macs,
  spa: ip4s,
  tha: macs,
  tpa: ip4s,
});
const anyIpv4 = ipv4(fc.oneof({ weight: 3, arbitrary: withPorts }, echo4, tunnel));
const anyIpv6 = ipv6(fc.oneof({ weight: 3, arbitrary: withPorts }, echo6, neighbour, tunnel), extensions);
const anyPayload: fc.Arbitrary<Payload> = fc.oneof(anyIpv4, anyIpv6, arp);

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
  bos: fc.constant(1),
  ttl: ttls,
});
const pbb = fc.record({ kind: kind('pbb'), pcp: bits(3), uca: bits(1), isid: isids, src: macs, dst: macs });
const vlans = fc.array(vlan, { maxLength: 2 });
const labelled = (entry: fc.Arbitrary<Extract<Tag, { kind: 'mpls' }>>): fc.Arbitrary<Tag[]> =>
  fc
    .tuple(vlans, fc.array(entry, { minLength: 1, maxLength: 3 }))
    .map(([outer, stack]) => [
      ...outer,
      ...stack.map((one, i) => ({ ...one, bos: i === stack.length - 1 ? 1 : 0 })),
    ]);
const bridged: fc.Arbitrary<Tag[]> = fc
  .tuple(vlans, pbb, vlans)
  .map(([outer, tag, inner]) => [...outer, tag, ...inner]);
const anyTags = fc.oneof({ weight: 3, arbitrary: vlans as fc.Arbitrary<Tag[]> }, labelled(mpls), bridged);

const describe = (
  payload: fc.Arbitrary<Payload>,
  tags: fc.Arbitrary<Tag[]> = vlans,
): fc.Arbitrary<Description> => fc.record({ src: macs, dst: macs, tags, payload });
export const anyPacket = describe(anyPayload, anyTags);

// Entries ---------------------------------------------------------------------------------------------------

type Fields = Record<string, fc.Arbitrary<unknown>>;

/** Fields a match may have, and set-field may set, with each set of prerequisites. */
const common = { eth_src: macs, eth_dst: macs };
const otherType = { eth_type: fc.constant(0x88b5) };
const otherProto = { ip_proto: fc.constant(253) };
const tunnels = fc.constantFrom(0n, 5n, 0x1_0000_0005n);
const v4 = { ip_dscp: dscps, ip_ecn: bits(2), ipv4_src: ip4s, ipv4_dst: ip4s };
const v6 = { ip_dscp: dscps, ip_ecn: bits(2), ipv6_src: ip6s, ipv6_dst: ip6s, ipv6_flabel: flabels };
const tcp = { tcp_src: ports, tcp_dst: ports };
const udp = { udp_src: ports, udp_dst: ports };
const sctp = { sctp_src: ports, sctp_dst: ports };
const shim = { mpls_label: labels, mpls_tc: bits(3), mpls_bos: bits(1) };
const arpFields = {
  ...{ arp_op: fc.constantFrom(1, 2), arp_spa: ip4s, arp_tpa: ip4s },
  ...{ arp_sha: macs, arp_tha: macs },
};
const icmp4 = { icmpv4_type: fc.constantFrom(0, 8), icmpv4_code: bits(1) };
const icmp6 = { icmpv6_type: fc.constantFrom(128, 129), icmpv6_code: bits(1) };
const solicitation = neighbour.map((one) => ({ ...one, type: 135, option: 1 as const }));
const advertisement = neighbour.map((one) => ({ ...one, type: 136, option: 2 as const }));
type Ported = 'tcp' | 'udp' | 'sctp';
const ports4 = (name: Ported) => describe(ipv4(withPorts.map((l4) => ({ ...l4, kind: name }))));
const ports6 = (name: Ported) =>
  describe(
    ipv6(
      withPorts.map((l4) => ({ ...l4, kind: name })),
      extensions,
    ),
  );
const mplsOf = (type: number) => describe(anyPayload, labelled(mpls.map((one) => ({ ...one, type }))));

/** Kinds of packets: what a match says of them, what else it may say, and some of them. */
interface Kind {
  base: Match;
  fields: Fields;
  packet: fc.Arbitrary<Description>;
}
const of = (base: Match, fields: Fields, packet: fc.Arbitrary<Description>): Kind => ({
  base,
  fields,
  packet,
});
const kinds: Kind[] = [
  of({}, {}, anyPacket),
  of({ vlan_vid: [0x1000, 0x1000] }, { vlan_pcp: bits(3) }, describe(anyPayload, fc.tuple(vlan))),
  of({ eth_type: 0x0800 }, v4, describe(anyIpv4)),
  of({ eth_type: 0x86dd }, v6, describe(anyIpv6)),
  of({ eth_type: 0x0800, ip_proto: 6 }, { ...v4, ...tcp }, ports4('tcp')),
  of({ eth_type: 0x86dd, ip_proto: 6 }, { ...v6, ...tcp }, ports6('tcp')),
  of({ eth_type: 0x0800, ip_proto: 17 }, { ...v4, ...udp }, ports4('udp')),
  of({ eth_type: 0x86dd, ip_proto: 17 }, { ...v6, ...udp }, ports6('udp')),
  of({ eth_type: 0x0800, ip_proto: 132 }, { ...v4, ...sctp }, ports4('sctp')),
  of({ eth_type: 0x86dd, ip_proto: 132 }, { ...v6, ...sctp }, ports6('sctp')),
  of({ eth_type: 0x0800, ip_proto: 1 }, { ...v4, ...icmp4 }, describe(ipv4(echo4))),
  of(
    { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 128 },
    { ...v6, ...icmp6 },
    describe(ipv6(echo6, extensions)),
  ),
  of(
    { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 135 },
    { ipv6_src: ip6s, ipv6_nd_target: ip6s, ipv6_nd_sll: macs },
    describe(ipv6(solicitation, extensions)),
  ),
  of(
    { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 136 },
    { ipv6_dst: ip6s, ipv6_nd_target: ip6s, ipv6_nd_tll: macs },
    describe(ipv6(advertisement, extensions)),
  ),
  of({ eth_type: 0x0806 }, arpFields, describe(arp)),
  of({ eth_type: 0x8847 }, shim, mplsOf(0x8847)),
  of({ eth_type: 0x8848 }, shim, mplsOf(0x8848)),
  of({ eth_type: 0x88e7 }, { pbb_isid: isids, pbb_uca: bits(1) }, describe(anyPayload, bridged)),
];
/** ipv4_masked stands for ipv4_src, phy_port for in_port and in_phy_port. */
const matchOnly = {
  phy_port: inPorts,
  tunnel_id: fc.oneof(tunnels, fc.constant<[bigint, bigint]>([0n, 0x1_0000_0000n])),
  ipv6_exthdr: fc.oneof(
    fc.constantFrom(...Object.values(EXTENSIONS).map(({ flags }) => flags as number)),
    fc.constantFrom<[number, number]>([32, 32], [0, 256], [64, 64]),
  ),
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
const group = fc.integer({ min: 1, max: 4 }).map((group_id): ActionInit => ({ type: 'group', group_id }));
const setQueue = fc.constantFrom(0, 1, 7).map((queue_id): ActionInit => ({ type: 'set_queue', queue_id }));
/** Actions of OpenFlow 1.0, by type; the last is enqueue. */
const of10 = fc
  .constantFrom(
    ...[
      [1, 0, 5, 0, 0],
      [1, 15, 255, 0, 0],
      [2, 3, 0, 0, 0],
      [3, 0, 0, 0, 0],
    ],
    ...[
      [6, 10, 0, 0, 9],
      [7, 10, 0, 0, 8],
      [8, 0xb8, 0, 0, 0],
      [9, 0, 99, 0, 0],
      [10, 1, 0, 0, 0],
    ],
    [11, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
  )
  .map(([type, ...rest]): ActionInit => {
    const data = Uint8Array.of(0, type, 0, rest.length + 4, ...rest);
    return { type: 'experimenter', experimenter: FLOWCELL_EXPERIMENTER, data };
  });
const present = vids.map((vid) => vid | 0x1000);
/** Tags set right after they are pushed. */
const pushed = fc.oneof(
  fc.tuple(pushVlan, setOf({ vlan_vid: present }), setOf({ vlan_pcp: bits(3) })),
  fc.tuple(push, setOf({ ...shim, pbb_isid: isids, pbb_uca: bits(1) })),
);

function actionsFor(fields: Fields): fc.Arbitrary<ActionInit[]> {
  const setField = setOf({
    ...common,
    ...otherType,
    tunnel_id: tunnels,
    ...('ip_dscp' in fields ? otherProto : {}),
    ...fields,
  });
  const single = fc.oneof(
    { weight: 5, arbitrary: output },
    { weight: 3, arbitrary: setField },
    ttlAction,
    pop,
    push,
    { weight: 2, arbitrary: group },
    setQueue,
    of10,
  );
  const pieces = fc.oneof({ weight: 6, arbitrary: single.map((action) => [action]) }, pushed);
  return fc.array(pieces, { minLength: 1, maxLength: 5 }).map((list) => list.flat());
}

/** What set-field turns a packet's protocol into, so that the rest of it is opaque. */
const OTHER_PROTO = 253;
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
      case 'experimenter': {
        const [, number] = action.data as Uint8Array;
        if (number <= 2) this.tagged = true;
        else if (number === 3) this.tagged = undefined;
        return true;
      }
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
    if (name === 'eth_type') this.becomes(0x88b5);
    if (name.startsWith('eth_') || name === 'tunnel_id') return true;
    if (name === 'vlan_vid') return this.tagged !== false;
    if (name === 'vlan_pcp') return this.tagged === true;
    if (name.startsWith('mpls_')) return MPLS.includes(this.type ?? 0);
    if (name.startsWith('pbb_')) return this.type === 0x88e7;
    // Of the others those of the match's own kind are tried, while the packet is what the match says.
    if (this.match.eth_type === undefined) return false;
    if (name === 'ip_proto') this.match = { ...this.match, ip_proto: OTHER_PROTO };
    return this.match.ip_proto !== OTHER_PROTO || name.startsWith('ip');
  }
}

/** What set-field may set only in a list: in a set it is open whether that comes before the other set-fields. */
const reshapes = (action: ActionInit) =>
  action.type === 'set_field' && ('eth_type' in action.field || 'ip_proto' in action.field);

/** Tables that entries are in; those in between stay empty. */
const TABLES = [0, 1, 2, 100, 252, 253];

/** One of the fields with a value, or none. */
const fieldOf = (fields: Fields): fc.Arbitrary<[string, unknown][]> => {
  const entries = Object.entries(fields);
  if (entries.length === 0) return fc.constant([]);
  const one = fc
    .constantFrom(...entries)
    .chain(([name, value]) => value.map((v): [string, unknown] => [name, v]));
  return fc.array(one, { maxLength: 1 });
};

function matchOf(base: Match, chosen: [string, unknown][]): Match {
  const { ipv4_masked, phy_port, ipv6_exthdr, ...rest } = Object.fromEntries(chosen);
  return {
    ...rest,
    ...(ipv4_masked !== undefined && base.eth_type === 0x0800 ? { ipv4_src: ipv4_masked } : {}),
    ...(phy_port !== undefined ? { in_port: phy_port, in_phy_port: phy_port } : {}),
    ...(ipv6_exthdr !== undefined && base.eth_type === 0x86dd ? { ipv6_exthdr } : {}),
    ...base,
  } as Match;
}

/** `focus`: the kind of packets that the test is about. */
function entryArbitrary(index: number, focus: Kind): fc.Arbitrary<Entry> {
  return fc.constantFrom(kinds[0], focus, focus).chain(({ base, fields }) => {
    // Up to two fields more: an entry that matches nothing tests nothing.
    const chosen = fc.tuple(fieldOf(fields), fieldOf({ ...common, ...fields, ...matchOnly }));
    const actions = actionsFor(fields);
    const instructions = fc.record({
      meter: fc.option(fc.constantFrom(1, 2, 3), { freq: 2 }),
      apply: fc.option(actions, { freq: 4 }),
      clear: fc.boolean(),
      write: fc.option(actions),
      metadata: fc.option(fc.constantFrom<[bigint, bigint]>([1n, 1n], [0x1_0000_0001n, 0xff_0000_00ffn])),
      goto: fc.option(fc.nat(2)),
      bare: fc.boolean(),
    });
    return fc
      .tuple(fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 5), chosen, instructions)
      .map(([at, chosen, plan]): Entry => {
        const match = matchOf(base, chosen.flat());
        const known = new Knowledge(match);
        const list: unknown[] = [];
        if (plan.meter !== null) list.push({ type: 'meter', meter_id: plan.meter });
        if (plan.apply) {
          list.push({ type: 'apply_actions', actions: plan.apply.filter((action) => known.accepts(action)) });
        }
        if (plan.clear) list.push({ type: 'clear_actions' });
        if (plan.write) {
          const wanted = plan.write.filter((action) => action.type !== 'experimenter' && !reshapes(action));
          // Written in any order, executed in the set's.
          const accepted = inSetOrder(wanted, (one) => one as { type: never }).filter((action) =>
            known.accepts(action),
          );
          list.push({ type: 'write_actions', actions: wanted.filter((one) => accepted.includes(one)) });
        }
        if (plan.metadata) {
          list.push({ type: 'write_metadata', metadata: plan.metadata[0], metadata_mask: plan.metadata[1] });
        }
        const next = TABLES[at + 1 + (plan.goto ?? TABLES.length)];
        if (next !== undefined) list.push({ type: 'goto_table', table_id: next });
        return {
          table_id: TABLES[at],
          // Distinct priorities: which of equal ones wins is not defined.
          priority: plan.bare && Object.keys(match).length === 0 ? 0 : index + 1,
          cookie: (BigInt(index) << 32n) | 0x80000001n,
          match,
          instructions: list as Instruction[],
        };
      });
  });
}

const flowEntries = (focus: Kind): fc.Arbitrary<Entry[]> =>
  fc
    .nat(12)
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => entryArbitrary(index, focus))));

// Groups, meters, and all together --------------------------------------------------------------------------

const ANY = 0xffffffff;
const anyFields = kinds.reduce<Fields>((all, { fields }) => Object.assign(all, fields), {});

/** Group `id` forwards to and watches only groups of lower numbers: no loops. */
function groupArbitrary(id: number): fc.Arbitrary<ReferenceGroup> {
  return kind('all', 'select', 'select', 'indirect', 'ff').chain((type) => {
    const watches = type === 'select' || type === 'ff';
    const lower = id > 1 ? fc.option(fc.integer({ min: 1, max: id - 1 })) : fc.constant(null);
    const bucket = fc
      .record({
        weight: type === 'select' ? fc.nat(3) : fc.constant(0),
        port: type === 'ff' ? inPorts : fc.option(inPorts),
        group: lower,
        actions: actionsFor(anyFields),
      })
      .map(
        ({ weight, port, group: watched, actions }) =>
          ({
            weight,
            watch_port: (watches && port) || ANY,
            watch_group: (watches && watched) || ANY,
            actions: actions.filter(
              (action) =>
                action.type !== 'experimenter' &&
                !reshapes(action) &&
                !(action.type === 'group' && action.group_id >= id),
            ),
          }) as Bucket,
      );
    const size =
      type === 'indirect'
        ? { minLength: 1, maxLength: 1 }
        : { minLength: type === 'select' ? 2 : 0, maxLength: 3 };
    return fc.array(bucket, size).map((buckets): ReferenceGroup => ({ group_id: id, type, buckets }));
  });
}

const band = fc
  .record({ type: kind('drop', 'dscp_remark'), rate: fc.integer({ min: 1, max: 20 }), burst: fc.nat(3) })
  .map(
    ({ type, rate, burst }) => ({ type, rate, burst_size: burst, prec_level: 1 + (burst % 2) }) as MeterBand,
  );
const meterArbitrary = (meter_id: number): fc.Arbitrary<ReferenceMeter> =>
  fc.record({
    meter_id: fc.constant(meter_id),
    // Kilobits or packets, each with a burst of the band's own or without.
    flags: fc.constantFrom(0, 1, 1 | 4, 2, 2 | 4),
    bands: fc.array(band, { maxLength: 2 }),
  });

/** What a PACKET_OUT does: some actions, the tables, and some more. */
const packetOut = fc
  .tuple(actionsFor(anyFields), actionsFor(anyFields))
  .map(([before, after]) => [
    ...before,
    { type: 'output', port: 0xfffffff9, max_len: 65535 } as ActionInit,
    ...after,
  ]) as unknown as fc.Arbitrary<Action[]>;

/** A packet, and how long after the one before it comes, ms. */
export interface Arriving extends Packet {
  after: number;
}
const arriving = (focus: Kind): fc.Arbitrary<Arriving> =>
  fc.record({
    description: fc.oneof({ weight: 3, arbitrary: focus.packet }, anyPacket),
    inPort: inPorts,
    actions: fc.option(packetOut, { freq: 2, nil: undefined }),
    after: fc.constantFrom(0, 1, 30, 200),
  });

export interface Scene {
  entries: Entry[];
  groups: ReferenceGroup[];
  meters: ReferenceMeter[];
  livePorts: number[];
  packets: Arriving[];
}
export const scene: fc.Arbitrary<Scene> = fc.constantFrom(...kinds).chain((focus) =>
  fc.record({
    entries: flowEntries(focus),
    groups: fc.tuple(...[1, 2, 3, 4].map(groupArbitrary)),
    meters: fc.tuple(...[1, 2, 3].map(meterArbitrary)),
    livePorts: fc.subarray([1, 2, 3]),
    packets: fc.array(arriving(focus), { minLength: 1, maxLength: 8 }),
  }),
);
