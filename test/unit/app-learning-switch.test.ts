import { afterEach, describe, expect, test } from 'vitest';
import { addressesOf, forward } from '../../apps/forwarding.ts';
import { type LearningSwitchOptions, learningSwitch } from '../../apps/learning-switch.ts';
import { isGroup, isReserved, MacTable } from '../../apps/mac-table.ts';
import type { ControllerOptions } from '../../controller/index.ts';
import { CellState, DispatchCommand, type Match, type MessageOf, Port } from '../../openflow/index.ts';
import { arp, ethernet, vlan } from '../../packet/index.ts';
import { Bench, type FakeDevice, portDesc } from '../support/controller.ts';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const C = '02:00:00:00:00:0c';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';

describe('decisions', () => {
  const table = () => {
    const macs = new MacTable();
    macs.learn(0, A, 1, 0);
    macs.learn(0, B, 2, 0);
    macs.learn(0x100a, B, 3, 0);
    return macs;
  };

  test.each([
    ['known to known', 1, A, B, 0, { to: 'port', port: 2, learned: 'known' }],
    ['new to known', 3, C, A, 0, { to: 'port', port: 1, learned: 'new' }],
    ['to the port it came from', 2, C, B, 0, { to: 'same-port', learned: 'new' }],
    ['to an unknown station', 1, A, C, 0, { to: 'flood', unknown: true, learned: 'known' }],
    ['broadcast', 1, A, BROADCAST, 0, { to: 'flood', unknown: false, learned: 'known' }],
    ['IPv6 multicast', 1, A, '33:33:00:00:00:01', 0, { to: 'flood', unknown: false, learned: 'known' }],
    ['another VLAN is another network', 1, A, B, 0x100a, { to: 'port', port: 3, learned: 'new' }],
    ['from a station that moved', 4, A, B, 0, { to: 'port', port: 2, learned: 'moved' }],
    ['LLDP', 1, A, '01:80:c2:00:00:0e', 0, { to: 'nowhere' }],
    ['spanning tree', 1, A, '01:80:c2:00:00:00', 0, { to: 'nowhere' }],
    ['from a group address', 1, BROADCAST, B, 0, { to: 'nowhere' }],
    ['from no address', 1, '00:00:00:00:00:00', B, 0, { to: 'port', port: 2, learned: 'ignored' }],
  ])('%s', (_title, inPort, src, dst, vid, expected) => {
    expect(forward(table(), inPort, { src, dst, vlan: vid }, 10)).toMatchObject(expected);
  });

  test('reserved and group addresses', () => {
    expect(isReserved('01:80:c2:00:00:0f')).toBe(true);
    expect(isReserved('01:80:c2:00:00:10')).toBe(false);
    expect([isGroup(BROADCAST), isGroup('01:00:5e:00:00:01'), isGroup(A)]).toEqual([true, true, false]);
    const digits = [...'0123456789abcdefABCDEF'];
    const groups = digits.filter((digit) => isGroup(`0${digit}:00:00:00:00:00`));
    expect(groups).toEqual([...'13579bdfBDF']);
  });

  test('addresses of frames, tagged, untagged and cut short', () => {
    const frame = ethernet({ src: A, dst: B, type: 0x800, payload: new Uint8Array(20) });
    expect(addressesOf(frame)).toEqual({ src: A, dst: B, vlan: 0 });
    expect(addressesOf(vlan(frame, { vid: 10 }))).toEqual({ src: A, dst: B, vlan: 0x100a });
    expect(addressesOf(frame.subarray(0, 13))).toBeUndefined();
  });
});

