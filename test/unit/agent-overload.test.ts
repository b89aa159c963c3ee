/** Whoever sends the device more than it can carry: a controller, a cell. */
import { describe, expect, test } from 'vitest';
import { encode, type MessageInit, Port } from '../../openflow/index.ts';
import { BundleCtrlType } from '../../openflow/v14/constants.ts';
import { Channel } from '../support/agent-channel.ts';

const FLOOD = 9000;
/** Messages that may wait for one cell. */
const BACKLOG = 4096;

/** As the ONF's extension of 1.3 numbers it. */
const OUT_OF_BUNDLES = 'EXPERIMENTER/2305';

const packetOut: MessageInit = {
  type: 'packet_out',
  in_port: Port.CONTROLLER,
  actions: [{ type: 'output', port: 2 }],
  data: new Uint8Array(60),
};

describe('a controller floods the device', () => {
  test('PACKET_OUTs for a cell that does not get on: few frames are held, every other one is counted', () => {
    const channel = new Channel();
    const { world } = channel;
    const controller = channel.connect();
    channel.cell.takesMessages = false;
    channel.cell.room = 0;
    for (let i = 0; i < FLOOD; i++) controller.say(packetOut);
    const { held } = world.holding;
    expect(world.pool.size - world.pool.available).toBe(held);
    expect(held).toBeLessThan(64);
    const { packetOuts, lostPacketOuts } = channel.switch.counters;
    expect(packetOuts).toBe(FLOOD);
    // The agent's own barriers are among the messages that wait.
    expect(lostPacketOuts).toBeGreaterThanOrEqual(FLOOD - BACKLOG);
    expect(held + world.dispatcher.counters.dropped.hold + lostPacketOuts).toBe(FLOOD);
    expect(world.cells.control.overflow).toBe(lostPacketOuts);
  });

  test('1,000 bundles: 16 are opened, each other one is refused', () => {
    const channel = new Channel();
    const controller = channel.connect();
    for (let id = 1; id <= 1000; id++) controller.bundle(BundleCtrlType.OPEN_REQUEST, id);
    const heard = controller.heard();
    expect(heard.filter((what) => what === 'experimenter')).toHaveLength(16);
    expect(new Set(heard)).toEqual(new Set(['experimenter', OUT_OF_BUNDLES]));
    expect(heard).toHaveLength(1000);
  });
});

describe('a cell floods its controllers', () => {
  test.each<[string, MessageInit]>([
    ['table_status', { type: 'table_status', table_id: 1, reason: 3 }],
    ['flow_removed', { type: 'flow_removed', reason: 0, match: {} }],
  ])('%s: one that does not read loses them, and stays; the others get all', (type, message) => {
    const channel = new Channel();
    const [slow, other] = [channel.connect(5), channel.connect(5)];
    slow.slow = true;
    for (let i = 0; i < 1000; i++) channel.cell.say(message);
    expect([slow.received.length, slow.dropped]).toEqual([0, 1000]);
    expect(other.heard()).toEqual(Array.from({ length: 1000 }, () => type));
  });

  test('what a cell may not say is counted, and nobody hears of it', () => {
    const channel = new Channel();
    const controller = channel.connect(5);
    const before = channel.world.cells.control.refused;
    for (let i = 0; i < 1000; i++) channel.cell.say({ type: 'barrier_reply', xid: 0x70000000 + i });
    channel.world.cells.message(channel.cell, encode({ type: 'echo_request', data: new Uint8Array(0) }));
    expect(channel.world.cells.control.refused - before).toBe(1001);
    expect(controller.heard()).toEqual([]);
  });
});
