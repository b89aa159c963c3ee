import { describe, expect, test } from 'vitest';
import {
  CellReason,
  CellState,
  DispatchFlag,
  DispatchMiss,
  decode,
  encode,
  type MessageOf,
  OnFailure,
  Wall,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import { image, uploaded, World } from '../support/agent-world.ts';

const packet = (dstPort: number, mark = 0, srcPort = 1000, back = false): Uint8Array => {
  const ports = back ? { src: dstPort, dst: srcPort } : { src: srcPort, dst: dstPort };
  const hosts = back ? { src: '10.0.0.2', dst: '10.0.0.1' } : { src: '10.0.0.1', dst: '10.0.0.2' };
  return ethernet({
    type: 0x0800,
    payload: ipv4({ ...hosts, proto: 17, payload: udp({ ...ports, payload: Uint8Array.of(mark) }) }),
  });
};
const MARK = packet(1).length - 1;

const flowMatch = (dstPort: number) => ({
  eth_type: 0x0800,
  ip_proto: 17,
  ipv4_src: '10.0.0.1',
  ipv4_dst: '10.0.0.2',
  udp_src: 1000,
  udp_dst: dstPort,
});

/** Marks of the frames a cell has been given. */
const marks = (cell: { frames: { bytes: Uint8Array; offset: number }[] }) =>
  cell.frames.map((frame) => frame.bytes[frame.offset + MARK]);

/** The controller's answer, as far as the flow running. */
const answer = (world: World, dstPort: number, more = {}) => {
  world.flows.add(
    world.rule({ match: flowMatch(dstPort), query_id: world.asked.at(-1)!.flow.queryId, ...more }),
  );
  const cell = world.cells.get(world.host.last.id)!;
  cell.control.barrier(() => world.flows.run(cell));
  world.host.last.answerBarriers();
  return world.host.last;
};

describe('a flow begins', () => {
  test('one query however many packets; they go in in order once the barrier is answered', () => {
    const world = new World();
    for (let mark = 0; mark < 3; mark++) world.receive(packet(5, mark));
    world.receive(packet(6, 9));
    expect(world.asked.map(({ flow }) => flow.queryId)).toEqual([1, 2]);
    expect(world.asked[0].bytes).toEqual(packet(5, 0));

    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1, cookie: 77n }));
    const cell = world.host.last;
    expect(world.toController).toMatchObject([
      { type: 'cell_status', state: CellState.READY, query_id: 1, cell: cell.id, cookie: 77n, setup_us: 42 },
    ]);
    world.receive(packet(5, 3));
    expect(cell.frames).toEqual([]);

    const record = world.cells.get(cell.id)!;
    record.control.barrier(() => world.flows.run(record));
    cell.answerBarriers();
    world.receive(packet(5, 4), 1);
    expect(marks(cell)).toEqual([0, 1, 2, 3, 4]);
    expect(world.dispatcher.pending.size).toBe(1);
    expect([...world.rules.all()][0]).toMatchObject({ packets: 5, bytes: 5 * (MARK + 1) });
  });

  test('its cell has the number of the query; packets go in behind the barrier, marked as long as it is not answered', () => {
    const world = new World();
    world.receive(packet(5, 0));
    const queryId = world.asked[0].flow.queryId;
    world.flows.add(world.rule({ match: flowMatch(5), query_id: queryId }));
    const cell = world.host.last;
    expect(cell.id).toBe(queryId);
    const record = world.cells.get(cell.id)!;
    record.control.barrier(() => world.flows.run(record));
    world.flows.prime(record);
    world.receive(packet(5, 1));
    const behind = () => cell.frames.map(({ flags }) => flags & SLOT_FLAG.BEHIND_MESSAGES);
    expect(marks(cell)).toEqual([0, 1]);
    expect(behind()).toEqual([SLOT_FLAG.BEHIND_MESSAGES, SLOT_FLAG.BEHIND_MESSAGES]);
    cell.room = 2;
    world.receive(packet(5, 2));
    expect(record.queue.count).toBe(1);
    cell.room = 8;
    cell.answerBarriers();
    expect(marks(cell)).toEqual([0, 1, 2]);
    expect(behind().at(-1)).toBe(0);
    expect(record.phase).toBe('running');
  });

  test('a number that is in use when the answer comes is not given again', () => {
    const world = new World();
    world.receive(packet(5));
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1 }));
    world.flows.add(world.rule({ match: flowMatch(6), query_id: 1 }));
    const [first, second] = world.host.cells;
    expect([first.id, second.id === 1]).toEqual([1, false]);
    world.receive(packet(7));
    expect([first.id, second.id]).not.toContain(world.asked.at(-1)!.flow.queryId);
  });

  test('a rule for both directions takes the packets held for the other direction too', () => {
    const world = new World();
    world.receive(packet(5, 1));
    world.receive(packet(5, 2, 1000, true), 2);
    expect(world.asked).toHaveLength(2);
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1, flags: DispatchFlag.BOTH_DIRECTIONS }));
    expect(world.dispatcher.pending.size).toBe(0);
    expect([...world.rules.all()][0].cell!.queue.count).toBe(2);
  });

  test('a rule finer than the query: what it does not match is asked about again', () => {
    const world = new World();
    world.dispatcher.pending.configure(0n);
    world.receive(packet(5, 1));
    world.receive(packet(6, 2));
    expect(world.asked).toHaveLength(1);
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1 }));
    expect(world.asked).toHaveLength(2);
    expect(world.asked[1].bytes).toEqual(packet(6, 2));
  });

  test('too many packets for the queue are dropped and counted', () => {
    const world = new World();
    for (let mark = 0; mark < 6; mark++) world.receive(packet(5, mark));
    expect(world.dispatcher.counters.dropped.hold).toBe(2);
    expect(world.holding.refused.perFlow).toBe(2);
    expect(world.pool.available).toBe(256 - 4);
  });

  test('no answer in time: the packets are dropped, the next one asks again', () => {
    const world = new World();
    world.receive(packet(5));
    world.clock.now += 100;
    world.receive(packet(6));
    world.dispatcher.expire(world.clock.now + 1900, 2000);
    expect(world.dispatcher.counters.dropped.timeout).toBe(1);
    expect(world.pool.available).toBe(255);
    world.receive(packet(5));
    expect(world.asked).toHaveLength(3);
  });

  test('a refused query drops what is held', () => {
    const world = new World();
    world.receive(packet(5));
    world.flows.refuse(1);
    expect(world.dispatcher.counters.dropped.refused).toBe(1);
    expect(world.pool.available).toBe(256);
    world.flows.refuse(1);
    expect(world.dispatcher.counters.dropped.refused).toBe(1);
  });

  test('a flood of new flows is cut off at the port', () => {
    const world = new World({ perPort: 10 });
    for (let port = 1; port <= 30; port++) world.receive(packet(port));
    expect(world.asked).toHaveLength(16);
    expect(world.dispatcher.counters.dropped.admission).toBe(14);
  });

  test('without a controller packets wait; they are asked about when it is back', () => {
    const world = new World();
    world.controllerThere = false;
    world.receive(packet(5));
    expect(world.asked).toEqual([]);
    world.controllerThere = true;
    world.dispatcher.askAgain();
    world.dispatcher.askAgain();
    expect(world.asked.map(({ bytes }) => bytes)).toEqual([packet(5)]);
  });

  test('no barrier: the cell runs as it is after a while', () => {
    const world = new World();
    world.receive(packet(5, 1));
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1 }));
    world.clock.now += 499;
    world.flows.sweep();
    expect(marks(world.host.last)).toEqual([]);
    world.clock.now += 1;
    world.flows.sweep();
    expect(marks(world.host.last)).toEqual([1]);
  });

  test('a program other than openflow needs no entries', () => {
    const world = new World();
    world.receive(packet(5, 1));
    const { hash } = image('other');
    const program = world.flows.add.bind(world.flows);
    expect(hash).toHaveLength(64);
    program({
      ...world.rule({ match: flowMatch(5), query_id: 1 }),
      cells: [{ program: hash, memory_mib: 0, run_ms: 0 }],
    } as never);
    expect(marks(world.host.last)).toEqual([1]);
  });
});

