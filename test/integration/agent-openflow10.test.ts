/** A switch of OpenFlow 1.0: a foreign controller, and one of ours that speaks it through the dialect. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { FlowModCommand, Port } from '../../openflow/index.ts';
import * as v10 from '../../openflow/v10/index.ts';
import { AgentProcess, FakeController, ping as pingFrom, pingInVain } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const OPENFLOW_10 = 1;
const PORT = 6653;

describeNetwork('a switch of OpenFlow 1.0', () => {
  let net: Network<'s1', string>;
  let agent: AgentProcess;
  let controller: FakeController | undefined;

  beforeEach(async () => {
    net = await singleSwitch(2);
  });
  afterEach(async () => {
    await agent?.stop();
    await controller?.close();
    await net?.close();
  });

  const ping = (size: number) => pingFrom(net.hosts.h1, net.hosts.h2.ip, 3, `-s${size}`);
  const start = async (port: number) => {
    const controllers = [{ host: '127.0.0.1', port }];
    agent = await AgentProcess.start(net.switches.s1, { controllers, connection: { retryMs: 20 } });
  };

  test("Open vSwitch's test controller runs it: whole packets go to it and come back", async () => {
    const command = ['ovs-testcontroller', '--unixctl=none', '-O', 'OpenFlow10', `ptcp:${PORT}:127.0.0.1`];
    const foreign: ChildProcess = net.switches.s1.spawn(command, { stdio: ['ignore', 'inherit', 'inherit'] });
    await once(foreign, 'spawn');
    await start(PORT);
    await agent.shows<{ controllers: { version?: number }[] }>(
      '/status',
      ({ controllers }) => controllers[0].version === OPENFLOW_10,
    );
    // Larger than what a miss may be cut to; the first ones are flooded out of the controller's hand.
    const { stdout } = await ping(1400);
    expect(stdout).toContain(' 3 received');
  });

  test('actions, statistics and a modify that adds, as 1.0 has them', async () => {
    controller = await FakeController.start(net.switches.s1);
    await start(controller.port);
    const peer = await controller.device(OPENFLOW_10);
    const flowMod = (init: Partial<Extract<v10.MessageInit, { type: 'flow_mod' }>>) =>
      peer.write(v10.encode({ type: 'flow_mod', ...init }));
    const flows = async () => {
      const body = { type: 'flow' as const, match: {} };
      const reply = await peer.call('multipart_reply', { type: 'multipart_request', body });
      if (reply.body.type !== 'flow') throw new Error(reply.body.type);
      return reply.body.flows;
    };
    const other = (port: number) => ({
      match: { in_port: port },
      actions: [{ type: 'output', port: 3 - port } as const],
    });
    flowMod({ ...other(1), command: FlowModCommand.MODIFY_STRICT, priority: 7 });
    flowMod({ ...other(2), command: FlowModCommand.MODIFY, priority: 8 });
    await peer.call('barrier_reply', { type: 'barrier_request' });
    expect((await ping(1400)).stdout).toContain(' 3 received');
    expect(await flows()).toMatchObject([
      { priority: 7, match: { in_port: 1 } },
      { priority: 8, match: { in_port: 2 } },
    ]);
    // A tag that is set and taken again leaves the packet as it was.
    const tagged = { ...other(1).actions[0], port: v10.Port.CONTROLLER };
    const actions = [{ type: 'set_vlan_vid', vlan_vid: 5 } as const, tagged];
    flowMod({ match: { in_port: 1, dl_type: 0x0800 }, priority: 9, actions });
    await peer.call('barrier_reply', { type: 'barrier_request' });
    await pingInVain(net.hosts.h1, net.hosts.h2.ip);
    const { data, match } = await peer.next('packet_in');
    expect(match.in_port).toBe(1);
    expect([...data.subarray(12, 18)]).toEqual([0x81, 0, 0, 5, 8, 0]);
    const [entry] = (await flows()).filter(({ priority }) => priority === 9);
    expect(entry.instructions).toMatchObject([
      {
        actions: [
          { type: 'push_vlan' },
          { type: 'set_field', field: { vlan_vid: 0x1005 } },
          { type: 'output', port: Port.CONTROLLER },
        ],
      },
    ]);
  });
});
