/** What a switch does with packets and says of them, when the kernel forwards them and when it does not. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Clock } from '../../agent/clock.ts';
import { mapFrames } from '../../agent/ports/frame-memory.ts';
import { FramePool } from '../../agent/ports/frames.ts';
import { BurstReceiver } from '../../agent/ports/receive.ts';
import { Rtnetlink } from '../../agent/ports/rtnetlink.ts';
import { TapPort } from '../../agent/ports/tap.ts';
import { inNamespace } from '../../bench/lib/wire.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import {
  type ActionInit,
  CellReason,
  CellState,
  DispatchCommand,
  DispatchFlag,
  FlowModCommand,
  FlowModFlag,
  FlowRemovedReason,
  Group,
  GroupType,
  type Match,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  PacketInReason,
  Port,
  Table,
} from '../../openflow/index.ts';
import { ethernet, fold16, ipv4, ipv6, sum16, tcp, udp, vlan } from '../../packet/index.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { TesterPort } from '../conformance/tester-port.ts';
import { type Controlled, control, PATIENT_CELL, type SwitchLab, switchLab } from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

const PORTS = [1, 2, 3];
/** A frame that has not come by then is lost. */
const HEARD_MS = 40_000;
const QUERY_TIMEOUT_MS = 40_000;
const EAGER = { threshold: 2, windowMs: 60_000 };
const MODES = {
  tcx: EAGER,
  clsact: { ...EAGER, clsact: true },
  off: false,
} as const;

const out = (port: number): ActionInit => ({ type: 'output', port });
const set = (name: string, value: unknown): ActionInit =>
  ({ type: 'set_field', field: { [name]: value } }) as unknown as ActionInit;
type Entry = Omit<MessageInitOf<'flow_mod'>, 'type'>;
const entry = (match: Match, actions: ActionInit[], rest: Entry = {}): Entry => ({
  match,
  instructions: [{ type: 'apply_actions', actions }],
  ...rest,
});
const ANY = { out_port: Port.ANY, out_group: Group.ANY };

/** What edits of the frame's headers have to know. */
const matchOf = (frame: Uint8Array): Match => {
  const type = (frame[12] << 8) | frame[13];
  if (type === 0x8100) return { vlan_vid: [0x1000, 0x1000] };
  return { eth_type: type, ip_proto: type === 0x0800 ? frame[23] : frame[20] };
};

const payload = new Uint8Array(30);
const flow = (sport: number, more: Partial<Parameters<typeof ipv4>[0]> = {}): Uint8Array =>
  ethernet({ type: 0x0800, payload: ipv4({ proto: 17, ...more, payload: udp({ src: sport, payload }) }) });
const flow6 = (sport: number, more: Partial<Parameters<typeof ipv6>[0]> = {}): Uint8Array =>
  ethernet({ type: 0x86dd, payload: ipv6({ proto: 6, ...more, payload: tcp({ src: sport, payload }) }) });

/** Four of one flow. */
const DATAGRAMS = `const s = require('dgram').createSocket('udp4');
s.bind(5555, () => { let n = 0; for (let i = 0; i < 4; i++) s.send('abc', 7, '10.0.0.2', () => { if (++n === 4) s.close(); }); });`;

/** The same UDP frame the other way. */
const turned = (frame: Uint8Array): Uint8Array => {
  const other = frame.slice();
  for (const [at, length] of [
    [0, 6],
    [26, 4],
    [34, 2],
  ]) {
    other.set(frame.subarray(at, at + length), at + length);
    other.set(frame.subarray(at + length, at + 2 * length), at);
  }
  return other;
};

/** Frames that come out of the switch's ports, and how they get in. */
class Testers {
  readonly #ports: readonly TesterPort[];
  readonly #loop = new PollLoop();
  readonly heard: string[][] = PORTS.map(() => []);
  #poke: (() => void) | undefined;

  constructor(lab: SwitchLab) {
    this.#ports = Object.values(lab.net.hosts).map(
      (host, index) => new TesterPort(index + 1, host.namespace, host.interface),
    );
    for (const port of this.#ports) this.#loop.watch(port.fd, () => this.#receive(port));
    this.#loop.start();
  }