describe('a rule that cannot be', () => {
  test.each([
    ['unknown wall', { wall: 7 }, CellReason.UNSUPPORTED],
    [
      'uploaded program in a shared isolate',
      { wall: Wall.CONTEXT, cells: [{ program: uploaded.hash }] },
      CellReason.UNSUPPORTED,
    ],
    ['chain', { cells: [{}, {}] }, CellReason.UNSUPPORTED],
    ['unknown program', { cells: [{ program: 'ab'.repeat(32) }] }, CellReason.BAD_PROGRAM],
  ])('%s: failed, with the reason, and nothing stays held', (_name, more, reason) => {
    const world = new World();
    world.receive(packet(5));
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1, ...more }));
    expect(world.toController).toMatchObject([{ state: CellState.FAILED, reason, query_id: 1 }]);
    expect(world.rules.size).toBe(0);
    expect(world.pool.available).toBe(256);
  });

  test.each([
    ['isolate', Wall.ISOLATE],
    ['process', Wall.PROCESS],
    ['context', Wall.CONTEXT],
  ] as const)('the cell is opened behind the wall the rule names: %s', (name, wall) => {
    const world = new World();
    world.flows.add(world.rule({ match: flowMatch(5), wall }));
    expect(world.host.last.limits.wall).toBe(name);
    world.flows.add(world.rule({ match: flowMatch(6), wall, cells: [{ program: uploaded.hash }] }));
    if (wall !== Wall.CONTEXT) expect(world.host.last.program).toBe(uploaded);
  });

  test('a host that has no cell: failed, at once or later', () => {
    for (const slow of [false, true]) {
      const world = new World();
      world.host.slow = slow;
      world.host.refuseWith = 'FC_NO_RESOURCES';
      world.receive(packet(5));
      world.flows.add(world.rule({ match: flowMatch(5), query_id: 1 }));
      world.host.finish();
      expect(world.statuses).toEqual([[CellState.FAILED, CellReason.NO_RESOURCES]]);
      expect([world.rules.size, world.cells.size, world.pool.available]).toEqual([0, 0, 256]);
    }
  });
});

