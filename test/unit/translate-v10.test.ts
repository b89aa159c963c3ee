/** OpenFlow 1.0 and what it is in 1.3, message by message. */
import { describe, expect, test } from 'vitest';
import * as v13 from '../../openflow/index.ts';
import { type Message, type MessageInit, NO_BUFFER } from '../../openflow/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import {
  data,
  dialect,
  from10,
  mac,
  output10,
  output13,
  port,
  port10,
  refused,
  to10,
  xid,
} from '../support/translate-v10.ts';

const NO_AGE = { duration_sec: 0xffffffff, duration_nsec: 0xffffffff };
const counters = {
  rx_packets: 1n,
  tx_packets: 2n,
  rx_bytes: 3n,
  tx_bytes: 4n,
  rx_dropped: 5n,
  tx_dropped: 6n,
  rx_errors: 7n,
  tx_errors: 8n,
  rx_frame_err: 9n,
  rx_over_err: 10n,
  rx_crc_err: 11n,
  collisions: 12n,
};
const desc = { mfr_desc: 'a', hw_desc: 'b', sw_desc: 'c', serial_num: 'd', dp_desc: 'e' };
const times = { duration_sec: 1, duration_nsec: 2, idle_timeout: 3 };
const counts = { packet_count: 5n, byte_count: 6n };
const filter = { out_group: 0xffffffff, cookie: 0n, cookie_mask: 0n };

