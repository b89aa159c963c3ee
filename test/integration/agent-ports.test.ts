import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  ErrorType,
  FlowModCommand,
  type MessageInitOf,
  PortConfig,
  PortModFailedCode,
  Port as PortNumber,
  PortReason,
  PortState,
} from '../../openflow/index.ts';
import { ethernet } from '../../packet/index.ts';
import {
  echoRequest,
  ping as pingFrom,
  pingInVain,
  type SwitchLab,
  switchLab,
} from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0xffff }] },
];

interface PortView {
  config: number;
  rxPackets: number;
  rxDropped: number;
  txPackets: number;
  up: boolean;
}

describeNetwork('port_mod, and interfaces that change', () => {
  let lab: SwitchLab;
  let net: SwitchLab['net'];
  let agent: SwitchLab['agent'];
  let peer: SwitchLab['peer'];

  beforeAll(async () => {
    lab = await switchLab(2);
    ({ net, agent, peer } = lab);
  });
  afterAll(() => lab?.stop());
  beforeEach(() => {
    peer.received.length = 0;
  });

  const describePorts = async () => {
    const request = { type: 'multipart_request', body: { type: 'port_desc' } } as const;
    const { body } = await peer.call('multipart_reply', request);
    return body.type === 'port_desc' ? body.ports : [];
  };
  const view = async (number: number) => (await agent.local<PortView[]>('/ports'))[number - 1];
  const portMod = async (port_no: number, config: number, mask: number) => {
    const { hw_addr } = (await describePorts())[port_no - 1];
    return { type: 'port_mod', port_no, hw_addr, config, mask } satisfies MessageInitOf<'port_mod'>;
  };
  /** Changes the configuration; resolves when it is in force. */
  const configure = async (port_no: number, config: number, mask: number) => {
    const request = await portMod(port_no, config, mask);
    peer.send(request);
    await peer.call('barrier_reply', { type: 'barrier_request' });
  };
  const packetOut = (port: number) => {
    const data = ethernet({ type: 0x88b5, payload: new Uint8Array(50) });
    peer.send({ type: 'packet_out', actions: [{ type: 'output', port, max_len: 0 }], data });
  };
  const ping = async () => {
    const { h1, h2 } = net.hosts;
    // An address that was asked for in vain is given up with all packets that wait for it, whenever they came.
    await h1.exec(['ip', 'neigh', 'flush', 'all']);
    return await pingFrom(h1, h2.ip, 2);
  };
  const sendEcho = () => echoRequest(net.hosts.h1, net.hosts.h2.ip);
  const wire = () =>
    peer.entries(
      { command: FlowModCommand.DELETE, table_id: 0xff },
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );

  test('a veth says its speed, whatever namespace /sys shows', async () => {
    const [port] = await describePorts();
    // 10 Gbit/s, full duplex, copper: what the veth driver answers.
    expect(port).toMatchObject({ curr_speed: 10_000_000, curr: 64 | 2048, config: 0 });
  });

  test('PORT_DOWN sets the interface down, and up again; each is told in one port_status', async () => {
    await wire();
    expect((await ping()).stdout).toContain(' 0% packet loss');
    await configure(2, PortConfig.PORT_DOWN, PortConfig.PORT_DOWN);
    expect(await peer.next('port_status')).toMatchObject({
      reason: PortReason.MODIFY,
      desc: { port_no: 2, config: PortConfig.PORT_DOWN, state: PortState.LINK_DOWN },
    });
    expect(await view(2)).toMatchObject({ up: false, config: PortConfig.PORT_DOWN });
    const { stdout } = await net.switches.s1.exec(['ip', '-o', 'link', 'show', 's1-eth2']);
    expect(stdout).not.toMatch(/<.*\bUP\b.*>/);
    packetOut(2);
    await agent.shows<{ output: { portDown: number } }>('/counters', ({ output }) => output.portDown > 0);
    expect(peer.received.filter(({ type }) => type === 'port_status')).toEqual([]);

    await configure(2, 0, PortConfig.PORT_DOWN);
    await peer.next('port_status', ({ desc }) => desc.config === 0);
    await agent.shows<(PortView & { running: boolean })[]>('/ports', (ports) => ports[1].running);
    expect((await ping()).stdout).toContain(' 0% packet loss');
  });

  test('an interface that somebody else sets down is PORT_DOWN too', async () => {
    await net.switches.s1.configure(['link set s1-eth2 down']);
    const { desc } = await peer.next('port_status');
    expect(desc).toMatchObject({ port_no: 2, config: PortConfig.PORT_DOWN, state: PortState.LINK_DOWN });
    await configure(2, 0, PortConfig.PORT_DOWN);
    await peer.next('port_status', ({ desc: now }) => now.config === 0 && now.state === PortState.LIVE);
  });

  test('NO_RECV: what comes in is dropped and counted', async () => {
    await wire();
    await configure(1, PortConfig.NO_RECV, PortConfig.NO_RECV);
    const before = await view(1);
    const sent = (await view(2)).txPackets;
    const { stdout } = await pingInVain(net.hosts.h1, net.hosts.h2.ip);
    expect(stdout).toContain('100% packet loss');
    const [after] = await agent.shows<PortView[]>('/ports', ([one]) => one.rxPackets > before.rxPackets);
    expect(after.rxDropped - before.rxDropped).toBe(after.rxPackets - before.rxPackets);
    expect((await view(2)).txPackets).toBe(sent);
    await configure(1, 0, PortConfig.NO_RECV);
    expect((await ping()).stdout).toContain(' 0% packet loss');
  });

  test('NO_FWD: nothing goes out, by number or by flood', async () => {
    await configure(2, PortConfig.NO_FWD, PortConfig.NO_FWD);
    const before = [await view(1), await view(2)];
    packetOut(2);
    packetOut(PortNumber.FLOOD);
    packetOut(PortNumber.ALL);
    await agent.shows<PortView[]>('/ports', ([one]) => one.txPackets >= before[0].txPackets + 2);
    expect((await view(2)).txPackets).toBe(before[1].txPackets);
    await configure(2, 0, PortConfig.NO_FWD);
  });

  test('NO_PACKET_IN: the controller hears nothing of what comes in there', async () => {
    await peer.entries(
      { command: FlowModCommand.DELETE, table_id: 0xff },
      { priority: 0, instructions: output(PortNumber.CONTROLLER) },
    );
    await configure(1, PortConfig.NO_PACKET_IN, PortConfig.NO_PACKET_IN);
    await sendEcho();
    type Counters = { output: { noPacketIn: number } };
    await agent.shows<Counters>('/counters', ({ output }) => output.noPacketIn > 0);
    await peer.call('barrier_reply', { type: 'barrier_request' });
    const fromThere = peer.received.filter(
      (message) => message.type === 'packet_in' && message.match.in_port === 1,
    );
    expect(fromThere).toEqual([]);
    await configure(1, 0, PortConfig.NO_PACKET_IN);
    await sendEcho();
    await peer.next('packet_in', ({ match }) => match.in_port === 1);
  });

  test('what cannot be is refused, and changes nothing', async () => {
    const good = await portMod(1, PortConfig.NO_FWD, PortConfig.NO_FWD);
    const bad: [Partial<MessageInitOf<'port_mod'>>, number][] = [
      [{ port_no: 77 }, PortModFailedCode.BAD_PORT],
      [{ port_no: PortNumber.LOCAL }, PortModFailedCode.BAD_PORT],
      [{ hw_addr: '00:00:00:00:00:01' }, PortModFailedCode.BAD_HW_ADDR],
      [{ mask: PortConfig.NO_FWD | 2 }, PortModFailedCode.BAD_CONFIG],
      [{ advertise: 1 }, PortModFailedCode.BAD_ADVERTISE],
    ];
    for (const [fields, code] of bad) {
      const answer = await peer.call('error', { ...good, ...fields });
      expect(answer, JSON.stringify(fields)).toMatchObject({ error_type: ErrorType.PORT_MOD_FAILED, code });
    }
    expect((await describePorts()).map(({ config }) => config)).toEqual([0, 0]);
  });

  test('an interface that is gone keeps its number, and its configuration when it comes back', async () => {
    const [s1, h2] = [net.switches.s1, net.hosts.h2];
    await configure(2, PortConfig.NO_FWD, PortConfig.NO_FWD);
    await s1.configure(['link del s1-eth2']);
    await peer.next('port_status', ({ reason, desc }) => reason === PortReason.DELETE && desc.port_no === 2);
    // A PORT_MOD for a port whose interface is away is for when it comes back.
    await configure(2, PortConfig.NO_PACKET_IN, PortConfig.NO_PACKET_IN);
    await s1.configure([`link add s1-eth2 type veth peer name h2-eth0 netns ${h2.namespace}`]);
    const back = await peer.next('port_status', ({ reason }) => reason === PortReason.ADD);
    const kept = PortConfig.NO_FWD | PortConfig.NO_PACKET_IN;
    expect(back.desc).toMatchObject({ port_no: 2, config: kept | PortConfig.PORT_DOWN });
    await h2.configure(['link set h2-eth0 up', `addr add ${h2.ip}/24 dev h2-eth0`]);
    await configure(2, 0, kept | PortConfig.PORT_DOWN);
    await peer.next('port_status', ({ desc }) => desc.state === PortState.LIVE && desc.config === 0);
    await wire();
    await net.hosts.h1.exec(['ip', 'neigh', 'flush', 'all']);
    expect((await ping()).stdout).toContain(' 0% packet loss');
  });

  test('the agent leaves an interface up that a controller had set down', async () => {
    await configure(1, PortConfig.PORT_DOWN, PortConfig.PORT_DOWN);
    expect(await view(1)).toMatchObject({ up: false });
    await agent.stop();
    const { stdout } = await net.switches.s1.exec(['ip', '-o', 'link', 'show', 's1-eth1']);
    expect(stdout).toMatch(/<.*\bUP\b.*>/);
  });
});
