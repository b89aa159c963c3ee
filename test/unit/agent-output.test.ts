import { describe, expect, test } from 'vitest';
import { Output, type PacketIn } from '../../agent/dispatcher/output.ts';
import { FramePool } from '../../agent/ports/frames.ts';
import { NO_FLOOD } from '../../agent/ports/port.ts';
import { numberPorts } from '../../agent/ports/ports.ts';
import { Port, PortConfig } from '../../openflow/index.ts';
import { checksum16, ethernet, ipv4, pseudoHeaderSum, udp } from '../../packet/index.ts';
import { DATA_OFFSET, NO_QUEUE, SLOT_FLAG, TX_KIND } from '../../sandbox/channel/layout.ts';
import { FakePort } from '../support/agent-world.ts';

const pool = new FramePool(64);
const DATA = ethernet({
  type: 0x0800,
  payload: ipv4({ proto: 17, payload: udp({ payload: new Uint8Array(300).fill(7) }) }),
});

const setUp = (allowed?: Map<number, Set<number>>) => {
  const ports = [1, 2, 3].map((number) => new FakePort(number));
  const packetIns: PacketIn[] = [];
  const set = { list: ports, get: (number: number) => ports.find((port) => port.number === number) };
  const output = new Output(set, (packet) => packetIns.push(packet), allowed);
  const verdict = (port: number, kind: number = TX_KIND.OUTPUT, inPort = 1, more = {}) => {
    const frame = pool.take()!;
    frame.load(DATA, inPort);
    const region = new Uint8Array(1024);
    region.set(DATA.subarray(0, 256), DATA_OFFSET);
    return {
      kind,
      frame,
      port,
      region,
      regionAddress: 0x7f0000000000n,
      headOffset: DATA_OFFSET,
      headLength: 256,
      headConsumed: 256,
      queue: NO_QUEUE,
      tableId: 3,
      cookie: 9n,
      metadata: 0n,
      ...more,
    };
  };
  const sentBy = () => ports.filter((port) => port.sent.length > 0).map((port) => port.number);
  return { ports, packetIns, output, verdict, sentBy };
};

