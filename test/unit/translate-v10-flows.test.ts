/** Flow entries of OpenFlow 1.0 in 1.3, and the other way round. */
import { describe, expect, test } from 'vitest';
import * as v13 from '../../openflow/index.ts';
import {
  type Action,
  type ActionInit,
  FLOW_MOD_UPSERT,
  FLOWCELL_EXPERIMENTER,
  FlowModFlag,
  type FlowStats,
  type Match,
  type Message,
  type MessageInit,
  NO_BUFFER,
} from '../../openflow/index.ts';
import { createDialect } from '../../openflow/translate/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import { dialect, from10, mac, output10, output13, refused, to10, xid } from '../support/translate-v10.ts';

describe('flow_mod for a device', () => {
  const flowMod = (init: Partial<Extract<v10.MessageInit, { type: 'flow_mod' }>>) =>
    from10({ type: 'flow_mod', xid, ...init })[0] as Extract<Message, { type: 'flow_mod' }>;

  test('an entry goes to table 0, and counts from zero', () => {
    const init = { cookie: 9n, priority: 5, idle_timeout: 1, hard_timeout: 2, flags: 3, actions: [output10] };
    expect(flowMod(init)).toEqual({
      type: 'flow_mod',
      xid,
      cookie: 9n,
      cookie_mask: 0n,
      table_id: 0,
      command: 0,
      idle_timeout: 1,
      hard_timeout: 2,
      priority: 5,
      buffer_id: NO_BUFFER,
      out_port: v13.Port.ANY,
      out_group: 0xffffffff,
      flags: 3 | FlowModFlag.RESET_COUNTS,
      match: {},
      instructions: [{ type: 'apply_actions', actions: [output13] }],
    });
  });

  test('a modify adds what is not there, a delete leaves entries by port', () => {
    expect(flowMod({ command: 1 }).flags).toBe(FLOW_MOD_UPSERT);
    expect(flowMod({ command: 2 }).flags).toBe(FLOW_MOD_UPSERT);
    expect(flowMod({ command: 3, out_port: v10.Port.LOCAL })).toMatchObject({
      flags: 0,
      table_id: 0,
      out_port: v13.Port.LOCAL,
    });
  });

  const exact = {
    in_port: 1,
    dl_src: mac,
    dl_dst: mac,
    dl_vlan: v10.VLAN_NONE,
    dl_vlan_pcp: 0,
    dl_type: 0x806,
    nw_tos: 0,
    nw_proto: 1,
    nw_src: '10.0.0.1',
    nw_dst: '10.0.0.2',
    tp_src: 0,
    tp_dst: 0,
  };

  test('an exact entry has the highest priority, and is exact again in 1.0', () => {
    const message = flowMod({ match: exact, priority: 7 });
    expect(message.priority).toBe(0xffff);
    expect(message.match).toEqual({
      in_port: 1,
      eth_dst: mac,
      eth_src: mac,
      eth_type: 0x806,
      vlan_vid: 0,
      arp_op: 1,
      arp_spa: '10.0.0.1',
      arp_tpa: '10.0.0.2',
    });
    const { match, priority } = message;
    expect(to10({ type: 'flow_removed', reason: 0, match, priority })).toMatchObject([{ match: exact }]);
    // At another priority it must not become one.
    const [below] = to10({ type: 'flow_removed', reason: 0, match, priority: 7 });
    expect(below).toMatchObject({ priority: 7, match: { nw_proto: 1 } });
    expect((below as v10.MessageOf<'flow_removed'>).match).not.toHaveProperty('tp_src');
    expect(flowMod({ match: { ...exact, tp_dst: undefined }, priority: 7 }).priority).toBe(7);
    expect(flowMod({ match: { ...exact, nw_src: '10.0.0.0/8' }, priority: 7 }).priority).toBe(7);
  });

  test.each([
    ['nothing', {}, {}],
    ['a VLAN', { dl_vlan: 5, dl_vlan_pcp: 3 }, { vlan_vid: 0x1005, vlan_pcp: 3 }],
    ['no VLAN', { dl_vlan: 0xffff, dl_vlan_pcp: 3 }, { vlan_vid: 0 }],
    ['a priority in any VLAN', { dl_vlan_pcp: 3 }, { vlan_vid: [0x1000, 0x1000], vlan_pcp: 3 }],
    ['IP without its type', { nw_proto: 6, nw_src: '10.0.0.1', tp_dst: 80, nw_tos: 4 }, {}],
    ['a port without TCP', { dl_type: 0x800, tp_dst: 80 }, { eth_type: 0x800 }],
    [
      'IPv6, as Open vSwitch takes it',
      { dl_type: 0x86dd, nw_tos: 0xb8, nw_proto: 6, nw_src: '10.0.0.1', tp_dst: 80 },
      { eth_type: 0x86dd, ip_dscp: 46, ip_proto: 6, tcp_dst: 80 },
    ],
    [
      'ICMPv6',
      { dl_type: 0x86dd, nw_proto: 58, tp_src: 0x1ff },
      { eth_type: 0x86dd, ip_proto: 58, icmpv6_type: 0xff },
    ],
    ['ICMP of the other IP', { dl_type: 0x86dd, nw_proto: 1, tp_src: 8 }, { eth_type: 0x86dd, ip_proto: 1 }],
    ['DSCP', { dl_type: 0x800, nw_tos: 0xb8 }, { eth_type: 0x800, ip_dscp: 46 }],
    ['DSCP of ARP', { dl_type: 0x806, nw_tos: 0xb8, nw_proto: 2 }, { eth_type: 0x806, arp_op: 2 }],
    [
      'a network',
      { dl_type: 0x800, nw_src: ['10.1.2.3', '255.255.0.0'] as const },
      { eth_type: 0x800, ipv4_src: ['10.1.0.0', '255.255.0.0'] },
    ],
    [
      'TCP',
      { dl_type: 0x800, nw_proto: 6, tp_src: 1, tp_dst: 2 },
      { eth_type: 0x800, ip_proto: 6, tcp_src: 1, tcp_dst: 2 },
    ],
    ['UDP', { dl_type: 0x800, nw_proto: 17, tp_dst: 2 }, { eth_type: 0x800, ip_proto: 17, udp_dst: 2 }],
    [
      'ICMP, lower 8 bits',
      { dl_type: 0x800, nw_proto: 1, tp_src: 0x108, tp_dst: 0 },
      { eth_type: 0x800, ip_proto: 1, icmpv4_type: 8, icmpv4_code: 0 },
    ],
  ] as readonly (readonly [string, v10.Match, Match])[])('match: %s', (_, ten, thirteen) => {
    expect(flowMod({ match: ten }).match).toEqual(thirteen);
  });

  test('actions that depend on the packet stand as they are', () => {
    const actions = [
      { type: 'set_vlan_vid', vlan_vid: 5 },
      { type: 'set_dl_dst', dl_addr: mac },
      { type: 'enqueue', port: 1, queue_id: 2 },
      { type: 'output', port: v10.Port.CONTROLLER, max_len: 128 },
    ] as const;
    const message = flowMod({ actions });
    expect(message.instructions).toEqual([
      {
        type: 'apply_actions',
        actions: [
          {
            type: 'experimenter',
            experimenter: FLOWCELL_EXPERIMENTER,
            data: Uint8Array.of(0, 1, 0, 8, 0, 5, 0, 0),
          },
          { type: 'set_field', field: { eth_dst: mac } },
          {
            type: 'experimenter',
            experimenter: FLOWCELL_EXPERIMENTER,
            data: Uint8Array.of(0, 11, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2),
          },
          { type: 'output', port: v13.Port.CONTROLLER, max_len: 128 },
        ],
      },
    ]);
    // As a cell gets and gives it back.
    const { flags: _, ...entry } = v13.decode(v13.encode(message)) as unknown as FlowStats;
    const reply: MessageInit = { type: 'multipart_reply', body: { type: 'flow', flows: [entry] } };
    expect(to10(reply)).toMatchObject([{ body: { flows: [{ actions }] } }]);
  });

  test("a vendor's action is an experimenter's", () => {
    const [apply] = flowMod({ actions: [{ type: 'nx_dec_ttl' }] }).instructions;
    const ttl = { type: 'experimenter', experimenter: 0x2320, data: Uint8Array.of(0, 18, 0, 0, 0, 0, 0, 0) };
    expect(apply).toEqual({ type: 'apply_actions', actions: [ttl] });
  });

  test.each([
    ['emergency', { flags: 4 }, 'FLOW_MOD_FAILED_TABLE_FULL'],
    ['emergency with a timeout', { flags: 4, hard_timeout: 1 }, 'FLOW_MOD_FAILED_BAD_TIMEOUT'],
    ['a flag of later versions', { flags: 8 }, 'FLOW_MOD_FAILED_BAD_FLAGS'],
    ['an unknown command', { command: 5 }, 'FLOW_MOD_FAILED_BAD_COMMAND'],
    [
      'more actions than 1.3 has room for',
      { actions: Array.from({ length: 4200 }, () => output10) },
      'BAD_ACTION_TOO_MANY',
    ],
  ] as const)('%s is refused', (_, init, code) => {
    expect(refused(() => flowMod(init)).code).toBe(`FC_OF_${code}`);
  });
});

