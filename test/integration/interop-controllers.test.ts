/** Other people's controllers drive our switch: ping, TCP with offloads on, and tagged frames. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serve, Traffic } from '../../cli/demo/hosts.ts';
import { type Network, singleSwitch, topology } from '../../mininet/topology.ts';
import { ethernet, ipv4, udp, vlan } from '../../packet/index.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { TesterPort } from '../conformance/tester-port.ts';
import { AgentProcess, ping as pingFrom } from '../support/agent-lab.ts';
import {
  CONTROLLER_PORT,
  FOREIGN_CONTROLLERS,
  ForeignController,
  testController,
} from '../support/foreign-controllers.ts';
import { describeNetwork } from '../support/suites.ts';

const controllers = [{ host: '127.0.0.1', port: CONTROLLER_PORT }];
/** The controllers take a second to listen. */
const connection = { retryMs: 50, maxRetryMs: 200 };
const TRANSFER_BYTES = 20_000_000;

type Hosts = Network<'s1', string>['hosts'];

const ping = async (hosts: Hosts, from: string, ip: string) => (await pingFrom(hosts[from], ip, 5)).stdout;

/** Until one answer comes: the first packets find the controller still starting, or an address unresolved. */
const reach = async (hosts: Hosts, from: string, ip: string) => {
  for (let tries = 0; tries < 40; tries++) {
    const result = await hosts[from].exec(['ping', '-q', '-c1', '-W1', ip], { anyExit: true });
    if (result.code === 0) return;
  }
  throw new Error(`${from} never reached ${ip}`);
};

let tcpPort = 5000;

/** One TCP connection with the hosts' offloads on; the receiver's SHA-256 has to be the sender's. */
const transfer = async (hosts: Hosts, from: string, to: string) => {
  // A server stays until its network ends.
  const port = ++tcpPort;
  await serve(hosts[to], 'tcp-receive', port);
  return await new Traffic(hosts[from], ['tcp-send', hosts[to].ip, port, 1, TRANSFER_BYTES]).next();
};
const intact = { ok: true, bytes: TRANSFER_BYTES };

/** A tagged frame from one host's wire to another's; both ends see the bytes as they are. */
const tagged = async (hosts: Hosts, from: string, to: string) => {
  const ends = [from, to].map((name, i) => new TesterPort(i, hosts[name].namespace, hosts[name].interface));
  const frame = vlan(
    ethernet({
      src: hosts[from].mac,
      dst: hosts[to].mac,
      type: 0x0800,
      payload: ipv4({ proto: 17, payload: udp({ payload: new TextEncoder().encode('tagged') }) }),
    }),
    { vid: 42, pcp: 3 },
  );
  const loop = new PollLoop();
  try {
    return await new Promise<boolean>((resolve) => {
      const again = setInterval(() => ends[0].send(frame), 100);
      const end = (arrived: boolean) => {
        clearInterval(again);
        clearTimeout(limit);
        resolve(arrived);
      };
      const limit = setTimeout(() => end(false), 30_000);
      loop.watch(ends[1].fd, () =>
        ends[1].receive((got) => {
          if (Buffer.from(got).equals(frame)) end(true);
        }),
      );
      loop.start();
      ends[0].send(frame);
    });
  } finally {
    loop.stop();
    for (const one of ends) one.close();
  }
};

const NEEDS = ['osken-manager', 'ovs-testcontroller', 'ping'];

const LEARNING: [name: string, argv: readonly string[]][] = [
  ['os-ken learning switch', FOREIGN_CONTROLLERS['os-ken learning switch']],
  ['os-ken learning switch, OpenFlow 1.0', FOREIGN_CONTROLLERS['os-ken learning switch, OpenFlow 1.0']],
  ...['OpenFlow10', 'OpenFlow13', 'OpenFlow14', 'OpenFlow15'].map((protocol): [string, string[]] => [
    `Open vSwitch's test controller, ${protocol}`,
    testController(protocol),
  ]),
];

