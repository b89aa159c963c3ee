/** Controllers that are not ours, started in a switch's namespace: what they print is kept. */
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { stop } from '../../mininet/run.ts';
import type { Switch } from '../../mininet/topology.ts';

export const CONTROLLER_PORT = 6653;

const app = (file: string) => path.join(import.meta.dirname, '../..', file);
const osken = (file: string) => [
  'osken-manager',
  '--ofp-listen-host',
  '127.0.0.1',
  '--ofp-tcp-listen-port',
  `${CONTROLLER_PORT}`,
  app(file),
];

/** Command lines by name. */
export const FOREIGN_CONTROLLERS = {
  'os-ken learning switch': osken('bench/peers/osken_learning_switch.py'),
  'os-ken learning switch, OpenFlow 1.0': osken('test/interop/osken_learning_switch_10.py'),
  'os-ken Faucet pipeline': osken('test/interop/osken_faucet_pipeline.py'),
} as const;

/** Open vSwitch's test controller, told to speak one version only. */
export const testController = (protocol: string): string[] => [
  'ovs-testcontroller',
  `ptcp:${CONTROLLER_PORT}:127.0.0.1`,
  `--protocols=${protocol}`,
  '--unixctl=none',
];

export class ForeignController {
  readonly #child: ChildProcess;
  output = '';

  constructor(node: Switch, argv: readonly string[]) {
    // A proxy from the environment has no business here; eventlet would read it.
    this.#child = node.spawn(argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk;
      });
    }
  }

  async stop(): Promise<void> {
    await stop(this.#child);
  }
}
