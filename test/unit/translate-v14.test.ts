/** OpenFlow 1.4 in terms of 1.3, message by message: what 1.3 says otherwise, cannot say, or remembers. */
import { describe, expect, test } from 'vitest';
import {
  decode,
  encode,
  FLOW_MOD_UPSERT,
  type Message,
  OpenFlowError,
  oxmHeader,
} from '../../openflow/index.ts';
import * as v14 from '../../openflow/v14/index.ts';
import { answered, ends, requested } from '../support/dialects.ts';

const ONF = 0x4f4e4600;
const read = (list: Uint8Array[]): v14.Message[] => list.map(v14.decode);
/** What the device understands of a request of 1.4. */
const told = (message: v14.MessageInit, to = ends(5).device): Message[] => to.decode(v14.encode(message));
/** What the device says in 1.4. */
const said = (message: unknown, by = ends(5).device): v14.Message[] => read(by.encode(message as Message));
/** What the controller understands, and says. */
const heard = (message: v14.MessageInit, by = ends(5).controller): Message[] =>
  by.decode(v14.encode(message));
const asks = (message: unknown, by = ends(5).controller): v14.Message[] =>
  read(by.encode(message as Message));

const refusal = (message: v14.MessageInit): OpenFlowError => {
  try {
    told(message);
  } catch (error) {
    if (error instanceof OpenFlowError) return error;
    throw error;
  }
  throw new Error('this was not refused');
};

test('pbb_uca, which 1.3 has by extension, is its field 41', () => {
  const flowMod = {
    type: 'flow_mod',
    match: { eth_type: 0x88e7, pbb_uca: 1 },
    instructions: [{ type: 'apply_actions', actions: [{ type: 'set_field', field: { pbb_uca: 0 } }] }],
  } as const;
  expect(v14.encode(flowMod).subarray(58, 63)).toEqual(new Uint8Array([0x80, 0, 41 << 1, 1, 1]));
  const [message] = told(flowMod);
  expect(decode(encode(message))).toMatchObject(flowMod);
  expect(asks(message)).toMatchObject([flowMod]);
});

describe('importance', () => {
  const instruction = {
    type: 'experimenter',
    experimenter: 0xf10cce11,
    data: new Uint8Array([0x12, 0x34, 0, 0, 0, 0, 0, 0]),
  };

  test('of a flow_mod is an instruction, and back', () => {
    const [flowMod] = told({ type: 'flow_mod', xid: 1, importance: 0x1234 });
    expect(flowMod).toMatchObject({ type: 'flow_mod', xid: 1, instructions: [instruction] });
    expect(asks(flowMod)).toMatchObject([{ type: 'flow_mod', importance: 0x1234, instructions: [] }]);
  });

  test('stands in flow statistics', () => {
    const flows = [{ priority: 7, instructions: [{ type: 'goto_table', table_id: 3 }, instruction] }];
    const [reply] = said({ type: 'multipart_reply', xid: 2, body: { type: 'flow', flows } });
    expect(reply).toMatchObject({
      body: { flows: [{ priority: 7, importance: 0x1234, instructions: [{ type: 'goto_table' }] }] },
    });
  });

  test('an experimenter instruction of others, or of another length, is none', () => {
    const others = [
      { type: 'experimenter', experimenter: 1, data: new Uint8Array(8) },
      { type: 'experimenter', experimenter: 0xf10cce11, data: new Uint8Array(16) },
    ];
    expect(asks({ type: 'flow_mod', instructions: others })).toMatchObject([
      { importance: 0, instructions: others },
    ]);
  });
});