describe('a flow ends', () => {
  test('idle timeout: the cell is closed, the controller told with the figures', () => {
    const world = new World();
    world.receive(packet(5));
    const cell = answer(world, 5, { idle_timeout: 10, flags: DispatchFlag.NOTIFY_REMOVED });
    world.clock.now += 9999;
    world.flows.sweep();
    expect(cell.alive).toBe(true);
    world.clock.now += 1;
    world.flows.sweep();
    expect(cell.alive).toBe(false);
    expect(world.toController.at(-1)).toMatchObject({
      state: CellState.REMOVED,
      reason: CellReason.IDLE_TIMEOUT,
      packet_count: 1n,
      byte_count: BigInt(MARK + 1),
    });
    expect(world.pool.available).toBe(256);
  });

  test('deleted while its cell is still opening: it gets none', () => {
    const world = new World();
    world.host.slow = true;
    world.receive(packet(5));
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1 }));
    world.flows.delete(world.rule({ match: {} }));
    world.host.finish();
    expect(world.host.cells).toEqual([]);
    expect(world.cells.size).toBe(0);
    // The packet is a new flow's first again.
    expect(world.asked).toHaveLength(2);
  });

  test('replaced by a new rule: what waited for the old cell waits for the new one', () => {
    const world = new World();
    world.receive(packet(5, 1));
    world.flows.add(world.rule({ match: flowMatch(5), query_id: 1, flags: DispatchFlag.NOTIFY_REMOVED }));
    const old = world.host.last;
    world.flows.add(world.rule({ match: flowMatch(5) }));
    expect([old.alive, world.rules.size]).toEqual([false, 1]);
    expect(world.statuses.map(([state]) => state)).toEqual([
      CellState.READY,
      CellState.REMOVED,
      CellState.READY,
    ]);
    world.flows.run(world.cells.get(world.host.last.id)!);
    expect(marks(world.host.last)).toEqual([1]);
  });

  test('delete by cell leaves the others', () => {
    const world = new World();
    world.receive(packet(5));
    const first = answer(world, 5);
    world.receive(packet(6));
    const second = answer(world, 6);
    world.flows.delete(world.rule({ match: {}, cell: first.id }));
    expect([first.alive, second.alive]).toEqual([false, true]);
  });

  test.each([
    ['memory', CellState.KILLED, CellReason.MEMORY],
    ['cpu', CellState.KILLED, CellReason.CPU],
    ['exception', CellState.EXITED, CellReason.EXCEPTION],
  ] as const)('%s with policy restart: the next packet asks again, with the reason', (end, state, reason) => {
    const world = new World();
    world.receive(packet(5));
    const cell = answer(world, 5);
    cell.end(end);
    expect(world.statuses.at(-1)).toEqual([state, reason]);
    expect(world.asked).toHaveLength(1);
    world.receive(packet(5, 1));
    world.receive(packet(5, 2));
    expect(world.asked).toHaveLength(2);
    expect(world.asked[1].flow.reason).toBe(1);
    const fresh = answer(world, 5);
    expect(fresh.id).not.toBe(cell.id);
    expect(marks(fresh)).toEqual([1, 2]);
  });

  test('quarantine: packets are dropped and counted until the rule ends', () => {
    const world = new World();
    world.receive(packet(5));
    answer(world, 5, { on_failure: OnFailure.QUARANTINE, hard_timeout: 60 }).end('cpu');
    expect(world.statuses.slice(-2)).toEqual([
      [CellState.KILLED, CellReason.CPU],
      [CellState.QUARANTINED, CellReason.NONE],
    ]);
    world.receive(packet(5));
    expect(world.dispatcher.counters.dropped.quarantined).toBe(1);
    world.clock.now += 60_000;
    world.flows.sweep();
    world.receive(packet(5));
    expect(world.asked.at(-1)!.flow.reason).toBe(0);
  });

  test('policy drop: the rule goes, and the next packet is a new flow', () => {
    const world = new World();
    world.receive(packet(5));
    answer(world, 5, { on_failure: OnFailure.DROP }).end('cpu');
    expect(world.rules.size).toBe(0);
    world.receive(packet(5));
    expect(world.asked.at(-1)!.flow.reason).toBe(0);
  });

  test('killed by the operator counts as a crash', () => {
    const world = new World();
    world.receive(packet(5));
    const cell = answer(world, 5);
    world.cells.kill(world.cells.get(cell.id)!);
    expect(world.statuses.at(-1)).toEqual([CellState.EXITED, CellReason.EXCEPTION]);
  });
});

