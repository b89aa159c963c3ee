/** OpenFlow 1.5 in terms of 1.3, message by message: what differs from 1.4 as well. */
import { describe, expect, test } from 'vitest';
import { decode, type Message, OpenFlowError } from '../../openflow/index.ts';
import * as v15 from '../../openflow/v15/index.ts';
import { ends } from '../support/dialects.ts';

const read = (list: Uint8Array[]): v15.Message[] => list.map(v15.decode);
/** What the device understands of a request of 1.5. */
const told = (message: v15.MessageInit, to = ends(6).device): Message[] => to.decode(v15.encode(message));
/** What the device says in 1.5. */
const said = (message: unknown, by = ends(6).device): v15.Message[] => read(by.encode(message as Message));
/** What the controller understands, and says. */
const heard = (message: v15.MessageInit): Message[] => ends(6).controller.decode(v15.encode(message));
const asks = (message: unknown): v15.Message[] => read(ends(6).controller.encode(message as Message));

const refusal = (message: v15.MessageInit): string => {
  try {
    told(message);
  } catch (error) {
    if (error instanceof OpenFlowError) return error.message;
    throw error;
  }
  throw new Error('this was not refused');
};

const output = { type: 'output', port: 2, max_len: 0xffff } as const;
const meter = { type: 'meter', meter_id: 8 } as const;

describe('matches', () => {
  test('packets are those of Ethernet', () => {
    expect(told({ type: 'flow_mod', match: { in_port: 1, packet_type: 0 } })).toMatchObject([
      { match: { in_port: 1 } },
    ]);
    const [flowMod] = told({ type: 'flow_mod', match: { packet_type: 0 } });
    expect((flowMod as { match: object }).match).toEqual({});
    for (const body of ['flow_desc', 'flow_stats', 'aggregate_stats'] as const) {
      const request = {
        type: 'multipart_request',
        body: { type: body, match: { packet_type: 0x10800 } },
      } as const;
      expect(refusal(request)).toContain('BAD_MATCH/BAD_VALUE');
    }
    expect(refusal({ type: 'flow_mod', match: { packet_type: 0x10800 } })).toContain('BAD_MATCH/BAD_VALUE');
  });

  test('pbb_uca is an extension of 1.3', () => {
    const match = { eth_type: 0x88e7, pbb_uca: 1 };
    const [message] = told({ type: 'flow_mod', match });
    expect(message).toMatchObject({ match });
    expect(asks(message)).toMatchObject([{ match }]);
  });

  test.each([{ tcp_flags: 1 }, { actset_output: 1 }])('1.3 has no field %o', (match) => {
    expect(refusal({ type: 'flow_mod', match })).toContain('BAD_MATCH/BAD_FIELD');
  });

  test('of the fields of a packet-out 1.3 has in_port', () => {
    const [message] = told({ type: 'packet_out', match: { packet_type: 0, in_port: 7 }, actions: [output] });
    expect(message).toMatchObject({ type: 'packet_out', in_port: 7, actions: [output] });
    expect(asks(message)).toMatchObject([{ match: { in_port: 7 }, actions: [output] }]);
    expect(refusal({ type: 'packet_out', match: {} })).toContain('BAD_REQUEST/BAD_PORT');
    expect(refusal({ type: 'packet_out', match: { in_port: 1, metadata: 1n } })).toMatch(
      /metadata .*BAD_MATCH\/BAD_FIELD/,
    );
  });
});

