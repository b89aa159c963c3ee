/** Which flows the kernel is given, and what takes them from it again. The kernel is only pretended. */
import { expect, test } from 'vitest';
import { BpfError } from '../../agent/fastpath/bpf-error.ts';
import { Elephants } from '../../agent/fastpath/elephants.ts';
import { FastPath } from '../../agent/fastpath/fast-path.ts';
import { ENTRY } from '../../agent/fastpath/layout.ts';
import type { CopySink, FastPathLimits, Kernel } from '../../agent/fastpath/options.ts';
import {
  DispatchFlag,
  encode,
  type MessageOf,
  PathFlag,
  PathMessageFlag,
  Port,
} from '../../openflow/index.ts';
import { ethernet, ipv4, udp } from '../../packet/index.ts';
import { DATA_OFFSET, NO_QUEUE, TX_KIND } from '../../sandbox/channel/layout.ts';
import { silent, World } from '../support/agent-world.ts';

class FakeKernel implements Kernel {
  readonly size: number;
  readonly entries = new Map<string, { index: number; entry: Uint8Array }>();
  readonly counted: number[];
  closed = false;
  copyPort: number | undefined = 99;
  /** Copies that wait to be taken. */
  readonly copies: (() => void)[] = [];

  constructor(size: number) {
    this.size = size;
    this.counted = new Array(size).fill(0);
  }

  insert(key: Uint8Array, index: number, entry: Uint8Array): void {
    this.entries.set(Buffer.from(key).toString('hex'), { index, entry: entry.slice() });
  }

  remove(key: Uint8Array): void {
    this.entries.delete(Buffer.from(key).toString('hex'));
  }

  packets(index: number): number {
    return this.counted[index];
  }

  bytes(index: number): number {
    return this.counted[index] * 100;
  }

  lastMs(): number {
    return 5000;
  }

  copiesTo(): number | undefined {
    return this.copyPort;
  }

  takeCopies(): void {
    for (const take of this.copies.splice(0)) take();
  }

  lostCopies(): number {
    return 0;
  }

  close(): void {
    this.closed = true;
  }
}

const packet = (port: number): Uint8Array =>
  ethernet({
    type: 0x0800,
    payload: ipv4({ proto: 17, payload: udp({ src: port, payload: new Uint8Array(20) }) }),
  });
const STATISTICS = encode({ type: 'multipart_request', body: { type: 'table' } });
const matchOf = (port: number) => ({ eth_type: 0x0800, ip_proto: 17, udp_src: port });

const CONTROLLER = Port.CONTROLLER;

/** What a cell does with a packet; `shown`: the controller's packet, where the ports' is as it came. */
interface Forwarded {
  path: number;
  modifications: number;
  to: number[];
  shown: Uint8Array;
}

/** A world with one flow, and what its cell says of packets. */
const scene = (
  limits: Partial<FastPathLimits> = {},
  flags: number = DispatchFlag.CACHEABLE,
  open?: () => Kernel,
) => {
  const world = new World();
  let kernel: FakeKernel | undefined;
  let copied: CopySink | undefined;
  const packetIns: object[] = [];
  const fastPath = new FastPath({
    limits: { threshold: 1, flows: 4, ...limits },
    rules: world.rules,
    ports: { list: world.ports, get: (number) => world.ports.find((port) => port.number === number) },
    clock: world.clock,
    cellWithoutRule: () => undefined,
    mayUse: (_, port) => port !== 3,
    wireOf: ({ number }) => ({ index: 10 + number, mtu: 1500 }),
    open: (flows, sink) => {
      if (open !== undefined) return open();
      kernel = new FakeKernel(flows);
      copied = sink;
      return kernel;
    },
    handle: (cell, tenant, { kind, frame, port, tableId, cookie, metadata }) =>
      packetIns.push({ cell, tenant, kind, inPort: frame.inPort, port, tableId, cookie, metadata }),
    logger: silent,
  });
  world.cells.fastPath = fastPath;
  world.flows.add(world.rule({ match: { eth_type: 0x0800 }, flags }));
  const handle = world.host.last;
  const record = world.cells.get(handle.id)!;
  world.flows.run(record);
  handle.answerBarriers();
  /** The cell forwards a packet; `path` and `modifications` as it says. */
  const forward = (port: number, more: Partial<Forwarded> = {}) => {
    const frame = world.frame(packet(port));
    const region = new Uint8Array(1024);
    region.set(packet(port), DATA_OFFSET);
    // What the controller is shown.
    if (more.shown !== undefined) region.set(more.shown, DATA_OFFSET);
    const to = more.to ?? [2];
    for (const [i, out] of to.entries()) {
      world.cells.verdict(handle, {
        ...{
          kind: out === CONTROLLER ? TX_KIND.TO_CONTROLLER : TX_KIND.OUTPUT,
          last: i === to.length - 1,
          cacheable: i === to.length - 1,
          frame,
          port: out === CONTROLLER ? 1 : out,
          region,
        },
        ...{ path: more.path ?? 1, modifications: more.modifications ?? record.control.modifications },
        ...{
          regionAddress: 0x1000n,
          headOffset: DATA_OFFSET,
          headLength: out !== CONTROLLER && more.shown !== undefined ? 0 : frame.length,
          headConsumed: frame.length,
        },
        ...{ queue: NO_QUEUE, tableId: 3, cookie: 7n, metadata: 9n },
      });
    }
  };
  const count = (packets: number) => {
    for (const { index } of kernel!.entries.values()) kernel!.counted[index] += packets;
  };
  return {
    world,
    fastPath,
    handle,
    record,
    forward,
    count,
    entries: () => kernel?.entries.size ?? 0,
    kernel: () => kernel!,
    /** The kernel gives the agent a copy of a packet that went by an entry. */
    copy: (index: number) => copied!(index, world.frame(packet(1))),
    packetIns,
  };
};