describe('the MAC table', () => {
  test('forgets who was not heard', () => {
    const macs = new MacTable({ ageMs: 100 });
    macs.learn(0, A, 1, 0);
    expect(macs.lookup(0, A, 100)).toBe(1);
    expect(macs.lookup(0, A, 101)).toBeUndefined();
    expect(macs.learn(0, A, 2, 102)).toBe('new');
  });

  test('is bounded, and makes room from what is too old', () => {
    const macs = new MacTable({ capacity: 2, ageMs: 100 });
    macs.learn(0, A, 1, 0);
    macs.learn(0, B, 1, 50);
    expect(macs.learn(0, C, 1, 60)).toBe('ignored');
    expect(macs.counters.full).toBe(1);
    expect(macs.learn(0, C, 1, 101)).toBe('new');
    expect(macs.size).toBe(2);
  });

  test('makes room as soon as the oldest is too old, though it is not searched every time', () => {
    const macs = new MacTable({ capacity: 2, ageMs: 100 });
    macs.learn(0, A, 1, 0);
    macs.learn(0x100a, B, 1, 50);
    expect(macs.learn(0, C, 1, 60)).toBe('ignored');
    expect(macs.learn(0, A, 1, 90)).toBe('known');
    expect([101, 150].map((now) => macs.learn(0, C, 1, now))).toEqual(['ignored', 'ignored']);
    expect(macs.learn(0, C, 1, 151)).toBe('new');
    expect([...macs.entries()]).toEqual([
      { vlan: 0, mac: A, port: 1 },
      { vlan: 0, mac: C, port: 1 },
    ]);
    expect(macs.counters.full).toBe(3);
  });

  test('a station that keeps changing ports is held where it is for a while', () => {
    const macs = new MacTable({ movesPerSecond: 3, holdMs: 1000 });
    macs.learn(0, A, 1, 0);
    const outcomes = [2, 1, 2, 1, 2].map((port, i) => macs.learn(0, A, port, 10 + i));
    expect(outcomes).toEqual(['moved', 'moved', 'moved', 'flapping', 'known']);
    expect(macs.learn(0, A, 1, 900)).toBe('flapping');
    expect(macs.learn(0, A, 1, 2000)).toBe('moved');
  });

  test('forgets a port', () => {
    const macs = new MacTable();
    macs.learn(0, A, 1, 0);
    macs.learn(5, B, 1, 0);
    macs.learn(0, C, 2, 0);
    expect(macs.forgetPort(1)).toEqual([`0/${A}`, `5/${B}`]);
    expect([...macs.entries()]).toEqual([{ vlan: 0, mac: C, port: 2 }]);
  });
});

const benches: Bench[] = [];

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
});

async function start(
  options: LearningSwitchOptions = {},
  more: Partial<ControllerOptions> = {},
): Promise<Bench> {
  const bench = await Bench.start({ apps: [learningSwitch(options)], ...more });
  benches.push(bench);
  return bench;
}

const frame = (inPort: number, src: string, dst: string, more: Match = {}): Match => ({
  in_port: inPort,
  eth_dst: dst,
  eth_src: src,
  eth_type: 0x806,
  vlan_vid: 0,
  ...more,
});

const entry = ({ priority, match, instructions }: MessageOf<'flow_mod'>) => {
  const [apply] = instructions;
  const outputs =
    apply?.type === 'apply_actions'
      ? apply.actions.map((action) => action.type === 'output' && action.port)
      : [];
  return [priority, match.in_port, ...outputs];
};

let cells = 0;

/** Asks, reports the cell ready; returns the rule and what went into the cell. */
async function flow(device: FakeDevice, match: Match, queryId = 1) {
  device.query(queryId, match);
  const rule = await device.next('dispatch_rule');
  if (rule.command !== DispatchCommand.ADD) return { rule, cell: 0, entries: [] };
  const cell = ++cells;
  device.status(rule, CellState.READY, { cell });
  await device.settled();
  const entries = device.all('flow_mod').filter(({ match }) => match.cell === cell);
  return { rule, cell, entries: entries.map(entry) };
}

const deleted = (device: FakeDevice): Match[] =>
  device
    .all('dispatch_rule')
    .filter(({ command }) => command === DispatchCommand.DELETE_STRICT)
    .map(({ match }) => match);