describe('actions and instructions', () => {
  const apply = (...actions: v15.ActionInit[]): v15.MessageInit => ({
    type: 'flow_mod',
    instructions: [{ type: 'apply_actions', actions }],
  });

  test.each([
    ['before other actions', [meter, output], [meter, { type: 'apply_actions', actions: [output] }]],
    ['alone', [meter], [meter]],
    ['not there', [output], [{ type: 'apply_actions', actions: [output] }]],
    ['not there, nor anything else', [], [{ type: 'apply_actions', actions: [] }]],
  ])('a meter %s', (_, actions, instructions) => {
    const [message] = told(apply(...actions));
    expect(message).toMatchObject({ instructions });
    expect(asks(message)).toMatchObject([{ instructions: [{ type: 'apply_actions', actions }] }]);
  });

  test('the instruction of 1.3 goes to the actions that are applied, wherever it stands', () => {
    const instructions = [
      { type: 'goto_table', table_id: 1 },
      { type: 'apply_actions', actions: [output] },
      meter,
    ];
    expect(asks({ type: 'flow_mod', instructions })).toMatchObject([
      { instructions: [{ type: 'goto_table' }, { type: 'apply_actions', actions: [meter, output] }] },
    ]);
    expect(asks({ type: 'flow_mod', instructions: [{ type: 'clear_actions' }, meter] })).toMatchObject([
      { instructions: [{ type: 'apply_actions', actions: [meter] }, { type: 'clear_actions' }] },
    ]);
  });

  const copy = { type: 'copy_field', n_bits: 1, src: 0x80000204, dst: 0x80000204 } as const;
  test.each<[string, v15.MessageInit, string]>([
    ['a meter after an action', apply(output, meter), 'BAD_ACTION/UNSUPPORTED_ORDER'],
    ['two meters', apply(meter, meter), 'BAD_ACTION/UNSUPPORTED_ORDER'],
    [
      'a meter in the action set',
      { type: 'flow_mod', instructions: [{ type: 'write_actions', actions: [meter] }] },
      'BAD_ACTION/UNSUPPORTED_ORDER',
    ],
    [
      'a meter of a packet-out',
      { type: 'packet_out', match: { in_port: 1 }, actions: [meter] },
      'BAD_ACTION/UNSUPPORTED_ORDER',
    ],
    ['copy_field', apply(copy), 'BAD_ACTION/BAD_TYPE'],
    [
      'half a field',
      apply({ type: 'set_field', field: { eth_src: ['00:00:00:00:00:01', '00:00:00:00:00:ff'] } }),
      'BAD_ACTION/BAD_SET_MASK',
    ],
    [
      'stat_trigger',
      { type: 'flow_mod', instructions: [{ type: 'stat_trigger', thresholds: {} }] },
      'BAD_INSTRUCTION/UNSUP_INST',
    ],
  ])('%s is refused', (_, message, error) => {
    expect(refusal(message)).toContain(error);
  });

  test('a whole field is set', () => {
    const set = { type: 'set_field', field: { ipv4_src: '10.0.0.1' } } as const;
    expect(told(apply(set))).toMatchObject([{ instructions: [{ actions: [set] }] }]);
  });
});

