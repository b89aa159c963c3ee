/** The pipeline against the reference: random tables, groups, meters and packets, byte for byte. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  GroupModCommand,
  type MessageInit,
  MeterModCommand,
  PortReason,
  PortState,
} from '../../openflow/index.ts';
import { FIELDS } from '../../packet/index.ts';
import { H } from '../../sandbox/channel/layout.ts';
import { NOT_SETTABLE } from '../../sandbox/guest/openflow/actions.ts';
import { OpenFlowProgram } from '../../sandbox/guest/openflow/program.ts';
import { GuestHarness, type Sent } from '../support/guest-harness.ts';
import { type Arriving, anyPacket, type Scene, scene } from '../support/pipeline-arbitrary.ts';
import { buildFrame, Unspecified } from '../support/reference-packet.ts';
import { Counts, type Entry, type Outcome, ReferenceSwitch, TooMany } from '../support/reference-pipeline.ts';

/** Later FLOW_MODs with the same match, table and priority replace earlier ones. */
function withoutReplaced(entries: Entry[]): Entry[] {
  const name = ({ table_id, priority, match }: Entry) =>
    JSON.stringify([table_id, priority, Object.entries(match).sort()], (_, v) =>
      typeof v === 'bigint' ? `${v}` : v,
    );
  return [...new Map(entries.map((entry) => [name(entry), entry])).values()];
}

/** What the reference says; undefined: it is open. */
function expectation(reference: ReferenceSwitch, packet: Arriving): Outcome[][] | undefined {
  try {
    return reference.through(packet);
  } catch (error) {
    if (error instanceof Unspecified || error instanceof TooMany) return undefined;
    throw error;
  }
}

const GROUP_TYPES = { all: 0, select: 1, indirect: 2, ff: 3 };

function setUp(harness: GuestHarness, { entries, groups, meters, livePorts }: Scene): void {
  const messages: MessageInit[] = [
    ...livePorts.map((port_no) => ({
      type: 'port_status' as const,
      reason: PortReason.MODIFY,
      desc: { port_no, state: PortState.LIVE },
    })),
    ...meters.map((meter) => ({ type: 'meter_mod' as const, command: MeterModCommand.ADD, ...meter })),
    ...groups.map(({ group_id, type, buckets }) => ({
      type: 'group_mod' as const,
      command: GroupModCommand.ADD,
      group_id,
      group_type: GROUP_TYPES[type],
      buckets,
    })),
    ...entries.map((entry) => ({ type: 'flow_mod' as const, ...entry })),
  ];
  expect(harness.ask(...messages)).toEqual([]);
}

let xid = 0;

function send(harness: GuestHarness, { description, inPort, actions }: Arriving): Outcome[] {
  const frame = buildFrame(description);
  if (actions !== undefined) {
    expect(harness.ask({ type: 'packet_out', xid: ++xid, in_port: inPort, actions })).toEqual([]);
  }
  return harness.send(frame, { inPort, packetOut: actions && xid }).map(outcome);
}

function outcome({ kind, port, frame, queue, tableId, cookie, metadata }: Sent): Outcome {
  if (kind === 'done') throw new Error('a packet that is done went out');
  const toController = kind === 'controller';
  return {
    kind,
    port,
    frame: Buffer.from(frame).toString('hex'),
    queue: toController ? 0 : queue >>> 0,
    tableId: toController ? tableId : 0,
    cookie: toController ? cookie : 0n,
    metadata: toController ? metadata : 0n,
  };
}

/** One of several outcomes; where there is but one, a failure shows how it differs. */
function expectOneOf(possible: Outcome[][], got: Outcome[]): void {
  if (possible.length === 1) expect(got).toEqual(possible[0]);
  else expect(possible).toContainEqual(got);
}

/** Every action there is (OpenFlow 1.0's by their numbers), and set-field of every field that can be set. */
const ALL_ACTIONS = [
  ...[
    'output',
    'copy_ttl_out',
    'copy_ttl_in',
    'set_mpls_ttl',
    'dec_mpls_ttl',
    'push_vlan',
    'pop_vlan',
    'push_mpls',
  ],
  ...['pop_mpls', 'set_queue', 'group', 'set_nw_ttl', 'dec_nw_ttl', 'push_pbb', 'pop_pbb'],
  ...[1, 2, 3, 6, 7, 8, 9, 10, 11].map((type) => `of10 ${type}`),
  ...FIELDS.map(({ name }) => name)
    .filter((name) => !NOT_SETTABLE.has(name))
    .map((name) => `set ${name}`),
];

describe.each([
  ['compiled tables', 1],
  ['tables as they are', Number.POSITIVE_INFINITY],
])('the pipeline with %s', (_, compileAfter) => {
  it('does what the specification says', () => {
    let outcomes = 0;
    let open = 0;
    let choices = 0;
    let policed = 0;
    const counts = new Counts();
    const wanted = new Set<string>();
    fc.assert(
      fc.property(scene, (scene) => {
        const harness = new GuestHarness(new OpenFlowProgram(compileAfter));
        setUp(harness, scene);
        for (const { match } of scene.entries) for (const name in match) wanted.add(name);
        const reference = new ReferenceSwitch(withoutReplaced(scene.entries), scene, counts);
        for (const packet of scene.packets) {
          reference.now += packet.after;
          harness.now = reference.now;
          const got = send(harness, packet);
          const expected = expectation(reference, packet);
          // More different copies than one packet may have.
          const whole = harness.words[H.CUT] === 0;
          if (expected !== undefined && whole) expectOneOf(expected, got);
          outcomes += expected?.[0].length ?? 0;
          if (expected === undefined || !whole) open++;
          else if (expected.length > 1) choices++;
          policed += reference.policed;
          reference.policed = 0;
          // What the meters saw of a packet that is open, only the switch knows.
          if (expected === undefined) return;
        }
      }),
      { numRuns: 1000 },
    );
    // The generator is worth something only while packets get through, and meet all there is.
    expect(outcomes).toBeGreaterThan(1000);
    expect(open).toBeLessThan(outcomes / 10);
    expect(choices).toBeGreaterThan(100);
    expect(policed).toBeGreaterThan(100);
    expect(ALL_ACTIONS.filter((name) => !counts.actions.has(name))).toEqual([]);
    expect(FIELDS.map(({ name }) => name).filter((name) => !wanted.has(name))).toEqual([]);
  });

  it('goes through all 254 tables, each after what the one before it did', () => {
    const entries = Array.from({ length: 254 }, (_, table_id): Entry => {
      const metadata = {
        type: 'write_metadata' as const,
        metadata: BigInt(table_id + 1),
        metadata_mask: 0xffn,
      };
      const actions = [{ type: 'output' as const, port: table_id + 1, max_len: 0 }];
      const instructions: Entry['instructions'] =
        table_id === 253
          ? [{ type: 'apply_actions', actions }]
          : [{ type: 'write_actions', actions }, metadata, { type: 'goto_table', table_id: table_id + 1 }];
      const cookie = BigInt(table_id);
      return { table_id, priority: 1, cookie, match: { metadata: BigInt(table_id) }, instructions };
    });
    const nothing = { groups: [], meters: [], livePorts: [], packets: [] };
    const harness = new GuestHarness(new OpenFlowProgram(compileAfter));
    setUp(harness, { entries, ...nothing });
    const [description] = fc.sample(anyPacket, 1);
    const packet = { description, inPort: 1, after: 0 };
    const got = send(harness, packet);
    expect(got.map(({ port }) => port)).toEqual([254, 253]);
    expectOneOf(new ReferenceSwitch(entries).through(packet), got);
  });
});