describe('flow mode', () => {
  test('broadcast: one direction, flooded', async () => {
    const device = await (await start()).device();
    const { rule, entries } = await flow(device, frame(1, A, BROADCAST));
    expect(rule.flags & 1).toBe(0);
    expect(entries).toEqual([[10, 1, Port.FLOOD]]);
  });

  test('unicast between known stations: both directions in one cell, moves reported', async () => {
    const device = await (await start({ idle_timeout: 7, memoryMiB: 24 })).device();
    await flow(device, frame(1, A, BROADCAST));
    const { rule, entries } = await flow(device, frame(2, B, A));
    expect(rule).toMatchObject({ flags: 7, idle_timeout: 7, match: frame(2, B, A) });
    expect(rule.cells[0].memory_mib).toBe(24);
    expect(entries).toEqual([
      [10, 2, 1],
      [10, 1, 2],
      [0, undefined, Port.CONTROLLER],
    ]);
  });

  test('an unknown destination is flooded one way; learned later, the flood is replaced', async () => {
    const device = await (await start()).device();
    const first = await flow(device, frame(1, A, B));
    expect(first.rule.flags & 1).toBe(0);
    expect(first.entries).toEqual([[10, 1, Port.FLOOD]]);
    device.query(2, frame(2, B, A));
    expect(await device.next('dispatch_rule')).toMatchObject({
      command: DispatchCommand.DELETE_STRICT,
      match: frame(1, A, B),
      priority: first.rule.priority,
    });
    expect(await device.next('dispatch_rule')).toMatchObject({ command: DispatchCommand.ADD, flags: 7 });
  });

  test('a flood still being set up is replaced as well', async () => {
    const device = await (await start()).device();
    device.query(1, frame(1, A, B));
    device.query(2, frame(2, B, A));
    await device.settled();
    expect(device.all('dispatch_rule').map(({ command }) => command)).toEqual([
      DispatchCommand.ADD,
      DispatchCommand.DELETE_STRICT,
      DispatchCommand.ADD,
    ]);
  });

  test('a station that moved takes its rules with it, others stay', async () => {
    const device = await (await start()).device();
    await flow(device, frame(1, A, BROADCAST));
    await flow(device, frame(2, B, BROADCAST));
    await flow(device, frame(3, C, A));
    await flow(device, frame(2, B, A));
    const { rule, entries } = await flow(device, frame(4, A, B));
    expect(rule.command).toBe(DispatchCommand.DELETE_STRICT);
    expect(entries).toEqual([]);
    await device.settled();
    expect(deleted(device)).toEqual([frame(1, A, BROADCAST), frame(3, C, A), frame(2, B, A)]);
    expect(device.all('dispatch_rule').at(-1)).toMatchObject({ command: DispatchCommand.ADD });
  });

  test('an answer by an unexpected port (packet_in of the cell) is a move', async () => {
    const device = await (await start()).device();
    await flow(device, frame(1, A, BROADCAST));
    const { cell } = await flow(device, frame(2, B, A));
    const data = ethernet({ src: A, dst: B, type: 0x800, payload: new Uint8Array(46) });
    device.send({ type: 'packet_in', reason: 0, total_len: data.length, match: { in_port: 3, cell }, data });
    await device.settled();
    expect(deleted(device)).toEqual([frame(1, A, BROADCAST), frame(2, B, A)]);
  });

  test('never back to where it came from: such a flow is dropped in its cell', async () => {
    const device = await (await start()).device();
    await flow(device, frame(1, A, BROADCAST));
    const { rule, entries } = await flow(device, frame(1, B, A));
    expect(rule.flags & 1).toBe(0);
    expect(entries).toEqual([[10, 1]]);
  });

  test.each([
    ['LLDP', frame(1, A, '01:80:c2:00:00:0e')],
    ['a group source', frame(1, BROADCAST, A)],
  ])('%s is refused', async (_title, match) => {
    const device = await (await start()).device();
    expect((await flow(device, match)).rule.command).toBe(DispatchCommand.REFUSE);
  });

  test('a loop: a station heard at two ports in turn ends in refusals, not in a storm of rules', async () => {
    const device = await (await start({ macs: { movesPerSecond: 3 }, now: () => 1000 })).device();
    for (let i = 0; i < 40; i++) device.query(i + 1, frame(1 + (i % 2), A, BROADCAST));
    await device.settled();
    const added = device.all('dispatch_rule').filter(({ command }) => command === DispatchCommand.ADD);
    expect(added.length).toBeLessThan(8);
    expect(device.all('dispatch_rule').at(-1)?.command).toBe(DispatchCommand.REFUSE);
  });

  test('a port that goes down takes its stations and their rules', async () => {
    const device = await (await start()).device();
    await flow(device, frame(1, A, BROADCAST));
    await flow(device, frame(2, B, A));
    device.send({ type: 'port_status', reason: 2, desc: portDesc(1, 1) });
    await device.settled();
    expect(deleted(device)).toEqual([frame(1, A, BROADCAST), frame(2, B, A)]);
    expect((await flow(device, frame(2, B, A, { vlan_vid: 0x1005 }))).entries).toEqual([[10, 2, Port.FLOOD]]);
  });

  test('rules that ended by themselves are not deleted again', async () => {
    const device = await (await start()).device();
    const { rule, cell } = await flow(device, frame(1, A, BROADCAST));
    device.status(rule, CellState.REMOVED, { cell, reason: 1 });
    await flow(device, frame(4, A, BROADCAST));
    expect(deleted(device)).toEqual([]);
  });

  test('fragments (fewer fields) lose to connections', async () => {
    const device = await (await start()).device();
    const ip: Match = { eth_type: 0x800, ip_proto: 17, ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2' };
    const fragment = await flow(device, frame(1, A, BROADCAST, ip));
    const whole = await flow(device, frame(1, A, BROADCAST, { ...ip, udp_src: 1, udp_dst: 2 }));
    expect(whole.rule.priority).toBeGreaterThan(fragment.rule.priority);
  });

  test.each([
    ['five-tuple', 15],
    ['ip-pair', 8],
    ['host-pair', 3],
    ['port', 1],
  ] as const)('granularity %s asks for its fields', async (granularity, count) => {
    const device = await (await start({ granularity })).device();
    const { fields } = await device.next('dispatch_config');
    expect([...fields.toString(2)].filter((bit) => bit === '1').length).toBe(count);
  });

  test('fields that only another app asked for are not part of the flow', async () => {
    const bench = await Bench.start({
      apps: [{ name: 'curious', flowFields: ['arp_op'] }, learningSwitch({ granularity: 'host-pair' })],
    });
    benches.push(bench);
    const device = await bench.device();
    const { rule } = await flow(device, frame(1, A, BROADCAST, { arp_op: 1 }));
    expect(rule.match).toEqual({ in_port: 1, eth_src: A, eth_dst: BROADCAST, vlan_vid: 0 });
  });

  test('after a restart living cells teach where stations are; what is wrong by then goes', async () => {
    const before = await start();
    const device = await before.device();
    await flow(device, frame(1, A, BROADCAST));
    const { rule } = await flow(device, frame(2, B, A));
    await before.controller.stop();

    const output = (port: number) => [
      { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port }] },
    ];
    const after = await start();
    const again = await after.device({
      cells: [
        {
          type: 'cell_status',
          state: CellState.READY,
          cookie: rule.cookie,
          priority: rule.priority,
          match: rule.match,
          cell: 9,
        },
      ],
      entries: new Map([
        [
          9,
          [
            { type: 'flow_mod', match: { in_port: 2, cell: 9 }, instructions: output(1) },
            { type: 'flow_mod', match: { in_port: 1, cell: 9 }, instructions: output(2) },
          ],
        ],
      ]),
    });
    await again.settled();
    await again.settled();
    expect(deleted(again)).toEqual([]);
    const { entries } = await flow(again, frame(3, C, A));
    expect(entries).toContainEqual([10, 3, 1]);
    again.query(5, frame(4, B, C));
    await again.settled();
    expect(deleted(again)).toEqual([frame(2, B, A)]);
  });
});