describe('statistics', () => {
  const figures = { duration_sec: 3, duration_nsec: 4, packet_count: 5n, byte_count: 6n };
  const stats = { duration: { sec: 3, nsec: 4 }, packet_count: 5n, byte_count: 6n };
  const flow = {
    table_id: 1,
    priority: 2,
    cookie: 7n,
    match: { in_port: 3 },
    instructions: [meter],
    ...figures,
  };
  const reply = { type: 'multipart_reply', xid: 4, body: { type: 'flow', flows: [flow] } };

  test('flow_desc and flow_stats are both flow; the answer is what was asked for, in every part', () => {
    const { device } = ends(6);
    for (const type of ['flow_desc', 'flow_stats'] as const) {
      const asked = told(
        { type: 'multipart_request', xid: 4, body: { type, match: { in_port: 3 } } },
        device,
      );
      expect(asked).toMatchObject([{ xid: 4, body: { type: 'flow', match: { in_port: 3 } } }]);
      const light = { table_id: 1, priority: 2, match: { in_port: 3 }, stats };
      const full = { ...light, cookie: 7n, instructions: [{ type: 'apply_actions', actions: [meter] }] };
      for (const flags of [1, 0]) {
        expect(said({ ...reply, flags }, device)).toMatchObject([
          { xid: 4, flags, body: { type, flows: [type === 'flow_desc' ? full : { ...light, reason: 0 }] } },
        ]);
      }
    }
    expect(heard(said(reply)[0] as v15.MessageInit)).toMatchObject([
      { body: { type: 'flow', flows: [flow] } },
    ]);
  });

  test('what is not said is zero', () => {
    expect(heard({ type: 'flow_removed', reason: 0, stats: { flow_count: 1 } })).toMatchObject([
      { duration_sec: 0, duration_nsec: 0, packet_count: 0n, byte_count: 0n },
    ]);
    expect(said({ type: 'flow_removed', reason: 0, ...figures })).toMatchObject([{ stats }]);
  });

  test.each([
    ['table', 'table_stats'],
    ['queue', 'queue_stats'],
    ['group', 'group_stats'],
    ['meter', 'meter_stats'],
    ['meter_config', 'meter_desc'],
    ['aggregate', 'aggregate_stats'],
  ])('%s is %s', (of13, of15) => {
    const [request] = asks({ type: 'multipart_request', body: { type: of13 } });
    expect(request).toMatchObject({ body: { type: of15 } });
    expect(told(request as v15.MessageInit)).toMatchObject([{ body: { type: of13 } }]);
  });

  test('of a meter, what uses it is counted', () => {
    const body = { type: 'meter', meters: [{ meter_id: 1, flow_count: 9 }] };
    expect(said({ type: 'multipart_reply', body })).toMatchObject([{ body: { meters: [{ ref_count: 9 }] } }]);
  });

  test('meter features may be as short as those of 1.3, as Open vSwitch sends them', () => {
    const body = {
      type: 'meter_features',
      max_meter: 8,
      band_types: 2,
      capabilities: 3,
      max_bands: 4,
      max_color: 5,
    };
    const [bytes] = ends(6).device.encode({ type: 'multipart_reply', xid: 1, body } as Message);
    expect(v15.decode(bytes)).toMatchObject({ body: { ...body, features: 0 } });
    const short = bytes.slice(0, 32);
    short[3] = 32;
    expect(ends(6).controller.decode(bytes)).toMatchObject([{ body }]);
    expect(ends(6).controller.decode(short)).toMatchObject([{ body }]);
  });

  test('one port, one group: the others are left out of the answer', () => {
    const { device } = ends(6);
    told({ type: 'multipart_request', xid: 1, body: { type: 'port_desc', port_no: 2 } }, device);
    told({ type: 'multipart_request', xid: 2, body: { type: 'group_desc', group_id: 6 } }, device);
    const ports = [{ port_no: 1 }, { port_no: 2 }];
    const groups = [5, 6].map((group_id) => ({ group_id, group_type: 0, buckets: [] }));
    const answer = (xid: number, body: object) =>
      said({ type: 'multipart_reply', xid, body }, device)[0] as never as { body: Record<string, object[]> };
    expect(answer(1, { type: 'port_desc', ports }).body.ports).toMatchObject([{ port_no: 2 }]);
    expect(answer(1, { type: 'port_desc', ports }).body.ports).toHaveLength(2);
    expect(answer(2, { type: 'group_desc', groups }).body.groups).toMatchObject([{ group_id: 6 }]);
  });

  test.each(['flow_monitor', 'controller_status', 'bundle_features'] as const)('there is no %s', (type) => {
    expect(refusal({ type: 'multipart_request', body: { type, monitors: [] } as never })).toContain(
      'BAD_MULTIPART',
    );
  });
});

