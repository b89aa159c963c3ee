/** Open vSwitch for tests: its daemons, database and sockets in one folder, so that several run side by side. */

import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExecOptions, ExecResult } from '../../mininet/run.ts';

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

export interface OvsOptions {
  folder: string;
  /** Interfaces, numbered from 1. */
  ports: readonly string[];
  /** `netdev`: user-space datapath with real interfaces; `dummy`: no packets, no interfaces, no root. */
  datapath: 'netdev' | 'dummy';
  /** How programs are run: here, or in a namespace. */
  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
  spawn(argv: readonly string[], options: SpawnOptions): ChildProcess;
}

export class OpenVSwitch {
  readonly #options: OvsOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #daemons: ChildProcess[] = [];

  constructor(options: OvsOptions) {
    const { folder } = options;
    this.#options = options;
    this.#env = { ...process.env, OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder };
  }

  async start(): Promise<void> {
    const { folder, datapath, ports } = this.#options;
    const database = join(folder, 'conf.db');
    const socket = `unix:${join(folder, 'db.sock')}`;
    await this.#options.exec(['ovsdb-tool', 'create', database, SCHEMA], { env: this.#env });
    this.#daemon('ovsdb-server', database, `--remote=p${socket}`, '--no-chdir');
    await this.vsctl('--no-wait', 'init');
    const dummy = datapath === 'dummy' ? ['--enable-dummy', '--disable-system'] : [];
    this.#daemon('ovs-vswitchd', socket, '--no-chdir', ...dummy);
    const bridge = ['set', 'bridge', BRIDGE, `datapath_type=${datapath}`, 'fail-mode=secure'];
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
    await this.vsctl('set-controller', BRIDGE, ...targets);
    await this.vsctl('set', 'Controller', BRIDGE, 'max_backoff=1000', 'inactivity_probe=2000').catch(
      // With several controllers the bridge's name means none of them; the defaults will do.
      () => undefined,
    );
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
    for (const daemon of this.#daemons.reverse()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await ended;
    }
  }

  #daemon(...argv: string[]): void {
    this.#daemons.push(this.#options.spawn(argv, { env: this.#env, stdio: 'ignore' }));
  }
}