describeNetwork('controllers that learn', NEEDS, () => {
  describe.each(LEARNING)('%s', (_name, argv) => {
    let net: Network<'s1', string>;
    let controller: ForeignController;
    let agent: AgentProcess;

    beforeAll(async () => {
      net = await singleSwitch(3);
      controller = new ForeignController(net.switches.s1, argv);
      agent = await AgentProcess.start(net.switches.s1, { controllers, connection });
      await reach(net.hosts, 'h1', net.hosts.h2.ip);
    });
    afterAll(async () => {
      await agent?.stop();
      await controller?.stop();
      await net?.close();
    });

    test('ping', async () => {
      await reach(net.hosts, 'h1', net.hosts.h3.ip);
      expect(await ping(net.hosts, 'h1', net.hosts.h2.ip)).toContain(' 0% packet loss');
      expect(await ping(net.hosts, 'h3', net.hosts.h1.ip)).toContain(' 0% packet loss');
      expect(controller.output).not.toMatch(/traceback|OFPERR|EventOFPErrorMsg/i);
    });
    test('TCP', async () => {
      expect(await transfer(net.hosts, 'h2', 'h1')).toMatchObject(intact);
    });
    test('VLAN-tagged frames', async () => {
      expect(await tagged(net.hosts, 'h1', 'h3')).toBe(true);
    });
  });
});

describeNetwork("Faucet's pipeline", NEEDS, () => {
  let net: Network<'s1', string>;
  let controller: ForeignController;
  const agents: AgentProcess[] = [];

  // Two switches in one namespace, where the controller is, with a trunk between them.
  beforeAll(async () => {
    net = await topology({
      switches: { s1: {} },
      hosts: {
        h1: { ip: '10.0.1.1/24' },
        h2: { ip: '10.0.2.2/24' },
        h3: { ip: '10.0.1.3/24' },
        h4: { ip: '10.0.2.4/24' },
      },
      links: [
        ['h1', 's1'],
        ['h2', 's1'],
        ['h3', 's1'],
        ['h4', 's1'],
      ],
    });
    const { s1 } = net.switches;
    await s1.configure(['link add t1 type veth peer name t2', 'link set t1 up', 'link set t2 up']);
    for (const host of Object.values(net.hosts)) {
      await host.configure([`route add default via ${host.ip.replace(/\.\d+$/, '.254')}`]);
    }
    controller = new ForeignController(s1, FOREIGN_CONTROLLERS['os-ken Faucet pipeline']);
    const ports = [
      [s1.ports[0], s1.ports[1], 't1'],
      [s1.ports[2], s1.ports[3], 't2'],
    ];
    for (const [i, names] of ports.entries()) {
      agents.push(
        await AgentProcess.start(s1, { datapathId: `${i + 1}`, ports: names, controllers, connection }),
      );
    }
  });
  afterAll(async () => {
    for (const agent of agents) await agent.stop();
    await controller?.stop();
    await net?.close();
  });

  test('bridges within a VLAN, over the trunk', async () => {
    await reach(net.hosts, 'h1', net.hosts.h3.ip);
    expect(await ping(net.hosts, 'h1', net.hosts.h3.ip)).toContain(' 0% packet loss');
    await reach(net.hosts, 'h2', net.hosts.h4.ip);
    expect(await transfer(net.hosts, 'h2', 'h4')).toMatchObject(intact);
  });

  test('routes between VLANs', async () => {
    await reach(net.hosts, 'h1', net.hosts.h2.ip);
    await reach(net.hosts, 'h1', net.hosts.h4.ip);
    const { stdout } = await net.hosts.h1.exec(['ping', '-c1', '-W10', net.hosts.h4.ip]);
    expect(stdout).toContain('ttl=63');
    expect(await transfer(net.hosts, 'h1', 'h4')).toMatchObject(intact);
  });

  test('without an error from the switches', () => {
    expect(controller.output).not.toMatch(/traceback|OFPERR|untagged/i);
  });
});
