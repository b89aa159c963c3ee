import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { serve, Traffic, type TransferReport } from '../../cli/demo/hosts.ts';
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import {
  CellReason,
  CellState,
  DispatchCommand,
  DispatchConfigFlag,
  DispatchFlag,
  type Match,
  type Message,
  type MessageOf,
} from '../../openflow/index.ts';
import {
  AgentProcess,
  FakeController,
  PATIENT_CELL,
  type Peer,
  ping as pingFrom,
} from '../support/agent-lab.ts';
import { describeNetwork } from '../support/suites.ts';

/** How long a flow may wait for its cell. */
const QUERY_TIMEOUT_MS = 40_000;

const output = (port: number) => [
  { type: 'apply_actions' as const, actions: [{ type: 'output' as const, port, max_len: 0 }] },
];

interface Cell {
  id: number;
  state: string;
  packets: number;
  match: Match | null;
}

interface CellFlows {
  cell: number;
  /** Null: the cell did not say in time. */
  flows: { packet_count: string }[] | null;
}

describeNetwork('the agent in flow mode', () => {
  let net: Network<'s1', string>;
  let controller: FakeController;
  let agent: AgentProcess;
  let peer: Peer;

  beforeAll(async () => {
    net = await singleSwitch(2, { staticArp: true });
    controller = await FakeController.start(net.switches.s1);
  });
  afterAll(async () => {
    await controller?.close();
    await net?.close();
  });
  beforeEach(async () => {
    agent = await AgentProcess.start(net.switches.s1, {
      controllers: [{ host: '127.0.0.1', port: controller.port }],
      connection: { retryMs: 20 },
    });
    peer = await flowMode();
  });
  afterEach(async () => {
    await agent?.stop();
    await controller.idle();
  });

  const flowMode = async (flags = 0) => {
    const device = await controller.device();
    await device.call('dispatch_config', {
      type: 'dispatch_config',
      query_timeout_ms: QUERY_TIMEOUT_MS,
      flags,
    });
    return device;
  };

  /** Answers a query with a cell of its own and entries both ways. */
  const accept = async (query: MessageOf<'dispatch_query'>, more = {}): Promise<number> => {
    const { in_port, ...match } = query.match;
    peer.send({
      type: 'dispatch_rule',
      query_id: query.query_id,
      match,
      priority: 10,
      flags: DispatchFlag.BOTH_DIRECTIONS | DispatchFlag.NOTIFY_REMOVED,
      cookie: BigInt(query.query_id),
      cells: [PATIENT_CELL],
      ...more,
    });
    const status = await peer.next('cell_status', ({ query_id }) => query_id === query.query_id);
    expect(status).toMatchObject({ state: CellState.READY, cookie: BigInt(query.query_id) });
    await fill(status.cell);
    return status.cell;
  };
  const fill = (cell: number) =>
    peer.entries(
      { match: { cell, in_port: 1 }, instructions: output(2) },
      { match: { cell, in_port: 2 }, instructions: output(1) },
    );

  const acceptAll = () => {
    const failures: unknown[] = [];
    peer.onMessage = (message: Message) => {
      if (message.type === 'dispatch_query') accept(message).catch((error) => failures.push(error));
    };
    for (const message of peer.received.splice(0)) peer.onMessage(message);
    return failures;
  };

  /** Entries as the local socket shows them; a cell that has not answered within a second is asked again. */
  const entriesOf = async (id: number) => {
    const find = (cells: CellFlows[]) => cells.find(({ cell }) => cell === id)?.flows ?? undefined;
    return find(await agent.shows<CellFlows[]>('/flows', (cells) => find(cells) !== undefined))!;
  };
  const ping = (count: number) => pingFrom(net.hosts.h1, net.hosts.h2.ip, count);

  test('query, cell, entries, barrier: then the held packets leave, none lost, none twice', async () => {
    const pings = ping(5);
    const query = await peer.next('dispatch_query');
    expect(query).toMatchObject({
      in_port: 1,
      reason: 0,
      total_len: 98,
      match: { in_port: 1, eth_type: 0x0800, ip_proto: 1, ipv4_src: '10.0.0.1', ipv4_dst: '10.0.0.2' },
    });
    expect(query.data).toHaveLength(98);
    // All five are held by then, and not one more query was sent.
    await agent.shows<{ held_packets: number }>('/status', ({ held_packets }) => held_packets === 5);
    expect(peer.received.filter(({ type }) => type === 'dispatch_query')).toEqual([]);
    const cell = await accept(query);
    expect((await pings).stdout).toMatch(/5 packets transmitted, 5 received, 0% packet loss/);
    const cells = await agent.local<Cell[]>('/cells');
    expect(cells.find(({ id }) => id === cell)).toMatchObject({ state: 'running', packets: 10 });
    expect((await entriesOf(cell)).map((entry) => entry.packet_count)).toEqual(['5', '5']);
    const stats = await peer.call('multipart_reply', {
      type: 'multipart_request',
      body: { type: 'flow', match: { cell } },
    });
    expect(stats.body).toMatchObject({
      flows: [{ match: { cell, in_port: 1 } }, { match: { cell, in_port: 2 } }],
    });

    peer.send({ type: 'dispatch_rule', command: DispatchCommand.DELETE, cell });
    expect(await peer.next('cell_status')).toMatchObject({
      state: CellState.REMOVED,
      reason: CellReason.DELETE,
      cell,
      packet_count: 10n,
    });
    expect((await agent.local<Cell[]>('/cells')).map(({ id }) => id)).toEqual([0]);
  });

  test('TCP streams with the offloads Linux sets arrive intact, a cell each', async () => {
    await serve(net.hosts.h2, 'tcp-receive', 5001);
    const failures = acceptAll();
    const report = await new Traffic(net.hosts.h1, [
      'tcp-send',
      net.hosts.h2.ip,
      5001,
      10,
      20_000_000,
    ]).next();
    expect(report).toMatchObject({
      bytes: 200_000_000,
      ok: true,
      failed: 0,
    } satisfies Partial<TransferReport>);
    expect(failures).toEqual([]);
    const cells = (await agent.local<Cell[]>('/cells')).filter(({ match }) => match?.tcp_dst === 5001);
    expect(cells.length).toBeGreaterThanOrEqual(10);
    const ports = await agent.local<{ rxBytes: number; rxPackets: number; errors: object }[]>('/ports');
    // Segmentation offload: far fewer frames than Ethernet's 1,514 bytes would make.
    expect(ports[0].rxBytes / ports[0].rxPackets).toBeGreaterThan(3000);
    expect(ports.map(({ errors }) => errors)).toEqual([{}, {}]);
  });

  test('a killed cell: other flows go on, this one asks again and gets a new cell', async () => {
    acceptAll();
    expect((await ping(1)).stdout).toContain(' 0% packet loss');
    await serve(net.hosts.h2, 'tcp-receive', 5002);
    await new Traffic(net.hosts.h1, ['tcp-send', net.hosts.h2.ip, 5002, 1, 1000]).next();
    const before = await agent.local<Cell[]>('/cells');
    const victim = before.find(({ match }) => match?.ip_proto === 1)!;
    peer.onMessage = undefined;
    peer.received.length = 0;
    await agent.local(`/cells/${victim.id}/kill`, 'POST');
    expect(await peer.next('cell_status', ({ cell }) => cell === victim.id)).toMatchObject({
      state: CellState.EXITED,
      reason: CellReason.EXCEPTION,
    });
    const pings = ping(3);
    const query = await peer.next('dispatch_query');
    expect(query.reason).toBe(1);
    const fresh = await accept(query);
    expect(fresh).not.toBe(victim.id);
    expect((await pings).stdout).toContain(' 0% packet loss');
    const after = (await agent.local<Cell[]>('/cells')).map(({ id }) => id);
    expect(before.filter(({ id }) => id !== victim.id).every(({ id }) => after.includes(id))).toBe(true);
  });

  test('the sandbox host killed: its cells come back with their entries, without the controller', async () => {
    acceptAll();
    expect((await ping(1)).stdout).toContain(' 0% packet loss');
    const [old] = (await agent.local<Cell[]>('/cells')).filter(({ id }) => id !== 0);
    peer.onMessage = undefined;
    peer.received.length = 0;
    const [{ pid }] = await agent.local<{ pid: number }[]>('/hosts');
    process.kill(pid, 'SIGKILL');
    expect(await peer.next('cell_status')).toMatchObject({
      state: CellState.EXITED,
      reason: CellReason.HOST_DIED,
      cell: old.id,
    });
    // Sent while there is no host: held, then delivered.
    const pings = await ping(3);
    expect(pings.stdout).toContain(' 0% packet loss');
    const back = await peer.next('cell_status');
    expect(back).toMatchObject({ state: CellState.READY, query_id: 0 });
    expect(back.cell).not.toBe(old.id);
    expect(peer.received.filter(({ type }) => type === 'dispatch_query')).toEqual([]);
    expect(await entriesOf(back.cell)).toHaveLength(2);
  });

  test('controller away (secure): cells go on, new flows wait for it; then SYNC names the live cells', async () => {
    acceptAll();
    expect((await ping(1)).stdout).toContain(' 0% packet loss');
    const [live] = (await agent.local<Cell[]>('/cells')).filter(({ id }) => id !== 0);
    peer.socket.destroy();
    const away = await controller.connection();
    expect((await ping(2)).stdout).toContain(' 0% packet loss');
    await serve(net.hosts.h2, 'tcp-receive', 5003);
    const transfer = new Traffic(net.hosts.h1, ['tcp-send', net.hosts.h2.ip, 5003, 1, 1000]);
    await agent.shows<{ pending_flows: number }>('/status', ({ pending_flows }) => pending_flows === 1);
    away.send({ type: 'hello', elements: [{ type: 'versionbitmap', versions: [4] }] });
    await away.call('features_reply', { type: 'features_request' });
    peer = away;
    acceptAll();
    const synced = away.next('cell_status', ({ cell }) => cell === live.id);
    await away.call('dispatch_config', { type: 'dispatch_config', flags: DispatchConfigFlag.SYNC });
    expect(await synced).toMatchObject({ state: CellState.READY, query_id: 0, cell: live.id });
    expect(await transfer.next()).toMatchObject({ ok: true, bytes: 1000 });
  });

  test('a new controller that knows nothing of cells: an ordinary switch again', async () => {
    peer.socket.destroy();
    const plain = await controller.device();
    await plain.entries(
      { match: { in_port: 1 }, instructions: output(2) },
      { match: { in_port: 2 }, instructions: output(1) },
    );
    await agent.shows<{ mode: string }>('/status', ({ mode }) => mode === 'plain');
    expect((await ping(2)).stdout).toContain(' 0% packet loss');
  });

  test('uploaded programs: wrong hashes, sizes and offsets are refused', async () => {
    const data = new Uint8Array(10);
    const reply = (fields: object) =>
      peer.call('program_reply', { type: 'program', hash: 'ab'.repeat(32), total_len: 10, data, ...fields });
    expect(await reply({})).toMatchObject({ state: 1 });
    expect(await reply({ total_len: 0xffffffff })).toMatchObject({ state: 2 });
    expect(await reply({ offset: 5 })).toMatchObject({ state: 3 });
    expect(await reply({ total_len: 5 })).toMatchObject({ state: 3 });
  });
});
