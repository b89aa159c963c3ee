/** Groups in a cell of the `openflow` program. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ActionInit,
  BadActionCode,
  ErrorType,
  FlowModFlag,
  FlowRemovedReason,
  Group,
  GroupModCommand,
  GroupModFailedCode,
  GroupType,
  type Message,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  PortConfig,
  PortReason,
  PortState,
} from '../../openflow/index.ts';
import { ethernet, formatMac, ipv4, udp } from '../../packet/index.ts';
import { H } from '../../sandbox/channel/layout.ts';
import { MAX_CHAIN } from '../../sandbox/guest/openflow/groups.ts';
import { GuestHarness, type Sent } from '../support/guest-harness.ts';
import { type ReferenceBucket, type ReferenceGroup, ReferenceGroups } from '../support/reference-groups.ts';

type GroupMod = Partial<MessageInitOf<'group_mod'>>;
type BucketInit = NonNullable<MessageInitOf<'group_mod'>['buckets']>[number];

const output = (port: number): ActionInit => ({ type: 'output', port });
const group = (id: number): ActionInit => ({ type: 'group', group_id: id });
const to = (...ports: number[]): BucketInit[] => ports.map((port) => ({ actions: [output(port)] }));
const groupMod = (init: GroupMod): MessageInitOf<'group_mod'> => ({
  type: 'group_mod',
  command: GroupModCommand.ADD,
  group_id: 1,
  ...init,
});
const useGroup = (id = 1): MessageInitOf<'flow_mod'> => ({
  type: 'flow_mod',
  instructions: [{ type: 'apply_actions', actions: [group(id)] }],
});
const portStatus = (port: number, live: boolean, more: object = {}): MessageInit => ({
  type: 'port_status',
  reason: PortReason.MODIFY,
  desc: { port_no: port, state: live ? PortState.LIVE : PortState.LINK_DOWN, ...more },
});

/** Packets of so many flows. */
const udpFrame = (n: number) =>
  ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp({ src: n, dst: 9 }) }) });
const portsOf = (sent: Sent[]) => sent.map(({ port }) => port);

function ask(harness: GuestHarness, ...messages: MessageInit[]): void {
  expect(harness.ask(...messages)).toEqual([]);
}

function expectError(answers: Message[], type: number, code: number): void {
  expect(answers.map((answer) => answer.type === 'error' && [answer.error_type, answer.code])).toEqual([
    [type, code],
  ]);
}

type ReplyBody<T> = Extract<MessageOf<'multipart_reply'>['body'], { type: T }>;
function statistics(harness: GuestHarness, group_id: number = Group.ALL): ReplyBody<'group'>['groups'] {
  const answers = harness.ask({ type: 'multipart_request', body: { type: 'group', group_id } });
  return bodies(answers, 'group').flatMap(({ groups }) => groups);
}

function descriptions(harness: GuestHarness): ReplyBody<'group_desc'>['groups'] {
  const answers = harness.ask({ type: 'multipart_request', body: { type: 'group_desc' } });
  return bodies(answers, 'group_desc').flatMap(({ groups }) => groups);
}

function bodies<T extends MessageOf<'multipart_reply'>['body']['type']>(
  answers: Message[],
  type: T,
): ReplyBody<T>[] {
  return answers.map((answer) => {
    if (answer.type !== 'multipart_reply' || answer.body.type !== type) throw new Error(`not ${type}`);
    return answer.body as ReplyBody<T>;
  });
}

describe('liveness', () => {
  it('of groups that watch groups is found once for each of them', () => {
    const harness = new GuestHarness();
    // Followed bucket by bucket that would be 20 ** 10 looks.
    const buckets = (next: number): BucketInit[] =>
      Array.from({ length: 20 }, () => ({ watch_group: next, actions: [output(2)] }));
    const last = groupMod({
      group_type: GroupType.FF,
      group_id: 10,
      buckets: [{ watch_port: 3, actions: [output(3)] }],
    });
    ask(harness, last);
    for (let id = 9; id > 0; id--) {
      ask(harness, groupMod({ group_type: GroupType.FF, group_id: id, buckets: buckets(id + 1) }));
    }
    ask(harness, useGroup(1));
    expect(harness.send(udpFrame(1))).toEqual([]);
    ask(harness, portStatus(3, true));
    expect(portsOf(harness.send(udpFrame(1)))).toEqual([2]);
  });
});