test('a controller of 1.3 cannot ask for a modify that adds', () => {
  const bytes = v13.encode({ type: 'flow_mod', command: 1, flags: FLOW_MOD_UPSERT });
  expect(refused(() => createDialect(4)?.decode(bytes)).code).toBe('FC_OF_FLOW_MOD_FAILED_BAD_FLAGS');
});

describe('flow_mod of a controller', () => {
  type FlowMod = Extract<MessageInit, { type: 'flow_mod' }>;
  const flowMod = (init: Partial<FlowMod>) =>
    to10({ type: 'flow_mod', ...init })[0] as v10.MessageOf<'flow_mod'>;
  const apply = (...actions: ActionInit[]) => [{ type: 'apply_actions', actions } as const];
  const set = (field: object) => ({ type: 'set_field', field }) as ActionInit;
  const push = { type: 'push_vlan', ethertype: 0x8100 } as const;
  const ip = { eth_type: 0x800, ip_proto: 6 };

  test('a table-miss entry is an ordinary one', () => {
    const output = { type: 'output', port: v13.Port.CONTROLLER } as const;
    expect(flowMod({ priority: 0, instructions: apply(output) })).toMatchObject({
      match: {},
      priority: 0,
      actions: [{ type: 'output', port: v10.Port.CONTROLLER, max_len: 0xffff }],
    });
  });

  test.each([
    ['a new tag', {}, [push, set({ vlan_vid: 0x1005 }), output13], ['set_vlan_vid', 'output']],
    [
      'a new tag and its priority',
      {},
      [push, set({ vlan_pcp: 1 }), set({ vlan_vid: 5 })],
      ['set_vlan_pcp', 'set_vlan_vid'],
    ],
    ['a tag left empty', {}, [push, output13], ['set_vlan_vid', 'output']],
    ['a tag that is taken again', {}, [push, { type: 'pop_vlan' }, output13], ['output']],
    ['another tag', { vlan_vid: 0x1001 }, [set({ vlan_vid: 5 })], ['set_vlan_vid']],
    ['no tag', { vlan_vid: 0x1001 }, [{ type: 'pop_vlan' }, output13], ['strip_vlan', 'output']],
    ['addresses', ip, [set({ eth_src: mac }), set({ ipv4_dst: '10.0.0.1' })], ['set_dl_src', 'set_nw_dst']],
    ['ports', ip, [set({ tcp_src: 1 }), set({ tcp_dst: 2 })], ['set_tp_src', 'set_tp_dst']],
    ['DSCP', ip, [set({ ip_dscp: 46 })], ['set_nw_tos']],
    [
      'a queue',
      {},
      [output13, { type: 'set_queue', queue_id: 3 }, output13, { type: 'output', port: v13.Port.CONTROLLER }],
      ['output', 'enqueue', 'output'],
    ],
  ] as readonly (readonly [string, Match, ActionInit[], string[]])[])(
    'actions: %s',
    (_, match, actions, types) => {
      expect(flowMod({ match, instructions: apply(...actions) }).actions.map(({ type }) => type)).toEqual(
        types,
      );
    },
  );

  test('what is written comes after what is applied, in the order of an action set', () => {
    const instructions: FlowMod['instructions'] = [
      { type: 'write_actions', actions: [output13, set({ eth_src: mac }), push, { ...output13, port: 3 }] },
      ...apply({ type: 'output', port: 1 }),
    ];
    expect(flowMod({ instructions }).actions).toMatchObject([
      { type: 'output', port: 1 },
      { type: 'set_dl_src' },
      { type: 'set_vlan_vid' },
      { type: 'output', port: 3 },
    ]);
  });

  test.each([
    ['action group', { instructions: apply({ type: 'group', group_id: 1 }) }, 'BAD_ACTION_BAD_TYPE'],
    ['action dec_nw_ttl', { instructions: apply({ type: 'dec_nw_ttl' }) }, 'BAD_ACTION_BAD_TYPE'],
    ['set_field of ipv6_src', { instructions: apply(set({ ipv6_src: '::1' })) }, 'BAD_ACTION_BAD_SET_TYPE'],
    ['push_vlan of a second tag', { instructions: apply(push, push) }, 'BAD_ACTION_BAD_TYPE'],
    [
      'push_vlan of a second tag',
      { match: { vlan_vid: 0x1001 }, instructions: apply(push) },
      'BAD_ACTION_BAD_TYPE',
    ],
    ['port 65536', { instructions: apply({ type: 'output', port: 65536 }) }, 'BAD_ACTION_BAD_OUT_PORT'],
    [
      'instruction goto_table',
      { instructions: [{ type: 'goto_table', table_id: 1 }] },
      'BAD_INSTRUCTION_UNSUP_INST',
    ],
    ['instruction meter', { instructions: [{ type: 'meter', meter_id: 1 }] }, 'BAD_INSTRUCTION_UNSUP_INST'],
    ['table 1', { table_id: 1 }, 'FLOW_MOD_FAILED_BAD_TABLE_ID'],
    ['table 255', { table_id: 255 }, 'FLOW_MOD_FAILED_BAD_TABLE_ID'],
    ['entries by cookie', { command: 3, cookie_mask: 1n }, 'FLOW_MOD_FAILED_UNKNOWN'],
    ['entries by group', { command: 3, out_group: 1 }, 'FLOW_MOD_FAILED_UNKNOWN'],
    ['flags 0x4', { command: 1, flags: 4 }, 'FLOW_MOD_FAILED_BAD_FLAGS'],
    ['match field cell', { match: { cell: 1 } }, 'BAD_MATCH_BAD_FIELD'],
    ['match field metadata', { match: { metadata: 1n } }, 'BAD_MATCH_BAD_FIELD'],
    ['ip_proto without eth_type', { match: { eth_type: 0x8847, ip_proto: 6 } }, 'BAD_MATCH_BAD_PREREQ'],
    [
      'ipv4_src without eth_type',
      { match: { eth_type: 0x86dd, ipv4_src: '10.0.0.1' } },
      'BAD_MATCH_BAD_PREREQ',
    ],
    ['tcp_dst without ip_proto', { match: { eth_type: 0x800, tcp_dst: 6 } }, 'BAD_MATCH_BAD_PREREQ'],
    ['a mask of eth_src', { match: { eth_src: [mac, 'ff:ff:ff:00:00:00'] } }, 'BAD_MATCH_BAD_MASK'],
    ['vlan_vid with mask', { match: { vlan_vid: [0x1000, 0x1000] } }, 'BAD_MATCH_BAD_MASK'],
    [
      'ipv4_src with mask 255.0.255.0',
      { match: { eth_type: 0x800, ipv4_src: ['10.0.0.0', '255.0.255.0'] } },
      'BAD_MATCH_BAD_NW_ADDR_MASK',
    ],
    ['port 65536', { match: { in_port: 65536 } }, 'BAD_MATCH_BAD_VALUE'],
  ] as readonly (readonly [string, Partial<FlowMod>, string])[])('%s cannot be said', (what, init, code) => {
    const error = refused(() => flowMod(init));
    expect(error.code).toBe(`FC_OF_${code}`);
    expect(error.message).toContain(what);
    expect(error.message).toContain('the other side speaks OpenFlow 1.0 only');
  });

  test.each([
    ['10.0.0.0/8', ['10.0.0.0', '255.0.0.0']],
    ['10.1.2.3/255.255.0.0', ['10.1.0.0', '255.255.0.0']],
    ['10.1.2.3/32', '10.1.2.3'],
    [['10.1.2.3', '255.255.255.255'], '10.1.2.3'],
    ['10.1.2.3/0', undefined],
  ] as const)('addresses: %j', (ipv4_src, nw_src) => {
    expect(flowMod({ match: { eth_type: 0x800, ipv4_src: ipv4_src as string } }).match.nw_src).toEqual(
      nw_src,
    );
  });

  test('a delete may be of all tables', () => {
    expect(flowMod({ command: 3, table_id: 255, out_port: v13.Port.ANY })).toMatchObject({
      command: 3,
      out_port: v10.Port.NONE,
    });
  });
});

