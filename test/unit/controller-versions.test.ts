/** Devices that speak other versions than 1.3, and what apps ask of them. */

import { afterEach, describe, expect, test } from 'vitest';
import { learningSwitch } from '../../apps/learning-switch.ts';
import {
  BundleFlag,
  type ControllerOptions,
  type Datapath,
  DeviceError,
  type FlowcellError,
  type RoleStatus,
} from '../../controller/index.ts';
import {
  ControllerRole,
  decode,
  ErrorType,
  FlowModCommand,
  FlowModFailedCode,
  GroupType,
  type MessageOf,
  MeterFlag,
  Port,
} from '../../openflow/index.ts';
import { agree, FLOWCELL_VERSION, helloVersions } from '../../openflow/translate/negotiate.ts';
import type { WireVersion } from '../../openflow/versions.ts';
import { Bench, type DeviceOptions, type FakeDevice } from '../support/controller.ts';

const benches: Bench[] = [];

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
});

interface Pair {
  bench: Bench;
  device: FakeDevice;
  datapath: Datapath;
}

async function pair(device: DeviceOptions, options: Partial<ControllerOptions> = {}): Promise<Pair> {
  const bench = await Bench.start(options);
  benches.push(bench);
  const fake = await bench.device(device);
  return { bench, device: fake, datapath: [...bench.controller.datapaths.values()][0] };
}

test.each<[readonly WireVersion[], number, readonly number[] | undefined, number | undefined]>([
  [[1, 4, 5, 6], 6, [1, 4, 5, 6], 6],
  [[1, 4, 5, 6], 4, [1, 4], 4],
  [[1, 4, 5, 6], 6, [2, 3], undefined],
  [[1, 4, 5, 6], 6, [], undefined],
  [[1, 4], 6, [1, 4, 5, 6], 4],
  [[1, 4], 1, undefined, 1],
  [[1, 4, 5], 6, undefined, 5],
  [[1, 4, 6], 5, undefined, undefined],
  [[4], 1, undefined, undefined],
  [[6], 0, undefined, undefined],
  // Two of ours go by 1.3, unless one must not.
  [[1, 4, 5, 6], 6, [1, 4, 5, 6, FLOWCELL_VERSION], 4],
  [[5, 6], 6, [1, 4, 5, 6, FLOWCELL_VERSION], 6],
])('we speak %j, a HELLO has %i and %j: agreed on %s', (spoken, header, bitmap, version) => {
  expect(agree(spoken, header, bitmap)).toBe(version);
});

test('the version of our own is offered where it makes a difference', () => {
  expect(helloVersions([1, 4])).toEqual([1, 4]);
  expect(helloVersions([5])).toEqual([5]);
  expect(helloVersions([4, 5])).toEqual([4, 5, FLOWCELL_VERSION]);
});

describe.each<[string, WireVersion]>([
  ['1.0', 1],
  ['1.4', 5],
  ['1.5', 6],
])('a device of OpenFlow %s', (openflow, version) => {
  test('is an ordinary switch, with its ports, of which events tell the version', async () => {
    const { bench, datapath } = await pair({ version, ports: [1, 9] });
    expect([datapath.version, datapath.openflow, datapath.flowMode]).toEqual([version, openflow, false]);
    expect([...datapath.ports.keys()]).toEqual([1, 9]);
    const line = bench.log.lines.find(({ sentence }) => sentence.includes('ordinary OpenFlow switch'));
    expect(line?.fields).toMatchObject({ openflow });
  });

  test('packets, entries, statistics and errors look as in 1.3', async () => {
    const packets: MessageOf<'packet_in'>[] = [];
    const errors: FlowcellError[] = [];
    const { device, datapath } = await pair(
      { version, entries: new Map([[0, [{ type: 'flow_mod', priority: 5, match: { in_port: 3 } }]]]) },
      {
        apps: [
          {
            name: 'a',
            onPacketIn: (_, packet) => void packets.push(packet),
            onError: (_, error) => void errors.push(error),
          },
        ],
      },
    );
    const data = new Uint8Array(60).fill(7);
    device.send({ type: 'packet_in', reason: 1, total_len: 60, match: { in_port: 3 }, data });
    const sent = datapath.addFlow({ match: { in_port: 3 }, actions: [{ type: 'output', port: Port.FLOOD }] });
    const entry = await device.next('flow_mod');
    expect(entry).toMatchObject({ xid: sent, match: { in_port: 3 } });
    expect(entry.instructions).toMatchObject([
      { type: 'apply_actions', actions: [{ type: 'output', port: Port.FLOOD }] },
    ]);
    const { FLOW_MOD_FAILED: error_type } = ErrorType;
    const { OVERLAP: code } = FlowModFailedCode;
    device.send({ type: 'error', xid: sent, error_type, code, data: new Uint8Array(64) });
    expect(await datapath.flows()).toMatchObject([{ priority: 5, match: { in_port: 3 } }]);
    await device.settled();
    expect(packets).toMatchObject([{ total_len: 60, match: { in_port: 3 } }]);
    expect([...packets[0].data]).toEqual([...data]);
    expect(errors).toMatchObject([{ xid: sent, errorName: 'FLOW_MOD_FAILED/OVERLAP' }]);
  });

  test('mutated bytes do not end the controller', async () => {
    const { bench, device } = await pair({ version });
    let state = 99 + version;
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 16;
    };
    for (let i = 0; i < 500; i++) {
      const bytes = new Uint8Array(8 + (random() % 120)).map(() => random());
      bytes.set([version, random() % 36, 0, bytes.length]);
      device.sendBytes(bytes);
    }
    await device.settled();
    expect(bench.log.codes()).not.toContain('FC_INTERNAL');
    expect(bench.controller.datapaths.size).toBe(1);
  });
});

