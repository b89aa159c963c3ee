import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { learningSwitch } from '../../apps/learning-switch.ts';
import { CellState, DispatchQueryFlag, decode } from '../../openflow/index.ts';
import { Bench } from '../support/controller.ts';

let folder: string;
let runDir: string;
const benches: Bench[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flowcell-ctl-'));
  runDir = join(folder, 'run');
});

afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.stop();
  await rm(folder, { recursive: true });
});

async function start(): Promise<Bench> {
  const bench = await Bench.start({ apps: [learningSwitch()], runDir });
  benches.push(bench);
  return bench;
}

function open(socketPath: string, path: string, method = 'GET'): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method }, resolve).once('error', reject).end();
  });
}

async function get(socketPath: string, path: string): Promise<Record<string, unknown>> {
  const response = await open(socketPath, path);
  let text = '';
  for await (const chunk of response) text += chunk;
  return JSON.parse(text);
}

test('status, datapaths, flows and counters as JSON, for the owner only', async () => {
  const bench = await start();
  const path = bench.controller.localPath ?? '';
  expect(path).toBe(join(runDir, `controller-${bench.controller.port}.sock`));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const device = await bench.device({ id: 0x2an });
  const match = { in_port: 1, eth_src: '02:00:00:00:00:01', eth_dst: 'ff:ff:ff:ff:ff:ff' };
  device.query(1, match);
  device.status(await device.next('dispatch_rule'), CellState.READY, { cell: 4 });
  await device.next('barrier_request');
  await device.settled();

  expect(await get(path, '/status')).toMatchObject({
    pid: process.pid,
    port: bench.controller.port,
    apps: ['learning-switch'],
    datapaths: 1,
    cells: 1,
    pending_flows: 0,
    setup_us: { count: 1 },
  });
  expect(await get(path, '/datapaths')).toMatchObject({
    datapaths: [{ id: '000000000000002a', flow_mode: true, ports: [{ port_no: 1 }, {}, {}] }],
  });
  expect(await get(path, '/flows')).toMatchObject({
    flows: [{ datapath: '000000000000002a', cell: 4, stage: 'live', app: 'learning-switch', match }],
  });
  expect(await get(path, '/counters')).toMatchObject({ queries: 1, rules_sent: 1, entries_pushed: 1 });
  expect((await open(path, '/nothing')).statusCode).toBe(404);
  expect((await open(path, '/status', 'POST')).statusCode).toBe(405);
});

test.each([
  ['after the cell is there', 0, ['query', 'rule', 'ready', 'entries', 'barrier', 'killed']],
  ['with the rule', DispatchQueryFlag.NUMBERED, ['query', 'rule', 'entries', 'ready', 'barrier', 'killed']],
])(
  "events: a flow's life as lines, in order, with times in microseconds: entries %s",
  async (_, flags, types) => {
    const bench = await start();
    const device = await bench.device();
    const response = await open(bench.controller.localPath ?? '', '/events');
    const lines = createInterface({ input: response })[Symbol.asyncIterator]();
    const match = { in_port: 1, eth_src: '02:00:00:00:00:01', eth_dst: 'ff:ff:ff:ff:ff:ff' };
    device.query(17, match, { flags });
    const rule = await device.next('dispatch_rule');
    device.status(rule, CellState.READY, { cell: 17 });
    if (flags === 0) await device.next('barrier_request');
    else {
      const { xid } = decode((await device.next('cell_message')).message);
      device.send({ type: 'barrier_reply', xid });
    }
    device.status(rule, CellState.KILLED, { cell: 17, reason: 5, detail: 'looped' });
    const events: Record<string, unknown>[] = [];
    while (events.at(-1)?.type !== 'killed') events.push(JSON.parse((await lines.next()).value ?? ''));
    expect(events.map(({ type }) => type)).toEqual(types);
    expect(events[0]).toMatchObject({ datapath: '0000000000000001', query_id: 17, match });
    expect(events[1]).toMatchObject({ cookie: rule.cookie.toString(), app: 'learning-switch' });
    expect(events[5]).toMatchObject({ cell: 17, reason: 'cpu', detail: 'looped' });
    const times = events.map(({ at }) => Number(at));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.abs(times[0] / 1000 - Date.now())).toBeLessThan(60_000);
    await bench.controller.stop();
    expect(JSON.parse((await lines.next()).value ?? '')).toMatchObject({ type: 'disconnected' });
    expect((await lines.next()).done).toBe(true);
  },
);

test('a socket that a dead controller left is taken over; a living one is not', async () => {
  const bench = await start();
  const { port } = bench.controller;
  await bench.controller.stop();
  const path = join(runDir, `controller-${port}.sock`);
  await writeFile(path, '');
  const again = await Bench.start({ port, runDir });
  benches.push(again);
  expect(await get(path, '/status')).toMatchObject({ port });
});

test('a folder that cannot be used is one sentence with a code', async () => {
  await writeFile(join(folder, 'file'), '');
  await expect(Bench.start({ runDir: join(folder, 'file') })).rejects.toMatchObject({
    code: 'FC_LOCAL_STATE',
  });
});