describe('flow statistics', () => {
  const stats = (init: object = {}): FlowStats => ({
    table_id: 0,
    duration_sec: 1,
    duration_nsec: 2,
    priority: 3,
    idle_timeout: 4,
    hard_timeout: 5,
    flags: 0,
    cookie: 6n,
    packet_count: 7n,
    byte_count: 8n,
    match: {},
    instructions: [],
    ...init,
  });
  const reply = (flows: FlowStats[], flags = 0): MessageInit => ({
    type: 'multipart_reply',
    xid,
    flags,
    body: { type: 'flow', flows },
  });
  const flowsOf = (messages: Message[]) =>
    (messages[0] as { body: { flows: FlowStats[] } }).body.flows.map(({ instructions }) => instructions);

  test('an entry is the same in both', () => {
    const flow = stats({
      match: { in_port: 1 },
      instructions: [{ type: 'apply_actions', actions: [output13] }],
    });
    const [message] = to10(reply([flow], 1));
    expect(message).toMatchObject({
      type: 'stats_reply',
      flags: 1,
      body: {
        flows: [{ table_id: 0, priority: 3, cookie: 6n, match: { in_port: 1 }, actions: [output10] }],
      },
    });
    expect(from10(message)).toEqual([reply([flow], 1)]);
  });

  test('entries that 1.0 cannot say are left out', () => {
    const said = stats({ match: { in_port: 1 } });
    const flows = [
      stats({ table_id: 1 }),
      stats({ match: { eth_type: 0x86dd, ipv6_src: '::1' } }),
      stats({ instructions: [{ type: 'goto_table', table_id: 1 }] }),
      said,
      stats({ instructions: [{ type: 'apply_actions', actions: [{ type: 'group', group_id: 1 }] }] }),
      stats({
        instructions: [
          {
            type: 'apply_actions',
            actions: [{ type: 'experimenter', experimenter: FLOWCELL_EXPERIMENTER, data: new Uint8Array(8) }],
          },
        ],
      }),
    ];
    const [message] = to10(reply(flows));
    expect(message).toMatchObject({ body: { flows: [{ match: { in_port: 1 } }] } });
    expect((message as unknown as { body: { flows: unknown[] } }).body.flows).toHaveLength(1);
  });

  test('a reply that is too long in 1.0 is several', () => {
    const flows = Array.from({ length: 1000 }, (_, priority) => stats({ priority }));
    const messages = to10(reply(flows));
    expect(messages.length).toBeGreaterThan(1);
    const bodies = messages as unknown as { xid: number; flags: number; body: { flows: FlowStats[] } }[];
    expect(bodies.map(({ flags }) => flags)).toEqual([...messages.slice(1).map(() => 1), 0]);
    expect(bodies.map((message) => message.xid)).toEqual(messages.map(() => xid));
    expect(bodies.flatMap(({ body }) => body.flows.map(({ priority }) => priority))).toEqual(
      flows.map(({ priority }) => priority),
    );
    const more = to10(reply(flows, 1)) as unknown as { flags: number }[];
    expect(more.every(({ flags }) => flags === 1)).toBe(true);
  });

  const fromSwitch = (match: v10.Match, actions: v10.ActionInit[]) =>
    flowsOf(
      from10({ type: 'stats_reply', xid, body: { type: 'flow', flows: [{ match, actions }] } }),
    )[0].flatMap((instruction) => (instruction as { actions: Action[] }).actions);

  test('a controller gets actions in words of 1.3, as the match allows', () => {
    const vid = { type: 'set_vlan_vid', vlan_vid: 5 } as const;
    const setVid = { type: 'set_field', field: { vlan_vid: 0x1005 } };
    expect(fromSwitch({ dl_vlan: 3 }, [vid])).toEqual([setVid]);
    expect(fromSwitch({}, [vid])).toEqual([{ type: 'push_vlan', ethertype: 0x8100 }, setVid]);
    const tp = { type: 'set_tp_dst', tp_port: 80 } as const;
    const udp: v10.Match = { dl_type: 0x800, nw_proto: 17 };
    expect(fromSwitch(udp, [tp])).toEqual([{ type: 'set_field', field: { udp_dst: 80 } }]);
    expect(fromSwitch({}, [tp])).toMatchObject([
      { type: 'experimenter', experimenter: FLOWCELL_EXPERIMENTER },
    ]);
    expect(fromSwitch(udp, [{ type: 'set_nw_tos', nw_tos: 0xb8 }, { type: 'strip_vlan' }])).toEqual([
      { type: 'set_field', field: { ip_dscp: 46 } },
      { type: 'pop_vlan' },
    ]);
  });

  test('a queue is set where no later output would get it', () => {
    const enqueue = { type: 'enqueue', port: 1, queue_id: 4 } as const;
    const toController = { type: 'output', port: v10.Port.CONTROLLER } as const;
    expect(fromSwitch({}, [output10, enqueue, enqueue, toController])).toMatchObject([
      output13,
      { type: 'set_queue', queue_id: 4 },
      { type: 'output', port: 1 },
      { type: 'output', port: 1 },
      { type: 'output', port: v13.Port.CONTROLLER },
    ]);
    expect(fromSwitch({}, [enqueue, output10])).toMatchObject([{ type: 'experimenter' }, output13]);
  });

  test('filters that 1.0 does not have cannot be asked', () => {
    const ask = (body: object) =>
      refused(() => dialect().encode({ type: 'multipart_request', body: { type: 'flow', ...body } }));
    expect(ask({ out_group: 1 }).message).toContain('entries by group');
    expect(ask({ cookie_mask: 1n }).message).toContain('entries by cookie');
    expect(ask({ match: { metadata: 1n } }).message).toContain('metadata');
  });

  test('there is no emergency table', () => {
    const body = { type: 'flow', match: {}, table_id: 0xfe } as const;
    expect(refused(() => from10({ type: 'stats_request', body })).code).toBe(
      'FC_OF_BAD_REQUEST_BAD_TABLE_ID',
    );
  });

  test('table statistics say what the device knows of its tables', () => {
    const table = { table_id: 0, active_count: 1, lookup_count: 2n, matched_count: 3n };
    const message: MessageInit = { type: 'multipart_reply', body: { type: 'table', tables: [table] } };
    const [bytes] = dialect([], { maxEntries: 77 }).encode(message);
    expect(v10.decode(bytes)).toMatchObject({ body: { tables: [{ name: 'table0', max_entries: 77 }] } });
  });
});