test('the cell is asked to name paths; then what it allows is the kernel’s', () => {
  const { handle, forward, entries, kernel } = scene();
  forward(1, { path: 0 });
  expect(handle.messages.at(-1)).toMatchObject({ type: 'path_credit', flags: 2 });
  expect(entries()).toBe(0);
  forward(1);
  expect(entries()).toBe(1);
  const [{ entry }] = kernel().entries.values();
  expect(new DataView(entry.buffer).getUint32(76, true)).toBe(12);
});

test('a rule that does not allow it, a port of another tenant, and too many outputs keep a flow with its cell', () => {
  const refused = scene({}, 0);
  refused.forward(1);
  const { forward, entries, fastPath } = scene();
  forward(1, { to: [3] });
  forward(2, { to: [2, 3] });
  forward(3, { to: new Array(9).fill(2) });
  forward(4, { to: [9] });
  expect([refused.entries(), entries(), fastPath.counters.inexpressible]).toEqual([0, 0, 4]);
  forward(5, { to: [2, 2] });
  expect(entries()).toBe(1);
});

test('the controller gets packet-ins about what the kernel forwards, as the cell said of the first', () => {
  const { record, forward, entries, kernel, copy, packetIns, fastPath } = scene();
  forward(1, { to: [2, CONTROLLER] });
  const [{ index, entry }] = kernel().entries.values();
  const fields = new DataView(entry.buffer);
  expect(
    [ENTRY.OUTPUT, ENTRY.CONTROLLER, ENTRY.CONTROLLER_TAG].map((at) => fields.getUint32(at, true)),
  ).toEqual([12, 99, index]);
  copy(index);
  const said = { cell: record.id, tenant: record.tenant, kind: TX_KIND.TO_CONTROLLER, inPort: 1, port: 1 };
  expect(packetIns).toEqual([{ ...said, tableId: 3, cookie: 7n, metadata: 9n }]);
  // What was forwarded before a change is told before it; what comes later is of a flow that is gone.
  kernel().copies.push(() => copy(index));
  record.control.tell(new Uint8Array([4, 14, 0, 8, 0, 0, 0, 0]));
  expect([entries(), packetIns.length]).toEqual([0, 2]);
  fastPath.sweep(0);
  copy(index);
  expect(packetIns).toHaveLength(2);
});

test('a packet-in alone, two, or one with other bytes than those that leave, stay with the cell', () => {
  const { forward, entries, fastPath, kernel } = scene();
  forward(1, { to: [CONTROLLER] });
  expect(fastPath.counters.missed).toBe(0);
  forward(1, { to: [2, CONTROLLER, CONTROLLER] });
  forward(2, { to: [2, CONTROLLER], shown: packet(9) });
  expect([entries(), fastPath.counters.inexpressible]).toEqual([0, 2]);
  forward(2, { to: [CONTROLLER, 2], shown: packet(2) });
  expect(entries()).toBe(1);
  kernel().copyPort = undefined;
  forward(3, { to: [2, CONTROLLER] });
  expect([entries(), fastPath.counters.inexpressible]).toEqual([1, 3]);
});

test('it is turned off for a tenant, and not for others', () => {
  const { tenant } = scene().record;
  const cachedWithout = (exceptTenants: number[]) => {
    const { forward, entries } = scene({ exceptTenants });
    forward(1);
    return entries();
  };
  expect([[tenant], [tenant + 1]].map(cachedWithout)).toEqual([0, 1]);
});

