/** `flowcell controller` */

import type { Command } from 'commander';
import { commandLogger } from './lib/log.ts';
import { collect, integer, LOG_LEVELS, OPENFLOW_PORT, oneOf, protocols } from './lib/options.ts';
import { runDir } from './lib/run-dir.ts';
import { untilSignal } from './lib/service.ts';

const APPS = ['learning-switch'] as const;
const GRANULARITIES = ['five-tuple', 'ip-pair', 'host-pair', 'port'] as const;

interface Options {
  port: number;
  host?: string;
  protocols?: number[];
  app?: (typeof APPS)[number][];
  granularity: (typeof GRANULARITIES)[number];
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
      '--protocols <versions>',
      'OpenFlow versions to speak, such as OpenFlow10,OpenFlow13 (default: all)',
      protocols,
    )
    .option('--app <name>', `app to run, repeatable: ${APPS.join(', ')} (default)`, collect(oneOf(APPS)))
    .option(
      '--granularity <what>',
      `one cell per: ${GRANULARITIES.join(', ')}`,
      oneOf(GRANULARITIES),
      'five-tuple',
    )
    .option(
      '--idle-timeout <seconds>',
      'end a cell after so long without packets; 0: never',
      integer(0, 65535),
      30,
    )
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS), 'info')
    .option('--run-dir <folder>', 'folder for the local socket (default: $FLOWCELL_RUN_DIR)')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const ended = untilSignal();
  const [{ Controller }, { learningSwitch }] = await Promise.all([
    import('../controller/index.ts'),
    import('../apps/learning-switch.ts'),
  ]);
  const make = {
    'learning-switch': () =>
      learningSwitch({ granularity: options.granularity, idle_timeout: options.idleTimeout }),
  };
  const names = new Set(options.app ?? APPS);
  const controller = await Controller.start({
    port: options.port,
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.protocols === undefined ? {} : { protocols: options.protocols }),
    apps: [...names].map((name) => make[name]()),
    runDir: options.runDir ?? runDir(),
    log: commandLogger('controller', options.logLevel),
  });
  await ended;
  await controller.stop();
}
