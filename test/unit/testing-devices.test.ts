/** The test kit's hosts of IPv6 and VLANs, and what a switch has beyond ports and tables. */
import { expect, test } from 'vitest';
import { learningSwitch } from '../../apps/learning-switch.ts';
import { type Datapath, defineApp } from '../../controller/index.ts';
import {
  ControllerRole,
  GroupModCommand,
  GroupType,
  type MessageOf,
  MeterFlag,
  MeterModCommand,
  Port,
} from '../../openflow/index.ts';
import { linear, SwitchError, single } from '../../testing/index.ts';
import '../../testing/vitest.ts';
import { create, output } from '../support/virtual-networks.ts';

const flood = [output(Port.FLOOD)];

test.each(['flow', 'plain'] as const)(
  'IPv6 hosts find and ping each other over a learning switch, %s mode',
  async (mode) => {
    const net = await create({ ...linear(3), mode, apps: [learningSwitch()] });
    const { h1, h3 } = net.hosts;
    const pings = await net.ping6(h1, h3, 2);
    expect(pings).toMatchObject({ sent: 2, received: 2 });
    const [solicitation, advertisement] = ['solicitation fd00::1', 'advertisement fd00::3'];
    expect(pings.trace).toContain(`ICMPv6 neighbour ${solicitation} > ff02::1:ff00:3 for fd00::3`);
    expect(pings.trace).toContain(`ICMPv6 neighbour ${advertisement} > fd00::1 for fd00::3`);
    // The address is known by now, and no other host has taken it for its own.
    expect((await h1.ping6(h3)).trace).not.toContain('neighbour');
    expect(net.hosts.h2.neighbours.size).toBe(0);
    h3.sendUdp(h1.ip6, { src: 7, dst: 53, payload: Uint8Array.from([1, 2]) });
    await net.settle();
    expect(h1.datagrams).toEqual([
      { src: 'fd00::3', src_port: 7, dst_port: 53, payload: Uint8Array.from([1, 2]) },
    ]);
  },
);

test('packets of IPv6 meet the entries for them', async () => {
  const net = await create({ ...single(2), hosts: { h1: {}, h2: { ip6: '2001:db8::9' } } });
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const controller = await net.control(s1);
  await controller.addFlows(
    { priority: 2, match: { eth_type: 0x86dd, ipv6_dst: '2001:db8::9', ip_proto: 17 }, actions: [output(2)] },
    { priority: 1, match: { eth_type: 0x86dd } },
  );
  await expect(h1.udp(h2, { dst: 53 }, 'ipv6')).toReach(h2);
  await expect(h1.tcp(h2, { dst: 22 }, 'ipv6')).toMatchFlow(s1, { priority: 1 });
  await expect(h1.icmpv6(h2)).toBeDroppedBy(s1);
  await expect(h1.udp(h2, { dst: 53 })).toBeDroppedBy(s1);
});

test('hosts hear their own VLAN, whatever arrives', async () => {
  const hosts = { h1: { vlan: 5 }, h2: { vlan: 5 }, h3: { vlan: 6 }, h4: {} };
  const links = (['h1', 'h2', 'h3', 'h4'] as const).map((name) => [name, 's1'] as const);
  const net = await create({ switches: { s1: {} }, hosts, links });
  const { h1, h2, h3, h4 } = net.hosts;
  const controller = await net.control(net.switches.s1);
  await controller.addFlows({ priority: 1, actions: flood });
  expect((await h1.udp(h2).send()).trace).toContain('VLAN 5 UDP');
  await expect(h1).toReach(h2);
  expect((await net.ping6(h1, h2)).ok).toBe(true);
  await expect(h1).not.toReach(h3);
  await expect(h1).not.toReach(h4);
  await expect(h1.udp(h3)).not.toReach(h3);
  // A trunk at port 1, an access port of VLAN 5 at port 4.
  await controller.addFlows(
    { priority: 2, match: { in_port: 1, vlan_vid: 0x1005 }, actions: [{ type: 'pop_vlan' }, output(4)] },
    {
      priority: 2,
      match: { in_port: 4 },
      actions: [
        { type: 'push_vlan', ethertype: 0x8100 },
        { type: 'set_field', field: { vlan_vid: 0x1005 } },
        output(1),
      ],
    },
  );
  await expect(h1).toReach(h4);
});

test("the switch's own machine takes part by OFPP_LOCAL", async () => {
  const net = await create({
    switches: { s1: { local: { ip: '10.0.0.100/24' } }, s2: {} },
    hosts: { h1: {}, h2: {} },
    links: [
      ['h1', 's1'],
      ['h2', 's2'],
      ['s1', 's2'],
    ],
    apps: [learningSwitch()],
  });
  const own = net.local('s1');
  const pings = await net.ping(net.hosts.h2, own);
  expect(pings.ok).toBe(true);
  expect(pings.trace).toContain('s1     -> port LOCAL  ICMP echo request 10.0.0.2 > 10.0.0.100');
  await expect(own).toReach(net.hosts.h1);
  expect(() => net.local('s2')).toThrow(RangeError);
  const [s1] = net.controller.datapaths.values();
  expect([...s1.ports.keys()]).toEqual([1, 2, Port.LOCAL]);
});

