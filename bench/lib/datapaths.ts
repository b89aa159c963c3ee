/**
 * What the benchmarks compare: each datapath takes over the switch namespace of a topology, with every port
 * of it, and gives back the processes whose CPU time and memory are its cost.
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Switch, stop } from '../../mininet/topology.ts';
import type { CellWall } from '../../sandbox/index.ts';
import { inside, OpenVSwitch } from '../peers/open-vswitch.ts';

export interface Running {
  /** The processes on the data path, children included. */
  pids(): number[];
  /** Whoever has a part in setting up a flow, by its part; `controller` are the controller's processes. */
  parts(): Record<string, number[]>;
  /** The agent's local state (Flowcell only), and the controller's. */
  state?(path: string): Promise<unknown>;
  controllerState?(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

export interface Datapath {
  readonly name: string;
  start(node: Switch): Promise<Running>;
}

const flowcell = new URL('../../bin/flowcell', import.meta.url).pathname;

/** Polls until `ready` says so: for peers whose only sign of readiness is their state. */
export async function until(what: string, ready: () => Promise<boolean> | boolean, timeoutMs = 20_000) {
  const end = performance.now() + timeoutMs;
  while (!(await ready())) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`);
    await sleep(20);
  }
}

/** Whether somebody listens at this TCP port. */
export const accepts = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => settle(true));
    socket.on('error', () => settle(false));
  });

function descendants(pid: number): number[] {
  let children: number[] = [];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number);
  } catch {
    return [];
  }
  return [pid, ...children.flatMap(descendants)];
}

/** Longer than an agent with all it can do takes for its state. */
const ANSWER_MS = 30_000;

function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath, path, timeout: ANSWER_MS }, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk) => {
        text += chunk;
      });
      res.on('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
    });
    req.on('error', reject);
    req.on('timeout', () => req.destroy(new Error(`no answer to ${path} within ${ANSWER_MS / 1000} s`)));
    req.end();
  });
}

const DEFAULT_POOL = 64;

export interface FlowcellOptions {
  poolSize?: number;
  granularity?: string;
  wall?: CellWall;
  /** Path of the app; default the learning switch. */
  app?: string;
  /** Of its flows, seconds; default the app's. */
  idleTimeout?: number;
  fastPath?: boolean;
  /** TCP port on the loopback of a further controller; somebody must listen there. */
  secondController?: number;
  /** In place of the learning switch: so many entries in the default cell (entries-controller.ts). */
  entries?: number;
}

/** Where the controllers listen, in the switch's namespace. */
export const CONTROLLER_PORT = 6653;

const bundledNode = new URL('../../bin/node', import.meta.url).pathname;

/** A table must be full by then, ms. */
const FILL_MS = 30_000;

/** A controller that fills the switch's table; `filled`: when that is done. */
function fillTable(node: Switch, entries: number) {
  const script = new URL('./entries-controller.ts', import.meta.url).pathname;
  const argv = [bundledNode, script, String(CONTROLLER_PORT), String(entries)];
  const controller = node.spawn(argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  return { controller, filled: once(controller.stdout!, 'data', { signal: AbortSignal.timeout(FILL_MS) }) };
}

/** Our agent and controller, as the command line starts them. */
export function flowcellDatapath(options: FlowcellOptions = {}): Datapath {
  return {
    name: options.fastPath ? 'flowcell, fast path' : 'flowcell',
    async start(node) {
      const runDir = mkdtempSync(join(tmpdir(), 'fc-bench-'));
      const env = { ...process.env, FLOWCELL_RUN_DIR: runDir };
      const spawnOptions = { stdio: ['ignore', 'ignore', 'inherit'] satisfies StdioOptions, env };
      const common = ['--log-level', 'error'];
      const controllerArgs = [
        flowcell,
        'controller',
        '--port',
        String(CONTROLLER_PORT),
        '--granularity',
        options.granularity ?? 'five-tuple',
        ...(options.app === undefined ? [] : ['--app', options.app]),
        ...(options.wall === undefined ? [] : ['--wall', options.wall]),
        ...(options.idleTimeout === undefined ? [] : ['--idle-timeout', String(options.idleTimeout)]),
      ];
      const filler = options.entries === undefined ? undefined : fillTable(node, options.entries);
      const controller = filler?.controller ?? node.spawn([...controllerArgs, ...common], spawnOptions);
      const controllers = [CONTROLLER_PORT, options.secondController].filter((port) => port !== undefined);
      const agentArgs = ['agent', '--datapath-id', '1'];
      for (const port of controllers) agentArgs.push('--controller', `127.0.0.1:${port}`);
      if (options.fastPath) agentArgs.push('--fast-path');
      const ports = node.ports.flatMap((name) => ['--port', name]);
      const poolArgs = ['--pool-size', String(options.poolSize ?? DEFAULT_POOL)];
      const agent = node.spawn([flowcell, ...agentArgs, ...ports, ...poolArgs, ...common], spawnOptions);
      const socketPath = join(runDir, `agent-${(1).toString(16).padStart(16, '0')}.sock`);
      const state = (path: string) => getJson(socketPath, path);
      await filler?.filled;
      await until('the agent connecting', async () => {
        const status = await state('/status').catch(() => undefined);
        const mode = (status as { mode?: string } | undefined)?.mode;
        return mode === 'flow' || (mode === 'plain' && filler !== undefined);
      });
      const pool = options.poolSize ?? DEFAULT_POOL;
      const isFull = async () => ((await state('/hosts')) as { warm: number }[])[0].warm >= pool;
      await until('the pool filling up', isFull, 120_000);
      return {
        pids: () => descendants(agent.pid!),
        parts: () => {
          const [self, ...hosts] = descendants(agent.pid!);
          return { agent: [self], host: hosts, controller: [controller.pid!] };
        },
        state,
        controllerState: (path) => getJson(join(runDir, `controller-${CONTROLLER_PORT}.sock`), path),
        async stop() {
          await stop(agent);
          await stop(controller);
          rmSync(runDir, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Command lines of its controllers; `dir` is a folder for what they leave behind. */
const CONTROLLERS = {
  testcontroller: (dir: string) => [
    ...['ovs-testcontroller', `ptcp:${CONTROLLER_PORT}:127.0.0.1`, `--unixctl=${dir}/controller.ctl`],
  ],
  'os-ken': () => [
    ...['osken-manager', '--ofp-listen-host', '127.0.0.1', '--ofp-tcp-listen-port', String(CONTROLLER_PORT)],
    new URL('../peers/osken_learning_switch.py', import.meta.url).pathname,
  ],
} as const;

/**
 * Open vSwitch's user-space datapath with a controller: its own test controller, os-ken's, none (a learning bridge), or one that
 * puts so many entries in.
 */
export function ovsDatapath(
  controller: 'testcontroller' | 'os-ken' | 'none' | { entries: number },
  secondController?: number,
): Datapath {
  const named = typeof controller === 'string' ? controller : 'entries';
  return {
    name: named === 'none' || named === 'entries' ? 'ovs-userspace' : `ovs-userspace + ${named}`,
    async start(node) {
      const dir = mkdtempSync(join(tmpdir(), 'fc-ovs-'));
      const failMode = controller === 'none' ? 'standalone' : 'secure';
      const ovs = new OpenVSwitch({ ...inside(node), folder: dir, datapath: 'netdev', failMode });
      await ovs.start();
      const targets: string[] = [];
      let peer: ChildProcess | undefined;
      let filled: Promise<unknown> | undefined;
      if (controller !== 'none') {
        if (typeof controller === 'object')
          ({ controller: peer, filled } = fillTable(node, controller.entries));
        else peer = node.spawn(CONTROLLERS[controller](dir), { stdio: 'ignore' });
        targets.push(`tcp:127.0.0.1:${CONTROLLER_PORT}`);
      }
      if (secondController !== undefined) targets.push(`tcp:127.0.0.1:${secondController}`);
      if (targets.length > 0) {
        await ovs.connect('OpenFlow13', ...targets);
        await until(`${named} connecting`, () => ovs.isConnected(targets[0]));
        await filled;
      }
      return {
        pids: () => [ovs.pid],
        parts: () => ({ switch: [ovs.pid], controller: peer === undefined ? [] : [peer.pid!] }),
        async stop() {
          if (peer !== undefined) await stop(peer);
          await ovs.stop();
          rmSync(dir, { recursive: true, force: true });
        },
      };
    },
  };
}

const forwarder = new URL('./forwarder.ts', import.meta.url).pathname;

/** Our own ports without cells: what is left when the isolates are taken away. Two ports. */
export const plainForwarder: Datapath = {
  name: 'no-cells',
  async start(namespace) {
    const child = namespace.spawn([bundledNode, forwarder, ...namespace.ports], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout!, 'data');
    return {
      pids: () => [child.pid!],
      parts: () => ({ forwarder: [child.pid!] }),
      stop: () => stop(child),
    };
  },
};

/** The kernel's bridge: no processes, its work is done on the senders' CPUs. */
export const linuxBridge: Datapath = {
  name: 'linux-bridge',
  async start(node) {
    const attach = node.ports.map((name) => `link set dev ${name} master br0`);
    await node.configure(['link add br0 type bridge', 'link set br0 up', ...attach]);
    return {
      pids: () => [],
      parts: () => ({}),
      async stop() {
        await node.configure(['link del br0']);
      },
    };
  },
};