  send(port: number, frame: Uint8Array): void {
    this.#ports[port - 1].send(frame);
  }

  clear(): void {
    for (const list of this.heard) list.length = 0;
  }

  /** Sends a frame and waits until these come out of ports; they are taken off what was heard. */
  async pass(port: number, frame: Uint8Array, expected: [port: number, frame: Uint8Array][]): Promise<void> {
    this.send(port, frame);
    for (const [to, wanted] of expected) await this.#comes(to, Buffer.from(wanted).toString('hex'));
  }

  close(): void {
    this.#loop.stop();
    for (const port of this.#ports) port.close();
  }

  #comes(port: number, wanted: string): Promise<void> {
    const list = this.heard[port - 1];
    return new Promise((resolve, reject) => {
      const look = () => {
        const at = list.indexOf(wanted);
        if (at < 0) return;
        list.splice(at, 1);
        this.#poke = undefined;
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(
        () => reject(new Error(`not heard at ${port}: ${wanted}; but ${JSON.stringify(this.heard)}`)),
        HEARD_MS,
      );
      this.#poke = look;
      look();
    });
  }

  #receive(port: TesterPort): void {
    port.receive((frame) => this.heard[port.number - 1].push(Buffer.from(frame).toString('hex')));
    this.#poke?.();
  }
}

/** Hosts are heard of only when the test says so. */
const silence = async ({ net }: SwitchLab): Promise<void> => {
  for (const host of Object.values(net.hosts))
    await host.exec(['sysctl', '-q', 'net.ipv6.conf.all.disable_ipv6=1']);
};

interface Counters {
  fast_path?: {
    state: string;
    flows: number;
    hitPackets: number;
    inserted: number;
    reversed: number;
    flushed: number;
    copies: number;
    lostCopies: number;
  };
}