describe('tables', () => {
  const properties = [
    { type: 'eviction', flags: 2 },
    { type: 'vacancy', vacancy_down: 10, vacancy_up: 20, vacancy: 0 },
  ] as const;
  const config = { table_id: 3, flags: 12, vacancy_down: 10, vacancy_up: 20, eviction_flags: 2 };

  test('table_mod is table_config, and back', () => {
    const [message] = told({ type: 'table_mod', xid: 5, table_id: 3, config: 12, properties });
    expect(message).toEqual({ type: 'table_config', xid: 5, ...config, vacancy: 0 });
    expect(asks(message)).toEqual([{ type: 'table_mod', xid: 5, table_id: 3, config: 12, properties }]);
  });

  test.each([
    ['config bits that there are not', { config: 16 }, 'TABLE_MOD_FAILED/BAD_CONFIG'],
    [
      'vacancy limits the wrong way round',
      { properties: [{ ...properties[1], vacancy_down: 21 }] },
      'BAD_PROPERTY/BAD_VALUE',
    ],
    [
      'more than 100 percent',
      { properties: [{ ...properties[1], vacancy_up: 101 }] },
      'BAD_PROPERTY/BAD_VALUE',
    ],
    ['the same property twice', { properties: [properties[0], properties[0]] }, 'BAD_PROPERTY/DUP_TYPE'],
    [
      "an experimenter's property",
      { properties: [{ type: 'experimenter', experimenter: 1, exp_type: 1, data: new Uint8Array(0) }] },
      'BAD_PROPERTY/BAD_EXPERIMENTER',
    ],
  ] as const)('table_mod with %s is refused', (_, fields, error) => {
    expect(refusal({ type: 'table_mod', table_id: 3, ...fields }).message).toContain(error);
  });

  test('table_desc asks for the settings of all tables; a barrier ends them', () => {
    const { device } = ends(5);
    const asked = told({ type: 'multipart_request', xid: 9, body: { type: 'table_desc' } }, device);
    expect(asked).toMatchObject([
      { type: 'table_config', xid: 9, table_id: 255, flags: 128 },
      { type: 'barrier_request', xid: 9 },
    ]);
    expect(said({ type: 'table_config', xid: 9, table_id: 0 }, device)).toEqual([]);
    expect(said({ type: 'table_config', xid: 9, ...config, vacancy: 77 }, device)).toEqual([]);
    expect(said({ type: 'barrier_reply', xid: 8 }, device)).toEqual([{ type: 'barrier_reply', xid: 8 }]);
    const reply = said({ type: 'barrier_reply', xid: 9 }, device);
    expect(reply).toMatchObject([
      {
        xid: 9,
        flags: 0,
        body: {
          type: 'table_desc',
          tables: [
            { table_id: 0, config: 0, properties: [] },
            { table_id: 3, config: 12, properties: [properties[0], { ...properties[1], vacancy: 77 }] },
          ],
        },
      },
    ]);
    // The next one is only a barrier, and settings that nobody asked for go nowhere.
    expect(said({ type: 'barrier_reply', xid: 9 }, device)).toEqual([{ type: 'barrier_reply', xid: 9 }]);
    expect(said({ type: 'table_config', xid: 9, table_id: 0 }, device)).toEqual([]);
    expect(heard(reply[0] as v14.MessageInit)).toMatchObject([
      { type: 'table_config', xid: 9, table_id: 0 },
      { type: 'table_config', xid: 9, ...config, vacancy: 77 },
    ]);
  });

  test('an error in place of settings ends the question', () => {
    const { device } = ends(5);
    told({ type: 'multipart_request', xid: 9, body: { type: 'table_desc' } }, device);
    expect(said({ type: 'error', xid: 9, error_type: 1, code: 5 }, device)).toMatchObject([
      { type: 'error', xid: 9 },
    ]);
    expect(said({ type: 'barrier_reply', xid: 9 }, device)).toMatchObject([{ type: 'barrier_reply' }]);
  });

  test('a controller that speaks 1.3 asks by table_config', () => {
    expect(asks({ type: 'table_config', xid: 4, table_id: 255, flags: 128 })).toMatchObject([
      { type: 'multipart_request', xid: 4, body: { type: 'table_desc' } },
    ]);
  });

  test('table_status, and table features: what of 1.4 a device has', () => {
    const status = {
      type: 'table_status',
      xid: 0,
      table_id: 4,
      reason: 3,
      vacancy_down: 5,
      vacancy_up: 9,
      vacancy: 4,
    };
    expect(answered(ends(5), status)).toEqual([status]);
    const features = { type: 'multipart_reply', body: { type: 'table_features', tables: [{ table_id: 1 }] } };
    expect(said(features)).toMatchObject([{ body: { tables: [{ table_id: 1, capabilities: 12 }] } }]);
    const fields = (...oxm_ids: number[]) => [{ type: 'match' as const, oxm_ids }];
    const tables = [{ table_id: 1, properties: fields(oxmHeader('eth_type'), oxmHeader('pbb_isid', true)) }];
    expect(said({ type: 'multipart_reply', body: { type: 'table_features', tables } })).toMatchObject([
      { body: { tables: [{ properties: fields(0x80000a02, 0x80004b06, 0x80005201) }] } },
    ]);
    const body = {
      type: 'table_features' as const,
      tables: [{ table_id: 1, properties: [{ type: 'table_sync_from' as const, table_ids: [2] }] }],
    };
    expect(refusal({ type: 'multipart_request', body }).code).toBe('FC_OF_BAD_PROPERTY_BAD_TYPE');
    expect(heard({ type: 'multipart_reply', body })).toMatchObject([
      { body: { tables: [{ properties: [] }] } },
    ]);
  });
});

