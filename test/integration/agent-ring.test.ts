/** Receiving from a ring of slots that the kernel fills: what does not fit into a slot, tags, and a ring that is full. */
import pino from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Clock } from '../../agent/clock.ts';
import { mapFrames } from '../../agent/ports/frame-memory.ts';
import { FramePool } from '../../agent/ports/frames.ts';
import { Ports } from '../../agent/ports/ports.ts';
import { inNamespace, Wire } from '../../bench/lib/wire.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import { ethernet, vlan } from '../../packet/index.ts';
import { PollLoop } from '../../sandbox/sys/loop.ts';
import { describeNetwork } from '../support/suites.ts';

/** For experiments: nobody else sends it. */
const TYPE = 0x88b5;
const SLOTS = 16;
const FRAMES = 256;

const frameOf = (length: number, fill: number) =>
  ethernet({ type: TYPE, payload: new Uint8Array(length - 14).fill(fill) });
const isOurs = (frame: Uint8Array) => [12, 16, 20].some((at) => ((frame[at] << 8) | frame[at + 1]) === TYPE);

describeNetwork('a ring of received frames', () => {
  let net: Network<'s1', string>;
  let wire: Wire;
  let ports: Ports;
  const loop = new PollLoop();
  let received: Uint8Array[];
  let arrived: () => void;

  beforeEach(async () => {
    net = await singleSwitch(1);
    const { h1 } = net.hosts;
    const { s1 } = net.switches;
    const [port] = s1.ports;
    await h1.configure([`link set dev ${h1.interface} mtu 9000`]);
    await s1.configure([`link set dev ${port} mtu 9000`]);
    received = [];
    arrived = () => undefined;
    const pool = new FramePool(FRAMES, mapFrames(FRAMES));
    ports = inNamespace(s1.namespace, () => {
      return new Ports({
        names: [port],
        ringSlots: SLOTS,
        loop,
        pool,
        clock: new Clock(),
        sink: (frame) => {
          const bytes = frame.bytes.slice(frame.offset, frame.offset + frame.length);
          pool.release(frame);
          if (!isOurs(bytes)) return;
          received.push(bytes);
          arrived();
        },
        busy: () => false,
        changed: () => undefined,
        logger: pino({ level: 'silent' }),
      });
    });
    wire = new Wire(h1.namespace, h1.interface, false);
    loop.start();
  });
  afterEach(async () => {
    loop.stop();
    ports?.close();
    wire?.close();
    await net?.close();
  });

  const until = (count: number) =>
    new Promise<void>((resolve) => {
      arrived = () => {
        if (received.length >= count) resolve();
      };
      arrived();
    });

  test('frames larger than a slot come whole and in order, and tags are where they were', async () => {
    const small = frameOf(60, 1);
    const sent = [
      small,
      frameOf(4000, 2),
      frameOf(4001, 3),
      vlan(frameOf(100, 4), { vid: 42, pcp: 5 }),
      frameOf(9000, 5),
      vlan(vlan(frameOf(100, 6), { vid: 42 }), { vid: 7, tpid: 0x88a8 }),
      vlan(frameOf(3000, 7), { vid: 9 }),
      small,
    ];
    // All wait in the kernel before the first is taken.
    for (const frame of sent) wire.send(frame);
    ports.start();
    await until(sent.length);
    expect(received).toEqual(sent);
    const { rxPackets, rxBatches, rxErrors } = ports.list[0].counters;
    expect(rxErrors).toBe(0);
    expect(rxPackets).toBeGreaterThanOrEqual(sent.length);
    expect(rxBatches).toBeGreaterThan(0);
    expect(rxBatches).toBeLessThan(rxPackets);
  });

  test('what a full ring has no room for is counted, and what comes afterwards is received', async () => {
    const sent = Array.from({ length: 3 * SLOTS }, (_, i) => frameOf(60, i));
    for (const frame of sent) wire.send(frame);
    ports.start();
    const last = frameOf(60, 255);
    await until(1);
    wire.send(last);
    await new Promise<void>((resolve) => {
      arrived = () => {
        if (received.at(-1)?.[14] === 255) resolve();
      };
      arrived();
    });
    const [port] = ports.list;
    port.refreshCounters();
    const kept = received.slice(0, -1);
    expect(kept).toEqual(sent.slice(0, kept.length));
    expect(kept.length).toBeLessThanOrEqual(SLOTS);
    expect(port.counters.rxDropped).toBeGreaterThanOrEqual(sent.length - kept.length);
  });
});
