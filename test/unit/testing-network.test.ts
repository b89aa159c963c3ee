/** The test kit: virtual networks, time, traces, and controllers played by the test. */
import { describe, expect, test } from 'vitest';
import { learningSwitch } from '../../apps/learning-switch.ts';
import { type App, type Datapath, defineApp } from '../../controller/index.ts';
import {
  FlowModFlag,
  GroupModCommand,
  GroupType,
  MeterFlag,
  MeterModCommand,
  Port,
} from '../../openflow/index.ts';
import { linear, SwitchError, single, VirtualNetwork, VirtualTime } from '../../testing/index.ts';
import '../../testing/vitest.ts';
import { create, output } from '../support/virtual-networks.ts';

describe.each(['flow', 'plain'] as const)('the learning switch in %s mode', (mode) => {
  const time = new VirtualTime();
  const learning = () => [learningSwitch({ now: time.now })];

  test('all hosts of a row of switches reach each other', async () => {
    const net = await create({ ...linear(4), mode, time, apps: learning() });
    expect(net.controller.datapaths.size).toBe(4);
    for (const datapath of net.controller.datapaths.values()) expect(datapath.flowMode).toBe(mode === 'flow');
    expect(await net.pingAll()).toEqual([]);
    expect(net.problems).toEqual([]);
  });

  test('entries and cells go when their time is up, and come again', async () => {
    const net = await create({ ...single(2), mode, time, apps: learning() });
    const { s1 } = net.switches;
    const { h1, h2 } = net.hosts;
    await expect(h1).toReach(h2);
    const running = () =>
      mode === 'flow' ? s1.cells.length : s1.entries().filter((e) => e.priority === 100).length;
    const before = running();
    expect(before).toBeGreaterThan(1);
    await net.advance(29_000);
    expect(running()).toBe(before);
    await expect(h1).toReach(h2);
    // What was used is younger than what was not.
    await net.advance(2_000);
    expect(running()).toBeGreaterThan(0);
    await net.advance(30_000);
    expect(running()).toBe(0);
    await expect(h1).toReach(h2);
  });

  test('a link that is down loses packets; traffic comes back with it', async () => {
    const net = await create({ ...linear(2), mode, time, apps: learning() });
    const { h1, h2 } = net.hosts;
    await expect(h1).toReach(h2);
    net.link('s1', 's2').down();
    await expect(h1).not.toReach(h2);
    expect(net.trace.text()).toContain('port 2 is down');
    net.link('s2', 's1').up();
    await expect(h1).toReach(h2);
  });
});

test('a controller that is started again finds the cells of the one before', async () => {
  const states: string[] = [];
  const watch = { name: 'watch', onDatapathGone: () => states.push('gone') };
  const net = await create({ ...single(2), apps: [watch as App, learningSwitch()] });
  await expect(net.hosts.h1).toReach(net.hosts.h2);
  const { cells } = net.switches.s1;
  await net.restartController([learningSwitch()]);
  expect(states).toEqual(['gone']);
  expect([...net.controller.datapaths.values()].map((datapath) => [...datapath.cells.keys()])).toEqual([
    cells,
  ]);
  await expect(net.hosts.h1).toReach(net.hosts.h2);
  expect(net.switches.s1.cells).toEqual(cells);
});

test('switches whose controller has stopped work by their fail mode', async () => {
  const net = await create({ ...single(2), mode: 'plain', failMode: 'standalone', apps: [] });
  await expect(net.hosts.h1).not.toReach(net.hosts.h2);
  await net.controller.stop();
  await net.advance(20_000);
  await expect(net.hosts.h1).toReach(net.hosts.h2);
  expect(net.controller.datapaths.size).toBe(0);
});

test('the package exports the kit', async () => {
  const name = 'flowcell/testing';
  expect(((await import(name)) as { VirtualNetwork: unknown }).VirtualNetwork).toBe(VirtualNetwork);
});

test('a ping by hand', async () => {
  const net = await create({ ...single(2), apps: [learningSwitch()] });
  const pings = await net.ping(net.hosts.h1, net.hosts.h2, 3);
  expect(pings).toMatchObject({ sent: 3, received: 3, ok: true });
  expect(pings).toReach(net.hosts.h2);
});

test('datagrams arrive with what is in them', async () => {
  const net = await create({ ...single(2), apps: [learningSwitch()] });
  const { h1, h2 } = net.hosts;
  h1.sendUdp(h2.ip, { src: 7, dst: 53, payload: Uint8Array.from([1, 2, 3]) });
  await net.settle();
  expect(h2.datagrams).toEqual([
    { src: h1.ip, src_port: 7, dst_port: 53, payload: Uint8Array.from([1, 2, 3]) },
  ]);
});

