/** The controllers that the controller's benchmark compares, each a process on one CPU, and the load for them. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { accepts, until } from './datapaths.ts';
import type { LoadOptions, LoadResult } from './load.ts';

export type ControllerName = 'flowcell' | 'os-ken' | 'testcontroller' | 'nothing';

/** The controller has the first CPU, the load the second: nothing else should run. */
const CONTROLLER_CPU = '0';
const LOAD_CPU = '1';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const NODE = here('../../bin/node');

/** Its command line; `dir` is a folder for what it leaves behind. */
const COMMANDS: Readonly<
  Record<ControllerName, (port: number, version: number, dir: string) => readonly string[]>
> = {
  flowcell: (port, _version, dir) => [
    ...[here('../../bin/flowcell'), 'controller', '--port', String(port), '--host', '127.0.0.1'],
    ...['--run-dir', dir, '--log-level', 'error'],
  ],
  'os-ken': (port, version) => [
    ...['osken-manager', '--ofp-listen-host', '127.0.0.1', '--ofp-tcp-listen-port', String(port)],
    version === 1
      ? here('../../test/interop/osken_learning_switch_10.py')
      : here('../peers/osken_learning_switch.py'),
  ],
  testcontroller: (port, _version, dir) => [
    ...['ovs-testcontroller', `ptcp:${port}:127.0.0.1`, `--unixctl=${dir}/controller.ctl`],
  ],
  nothing: (port, version) => [NODE, here('null-controller.ts'), String(port), String(version)],
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export interface RunningController {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** A fresh process of this controller, on the controllers' CPU. */
export async function startController(
  name: ControllerName,
  version: LoadOptions['version'],
): Promise<RunningController> {
  const dir = mkdtempSync(join(tmpdir(), 'fc-controller-'));
  const port = await freePort();
  const argv = COMMANDS[name](port, version, dir);
  const controller = spawn('taskset', ['-c', CONTROLLER_CPU, ...argv], {
    // They log every connection.
    stdio: 'ignore',
  });
  const stop = async () => {
    await end(controller);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await until(`${name} listening`, () => accepts(port));
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: controller.pid!, port, stop };
}

/** The command line that runs one of the scripts here on the load's CPU. */
export const onLoadCpu = (script: string, options: object): readonly string[] => [
  ...['taskset', '-c', LOAD_CPU, NODE],
  ...[here(script), JSON.stringify(options)],
];

/** Runs the load against a fresh process of this controller. */
export async function measure(
  name: ControllerName,
  load: Omit<LoadOptions, 'port' | 'pid'>,
): Promise<LoadResult> {
  const { pid, port, stop } = await startController(name, load.version);
  try {
    const [file, ...words] = onLoadCpu('load.ts', { ...load, port, pid } satisfies LoadOptions);
    const { stdout } = await promisify(execFile)(file, words, { maxBuffer: 1 << 20 });
    return JSON.parse(stdout) as LoadResult;
  } finally {
    await stop();
  }
}