test('what 1.0 cannot say: requests reject, what is only sent comes to onError, is logged and counted', async () => {
  const errors: FlowcellError[] = [];
  const { bench, device, datapath } = await pair(
    { version: 1 },
    { apps: [{ name: 'a', onError: (_, error) => void errors.push(error) }] },
  );
  const { counters } = bench.controller;
  await expect(datapath.meterStats()).rejects.toMatchObject({ code: 'FC_NOT_IN_VERSION' });
  await expect(datapath.addGroup({ group_id: 1, buckets: [] })).rejects.toMatchObject({
    code: 'FC_NOT_IN_VERSION',
    message: expect.stringContaining('group_mod cannot be sent to a datapath that speaks OpenFlow 1.0'),
  });
  expect([counters.messages_not_in_version, errors]).toEqual([2, []]);

  // What comes after it is sent all the same.
  datapath.addFlow({ match: { eth_type: 0x86dd, ipv6_src: '2001:db8::1' } });
  datapath.addFlow({ match: { in_port: 2 } });
  expect(await device.next('flow_mod')).toMatchObject({ match: { in_port: 2 } });
  expect(counters.messages_not_in_version).toBe(3);
  expect(errors.map(({ code }) => code)).toEqual(['FC_NOT_IN_VERSION']);
  expect(bench.log.codes()).toContain('FC_NOT_IN_VERSION');
});

test('an answer that cannot be understood rejects its request, and is not answered', async () => {
  const { device, datapath } = await pair({});
  const answered = datapath.config();
  const { xid } = await device.next('get_config_request');
  device.sendBytes(new Uint8Array([4, 8, 0, 9, 0, 0, 0, xid, 0]));
  await expect(answered).rejects.toMatchObject({ code: 'FC_MALFORMED_REPLY' });
  await device.settled();
  expect(device.all('error')).toEqual([]);
});

test('a message without a reply is confirmed by a barrier, or rejects with its own error', async () => {
  const { device, datapath } = await pair({ barriers: false });
  const confirm = async (fails: boolean) => {
    const bands = [{ type: 'drop' as const, rate: 1 }];
    const added = datapath.addMeter({ meter_id: 7, flags: MeterFlag.KBPS, bands });
    const { xid } = await device.next('meter_mod');
    const barrier = await device.next('barrier_request');
    if (fails) device.send({ type: 'error', xid, error_type: 12, code: 1, data: new Uint8Array(64) });
    device.send({ type: 'barrier_reply', xid: barrier.xid });
    return await added.then(
      () => 'done',
      (error: DeviceError) => error.errorName,
    );
  };
  expect(await confirm(false)).toBe('done');
  expect(await confirm(true)).toBe('METER_MOD_FAILED/METER_EXISTS');
});

test("a cell's groups: wrapped up, the reply found by the xid inside", async () => {
  const { device, datapath } = await pair({ mode: 'flow' });
  const buckets = [{ actions: [{ type: 'output' as const, port: 1 }] }];
  const added = datapath.addGroup({ group_id: 1, group_type: GroupType.INDIRECT, buckets }, 77);
  const wrapped = await device.next('cell_message');
  const inside = decode(wrapped.message);
  expect([wrapped.cell, inside.type, inside.xid]).toEqual([77, 'group_mod', wrapped.xid]);
  await added;
});

