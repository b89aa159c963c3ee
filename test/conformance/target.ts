/** The switches that can be tested: each takes over the three ports of a switch namespace, numbered 1 to 3. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../bench/lib/datapaths.ts';
import type { Switch } from '../../mininet/topology.ts';
import { stop } from '../../mininet/topology.ts';
import { AgentProcess, EAGER_FAST_PATH } from '../support/agent-lab.ts';
import type { Protocol } from './protocol.ts';

const flowcell = new URL('../../bin/flowcell', import.meta.url).pathname;

export interface Target {
  /** Packets that the kernel forwarded, for a target that can say. */
  forwardedByKernel?(): Promise<number>;
  /** Makes sure that every entry acknowledged by a barrier is in force, and every packet counted. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a target that connects to a controller on this port of the namespace's 127.0.0.1. */
type Start = (node: Switch, controllerPort: number, protocol: Protocol) => Promise<Target>;

const startFlowcell: Start = async (node, controllerPort) => {
  const runDir = mkdtempSync(join(tmpdir(), 'fc-conf-'));
  const ports = node.ports.flatMap((name) => ['--port', name]);
  const controller = ['--datapath-id', '1', '--controller', `127.0.0.1:${controllerPort}`];
  const agent = node.spawn(
    [flowcell, 'agent', ...controller, ...ports, '--pool-size', '4', '--log-level', 'error'],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, FLOWCELL_RUN_DIR: runDir } },
  );
  return {
    settle: async () => undefined,
    async stop() {
      await stop(agent);
      rmSync(runDir, { recursive: true, force: true });
    },
  };
};

/** Every flow is the kernel's as soon as it may be. */
const startFastPath: Start = async (node, port) => {
  const controllers = [{ host: '127.0.0.1', port }];
  const agent = await AgentProcess.start(node, { controllers, poolSize: 4, fastPath: EAGER_FAST_PATH });
  return {
    settle: async () => undefined,
    async forwardedByKernel() {
      const { fast_path } = await agent.local<{ fast_path: { hitPackets: number } }>('/counters');
      return fast_path.hitPackets;
    },
    stop: () => agent.stop(),
  };
};

/** One command to a daemon of Open vSwitch, as ovs-appctl sends it: JSON-RPC on its control socket. */
function appctl(path: string, method: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let reply = '';
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk;
      let parsed: { error: unknown };
      try {
        parsed = JSON.parse(reply);
      } catch {
        return; // Not all of it yet.
      }
      socket.end();
      if (parsed.error === null) resolve();
      else reject(new Error(`${method}: ${parsed.error}`));
    });
    socket.write(JSON.stringify({ id: 0, method, params: [] }));
  });
}

const startOvs: Start = async (node, controllerPort, { ovsName }) => {
  const dir = mkdtempSync(join(tmpdir(), 'fc-conf-ovs-'));
  const env = { ...process.env, OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, OVS_SYSCONFDIR: dir };
  const quiet = { stdio: 'ignore' as const, env };
  const remote = `unix:${dir}/db.sock`;
  const control = `${dir}/vswitchd.ctl`;
  await node.exec(['ovsdb-tool', 'create', `${dir}/conf.db`, '/usr/share/openvswitch/vswitch.ovsschema'], {
    env,
  });
  const server = node.spawn(
    ['ovsdb-server', `${dir}/conf.db`, `--remote=p${remote}`, `--unixctl=${dir}/ovsdb.ctl`],
    quiet,
  );
  const vsctl = (...argv: string[]) =>
    node.exec(['ovs-vsctl', `--db=${remote}`, '--timeout=10', ...argv], { env, anyExit: true });
  await until('ovsdb-server starting', async () => (await vsctl('--no-wait', 'init')).code === 0);
  const daemon = node.spawn(['ovs-vswitchd', remote, `--unixctl=${control}`], quiet);
  const ports = node.ports.flatMap((name, index) => [
    ...['--', 'add-port', 'br0', name],
    ...['--', 'set', 'interface', name, `ofport_request=${index + 1}`],
  ]);
  const { code, stderr } = await vsctl(
    ...['add-br', 'br0', '--', 'set', 'bridge', 'br0', 'datapath_type=netdev', 'fail-mode=secure'],
    ...[`protocols=${ovsName}`, 'other-config:disable-in-band=true', ...ports],
    ...['--', 'set-controller', 'br0', `tcp:127.0.0.1:${controllerPort}`],
    ...['--', 'set', 'controller', 'br0', 'max_backoff=1000'],
  );
  if (code !== 0) throw new Error(`Open vSwitch could not be set up: ${stderr}`);
  return {
    // A barrier does not wait for the cached flows, and statistics come by the second.
    settle: () => appctl(control, 'revalidator/purge'),
    async stop() {
      await stop(daemon);
      await stop(server);
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

interface Choice {
  readonly start: Start;
  readonly needs: readonly string[];
  /** How often a packet is sent, and its answer compared. */
  readonly times?: number;
}

export const TARGETS: Readonly<Record<string, Choice>> = {
  flowcell: { start: startFlowcell, needs: [] },
  // One packet has the cell name paths, one makes the entry, others go by it.
  'flowcell-fast-path': { start: startFastPath, needs: [], times: 4 },
  ovs: { start: startOvs, needs: ['ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'ovs-vsctl'] },
};
