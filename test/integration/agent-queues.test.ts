import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import {
  ErrorType,
  FlowModCommand,
  Port as PortNumber,
  PortReason,
  QueueOpFailedCode,
} from '../../openflow/index.ts';
import { ethernet } from '../../packet/index.ts';
import {
  AgentProcess,
  FAST_PATHS,
  FakeController,
  type Peer,
  ping as pingFrom,
} from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const ALL_QUEUES = 0xffffffff;
const QUEUES = [
  { port: 's1-eth2', id: 0, max: 5e9 },
  { port: 's1-eth2', id: 1, min: 1e9, max: 2e9 },
];

const actions = (port: number, queue?: number) => [
  ...(queue === undefined ? [] : [{ type: 'set_queue' as const, queue_id: queue }]),
  { type: 'output' as const, port, max_len: 0xffff },
];
const send = (port: number, queue?: number) => [
  { type: 'apply_actions' as const, actions: actions(port, queue) },
];

describeNetwork('queues by traffic classes', ['tc'], () => {
  describe.each(FAST_PATHS)('%s', (_mode, fastPath) => {
    let net: Network<'s1', string>;
    let controller: FakeController;
    let agent: AgentProcess;
    let peer: Peer;

    const start = async () => {
      agent = await AgentProcess.start(net.switches.s1, {
        controllers: [{ host: '127.0.0.1', port: controller.port }],
        queues: QUEUES,
        fastPath,
      });
      peer = await controller.device();
    };
    beforeAll(async () => {
      net = await singleSwitch(2, { staticArp: true });
      controller = await FakeController.start(net.switches.s1);
      await start();
    });
    afterAll(async () => {
      await agent?.stop();
      await controller?.close();
      await net?.close();
    });

    const tc = (...args: string[]) => net.switches.s1.exec(['tc', ...args]);
    const wire = (queue: number | undefined) =>
      peer.entries(
        { command: FlowModCommand.DELETE, table_id: 0xff },
        { match: { in_port: 1 }, instructions: send(2, queue) },
        { match: { in_port: 2 }, instructions: send(1) },
      );
    /** h1 asks h2 `count` times: so many packets leave by port 2. */
    const ping = async (count: number) => {
      const { stdout } = await pingFrom(net.hosts.h1, net.hosts.h2.ip, count);
      expect(stdout).toContain(' 0% packet loss');
    };
    const config = async (port: number) => {
      const request = { type: 'queue_get_config_request', port } as const;
      return (await peer.call('queue_get_config_reply', request)).queues;
    };
    const stats = async (port_no: number, queue_id = ALL_QUEUES) => {
      const { body } = await peer.call('multipart_reply', {
        type: 'multipart_request',
        body: { type: 'queue', port_no, queue_id },
      });
      return body.type === 'queue' ? body.queues : [];
    };
    const packets = async (port: number, queue: number) => (await stats(port, queue))[0].tx_packets;

    test('those of the options are there, with their rates', async () => {
      const of2 = [
        {
          port: 2,
          queue_id: 0,
          properties: [
            { type: 'min_rate', rate: 1 },
            { type: 'max_rate', rate: 500 },
          ],
        },
        {
          port: 2,
          queue_id: 1,
          properties: [
            { type: 'min_rate', rate: 100 },
            { type: 'max_rate', rate: 200 },
          ],
        },
      ];
      expect(await config(2)).toMatchObject(of2);
      expect(await config(PortNumber.ANY)).toMatchObject(of2);
      expect(await config(1)).toEqual([]);
      expect((await stats(PortNumber.ANY)).map(({ port_no, queue_id }) => [port_no, queue_id])).toEqual([
        [2, 0],
        [2, 1],
      ]);
    });

    test('set_queue puts packets in the class, and no others get there', async () => {
      await wire(1);
      await ping(5);
      expect(await packets(2, 1)).toBe(5n);
      expect(await packets(2, 0)).toBe(0n);
      const { stdout } = await tc('-s', 'class', 'show', 'dev', 's1-eth2', 'classid', 'f10c:2');
      expect(stdout).toMatch(/Sent \d+ bytes 5 pkt/);
      await wire(0);
      await ping(3);
      expect(await packets(2, 0)).toBe(3n);
      await wire(undefined);
      await ping(2);
      expect([await packets(2, 0), await packets(2, 1)]).toEqual([3n, 5n]);
    });

    test('a queue that the port has not: the packets go without, and are counted', async () => {
      await wire(7);
      await ping(4);
      const { output } = await agent.local<{ output: { noQueue: number } }>('/counters');
      expect(output.noQueue).toBe(4);
      expect([await packets(2, 0), await packets(2, 1)]).toEqual([3n, 5n]);
    });

    test('classes that somebody else makes are queues as long as they are there', async () => {
      await tc('qdisc', 'add', 'dev', 's1-eth1', 'root', 'handle', '5:', 'htb');
      await tc('class', 'add', 'dev', 's1-eth1', 'parent', '5:', 'classid', '5:4', 'htb', 'rate', '8kbit');
      await tc('qdisc', 'add', 'dev', 's1-eth1', 'parent', '5:4', 'handle', '50:', 'pfifo', 'limit', '2');
      type Ports = { queues: { id: number }[] }[];
      await agent.shows<Ports>('/ports', ([one]) => one.queues.length === 1);
      expect(await config(1)).toMatchObject([{ port: 1, queue_id: 3 }]);
      const data = ethernet({ type: 0x88b5, payload: new Uint8Array(1000) });
      const one = { type: 'packet_out' as const, actions: actions(1, 3), data };
      peer.send(...Array.from({ length: 40 }, () => one));
      await peer.call('barrier_reply', { type: 'barrier_request' });
      // 8 kbit/s is one of them a second: a few go, two wait, the others have no room.
      type Dropped = { errors: Record<string, number>; queues: { drops: number; tx_packets: number }[] };
      const all = ({ queues: [queue] }: Dropped) => queue.tx_packets + queue.drops >= 38;
      const [{ errors, queues }] = await agent.shows<Dropped[]>('/ports', ([port]) => all(port));
      expect(queues[0].drops).toBe(errors.ENOBUFS);
      expect(queues[0].drops).toBeGreaterThan(20);
      const [{ tx_errors, tx_packets }] = await stats(1, 3);
      expect(tx_errors).toBe(BigInt(queues[0].drops));
      expect(tx_packets + tx_errors).toBeLessThanOrEqual(40n);

      await tc('qdisc', 'del', 'dev', 's1-eth1', 'root');
      await agent.shows<Ports>('/ports', ([port]) => port.queues.length === 0);
      expect(await config(1)).toEqual([]);
    });

    test('unknown ports and queues are errors', async () => {
      const queue = (port_no: number, queue_id: number) =>
        ({ type: 'multipart_request', body: { type: 'queue', port_no, queue_id } }) as const;
      const error = (code: number) => ({ error_type: ErrorType.QUEUE_OP_FAILED, code });
      expect(await peer.call('error', { type: 'queue_get_config_request', port: 9 })).toMatchObject(
        error(QueueOpFailedCode.BAD_PORT),
      );
      expect(await peer.call('error', queue(9, 0))).toMatchObject(error(QueueOpFailedCode.BAD_PORT));
      expect(await peer.call('error', queue(2, 9))).toMatchObject(error(QueueOpFailedCode.BAD_QUEUE));
    });

    test('they are made again for an interface that comes back', async () => {
      const [s1, h2] = [net.switches.s1, net.hosts.h2];
      await s1.configure(['link del s1-eth2']);
      await peer.next('port_status', ({ reason }) => reason === PortReason.DELETE);
      expect(await config(2)).toEqual([]);
      await s1.configure([
        `link add s1-eth2 type veth peer name h2-eth0 netns ${h2.namespace}`,
        'link set s1-eth2 up',
      ]);
      await h2.configure([`link set h2-eth0 address ${h2.mac} up`, `addr add ${h2.ip}/24 dev h2-eth0`]);
      await peer.next('port_status', ({ reason }) => reason === PortReason.ADD);
      expect((await config(2)).map(({ queue_id }) => queue_id)).toEqual([0, 1]);
      // Before that what leaves by it is dropped.
      await agent.shows<{ running: boolean }[]>('/ports', (ports) => ports[1].running);
      await net.hosts.h1.configure([`neigh replace ${h2.ip} lladdr ${h2.mac} dev h1-eth0`]);
      await wire(1);
      await ping(2);
      expect(await packets(2, 1)).toBeGreaterThanOrEqual(2n);
    });

    test('an agent that was killed leaves them; the next one makes its own; at its end there are none', async () => {
      const show = async () => (await tc('qdisc', 'show', 'dev', 's1-eth2')).stdout;
      await agent.kill();
      expect(await show()).toContain('htb f10c:');
      // Its folder is left to remove.
      await agent.stop();
      await controller.idle();
      await start();
      expect((await config(2)).map(({ queue_id }) => queue_id)).toEqual([0, 1]);
      expect(await packets(2, 1)).toBe(0n);
      await agent.stop();
      expect(await show()).not.toContain('htb');
    });

    test("another's qdisc is left alone: the agent does not start, and says why", async () => {
      await tc('qdisc', 'add', 'dev', 's1-eth2', 'root', 'handle', '9:', 'htb');
      const again = AgentProcess.start(net.switches.s1, { controllers: [], queues: QUEUES });
      await expect(again).rejects.toThrow(/tc qdisc add dev s1-eth2/);
      expect((await tc('qdisc', 'show', 'dev', 's1-eth2')).stdout).toContain('htb 9:');
    });
  });
});