describeNetwork('the kernel fast path', () => {
  describe.each(Object.entries(MODES))('%s', (mode, fastPath) => {
    let lab: SwitchLab;
    let testers: Testers;
    const isOn = mode !== 'off';

    beforeAll(async () => {
      lab = await switchLab(PORTS.length, { agent: { fastPath } });
      await silence(lab);
      testers = new Testers(lab);
    });
    afterAll(async () => {
      testers?.close();
      await lab?.stop();
    });
    beforeEach(async () => {
      await lab.peer.entries({ command: FlowModCommand.DELETE, table_id: Table.ALL, ...ANY });
      lab.peer.received.length = 0;
      testers.clear();
    });
    // What came out besides is a packet too many.
    afterEach(() => expect(testers.heard.flat().filter((frame) => frame.includes('0303030303'))).toEqual([]));

    const counters = async () => (await lab.agent.local<Counters>('/counters')).fast_path;
    const flowStats = async () => {
      const request = { type: 'flow' as const, table_id: Table.ALL, ...ANY };
      const { body } = await lab.peer.call('multipart_reply', { type: 'multipart_request', body: request });
      return body.type === 'flow' ? body.flows : [];
    };
    const portStats = async (port: number) => {
      const request = { type: 'port_stats' as const, port_no: port };
      const { body } = await lab.peer.call('multipart_reply', { type: 'multipart_request', body: request });
      return body.type === 'port_stats' ? body.ports[0] : undefined;
    };
    /** The only entry has counted so many packets. */
    const countedAll = async (count: number) => {
      while (Number((await flowStats())[0].packet_count) < count);
    };
    /** Sends a packet again and again till the kernel forwards its flow; returns how many were sent. */
    const cache = async (
      port: number,
      frame: Uint8Array,
      expected: [port: number, frame: Uint8Array][],
    ): Promise<number> => {
      const before = (await counters())?.hitPackets ?? 0;
      for (let sent = 1; ; sent++) {
        await testers.pass(port, frame, expected);
        // What is dropped announces itself by nothing.
        if (expected.length === 0) await countedAll(sent);
        if (!isOn ? sent === 6 : ((await counters())?.hitPackets ?? 0) > before) return sent;
        if (sent === 50)
          throw new Error(`it is not forwarded by the kernel: ${JSON.stringify(await counters())}`);
      }
    };

    test('counts every packet: of entries, tables, ports', async () => {
      await lab.peer.entries(
        { ...entry({ in_port: 1 }, []), instructions: [{ type: 'goto_table', table_id: 1 }] },
        entry({ eth_type: 0x0800 }, [out(2)], { table_id: 1 }),
      );
      const [in0, out0] = [await portStats(1), await portStats(2)];
      const frame = flow(1);
      let sent = await cache(1, frame, [[2, frame]]);
      for (let i = 0; i < 20; i++, sent++) await testers.pass(1, frame, [[2, frame]]);
      const flows = await flowStats();
      expect(flows.map(({ packet_count, byte_count }) => [packet_count, byte_count])).toEqual([
        [BigInt(sent), BigInt(sent * frame.length)],
        [BigInt(sent), BigInt(sent * frame.length)],
      ]);
      const request = { type: 'table' as const };
      const { body } = await lab.peer.call('multipart_reply', { type: 'multipart_request', body: request });
      const table = body.type === 'table' ? body.tables[1] : undefined;
      expect(Number(table!.lookup_count)).toBeGreaterThanOrEqual(sent);
      const [in1, out1] = [await portStats(1), await portStats(2)];
      expect(Number(in1!.rx_bytes - in0!.rx_bytes)).toBe(sent * frame.length);
      expect(Number(out1!.tx_packets - out0!.tx_packets)).toBe(sent);
      if (isOn) expect((await counters())!.hitPackets).toBeGreaterThanOrEqual(20);
    });

    test('a change holds from the barrier on: modified, overruled, deleted', async () => {
      const frame = flow(2);
      await lab.peer.entries(entry({ in_port: 1 }, [out(2)], { priority: 5 }));
      let sent = await cache(1, frame, [[2, frame]]);
      await lab.peer.entries(
        entry({ in_port: 1 }, [out(3)], { priority: 5, command: FlowModCommand.MODIFY }),
      );
      sent += await cache(1, frame, [[3, frame]]);
      await lab.peer.entries(
        entry({ udp_src: 2, ip_proto: 17, eth_type: 0x0800 }, [out(2)], { priority: 9 }),
      );
      await cache(1, frame, [[2, frame]]);
      // Another's change leaves it alone.
      const flushed = (await counters())?.flushed;
      await lab.peer.entries(entry({ in_port: 3 }, [out(1)]));
      expect((await counters())?.flushed).toBe(flushed);
      await lab.peer.entries({
        command: FlowModCommand.DELETE,
        table_id: Table.ALL,
        ...ANY,
        match: { in_port: 3 },
      });
      const [low] = (await flowStats()).filter(({ priority }) => priority === 5);
      expect(low.packet_count).toBe(BigInt(sent));
      await lab.peer.entries({ command: FlowModCommand.DELETE, table_id: Table.ALL, ...ANY });
      testers.send(1, frame);
      // Behind it in the same queue.
      await lab.peer.entries(entry({ eth_type: 0x88b5 }, [out(2)]));
      const marker = ethernet({ type: 0x88b5, payload });
      await testers.pass(1, marker, [[2, marker]]);
      expect(testers.heard[1].concat(testers.heard[2])).not.toContain(Buffer.from(frame).toString('hex'));
    });

    test('an entry that is used goes on, one that is not runs out, with all its packets', async () => {
      const notify = { flags: FlowModFlag.SEND_FLOW_REM };
      await lab.peer.entries(
        entry({ in_port: 1, eth_type: 0x0800 }, [out(2)], { idle_timeout: 2, ...notify }),
        entry({ in_port: 2 }, [out(1)], { hard_timeout: 3, ...notify }),
      );
      const [frame, back] = [flow(3), flow(4, { src: '10.0.0.2', dst: '10.0.0.1' })];
      let sent = await cache(1, frame, [[2, frame]]);
      const cachedBack = await cache(2, back, [[1, back]]);
      let removed: MessageOf<'flow_removed'> | undefined;
      lab.peer.onMessage = (message) => {
        if (message.type === 'flow_removed') removed = message;
      };
      // Packets all the time: only what lasts no longer whatever comes can end now.
      while (removed === undefined) {
        await testers.pass(1, frame, [[2, frame]]);
        sent++;
        if (removed !== undefined) break;
        testers.send(2, back);
      }
      lab.peer.onMessage = undefined;
      expect(removed).toMatchObject({ reason: FlowRemovedReason.HARD_TIMEOUT, match: { in_port: 2 } });
      const idle = await lab.peer.next('flow_removed', ({ match }) => match.in_port === 1);
      expect(idle).toMatchObject({ reason: FlowRemovedReason.IDLE_TIMEOUT, packet_count: BigInt(sent) });
      testers.send(1, frame);
      await lab.peer.entries(entry({ eth_type: 0x88b5 }, [out(2)]));
      const marker = ethernet({ type: 0x88b5, payload });
      await testers.pass(1, marker, [[2, marker]]);
      expect(testers.heard[1]).not.toContain(Buffer.from(frame).toString('hex'));
      expect(removed.packet_count).toBe(BigInt(cachedBack + testers.heard[0].length));
      testers.clear();
    });

    test.each<[string, Uint8Array, ActionInit[], [number, Uint8Array][]]>([
      [
        'several ports',
        flow(10),
        [out(2), out(3)],
        [
          [2, flow(10)],
          [3, flow(10)],
        ],
      ],
      ['the port it came from', flow(11), [out(Port.IN_PORT)], [[1, flow(11)]]],
      [
        'all ports',
        flow(12),
        [out(Port.FLOOD)],
        [
          [2, flow(12)],
          [3, flow(12)],
        ],
      ],
      [
        'with a tag',
        flow(13),
        [{ type: 'push_vlan', ethertype: 0x8100 }, set('vlan_vid', 0x1007), out(2)],
        [[2, vlan(flow(13), { vid: 7 })]],
      ],
      [
        'without its tag',
        vlan(flow(14), { vid: 9, pcp: 3 }),
        [{ type: 'pop_vlan' }, out(2)],
        [[2, flow(14)]],
      ],
      [
        'with another tag',
        vlan(flow(15), { vid: 9, pcp: 3 }),
        [set('vlan_vid', 0x100a), out(2)],
        [[2, vlan(flow(15), { vid: 10, pcp: 3 })]],
      ],
      ['tagged as it is', vlan(flow(16), { vid: 9 }), [out(2)], [[2, vlan(flow(16), { vid: 9 })]]],
      [
        'routed',
        flow(17),
        [{ type: 'dec_nw_ttl' }, set('ipv4_dst', '10.9.9.9'), set('udp_src', 18), out(2)],
        [[2, flow(18, { ttl: 63, dst: '10.9.9.9' })]],
      ],
      [
        'routed, IPv6',
        flow6(19),
        [{ type: 'dec_nw_ttl' }, set('ipv6_src', 'fd00::9'), set('tcp_src', 20), out(2)],
        [[2, flow6(20, { hopLimit: 63, src: 'fd00::9' })]],
      ],
      ['only counted', flow(21), [], []],
    ])('forwards: %s', async (_, frame, actions, expected) => {
      await lab.peer.entries(entry({ in_port: 1, ...matchOf(frame) }, actions));
      let sent = await cache(1, frame, expected);
      for (let i = 0; i < 5; i++, sent++) await testers.pass(1, frame, expected);
      await countedAll(sent);
      const [{ packet_count, byte_count }] = await flowStats();
      expect(packet_count).toBe(BigInt(sent));
      expect(byte_count).toBe(packet_count * BigInt(frame.length));
      testers.clear();
    });

    /** What depends on more than the key: which bucket is next or live, how much there was, room in a queue. */
    test.each<[string, MessageInit[], Entry]>([
      [
        'a group that selects',
        [
          {
            type: 'group_mod',
            command: 0,
            group_type: GroupType.SELECT,
            group_id: 2,
            buckets: [{ weight: 1, actions: [out(2)] }],
          },
        ],
        entry({ in_port: 1 }, [{ type: 'group', group_id: 2 }]),
      ],
      [
        'a group that fails over',
        [
          {
            type: 'group_mod',
            command: 0,
            group_type: GroupType.FF,
            group_id: 3,
            buckets: [2, 3].map((port) => ({ watch_port: port, actions: [out(port)] })),
          },
        ],
        entry({ in_port: 1 }, [{ type: 'group', group_id: 3 }]),
      ],
      [
        'a meter',
        [
          {
            type: 'meter_mod',
            command: 0,
            flags: 1,
            meter_id: 4,
            bands: [{ type: 'drop', rate: 1_000_000, burst_size: 1_000_000 }],
          },
        ],
        {
          match: { in_port: 1 },
          instructions: [
            { type: 'meter', meter_id: 4 },
            { type: 'apply_actions', actions: [out(2)] },
          ],
        },
      ],
      ['a queue', [], entry({ in_port: 1 }, [{ type: 'set_queue', queue_id: 5 }, out(2)])],
    ])('leaves to the cell: %s', async (_, before, rule) => {
      lab.peer.send(...before);
      await lab.peer.entries(rule);
      const frame = flow(50);
      const inserted = (await counters())?.inserted;
      for (let i = 0; i < 8; i++) await testers.pass(1, frame, [[2, frame]]);
      expect((await counters())?.inserted).toBe(inserted);
      expect((await flowStats())[0].packet_count).toBe(8n);
      for (const { group_id, group_type } of before.filter((message) => message.type === 'group_mod'))
        lab.peer.send({ type: 'group_mod', command: 2, group_type, group_id });
    });

    test.each<[string, Uint8Array, ActionInit[], Uint8Array]>([
      ['as it came', flow(60), [out(2), out(Port.CONTROLLER)], flow(60)],
      ['in front of the ports', flow(61), [out(Port.CONTROLLER), out(3), out(2)], flow(61)],
      [
        'rewritten, with another tag',
        vlan(flow(62), { vid: 9, pcp: 3 }),
        [set('vlan_vid', 0x100a), out(2), out(Port.CONTROLLER)],
        vlan(flow(62), { vid: 10, pcp: 3 }),
      ],
      [
        'routed, IPv6',
        flow6(63),
        [{ type: 'dec_nw_ttl' }, set('tcp_dst', 9), out(Port.CONTROLLER), out(2)],
        ethernet({
          type: 0x86dd,
          payload: ipv6({ proto: 6, hopLimit: 63, payload: tcp({ src: 63, dst: 9, payload }) }),
        }),
      ],
    ])('the controller has a copy of each packet: %s', async (_, frame, actions, wanted) => {
      await lab.peer.entries(
        {
          ...entry({ in_port: 1, ...matchOf(frame) }, []),
          instructions: [
            { type: 'write_metadata', metadata: 7n, metadata_mask: 0xffn },
            { type: 'goto_table', table_id: 1 },
          ],
        },
        entry(matchOf(frame), actions, { table_id: 1, cookie: 5n }),
      );
      const copiesBefore = (await counters())?.copies;
      const ports = actions.flatMap((one) => (one.type === 'output' && one.port < 4 ? [one.port] : []));
      const expected = ports.map((port): [number, Uint8Array] => [port, wanted]);
      let sent = await cache(1, frame, expected);
      for (let i = 0; i < 20; i++, sent++) await testers.pass(1, frame, expected);
      for (let i = 0; i < sent; i++) {
        const { data, ...message } = await lab.peer.next('packet_in');
        expect(Buffer.from(data).toString('hex')).toBe(Buffer.from(wanted).toString('hex'));
        expect(message).toMatchObject({
          ...{ reason: PacketInReason.ACTION, table_id: 1, cookie: 5n, total_len: wanted.length },
          match: { in_port: 1, metadata: 7n },
        });
      }
      expect((await flowStats())[1].packet_count).toBe(BigInt(sent));
      const { copies, lostCopies } = (await counters()) ?? {};
      if (isOn) expect([copies! - copiesBefore! >= 10, lostCopies]).toEqual([true, 0]);
      // One for each packet, and none besides.
      expect(lab.peer.received.filter(({ type }) => type === 'packet_in')).toEqual([]);
    });

    test('a copy has its checksum, which the sender left to the switch', async () => {
      await lab.peer.entries(entry({ in_port: 1, eth_type: 0x0800 }, [out(2), out(Port.CONTROLLER)]));
      const { h1 } = lab.net.hosts;
      await h1.configure([`neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev ${h1.interface}`]);
      const before = (await counters())?.copies ?? 0;
      for (let i = 0; isOn ? (await counters())!.copies === before : i < 2; i++) {
        expect(i).toBeLessThan(20);
        await h1.exec([process.execPath, '-e', DATAGRAMS]);
        for (let k = 0; k < 4; k++) {
          const { data } = await lab.peer.next('packet_in');
          // The pseudo-header: addresses, protocol, length.
          const sum = sum16(data, 26, 8) + data[23] + ((data[38] << 8) | data[39]);
          expect(fold16(sum + sum16(data, 34, data.length - 34))).toBe(0xffff);
        }
      }
    });

    test('the packet whose TTL runs out goes to the controller, whatever the kernel does with the others', async () => {
      await lab.peer.entries(entry({ in_port: 1 }, [{ type: 'dec_nw_ttl' }, out(2)]));
      await cache(1, flow(30), [[2, flow(30, { ttl: 63 })]]);
      testers.send(1, flow(30, { ttl: 1 }));
      expect(Buffer.from((await lab.peer.next('packet_in')).data)).toEqual(Buffer.from(flow(30, { ttl: 1 })));
    });

    test('a group of all its buckets counts, a port that is set down forwards no more', async () => {
      const buckets = [2, 3].map((port) => ({ actions: [out(port)] }));
      lab.peer.send({ type: 'group_mod', command: 0, group_type: GroupType.ALL, group_id: 1, buckets });
      await lab.peer.entries(entry({ in_port: 1 }, [{ type: 'group', group_id: 1 }]));
      const frame = flow(31);
      const both: [number, Uint8Array][] = [
        [2, frame],
        [3, frame],
      ];
      const sent = await cache(1, frame, both);
      const request = { type: 'group' as const, group_id: 1 };
      const { body } = await lab.peer.call('multipart_reply', { type: 'multipart_request', body: request });
      expect(body.type === 'group' && body.groups[0]).toMatchObject({
        packet_count: BigInt(sent),
        bucket_stats: [{ packet_count: BigInt(sent) }, { packet_count: BigInt(sent) }],
      });
      const config = async (bits: number) => {
        const ports = { type: 'multipart_request' as const, body: { type: 'port_desc' as const } };
        const reply = (await lab.peer.call('multipart_reply', ports)).body;
        const { hw_addr } = (reply.type === 'port_desc' ? reply.ports : []).find(
          ({ port_no }) => port_no === 3,
        )!;
        lab.peer.send({ type: 'port_mod', port_no: 3, hw_addr, config: bits, mask: 1 << 5 });
        await lab.peer.call('barrier_reply', { type: 'barrier_request' });
      };
      await config(1 << 5);
      testers.clear();
      for (let i = 0; i < 4; i++) await testers.pass(1, frame, [[2, frame]]);
      expect(testers.heard[2]).not.toContain(Buffer.from(frame).toString('hex'));
      await config(0);
      await cache(1, frame, both);
      lab.peer.send({ type: 'group_mod', command: 2, group_type: 0, group_id: 1 });
    });

    // Off, there is no such device.
    if (isOn) {
      test('without the TAP device of the copies cells make the packet-ins', async () => {
        await lab.peer.entries(entry({ in_port: 1 }, [out(2), out(Port.CONTROLLER)]));
        const frame = flow(64);
        await cache(1, frame, [[2, frame]]);
        await lab.net.switches.s1.exec(['ip', 'link', 'del', 'flowcell-in0']);
        await lab.agent.shows<Counters>('/counters', ({ fast_path }) => fast_path?.flows === 0);
        const { copies, inserted } = (await counters())!;
        lab.peer.received.length = 0;
        for (let i = 0; i < 6; i++) {
          await testers.pass(1, frame, [[2, frame]]);
          expect(Buffer.from((await lab.peer.next('packet_in')).data)).toEqual(Buffer.from(frame));
        }
        expect(await counters()).toMatchObject({ copies, inserted });
        const plain = flow(65);
        await lab.peer.entries(entry({ in_port: 1 }, [out(2)]));
        await cache(1, plain, [[2, plain]]);
      });
    }
  });

  describe.each(Object.entries(MODES))('a TAP among the ports, %s', (mode, fastPath) => {
    const TAP = 'fc4-mirror';
    const pool = new FramePool(200, mapFrames(200));
    const receiver = new BurstReceiver(pool);
    const loop = new PollLoop();
    let net: Network<'s1', string>;
    let controlled: Controlled;
    let testers: Testers;
    let rtnetlink: Rtnetlink;
    let tap: TapPort;
    const copies: string[] = [];
    let heard: (() => void) | undefined;

    beforeAll(async () => {
      net = await singleSwitch(PORTS.length);
      const { s1 } = net.switches;
      rtnetlink = inNamespace(s1.namespace, () => new Rtnetlink());
      tap = new TapPort(1, TAP, rtnetlink, pool, new Clock());
      inNamespace(s1.namespace, () => tap.create());
      await s1.configure([`link set dev ${TAP} up`]);
      // Whoever listens there.
      loop.watch(tap.fd, () => {
        tap.receive(receiver, (frame) => {
          const { bytes, offset, length } = frame;
          copies.push(Buffer.from(bytes.subarray(offset, offset + length)).toString('hex'));
          pool.release(frame);
        });
        heard?.();
      });
      loop.start();
      controlled = await control(s1, { fastPath, ports: [...s1.ports, `${TAP}=9`] });
      testers = new Testers({ ...controlled, net });
    });
    afterAll(async () => {
      loop.stop();
      testers?.close();
      await controlled?.stop();
      tap?.close();
      rtnetlink?.close();
      await net?.close();
    });

    test('has a copy of what goes to another port', async () => {
      const { peer, agent } = controlled;
      await peer.entries(
        entry({ in_port: 1, eth_type: 0x0800 }, [set('ipv4_dst', '10.9.9.9'), out(2), out(9)]),
      );
      const [frame, wanted] = [flow(70), flow(70, { dst: '10.9.9.9' })];
      const hits = async () => (await agent.local<Counters>('/counters')).fast_path?.hitPackets ?? 0;
      let sent = 0;
      while (mode === 'off' ? sent < 6 : (await hits()) < 5) {
        await testers.pass(1, frame, [[2, wanted]]);
        expect(++sent).toBeLessThan(50);
      }
      const hex = Buffer.from(wanted).toString('hex');
      const mine = () => copies.filter((copy) => copy === hex).length;
      await new Promise<void>((resolve) => {
        heard = () => mine() === sent && resolve();
        heard();
      });
      const ports = await agent.local<{ number: number; txPackets: number }[]>('/ports');
      expect(ports.find(({ number }) => number === 9)?.txPackets).toBe(sent);
    });
  });

  describe('in flow mode', () => {
    let lab: SwitchLab;
    let testers: Testers;

    beforeAll(async () => {
      lab = await switchLab(PORTS.length, { agent: { fastPath: EAGER } });
      await silence(lab);
      testers = new Testers(lab);
      await lab.peer.call('dispatch_config', { type: 'dispatch_config', query_timeout_ms: QUERY_TIMEOUT_MS });
    });
    afterAll(async () => {
      testers?.close();
      await lab?.stop();
    });

    const counters = async () => (await lab.agent.local<Required<Counters>>('/counters')).fast_path;
    /** A rule for a flow, and its entry. */
    const rule = async (sport: number, flags: number, more: Partial<MessageInitOf<'dispatch_rule'>> = {}) => {
      const match: Match = { eth_type: 0x0800, ip_proto: 17, udp_src: sport };
      lab.peer.send({
        type: 'dispatch_rule',
        cells: [PATIENT_CELL],
        match,
        flags: flags | DispatchFlag.NOTIFY_REMOVED,
        ...more,
      });
      const { cell } = await lab.peer.next('cell_status', ({ state }) => state === CellState.READY);
      await lab.peer.entries(entry({ cell }, [out(2)]));
      return cell;
    };

    test('a rule that runs out has all its packets, and its flow is a new one', async () => {
      await rule(40, DispatchFlag.CACHEABLE, { idle_timeout: 2 });
      const frame = flow(40);
      let sent = 0;
      const { hitPackets } = await counters();
      for (; (await counters()).hitPackets === hitPackets; sent++) {
        await testers.pass(1, frame, [[2, frame]]);
        expect(sent).toBeLessThan(50);
      }
      const [before, first] = [sent, (await counters()).hitPackets];
      // Longer than the timeout, most of it without the cell.
      const end = performance.now() + 2500;
      for (; performance.now() < end; sent++) await testers.pass(1, frame, [[2, frame]]);
      expect((await counters()).hitPackets - first).toBeGreaterThan((sent - before) / 2);
      const gone = await lab.peer.next('cell_status', ({ state }) => state === CellState.REMOVED);
      expect(gone).toMatchObject({ reason: CellReason.IDLE_TIMEOUT, packet_count: BigInt(sent) });
      testers.send(1, frame);
      await lab.peer.next('dispatch_query');
    });

    test('a rule that allows no cache has none, and a rule that is deleted ends its flows', async () => {
      const frame = flow(41);
      await rule(41, 0);
      const { inserted } = await counters();
      for (let i = 0; i < 10; i++) await testers.pass(1, frame, [[2, frame]]);
      expect((await counters()).inserted).toBe(inserted);
      await rule(41, DispatchFlag.CACHEABLE);
      for (let i = 0; (await counters()).inserted === inserted; i++) {
        await testers.pass(1, frame, [[2, frame]]);
        expect(i).toBeLessThan(50);
      }
      // A rule of higher priority gets the packets that the kernel had.
      const higher = await rule(41, 0, { priority: 7 });
      const before = (await counters()).hitPackets;
      for (let i = 0; i < 3; i++) await testers.pass(1, frame, [[2, frame]]);
      expect((await counters()).hitPackets).toBe(before);
      lab.peer.send({ type: 'dispatch_rule', command: DispatchCommand.DELETE, cell: higher });
      await lab.peer.next('cell_status', ({ cell, state }) => cell === higher && state === CellState.REMOVED);
    });

    test('where the rule says so, the other direction goes back without its cell', async () => {
      const { CACHEABLE, BOTH_DIRECTIONS, CACHE_REVERSE } = DispatchFlag;
      const cell = await rule(42, CACHEABLE | BOTH_DIRECTIONS | CACHE_REVERSE);
      const frame = flow(42);
      const { reversed } = await counters();
      let sent = 0;
      for (; (await counters()).reversed === reversed; sent++) {
        await testers.pass(1, frame, [[2, frame]]);
        expect(sent).toBeLessThan(50);
      }
      const back = turned(frame);
      // Its cell would have sent it to port 2, which it comes from.
      for (let i = 0; i < 3; i++) await testers.pass(2, back, [[1, back]]);
      lab.peer.send({ type: 'dispatch_rule', command: DispatchCommand.DELETE, cell });
      const gone = await lab.peer.next(
        'cell_status',
        (status) => status.cell === cell && status.state === CellState.REMOVED,
      );
      expect(gone.packet_count).toBe(BigInt(sent + 3));
      testers.send(2, back);
      await lab.peer.next('dispatch_query');
    });
  });
});