test('what was decided before a change is not the kernel’s after it', () => {
  const { record, forward, entries, fastPath } = scene();
  forward(1);
  record.control.tell(new Uint8Array([4, 14, 0, 8, 0, 0, 0, 0]));
  expect(entries()).toBe(0);
  forward(1, { modifications: record.control.modifications - 1 });
  expect([entries(), fastPath.counters.outdated]).toEqual([0, 1]);
  forward(1);
  expect(entries()).toBe(1);
});

test('the cell hears of all packets before it is asked for statistics, each once', () => {
  const { world, record, handle, forward, count } = scene();
  forward(1, { path: 7 });
  count(5);
  handle.sent.length = 0;
  record.control.tell(STATISTICS);
  expect(handle.sent.map((bytes) => bytes[1])).toEqual([4, 18]);
  expect((handle.messages[0] as MessageOf<'path_credit'>).credits).toMatchObject([
    { path: 7, packet_count: 5n, byte_count: 500n },
  ]);
  handle.sent.length = 0;
  record.control.tell(STATISTICS);
  expect(handle.sent).toHaveLength(1);
  expect([...world.rules.all()][0]).toMatchObject({ packets: 5, bytes: 500 });
  expect(world.ports[1].counters).toMatchObject({ txPackets: 5, txBytes: 500 });
});

test('a path without packets since it was counted is let go, another only by force', () => {
  const { handle, forward, count, entries } = scene();
  forward(1, { path: 7 });
  const release = (flags = 0) => {
    handle.sent.length = 0;
    handle.say({ type: 'path_release', token: 3, flags, paths: [7, 8] });
    const [{ token, credits }] = handle.messages as MessageOf<'path_credit'>[];
    return { token, credits: credits.map((one) => [one.path, one.flags, one.packet_count]) };
  };
  count(2);
  expect(release()).toEqual({
    token: 3,
    credits: [
      [7, PathFlag.CACHED, 2n],
      [8, 0, 0n],
    ],
  });
  expect(entries()).toBe(1);
  expect(release().credits[0]).toEqual([7, 0, 0n]);
  expect(entries()).toBe(0);
  forward(1, { path: 7 });
  count(3);
  expect(release(1).credits[0]).toEqual([7, 0, 3n]);
  expect(entries()).toBe(0);
});

test('a cell that is behind gets its answers; what it has no place for at all it is told later', () => {
  const { handle, record, forward, count, fastPath } = scene();
  const { control } = record;
  const told = () =>
    (handle.messages as MessageOf<'path_credit'>[])
      .filter(({ type }) => type === 'path_credit')
      .flatMap(({ token, credits }) => credits.map((one) => [token, one.path, one.packet_count]));
  const release = (token: number) =>
    handle.say({ type: 'path_release', token, flags: PathMessageFlag.FORCE, paths: [7] });
  const catchUp = () => {
    handle.takesMessages = true;
    handle.sent.length = 0;
    control.pump();
  };
  forward(1, { path: 7 });

  handle.takesMessages = false;
  while (control.tell(STATISTICS) !== 0);
  count(2);
  release(1);
  catchUp();
  expect(told()).toEqual([[1, 7, 2n]]);

  forward(1, { path: 7 });
  handle.takesMessages = false;
  let full = false;
  const refused = () => {
    full = true;
  };
  while (!full) control.barrier(refused);
  count(3);
  release(2);
  catchUp();
  expect(told()).toEqual([]);
  fastPath.settle(record);
  expect(told()).toEqual([[0, 7, 3n]]);
});

test('a cell that names ever new paths is told in between, and what it does not take in is given up', () => {
  const { handle, record, forward, count, fastPath } = scene();
  const { control } = record;
  const use = (path: number) => {
    forward(1, { path });
    count(1);
    fastPath.drop(record);
    fastPath.sweep(0);
  };
  for (let path = 1; path <= 8192; path++) use(path);
  const told = (handle.messages as MessageOf<'path_credit'>[]).flatMap(({ credits }) => credits ?? []);
  expect([told.length, record.flows!.credits.size]).toEqual([8192, 0]);

  handle.takesMessages = false;
  while (control.tell(STATISTICS) !== 0);
  for (let path = 1; path <= 16_384 + 3; path++) use(path);
  expect([record.flows!.credits.size, fastPath.counters.uncredited]).toEqual([16_384, 3]);
});