describe('ports and queues', () => {
  test('a port-mod advertises by a property, if at all', () => {
    const portMod = {
      type: 'port_mod',
      xid: 0,
      port_no: 1,
      hw_addr: '00:00:00:00:00:01',
      config: 1,
      mask: 1,
    } as const;
    expect(asks({ ...portMod, advertise: 0 })).toEqual([{ ...portMod, properties: [] }]);
    expect(told({ ...portMod, properties: [] })).toEqual([{ ...portMod, advertise: 0 }]);
    const optical = {
      type: 'optical',
      configure: 0,
      freq_lmda: 0,
      fl_offset: 0,
      grid_span: 0,
      tx_pwr: 0,
    } as const;
    expect(refusal({ ...portMod, properties: [optical] }).message).toContain('BAD_PROPERTY/BAD_TYPE');
  });

  test('queue_desc is queue_get_config, for one queue or all', () => {
    const { device, controller } = ends(5);
    const queue = (queue_id: number) => ({
      queue_id,
      port: 2,
      properties: [{ type: 'min_rate', rate: 100 }],
    });
    const config = { type: 'queue_get_config_reply', xid: 7, port: 2, queues: [queue(1), queue(2)] };
    const body = { type: 'queue_desc' as const, port_no: 2, queue_id: 2 };
    expect(told({ type: 'multipart_request', xid: 7, body }, device)).toEqual([
      { type: 'queue_get_config_request', xid: 7, port: 2 },
    ]);
    expect(said(config, device)).toMatchObject([
      { xid: 7, body: { type: 'queue_desc', queues: [{ port_no: 2, queue_id: 2 }] } },
    ]);
    expect(
      requested({ device, controller }, { type: 'queue_get_config_request', xid: 7, port: 2 }),
    ).toHaveLength(1);
    expect(answered({ device, controller }, config)).toEqual([config]);
  });

  test('parts of a queue_desc are one queue_get_config_reply, and there is an end to it', () => {
    const { controller } = ends(5);
    asks({ type: 'queue_get_config_request', xid: 7, port: 2 }, controller);
    const part = (flags: number, ids: number[]) =>
      heard(
        {
          type: 'multipart_reply',
          xid: 7,
          flags,
          body: { type: 'queue_desc', queues: ids.map((queue_id) => ({ port_no: 2, queue_id })) },
        },
        controller,
      );
    expect(part(1, [1])).toEqual([]);
    expect(part(0, [2])).toMatchObject([
      { type: 'queue_get_config_reply', port: 2, queues: [{ queue_id: 1 }, { queue_id: 2 }] },
    ]);
    const many = Array.from({ length: 3000 }, (_, i) => i);
    expect(part(1, many)).toEqual([]);
    expect(() => part(1, many)).toThrow('MULTIPART_BUFFER_OVERFLOW');
  });
});

