import { describe, expect, test } from 'vitest';
import type { CellRecord } from '../../agent/cells.ts';
import { Setups } from '../../agent/dispatcher/setups.ts';
import { CellReason, CellState, DispatchMiss } from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { World, type WorldOptions } from '../support/agent-world.ts';

const LIMIT_MS = 200;
/** So many may wait whatever the pace. */
const LEAST = 16;

const packet = (flow: number): Uint8Array =>
  ethernet({
    type: 0x0800,
    payload: ipv4({
      ...{ src: '10.0.0.1', dst: '10.0.0.2', proto: 17 },
      payload: udp({ src: 1000, dst: flow, payload: new Uint8Array(4) }),
    }),
  });

const match = (flow: number) => ({
  ...{ eth_type: 0x0800, ip_proto: 17, ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2' },
  ...{ udp_src: 1000, udp_dst: flow },
});

/** A device whose cells take their time, and a controller that answers every query. */
class SlowWorld extends World {
  constructor(options: WorldOptions = {}) {
    const hold = { perFlow: 4, perRunningFlow: 5, perTenant: 200, total: 200 };
    super({ setupMs: LIMIT_MS, hold, ...options });
    this.dispatcher.miss = DispatchMiss.QUERY;
    this.host.slow = true;
  }

  /** A packet of a new flow, and the answer if the controller is asked about it. */
  begin(flow: number, inPort = 1, more = {}): void {
    const asked = this.asked.length;
    this.receive(packet(flow), inPort);
    if (this.asked.length > asked) this.answer(this.asked[asked].flow.queryId, flow, more);
  }

  answer(query_id: number, flow: number, more = {}): void {
    this.flows.add(this.rule({ match: match(flow), query_id, cookie: BigInt(flow), ...more }));
  }

  later(ms: number): void {
    this.clock.now += ms;
    this.flows.sweep();
    this.dispatcher.expire(this.clock.now, LIMIT_MS);
  }

  get framesInUse(): number {
    return this.pool.size - this.pool.available;
  }
}

const FAILED = [CellState.FAILED, CellReason.NO_RESOURCES];

describe('more new flows than cells can be made for', () => {
  test('who would wait too long is refused at once, and then not even asked about', () => {
    const world = new SlowWorld();
    for (let flow = 1; flow <= LEAST; flow++) world.begin(flow);
    expect(world.setups.waiting).toBe(LEAST);
    // The last that the controller was asked about before anybody knew.
    world.setups.belongs(1, 99);
    world.begin(100);
    expect(world.statuses).toEqual([FAILED]);
    expect(world.setups.counters).toMatchObject({ refused: 1, unasked: 0 });
    expect(world.dispatcher.counters.dropped.refused).toBe(1);

    const asked = world.asked.length;
    for (let flow = 200; flow < 216; flow++) world.begin(flow);
    // One in eight is: several tenants may be behind the port.
    expect(world.asked.length - asked).toBe(2);
    expect(world.setups.counters).toMatchObject({ refused: 3, unasked: 14 });
    expect(world.dispatcher.counters.dropped).toMatchObject({ noSetup: 14, refused: 3 });
    // All are accounted for: what waits, and what was counted as dropped.
    expect(world.framesInUse).toBe(LEAST);
    expect(world.dispatcher.counters.received).toBe(LEAST + 1 + 16);
  });

  test('flows of another tenant, at another port, are asked about and get their cells', () => {
    const world = new SlowWorld();
    for (let flow = 1; flow <= LEAST + 4; flow++) world.begin(flow);
    for (let flow = 500; flow < 510; flow++) world.begin(flow, 2, { tenant: 7 });
    expect(world.setups.waiting).toBe(LEAST + 10);
    expect(world.asked.slice(-10).map(({ bytes }) => bytes)).toEqual(
      Array.from({ length: 10 }, (_, i) => packet(500 + i)),
    );
  });

  test('cells that do not come in time are given up; isolates made for them go to those who wait now', () => {
    const world = new SlowWorld();
    for (let flow = 1; flow <= LEAST; flow++) world.begin(flow);
    world.later(LIMIT_MS - 1);
    expect(world.setups.counters.late).toBe(0);
    world.later(1);
    expect(world.setups).toMatchObject({ waiting: 0, counters: { late: LEAST } });
    expect(world.statuses).toEqual(Array.from({ length: LEAST }, () => FAILED));
    expect(world.dispatcher.counters.dropped.noCell).toBe(LEAST);
    expect([world.rules.size, world.cells.size, world.framesInUse]).toEqual([0, 0, 0]);

    world.begin(300);
    world.host.finish();
    expect(world.host.cells).toHaveLength(1);
    expect(world.statuses.at(-1)).toEqual([CellState.READY, CellReason.NONE]);
    expect(world.framesInUse).toBe(1);
  });

  test('a rule does not run out while its cell is made: its packets would ask again for ever', () => {
    const world = new SlowWorld({ setupMs: 5000 });
    world.begin(1, 1, { idle_timeout: 1, hard_timeout: 1 });
    world.later(1500);
    expect(world.asked).toHaveLength(1);
    expect(world.rules.size).toBe(1);
    world.host.finish();
    // Idle from here on.
    world.later(999);
    expect(world.rules.size).toBe(0);
  });

  test('an answer for packets that are gone gets no cell while others wait for one', () => {
    const world = new SlowWorld();
    world.receive(packet(1));
    world.later(LIMIT_MS);
    expect(world.dispatcher.counters.dropped.timeout).toBe(1);
    world.begin(2);
    world.answer(1, 1);
    expect(world.statuses).toEqual([FAILED]);
    expect(world.setups.counters.stale).toBe(1);
    // With nobody waiting it is as good as any rule: the next packet will be glad of it.
    world.host.finish();
    world.answer(1, 1);
    expect(world.rules.size).toBe(2);
  });

  test('rules that no packet waits for take as long as they take', () => {
    const world = new SlowWorld();
    for (let flow = 1; flow <= 3 * LEAST; flow++) world.answer(0, flow);
    world.later(10 * LIMIT_MS);
    expect(world.statuses).toEqual([]);
    world.host.finish();
    expect(world.statuses).toEqual(
      Array.from({ length: 3 * LEAST }, () => [CellState.READY, CellReason.NONE]),
    );
  });
});

describe('the pace of set-ups', () => {
  const cell = (tenant = 0) => ({ tenant }) as CellRecord;
  /** A queue that is served every `ms`, and how many may wait in it then. */
  const roomAt = (ms: number): number => {
    const setups = new Setups(2000);
    let now = 0;
    for (let i = 0; i < 100; i++) {
      const served = cell();
      setups.begin(served, now);
      now += ms;
      setups.end(served, true, now);
    }
    while (!setups.full(0)) setups.begin(cell(), now);
    return setups.waiting;
  };

  test('what may wait is what can be set up in half the time that packets are held', () => {
    expect(roomAt(10)).toBe(100);
    // (The mean comes near it without end.)
    expect(Math.abs(roomAt(2) - 500)).toBeLessThanOrEqual(1);
    expect(roomAt(1000)).toBe(LEAST);
  });

  test('cells that were given up say nothing about the pace; nor does the time without any', () => {
    const setups = new Setups(2000);
    const given = cell();
    setups.begin(given, 0);
    setups.end(given, false, 1900);
    const served = cell();
    setups.begin(served, 60_000);
    setups.end(served, true, 60_010);
    for (let i = 0; i < 99; i++) setups.begin(cell(), 60_010);
    expect(setups.full(0)).toBe(false);
    setups.begin(cell(), 60_010);
    expect(setups.full(0)).toBe(true);
    expect(setups.full(1)).toBe(false);
  });
});
