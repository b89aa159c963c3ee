/** The switches that can be tested: each takes over the three ports of a switch namespace, numbered 1 to 3. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inside, OpenVSwitch, ovsProtocol } from '../../bench/peers/open-vswitch.ts';
import type { Switch } from '../../mininet/topology.ts';
import { stop } from '../../mininet/topology.ts';
import type { Protocol } from './protocol.ts';

const flowcell = new URL('../../bin/flowcell', import.meta.url).pathname;

export interface Target {
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

const startOvs: Start = async (node, controllerPort, { name }) => {
  const folder = mkdtempSync(join(tmpdir(), 'fc-conf-ovs-'));
  const ovs = new OpenVSwitch({ ...inside(node), folder, datapath: 'netdev' });
  await ovs.start();
  await ovs.connect(ovsProtocol(name), `tcp:127.0.0.1:${controllerPort}`);
  return {
    // A barrier does not wait for the cached flows, and statistics come by the second.
    settle: () => ovs.purge(),
    async stop() {
      await ovs.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

export const TARGETS: Readonly<Record<string, { start: Start; needs: readonly string[] }>> = {
  flowcell: { start: startFlowcell, needs: [] },
  ovs: { start: startOvs, needs: ['ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'ovs-vsctl'] },
};