/** The same message in both, either way. */
const PAIRS: readonly (readonly [v10.MessageInit, Message])[] = [
  [
    { type: 'hello', xid },
    { type: 'hello', xid, version: 1, elements: [] },
  ],
  [
    { type: 'echo_request', xid, data },
    { type: 'echo_request', xid, data },
  ],
  [
    { type: 'echo_reply', xid, data },
    { type: 'echo_reply', xid, data },
  ],
  [
    { type: 'vendor', xid, vendor: 0x123456, data },
    { type: 'experimenter', xid, experimenter: 0x123456, exp_type: 0x01020304, data: data.subarray(4) },
  ],
  [
    { type: 'features_request', xid },
    { type: 'features_request', xid },
  ],
  [
    { type: 'get_config_request', xid },
    { type: 'get_config_request', xid },
  ],
  [
    { type: 'get_config_reply', xid, flags: 1, miss_send_len: 99 },
    { type: 'get_config_reply', xid, flags: 1, miss_send_len: 99 },
  ],
  [
    { type: 'set_config', xid, flags: 0, miss_send_len: 0xffff },
    { type: 'set_config', xid, flags: 0, miss_send_len: 0xffff },
  ],
  [
    { type: 'packet_in', xid, total_len: 99, in_port: 0xfffe, reason: 1, data },
    {
      type: 'packet_in',
      xid,
      buffer_id: NO_BUFFER,
      total_len: 99,
      reason: 1,
      table_id: 0,
      cookie: 0xffffffffffffffffn,
      match: { in_port: 0xfffffffe },
      data,
    },
  ],
  [
    {
      type: 'flow_removed',
      xid,
      match: { in_port: 3 },
      cookie: 4n,
      priority: 9,
      reason: 2,
      ...times,
      ...counts,
    },
    {
      type: 'flow_removed',
      xid,
      match: { in_port: 3 },
      cookie: 4n,
      priority: 9,
      reason: 2,
      ...times,
      ...counts,
      hard_timeout: 0,
      table_id: 0,
    },
  ],
  [
    { type: 'port_status', xid, reason: 2, desc: port10(3) },
    { type: 'port_status', xid, reason: 2, desc: port(3) },
  ],
  [
    { type: 'packet_out', xid, in_port: 1, actions: [output10], data },
    { type: 'packet_out', xid, buffer_id: NO_BUFFER, in_port: 1, actions: [output13], data },
  ],
  [
    {
      type: 'packet_out',
      xid,
      in_port: v10.Port.NONE,
      actions: [{ type: 'output', port: v10.Port.TABLE }],
      data,
    },
    {
      type: 'packet_out',
      xid,
      buffer_id: NO_BUFFER,
      in_port: v13.Port.CONTROLLER,
      actions: [{ type: 'output', port: v13.Port.TABLE, max_len: 0xffff }],
      data,
    },
  ],
  [
    { type: 'port_mod', xid, port_no: 2, hw_addr: mac, config: 0x21, mask: 0x65, advertise: 0x880 },
    { type: 'port_mod', xid, port_no: 2, hw_addr: mac, config: 0x21, mask: 0x65, advertise: 0x8800 },
  ],
  [
    { type: 'barrier_request', xid },
    { type: 'barrier_request', xid },
  ],
  [
    { type: 'barrier_reply', xid },
    { type: 'barrier_reply', xid },
  ],
  [
    { type: 'queue_get_config_request', xid, port: 2 },
    { type: 'queue_get_config_request', xid, port: 2 },
  ],
  [
    {
      type: 'queue_get_config_reply',
      xid,
      port: 2,
      queues: [{ queue_id: 1, properties: [{ type: 'min_rate', rate: 500 }] }],
    },
    {
      type: 'queue_get_config_reply',
      xid,
      port: 2,
      queues: [{ queue_id: 1, port: 2, properties: [{ type: 'min_rate', rate: 500 }] }],
    },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'desc' } },
    { type: 'multipart_request', xid, flags: 0, body: { type: 'desc' } },
  ],
  [
    {
      type: 'stats_request',
      xid,
      body: { type: 'flow', match: { dl_type: 0x800 }, table_id: 0xff, out_port: 4 },
    },
    {
      type: 'multipart_request',
      xid,
      flags: 0,
      body: { type: 'flow', match: { eth_type: 0x800 }, table_id: 0xff, out_port: 4, ...filter },
    },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'aggregate', match: {}, table_id: 0 } },
    {
      type: 'multipart_request',
      xid,
      flags: 0,
      body: { type: 'aggregate', match: {}, table_id: 0, out_port: v13.Port.ANY, ...filter },
    },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'table' } },
    { type: 'multipart_request', xid, flags: 0, body: { type: 'table' } },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'port' } },
    { type: 'multipart_request', xid, flags: 0, body: { type: 'port_stats', port_no: v13.Port.ANY } },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'queue', port_no: v10.Port.ALL } },
    {
      type: 'multipart_request',
      xid,
      flags: 0,
      body: { type: 'queue', port_no: v13.Port.ANY, queue_id: 0xffffffff },
    },
  ],
  [
    { type: 'stats_request', xid, body: { type: 'vendor', vendor: 5, data } },
    {
      type: 'multipart_request',
      xid,
      flags: 0,
      body: { type: 'experimenter', experimenter: 5, exp_type: 0x01020304, data: data.subarray(4) },
    },
  ],
  [
    { type: 'stats_reply', xid, body: { type: 'desc', ...desc } },
    { type: 'multipart_reply', xid, flags: 0, body: { type: 'desc', ...desc } },
  ],
  [
    { type: 'stats_reply', xid, body: { type: 'aggregate', ...counts, flow_count: 2 } },
    { type: 'multipart_reply', xid, flags: 0, body: { type: 'aggregate', ...counts, flow_count: 2 } },
  ],
  [
    {
      type: 'stats_reply',
      xid,
      flags: 1,
      body: {
        type: 'table',
        tables: [
          {
            table_id: 2,
            name: 'table2',
            wildcards: v10.Wildcard.ALL,
            max_entries: 65536,
            active_count: 4,
            lookup_count: 5n,
            matched_count: 3n,
          },
        ],
      },
    },
    {
      type: 'multipart_reply',
      xid,
      flags: 1,
      body: {
        type: 'table',
        tables: [{ table_id: 2, active_count: 4, lookup_count: 5n, matched_count: 3n }],
      },
    },
  ],
  [
    { type: 'stats_reply', xid, body: { type: 'port', ports: [{ port_no: 0xfffe, ...counters }] } },
    {
      type: 'multipart_reply',
      xid,
      flags: 0,
      body: { type: 'port_stats', ports: [{ port_no: 0xfffffffe, ...counters, ...NO_AGE }] },
    },
  ],
  [
    {
      type: 'stats_reply',
      xid,
      body: {
        type: 'queue',
        queues: [{ port_no: 1, queue_id: 2, tx_bytes: 1n, tx_packets: 2n, tx_errors: 3n }],
      },
    },
    {
      type: 'multipart_reply',
      xid,
      flags: 0,
      body: {
        type: 'queue',
        queues: [{ port_no: 1, queue_id: 2, tx_bytes: 1n, tx_packets: 2n, tx_errors: 3n, ...NO_AGE }],
      },
    },
  ],
  [
    { type: 'stats_reply', xid, body: { type: 'vendor', vendor: 5, data } },
    {
      type: 'multipart_reply',
      xid,
      flags: 0,
      body: { type: 'experimenter', experimenter: 5, exp_type: 0x01020304, data: data.subarray(4) },
    },
  ],
  [
    {
      type: 'nx_set_async_config',
      xid,
      packet_in_mask: [1, 2],
      port_status_mask: [3, 4],
      flow_removed_mask: [5, 6],
    },
    { type: 'set_async', xid, packet_in_mask: [1, 2], port_status_mask: [3, 4], flow_removed_mask: [5, 6] },
  ],
];