describe('one cell per port', () => {
  const data = (src: string, dst: string) => ethernet({ src, dst, type: 0x806, payload: arp({ sha: src }) });

  test('a cell knows its stations and everybody else; new ones are added to all cells', async () => {
    const device = await (await start({ granularity: 'port' })).device();
    device.query(1, { in_port: 1 }, { data: data(A, BROADCAST) });
    const rule = await device.next('dispatch_rule');
    expect(rule.match).toEqual({ in_port: 1 });
    device.status(rule, CellState.READY, { cell: 100 });
    await device.settled();
    const inCell = (cell: number) => device.all('flow_mod').filter(({ match }) => match.cell === cell);
    expect(inCell(100).some(({ table_id, match }) => table_id === 0 && match.eth_src === A)).toBe(true);

    device.query(2, { in_port: 2 }, { data: data(B, A) });
    await device.settled();
    const toB = inCell(100).find(({ table_id, match }) => table_id === 1 && match.eth_dst === B);
    expect(toB?.instructions).toMatchObject([{ actions: [{ type: 'output', port: 2 }] }]);
  });

  test('a move: forgotten as a source at the old port, its entries replaced', async () => {
    const device = await (await start({ granularity: 'port' })).device();
    for (const [port, mac] of [
      [1, A],
      [2, B],
    ] as const) {
      device.query(port, { in_port: port }, { data: data(mac, BROADCAST) });
      device.status(await device.next('dispatch_rule'), CellState.READY, { cell: 100 + port });
    }
    await device.settled();
    const before = device.all('flow_mod').length;
    device.send({
      type: 'packet_in',
      reason: 1,
      total_len: 60,
      match: { in_port: 2, cell: 102 },
      data: data(A, B),
    });
    await device.settled();
    const news = device.all('flow_mod').slice(before);
    expect(news.find(({ command }) => command === 4)?.match).toMatchObject({ eth_src: A, cell: 101 });
    const toA = news.find(
      ({ table_id, match }) => table_id === 1 && match.cell === 101 && match.eth_dst === A,
    );
    expect(toA?.instructions).toMatchObject([{ actions: [{ port: 2 }] }]);
  });
});