describe('output', () => {
  test('to a port: head from the region, the rest from the frame', () => {
    const { ports, output, verdict } = setUp();
    output.handle(5, 0, verdict(2));
    expect(ports[1].sent).toMatchObject([
      { head: 0x7f0000000000 + DATA_OFFSET, headLength: 256, consumed: 256 },
    ]);
  });

  test('FLOOD and ALL leave out the port of entry, IN_PORT is that port', () => {
    for (const port of [Port.FLOOD, Port.ALL]) {
      const { output, verdict, sentBy } = setUp();
      output.handle(0, 0, verdict(port, TX_KIND.OUTPUT, 2));
      expect(sentBy()).toEqual([1, 3]);
    }
    const { output, verdict, sentBy } = setUp();
    output.handle(0, 0, verdict(Port.IN_PORT, TX_KIND.OUTPUT, 2));
    expect(sentBy()).toEqual([2]);
  });

  test('back out of the port of entry needs IN_PORT; unknown ports, LOCAL and closed ports are counted', () => {
    const { ports, output, verdict, sentBy } = setUp();
    ports[2].config = PortConfig.NO_FWD;
    for (const port of [1, 99, Port.LOCAL, 3]) output.handle(0, 0, verdict(port));
    expect(sentBy()).toEqual([]);
    expect(output.counters).toMatchObject({ inPort: 1, noPort: 1, local: 1, portDown: 1, sent: 0 });
    output.handle(0, 0, verdict(Port.FLOOD));
    expect(sentBy()).toEqual([2]);
  });

  test('LOCAL is a port like the others where there is one: by its number, in a flood, and not back to itself', () => {
    const { ports, output, verdict, sentBy } = setUp();
    ports.push(new FakePort(Port.LOCAL));
    output.handle(0, 0, verdict(Port.LOCAL));
    expect(sentBy()).toEqual([Port.LOCAL]);
    output.handle(0, 0, verdict(Port.LOCAL, TX_KIND.OUTPUT, Port.LOCAL));
    expect(output.counters).toMatchObject({ sent: 1, inPort: 1, local: 0 });
    output.handle(0, 0, verdict(Port.ALL, TX_KIND.OUTPUT, 1));
    expect(ports.map((port) => port.sent.length)).toEqual([0, 1, 1, 2]);
    output.handle(0, 0, verdict(Port.FLOOD, TX_KIND.OUTPUT, Port.LOCAL));
    expect(ports.map((port) => port.sent.length)).toEqual([1, 2, 2, 2]);
  });

  test('FLOOD passes over ports that OpenFlow 1.0 says not to flood; ALL does not', () => {
    const { ports, output, verdict } = setUp();
    ports[1].config = NO_FLOOD;
    output.handle(0, 0, verdict(Port.FLOOD));
    output.handle(0, 0, verdict(Port.ALL));
    output.handle(0, 0, verdict(2));
    expect(ports.map((port) => port.sent.length)).toEqual([0, 2, 2]);
  });

  test('a queue goes with the packet; one that the port has not is counted', () => {
    const { ports, output, verdict } = setUp();
    ports[1].has = [{ id: 0, minRate: 0, maxRate: 0, since: 0, txPackets: 0n, txBytes: 0n, drops: 0 }];
    output.handle(0, 0, verdict(2, TX_KIND.OUTPUT, 1, { queue: 0 }));
    output.handle(0, 0, verdict(2));
    expect(output.counters.noQueue).toBe(0);
    output.handle(0, 0, verdict(Port.ALL, TX_KIND.OUTPUT, 1, { queue: 0 }));
    expect(output.counters).toMatchObject({ noQueue: 1, sent: 4 });
    expect(ports.map(({ sent }) => sent.map(({ queue }) => queue))).toEqual([[], [0, NO_QUEUE, 0], [0]]);
  });

  test("a tenant's cell reaches that tenant's ports only", () => {
    const { output, verdict, sentBy } = setUp(new Map([[4, new Set([1, 2])]]));
    output.handle(8, 4, verdict(3));
    expect(output.counters.notAllowed).toBe(1);
    output.handle(8, 4, verdict(Port.FLOOD));
    expect(sentBy()).toEqual([2]);
    output.handle(8, 5, verdict(2));
    expect(output.counters.notAllowed).toBe(2);
  });

  test('to the controller: the whole packet, and nothing from a port that says NO_PACKET_IN', () => {
    const { ports, packetIns, output, verdict } = setUp();
    output.handle(8, 0, verdict(1, TX_KIND.TO_CONTROLLER));
    expect(packetIns[0]).toMatchObject({ cell: 8, inPort: 1, reason: 1, tableId: 3, cookie: 9n });
    expect(packetIns[0].data).toEqual(DATA);
    expect(packetIns[0].totalLength).toBe(DATA.length);
    ports[0].config = PortConfig.NO_PACKET_IN;
    output.handle(8, 0, verdict(1, TX_KIND.TO_CONTROLLER));
    expect(packetIns).toHaveLength(1);
    expect(output.counters.noPacketIn).toBe(1);
  });

  test('a partial checksum is completed before the controller sees the packet', () => {
    const { packetIns, output, verdict } = setUp();
    const partial = verdict(1, TX_KIND.TO_CONTROLLER);
    partial.frame.flags |= SLOT_FLAG.CSUM_PARTIAL;
    partial.frame.csumStart = 34;
    partial.frame.csumOffset = 6;
    // As Linux leaves it: the field holds the folded sum of the pseudo-header, not inverted.
    const pseudo =
      ~checksum16(new Uint8Array(0), 0, 0, pseudoHeaderSum(DATA, 14, 17, DATA.length - 34)) & 0xffff;
    partial.region[DATA_OFFSET + 40] = pseudo >>> 8;
    partial.region[DATA_OFFSET + 41] = pseudo & 0xff;
    output.handle(0, 0, partial);
    expect(packetIns[0].data).toEqual(DATA);
  });
});

describe('port names', () => {
  test('numbers given are kept, the others fill the gaps', () => {
    expect([...numberPorts(['a', 'b=1', 'c=7', 'd'])]).toEqual([
      [1, 'b'],
      [2, 'a'],
      [3, 'd'],
      [7, 'c'],
    ]);
  });

  test.each([
    ['a=0'],
    ['a=4294967041'],
    ['=3'],
    ['way-too-long-a-name'],
    ['a/b'],
    ['a', 'a'],
    ['a=2', 'b=2'],
  ])('refuses %s %s', (...names) => {
    expect(() => numberPorts(names)).toThrow(expect.objectContaining({ code: 'FC_PORT_NAME' }));
  });
});
