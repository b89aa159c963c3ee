import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describePort } from '../../agent/channel/port-messages.ts';
import { modifyPort } from '../../agent/channel/port-mod.ts';
import { queueConfigs, queueStats } from '../../agent/channel/queue-messages.ts';
import { NO_MEDIUM } from '../../agent/ports/medium.ts';
import { NO_FLOOD, type PortQueue } from '../../agent/ports/port.ts';
import { queuesByPort } from '../../agent/ports/queues.ts';
import { messages, parseHtbClass, parseLink } from '../../agent/ports/rtnetlink.ts';
import { PortError } from '../../agent/ports/socket.ts';
import {
  decode,
  ErrorType,
  encode,
  GroupType,
  type MessageInitOf,
  type MessageOf,
  OFP_VERSION,
  PortConfig,
  PortFeatures,
  PortModFailedCode,
  Port as PortNumber,
  PortState,
  QueueOpFailedCode,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { FakePort, image, World } from '../support/agent-world.ts';

const portMod = (fields: Partial<MessageInitOf<'port_mod'>>): MessageOf<'port_mod'> =>
  decode(
    encode({ type: 'port_mod', port_no: 1, hw_addr: '02:00:00:00:00:01', ...fields }),
  ) as MessageOf<'port_mod'>;

describe('port_mod', () => {
  test('changes the bits of the mask and no others', () => {
    const port = new FakePort(1);
    port.config = PortConfig.NO_FWD;
    const mask = PortConfig.NO_RECV | PortConfig.NO_PACKET_IN;
    modifyPort(port, portMod({ config: 0xffffffff, mask }), OFP_VERSION);
    expect(port.config).toBe(PortConfig.NO_FWD | PortConfig.NO_RECV | PortConfig.NO_PACKET_IN);
    modifyPort(port, portMod({ config: 0, mask: PortConfig.NO_FWD }), OFP_VERSION);
    expect(port.config).toBe(PortConfig.NO_RECV | PortConfig.NO_PACKET_IN);
  });

  test.each<[string, Partial<MessageInitOf<'port_mod'>>, number]>([
    ['an address that is not the port’s', { hw_addr: '02:00:00:00:00:02' }, PortModFailedCode.BAD_HW_ADDR],
    ['bits that there are not', { mask: 2, config: 0 }, PortModFailedCode.BAD_CONFIG],
    ['the bit of OpenFlow 1.0 for floods', { mask: NO_FLOOD, config: 0 }, PortModFailedCode.BAD_CONFIG],
    ['the highest bit', { mask: 0x80000000, config: 0 }, PortModFailedCode.BAD_CONFIG],
    ['other features', { advertise: PortFeatures['10MB_HD'] }, PortModFailedCode.BAD_ADVERTISE],
  ])('refuses %s, and the port stays as it was', (_, fields, code) => {
    const port = new FakePort(1);
    expect(() => modifyPort(port, portMod({ config: 4, mask: 4, ...fields }), OFP_VERSION)).toThrow(
      expect.objectContaining({ errorType: ErrorType.PORT_MOD_FAILED, errorCode: code }),
    );
    expect(port.config).toBe(0);
  });

  test('NO_FLOOD is for controllers of OpenFlow 1.0', () => {
    const port = new FakePort(1);
    modifyPort(port, portMod({ config: NO_FLOOD, mask: NO_FLOOD }), 1);
    expect(port.config).toBe(NO_FLOOD);
  });

  test('takes the features that the port advertises already', () => {
    const port = new FakePort(1);
    Object.assign(port.medium, { advertised: 1 << 5 });
    modifyPort(port, portMod({ config: 4, mask: 4, advertise: PortFeatures['1GB_FD'] }), OFP_VERSION);
    expect(port.config).toBe(4);
  });

  test('a port that is not there is BAD_PORT, one that cannot be set down EPERM', () => {
    const error = (code: number) =>
      expect.objectContaining({ errorType: ErrorType.PORT_MOD_FAILED, errorCode: code });
    expect(() => modifyPort(undefined, portMod({}), OFP_VERSION)).toThrow(error(PortModFailedCode.BAD_PORT));
    const port = new FakePort(1);
    port.refuses = new PortError('FC_NETLINK', 'no');
    expect(() => modifyPort(port, portMod({ config: 1, mask: 1 }), OFP_VERSION)).toThrow(
      error(PortModFailedCode.EPERM),
    );
  });
});

describe('a port as OpenFlow describes it', () => {
  test('features and speeds from what the interface says', () => {
    const port = new FakePort(1);
    Object.assign(port.medium, {
      speed: 1000,
      supported: (1 << 3) | (1 << 5) | (1 << 6) | (1 << 7),
      advertised: 1 << 5,
      peer: 1 << 3,
    });
    expect(describePort(port)).toMatchObject({
      state: PortState.LIVE,
      curr: PortFeatures['1GB_FD'] | PortFeatures.COPPER,
      supported:
        PortFeatures['100MB_FD'] | PortFeatures['1GB_FD'] | PortFeatures.AUTONEG | PortFeatures.COPPER,
      advertised: PortFeatures['1GB_FD'],
      peer: PortFeatures['100MB_FD'],
      curr_speed: 1_000_000,
      max_speed: 1_000_000,
    });
    Object.assign(port.medium, { ...NO_MEDIUM, speed: 2500, halfDuplex: true, fiber: true });
    expect(describePort(port).curr).toBe(PortFeatures.OTHER | PortFeatures.FIBER);
    Object.assign(port.medium, NO_MEDIUM);
    port.link.running = false;
    expect(describePort(port)).toMatchObject({ state: PortState.LINK_DOWN, curr: 0, max_speed: 0 });
  });
});

const queue = (id: number, more: Partial<PortQueue> = {}): PortQueue => ({
  id,
  minRate: 1e9,
  maxRate: 1e10,
  since: 1000,
  txPackets: 7n,
  txBytes: 700n,
  drops: 2,
  ...more,
});

describe('queues', () => {
  const ports = [new FakePort(1), new FakePort(2)];
  ports[0].has = [queue(0), queue(5, { minRate: 12_000, maxRate: 2e10 })];
  ports[1].has = [queue(0, { drops: 0 })];
  const set = { list: ports, get: (number: number) => ports.find((port) => port.number === number) };

  test('rates are tenths of a percent of the port, from 1 to 1000', () => {
    expect(queueConfigs(set, 1)).toEqual([
      {
        queue_id: 0,
        port: 1,
        properties: [
          { type: 'min_rate', rate: 100 },
          { type: 'max_rate', rate: 1000 },
        ],
      },
      {
        queue_id: 5,
        port: 1,
        properties: [
          { type: 'min_rate', rate: 1 },
          { type: 'max_rate', rate: 1000 },
        ],
      },
    ]);
    expect(queueConfigs(set, PortNumber.ANY).map(({ port, queue_id }) => [port, queue_id])).toEqual([
      [1, 0],
      [1, 5],
      [2, 0],
    ]);
  });

  test('of a port that does not know its speed nothing is said in percent', () => {
    const port = new FakePort(1);
    Object.assign(port.medium, NO_MEDIUM);
    port.has = [queue(3)];
    expect(queueConfigs({ list: [port], get: () => port }, 1)).toEqual([
      { queue_id: 3, port: 1, properties: [] },
    ]);
  });

  test('a reply with the most queues can be encoded', () => {
    const port = new FakePort(1);
    port.has = Array.from({ length: 3000 }, (_, id) => queue(id));
    const queues = queueConfigs({ list: [port], get: () => port }, 1);
    expect(encode({ type: 'queue_get_config_reply', port: 1, queues }).length).toBeGreaterThan(60_000);
  });

  test('statistics of one, of a port, of all', () => {
    expect(queueStats(set, 1, 5, 3500)).toEqual([
      {
        port_no: 1,
        queue_id: 5,
        tx_bytes: 700n,
        tx_packets: 7n,
        tx_errors: 2n,
        duration_sec: 2,
        duration_nsec: 500_000_000,
      },
    ]);
    expect(queueStats(set, 1, 0xffffffff, 3500)).toHaveLength(2);
    expect(queueStats(set, PortNumber.ANY, 0, 3500)).toHaveLength(2);
    expect(queueStats(set, PortNumber.ANY, 0xffffffff, 3500)).toHaveLength(3);
  });

  test('unknown ports and queues are errors', () => {
    const error = (code: number) =>
      expect.objectContaining({ errorType: ErrorType.QUEUE_OP_FAILED, errorCode: code });
    expect(() => queueConfigs(set, 9)).toThrow(error(QueueOpFailedCode.BAD_PORT));
    expect(() => queueStats(set, 9, 0, 0)).toThrow(error(QueueOpFailedCode.BAD_PORT));
    expect(() => queueStats(set, 2, 5, 0)).toThrow(error(QueueOpFailedCode.BAD_QUEUE));
    expect(() => queueStats(set, PortNumber.ANY, 6, 0)).toThrow(error(QueueOpFailedCode.BAD_QUEUE));
  });

  test('the queues of the options: by port, each once, with rates that can be', () => {
    const [a, b] = [
      { port: 'a', id: 0, max: 5 },
      { port: 'a', id: 0xfff0, min: 5, max: 5 },
    ];
    expect(queuesByPort([a, { port: 'b', id: 0 }, b])).toEqual(
      new Map([
        ['a', [a, b]],
        ['b', [{ port: 'b', id: 0 }]],
      ]),
    );
    const bad = [
      [{ port: 'a', id: -1 }],
      [{ port: 'a', id: 0xfff1 }],
      [{ port: 'a', id: 1.5 }],
      [{ port: 'a', id: 1, max: 0 }],
      [{ port: 'a', id: 1, min: 3, max: 2 }],
      [a, a],
    ];
    for (const specs of bad) {
      expect(() => queuesByPort(specs)).toThrow(expect.objectContaining({ code: 'FC_QUEUE' }));
    }
  });
});

describe('what rtnetlink says', () => {
  const attribute = (type: number, value: Uint8Array) => {
    const bytes = new Uint8Array((4 + value.length + 3) & ~3);
    new DataView(bytes.buffer).setUint16(0, 4 + value.length, true);
    new DataView(bytes.buffer).setUint16(2, type, true);
    bytes.set(value, 4);
    return bytes;
  };
  const bytes32 = (...words: number[]) => new Uint8Array(new Uint32Array(words).buffer);
  const bytes64 = (...words: bigint[]) => new Uint8Array(new BigUint64Array(words).buffer);
  const kind = (name: string) => attribute(1, new TextEncoder().encode(`${name}\0`));
  const options = (level: number) =>
    // rate and ceil are the last words of two struct tc_ratespec; the rest is of no matter.
    [attribute(1, bytes32(0, 0, 125, 0, 0, 250, 0, 0, 0, level, 0)), attribute(7, bytes64(1n << 32n))];
  const stats = [
    attribute(1, new Uint8Array([...bytes64(9000n), ...bytes32(9)])),
    attribute(8, bytes64(1n << 33n)),
  ];
  const htbClass = (handle: number, ...parts: Uint8Array[]) => {
    const message = Buffer.concat([new Uint8Array(16), bytes32(0, 3, handle, 0, 0), ...parts]);
    return new DataView(message.buffer, message.byteOffset, message.length);
  };

  test('an HTB class: rates in bits, figures past 32 bits', () => {
    const parts = [kind('htb'), attribute(2, Buffer.concat(options(0))), attribute(7, Buffer.concat(stats))];
    expect(parseHtbClass(htbClass(0x10007, ...parts))).toEqual({
      handle: 0x10007,
      rate: 1000,
      ceil: 2 ** 35,
      txBytes: 9000n,
      txPackets: 1n << 33n,
    });
  });

  test('no class of another kind, and none with classes below it', () => {
    expect(parseHtbClass(htbClass(1, kind('fq_codel')))).toBeUndefined();
    expect(parseHtbClass(htbClass(1, kind('htb'), attribute(2, Buffer.concat(options(1)))))).toBeUndefined();
    expect(parseHtbClass(htbClass(1))).toBeUndefined();
  });

  test('whatever bytes there are, nothing is read past them', () => {
    const message = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(message, (bytes) => {
        // Placed at the end of their buffer: a read past them would throw.
        const view = new DataView(bytes.slice().buffer);
        parseHtbClass(view);
        parseLink(view);
        for (const one of messages(bytes, bytes.length)) expect(one.byteLength).toBeLessThanOrEqual(200);
      }),
    );
    const real = htbClass(1, kind('htb'), attribute(2, Buffer.concat(options(0))));
    for (let length = 0; length < real.byteLength; length++) {
      const cut = new Uint8Array(real.buffer, real.byteOffset, length).slice();
      parseHtbClass(new DataView(cut.buffer));
    }
  });
});