describe('groups', () => {
  const bucket = (bucket_id: number, ...properties: object[]) =>
    ({ bucket_id, actions: [output], properties }) as never;
  const add = (...buckets: never[]): v15.MessageInit => ({
    type: 'group_mod',
    command: 0,
    group_type: 1,
    group_id: 4,
    buckets,
  });

  test('buckets have properties, and numbers by their places', () => {
    const properties = [
      { type: 'weight', weight: 3 },
      { type: 'watch_port', watch: 4 },
      { type: 'watch_group', watch: 5 },
    ];
    const [message] = told(add(bucket(77, ...properties), bucket(3)));
    expect(message).toMatchObject({
      type: 'group_mod',
      command: 0,
      group_type: 1,
      group_id: 4,
      buckets: [
        { weight: 3, watch_port: 4, watch_group: 5, actions: [output] },
        { weight: 1, watch_port: 0xffffffff, watch_group: 0xffffffff },
      ],
    });
    const { buckets } = message as Extract<Message, { type: 'group_mod' }>;
    const body = { type: 'group_desc', groups: [{ group_type: 1, group_id: 4, buckets }] };
    expect(said({ type: 'multipart_reply', body })).toMatchObject([
      {
        body: {
          groups: [
            {
              buckets: [
                { bucket_id: 0, properties },
                { bucket_id: 1, properties: [{ weight: 1 }] },
              ],
            },
          ],
        },
      },
    ]);
    expect(heard(said({ type: 'multipart_reply', body })[0] as v15.MessageInit)).toMatchObject([{ body }]);
  });

  test('buckets of a group that does not select weigh nothing', () => {
    expect(told({ ...add(bucket(0)), group_type: 0 } as v15.MessageInit)).toMatchObject([
      { buckets: [{ weight: 0 }] },
    ]);
  });

  test.each<[string, v15.MessageInit, string]>([
    ['a bucket to be inserted', { ...add(bucket(0)), command: 3 } as never, 'GROUP_MOD_FAILED/BAD_COMMAND'],
    ['a bucket to be removed', { ...add(), command: 5 } as never, 'GROUP_MOD_FAILED/BAD_COMMAND'],
    ['two buckets of a number', add(bucket(1), bucket(1)), 'GROUP_MOD_FAILED/BUCKET_EXISTS'],
    ['a number that is reserved', add(bucket(0xffffffff)), 'GROUP_MOD_FAILED/BAD_BUCKET'],
    [
      'a property twice',
      add(bucket(1, { type: 'weight', weight: 1 }, { type: 'weight', weight: 2 })),
      'BAD_PROPERTY/DUP_TYPE',
    ],
    ['a meter in a bucket', add({ bucket_id: 1, actions: [meter] } as never), 'BAD_ACTION/UNSUPPORTED_ORDER'],
  ])('%s is refused', (_, message, error) => {
    expect(refusal(message)).toContain(error);
  });
});

describe('table features', () => {
  const property = (type: string, ...types: string[]) =>
    ({ type, ids: types.map((id) => ({ type: id })) }) as never;
  const of13 = [
    property('instructions', 'goto_table', 'meter'),
    property('apply_actions', 'output'),
    property('write_actions', 'group'),
  ];
  const of15 = [
    property('instructions', 'goto_table'),
    property('apply_actions', 'output', 'meter'),
    property('write_actions', 'group'),
  ];
  const request = (table: object): v15.MessageInit =>
    ({
      type: 'multipart_request',
      body: { type: 'table_features', tables: [{ table_id: 1, ...table }] },
    }) as never;

  test('the meter is an instruction in 1.3, an action in 1.5', () => {
    const body = { type: 'table_features', tables: [{ table_id: 1, config: 3, properties: of13 }] };
    const [reply] = said({ type: 'multipart_reply', body });
    expect(reply).toMatchObject({
      body: { tables: [{ command: 0, features: 1, capabilities: 15, properties: of15 }] },
    });
    expect(heard(reply as v15.MessageInit)).toMatchObject([{ body }]);
    expect(told(request({ properties: of15 }))).toMatchObject([{ body: { tables: [{ properties: of13 }] } }]);
  });

  test('where misses have their own actions, these say whether there is a meter', () => {
    const properties = [
      property('instructions_miss', 'goto_table'),
      property('apply_actions', 'meter'),
      property('apply_actions_miss', 'output'),
    ];
    expect(told(request({ properties }))).toMatchObject([
      {
        body: {
          tables: [
            { properties: [{ ids: [{ type: 'goto_table' }] }, { ids: [] }, { ids: [{ type: 'output' }] }] },
          ],
        },
      },
    ]);
  });

  test('what a switch has more is left out', () => {
    const properties = [
      property('write_actions', 'output', 'copy_field', 'meter'),
      property('instructions', 'goto_table', 'stat_trigger'),
      { type: 'packet_types', oxm_values: [{ header: 0x80005804, value: '00000000' }] },
      { type: 'apply_copyfield', oxm_ids: [] },
    ];
    const body = { type: 'table_features', tables: [{ table_id: 1, properties }] } as never;
    expect(heard({ type: 'multipart_reply', body })).toMatchObject([
      {
        body: {
          tables: [
            { properties: [property('write_actions', 'output'), property('instructions', 'goto_table')] },
          ],
        },
      },
    ]);
  });

  test.each([
    ['to enable a table', { command: 2 }, 'TABLE_FEATURES_FAILED/BAD_COMMAND'],
    ['for egress', { features: 2 }, 'TABLE_FEATURES_FAILED/BAD_FEATURES'],
    ['copy_field', { properties: [property('apply_actions', 'copy_field')] }, 'BAD_PROPERTY/BAD_VALUE'],
    [
      'meters in the action set',
      { properties: [property('write_actions', 'meter')] },
      'BAD_PROPERTY/BAD_VALUE',
    ],
    ['stat_trigger', { properties: [property('instructions', 'stat_trigger')] }, 'BAD_PROPERTY/BAD_VALUE'],
    [
      'synchronised tables',
      { properties: [{ type: 'table_sync_from', table_ids: [2] }] },
      'BAD_PROPERTY/BAD_VALUE',
    ],
  ])('a request %s is refused', (_, table, error) => {
    expect(refusal(request(table))).toContain(error);
  });
});