describe('asynchronous messages', () => {
  const masks = (one: Message) => one as Extract<Message, { type: 'set_async' }>;

  test('a packet-in by any kind of action is by an action', () => {
    const reasons = [0, 1, 2, 3, 4, 5].map((reason) => heard({ type: 'packet_in', total_len: 0, reason })[0]);
    expect(reasons.map((one) => (one as { reason: number }).reason)).toEqual([0, 1, 2, 1, 1, 1]);
  });

  test('set_async changes what it names; get_async_reply says what was set', () => {
    const { device } = ends(5);
    const set = told(
      {
        type: 'set_async',
        xid: 3,
        properties: [
          { type: 'packet_in_master', mask: 0b1001 },
          { type: 'flow_removed_slave', mask: 0b100000 },
          { type: 'table_status_master', mask: 0b1000 },
        ],
      },
      device,
    );
    expect(set).toEqual([
      {
        type: 'set_async',
        xid: 3,
        packet_in_mask: [0b11, 0],
        port_status_mask: [7, 7],
        flow_removed_mask: [0x3f, 0x20],
      },
    ]);
    const [reply] = said({ ...masks(set[0]), type: 'get_async_reply', xid: 4 }, device);
    expect(reply).toMatchObject({ type: 'get_async_reply', xid: 4 });
    const properties = (reply as v14.MessageOf<'get_async_reply'>).properties;
    expect(Object.fromEntries(properties.map((one) => [one.type, (one as { mask: number }).mask]))).toEqual({
      packet_in_slave: 0,
      packet_in_master: 0b1001,
      port_status_slave: 7,
      port_status_master: 7,
      flow_removed_slave: 0x20,
      flow_removed_master: 0x3f,
      role_status_slave: 7,
      role_status_master: 7,
      table_status_slave: 0,
      table_status_master: 0b1000,
      requestforward_slave: 0,
      requestforward_master: 0,
    });
    // Of table_status now only reason 3, and none while the controller is a slave.
    const status = (reason: number) => said({ type: 'table_status', table_id: 1, reason }, device).length;
    expect([status(3), status(4)]).toEqual([1, 0]);
    said({ type: 'role_reply', role: 3 }, device);
    expect(status(3)).toBe(0);
  });

  test.each([
    ['unknown reasons', [{ type: 'packet_in_master', mask: 0x40 }], 'ASYNC_CONFIG_FAILED/INVALID'],
    [
      'what is never sent',
      [
        { type: 'port_status_master', mask: 0 },
        { type: 'requestforward_slave', mask: 1 },
      ],
      'ASYNC_CONFIG_FAILED/UNSUPPORTED',
    ],
  ] as const)('set_async with %s changes nothing', (_, properties, error) => {
    const { device } = ends(5);
    expect(() => told({ type: 'set_async', properties }, device)).toThrow(error);
    expect(told({ type: 'set_async', properties: [] }, device)).toMatchObject([
      { packet_in_mask: [7, 0], port_status_mask: [7, 7] },
    ]);
  });

  test('a controller of 1.3 that wants actions wants all kinds of them', () => {
    const set = {
      type: 'set_async',
      packet_in_mask: [2, 0],
      port_status_mask: [1, 2],
      flow_removed_mask: [4, 0],
    };
    expect(asks(set)).toMatchObject([
      {
        properties: [
          { mask: 0 },
          { type: 'packet_in_master', mask: 0b111010 },
          { mask: 2 },
          { mask: 1 },
          { mask: 0 },
          { mask: 4 },
        ],
      },
    ]);
  });

  test('role_status is the ONF extension of 1.3', () => {
    const status = {
      type: 'role_status',
      xid: 0,
      role: 3,
      reason: 0,
      generation_id: 9n,
      properties: [],
    } as const;
    const [message] = heard(status);
    expect(message).toMatchObject({ type: 'experimenter', experimenter: ONF, exp_type: 1911 });
    expect((message as { data: Uint8Array }).data).toEqual(
      new Uint8Array([0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]),
    );
    const { device } = ends(5);
    expect(said(message, device)).toEqual([status]);
    told({ type: 'set_async', properties: [{ type: 'role_status_slave', mask: 0 }] }, device);
    expect(said(message, device)).toEqual([]);
  });

  test('requests that another controller made are nothing to 1.3', () => {
    expect(heard({ type: 'requestforward', request: v14.encode({ type: 'barrier_request' }) })).toEqual([]);
  });
});