describe('fragments', () => {
  const packet = (flags: number) => {
    const bytes = ethernet({ type: 0x0800, payload: ipv4({ payload: udp({}), proto: 17 }) });
    bytes[20] = flags >>> 8;
    bytes[21] = flags;
    return bytes;
  };
  const v6 = (next: number) => {
    const payload = new Uint8Array(40 + 16);
    payload[0] = 0x60;
    payload[5] = 16;
    payload[6] = next;
    payload[40] = 17;
    return ethernet({ type: 0x86dd, payload });
  };

  test.each([
    ['a whole packet', packet(0), false],
    ['a whole packet that must not be fragmented', packet(0x4000), false],
    ['a first fragment', packet(0x2000), true],
    ['a later one', packet(0x2001), true],
    ['the last one', packet(0x00b9), true],
    ['a whole IPv6 packet', v6(17), false],
    ['one with a fragment header', v6(44), true],
    ['something else', ethernet({ type: 0x0806, payload: new Uint8Array(28).fill(0xff) }), false],
    ['a cut IPv4 header', packet(0x2000).slice(0, 22), false],
  ])('%s', (_, bytes, isFragment) => {
    for (const dropFragments of [false, true]) {
      const world = new World();
      world.dispatcher.dropFragments = dropFragments;
      world.receive(bytes);
      const dropped = dropFragments && isFragment;
      expect(world.dispatcher.counters.dropped.fragment).toBe(dropped ? 1 : 0);
      expect(world.asked).toHaveLength(dropped ? 0 : 1);
      expect(world.pool.available).toBe(world.pool.size - (dropped ? 0 : 1));
    }
  });
});

