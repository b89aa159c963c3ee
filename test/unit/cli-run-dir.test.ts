import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { agentSocket, controllerSocket, localSockets, runDir } from '../../cli/lib/run-dir.ts';

test.each([
  [{ FLOWCELL_RUN_DIR: '/x' }, 0, '/x'],
  [{}, 0, '/run/flowcell'],
  [{ XDG_RUNTIME_DIR: '/run/user/7' }, 7, '/run/user/7/flowcell'],
  [{ XDG_RUNTIME_DIR: '/run/user/7' }, 0, '/run/flowcell'],
  [{}, 7, join(tmpdir(), 'flowcell-7')],
])('where sockets are (%#)', (env, uid, folder) => {
  expect(runDir(env, uid)).toBe(folder);
});

test('sockets are told by their names, other files are not ours', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cli-run-dir-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const ours = [agentSocket(folder, '00000000000000ff'), controllerSocket(folder, 6653)];
  for (const path of [...ours, join(folder, 'agent-1.sock'), join(folder, 'notes')])
    await writeFile(path, '');
  expect(await localSockets(folder)).toEqual([
    { kind: 'agent', name: '00000000000000ff', path: ours[0] },
    { kind: 'controller', name: '6653', path: ours[1] },
  ]);
  expect(await localSockets(join(folder, 'not-there'))).toEqual([]);
});
