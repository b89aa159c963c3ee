/** One device and several controllers: roles, asynchronous messages, a master that fails, several versions at once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeControl } from '../../agent/channel/bundles.ts';
import { ONF_EXPERIMENTER, OnfType } from '../../agent/channel/onf.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import {
  ControllerRole,
  encode,
  FlowModCommand,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  Port,
} from '../../openflow/index.ts';
import { BundleCtrlType } from '../../openflow/v14/constants.ts';
import { AgentProcess, echoRequest, FakeController, type Peer, ping } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const { MASTER, SLAVE, EQUAL } = ControllerRole;
const output = (port: number): MessageInitOf<'flow_mod'>['instructions'] => [
  { type: 'apply_actions', actions: [{ type: 'output', port, max_len: 0xffff }] },
];

describeNetwork('an agent and three controllers', () => {
  let net: Network<'s1', string>;
  let controllers: FakeController[];
  let agent: AgentProcess;
  let peers: Peer[];

  beforeAll(async () => {
    net = await singleSwitch(2);
    controllers = await Promise.all([1, 2, 3].map(() => FakeController.start(net.switches.s1)));
    agent = await AgentProcess.start(net.switches.s1, {
      controllers: controllers.map(({ port }) => ({ host: '127.0.0.1', port })),
      connection: { retryMs: 20 },
    });
    peers = await Promise.all(controllers.map((controller) => controller.device()));
    // A ping that nobody answers is to leave its host all the same, and at once.
    const { h1, h2 } = net.hosts;
    await h1.configure([`neigh replace ${h2.ip} lladdr ${h2.mac} dev h1-eth0 nud permanent`]);
  });
  afterAll(async () => {
    await agent?.stop();
    await Promise.all(controllers?.map((controller) => controller.close()) ?? []);
    await net?.close();
  });

  const answered = (count: number) => ping(net.hosts.h1, net.hosts.h2.ip, count);
  const sendEcho = () => echoRequest(net.hosts.h1, net.hosts.h2.ip);
  const role = (peer: Peer, role: number, generation_id: bigint) =>
    peer.call('role_reply', { type: 'role_request', role, generation_id });
  /** Nothing more comes: everything that the device said before is here. */
  const settled = (peer: Peer) => peer.call('barrier_reply', { type: 'barrier_request' });
  /** Of packet-ins only those of a ping: hosts say other things, too, and when they like. */
  const isPing = (message: MessageOf<'packet_in'>) => message.data[23] === 1 && message.match.in_port === 1;
  const heard = async (type: string) => {
    await Promise.all(peers.map(settled));
    return peers.map(({ received }) => {
      const count = received.filter(
        (message) => message.type === type && (message.type !== 'packet_in' || isPing(message)),
      ).length;
      received.length = 0;
      return count;
    });
  };
  interface View {
    state: string;
    version: number;
    role: string;
  }
  const status = () => agent.local<{ controllers: View[] }>('/status');

  test('all are connected, as equals, and each gets its own answers', async () => {
    expect((await status()).controllers).toMatchObject(
      peers.map(() => ({ state: 'established', version: 4, role: 'equal' })),
    );
    // The same xid from all of them.
    const request: MessageInit = { type: 'multipart_request', body: { type: 'table' } };
    const replies = await Promise.all(peers.map((peer) => peer.call('multipart_reply', request)));
    expect(new Set(replies.map(({ xid }) => xid)).size).toBe(1);
    await Promise.all(peers.map(settled));
    expect(peers.map(({ received }) => received.filter(({ type }) => type === 'multipart_reply'))).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('an error goes to whoever caused it', async () => {
    await peers[1].call('error', { type: 'flow_mod', match: { ipv4_src: '10.0.0.1' } });
    await peers[1].call('error', { type: 'flow_mod', command: 77 });
    expect(await heard('error')).toEqual([0, 0, 0]);
  });

  test('packet-ins and removed entries go to master and equals, port status to all', async () => {
    await role(peers[0], MASTER, 1n);
    await role(peers[2], SLAVE, 1n);
    await peers[0].entries({ priority: 0, instructions: output(Port.CONTROLLER) });
    await sendEcho();
    // With the master's, which ping did not wait for, all have left the device.
    await peers[0].next('packet_in', isPing);
    expect(await heard('packet_in')).toEqual([0, 1, 0]);

    await peers[0].entries({ priority: 9, flags: 1, match: { in_port: 7 } });
    await peers[1].entries({ command: FlowModCommand.DELETE, match: { in_port: 7 } });
    expect(await heard('flow_removed')).toEqual([1, 1, 0]);

    await net.link('h2', 's1').down('a');
    await Promise.all(peers.map((peer) => peer.next('port_status', ({ desc }) => desc.state === 1)));
    await net.link('h2', 's1').up('a');
    await Promise.all(peers.map((peer) => peer.next('port_status', ({ desc }) => desc.state === 4)));
  });

  test('asynchronous messages as each controller configures them', async () => {
    const off: [number, number] = [0, 0];
    peers[1].send({ type: 'set_async', packet_in_mask: off, port_status_mask: off, flow_removed_mask: off });
    peers[2].send({
      type: 'set_async',
      packet_in_mask: [0, 7],
      port_status_mask: off,
      flow_removed_mask: [0, 15],
    });
    expect(await peers[2].call('get_async_reply', { type: 'get_async_request' })).toMatchObject({
      packet_in_mask: [0, 7],
    });
    await heard('');
    await sendEcho();
    await peers[0].next('packet_in', isPing);
    expect(await heard('packet_in')).toEqual([0, 0, 1]);
  });

  test('a slave changes nothing; the master can be replaced, and knows by its next request', async () => {
    await expect(peers[2].entries({ priority: 5 })).resolves.toBeUndefined();
    expect(await peers[2].next('error')).toMatchObject({ error_type: 1, code: 10 });
    await role(peers[2], MASTER, 2n);
    expect((await status()).controllers.map(({ role }) => role)).toEqual(['slave', 'equal', 'master']);
    peers[0].send({ type: 'flow_mod' });
    expect(await peers[0].next('error')).toMatchObject({ error_type: 1, code: 10 });
    await expect(role(peers[0], MASTER, 1n)).rejects.toMatchObject({ answer: { error_type: 11, code: 0 } });
  });

  test('the master dies: entries stay, another takes over, and the old one comes back as an equal', async () => {
    await peers[2].entries(
      { command: FlowModCommand.DELETE, table_id: 0xff },
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    peers[2].socket.destroy();
    await agent.shows<{ controllers: View[] }>(
      '/status',
      ({ controllers }) => controllers[2].role !== 'master',
    );
    expect((await answered(2)).stdout).toContain(' 0% packet loss');
    await role(peers[0], MASTER, 3n);
    await peers[0].entries({ priority: 77, match: { in_port: 9 } });
    peers[2] = await controllers[2].device();
    expect(await role(peers[2], 0, 0n)).toMatchObject({ role: EQUAL, generation_id: 3n });
    expect((await status()).controllers.map(({ role }) => role)).toEqual(['master', 'equal', 'equal']);
  });

  const bundled = (peer: Peer, messages: MessageInit[], last: number) => {
    const control = (type: number) => ({
      type: 'experimenter' as const,
      experimenter: ONF_EXPERIMENTER,
      exp_type: OnfType.BUNDLE_CONTROL,
      data: encodeControl({ id: 4, type, flags: 3 }),
    });
    peer.send(control(BundleCtrlType.OPEN_REQUEST));
    for (const [i, message] of messages.entries()) {
      const xid = 9000 + i;
      const inside = encode({ ...message, xid });
      const data = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 3, ...inside);
      const exp_type = OnfType.BUNDLE_ADD_MESSAGE;
      peer.send({ type: 'experimenter', xid, experimenter: ONF_EXPERIMENTER, exp_type, data });
    }
    return peer.call('experimenter', control(last));
  };
  const entries = async (peer: Peer) => {
    const reply = await peer.call('multipart_reply', { type: 'multipart_request', body: { type: 'flow' } });
    return reply.body.type === 'flow' ? reply.body.flows.map(({ priority }) => priority).sort() : [];
  };
  const add = (priority: number, more = {}): MessageInit => ({ type: 'flow_mod', priority, ...more });

  test('bundles: all of it, or nothing', async () => {
    const [peer] = peers;
    await peer.entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    await bundled(peer, [add(1), add(2)], BundleCtrlType.DISCARD_REQUEST);
    expect(await entries(peer)).toEqual([]);
    await bundled(
      peer,
      [add(1), add(2), add(3, { command: FlowModCommand.DELETE_STRICT })],
      BundleCtrlType.COMMIT_REQUEST,
    );
    expect(await entries(peer)).toEqual([1, 2]);
    const wrong = bundled(peer, [add(3), add(4, { table_id: 0xff }), add(5)], BundleCtrlType.COMMIT_REQUEST);
    await expect(wrong).rejects.toMatchObject({ answer: { error_type: 0xffff, code: 2313 } });
    expect(await peer.next('error')).toMatchObject({ xid: 9001, error_type: 5, code: 2 });
    expect(await entries(peer)).toEqual([1, 2]);
  });

  test.each([1, 5, 6])('another version beside: wire version %i', async (version) => {
    for (const peer of peers) peer.socket.destroy();
    const mine = await controllers[0].device(version);
    peers = [mine, await controllers[1].device(), await controllers[2].device()];
    await peers[1].entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    expect((await status()).controllers.map(({ version }) => version)).toEqual([version, 4, 4]);
    await mine.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    expect((await answered(2)).stdout).toContain(' 0% packet loss');
    const seen = await mine.call('multipart_reply', { type: 'multipart_request', body: { type: 'flow' } });
    expect(seen.body).toMatchObject({ flows: [{ match: { in_port: 1 } }, { match: { in_port: 2 } }] });
    const ports = await mine.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_desc' },
    });
    expect(ports.body).toMatchObject({ ports: [{ name: 's1-eth1' }, { name: 's1-eth2' }] });
    await peers[1].entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    await mine.entries({ priority: 1, instructions: output(Port.CONTROLLER) });
    await sendEcho();
    const here = await mine.next('packet_in', isPing);
    const there = await peers[1].next('packet_in', isPing);
    expect(here.data).toEqual(there.data);
    // The error has the bytes of the request as they were sent.
    const request: MessageInit = {
      type: 'flow_mod',
      xid: 4711,
      match: { in_port: 1 },
      instructions: output(0xfffffff0),
    };
    mine.send(request);
    const error = await mine.next('error');
    const [sent] = mine.speech.encode(request);
    expect(error).toMatchObject({ xid: 4711, error_type: 2, code: 4 });
    expect(error.data).toEqual(sent.subarray(0, 128));
  });
});