describe('a bundle of the ONF in 1.3', () => {
  const ONF = 0x4f4e4600;
  const controlOf = (message: MessageOf<'experimenter'>) => {
    const view = new DataView(message.data.buffer, message.data.byteOffset);
    return { id: view.getUint32(0), type: view.getUint16(4), flags: view.getUint16(6), xid: message.xid };
  };
  const reply = (device: FakeDevice, to: ReturnType<typeof controlOf>) => {
    const data = new Uint8Array(8);
    const view = new DataView(data.buffer);
    view.setUint32(0, to.id);
    view.setUint16(4, to.type + 1);
    device.send({ type: 'experimenter', xid: to.xid, experimenter: ONF, exp_type: 2300, data });
  };
  /** Fails the message of this index, if there is one. */
  const serve = async (device: FakeDevice, adds: number, failing?: number) => {
    const open = controlOf(await device.next('experimenter'));
    reply(device, open);
    const inner: MessageOf<'flow_mod'>[] = [];
    for (let i = 0; i < adds; i++) {
      const add = await device.next('experimenter');
      const message = decode(add.data.subarray(8)) as MessageOf<'flow_mod'>;
      expect([add.exp_type, message.xid]).toEqual([2301, add.xid]);
      inner.push(message);
      const data = new Uint8Array(68);
      new DataView(data.buffer).setUint32(0, ONF);
      if (i === failing) device.send({ type: 'error', xid: add.xid, error_type: 0xffff, code: 2310, data });
    }
    const close = controlOf(await device.next('experimenter'));
    reply(device, close);
    const last = controlOf(await device.next('experimenter'));
    reply(device, last);
    return { open, close, last, inner };
  };

  test('is opened, filled, closed and committed', async () => {
    const { device, datapath } = await pair({});
    const done = datapath.bundle((bundle) => {
      bundle.addFlow({ match: { in_port: 1 } });
      bundle.deleteFlows({ match: { in_port: 2 } });
    });
    const { open, close, last, inner } = await serve(device, 2);
    await done;
    expect([open.type, close.type, last.type]).toEqual([0, 2, 4]);
    expect(open.flags).toBe(BundleFlag.ATOMIC | BundleFlag.ORDERED);
    expect(inner.map(({ command, match }) => [command, match.in_port])).toEqual([
      [0, 1],
      [3, 2],
    ]);
  });

  test('is discarded when a message is refused, by the name of that error', async () => {
    const { device, datapath } = await pair({});
    const done = datapath.bundle((bundle) => {
      for (const in_port of [1, 2, 3]) bundle.addFlow({ match: { in_port } });
    });
    const outcome = done.catch((error: unknown) => error);
    const { last } = await serve(device, 3, 1);
    expect(last.type).toBe(6);
    const error = (await outcome) as DeviceError;
    expect(error).toBeInstanceOf(DeviceError);
    expect(error.errorName).toBe('BUNDLE_FAILED/MSG_UNSUP');
  });

  test('with a field that cannot be on the wire is discarded', async () => {
    const { device, datapath } = await pair({});
    const done = datapath.bundle((bundle) => bundle.addFlow({ priority: 1e9 }));
    const outcome = done.catch((error: Error) => error.name);
    reply(device, controlOf(await device.next('experimenter')));
    expect(controlOf(await device.next('experimenter')).type).toBe(6);
    expect(await outcome).toBe('EncodeError');
  });
});

test('role status comes to apps; one that is too short is only counted', async () => {
  const told: RoleStatus[] = [];
  const { bench, device, datapath } = await pair(
    { version: 5 },
    { apps: [{ name: 'a', onRoleStatus: (_, status) => void told.push(status) }] },
  );
  const data = new Uint8Array(16);
  data.set([0, 0, 0, ControllerRole.SLAVE]);
  data[15] = 42;
  device.send({ type: 'experimenter', experimenter: 0x4f4e4600, exp_type: 1911, data });
  await device.settled();
  expect(told).toEqual([{ role: ControllerRole.SLAVE, reason: 0, generation_id: 42n }]);
  const role = datapath.setRole(ControllerRole.EQUAL);
  const { xid } = await device.next('role_request');
  device.send({ type: 'role_reply', xid, role: ControllerRole.EQUAL, generation_id: 42n });
  expect(await role).toEqual({ role: ControllerRole.EQUAL, generation_id: 42n });
  expect(bench.controller.counters.unexpected_messages).toBe(0);
});

test('the learning switch in 1.0: a station that moves has its entries, and no others, deleted one by one', async () => {
  const MAC = ['02:00:00:00:00:0a', '02:00:00:00:00:0b'];
  const OURS = 0xfc1e_a210_0000_0001n;
  const entry = (cookie: bigint, eth_src: string) => ({
    type: 'flow_mod' as const,
    cookie,
    priority: 100,
    match: { in_port: 1, eth_src, eth_dst: MAC[1] },
  });
  const entries = new Map([[0, [entry(OURS, MAC[0]), entry(5n, MAC[0])]]]);
  const { device, datapath } = await pair({ version: 1, entries }, { apps: [learningSwitch()] });
  await datapath.barrier();
  // Reserved addresses one by one, and what comes to us.
  expect(device.all('flow_mod').map(({ priority }) => priority)).toEqual([...Array(16).fill(1000), 0]);

  const frame = (from: number) => {
    const data = new Uint8Array(60);
    data.set([2, 0, 0, 0, 0, 0x0c, 2, 0, 0, 0, 0, from, 8, 0]);
    return data;
  };
  device.send({ type: 'packet_in', reason: 0, total_len: 60, match: { in_port: 3 }, data: frame(0x0a) });
  let deleted = await device.next('flow_mod');
  while (deleted.command !== FlowModCommand.DELETE_STRICT) deleted = await device.next('flow_mod');
  expect(deleted).toMatchObject({ priority: 100, match: { in_port: 1, eth_src: MAC[0], eth_dst: MAC[1] } });
  await device.settled();
  expect(device.all('flow_mod').filter(({ command }) => command === FlowModCommand.DELETE)).toEqual([]);
});
