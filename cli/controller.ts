/** `flowcell controller` */

import type { Command } from 'commander';
import { apps } from './lib/apps.ts';
import { commandLogger } from './lib/log.ts';
import { collect, integer, LOG_LEVELS, OPENFLOW_PORT, oneOf, protocols } from './lib/options.ts';
import { runDir } from './lib/run-dir.ts';
import { untilSignal } from './lib/service.ts';
import { supervised, tell } from './lib/supervised.ts';

const WALLS = ['isolate', 'process', 'context'] as const;
const GRANULARITIES = ['five-tuple', 'ip-pair', 'host-pair', 'port'] as const;

interface Options {
  port: number;
  host?: string;
  reusePort?: boolean;
  protocols?: number[];
  app?: string[];
  supervised?: boolean;
  granularity: (typeof GRANULARITIES)[number];
  wall: (typeof WALLS)[number];
  idleTimeout: number;
  logLevel: string;
  runDir?: string;
}

export function configure(command: Command): void {
  command
    .option(
      '-p, --port <number>',
      'TCP port for devices; 0 lets the system choose',
      integer(0, 65535),
      OPENFLOW_PORT,
    )
    .option('--host <address>', 'address to listen at (default: all)')
    .option(
      '--reuse-port',
      'share the port with other controllers, one for each core: each has its own devices, apps and --run-dir',
    )
    .option(
      '--protocols <versions>',
      'OpenFlow versions to speak, such as OpenFlow10,OpenFlow13 (default: all)',
      protocols,
    )
    .option(
      '--app <name>',
      'app to run, repeatable: learning-switch (default), or a file that exports an app as its default',
      collect((text) => text),
    )
    .option(
      '--granularity <what>',
      `one cell per: ${GRANULARITIES.join(', ')}`,
      oneOf(GRANULARITIES),
      'five-tuple',
    )
    .option(
      '--wall <what>',
      `what is between the cells: ${WALLS.join(', ')} (a cell has an isolate or a process, or a context in a shared isolate)`,
      oneOf(WALLS),
      'isolate',
    )
    .option(
      '--idle-timeout <seconds>',
      'end a cell after so long without packets; 0: never',
      integer(0, 65535),
      30,
    )
    .option(
      '--supervised',
      'for programs that start it: prints a line of JSON when it is ready, ends when standard input does',
    )
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS), 'info')
    .option('--run-dir <folder>', 'folder for the local socket (default: $FLOWCELL_RUN_DIR)')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const signal = untilSignal();
  if (!options.supervised) await control(options, signal);
  else await supervised((ended) => control(options, Promise.race([signal, ended])));
}

async function control(options: Options, ended: Promise<unknown>): Promise<void> {
  const { Controller } = await import('../controller/index.ts');
  const { granularity, idleTimeout, wall } = options;
  const controller = await Controller.start({
    port: options.port,
    ...(options.host === undefined ? {} : { host: options.host }),
    reusePort: options.reusePort ?? false,
    ...(options.protocols === undefined ? {} : { protocols: options.protocols }),
    apps: await apps(options.app ?? ['learning-switch'], { granularity, idle_timeout: idleTimeout, wall }),
    runDir: options.runDir ?? runDir(),
    log: commandLogger('controller', options.logLevel),
  });
  if (options.supervised) tell({ ready: true, port: controller.port });
  await ended;
  await controller.stop();
}