describe('types of groups', () => {
  it('all: every bucket has a copy of its own, and what follows in the list has the packet as it was', () => {
    const harness = new GuestHarness();
    const actions: ActionInit[] = [{ type: 'push_vlan', ethertype: 0x8100 }, output(2)];
    ask(
      harness,
      groupMod({ buckets: [{ actions }, ...to(3), { actions: [...actions.slice(0, 1), output(4)] }] }),
    );
    const list = [group(1), output(5)];
    ask(harness, { type: 'flow_mod', instructions: [{ type: 'apply_actions', actions: list }] });
    const sent = harness.send(udpFrame(1));
    expect(sent.map(({ port, frame }) => [port, frame.length])).toEqual([
      [2, 46],
      [3, 42],
      [4, 46],
      [5, 42],
    ]);
    expect(sent[3].frame).toEqual(udpFrame(1));
  });

  it('all: each of a hundred copies may be changed in another way', () => {
    const harness = new GuestHarness();
    const addresses = Array.from(
      { length: 100 },
      (_, n) => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}`,
    );
    const buckets = addresses.map(
      (eth_dst, n): BucketInit => ({
        actions: [{ type: 'set_field', field: { eth_dst } }, output(n + 2)],
      }),
    );
    ask(harness, groupMod({ buckets }), useGroup());
    const sent = harness.send(udpFrame(1));
    expect(sent.map(({ port, frame }) => [port, frame[5]])).toEqual(addresses.map((_, n) => [n + 2, n]));
  });

  it('all: a copy does not go back to the port it came in by', () => {
    const harness = new GuestHarness();
    ask(harness, groupMod({ buckets: to(1, 2, 0xfffffff8) }), useGroup());
    expect(portsOf(harness.send(udpFrame(1), { inPort: 1 }))).toEqual([2, 0xfffffff8]);
  });

  it('a group in the action set takes the place of the output', () => {
    const harness = new GuestHarness();
    ask(harness, groupMod({ buckets: to(2, 3) }), {
      type: 'flow_mod',
      instructions: [
        { type: 'write_actions', actions: [output(9), group(1)] },
        { type: 'goto_table', table_id: 1 },
      ],
    });
    const write = (...actions: ActionInit[]): MessageInit => ({
      type: 'flow_mod',
      table_id: 1,
      instructions: [{ type: 'write_actions', actions }],
    });
    ask(harness, write());
    expect(portsOf(harness.send(udpFrame(1)))).toEqual([2, 3]);
    ask(harness, write(output(8), { type: 'set_queue', queue_id: 4 }));
    expect(harness.send(udpFrame(1)).map(({ port, queue }) => [port, queue])).toEqual([
      [2, 4],
      [3, 4],
    ]);
  });

  it('select: flows spread as the weights are, and stay where they are', () => {
    const harness = new GuestHarness();
    const weights = [1, 2, 0, 5];
    const buckets = weights.map((weight, i) => ({ weight, actions: [output(10 + i)] }));
    ask(harness, groupMod({ group_type: GroupType.SELECT, buckets }), useGroup());
    const flows = Array.from({ length: 4000 }, (_, n) => n);
    const choice = () => flows.map((n) => portsOf(harness.send(udpFrame(n)))[0]);
    const before = choice();
    expect(choice()).toEqual(before);
    const share = (port: number) => before.filter((one) => one === port).length / flows.length;
    for (const [i, weight] of weights.entries()) {
      expect(Math.abs(share(10 + i) - weight / 8)).toBeLessThan(0.04);
    }
    // One bucket more takes its share from each of the others, and moves nothing else.
    const larger = [...buckets, { weight: 2, actions: [output(20)] }];
    ask(
      harness,
      groupMod({ command: GroupModCommand.MODIFY, group_type: GroupType.SELECT, buckets: larger }),
    );
    const after = choice();
    const moved = flows.filter((n) => after[n] !== before[n]);
    expect(moved.every((n) => after[n] === 20)).toBe(true);
    expect(Math.abs(moved.length / flows.length - 0.2)).toBeLessThan(0.04);
  });

  it('select: TTL, DSCP and the port a packet came in by do not change the choice', () => {
    const harness = new GuestHarness();
    const buckets = [2, 3, 4, 5].map((port) => ({ weight: 1, actions: [output(port)] }));
    ask(harness, groupMod({ group_type: GroupType.SELECT, buckets }), useGroup());
    const frame = (ttl: number, dscp: number) =>
      ethernet({ type: 0x0800, payload: ipv4({ proto: 17, ttl, dscp, payload: udp({ src: 5 }) }) });
    const [first] = portsOf(harness.send(frame(64, 0), { inPort: 8 }));
    expect(portsOf(harness.send(frame(3, 46), { inPort: 9 }))).toEqual([first]);
  });

  it('fast failover: the first bucket whose port or group is live; without one the packet is dropped', () => {
    const harness = new GuestHarness();
    const watching = (port: number, watch: Partial<BucketInit>) => ({ actions: [output(port)], ...watch });
    ask(
      harness,
      groupMod({ group_id: 2, group_type: GroupType.FF, buckets: [watching(7, { watch_port: 7 })] }),
      groupMod({
        group_type: GroupType.FF,
        buckets: [
          watching(2, { watch_port: 2 }),
          watching(3, { watch_group: 2 }),
          watching(4, { watch_port: 4 }),
        ],
      }),
      useGroup(),
    );
    const now = () => portsOf(harness.send(udpFrame(1)));
    expect(now()).toEqual([]);
    ask(harness, portStatus(4, true));
    expect(now()).toEqual([4]);
    ask(harness, portStatus(7, true));
    expect(now()).toEqual([3]);
    ask(harness, portStatus(2, true));
    expect(now()).toEqual([2]);
    ask(harness, portStatus(2, true, { config: PortConfig.PORT_DOWN }));
    expect(now()).toEqual([3]);
    ask(harness, portStatus(7, false));
    expect(now()).toEqual([4]);
    ask(harness, {
      type: 'port_status',
      reason: PortReason.DELETE,
      desc: { port_no: 4, state: PortState.LIVE },
    });
    expect(now()).toEqual([]);
  });

  it('select leaves out buckets that are not live', () => {
    const harness = new GuestHarness();
    const buckets = [2, 3].map((port) => ({ weight: 1, watch_port: port, actions: [output(port)] }));
    ask(harness, groupMod({ group_type: GroupType.SELECT, buckets }), useGroup(), portStatus(3, true));
    for (let n = 0; n < 20; n++) expect(portsOf(harness.send(udpFrame(n)))).toEqual([3]);
  });
});

it('PACKET_OUT goes through groups', () => {
  const harness = new GuestHarness();
  ask(harness, groupMod({ buckets: to(2, 3) }));
  ask(harness, { type: 'packet_out', xid: 5, actions: [group(1), output(4)] });
  expect(portsOf(harness.send(udpFrame(1), { packetOut: 5, inPort: 0xfffffffd }))).toEqual([2, 3, 4]);
  // Deleted before its packet came.
  ask(harness, { type: 'packet_out', xid: 6, actions: [group(1), output(4)] });
  ask(harness, groupMod({ command: GroupModCommand.DELETE }));
  expect(portsOf(harness.send(udpFrame(1), { packetOut: 6, inPort: 0xfffffffd }))).toEqual([4]);
});

it('counts packets per group and bucket, and who refers to a group', () => {
  const harness = new GuestHarness();
  ask(harness, groupMod({ group_id: 9, buckets: to(4) }));
  ask(harness, groupMod({ buckets: [...to(2), { actions: [group(9)] }] }), useGroup());
  harness.send(udpFrame(1));
  harness.now = 2500;
  harness.send(udpFrame(2));
  expect(statistics(harness, 1)).toMatchObject([
    {
      group_id: 1,
      ref_count: 1,
      packet_count: 2n,
      byte_count: 84n,
      duration_sec: 2,
      duration_nsec: 500_000_000,
      bucket_stats: [
        { packet_count: 2n, byte_count: 84n },
        { packet_count: 2n, byte_count: 84n },
      ],
    },
  ]);
  expect(statistics(harness)).toMatchObject([{ group_id: 9, ref_count: 1, packet_count: 2n }, {}]);
  expect(statistics(harness, 77)).toEqual([]);
  // Modified: its own counters go on, its buckets' begin anew.
  ask(harness, groupMod({ command: GroupModCommand.MODIFY, buckets: to(5) }));
  expect(portsOf(harness.send(udpFrame(3)))).toEqual([5]);
  expect(statistics(harness, 1)).toMatchObject([{ packet_count: 3n, bucket_stats: [{ packet_count: 1n }] }]);
  expect(statistics(harness, 9)).toMatchObject([{ ref_count: 0 }]);
});

it('describes groups as they were given, in as many replies as it takes', () => {
  const harness = new GuestHarness();
  const buckets = Array.from({ length: 900 }, (_, n) => ({ weight: n, actions: [output(n + 1)] }));
  for (const group_id of [1, 2, 3, 4])
    ask(harness, groupMod({ group_id, group_type: GroupType.SELECT, buckets }));
  const all = descriptions(harness);
  expect(all.map(({ group_id, group_type, buckets: given }) => [group_id, group_type, given.length])).toEqual(
    [1, 2, 3, 4].map((id) => [id, GroupType.SELECT, 900]),
  );
  expect(all[2].buckets[7]).toMatchObject({ weight: 7, actions: [{ type: 'output', port: 8 }] });
  const [features] = harness.ask({ type: 'multipart_request', body: { type: 'group_features' } });
  expect(features).toMatchObject({
    body: { types: 15, capabilities: 15, max_groups: [4096, 4096, 4096, 4096] },
  });
});

it('deleting a group takes along the entries that use it, and out_group selects them', () => {
  const harness = new GuestHarness();
  const flags = FlowModFlag.SEND_FLOW_REM;
  ask(harness, groupMod({ buckets: to(2) }), groupMod({ group_id: 2, buckets: to(3) }));
  ask(harness, { ...useGroup(1), flags, cookie: 1n }, { ...useGroup(2), flags, cookie: 2n, table_id: 3 });
  ask(harness, { type: 'flow_mod', priority: 1, instructions: [] });
  const withGroup = (out_group: number) => {
    const answers = harness.ask({ type: 'multipart_request', body: { type: 'flow', out_group } });
    return bodies(answers, 'flow').flatMap((body) => body.flows.map(({ cookie }) => cookie));
  };
  expect([withGroup(1), withGroup(2), withGroup(7)]).toEqual([[1n], [2n], []]);
  expect(harness.ask(groupMod({ command: GroupModCommand.DELETE, group_id: 2 }))).toMatchObject([
    { type: 'flow_removed', cookie: 2n, reason: FlowRemovedReason.GROUP_DELETE },
  ]);
  expect(harness.ask(groupMod({ command: GroupModCommand.DELETE, group_id: Group.ALL }))).toMatchObject([
    { type: 'flow_removed', cookie: 1n, reason: FlowRemovedReason.GROUP_DELETE },
  ]);
  expect(statistics(harness)).toEqual([]);
  expect(withGroup(Group.ANY)).toEqual([0n]);
  // No such group: no error (section 6.5).
  ask(harness, groupMod({ command: GroupModCommand.DELETE, group_id: 2 }));
});

it('a bucket may set what only some packets have: nothing is known of those it meets', () => {
  const harness = new GuestHarness();
  const actions: ActionInit[] = [{ type: 'set_field', field: { ipv4_dst: '10.9.8.7' } }, output(2)];
  ask(harness, groupMod({ buckets: [{ actions }] }), useGroup());
  const [sent] = harness.send(udpFrame(1));
  expect([...sent.frame.subarray(30, 34)]).toEqual([10, 9, 8, 7]);
});

it('an entry or bucket uses the groups it names, also one that another in the same set takes the place of', () => {
  const harness = new GuestHarness();
  const both = [group(1), group(2)];
  ask(
    harness,
    groupMod({}),
    groupMod({ group_id: 2 }),
    groupMod({ group_id: 3, buckets: [{ actions: both }] }),
    { type: 'flow_mod', instructions: [{ type: 'write_actions', actions: [output(5), output(6), ...both] }] },
  );
  expect(statistics(harness, 1)).toMatchObject([{ ref_count: 2 }]);
  const del = groupMod({ command: GroupModCommand.DELETE });
  expectError(harness.ask(del), ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.CHAINED_GROUP);
  const count = (out_port: number) =>
    harness.ask({ type: 'multipart_request', body: { type: 'aggregate', out_port } });
  for (const port of [5, 6]) expect(count(port)).toMatchObject([{ body: { flow_count: 1 } }]);
  ask(harness, groupMod({ command: GroupModCommand.DELETE, group_id: 3 }), del);
  expect(count(5)).toMatchObject([{ body: { flow_count: 0 } }]);
});

describe('errors', () => {
  const { GROUP_MOD_FAILED, BAD_ACTION } = ErrorType;
  const bad: [string, GroupMod, number, number][] = [
    [
      'a number that is reserved',
      { group_id: Group.ANY },
      GROUP_MOD_FAILED,
      GroupModFailedCode.INVALID_GROUP,
    ],
    ['an unknown type', { group_type: 4 }, GROUP_MOD_FAILED, GroupModFailedCode.BAD_TYPE],
    ['an unknown command', { command: 3 }, GROUP_MOD_FAILED, GroupModFailedCode.BAD_COMMAND],
    ['a group twice', { group_id: 5 }, GROUP_MOD_FAILED, GroupModFailedCode.GROUP_EXISTS],
    [
      'a change of what there is not',
      { command: GroupModCommand.MODIFY },
      GROUP_MOD_FAILED,
      GroupModFailedCode.UNKNOWN_GROUP,
    ],
    [
      'an indirect group of two buckets',
      { group_type: GroupType.INDIRECT, buckets: to(2, 3) },
      GROUP_MOD_FAILED,
      GroupModFailedCode.INVALID_GROUP,
    ],
    [
      'weight in an all group',
      { buckets: [{ weight: 1 }] },
      GROUP_MOD_FAILED,
      GroupModFailedCode.INVALID_GROUP,
    ],
    [
      'a watch in an all group',
      { buckets: [{ watch_port: 1 }] },
      GROUP_MOD_FAILED,
      GroupModFailedCode.WATCH_UNSUPPORTED,
    ],
    [
      'a fast-failover bucket that watches nothing',
      { group_type: GroupType.FF, buckets: to(2) },
      GROUP_MOD_FAILED,
      GroupModFailedCode.BAD_WATCH,
    ],
    [
      'a watch on no port',
      { group_type: GroupType.FF, buckets: [{ watch_port: 0 }] },
      GROUP_MOD_FAILED,
      GroupModFailedCode.BAD_WATCH,
    ],
    [
      'a watch on no group',
      { group_type: GroupType.FF, buckets: [{ watch_group: 44 }] },
      GROUP_MOD_FAILED,
      GroupModFailedCode.BAD_WATCH,
    ],
    [
      'too many buckets',
      { buckets: Array.from({ length: 2049 }, () => ({})) },
      GROUP_MOD_FAILED,
      GroupModFailedCode.OUT_OF_BUCKETS,
    ],
    [
      'a group that forwards to itself',
      { buckets: [{ actions: [group(1)] }] },
      GROUP_MOD_FAILED,
      GroupModFailedCode.LOOP,
    ],
    [
      'an unknown group in a bucket',
      { buckets: [{ actions: [group(44)] }] },
      BAD_ACTION,
      BadActionCode.BAD_OUT_GROUP,
    ],
    [
      'TABLE in a bucket',
      { buckets: [{ actions: [output(0xfffffff9)] }] },
      BAD_ACTION,
      BadActionCode.BAD_OUT_PORT,
    ],
  ];
  it.each(bad)('%s is refused, and nothing applied', (_, init, type, code) => {
    const harness = new GuestHarness();
    ask(harness, groupMod({ group_id: 5, buckets: to(2) }));
    const before = descriptions(harness);
    expectError(harness.ask(groupMod(init)), type, code);
    expect(descriptions(harness)).toEqual(before);
  });

  it('a group that others forward to cannot be deleted alone', () => {
    const harness = new GuestHarness();
    ask(harness, groupMod({ buckets: to(2) }), groupMod({ group_id: 2, buckets: [{ actions: [group(1)] }] }));
    const remove = (group_id: number) => harness.ask(groupMod({ command: GroupModCommand.DELETE, group_id }));
    expectError(remove(1), GROUP_MOD_FAILED, GroupModFailedCode.CHAINED_GROUP);
    expect(remove(2)).toEqual([]);
    expect(remove(1)).toEqual([]);
  });

  it('no loops by way of other groups, by forwarding or watching', () => {
    const harness = new GuestHarness();
    const chain = (group_id: number, next: number) =>
      groupMod({ group_id, buckets: [{ actions: [group(next)] }] });
    ask(harness, groupMod({ buckets: to(2) }), chain(2, 1), chain(3, 2));
    const modify = { command: GroupModCommand.MODIFY };
    expectError(
      harness.ask(groupMod({ ...modify, buckets: [{ actions: [group(3)] }] })),
      GROUP_MOD_FAILED,
      GroupModFailedCode.LOOP,
    );
    const watching = {
      ...modify,
      group_type: GroupType.FF,
      buckets: [{ watch_group: 3, actions: [output(2)] }],
    };
    expectError(harness.ask(groupMod(watching)), GROUP_MOD_FAILED, GroupModFailedCode.LOOP);
    ask(harness, useGroup(3));
    expect(portsOf(harness.send(udpFrame(1)))).toEqual([2]);
  });

  it(`chains have ${MAX_CHAIN} groups at most, wherever they grow`, () => {
    const harness = new GuestHarness();
    const chain = (group_id: number, next: number) =>
      groupMod({ group_id, buckets: [{ actions: [group(next)] }] });
    ask(harness, groupMod({ group_id: 100, buckets: to(2) }), groupMod({ group_id: 1, buckets: to(3) }));
    for (let id = 2; id <= MAX_CHAIN; id++) ask(harness, chain(id, id - 1));
    const code = GroupModFailedCode.CHAINING_UNSUPPORTED;
    expectError(harness.ask(chain(MAX_CHAIN + 1, MAX_CHAIN)), GROUP_MOD_FAILED, code);
    const modify = { ...chain(1, 100), command: GroupModCommand.MODIFY };
    expectError(harness.ask(modify), GROUP_MOD_FAILED, code);
    ask(harness, useGroup(MAX_CHAIN));
    expect(portsOf(harness.send(udpFrame(1)))).toEqual([3]);
  });

  it('a packet goes through a bounded number of buckets', () => {
    const harness = new GuestHarness();
    ask(harness, groupMod({ group_id: 1, buckets: to(2, 3) }));
    for (let id = 2; id <= MAX_CHAIN; id++) {
      ask(
        harness,
        groupMod({ group_id: id, buckets: [{ actions: [group(id - 1)] }, { actions: [group(id - 1)] }] }),
      );
    }
    ask(harness, useGroup(MAX_CHAIN));
    expect(harness.send(udpFrame(1)).length).toBeLessThanOrEqual(256);
    const counted = statistics(harness).reduce((sum, one) => {
      return sum + one.bucket_stats.reduce((total, { packet_count }) => total + Number(packet_count), 0);
    }, 0);
    expect(counted).toBe(1024);
    ask(harness, groupMod({ command: GroupModCommand.DELETE, group_id: Group.ALL }), {
      type: 'flow_mod',
      instructions: [{ type: 'apply_actions', actions: [output(6)] }],
    });
    expect(portsOf(harness.send(udpFrame(1)))).toEqual([6]);
  });
});

describe('against the reference', () => {
  const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
  const ports = fc.integer({ min: 1, max: 5 });
  /** Group `id` forwards to and watches only groups of lower numbers. */
  const bucketOf = (id: number, type: ReferenceGroup['type']): fc.Arbitrary<ReferenceBucket> => {
    const lower =
      id > 1 ? fc.option(fc.integer({ min: 1, max: id - 1 }), { nil: undefined }) : fc.constant(undefined);
    const watches = type === 'select' || type === 'ff';
    return fc
      .record({
        weight: type === 'select' ? fc.integer({ min: 0, max: 3 }) : fc.constant(0),
        port: type === 'ff' ? ports : fc.option(ports, { nil: undefined }),
        watchGroup: lower,
        dst: fc.option(fc.constantFrom(...macs)),
        push: fc.boolean(),
        group: lower,
        out: fc.option(ports),
      })
      .map(({ weight, port, watchGroup, dst, push, group: next, out }) => ({
        weight,
        watchPort: watches ? port : undefined,
        watchGroup: watches ? watchGroup : undefined,
        steps: [
          ...(out === null ? [] : [{ do: 'output' as const, port: out }]),
          ...(next === undefined ? [] : [{ do: 'group' as const, id: next }]),
          ...(dst === null ? [] : [{ do: 'set_dst' as const, dst }]),
          ...(push ? [{ do: 'push' as const }] : []),
        ],
      }));
  };
  const groupOf = (id: number): fc.Arbitrary<ReferenceGroup> =>
    fc.constantFrom('all' as const, 'select' as const, 'indirect' as const, 'ff' as const).chain((type) => {
      const count = type === 'indirect' ? { minLength: 1, maxLength: 1 } : { maxLength: 3 };
      return fc.array(bucketOf(id, type), count).map((buckets) => ({ type, buckets }));
    });
  const scene = fc.record({
    groups: fc.tuple(groupOf(1), groupOf(2), groupOf(3), groupOf(4)),
    live: fc.uniqueArray(ports),
    inPort: ports,
    source: fc.nat(65535),
  });
  const TYPES = { all: 0, select: 1, indirect: 2, ff: 3 };

  const bucketInit = ({ weight, watchPort, watchGroup, steps }: ReferenceBucket): BucketInit => ({
    weight,
    ...(watchPort === undefined ? {} : { watch_port: watchPort }),
    ...(watchGroup === undefined ? {} : { watch_group: watchGroup }),
    actions: steps.map((step): ActionInit => {
      if (step.do === 'output') return output(step.port);
      if (step.do === 'group') return group(step.id);
      if (step.do === 'push') return { type: 'push_vlan', ethertype: 0x8100 };
      return { type: 'set_field', field: { eth_dst: step.dst } };
    }),
  });
  const seen = ({ port, frame }: Sent): string => {
    const dst = formatMac(frame.slice(0, 6).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));
    return `${port} ${dst} ${(frame.length - 42) / 4}`;
  };

  it('random groups send what they should, the same every time', () => {
    fc.assert(
      fc.property(scene, ({ groups, live, inPort, source }) => {
        const harness = new GuestHarness();
        for (const port of live) ask(harness, portStatus(port, true));
        groups.forEach(({ type, buckets }, i) => {
          ask(
            harness,
            groupMod({ group_id: i + 1, group_type: TYPES[type], buckets: buckets.map(bucketInit) }),
          );
        });
        ask(harness, {
          type: 'flow_mod',
          instructions: [{ type: 'apply_actions', actions: [group(4), group(3), output(9)] }],
        });
        const reference = new ReferenceGroups(
          new Map(groups.map((one, i) => [i + 1, one])),
          new Set(live),
          inPort,
        );
        const shape = { dst: macs[0], tags: 0 };
        const frame = ethernet({
          dst: macs[0],
          type: 0x0800,
          payload: ipv4({ proto: 17, payload: udp({ src: source }) }),
        });
        const got = harness.send(frame, { inPort }).map(seen);
        // More different copies than one packet may have.
        fc.pre(harness.words[H.CUT] === 0);
        const possible = reference
          .through(4, shape)
          .flatMap((first) =>
            reference.through(3, shape).map((second) => [...first, ...second, `9 ${macs[0]} 0`]),
          );
        expect(possible.map((one) => one.join())).toContain(got.join());
        expect(harness.send(frame, { inPort }).map(seen)).toEqual(got);
      }),
      { numRuns: 500 },
    );
  });
});
