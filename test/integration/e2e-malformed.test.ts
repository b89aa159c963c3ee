import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { serve } from '../../cli/demo/hosts.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import type { MessageInit } from '../../openflow/index.ts';
import { AgentProcess, FakeController } from '../support/agent-lab.ts';
import { Lab, Probe } from '../support/e2e-lab.ts';
import { nonsense } from '../support/e2e-nonsense.ts';
import { describeNetwork } from '../support/suites.ts';

const NODE = join(import.meta.dirname, '../../bin/node');
const FAKE_DEVICE = join(import.meta.dirname, '../support/e2e-fake-device.ts');
const ECHO_PORT = 7;
const MESSAGES = 5000;

describeNetwork('malformed messages while a flow runs', ['ping'], () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  test('from a device: errors, and the controller serves the others as before', async () => {
    const lab = await Lab.start();
    cleanups.push(() => lab.close());
    const { h1, h2 } = lab.hosts;
    await serve(h2, 'udp-echo', ECHO_PORT);
    const flow = await Probe.start(h1, h2.ip, ECHO_PORT);
    const { stdout } = await lab.net.switches.s1.exec([NODE, FAKE_DEVICE, '6653', String(MESSAGES)]);
    const { errors, alive } = JSON.parse(stdout);
    expect(alive).toBe(true);
    expect(errors).toBeGreaterThan(0);
    const counters = await lab.controllerGet<Record<string, number>>('/counters');
    expect(counters).toMatchObject({ malformed_messages: MESSAGES });
    expect(await lab.ping(h2, h1, 3)).toBe(3);
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
    await lab.settled();
  });

  test('from a controller: errors, and the agent switches on', async () => {
    const net: Network<'s1', string> = await singleSwitch(2, { staticArp: true });
    cleanups.push(() => net.close());
    const { s1 } = net.switches;
    const { h1, h2 } = net.hosts;
    const controller = await FakeController.start(s1);
    cleanups.push(() => controller.close());
    const agent = await AgentProcess.start(s1, {
      controllers: [{ host: '127.0.0.1', port: controller.port }],
    });
    cleanups.push(() => agent.stop());
    const peer = await controller.device();
    await peer.call('dispatch_config', { type: 'dispatch_config', query_timeout_ms: 5000 });
    await serve(h2, 'udp-echo', ECHO_PORT);
    const flow = Probe.open(h1, h2.ip, ECHO_PORT);
    const query = await peer.next('dispatch_query');
    const { in_port, ...match } = query.match;
    peer.send({ type: 'dispatch_rule', query_id: query.query_id, match, flags: 1, cells: [{}] });
    const { cell } = await peer.next('cell_status');
    const to = (port: number) => [
      { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0 }] },
    ];
    await peer.entries(
      { match: { cell, in_port: 1 }, instructions: to(2) },
      { match: { cell, in_port: 2 }, instructions: to(1) },
    );
    await flow.answered();

    const samples: MessageInit[] = [
      { type: 'flow_mod', match: { ...match, cell }, instructions: to(3) },
      { type: 'packet_out', actions: [{ type: 'output', port: 2, max_len: 0 }], data: new Uint8Array(64) },
      { type: 'multipart_request', body: { type: 'flow', match: { cell } } },
      { type: 'dispatch_rule', match, cells: [{}] },
      { type: 'dispatch_config', query_timeout_ms: 1 },
      { type: 'program', hash: '00'.repeat(32), total_len: 5, data: new Uint8Array(5) },
      { type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:01', config: 1, mask: 1 },
      { type: 'experimenter', experimenter: 0xf10cce11, exp_type: 99, data: new Uint8Array(16) },
    ];
    for (const bytes of nonsense(samples, MESSAGES)) peer.write(bytes);
    await peer.call('barrier_reply', { type: 'barrier_request' });
    const errors = peer.received.filter(({ type }) => type === 'error');
    expect(errors).toHaveLength(MESSAGES);
    expect(await agent.local('/counters')).toMatchObject({ connection: { malformed: MESSAGES } });
    expect(await flow.finish()).toMatchObject({ lost: 0, last_answered: true });
  });
});
