/** The example in docs/apps.md, run as it stands there. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { App, Controller } from '../../controller/index.ts';
import { CellState, DispatchCommand, type Match } from '../../openflow/index.ts';
import { FakeDevice } from '../support/controller.ts';

const root = join(import.meta.dirname, '../..');
let folder: string;
let example: { webOnly: App; start(port?: number): Promise<Controller> };

beforeAll(async () => {
  const page = await readFile(join(root, 'docs/apps.md'), 'utf8');
  const code = /```ts example\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  folder = await mkdtemp(join(tmpdir(), 'flowcell-ctl-docs-'));
  await writeFile(join(folder, 'app.ts'), code);
  process.env.FLOWCELL_RUN_DIR = folder;
  process.env.FLOWCELL_LOG = 'error';
  example = await import(join(folder, 'app.ts'));
});

afterAll(async () => {
  delete process.env.FLOWCELL_RUN_DIR;
  delete process.env.FLOWCELL_LOG;
  await rm(folder, { recursive: true, force: true });
});

test('the example in docs/apps.md does what its text says', async () => {
  const said = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const controller = await example.start(0);
  const device = await FakeDevice.connect(controller.port, { id: 1n });
  const tcp = (port: number): Match => ({
    in_port: 2,
    eth_type: 0x800,
    ip_proto: 6,
    ipv4_src: '10.0.0.7',
    ipv4_dst: '10.0.0.100',
    tcp_src: 5555,
    tcp_dst: port,
  });
  await device.next('dispatch_config');
  await device.settled();
  device.query(1, tcp(22));
  device.query(2, { in_port: 2, eth_type: 0x806 });
  device.query(3, tcp(80));
  await device.settled();
  const rules = device.all('dispatch_rule');
  expect(rules.map(({ command, query_id }) => [command, query_id])).toEqual([
    [DispatchCommand.REFUSE, 1],
    [DispatchCommand.REFUSE, 2],
    [DispatchCommand.ADD, 3],
  ]);
  expect(rules[2]).toMatchObject({ flags: 7, idle_timeout: 60 });
  device.status(rules[2], CellState.READY, { cell: 4 });
  device.status(rules[2], CellState.KILLED, { cell: 4, reason: 5 });
  await device.settled();
  expect(device.all('flow_mod').map(({ match }) => match)).toEqual([
    { in_port: 2, cell: 4 },
    { in_port: 1, cell: 4 },
  ]);
  expect(said.mock.calls.flat()).toEqual([
    'device 0000000000000001 with 3 ports',
    'cell 4 on 0000000000000001 was killed: cpu',
  ]);
  await device.end();
  await controller.stop();
  said.mockRestore();
});
