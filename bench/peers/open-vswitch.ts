/** Open vSwitch for tests and benchmarks: daemons, database and sockets in one folder, so that several run side by side. */

import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type ExecOptions, type ExecResult, stop } from '../../mininet/run.ts';
import type { Switch } from '../../mininet/topology.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
export const BRIDGE = 'br0';

/** `protocols` of a bridge, by the version's name, and wire numbers. */
export const OVS_PROTOCOLS = [
  { openflow: '1.0', version: 1, protocol: 'OpenFlow10' },
  { openflow: '1.3', version: 4, protocol: 'OpenFlow13' },
  { openflow: '1.4', version: 5, protocol: 'OpenFlow14' },
  { openflow: '1.5', version: 6, protocol: 'OpenFlow15' },
] as const;
export type OvsProtocol = (typeof OVS_PROTOCOLS)[number]['protocol'];

export const ovsProtocol = (version: (typeof OVS_PROTOCOLS)[number]['openflow']): OvsProtocol =>
  OVS_PROTOCOLS.find(({ openflow }) => openflow === version)!.protocol;

export interface OvsOptions {
  folder: string;
  /** Interfaces, numbered from 1. */
  ports: readonly string[];
  /** `netdev`: user-space datapath with real interfaces; `dummy`: no packets, no interfaces, no root. */
  datapath: 'netdev' | 'dummy';
  /** `standalone`: a learning bridge while no controller is connected. Default `secure`: nothing is switched then. */
  failMode?: 'secure' | 'standalone';
  /** Silence after which a controller is asked whether it lives, ms. Default: Open vSwitch's own, 5 s. */
  inactivityProbeMs?: number;
  /** How programs are run: here, or in a namespace. */
  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
  spawn(argv: readonly string[], options: SpawnOptions): ChildProcess;
}

/** In the namespace of a switch, with its ports. */
export const inside = (node: Switch): Pick<OvsOptions, 'ports' | 'exec' | 'spawn'> => ({
  ports: node.ports,
  exec: (argv, options) => node.exec(argv, options),
  spawn: (argv, options) => node.spawn(argv, options),
});

export class OpenVSwitch {
  readonly #options: OvsOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #daemons: ChildProcess[] = [];

  constructor(options: OvsOptions) {
    const { folder } = options;
    this.#options = options;
    this.#env = { ...process.env, OVS_RUNDIR: folder };
    for (const kind of ['DBDIR', 'LOGDIR', 'SYSCONFDIR']) this.#env[`OVS_${kind}`] = folder;
  }

  async start(): Promise<void> {
    const { folder, datapath, ports, failMode = 'secure' } = this.#options;
    const database = join(folder, 'conf.db');
    const socket = `unix:${join(folder, 'db.sock')}`;
    await this.#options.exec(['ovsdb-tool', 'create', database, SCHEMA], { env: this.#env });
    this.#daemon('ovsdb-server', database, `--remote=p${socket}`, '--no-chdir', this.#control('ovsdb'));
    await this.vsctl('--no-wait', 'init');
    const dummy = datapath === 'dummy' ? ['--enable-dummy', '--disable-system'] : [];
    this.#daemon('ovs-vswitchd', socket, '--no-chdir', this.#control('vswitchd'), ...dummy);
    const bridge = ['set', 'bridge', BRIDGE, `datapath_type=${datapath}`, `fail-mode=${failMode}`];
    await this.vsctl('add-br', BRIDGE, '--', ...bridge, 'other-config:disable-in-band=true');
    for (const [index, port] of ports.entries()) {
      const type = datapath === 'dummy' ? ['type=dummy'] : [];
      const set = ['set', 'Interface', port, `ofport_request=${index + 1}`, ...type];
      await this.vsctl('add-port', BRIDGE, port, '--', ...set);
    }
  }

  /** Speaks this version alone, with these controllers, and starts with empty tables. */
  async connect(protocol: OvsProtocol, ...targets: string[]): Promise<void> {
    await this.vsctl('del-controller', BRIDGE, '--', 'set', 'bridge', BRIDGE, `protocols=${protocol}`);
    await this.ofctl(protocol, 'del-flows');
    const { inactivityProbeMs } = this.#options;
    const probe = inactivityProbeMs === undefined ? [] : [`inactivity_probe=${inactivityProbeMs}`];
    const created = targets.flatMap((target, i) => [
      ...[`--id=@c${i}`, 'create', 'Controller', `target="${target}"`, 'max_backoff=1000', ...probe, '--'],
    ]);
    const controllers = targets.map((_, i) => `@c${i}`).join(',');
    await this.vsctl('--', ...created, 'set', 'bridge', BRIDGE, `controller=${controllers}`);
  }

  /** Whether the bridge has a connection to this controller. */
  async isConnected(target: string): Promise<boolean> {
    const find = ['find', 'Controller', 'is_connected=true'];
    return (await this.vsctl('--bare', '--columns=target', ...find)).split('\n').includes(target);
  }

  /** Process id of ovs-vswitchd, which is the datapath too. */
  get pid(): number {
    return this.#daemons.at(-1)?.pid ?? -1;
  }

  /** What counts and answers afterwards is what the tables say: flows it has cached are looked up anew. */
  purge(): Promise<void> {
    return appctl(join(this.#options.folder, 'vswitchd.ctl'), 'revalidator/purge');
  }

  async vsctl(...args: string[]): Promise<string> {
    const database = `--db=unix:${join(this.#options.folder, 'db.sock')}`;
    const argv = ['ovs-vsctl', '--retry', '-t', '20', database, ...args];
    return (await this.#options.exec(argv, { env: this.#env })).stdout;
  }

  async ofctl(protocol: OvsProtocol, command: string, ...args: string[]): Promise<string> {
    const argv = ['ovs-ofctl', '-O', protocol, command, BRIDGE, ...args];
    return (await this.#options.exec(argv, { env: this.#env })).stdout;
  }

  /** Entries as ovs-ofctl shows them. */
  flows(protocol: OvsProtocol): Promise<string> {
    return this.ofctl(protocol, 'dump-flows');
  }

  async stop(): Promise<void> {
    for (const daemon of this.#daemons.toReversed()) await stop(daemon);
  }

  #control(name: string): string {
    return `--unixctl=${join(this.#options.folder, `${name}.ctl`)}`;
  }

  #daemon(...argv: string[]): void {
    this.#daemons.push(this.#options.spawn(argv, { env: this.#env, stdio: 'ignore' }));
  }
}

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
