import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { DispatchCommand, encode, FlowModCommand, type MessageInit } from '../../openflow/index.ts';
import { AgentProcess, FakeController, ping as pingFrom, pingInVain } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0 }] },
];
const HELLO: MessageInit = { type: 'hello', elements: [{ type: 'versionbitmap', versions: [4] }] };

/** Waits for the end of a process that is nobody's child any more (dead, or dead and not yet fetched by init). */
const gone = async (pid: number): Promise<boolean> => {
  for (let tries = 0; tries < 2000; tries++) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      if (stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')) return true;
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
};

interface PortView {
  number: number;
  hardware_address: string;
  config: number;
}

describeNetwork('the agent when things go wrong', () => {
  let net: Network<'s1', string>;
  let controller: FakeController;
  let agent: AgentProcess | undefined;

  beforeAll(async () => {
    net = await singleSwitch(2, { staticArp: true });
    controller = await FakeController.start(net.switches.s1);
  });
  afterEach(async () => {
    await agent?.stop();
    agent = undefined;
    await controller.idle();
  });
  afterAll(async () => {
    await controller?.close();
    await net?.close();
  });

  const start = (more: object = {}, folder?: string) =>
    AgentProcess.start(
      net.switches.s1,
      { controllers: [{ host: '127.0.0.1', port: controller.port }], connection: { retryMs: 20 }, ...more },
      folder,
    );
  const ping = () => pingFrom(net.hosts.h1, net.hosts.h2.ip, 2);

  test('killed: its sandbox host goes with it, and the next agent takes its place', async () => {
    const first = await start();
    await controller.device();
    const [{ pid }] = await first.local<{ pid: number }[]>('/hosts');
    expect(statSync(first.socketPath).mode & 0o777).toBe(0o600);
    await expect(start({}, first.folder)).rejects.toThrow(/FC_ALREADY_RUNNING|is running/);
    await first.kill();
    expect(existsSync(first.socketPath)).toBe(true);
    agent = await start({}, first.folder);
    const peer = await controller.device();
    await peer.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    expect((await ping()).stdout).toContain(' 0% packet loss');
    expect(await gone(pid)).toBe(true);
    const [{ pid: mine }] = await agent.local<{ pid: number }[]>('/hosts');
    agent.child.kill('SIGTERM');
    const [code] = await once(agent.child, 'exit');
    expect(code).toBe(0);
    expect(existsSync(agent.socketPath)).toBe(false);
    expect(await gone(mine)).toBe(true);
  });

  test('fail mode standalone: a learning switch until the controller comes, and when it goes', async () => {
    agent = await start({ failMode: 'standalone' });
    expect((await ping()).stdout).toContain(' 0% packet loss');
    const peer = await controller.device();
    expect(await agent.local('/status')).toMatchObject({ standalone: false, connection: 'established' });
    expect((await pingInVain(net.hosts.h1, net.hosts.h2.ip)).stdout).toContain('100% packet loss');
    peer.socket.destroy();
    await agent.shows<{ standalone: boolean }>('/status', ({ standalone }) => standalone);
    expect((await ping()).stdout).toContain(' 0% packet loss');
  });

  test.each([
    ['no hello', [{ type: 'features_request' }]],
    ['another version only', [{ type: 'hello', elements: [{ type: 'versionbitmap', versions: [2, 3] }] }]],
  ] as [string, MessageInit[]][])(
    '%s: HELLO_FAILED and the end of the connection',
    async (_name, messages) => {
      agent = await start();
      const peer = await controller.connection();
      peer.send(...messages);
      expect(await peer.next('error')).toMatchObject({ error_type: 0, code: 0 });
      await peer.ended();
      await controller.device();
    },
  );

  test('a header that cannot be ends the connection; the agent reconnects', async () => {
    agent = await start();
    const peer = await controller.connection();
    peer.send(HELLO);
    peer.write(Uint8Array.of(4, 0, 0, 7, 0, 0, 0, 0));
    expect(await peer.next('error')).toMatchObject({ error_type: 1, code: 6 });
    await peer.ended();
    await controller.device();
  });

  test('another version after hello: BAD_VERSION with its bytes, and the connection goes on', async () => {
    agent = await start();
    const peer = await controller.device();
    const foreign = Uint8Array.of(1, 5, 0, 8, 0, 0, 0, 9);
    peer.write(foreign);
    const error = await peer.next('error');
    expect(error).toMatchObject({ xid: 9, error_type: 1, code: 0 });
    expect(error.data).toEqual(foreign);
    await peer.entries();
  });

  test('a message begun and never finished ends the connection after its time limit', async () => {
    agent = await start({ connection: { retryMs: 20, partialMs: 100, idleMs: 200 } });
    const peer = await controller.device();
    peer.write(Uint8Array.of(4, 14, 1, 0, 0, 0));
    await peer.ended();
    await controller.device();
  });

  test('a silent controller is asked, then given up', async () => {
    agent = await start({ connection: { retryMs: 20, idleMs: 50, deadMs: 1000 } });
    const peer = await controller.connection();
    peer.send(HELLO);
    await peer.next('echo_request');
    peer.socket.pause();
    await controller.device();
    peer.socket.destroy();
  });

  test('mutated messages: errors, no crash, and the switch still switches', async () => {
    agent = await start();
    let peer = await controller.device();
    const samples: MessageInit[] = [
      {
        type: 'flow_mod',
        match: { in_port: 1, eth_type: 0x0800, ipv4_dst: '10.9.9.9' },
        instructions: output(2),
      },
      { type: 'packet_out', actions: [{ type: 'output', port: 2, max_len: 0 }], data: new Uint8Array(64) },
      { type: 'multipart_request', body: { type: 'flow', match: { eth_type: 0x0806 } } },
      { type: 'dispatch_rule', match: { eth_type: 0x0806 }, cells: [{}] },
      { type: 'dispatch_config', query_timeout_ms: 100 },
      { type: 'program', hash: '00'.repeat(32), total_len: 5, data: new Uint8Array(5) },
      { type: 'role_request', role: 1 },
      { type: 'set_async', packet_in_mask: [7, 7], port_status_mask: [7, 7], flow_removed_mask: [15, 15] },
    ];
    // A small generator of our own, so that a failure can be had again.
    let seed = 12345;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let i = 0; i < 3000; i++) {
      const bytes = encode({ ...samples[i % samples.length], xid: 50_000 + i } as MessageInit);
      for (let flips = 1 + random(3); flips > 0; flips--) bytes[4 + random(bytes.length - 4)] = random(256);
      if (i % 7 === 0) bytes[1] = random(32);
      if (peer.open) peer.write(bytes);
    }
    // Whatever mode that has left it in: a new connection, and the switch is an ordinary one.
    peer.socket.destroy();
    peer = await controller.device();
    await peer.call('dispatch_config', { type: 'dispatch_config', miss: 1 });
    peer.send({ type: 'dispatch_rule', command: DispatchCommand.DELETE });
    for (const { number, hardware_address, config } of await agent.local<PortView[]>('/ports')) {
      peer.send({ type: 'port_mod', port_no: number, hw_addr: hardware_address, config: 0, mask: config });
    }
    await peer.entries({ command: FlowModCommand.DELETE, table_id: 0xff });
    await peer.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    expect((await ping()).stdout).toContain(' 0% packet loss');
    expect(agent.child.exitCode).toBeNull();
  });
});