const name = ([ten, thirteen]: readonly [v10.MessageInit, Message]) =>
  `${ten.type} ${'body' in ten ? ten.body.type : ''}/ ${thirteen.type}`;

describe('messages', () => {
  test.each(PAIRS.map((pair) => [name(pair), ...pair] as const))('%s from 1.0', (_, ten, thirteen) => {
    expect(from10(ten)).toEqual([thirteen]);
  });

  test.each(PAIRS.map((pair) => [name(pair), ...pair] as const))('%s to 1.0', (_, ten, thirteen) => {
    expect(dialect().encode(thirteen)).toEqual([v10.encode(ten)]);
  });

  test('there is a pair, or a test below, for every message of the specification', () => {
    const below = ['error', 'features_reply', 'flow_mod', 'nx_role_request', 'nx_role_reply'];
    const covered = new Set<string>([...below, ...PAIRS.map(([ten]) => ten.type)]);
    const standard = Object.keys(v10.messages).filter((type) => !type.startsWith('nx_'));
    expect(standard.filter((type) => !covered.has(type))).toEqual([]);
  });

  test.each([
    ['group_mod', { type: 'group_mod', command: 0, group_id: 1 }],
    ['meter_mod', { type: 'meter_mod', command: 0, meter_id: 1 }],
    ['table_mod', { type: 'table_mod', table_id: 0 }],
    ['get_async_request', { type: 'get_async_request' }],
    ['dispatch_config', { type: 'dispatch_config' }],
  ] as const)('%s cannot be said', (what, message) => {
    const error = refused(() => dialect().encode(message));
    expect(error.code).toBe('FC_OF_BAD_REQUEST_BAD_TYPE');
    expect(error.message).toContain(`message ${what}: the other side speaks OpenFlow 1.0 only`);
  });

  test.each(['group', 'group_desc', 'meter', 'meter_config', 'table_features'] as const)(
    'multipart %s cannot be asked for',
    (type) => {
      const error = refused(() => dialect().encode({ type: 'multipart_request', body: { type } }));
      expect(error.code).toBe('FC_OF_BAD_REQUEST_BAD_MULTIPART');
      expect(error.message).toContain(type);
    },
  );

  test('nothing is said of what 1.0 does not have', () => {
    const packetIn = { type: 'packet_in', total_len: 1, match: { in_port: 1 } } as const;
    expect(to10({ ...packetIn, reason: v13.PacketInReason.INVALID_TTL })).toEqual([]);
    expect(to10({ ...packetIn, reason: 0, match: { in_port: 0x10000 } })).toEqual([]);
    expect(to10({ type: 'port_status', reason: 0, desc: port(0x10000) })).toEqual([]);
    expect(to10({ type: 'flow_removed', reason: 0, table_id: 1 })).toEqual([]);
    expect(to10({ type: 'flow_removed', reason: 0, match: { eth_type: 0x86dd, ipv6_src: '::1' } })).toEqual(
      [],
    );
    expect(to10({ type: 'flow_removed', reason: 0, match: { cell: 3 } })).toEqual([]);
  });

  test('an entry whose group was deleted was deleted', () => {
    const [removed] = to10({ type: 'flow_removed', reason: v13.FlowRemovedReason.GROUP_DELETE });
    expect(removed).toMatchObject({ type: 'flow_removed', reason: v10.FlowRemovedReason.DELETE });
  });
});