test('a trace shows every table, entry, bucket and output', async () => {
  const net = await create(single(3));
  const { s1 } = net.switches;
  const { h1, h2, h3 } = net.hosts;
  const controller = await net.control(s1);
  await controller.confirm({
    type: 'group_mod',
    command: GroupModCommand.ADD,
    group_type: GroupType.ALL,
    group_id: 7,
    buckets: [
      { actions: [output(2)] },
      { actions: [{ type: 'set_field', field: { eth_dst: h3.mac } }, output(3)] },
    ],
  });
  await controller.addFlows(
    { match: { in_port: 1 }, instructions: [{ type: 'goto_table', table_id: 1 }] },
    { table_id: 1, priority: 5, match: { eth_type: 0x800 }, actions: [{ type: 'group', group_id: 7 }] },
  );
  const outcome = await h1.udp(h2, { src: 1, dst: 2 }).send();
  const frame = 'UDP 10.0.0.1:1 > 10.0.0.2:2 (42 bytes)';
  expect(outcome.trace.split('\n').map((line) => line.slice(12))).toEqual([
    `h1     -> ${frame}`,
    `s1     <- port 1  ${frame}`,
    's1        pipeline, in_port 1',
    's1        table 0: priority 32768 {in_port=1} goto_table 1',
    's1        table 1: priority 5 {eth_type=0x800} apply group:7',
    's1          group:7',
    's1          group 7: bucket 0',
    's1          output:2',
    's1          group 7: bucket 1',
    `s1          set_field:eth_dst=${h3.mac}`,
    's1          output:3',
    `s1     -> port 2  ${frame}`,
    `s1     -> port 3  ${frame}`,
  ]);
  expect(outcome.reached).toEqual([h2, h3]);
  await expect(h1.frame(new Uint8Array(20))).toBeDroppedBy(s1);
});

test('matchers fail with the trace of what happened', async () => {
  const net = await create(single(2));
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const controller = await net.control(s1);
  await controller.addFlows({ priority: 9, match: { eth_type: 0x800 }, actions: [output(2)] });
  const packet = h1.tcp(h2, { dst: 22 });
  await expect(packet).toReach(h2);
  await expect(packet).toMatchFlow(s1, { priority: 9, match: { eth_type: 0x800 }, actions: [output(2)] });
  await expect(packet).not.toMatchFlow(s1, { priority: 9, actions: [output(3)] });
  await expect(packet).not.toBeDroppedBy(s1);
  await expect(expect(packet).toBeDroppedBy(s1)).rejects.toThrow(
    /was to be dropped by s1\n\n.*TCP 10\.0\.0\.1:1000 > 10\.0\.0\.2:22(.|\n)*priority 9 \{eth_type=0x800\} apply output:2/,
  );
  await expect(expect(packet).toReach(h1)).rejects.toThrow('was to reach h1');
  await expect(expect(packet).toMatchFlow(s1, { table_id: 3 })).rejects.toThrow('an entry of table 3');
  // ARP has no entry: nothing gets as far as a ping.
  await expect(expect(h1).toReach(h2)).rejects.toThrow(/table 0: no entry matches, dropped/);
  await expect(expect(17).toReach(h2)).rejects.toThrow(TypeError);
});

test('what a device drops before its cells is told of', async () => {
  const app = defineApp({ name: 'refuser', onFlow: () => ({ refuse: true }) });
  const net = await create({ ...single(2), apps: [app] });
  const outcome = await net.hosts.h1.udp(net.hosts.h2).send();
  expect(outcome.trace).toContain('dropped: the controller refused its flow');
  expect(outcome).toBeDroppedBy(net.switches.s1);
});

test('timeouts, meters and the removal of entries keep to virtual time', async () => {
  const net = await create(single(2));
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const controller = await net.control(s1);
  await controller.confirm({
    type: 'meter_mod',
    command: MeterModCommand.ADD,
    meter_id: 1,
    flags: MeterFlag.PKTPS | MeterFlag.BURST,
    bands: [{ type: 'drop', rate: 1, burst_size: 1 }],
  });
  await controller.addFlows({
    match: { in_port: 1 },
    hard_timeout: 10,
    flags: FlowModFlag.SEND_FLOW_REM,
    instructions: [
      { type: 'meter', meter_id: 1 },
      { type: 'apply_actions', actions: [output(2)] },
    ],
  });
  const packet = h1.udp(h2);
  await expect(packet).toReach(h2);
  await expect(packet).toBeDroppedBy(s1);
  await net.advance(2000);
  await expect(packet).toReach(h2);
  await net.advance(7999);
  expect(s1.entries()).toMatchObject([{ match: { in_port: 1 }, packets: 3 }]);
  await net.advance(1);
  expect(s1.entries()).toEqual([]);
  expect(controller.take('flow_removed')).toMatchObject([{ duration_sec: 10, packet_count: 3n }]);
});