describe('bundles', () => {
  const control = {
    type: 'bundle_control',
    xid: 2,
    bundle_id: 5,
    ctrl_type: 0,
    flags: 3,
    properties: [],
  } as const;

  test('bundle_control is the ONF extension of 1.3, both ways', () => {
    const [message] = told(control);
    expect(message).toEqual({
      type: 'experimenter',
      xid: 2,
      experimenter: ONF,
      exp_type: 2300,
      data: new Uint8Array([0, 0, 0, 5, 0, 0, 0, 3]),
    });
    expect(said(message)).toEqual([control]);
  });

  test('a message in a bundle is translated', () => {
    const inside = v14.encode({ type: 'flow_mod', xid: 2, importance: 1, match: { in_port: 3 } });
    const add = {
      type: 'bundle_add_message',
      xid: 2,
      bundle_id: 5,
      flags: 3,
      message: inside,
      properties: [],
    } as const;
    const [message] = told(add) as { data: Uint8Array }[];
    expect(message).toMatchObject({ type: 'experimenter', xid: 2, experimenter: ONF, exp_type: 2301 });
    expect(decode(message.data.subarray(8))).toMatchObject({
      type: 'flow_mod',
      xid: 2,
      match: { in_port: 3 },
      instructions: [{ type: 'experimenter' }],
    });
    expect(asks(message)).toEqual([add]);
  });

  test.each([
    ['a bundle', v14.encode(control), 'EXPERIMENTER/2310'],
    [
      'a question',
      v14.encode({ type: 'multipart_request', body: { type: 'table_desc' } }),
      'EXPERIMENTER/2310',
    ],
    ['a message of 1.3', encode({ type: 'flow_mod' }), 'BAD_REQUEST/BAD_VERSION'],
  ])('%s in a bundle is refused', (_, message, error) => {
    expect(refusal({ type: 'bundle_add_message', bundle_id: 1, message }).message).toContain(error);
  });

  test("1.3's own form of bundles is not one of 1.4", () => {
    const message = {
      type: 'experimenter',
      experimenter: ONF,
      exp_type: 2300,
      data: new Uint8Array(8),
    } as const;
    expect(refusal(message).code).toBe('FC_OF_BAD_REQUEST_BAD_EXP_TYPE');
    expect(told({ ...message, exp_type: 1 })).toMatchObject([{ type: 'experimenter', exp_type: 1 }]);
  });

  test('errors of bundles are those of the ONF', () => {
    const data = new Uint8Array([5, 33, 0, 16]);
    const error = { type: 'error', xid: 1, error_type: 17, code: 4, data } as const;
    const [message] = heard(error);
    expect(message).toEqual({
      type: 'error',
      xid: 1,
      error_type: 0xffff,
      code: 2304,
      data: new Uint8Array([0x4f, 0x4e, 0x46, 0, ...data]),
    });
    expect(said(message)).toEqual([error]);
    // 1.3 has errors of its own for properties of tables.
    const table = { type: 'error', xid: 1, error_type: 13, code: 4, data };
    expect(said(table)).toEqual([{ ...table, error_type: 14, code: 2 }]);
    // Another experimenter's error stays what it is.
    const other = { ...message, data: new Uint8Array([1, 2, 3, 4]) };
    expect(said(other)).toEqual([other]);
  });
});

describe('what 1.4 cannot be told, or 1.3', () => {
  test('flow_monitor', () => {
    const body = { type: 'flow_monitor', monitors: [] } as const;
    expect(refusal({ type: 'multipart_request', body }).code).toBe('FC_OF_BAD_REQUEST_BAD_MULTIPART');
  });

  test('a transaction', () => {
    expect(() => said({ type: 'transaction', phase: 0 })).toThrow('BAD_REQUEST/BAD_EXP_TYPE');
  });

  test('a flag of flow_mod that is for the inside of a device', () => {
    expect(refusal({ type: 'flow_mod', flags: FLOW_MOD_UPSERT }).code).toBe(
      'FC_OF_FLOW_MOD_FAILED_BAD_FLAGS',
    );
  });
});

test('a reply that is too long in 1.4 comes in parts', () => {
  const ports = Array.from({ length: 1000 }, (_, i) => ({ port_no: i + 1, name: `p${i}` }));
  const parts = said({ type: 'multipart_reply', xid: 6, flags: 0, body: { type: 'port_desc', ports } });
  expect(parts.map((part) => (part as { flags: number }).flags)).toEqual([1, 0]);
  const all = parts.flatMap((part) => (part as { body: { ports: { port_no: number }[] } }).body.ports);
  expect(all.map(({ port_no }) => port_no)).toEqual(ports.map(({ port_no }) => port_no));
});

test('at most so many answers are awaited: of the oldest what was asked is forgotten', () => {
  const { device } = ends(5);
  for (let xid = 0; xid <= 256; xid++) {
    told({ type: 'multipart_request', xid, body: { type: 'table_desc' } }, device);
  }
  expect(said({ type: 'barrier_reply', xid: 0 }, device)[0].type).toBe('barrier_reply');
  expect(said({ type: 'barrier_reply', xid: 1 }, device)[0].type).toBe('multipart_reply');
});