describe('ordinary switches', () => {
  const packetIn = (device: FakeDevice, inPort: number, src: string, dst: string) => {
    const bytes = ethernet({ src, dst, type: 0x800, payload: new Uint8Array(46) });
    device.send({
      type: 'packet_in',
      reason: 0,
      total_len: bytes.length,
      match: { in_port: inPort },
      data: bytes,
    });
  };
  const outs = (device: FakeDevice) =>
    device
      .all('packet_out')
      .map(({ in_port, actions }) => [
        in_port,
        ...actions.map((action) => action.type === 'output' && action.port),
      ]);

  test('table miss to the controller; flood what is unknown, entries both ways for what is known', async () => {
    const device = await (await start()).device({ mode: 'plain' });
    await device.settled();
    expect(device.all('flow_mod').map(entry)).toEqual([
      [1000, undefined],
      [0, undefined, Port.CONTROLLER],
    ]);
    packetIn(device, 1, A, B);
    packetIn(device, 2, B, A);
    await device.settled();
    expect(outs(device)).toEqual([
      [1, Port.FLOOD],
      [2, 1],
    ]);
    const added = device.all('flow_mod').slice(2);
    expect(added.map(entry)).toEqual([
      [100, 1, 2],
      [100, 2, 1],
    ]);
    expect(added[0]).toMatchObject({ idle_timeout: 30, match: { eth_src: A, eth_dst: B, vlan_vid: 0 } });
  });

  test('a moved station loses its entries; LLDP and same-port traffic go nowhere', async () => {
    const device = await (await start()).device({ mode: 'plain' });
    packetIn(device, 1, A, BROADCAST);
    packetIn(device, 4, A, BROADCAST);
    await device.settled();
    const deletes = device.all('flow_mod').filter(({ command }) => command === 3);
    expect(deletes.map(({ match }) => [match.eth_src, match.eth_dst])).toEqual([
      [A, undefined],
      [undefined, A],
    ]);
    const before = outs(device).length;
    packetIn(device, 4, B, A);
    packetIn(device, 1, C, '01:80:c2:00:00:0e');
    await device.settled();
    expect(outs(device).length).toBe(before);
    expect(device.all('flow_mod').at(-1)?.instructions).toEqual([]);
  });

  test('a packet the switch buffered is released by its buffer', async () => {
    const device = await (await start()).device({ mode: 'plain' });
    const data = ethernet({ src: A, dst: B, type: 0x800, payload: new Uint8Array(46) });
    device.send({
      type: 'packet_in',
      reason: 0,
      total_len: 1500,
      buffer_id: 77,
      match: { in_port: 1 },
      data,
    });
    const out = await device.next('packet_out');
    expect([out.buffer_id, out.data.length]).toEqual([77, 0]);
  });

  test('entries that an earlier controller left say where stations are', async () => {
    const device = await (await start()).device({
      mode: 'plain',
      entries: new Map([[0, [{ type: 'flow_mod', match: frame(1, A, B) }]]]),
    });
    // Once for the request to arrive, once for the answer to be read.
    await device.settled();
    await device.settled();
    packetIn(device, 2, C, A);
    expect(await device.next('packet_out')).toMatchObject({ actions: [{ port: 1 }] });
  });
});