describe('features and ports', () => {
  const features: Message = {
    type: 'features_reply',
    xid,
    datapath_id: 5n,
    n_buffers: 0,
    n_tables: 254,
    auxiliary_id: 0,
    capabilities: 0xffffffff,
  };
  const ports = [port(1), port(0xfffffffe), port(0x20000)];

  test('a features_reply carries the ports of the device, but for those without a number in 1.0', () => {
    const [bytes] = dialect(ports).encode(features);
    expect(v10.decode(bytes)).toEqual({
      type: 'features_reply',
      xid,
      datapath_id: 5n,
      n_buffers: 0,
      n_tables: 254,
      capabilities: 0x67 | v10.Capability.ARP_MATCH_IP,
      actions: 0xfff,
      ports: [port10(1), { ...port10(0xfffe), name: 'eth4294967294' }],
    });
  });

  test('more ports than a message holds are left out', () => {
    const many = Array.from({ length: 2000 }, (_, i) => port(i + 1));
    const [bytes] = dialect(many).encode(features);
    expect((v10.decode(bytes) as v10.MessageOf<'features_reply'>).ports).toHaveLength(1364);
  });

  test('a controller asks for ports by a features_request', () => {
    const controller = dialect();
    const device = dialect([port(1), port(2)]);
    const ask = (message: MessageInit): Message[] => {
      const [request] = controller.encode(message).map((bytes) => device.decode(bytes)[0]);
      expect(request).toEqual({ type: 'features_request', xid: message.xid });
      const [reply] = device.encode({ ...features, xid: message.xid });
      return controller.decode(reply);
    };
    expect(ask({ type: 'features_request', xid: 1 })).toEqual([{ ...features, xid: 1, capabilities: 0x67 }]);
    const describePorts: MessageInit = { type: 'multipart_request', xid: 2, body: { type: 'port_desc' } };
    expect(ask(describePorts)).toEqual([
      { type: 'multipart_reply', xid: 2, flags: 0, body: { type: 'port_desc', ports: [port(1), port(2)] } },
    ]);
    expect(ask({ type: 'features_request', xid: 2 })).toMatchObject([{ type: 'features_reply' }]);
  });

  test.each([
    [{ state: v13.PortState.LINK_DOWN }, { state: v10.PortState.LINK_DOWN }],
    [{ state: v13.PortState.BLOCKED }, { state: v10.PortState.STP_BLOCK }],
    [
      { config: v13.PortConfig.PORT_DOWN | v13.PortConfig.NO_FWD, state: 0 },
      { config: v10.PortConfig.PORT_DOWN | v10.PortConfig.NO_FWD },
    ],
  ])('port %j is %j', (thirteen, ten) => {
    const status: MessageInit = { type: 'port_status', reason: 2, desc: port(1, thirteen) };
    const [message] = to10(status);
    expect(message).toMatchObject({ desc: { ...port10(1), ...ten } });
    expect(from10(message)).toMatchObject([status]);
  });

  test('of port_mod the bits of a spanning tree are dropped, flooding is left to the device', () => {
    const config = v10.PortConfig.NO_STP | v10.PortConfig.NO_RECV_STP | v10.PortConfig.NO_FLOOD;
    const message = { type: 'port_mod', port_no: 1, hw_addr: mac, config, mask: 0xff } as const;
    expect(from10(message)).toMatchObject([{ config: v10.PortConfig.NO_FLOOD, mask: 0x75 }]);
  });

  test('a queue_get_config of all ports cannot be asked', () => {
    const error = refused(() => dialect().encode({ type: 'queue_get_config_request' }));
    expect(error.code).toBe('FC_OF_QUEUE_OP_FAILED_BAD_PORT');
  });
});