test('where the rule says so the first packet makes both directions, which end together', () => {
  const flags = DispatchFlag.CACHEABLE | DispatchFlag.BOTH_DIRECTIONS | DispatchFlag.CACHE_REVERSE;
  const { record, handle, forward, count, entries, kernel, fastPath } = scene({}, flags);
  forward(1, { path: 7 });
  expect([entries(), fastPath.counters.reversed]).toEqual([2, 1]);
  const [there, back] = [...kernel().entries].map(([key, { entry }]) => ({
    key: Buffer.from(key, 'hex'),
    output: new DataView(entry.buffer).getUint32(76, true),
  }));
  const exchanged = (at: number, length: number) => {
    expect(back.key.subarray(at, at + length)).toEqual(there.key.subarray(at + length, at + 2 * length));
    expect(back.key.subarray(at + length, at + 2 * length)).toEqual(there.key.subarray(at, at + length));
  };
  exchanged(8, 6);
  exchanged(24, 4);
  exchanged(32, 2);
  expect([there, back].map(({ key, output }) => [key.readUInt32LE(0), output])).toEqual([
    [11, 12],
    [12, 11],
  ]);
  // The rule has both, the cell's entries those that a verdict was for.
  count(5);
  handle.sent.length = 0;
  fastPath.settle(record);
  expect([record.rule!.packets, record.kernelPackets]).toEqual([10, 10]);
  const [{ credits }] = handle.messages as MessageOf<'path_credit'>[];
  expect(credits.map(({ path, packet_count }) => [path, packet_count])).toEqual([[7, 5n]]);
  handle.say({ type: 'path_release', token: 1, flags: PathMessageFlag.FORCE, paths: [7] });
  expect(entries()).toBe(0);
});

test('a new rule takes its packets from the kernel, the end of a cell all of its', () => {
  const { world, fastPath, forward, entries } = scene();
  forward(1);
  forward(2);
  const rule = world.rule({ match: matchOf(2), priority: 9 });
  world.flows.add(rule);
  fastPath.ruleAdded([...world.rules.all()].at(-1)!);
  expect(entries()).toBe(1);
  world.flows.delete(world.rule({ match: {} }));
  expect([entries(), fastPath.size]).toEqual([0, 0]);
});

test('a full cache makes room; an entry’s number is used again when nothing can be going by it', () => {
  const { world, fastPath, forward, entries, count } = scene();
  for (let port = 1; port <= 5; port++) forward(port);
  // Those that are as busy stay.
  expect([entries(), fastPath.counters.refused]).toEqual([4, 1]);
  world.clock.now += 3000;
  forward(5);
  expect([entries(), fastPath.counters.evicted]).toEqual([3, 1]);
  // Was forwarded while it was taken out.
  count(1);
  fastPath.sweep(0);
  forward(6);
  expect(entries()).toBe(4);
});

test('where BPF is not permitted everything stays with the cells, and that is tried once', () => {
  let tries = 0;
  const { forward, fastPath } = scene({}, DispatchFlag.CACHEABLE, () => {
    tries++;
    throw new BpfError('making a map', 'EPERM');
  });
  for (let i = 0; i < 5; i++) forward(1);
  expect([fastPath.state, fastPath.size, tries]).toEqual(['unavailable', 0, 1]);
});

/** Of one set of counters. */
const sharing = (i: number): number => (i * 65_536 * 2) | 1;

test('a big flow is found among many small ones that share its place', () => {
  const elephants = new Elephants(10, 1000);
  let found = false;
  for (let i = 1; i <= 60 && !found; i++) {
    found = elephants.seen(sharing(0), 5);
    if (i % 3 === 0) elephants.seen(sharing(i), 5);
  }
  expect(found).toBe(true);
  expect(new Elephants(3, 100).seen(1, 0)).toBe(false);
});

test('as many flows as have entries, one packet after another of each, are all found but for a few', () => {
  const elephants = new Elephants(8, 2000);
  // Multiplication by an odd number is one to one: all hashes differ.
  const hashes = Array.from({ length: 10_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) | 1);
  for (let round = 1; round < 8; round++) for (const hash of hashes) elephants.seen(hash, round);
  expect(hashes.filter((hash) => elephants.seen(hash, 8)).length).toBeGreaterThan(9_990);
});

test('a flow that is let go makes room for one that finds its set full', () => {
  const elephants = new Elephants(4, 1000);
  const four = [0, 1, 2, 3].map(sharing);
  for (let i = 0; i < 3; i++) for (const hash of four) elephants.seen(hash, 0);
  const another = () => elephants.seen(sharing(4), 0);
  expect(another()).toBe(false);
  elephants.forget(four[2]);
  expect([1, 2, 3, 4].map(another)).toEqual([false, false, false, true]);
  // Those that were there before are counted on.
  expect(elephants.seen(four[1], 0)).toBe(true);
});
