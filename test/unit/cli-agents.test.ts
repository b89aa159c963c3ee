import { mkdtemp, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { flowRows } from '../../cli/flows.ts';
import { cellFlow } from '../../cli/lib/agent-state.ts';
import { askAgents } from '../../cli/lib/agents.ts';
import { instructionsText } from '../../cli/lib/format.ts';
import { answers, lines, post } from '../../cli/lib/local.ts';
import { agentSocket } from '../../cli/lib/run-dir.ts';

let folder: string;
const servers: { close(): void }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-agents-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

/** An agent that answers with what it was asked. */
async function agent(dpidHex: string): Promise<string> {
  const path = agentSocket(folder, dpidHex);
  const server = createServer((request, response) => {
    if (request.url === '/events') {
      response.write('{"n":1}\n{"n"');
      response.end(':2}\n');
    } else if (request.url === '/missing') response.writeHead(404).end('{"error":"there is no such thing"}');
    else response.end(JSON.stringify({ [String(request.method)]: request.url }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

test('every agent is asked, or the one that is named', async () => {
  await agent('0000000000000001');
  await agent('00000000000000ff');
  expect(await askAgents(folder, '/cells', undefined)).toEqual([
    { device: '0000000000000001', state: { GET: '/cells' } },
    { device: '00000000000000ff', state: { GET: '/cells' } },
  ]);
  expect((await askAgents(folder, '/cells', 0xffn)).map(({ device }) => device)).toEqual([
    '00000000000000ff',
  ]);
});

test('where nobody runs, the sentence says what to do', async () => {
  await expect(askAgents(folder, '/cells', undefined)).rejects.toThrow(
    /no agent runs here .*'flowcell agent'/,
  );
  await expect(askAgents(join(folder, 'none'), '/cells', undefined)).rejects.toMatchObject({
    code: 'FC_AGENT_NOT_FOUND',
  });
  await agent('0000000000000001');
  await expect(askAgents(folder, '/cells', 2n)).rejects.toThrow(
    /0000000000000002.*there is 0000000000000001/,
  );
});

test('a socket that a killed agent left is passed over', async () => {
  const dead = agentSocket(folder, '0000000000000002');
  // Moved away before it closes, so that closing does not remove it; then nobody listens on it.
  const server = createPlainServer();
  await new Promise<void>((resolve) => server.listen(`${dead}.new`, resolve));
  await rename(`${dead}.new`, dead);
  await new Promise((resolve) => server.close(resolve));
  await agent('0000000000000001');
  expect((await askAgents(folder, '/cells', undefined)).map(({ device }) => device)).toEqual([
    '0000000000000001',
  ]);
  expect(await answers(dead)).toBe(false);
});

test('a refusal is an error with what was said', async () => {
  const path = await agent('0000000000000001');
  expect(await post(path, '/cells/3/kill')).toEqual({ POST: '/cells/3/kill' });
  await expect(post(path, '/missing')).rejects.toMatchObject({
    code: 'FC_LOCAL_REFUSED',
    message: expect.stringContaining('there is no such thing'),
  });
});

test('streams come line by line, however they are cut', async () => {
  const path = await agent('0000000000000001');
  const got: unknown[] = [];
  await lines(path, '/events', new AbortController().signal, (value) => got.push(value));
  await vi.waitUntil(() => got.length === 2, { timeout: 30_000 });
  expect(got).toEqual([{ n: 1 }, { n: 2 }]);
});

test('a cell that did not answer is listed without entries', () => {
  const entry = { table_id: 0 } as never;
  expect(
    flowRows([
      { cell: 1, program: 'openflow', flows: [entry, entry] },
      { cell: 2, program: 'openflow', flows: null },
      { cell: 3, program: 'openflow', flows: [] },
    ]),
  ).toEqual([{ cell: 1, entry }, { cell: 1, entry }, { cell: 2 }]);
});

test('what a cell is for', () => {
  expect(cellFlow({ id: 0, match: null })).toBe('(default cell)');
  expect(cellFlow({ id: 0xffffffff, match: null })).toBe('(standalone cell)');
  expect(cellFlow({ id: 4, match: { in_port: 1 } })).toBe('in_port=1');
});

test.each([
  [[], 'drop'],
  [[{ type: 'apply_actions', actions: [{ type: 'output', port: 2, max_len: 0 }] }], 'apply(output:2)'],
  [
    [
      {
        type: 'write_actions',
        actions: [
          { type: 'push_vlan', ethertype: 0x8100 },
          { type: 'set_field', field: { vlan_vid: 0x1005 } },
          { type: 'dec_nw_ttl' },
          { type: 'output', port: 0xfffffffb },
        ],
      },
      { type: 'goto_table', table_id: 3 },
    ],
    'write(push_vlan:0x8100, set_field:vlan_vid=0x1005, dec_nw_ttl, output:flood) goto:3',
  ],
  [[{ type: 'clear_actions' }, { type: 'meter', meter_id: 7 }], 'clear_actions meter:7'],
])('what an entry does (%#)', (instructions, text) => {
  expect(instructionsText(instructions)).toBe(text);
});