test('queues: packets go by them and are counted, and without one where there is none', async () => {
  const net = await create({
    ...single(2),
    switches: { s1: { queues: { 2: [{ id: 1, maxRate: 1e6 }, { id: 7 }] } } },
  });
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const controller = await net.control(s1);
  const by = (queue_id: number) => [{ type: 'set_queue' as const, queue_id }, output(2)];
  await controller.addFlows(
    { priority: 2, match: { eth_type: 0x800, ip_proto: 17 }, actions: by(7) },
    { priority: 1, match: { eth_type: 0x800 }, actions: by(3) },
  );
  expect((await h1.udp(h2).send()).trace).toContain('s1     -> port 2, queue 7  UDP');
  expect((await h1.tcp(h2).send()).trace).toContain('s1     -> port 2  TCP');
  const request = { type: 'queue', port_no: 2, queue_id: 0xffffffff } as const;
  const { body } = (await controller.request({
    type: 'multipart_request',
    body: request,
  })) as MessageOf<'multipart_reply'>;
  expect(body).toMatchObject({
    queues: [
      { queue_id: 1, tx_packets: 0n },
      { queue_id: 7, tx_packets: 1n, tx_bytes: 42n },
    ],
  });
  expect(s1.core.output.counters.noQueue).toBe(1);
});

test('fast failover: the group goes by the other port while the first is down', async () => {
  const net = await create({
    switches: { s1: {}, s2: {} },
    hosts: { h1: {}, h2: {} },
    links: [
      ['h1', 's1'],
      ['s1', 's2'],
      ['s1', 's2'],
      ['h2', 's2'],
    ],
  });
  const { s1, s2 } = net.switches;
  const { h1, h2 } = net.hosts;
  const [first, second] = [await net.control(s1), await net.control(s2)];
  await first.confirm({
    type: 'group_mod',
    command: GroupModCommand.ADD,
    group_type: GroupType.FF,
    group_id: 1,
    buckets: [2, 3].map((port) => ({ watch_port: port, actions: [output(port)] })),
  });
  await first.addFlows({ match: { in_port: 1 }, actions: [{ type: 'group', group_id: 1 }] });
  await second.addFlows({ actions: [output(3)] });
  const way = async () => {
    const outcome = await h1.udp(h2).send();
    expect(outcome).toReach(h2);
    return /s2 +<- port (\d)/.exec(outcome.trace)?.[1];
  };
  const [, link] = net.links;
  expect(await way()).toBe('1');
  // The other end: s1 only loses its carrier.
  link.down('b');
  expect(await way()).toBe('2');
  link.up('b');
  expect(await way()).toBe('1');
  link.down('a');
  net.links[2].down('a');
  await expect(h1.udp(h2)).toBeDroppedBy(s1);
});

test('a meter lets through its rate as time passes', async () => {
  const net = await create(single(2));
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const controller = await net.control(s1);
  await controller.confirm({
    type: 'meter_mod',
    command: MeterModCommand.ADD,
    meter_id: 1,
    flags: MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS,
    bands: [{ type: 'drop', rate: 10, burst_size: 10 }],
  });
  await controller.addFlows({
    match: { in_port: 1 },
    instructions: [
      { type: 'meter', meter_id: 1 },
      { type: 'apply_actions', actions: [output(2)] },
    ],
  });
  const { frame } = h1.udp(h2);
  // 100 packets a second for ten seconds: the burst, and ten a second.
  for (let at = 0; at < 10_000; at += 10) {
    h1.send(frame);
    await net.advance(10);
  }
  expect(h2.heard.length).toBeGreaterThanOrEqual(109);
  expect(h2.heard.length).toBeLessThanOrEqual(111);
});

test('several controllers: the master of them changes things, a slave is refused', async () => {
  const net = await create({ ...single(2), controllers: 2 });
  const { s1 } = net.switches;
  const { h1, h2 } = net.hosts;
  const [one, two] = [await net.control(s1), await net.control(s1)];
  expect(() => net.control(s1)).toThrow(RangeError);
  const claim = (role: number, generation_id: bigint) =>
    ({ type: 'role_request', role, generation_id }) as const;
  await one.request(claim(ControllerRole.MASTER, 1n));
  await one.addFlows({ match: { in_port: 1 }, actions: [output(Port.CONTROLLER), output(2)] });
  await two.request(claim(ControllerRole.MASTER, 2n));
  await expect(one.addFlows({ match: { in_port: 2 } })).rejects.toThrow(SwitchError);
  await expect(h1.udp(h2)).toReach(h2);
  expect([one, two].map((controller) => controller.take('packet_in').length)).toEqual([0, 1]);
  two.close();
  await net.settle();
  await one.request(claim(ControllerRole.MASTER, 3n));
  await one.deleteFlows();
  expect(s1.entries()).toEqual([]);
});

test("a second controller beside the apps', and switches of different kinds", async () => {
  const gone: string[] = [];
  const app = defineApp({
    ...learningSwitch(),
    onDatapath: (datapath: Datapath) => void gone.push(`${datapath.id}: ${datapath.flowMode}`),
  });
  const net = await create({
    ...linear(2),
    switches: { s1: { controllers: 2 }, s2: { mode: 'plain' } },
    apps: [app],
  });
  expect(gone).toEqual(['1: true', '2: false']);
  const watcher = await net.control(net.switches.s1);
  await watcher.request({ type: 'role_request', role: ControllerRole.SLAVE, generation_id: 1n });
  net.link('h1', 's1').down('a');
  await net.settle();
  expect(watcher.take('port_status')).toMatchObject([{ desc: { port_no: 1 } }]);
  expect(() => net.control(net.switches.s2)).toThrow(RangeError);
});