test('an isolate may be used again after a timeout and a deletion, not when its cell was killed', () => {
  const world = new World();
  const begin = (port: number) => {
    world.receive(packet(port));
    return answer(world, port, { idle_timeout: 10 });
  };
  const timedOut = begin(5);
  world.clock.now += 10_000;
  world.flows.sweep();
  const deleted = begin(6);
  world.flows.delete(world.rule({ match: {}, cell: deleted.id }));
  const killed = begin(7);
  world.cells.kill(world.cells.get(killed.id)!);
  expect([timedOut, deleted, killed].map(({ alive }) => alive)).toEqual([false, false, false]);
  expect([timedOut, deleted, killed].map(({ endedWell }) => endedWell)).toEqual([true, true, false]);
});

describe('the sandbox host dies', () => {
  test('the cell comes back under a new number with its entries; packets wait meanwhile', () => {
    const world = new World();
    world.receive(packet(5, 1));
    const cell = answer(world, 5);
    const record = world.cells.get(cell.id)!;
    const entry = encode({ type: 'flow_mod', xid: 9 });
    record.log.record(decode(entry) as MessageOf<'flow_mod'>, entry, 0);
    world.host.slow = true;
    cell.end('host-died');
    world.receive(packet(5, 2));
    world.host.finish();
    const fresh = world.host.last;
    expect(world.statuses.slice(-2)).toEqual([
      [CellState.EXITED, CellReason.HOST_DIED],
      [CellState.READY, CellReason.NONE],
    ]);
    expect(fresh.id).not.toBe(cell.id);
    expect(fresh.messages.map((message) => message.type)).toEqual(['flow_mod', 'barrier_request']);
    expect(marks(fresh)).toEqual([]);
    fresh.answerBarriers();
    expect(marks(fresh)).toEqual([2]);
    expect(world.cells.counters.lostFrames).toBe(1);
  });

  test('a host that keeps dying: cells are not started again for ever, the controller is asked', () => {
    const world = new World();
    world.receive(packet(5));
    answer(world, 5);
    for (let death = 0; death < 6; death++) {
      world.clock.now += 1001;
      world.host.last.end('host-died');
      world.host.last.answerBarriers();
    }
    expect(world.flows.counters.restarted).toBe(5);
    world.receive(packet(5));
    expect(world.asked.at(-1)!.flow.reason).toBe(1);
  });

  test('the default cell comes back with its number', () => {
    const world = new World();
    world.dispatcher.miss = DispatchMiss.DEFAULT_CELL;
    world.dispatcher.defaultCell = world.flows.openOwn(0, image('openflow'));
    world.receive(packet(5, 1));
    expect(marks(world.host.last)).toEqual([1]);
    world.host.last.end('host-died');
    world.receive(packet(5, 2));
    world.clock.now += 1000;
    world.flows.sweep();
    world.receive(packet(5, 3));
    world.host.last.answerBarriers();
    expect(world.host.last.id).toBe(0);
    expect(marks(world.host.last)).toEqual([3]);
    expect(world.dispatcher.counters.dropped.noCell).toBe(1);
  });
});

describe('a busy cell', () => {
  test('packets wait in order while its slots are full, within bounds', () => {
    const world = new World();
    world.receive(packet(5, 0));
    const cell = answer(world, 5);
    cell.room = 1;
    for (let mark = 1; mark <= 7; mark++) world.receive(packet(5, mark));
    expect(world.dispatcher.counters.dropped.hold).toBe(2);
    const seen: number[] = [];
    for (let i = 0; i < 6; i++) {
      seen.push(...marks(cell));
      cell.verdict(2);
      world.cells.drained(cell);
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
    expect(world.pool.available).toBe(256);
    expect(world.ports[1].sent).toHaveLength(6);
  });
});
