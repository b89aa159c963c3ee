import { afterAll, beforeAll, expect, test } from 'vitest';
import { ErrorType, FlowModCommand, Port } from '../../openflow/index.ts';
import { arp, ethernet } from '../../packet/index.ts';
import { type Peer, ping as pingFrom, pingInVain, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0xffff }] },
];

describeNetwork('the agent as an ordinary OpenFlow switch', () => {
  let lab: SwitchLab;
  let net: SwitchLab['net'];
  let agent: SwitchLab['agent'];
  let peer: SwitchLab['peer'];

  beforeAll(async () => {
    lab = await switchLab(2);
    ({ net, agent, peer } = lab);
  });
  afterAll(() => lab?.stop());

  const ping = (count = 3) => pingFrom(net.hosts.h1, net.hosts.h2.ip, count);
  /** An address that was asked for in vain is given up with all packets that wait for it, whenever they came. */
  const forgetNeighbours = () => net.hosts.h1.exec(['ip', 'neigh', 'flush', 'all']);

  test('says what it is', async () => {
    const features = await peer.call('features_reply', { type: 'features_request' });
    expect(features).toMatchObject({ datapath_id: 7n, n_buffers: 0, auxiliary_id: 0 });
    const desc = await peer.call('multipart_reply', { type: 'multipart_request', body: { type: 'desc' } });
    expect(desc.body).toMatchObject({ mfr_desc: 'Flowcell', serial_num: '0000000000000007' });
    const ports = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_desc' },
    });
    expect(ports.body).toMatchObject({
      ports: [
        { port_no: 1, name: 's1-eth1', state: 4 },
        { port_no: 2, name: 's1-eth2', state: 4 },
      ],
    });
  });

  test('sends nothing on before it has entries, and forwards by those it is given', async () => {
    expect((await pingInVain(net.hosts.h1, net.hosts.h2.ip)).stdout).toContain('100% packet loss');
    await peer.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    await forgetNeighbours();
    expect((await ping()).stdout).toContain(' 0% packet loss');
    const stats = await peer.call('multipart_reply', { type: 'multipart_request', body: { type: 'flow' } });
    expect(stats.body).toMatchObject({ flows: [{ match: { in_port: 1 } }, { match: { in_port: 2 } }] });
    const [there] = stats.body.type === 'flow' ? stats.body.flows : [];
    expect(there.packet_count).toBeGreaterThanOrEqual(3n);
    const total = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'aggregate' },
    });
    expect(total.body).toMatchObject({ flow_count: 2 });
    const ports = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_stats' },
    });
    const counted = ports.body.type === 'port_stats' ? ports.body.ports : [];
    expect(counted[0].rx_packets).toBeGreaterThanOrEqual(there.packet_count);
    expect(counted[1].tx_packets).toBeGreaterThanOrEqual(3n);
  });

  test('packet-in and packet-out', async () => {
    await peer.entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    await peer.entries({ priority: 0, cookie: 5n, instructions: output(Port.CONTROLLER) });
    const ping1 = ping(1);
    const request = await peer.next('packet_in', ({ match }) => match.in_port === 1);
    expect(request).toMatchObject({ cookie: 5n, table_id: 0, match: { in_port: 1 } });
    expect(request.total_len).toBe(request.data.length);
    // The controller switches by hand: everything it hears of goes out of the other port.
    const swap = (message: { type: string }) => {
      if (message.type !== 'packet_in') return;
      const { data, match } = message as typeof request;
      const actions = [{ type: 'output' as const, port: 3 - match.in_port!, max_len: 0 }];
      peer.send({ type: 'packet_out', in_port: match.in_port, actions, data });
    };
    peer.onMessage = swap;
    swap(request);
    for (const message of peer.received) swap(message);
    expect((await ping1).stdout).toContain(' 0% packet loss');
    peer.onMessage = undefined;
  });

  test('a packet-out may flood, or go through the tables', async () => {
    await peer.entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    const before = (await agent.local<{ txPackets: number }[]>('/ports')).map((port) => port.txPackets);
    const data = ethernet({ type: 0x0806, dst: 'ff:ff:ff:ff:ff:ff', payload: arp({ tpa: '10.0.0.99' }) });
    peer.send({ type: 'packet_out', actions: [{ type: 'output', port: Port.FLOOD, max_len: 0 }], data });
    await peer.entries({ match: { in_port: 1 }, instructions: output(2) });
    peer.send({
      type: 'packet_out',
      in_port: 1,
      actions: [{ type: 'output', port: Port.TABLE, max_len: 0 }],
      data,
    });
    const ports = await agent.shows<{ txPackets: number }[]>(
      '/ports',
      (now) => now[1].txPackets >= before[1] + 2,
    );
    expect(ports.map((port, i) => port.txPackets - before[i])).toEqual([1, 2]);
  });

  test('what is wrong gets an error, and the connection lives', async () => {
    const errors = [
      [{ type: 'flow_mod', match: { cell: 99 } }, ErrorType.FLOW_MOD_FAILED],
      [{ type: 'flow_mod', buffer_id: 7 }, ErrorType.BAD_REQUEST],
      [{ type: 'packet_out', actions: [], data: new Uint8Array(3) }, ErrorType.BAD_REQUEST],
      [{ type: 'experimenter', experimenter: 1, exp_type: 2 }, ErrorType.BAD_REQUEST],
      [{ type: 'multipart_request', body: { type: 'port_stats', port_no: 77 } }, ErrorType.BAD_REQUEST],
      [{ type: 'multipart_request', body: { type: 'flow', match: { cell: 99 } } }, ErrorType.BAD_MATCH],
      [{ type: 'set_config', flags: 2 }, ErrorType.SWITCH_CONFIG_FAILED],
      [{ type: 'port_mod', port_no: 9, hw_addr: '00:00:00:00:00:00' }, ErrorType.PORT_MOD_FAILED],
      [{ type: 'flow_mod', match: { ipv4_src: '10.0.0.1' } }, ErrorType.BAD_MATCH],
      [{ type: 'barrier_reply' }, ErrorType.BAD_REQUEST],
    ] as const;
    for (const [request, type] of errors) {
      const failed = peer.call('error', request as Parameters<Peer['send']>[0]);
      expect(
        await failed,
        JSON.stringify(request, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
      ).toMatchObject({
        error_type: type,
      });
    }
    await peer.entries();
  });

  test('roles: a slave may look, not touch; old generations are stale', async () => {
    const role = (role: number, generation_id: bigint) =>
      peer.call('role_reply', { type: 'role_request', role, generation_id });
    expect(await role(3, 10n)).toMatchObject({ role: 3, generation_id: 10n });
    expect(await peer.call('error', { type: 'flow_mod' })).toMatchObject({ error_type: 1, code: 10 });
    await expect(role(2, 9n)).rejects.toMatchObject({ answer: { error_type: 11, code: 0 } });
    expect(await role(1, 0n)).toMatchObject({ role: 1 });
    await peer.entries();
  });

  test('a burst of more messages than a cell has room for: the controller is held up, nothing is refused', async () => {
    const entry = (i: number) => ({
      table_id: 1,
      priority: i % 1000,
      cookie: BigInt(i),
      match: { in_port: 1 },
    });
    await peer.entries(...Array.from({ length: 12_000 }, (_, i) => entry(i)));
    const request = { type: 'multipart_request' as const, body: { type: 'flow' as const, table_id: 1 } };
    const cookies: bigint[] = [];
    let reply = await peer.call('multipart_reply', request);
    for (;;) {
      if (reply.body.type === 'flow') cookies.push(...reply.body.flows.map(({ cookie }) => cookie));
      if ((reply.flags & 1) === 0) break;
      reply = await peer.next('multipart_reply');
    }
    // The last of each.
    expect(cookies.sort((x, y) => Number(x - y))).toEqual(
      Array.from({ length: 1000 }, (_, i) => BigInt(11_000 + i)),
    );
    expect(peer.received.filter(({ type }) => type === 'error')).toEqual([]);
    await peer.entries({ command: FlowModCommand.DELETE, table_id: 1 });
  });

  test('a port that goes down, and one that goes and comes back', async () => {
    const link = net.link('h2', 's1');
    await link.down('a');
    expect(await peer.next('port_status')).toMatchObject({ reason: 2, desc: { port_no: 2, state: 1 } });
    await link.up('a');
    await peer.next('port_status', ({ desc }) => desc.port_no === 2 && desc.state === 4);

    await net.switches.s1.configure(['link del s1-eth2']);
    expect(await peer.next('port_status', ({ reason }) => reason === 1)).toMatchObject({
      desc: { port_no: 2 },
    });
    const [s1, h2] = [net.switches.s1, net.hosts.h2];
    await s1.configure([
      `link add s1-eth2 type veth peer name h2-eth0 netns ${h2.namespace}`,
      'link set s1-eth2 up',
    ]);
    await h2.configure(['link set h2-eth0 up', `addr add ${h2.ip}/24 dev h2-eth0`]);
    expect(await peer.next('port_status', ({ reason }) => reason === 0)).toMatchObject({
      desc: { port_no: 2 },
    });
    await peer.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    await forgetNeighbours();
    expect((await ping()).stdout).toContain(' 0% packet loss');
  });
});
