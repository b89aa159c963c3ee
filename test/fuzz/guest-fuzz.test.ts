/** Whatever bytes come as messages or packets: the cell answers with an error or goes on. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decode, encode, FLOWCELL_EXPERIMENTER, type MessageInit } from '../../openflow/index.ts';
import { ethernet, ipv4, ipv6, neighbour, tcp, vlan } from '../../packet/index.ts';
import { LearningSwitch } from '../../sandbox/guest/learning.ts';
import { GuestHarness } from '../support/guest-harness.ts';

const match = { in_port: 1, eth_type: 0x0800, ip_proto: 6, ipv4_src: '10.0.0.1', tcp_dst: 2000 } as const;
const actions = [
  { type: 'set_field', field: { ipv4_dst: '10.0.0.9' } },
  { type: 'push_vlan', ethertype: 0x8100 },
  { type: 'dec_nw_ttl' },
  { type: 'output', port: 3 },
] as const;
const valid: MessageInit[] = [
  {
    type: 'flow_mod',
    match,
    idle_timeout: 1,
    flags: 1,
    instructions: [
      { type: 'apply_actions', actions: [...actions] },
      { type: 'write_metadata', metadata: 5n },
      { type: 'goto_table', table_id: 1 },
    ],
  },
  {
    type: 'flow_mod',
    table_id: 1,
    match: {},
    instructions: [{ type: 'write_actions', actions: [...actions] }],
  },
  { type: 'packet_out', xid: 1, in_port: 1, actions: [...actions, { type: 'output', port: 0xfffffff9 }] },
  { type: 'multipart_request', body: { type: 'flow' } },
  { type: 'multipart_request', body: { type: 'aggregate' } },
  { type: 'flow_mod', command: 3, table_id: 255 },
  {
    type: 'group_mod',
    command: 0,
    group_id: 1,
    group_type: 1,
    buckets: [
      { weight: 1, watch_port: 2, actions: [...actions] },
      { weight: 2, actions: [{ type: 'group', group_id: 2 }] },
    ],
  },
  {
    type: 'group_mod',
    command: 1,
    group_id: 2,
    buckets: [{ actions: [{ type: 'set_queue', queue_id: 1 }] }],
  },
  { type: 'group_mod', command: 2, group_id: 0xfffffffc },
  {
    type: 'meter_mod',
    command: 0,
    meter_id: 1,
    flags: 5,
    bands: [
      { type: 'drop', rate: 100, burst_size: 10 },
      { type: 'dscp_remark', rate: 10, prec_level: 1 },
    ],
  },
  {
    type: 'flow_mod',
    match: { eth_type: 0x0800 },
    instructions: [
      { type: 'meter', meter_id: 1 },
      {
        type: 'apply_actions',
        actions: [
          { type: 'group', group_id: 1 },
          {
            type: 'experimenter',
            experimenter: FLOWCELL_EXPERIMENTER,
            data: Uint8Array.of(0, 1, 0, 8, 0, 5, 0, 0),
          },
          { type: 'output', port: 4 },
        ],
      },
      {
        type: 'experimenter',
        experimenter: FLOWCELL_EXPERIMENTER,
        data: Uint8Array.of(0, 7, 0, 0, 0, 0, 0, 0),
      },
    ],
  },
  { type: 'port_status', reason: 2, desc: { port_no: 2, state: 4 } },
  { type: 'table_config', table_id: 255, flags: 13, vacancy_down: 10, vacancy_up: 20 },
  { type: 'transaction', phase: 0 },
  { type: 'transaction', phase: 1 },
  { type: 'multipart_request', body: { type: 'group' } },
  { type: 'multipart_request', body: { type: 'meter' } },
  { type: 'multipart_request', body: { type: 'table_features' } },
  { type: 'barrier_request', xid: 9 },
];

const mutated = fc
  .tuple(
    fc.constantFrom(...valid),
    fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }),
    fc.option(fc.nat(200), { freq: 3 }),
  )
  .map(([message, changes, cut]) => {
    let bytes = encode(message).slice();
    for (const [at, value] of changes) if (at >= 4 && at < bytes.length) bytes[at] = value;
    if (cut !== null) bytes = bytes.slice(0, Math.max(8, cut));
    // The agent passes whole messages on: the length in the header is true.
    bytes[2] = bytes.length >> 8;
    bytes[3] = bytes.length & 255;
    return bytes;
  });

const frames = [
  vlan(ethernet({ type: 0x0800, payload: ipv4({ proto: 6, payload: tcp() }) }), { vid: 5 }),
  ethernet({ type: 0x0800, payload: ipv4({ proto: 6, payload: tcp() }) }),
  ethernet({
    type: 0x86dd,
    payload: ipv6({ proto: 58, payload: neighbour({ type: 135, target: 'fe80::1' }) }),
  }),
];
const frame = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(
      fc.constantFrom(...frames),
      fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 5 }),
      fc.nat(80),
    )
    .map(([bytes, changes, length]) => {
      const copy = bytes.slice(0, Math.max(1, length));
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy;
    }),
);

it('the openflow program survives mutated messages and packets, and goes on answering', () => {
  fc.assert(
    fc.property(
      fc.array(mutated, { maxLength: 8 }),
      fc.array(frame, { maxLength: 6 }),
      (messages, packets) => {
        const harness = new GuestHarness();
        // Every answer is itself a valid message; the harness throws what the program throws.
        for (const answer of harness.ask(...messages)) expect(answer.type).toBeTypeOf('string');
        packets.forEach((bytes, i) => {
          harness.now = i * 1000;
          harness.send(bytes, i % 3 === 2 ? { packetOut: 1 } : {});
        });
        // A transaction that is open holds back the barrier.
        const answers = harness.ask(
          { type: 'transaction', phase: 2 },
          { type: 'barrier_request', xid: 4242 },
        );
        expect(answers.at(-1)).toEqual({ type: 'barrier_reply', xid: 4242 });
      },
    ),
    { numRuns: 2000 },
  );
});

it('the learning switch survives any packets', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), (packets) => {
      const harness = new GuestHarness(new LearningSwitch());
      for (const bytes of packets) expect(harness.send(bytes).length).toBeLessThanOrEqual(1);
    }),
  );
});

it('mutated messages are often accepted, often refused: the mutations test both', () => {
  let good = 0;
  let bad = 0;
  for (const bytes of fc.sample(mutated, 500)) {
    try {
      decode(bytes);
      good++;
    } catch {
      bad++;
    }
  }
  expect(Math.min(good, bad)).toBeGreaterThan(50);
});