describe('the connection', () => {
  test('a device has bundles', () => {
    const features = { type: 'features_reply', datapath_id: 1n, n_tables: 2, capabilities: 7 };
    expect(said(features)).toMatchObject([{ capabilities: 7 | 512 }]);
    expect(heard(said(features)[0] as v15.MessageInit)).toMatchObject([{ capabilities: 7 }]);
  });

  test('controllers have no numbers', () => {
    const role = { type: 'role_request', role: 2, generation_id: 3n } as const;
    expect(told({ ...role, short_id: 0 })).toEqual([{ xid: 0, ...role }]);
    expect(asks(role)).toMatchObject([{ short_id: 0 }]);
    expect(refusal({ ...role, short_id: 9 })).toContain('ROLE_REQUEST_FAILED/ID_UNSUP');
    expect(heard({ ...role, type: 'role_reply', short_id: 9 })).toMatchObject([
      { type: 'role_reply', role: 2 },
    ]);
  });

  test('set_async: kinds that 1.5 adds are never sent', () => {
    const set = (type: 'flow_stats_master' | 'cont_status_slave', mask: number): v15.MessageInit => ({
      type: 'set_async',
      properties: [{ type, mask }],
    });
    expect(told(set('flow_stats_master', 0))).toHaveLength(1);
    expect(refusal(set('flow_stats_master', 1))).toContain('ASYNC_CONFIG_FAILED/UNSUPPORTED');
    expect(refusal(set('cont_status_slave', 1))).toContain('ASYNC_CONFIG_FAILED/UNSUPPORTED');
    const masks = { packet_in_mask: [7, 0], port_status_mask: [7, 7], flow_removed_mask: [15, 0] };
    const [reply] = said({ type: 'get_async_reply', ...masks });
    expect((reply as v15.MessageOf<'get_async_reply'>).properties).toHaveLength(16);
  });

  test('the state of other controllers is nothing to 1.3', () => {
    const status = { short_id: 1, role: 2, reason: 2, channel_status: 0 };
    expect(heard({ type: 'controller_status', status })).toEqual([]);
  });
});

describe('bundles', () => {
  test('messages in them are translated', () => {
    const message = v15.encode({
      type: 'flow_mod',
      xid: 2,
      instructions: [{ type: 'apply_actions', actions: [meter, output] }],
    });
    const add = { type: 'bundle_add_message', xid: 2, bundle_id: 5, flags: 2, message } as const;
    const [canonical] = told(add) as { data: Uint8Array }[];
    expect(decode(canonical.data.subarray(8))).toMatchObject({
      type: 'flow_mod',
      instructions: [meter, { type: 'apply_actions', actions: [output] }],
    });
    expect(asks(canonical)).toEqual([{ ...add, properties: [] }]);
  });

  test('a bundle has no time', () => {
    const time = { type: 'time', sched_time: { seconds: 1n, nanoseconds: 0 } } as const;
    const control = {
      type: 'bundle_control',
      bundle_id: 5,
      ctrl_type: 4,
      flags: 4,
      properties: [time],
    } as const;
    expect(refusal(control)).toContain('EXPERIMENTER/2316');
    const { device } = ends(6);
    const error = {
      type: 'error',
      error_type: 0xffff,
      code: 2316,
      data: new Uint8Array([0x4f, 0x4e, 0x46, 0, 6]),
    };
    expect(said(error, device)).toMatchObject([{ error_type: 17, code: 16, data: new Uint8Array([6]) }]);
  });
});