test('a controller played by the test: versions, errors, packet-ins', async () => {
  const net = await create({ ...linear(2), protocols: [1, 4, 6] });
  const { s1, s2 } = net.switches;
  const old = await net.control(s1, 1);
  await old.addFlows({ match: { in_port: 1 }, actions: [output(Port.CONTROLLER)] });
  net.hosts.h1.send(net.hosts.h1.udp(net.hosts.h2).frame);
  const { data } = await old.next('packet_in');
  old.send({ type: 'packet_out', in_port: 1, actions: [output(2)], data });
  const modern = await net.control(s2, 6);
  await expect(modern.addFlows({ match: { ipv4_src: '10.0.0.1' } })).rejects.toThrow(SwitchError);
  await modern.addFlows({ match: { in_port: 2 }, actions: [output(1)] });
  await expect(net.hosts.h1.udp(net.hosts.h2)).not.toReach(net.hosts.h2);
  old.onMessage = (message) => {
    if (message.type !== 'packet_in') return;
    old.send({ type: 'packet_out', in_port: 1, actions: [output(2)], data: message.data });
  };
  await expect(net.hosts.h1.udp(net.hosts.h2)).toReach(net.hosts.h2);
  expect(() => net.control(s1)).toThrow(RangeError);
});

test('frames that go round in circles end with an error', async () => {
  const net = await create({
    switches: { s1: {}, s2: {} },
    hosts: { h1: {} },
    links: [
      ['h1', 's1'],
      ['s1', 's2'],
      ['s1', 's2'],
    ],
  });
  for (const datapath of Object.values(net.switches)) {
    await (await net.control(datapath)).addFlows({ actions: [output(Port.FLOOD)] });
  }
  net.hosts.h1.send(new Uint8Array(60));
  await expect(net.settle()).rejects.toThrow('is there a loop?');
  net.link('s1', 's2').down();
  await net.settle();
});

test('what an app does wrong is kept', async () => {
  const app: App = {
    name: 'broken',
    onPacketIn: () => {
      throw new Error('this app is broken');
    },
    onDatapath: (datapath: Datapath) => {
      datapath.addFlow({ actions: [output(Port.CONTROLLER)] });
    },
  };
  const net = await create({ ...single(2), mode: 'plain', apps: [app] });
  await expect(net.hosts.h1).not.toReach(net.hosts.h2);
  expect(net.problems[0]).toContain('this app is broken');
  expect(net.trace.text()).toContain('this app is broken');
});

test('an uploaded program runs, and one that throws ends its cell', async () => {
  const code = `let count = 0;
    flowcell.program({ packet(p) { if (++count > 1) throw new Error('no more'); p.output(3 - p.inPort); } });`;
  const said: string[] = [];
  const app: App = {
    name: 'uploader',
    onDatapath: async (datapath: Datapath) => {
      await datapath.uploadProgram({ name: 'once', code });
    },
    onFlow: ({ match }) => ({ match, onFailure: 'drop', cells: [{ program: 'once' }], entries: [] }),
    onCellStatus: (_, { state }) => {
      said.push(state);
    },
  };
  const net = await create({ ...single(2), apps: [app] });
  const packet = net.hosts.h1.udp(net.hosts.h2);
  await expect(packet).toReach(net.hosts.h2);
  await expect(packet).toBeDroppedBy(net.switches.s1);
  expect(said).toEqual(['ready', 'exited']);
});

test('without a controller, by the fail mode', async () => {
  const standalone = await create({ ...single(2), failMode: 'standalone' });
  await expect(standalone.hosts.h1).toReach(standalone.hosts.h2);
  const secure = await create({ ...single(2), failMode: 'secure' });
  await expect(secure.hosts.h1).not.toReach(secure.hosts.h2);
});

test('hosts may know each other from the start', async () => {
  const net = await create({ ...single(2), staticArp: true, apps: [learningSwitch()] });
  const { h1, h2 } = net.hosts;
  expect((await h1.ping(h2)).trace).not.toContain('ARP');
});

test('names that make no network are refused', async () => {
  const links = [['h1', 's9' as 's1']] as const;
  await expect(create({ switches: { s1: {} }, hosts: { h1: {} }, links })).rejects.toThrow('s9');
  const net = await create(single(1));
  expect(() => net.link('h1', 'h2')).toThrow(RangeError);
  expect(() => net.controller).toThrow(RangeError);
});
