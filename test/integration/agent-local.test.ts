import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  FlowModCommand,
  PortConfig,
  PortFeatures,
  Port as PortNumber,
  PortReason,
  PortState,
} from '../../openflow/index.ts';
import { AgentProcess, ping, pingInVain, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { hasCommand } from '../support/environment.ts';
import { describeNetwork } from '../support/suites.ts';

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0xffff }] },
];
/** Sends `bytes` over TCP to h1, which counts them. */
const SERVER = `require('net').createServer({ allowHalfOpen: true }, (s) => {
  let n = 0; s.on('data', (d) => { n += d.length; }); s.on('end', () => s.end(String(n)));
}).listen(7001, '0.0.0.0', () => console.log('ready'));`;
const CLIENT = `const s = require('net').connect(7001, '10.0.0.1');
s.on('data', (d) => process.stdout.write(d)); s.end(Buffer.alloc(5000000));`;

describeNetwork('the local port', () => {
  let lab: SwitchLab;
  let net: SwitchLab['net'];
  let agent: SwitchLab['agent'];
  let peer: SwitchLab['peer'];

  beforeAll(async () => {
    lab = await switchLab(1, { agent: { local: 'prt-local' } });
    ({ net, agent, peer } = lab);
    await net.switches.s1.configure(['addr add 10.0.0.250/24 dev prt-local']);
  });
  afterAll(() => lab?.stop());

  const s1 = () => net.switches.s1;
  /** The switch's own machine asks h1, of whose address it knows nothing yet. */
  const pingHost = async (count: number) => {
    for (const node of [s1(), net.hosts.h1]) await node.exec(['ip', 'neigh', 'flush', 'all']);
    return await ping(s1(), '10.0.0.1', count);
  };
  const wire = () =>
    peer.entries(
      { command: FlowModCommand.DELETE, table_id: 0xff },
      { match: { in_port: 1 }, instructions: output(PortNumber.LOCAL) },
      { match: { in_port: PortNumber.LOCAL }, instructions: output(1) },
    );

  test('is described and counted among the ports', async () => {
    const desc = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_desc' },
    });
    const local = { port_no: PortNumber.LOCAL, name: 'prt-local', config: 0, state: PortState.LIVE };
    expect(desc.body).toMatchObject({ ports: [{ port_no: 1 }, local] });
    const stats = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_stats', port_no: PortNumber.LOCAL },
    });
    expect(stats.body).toMatchObject({ ports: [{ port_no: PortNumber.LOCAL }] });
  });

  test('the machine of the switch pings through it, and in_port says LOCAL', async () => {
    await peer.entries({ priority: 0, instructions: output(PortNumber.CONTROLLER) });
    const first = pingInVain(s1(), '10.0.0.1');
    const request = await peer.next('packet_in', ({ match }) => match.in_port === PortNumber.LOCAL);
    expect(request.data.slice(12, 14)).toEqual(new Uint8Array([8, 6]));
    await first;
    await wire();
    const { stdout } = await pingHost(3);
    expect(stdout).toContain(' 0% packet loss');
    type Local = { name: string; rxPackets: number; txPackets: number };
    const local = (await agent.local<Local[]>('/ports'))[1];
    expect(local.name).toBe('prt-local');
    expect(local.rxPackets).toBeGreaterThanOrEqual(3);
    expect(local.txPackets).toBeGreaterThanOrEqual(3);
  });

  test('TCP passes both ways with checksums and segmentation left to the switch', async () => {
    await wire();
    const server = net.hosts.h1.spawn([process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => server.stdout!.once('data', resolve));
    const { stdout } = await s1().exec([process.execPath, '-e', CLIENT]);
    expect(stdout).toBe('5000000');
    server.kill();
  });

  test('a flood reaches it, and a port_mod sets it down', async () => {
    await peer.entries(
      { command: FlowModCommand.DELETE, table_id: 0xff },
      { instructions: output(PortNumber.FLOOD) },
    );
    const { stdout } = await pingHost(2);
    expect(stdout).toContain(' 0% packet loss');
    const desc = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'port_desc' },
    });
    const ports = desc.body.type === 'port_desc' ? desc.body.ports : [];
    const [port_no, hw_addr] = [PortNumber.LOCAL, ports[1].hw_addr];
    peer.received.length = 0;
    peer.send({ type: 'port_mod', port_no, hw_addr, config: 1, mask: 1 });
    const down = await peer.next('port_status', ({ desc }) => desc.port_no === PortNumber.LOCAL);
    expect(down).toMatchObject({ reason: PortReason.MODIFY, desc: { config: PortConfig.PORT_DOWN } });
    expect((await s1().exec(['ip', '-o', 'link', 'show', 'prt-local'])).stdout).not.toMatch(/<.*\bUP\b/);
    peer.send({ type: 'port_mod', port_no, hw_addr, config: 0, mask: 1 });
    await peer.next(
      'port_status',
      ({ desc }) => desc.port_no === port_no && desc.config === 0 && desc.state === PortState.LIVE,
    );
  });

  test.skipIf(!hasCommand('ethtool'))('a link that comes back with another speed says so', async () => {
    peer.received.length = 0;
    await s1().exec(['ethtool', '-s', 'prt-local', 'speed', '100', 'duplex', 'half']);
    await s1().configure(['link set prt-local down', 'link set prt-local up']);
    const { desc } = await peer.next('port_status', ({ desc }) => desc.state === PortState.LIVE);
    expect(desc).toMatchObject({
      port_no: PortNumber.LOCAL,
      curr: PortFeatures['100MB_HD'] | PortFeatures.COPPER,
      curr_speed: 100_000,
    });
  });

  test('taken away by somebody else it is gone, and a TAP of its name takes its place', async () => {
    await s1().configure(['link del prt-local']);
    await peer.next('port_status', ({ reason }) => reason === PortReason.DELETE);
    await s1().exec(['ip', 'tuntap', 'add', 'prt-local', 'mode', 'tap']);
    // While ip has the device open itself the agent cannot; it tries again at the next change.
    await s1().configure(['addr add 10.0.0.250/24 dev prt-local', 'link set prt-local up']);
    const back = await peer.next('port_status', ({ reason }) => reason === PortReason.ADD);
    expect(back.desc).toMatchObject({ port_no: PortNumber.LOCAL, name: 'prt-local' });
    await agent.shows<{ running: boolean }[]>('/ports', ([, local]) => local.running);
    await wire();
    const { stdout } = await pingHost(2);
    expect(stdout).toContain(' 0% packet loss');
    // Persistent devices outlive the agent: it goes by hand.
    await s1().configure(['link del prt-local']);
    await peer.next('port_status', ({ reason }) => reason === PortReason.DELETE);
  });

  test('a name that is taken keeps the agent from starting, and it says why', async () => {
    const start = AgentProcess.start(s1(), { controllers: [], local: 's1-eth1', ports: [] });
    await expect(start).rejects.toThrow(/FC_PORT_OPEN|TAP device s1-eth1/);
  });

  test('a device made by the agent goes with it', async () => {
    const other = await AgentProcess.start(s1(), { controllers: [], local: 'prt-other', ports: [] });
    await s1().exec(['ip', 'link', 'show', 'prt-other']);
    await other.stop();
    const { code } = await s1().exec(['ip', 'link', 'show', 'prt-other'], { anyExit: true });
    expect(code).not.toBe(0);
  });
});