describe('liveness of ports', () => {
  const groupMod = (...ports: number[]) =>
    decode(
      encode({
        type: 'group_mod',
        command: 0,
        group_type: GroupType.FF,
        group_id: 1,
        buckets: ports.map((watch_port) => ({ watch_port, actions: [] })),
      }),
    ) as MessageOf<'group_mod'>;
  const told = (world: World, at: number) =>
    world.host.cells[at].messages.flatMap((message) =>
      message.type === 'port_status' ? [[message.desc.port_no, message.desc.state]] : [],
    );

  test('a cell hears of the ports its groups watch: once before the group, then at each change', () => {
    const world = new World();
    const [watching, other] = [
      world.flows.openOwn(0, image('openflow')),
      world.flows.openOwn(7, image('openflow')),
    ];
    world.liveness.watch(watching, groupMod(1, 3, 99, PortNumber.ANY));
    world.liveness.watch(watching, groupMod(3));
    expect(told(world, 0)).toEqual([
      [1, PortState.LIVE],
      [3, PortState.LIVE],
    ]);
    world.ports[2].link.running = false;
    world.liveness.changed(world.ports[2]);
    world.liveness.changed(world.ports[1]);
    expect(told(world, 0).slice(2)).toEqual([[3, PortState.LINK_DOWN]]);
    expect(told(world, 1)).toEqual([]);
    expect(other.watchedPorts.size).toBe(0);
  });

  test('so does the cell that takes its place', () => {
    const world = new World();
    const cell = world.flows.openOwn(0, image('openflow'));
    world.liveness.watch(cell, groupMod(2));
    world.host.last.end('host-died');
    world.ports[1].link.running = false;
    world.liveness.changed(world.ports[1]);
    world.clock.now += 1000;
    world.flows.sweep();
    expect(world.host.cells).toHaveLength(2);
    expect(told(world, 1)).toEqual([[2, PortState.LINK_DOWN]]);
  });
});
