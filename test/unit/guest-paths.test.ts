/** Packets that a cell never saw, and that count all the same. */
import { describe, expect, test } from 'vitest';
import {
  FlowModFlag,
  FlowRemovedReason,
  Group,
  GroupType,
  type MessageInit,
  type MessageOf,
  PathFlag,
  PathMessageFlag,
  Port,
  Table,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const frame = ethernet({ type: 0x0800, payload: ipv4({ proto: 17, payload: udp() }) });
const NAME: MessageInit = { type: 'path_credit', flags: PathMessageFlag.NAME_PATHS };
const output = (port: number): MessageInit & { type: 'flow_mod' } => ({
  type: 'flow_mod',
  instructions: [{ type: 'apply_actions', actions: [{ type: 'output', port }] }],
});
const ANY = { out_port: Port.ANY, out_group: Group.ANY };
const counts = (harness: GuestHarness) => {
  const body = { type: 'flow' as const, table_id: Table.ALL, ...ANY };
  const [reply] = harness.ask({ type: 'multipart_request', body }) as MessageOf<'multipart_reply'>[];
  return reply.body.type === 'flow'
    ? reply.body.flows.map((flow) => [flow.packet_count, flow.byte_count])
    : [];
};
const credit = (path: number, packets: number, more = {}) => ({
  path,
  packet_count: BigInt(packets),
  byte_count: BigInt(packets * 100),
  ...more,
});

describe('paths', () => {
  test('are named once somebody wants to know, each by its own number', () => {
    const harness = new GuestHarness();
    harness.ask(output(2), { ...output(3), priority: 0xffff, match: { in_port: 5 } });
    expect(harness.send(frame)[0]).toMatchObject({ cacheable: true, path: 0, modifications: 2 });
    harness.ask(NAME);
    const [one] = harness.send(frame);
    const [other] = harness.send(frame, { inPort: 5 });
    expect(one.path).not.toBe(0);
    expect(other.path).not.toBe(one.path);
    expect(harness.send(frame)[0].path).toBe(one.path);
    // Neither statistics nor credits change verdicts.
    counts(harness);
    expect(harness.send(frame)[0].modifications).toBe(2);
  });

  test('count for every entry, table, group and bucket on them', () => {
    const harness = new GuestHarness();
    const bucket = { actions: [{ type: 'output' as const, port: 2 }] };
    harness.ask(
      { type: 'group_mod', command: 0, group_type: GroupType.ALL, group_id: 1, buckets: [bucket] },
      { type: 'flow_mod', instructions: [{ type: 'goto_table', table_id: 1 }] },
      {
        type: 'flow_mod',
        table_id: 1,
        instructions: [{ type: 'apply_actions', actions: [{ type: 'group', group_id: 1 }] }],
      },
      NAME,
    );
    const [{ path, cacheable }] = harness.send(frame);
    expect(cacheable).toBe(true);
    harness.ask({ type: 'path_credit', credits: [credit(path, 7)] });
    const bytes = BigInt(700 + frame.length);
    expect(counts(harness)).toEqual([
      [8n, bytes],
      [8n, bytes],
    ]);
    const ask = (body: (MessageInit & { type: 'multipart_request' })['body']) =>
      (harness.ask({ type: 'multipart_request', body })[0] as MessageOf<'multipart_reply'>).body;
    expect(ask({ type: 'group', group_id: 1 })).toMatchObject({
      groups: [{ packet_count: 8n, bucket_stats: [{ packet_count: 8n, byte_count: bytes }] }],
    });
    expect(ask({ type: 'table' })).toMatchObject({
      tables: expect.arrayContaining([
        expect.objectContaining({ table_id: 1, lookup_count: 8n, matched_count: 8n }),
      ]),
    });
  });

  test('of packets that match nothing count for the table; numbers that were never given for nothing', () => {
    const harness = new GuestHarness();
    harness.ask(NAME);
    harness.push(frame);
    harness.run();
    const [{ path }] = harness.take();
    harness.ask({ type: 'path_credit', credits: [credit(path, 3), credit(path + 1000, 5)] });
    const body = { type: 'table' as const };
    const [reply] = harness.ask({ type: 'multipart_request', body }) as MessageOf<'multipart_reply'>[];
    const table = reply.body.type === 'table' ? reply.body.tables[0] : undefined;
    expect(table).toMatchObject({ lookup_count: 4n, matched_count: 0n });
  });

  test('end with their entry', () => {
    const harness = new GuestHarness();
    harness.ask(output(2), NAME);
    const [{ path }] = harness.send(frame);
    harness.ask(output(2));
    harness.ask({ type: 'path_credit', credits: [credit(path, 9)] });
    // An ADD in its place takes over what was counted before.
    expect(counts(harness)).toEqual([[1n, BigInt(frame.length)]]);
    expect(harness.send(frame)[0].path).not.toBe(path);
  });
});

describe('an entry whose time is up', () => {
  const timed = (timeouts: object) => {
    const harness = new GuestHarness();
    harness.now = 1000;
    harness.ask({ ...output(2), flags: FlowModFlag.SEND_FLOW_REM, ...timeouts }, NAME);
    const [{ path }] = harness.send(frame);
    return { harness, path };
  };

  test('asks before it goes, and goes on if there were packets', () => {
    const { harness, path } = timed({ idle_timeout: 10 });
    harness.now = 11_000;
    const [asked, ...more] = harness.ask() as MessageOf<'path_release'>[];
    expect([asked, more]).toMatchObject([{ type: 'path_release', flags: 0, paths: [path] }, []]);
    // It waits for the answer.
    harness.now = 12_000;
    expect(harness.ask()).toEqual([]);
    const used = credit(path, 4, { flags: PathFlag.CACHED, last_seen_ms: 9000 });
    expect(harness.ask({ type: 'path_credit', token: asked.token, credits: [used] })).toEqual([]);
    harness.now = 18_900;
    expect(harness.ask()).toEqual([]);
    harness.now = 19_000;
    const [again] = harness.ask() as MessageOf<'path_release'>[];
    expect(again).toMatchObject({ type: 'path_release', paths: [path] });
    const idle = { path, flags: 0 };
    const answer: MessageInit = { type: 'path_credit', token: again.token, credits: [idle] };
    expect(harness.ask(answer)).toMatchObject([
      { type: 'flow_removed', reason: FlowRemovedReason.IDLE_TIMEOUT, packet_count: 5n },
    ]);
  });

  test('goes whatever packets there were after a hard timeout, with all of them', () => {
    const { harness, path } = timed({ hard_timeout: 5 });
    harness.now = 6000;
    const [asked] = harness.ask() as MessageOf<'path_release'>[];
    expect(asked).toMatchObject({ flags: PathMessageFlag.FORCE, paths: [path] });
    const last = credit(path, 2, { last_seen_ms: 5999 });
    expect(harness.ask({ type: 'path_credit', token: asked.token, credits: [last] })).toMatchObject([
      { type: 'flow_removed', reason: FlowRemovedReason.HARD_TIMEOUT, packet_count: 3n },
    ]);
  });

  test('goes at once if nothing of it may be cached', () => {
    const harness = new GuestHarness();
    harness.now = 1000;
    harness.ask({ ...output(2), flags: FlowModFlag.SEND_FLOW_REM, idle_timeout: 1 }, NAME);
    harness.now = 2000;
    expect(harness.ask()).toMatchObject([{ type: 'flow_removed' }]);
  });
});
