/** The pipeline against the reference: random tables, random packets, byte for byte. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ActionInit, Instruction, Match } from '../../openflow/index.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { GuestHarness } from '../support/guest-harness.ts';
import {
  buildFrame,
  type Description,
  type Entry,
  referencePipeline,
} from '../support/reference-pipeline.ts';

const macs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', 'ff:ff:ff:ff:ff:ff');
const ip4s = fc.constantFrom('10.0.0.1', '10.0.0.2', '192.168.255.254', '255.255.255.255');
const ip6s = fc.constantFrom('fd00::1', 'fd00::2', '2001:db8::ffff:0:1');
const ports = fc.constantFrom(1, 80, 65535);
const inPorts = fc.constantFrom(1, 2, 3);
const vids = fc.constantFrom(0, 5, 4095);
const bits = (n: number) => fc.nat(2 ** n - 1);
const payload = fc.uint8Array({ maxLength: 300 });

const l4 = fc.oneof(
  fc.record({ kind: fc.constantFrom('tcp' as const, 'udp' as const), src: ports, dst: ports, payload }),
  fc.record({
    kind: fc.constant('icmp' as const),
    type: fc.constantFrom(0, 8),
    code: fc.constant(0),
    payload,
  }),
);
const ports4 = l4.filter((value) => value.kind !== 'icmp');
const ipRest = { dscp: bits(6), ecn: bits(2), ttl: fc.constantFrom(0, 1, 2, 64) };
const description: fc.Arbitrary<Description> = fc.record({
  src: macs,
  dst: macs,
  tags: fc.array(fc.record({ tpid: fc.constantFrom(0x8100, 0x88a8), vid: vids, pcp: bits(3) }), {
    maxLength: 2,
  }),
  l3: fc.oneof(
    fc.record({ kind: fc.constant('ipv4' as const), src: ip4s, dst: ip4s, ...ipRest, l4 }),
    fc.record({ kind: fc.constant('ipv6' as const), src: ip6s, dst: ip6s, ...ipRest, l4: ports4 }),
    fc.record({
      kind: fc.constant('arp' as const),
      op: fc.constantFrom(1, 2),
      sha: macs,
      spa: ip4s,
      tha: macs,
      tpa: ip4s,
    }),
  ),
});

/** Fields a match may have, and set-field may set, with each set of prerequisites. */
const common = { eth_src: macs, eth_dst: macs };
const ip = { ip_dscp: bits(6), ip_ecn: bits(2) };
const v4 = { ...ip, ipv4_src: ip4s, ipv4_dst: ip4s };
const v6 = { ...ip, ipv6_src: ip6s, ipv6_dst: ip6s };
const tcp = { tcp_src: ports, tcp_dst: ports };
const udp = { udp_src: ports, udp_dst: ports };
const arpFields = { arp_op: fc.constantFrom(1, 2), arp_spa: ip4s, arp_tpa: ip4s };
const kinds: { base: Match; fields: Record<string, fc.Arbitrary<unknown>> }[] = [
  { base: {}, fields: {} },
  { base: { vlan_vid: [0x1000, 0x1000] }, fields: { vlan_pcp: bits(3) } },
  { base: { eth_type: 0x0800 }, fields: v4 },
  { base: { eth_type: 0x86dd }, fields: v6 },
  { base: { eth_type: 0x0800, ip_proto: 6 }, fields: { ...v4, ...tcp } },
  { base: { eth_type: 0x0800, ip_proto: 17 }, fields: { ...v4, ...udp } },
  { base: { eth_type: 0x86dd, ip_proto: 17 }, fields: { ...v6, ...udp } },
  { base: { eth_type: 0x0800, ip_proto: 1 }, fields: { ...v4, icmpv4_type: fc.constantFrom(0, 8) } },
  { base: { eth_type: 0x0806 }, fields: { ...arpFields } },
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

function actionsFor(
  fields: Record<string, fc.Arbitrary<unknown>>,
  hasTag: boolean,
): fc.Arbitrary<ActionInit[]> {
  const settable = Object.entries({
    ...common,
    ...fields,
    ...(fields.arp_op ? { arp_sha: macs, arp_tha: macs } : {}),
  });
  const setField = fc
    .constantFrom(...settable)
    .filter(([name]) => name !== 'vlan_pcp' || hasTag)
    .chain(([name, value]) =>
      value.map((v) => ({ type: 'set_field', field: { [name]: v } }) as unknown as ActionInit),
    );
  const other = fc.constantFrom<ActionInit>(
    { type: 'dec_nw_ttl' },
    { type: 'set_nw_ttl', nw_ttl: 7 },
    { type: 'pop_vlan' },
  );
  const tag = fc
    .constantFrom(0x8100, 0x88a8)
    .map((ethertype): ActionInit => ({ type: 'push_vlan', ethertype }));
  const single = fc.oneof({ weight: 5, arbitrary: output }, { weight: 3, arbitrary: setField }, other, tag);
  // A tag set right after it is pushed, and popping.
  const pushed = fc
    .tuple(tag, vids, bits(3))
    .map(([push, vid, pcp]): ActionInit[] => [
      push,
      { type: 'set_field', field: { vlan_vid: vid | 0x1000 } },
      { type: 'set_field', field: { vlan_pcp: pcp } },
    ]);
  const pieces = fc.oneof({ weight: 6, arbitrary: single.map((action) => [action]) }, pushed);
  return fc.array(pieces, { minLength: 1, maxLength: 5 }).map((list) => list.flat());
}

/** Without pop_vlan where the switch would rightly refuse it, or what follows it. */
function consistent(actions: ActionInit[], match: Record<string, unknown>): ActionInit[] {
  const setsPcp = actions.some((action) => action.type === 'set_field' && 'vlan_pcp' in action.field);
  return match.vlan_vid === 0 || setsPcp ? actions.filter(({ type }) => type !== 'pop_vlan') : actions;
}

function entryArbitrary(index: number): fc.Arbitrary<Entry> {
  // Half of the entries match packets of any kind.
  const kind = fc.oneof(fc.constant(kinds[0]), fc.constantFrom(...kinds));
  return kind.chain(({ base, fields }) => {
    const optional = fc.record({ ...common, ...fields, ...matchOnly });
    const actions = actionsFor(fields, 'vlan_vid' in base);
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
        if ('vlan_pcp' in match && !('vlan_vid' in base)) delete match.vlan_pcp;
        const list: unknown[] = [];
        if (plan.apply) list.push({ type: 'apply_actions', actions: consistent(plan.apply, match) });
        if (plan.clear) list.push({ type: 'clear_actions' });
        if (plan.write) list.push({ type: 'write_actions', actions: consistent(plan.write, match) });
        if (plan.metadata) {
          list.push({ type: 'write_metadata', metadata: plan.metadata[0], metadata_mask: plan.metadata[1] });
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

const entriesArbitrary = fc
  .nat(10)
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => entryArbitrary(index))));

/** Later FLOW_MODs with the same match, table and priority replace earlier ones. */
function withoutReplaced(entries: Entry[]): Entry[] {
  const name = ({ table_id, priority, match }: Entry) =>
    JSON.stringify([table_id, priority, match], (_, v) => (typeof v === 'bigint' ? `${v}` : v));
  return [...new Map(entries.map((entry) => [name(entry), entry])).values()];
}

describe.each([
  ['compiled tables', 1],
  ['tables as they are', Number.POSITIVE_INFINITY],
])('the pipeline with %s', (_, compileAfter) => {
  it('does what the specification says', () => {
    let outcomes = 0;
    fc.assert(
      fc.property(
        entriesArbitrary,
        fc.array(fc.tuple(description, inPorts), { minLength: 1, maxLength: 6 }),
        (entries, packets) => {
          const harness = new GuestHarness(new OpenFlowProgram(compileAfter));
          const answers = harness.ask(...entries.map((entry) => ({ type: 'flow_mod' as const, ...entry })));
          expect(answers).toEqual([]);
          const kept = withoutReplaced(entries);
          for (const [packet, inPort] of packets) {
            const sent = harness.send(buildFrame(packet), { inPort }).map((record) => ({
              kind: record.kind,
              port: record.port,
              frame: Buffer.from(record.frame).toString('hex'),
              tableId: record.kind === 'controller' ? record.tableId : 0,
              cookie: record.kind === 'controller' ? record.cookie : 0n,
              metadata: record.kind === 'controller' ? record.metadata : 0n,
            }));
            const expected = referencePipeline(kept, packet, inPort);
            expect(sent).toEqual(expected);
            outcomes += expected.length;
          }
        },
      ),
      { numRuns: 700 },
    );
    // The generator is worth something only while packets get through.
    expect(outcomes).toBeGreaterThan(700);
  });
});
