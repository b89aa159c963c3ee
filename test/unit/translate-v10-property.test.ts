/** Whatever OpenFlow 1.0 says means the same in 1.3, and comes back as it was; nonsense is refused, always typed. */
import { deepStrictEqual } from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Action, type Match, type Message, OpenFlowError } from '../../openflow/index.ts';
import type { MessageDef } from '../../openflow/schema/messages.ts';
import type { UnionNode } from '../../openflow/schema/types.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import { actionsForController, actionsForDevice, actionsTo10 } from '../../openflow/translate/v10-actions.ts';
import { matchFrom10, matchTo10 } from '../../openflow/translate/v10-match.ts';
import * as v10 from '../../openflow/v10/index.ts';
import { actionVariants } from '../../openflow/v10/structs.ts';
import { messageArbitrary, nodeArbitrary, unionArbitrary, variantArbitrary } from './openflow-arbitrary.ts';

const dialect = () => createDialect(1, { ports: () => [] }) as NonNullable<ReturnType<typeof createDialect>>;

/** What `action` gives, or undefined where it is refused with an error of the specification. */
function orRefused<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof OpenFlowError) return undefined;
    throw error;
  }
}

describe('matches', () => {
  const anyMatch = nodeArbitrary(v10.matchNode) as fc.Arbitrary<v10.Match>;
  /** Types and protocols that mean something, often. */
  const match = fc
    .tuple(
      anyMatch,
      fc.constantFrom(undefined, 0x0800, 0x0800, 0x0806, 0x86dd),
      fc.constantFrom(undefined, 1, 6, 17, 132, 47),
    )
    .map(([any, dl_type, nw_proto]): v10.Match => {
      const out = { ...any };
      if (dl_type !== undefined) out.dl_type = dl_type;
      if (nw_proto !== undefined) out.nw_proto = nw_proto;
      return out;
    });
  const priority = fc.constantFrom(0xffff, 0x8000);

  test('what is compared comes back', () => {
    fc.assert(
      fc.property(match, priority, (ten, of) => {
        const thirteen = matchFrom10(ten);
        deepStrictEqual(matchFrom10(matchTo10(thirteen, of)), thirteen);
      }),
      { numRuns: 500 },
    );
  });

  // A packet as 3.4 of 1.0 sees it, and as 1.3 does, from one description; few values, so that much matches.
  const few = (...values: number[]) => fc.constantFrom(...values);
  const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.1.0.1', '192.168.0.1');
  const mac = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02');
  const packet = fc.record({
    in_port: few(1, 2, 0xfffe),
    dl_src: mac,
    dl_dst: mac,
    vlan: fc.option(fc.record({ vid: few(0, 5, 0xfff), pcp: few(0, 3) }), { nil: undefined }),
    dl_type: few(0x0800, 0x0806, 0x86dd),
    nw_tos: few(0, 0xb8),
    nw_proto: few(1, 2, 6, 17, 47, 58),
    nw_src: address,
    nw_dst: address,
    tp_src: few(0, 8, 80),
    tp_dst: few(0, 8, 80),
  });
  type Packet = typeof packet extends fc.Arbitrary<infer P> ? P : never;

  const bits = (text: string) => text.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
  const within = (given: unknown, value: string): boolean => {
    const [wanted, mask] = Array.isArray(given) ? given : [given, '255.255.255.255'];
    return ((bits(wanted) ^ bits(value)) & bits(mask)) === 0;
  };

  /** Section 3.4 of 1.0, word for word; IPv6, of which it says nothing, as Open vSwitch takes it. */
  function matches10(match10: v10.Match, p: Packet): boolean {
    const same = (name: keyof v10.Match, value: unknown) =>
      match10[name] === undefined || Array.isArray(match10[name]) || match10[name] === value;
    if (!same('in_port', p.in_port) || !same('dl_src', p.dl_src) || !same('dl_dst', p.dl_dst)) return false;
    if (!same('dl_vlan', p.vlan?.vid ?? v10.VLAN_NONE) || !same('dl_type', p.dl_type)) return false;
    if (match10.dl_vlan !== v10.VLAN_NONE && match10.dl_vlan_pcp !== undefined) {
      if (p.vlan === undefined || !same('dl_vlan_pcp', p.vlan.pcp)) return false;
    }
    const isIpv4 = match10.dl_type === 0x0800;
    const isIp = isIpv4 || match10.dl_type === 0x86dd;
    if (!isIp && match10.dl_type !== 0x0806) return true;
    if (isIp && !same('nw_tos', p.nw_tos)) return false;
    if (!same('nw_proto', p.nw_proto)) return false;
    if (isIpv4 || !isIp) {
      if (match10.nw_src !== undefined && !within(match10.nw_src, p.nw_src)) return false;
      if (match10.nw_dst !== undefined && !within(match10.nw_dst, p.nw_dst)) return false;
    }
    if (!isIp || ![isIpv4 ? 1 : 58, 6, 17].includes(match10.nw_proto as number)) return true;
    return same('tp_src', p.tp_src) && same('tp_dst', p.tp_dst);
  }

  /** What 1.3 sees of the packet; fields that it does not have are not there. */
  function fieldsOf(p: Packet): Record<string, unknown> {
    const fields: Record<string, unknown> = {
      in_port: p.in_port === 0xfffe ? 0xfffffffe : p.in_port,
      eth_src: p.dl_src,
      eth_dst: p.dl_dst,
      eth_type: p.dl_type,
      vlan_vid: p.vlan === undefined ? 0 : 0x1000 | p.vlan.vid,
    };
    if (p.vlan !== undefined) fields.vlan_pcp = p.vlan.pcp;
    if (p.dl_type === 0x0806) {
      Object.assign(fields, { arp_op: p.nw_proto, arp_spa: p.nw_src, arp_tpa: p.nw_dst });
    }
    if (p.dl_type === 0x0806) return fields;
    Object.assign(fields, { ip_dscp: p.nw_tos >> 2, ip_proto: p.nw_proto });
    const isIpv4 = p.dl_type === 0x0800;
    if (isIpv4) Object.assign(fields, { ipv4_src: p.nw_src, ipv4_dst: p.nw_dst });
    const names: Record<number, string> = {
      6: 'tcp_src tcp_dst',
      17: 'udp_src udp_dst',
      ...(isIpv4 ? { 1: 'icmpv4_type icmpv4_code' } : { 58: 'icmpv6_type icmpv6_code' }),
    };
    const [src, dst] = names[p.nw_proto]?.split(' ') ?? [];
    if (src !== undefined) Object.assign(fields, { [src]: p.tp_src, [dst]: p.tp_dst });
    return fields;
  }

  function matches13(thirteen: object, p: Packet): boolean {
    const fields = fieldsOf(p);
    return Object.entries(thirteen).every(([name, given]) => {
      const value = fields[name];
      if (value === undefined) return false;
      if (typeof value === 'string' && value.includes('.')) return within(given, value);
      return Array.isArray(given) ? ((value as number) & given[1]) === given[0] : value === given;
    });
  }

  /** A packet, and a match that it passes in most fields. */
  const near = packet.chain((p) =>
    fc.tuple(
      fc.constant(p),
      fc.record(
        {
          in_port: few(p.in_port, 1),
          dl_src: fc.constantFrom(p.dl_src, '02:00:00:00:00:01'),
          dl_dst: fc.constant(p.dl_dst),
          dl_vlan: few(p.vlan?.vid ?? v10.VLAN_NONE, v10.VLAN_NONE, 5),
          dl_vlan_pcp: few(p.vlan?.pcp ?? 0, 3),
          dl_type: few(p.dl_type, 0x0800),
          nw_tos: few(p.nw_tos),
          nw_proto: few(p.nw_proto),
          nw_src: fc.constantFrom(p.nw_src, [p.nw_src, '255.255.0.0'], ['10.0.0.9', '255.0.0.0']),
          nw_dst: fc.constantFrom<v10.Match['nw_dst']>(p.nw_dst),
          tp_src: few(p.tp_src),
          tp_dst: few(p.tp_dst, 80),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
    ),
  );

  test('the same packets pass', () => {
    let passed = 0;
    fc.assert(
      fc.property(near, fc.array(packet, { maxLength: 20 }), ([own, ten], packets) => {
        const thirteen = matchFrom10(ten as v10.Match);
        for (const p of [own, ...packets]) {
          const expected = matches10(ten as v10.Match, p);
          if (expected) passed++;
          expect(matches13(thirteen, p), `${JSON.stringify([ten, thirteen, p])}`).toBe(expected);
        }
      }),
      { numRuns: 1000 },
    );
    expect(passed).toBeGreaterThan(50);
  });
});

describe('actions', () => {
  const { packet_out } = v10.messages;
  const standard = Object.entries(actionVariants).filter(([type]) => type !== 'vendor');
  const one = fc.oneof(
    ...standard.map(([type, variant]) => variantArbitrary(type, variant)),
    unionArbitrary(packet_out.fields.actions.item as unknown as UnionNode),
  );
  const actions = fc.array(one, { maxLength: 6 }) as fc.Arbitrary<v10.Action[]>;
  const match = fc.constantFrom<Match>(
    {},
    { vlan_vid: 0 },
    { vlan_vid: 0x1005 },
    { eth_type: 0x800, ip_proto: 6 },
  );

  test('a device gives them back as they were', () => {
    fc.assert(
      fc.property(actions, match, (ten, of) => {
        const bytes = (list: readonly v10.ActionInit[]) => v10.encode({ type: 'packet_out', actions: list });
        deepStrictEqual(bytes(actionsTo10(actionsForDevice(ten), of)), bytes(ten));
      }),
      { numRuns: 500 },
    );
  });

  test('a controller reads what it wrote', () => {
    fc.assert(
      fc.property(actions, match, (ten, of) => {
        const thirteen = actionsForController(ten, of);
        deepStrictEqual(actionsForController(actionsAs10(thirteen, of), of), thirteen);
      }),
      { numRuns: 500 },
    );
  });

  /** As they are read from the wire. */
  function actionsAs10(list: readonly Action[], of: Match): readonly v10.Action[] {
    const message = v10.decode(v10.encode({ type: 'packet_out', actions: actionsTo10(list, of) }));
    return (message as v10.MessageOf<'packet_out'>).actions;
  }
});

describe('every message', () => {
  const defs = Object.entries(v10.messages) as [string, MessageDef][];

  /** Bytes of 1.0, in 1.3, and that in 1.0 again; undefined where one of the two is refused. */
  function there(bytes: Uint8Array): { messages: Message[]; back: Uint8Array[] } | undefined {
    return orRefused(() => {
      const messages = dialect().decode(bytes);
      return { messages, back: messages.flatMap((message) => dialect().encode(message)) };
    });
  }

  /** With numbers that mean something, where most do not. */
  function sane(message: Record<string, unknown>): v10.MessageInit {
    const n = message.xid as number;
    if (message.type === 'flow_mod') return { ...message, flags: n % 4, command: n % 5 } as v10.MessageInit;
    return (
      /^nx_role/.test(message.type as string) ? { ...message, role: n % 3 } : message
    ) as v10.MessageInit;
  }

  test.each(defs)('%s means the same after a round', (type, def) => {
    let rounds = 0;
    fc.assert(
      fc.property(messageArbitrary(type, def), (message) => {
        const first = there(v10.encode(sane(message)));
        if (first === undefined) return;
        rounds++;
        for (const bytes of first.back) {
          const second = there(bytes);
          deepStrictEqual(second?.back, [bytes]);
        }
      }),
      { numRuns: 60 },
    );
    expect(rounds).toBeGreaterThan(0);
  });

  // What a controller may ask, and a switch be told, without a loss.
  const kept = [
    'packet_out',
    'flow_mod',
    'stats_request',
    'set_config',
    'queue_get_config_request',
    'vendor',
  ];
  test.each(kept)('%s is the same in 1.3 after a round', (type) => {
    const def = v10.messages[type as keyof typeof v10.messages] as MessageDef;
    let rounds = 0;
    fc.assert(
      fc.property(messageArbitrary(type, def), (message) => {
        const bytes = v10.encode(sane(message));
        const first = there(bytes);
        if (first === undefined) return;
        rounds++;
        deepStrictEqual(there(first.back[0])?.messages, first.messages);
      }),
      { numRuns: 100 },
    );
    expect(rounds).toBeGreaterThan(10);
  });

  test('mutated bytes are a message or an OpenFlowError', () => {
    const any = fc.oneof(...defs.map(([type, def]) => messageArbitrary(type, def)));
    const edits = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 6 });
    let refused = 0;
    fc.assert(
      fc.property(any, edits, fc.integer({ min: -8, max: 8 }), (message, changes, extra) => {
        const whole = v10.encode(message as v10.MessageInit);
        const bytes = new Uint8Array(Math.max(8, whole.length + extra));
        bytes.set(whole.subarray(0, bytes.length));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        bytes[0] = 1;
        bytes[2] = bytes.length >> 8;
        bytes[3] = bytes.length;
        if (there(bytes) === undefined) refused++;
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(50);
  });
});

// Recorded messages ------------------------------------------------------------------------------------------

const vectors = resolve(process.env.FLOWCELL_SHARED ?? '../shared', 'vectors');
const folders = ['os-ken/packet_data/of10', 'kytos-python-openflow/raw/v0x01'].map((name) =>
  resolve(vectors, name),
);
const files = folders.flatMap((folder) =>
  existsSync(folder) ? readdirSync(folder).map((name) => [name, resolve(folder, name)] as const) : [],
);
/** Not messages (see openflow-vectors.test.ts), and a vendor's that names no type. */
const REFUSED = new Set([
  'ofpt_flow_stats_reply.dat',
  'ofpt_queue_get_config_reply.dat',
  'ofpt_stats_request.dat',
  'ofpt_vendor_header.dat',
]);

test.runIf(files.length > 0).for(files)('recorded: %s', ([name, path]) => {
  const bytes = new Uint8Array(readFileSync(path));
  const messages = orRefused(() => dialect().decode(bytes));
  expect(messages === undefined).toBe(REFUSED.has(name));
  for (const message of messages ?? []) {
    const [back] = dialect().encode(message);
    expect(back.length).toBe(message.type === 'features_reply' ? 32 : bytes.length);
    expect(dialect().encode(dialect().decode(back)[0])).toEqual([back]);
  }
});
