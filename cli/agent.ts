/** `flowcell agent` */

import type { Command } from 'commander';
import { commandLogger } from './lib/log.ts';
import {
  type Address,
  address,
  collect,
  datapathId,
  integer,
  interfaceName,
  LOG_LEVELS,
  oneOf,
  portSpec,
  protocols,
  type Queue,
  queueSpec,
} from './lib/options.ts';
import { runDir } from './lib/run-dir.ts';
import { untilSignal } from './lib/service.ts';

const FAIL_MODES = ['secure', 'standalone'] as const;

interface Options {
  datapathId: bigint;
  controller: Address[];
  protocols?: number[];
  port: string[];
  local?: string;
  queue?: Queue[];
  failMode: (typeof FAIL_MODES)[number];
  poolSize: number;
  ringSlots: number;
  defaultCellMemory: number;
  fastPath?: boolean;
  logLevel: string;
  runDir?: string;
}

export function configure(command: Command): void {
  command
    .requiredOption(
      '-d, --datapath-id <id>',
      'OpenFlow datapath id: 1, 0x1 or 16 hexadecimal digits',
      datapathId,
    )
    .requiredOption(
      '-c, --controller <host:port>',
      'controller to connect to; repeatable: all are connected to',
      collect(address),
    )
    .option(
      '--protocols <versions>',
      'OpenFlow versions to offer, such as OpenFlow10,OpenFlow13 (default: all that the switch speaks)',
      protocols,
    )
    .requiredOption(
      '-p, --port <name[=number]>',
      'network interface that is a port of the switch; repeatable, numbered in this order unless told',
      collect(portSpec),
    )
    .option(
      '--local <name>',
      "TAP device to make as OpenFlow's local port, by which this machine is in the network",
      interfaceName,
    )
    .option(
      '--queue <port:id[:min=rate][:max=rate]>',
      'queue of a port for set_queue, made as an HTB class; repeatable; rates such as 10mbit',
      collect(queueSpec),
    )
    .option(
      '--fail-mode <mode>',
      'without a controller: secure (live cells go on, new flows wait) or standalone (a learning switch)',
      oneOf(FAIL_MODES),
      'secure',
    )
    .option('--pool-size <cells>', 'cells kept warm for new flows', integer(0, 2000), 64)
    .option(
      '--ring-slots <frames>',
      'frames that may wait for each port, 2 KiB each',
      integer(16, 65536),
      1024,
    )
    .option(
      '--default-cell-memory <MiB>',
      'memory of the cell whose flow tables serve the whole switch in plain mode',
      integer(8, 4096),
      192,
    )
    .option('--fast-path', 'let the kernel forward the packets of busy flows as their cells decided')
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS), 'info')
    .option('--run-dir <folder>', 'folder for the local socket (default: $FLOWCELL_RUN_DIR)')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const ended = untilSignal();
  const { Agent } = await import('../agent/index.ts');
  const agent = await Agent.start({
    datapathId: options.datapathId,
    controllers: options.controller,
    protocols: options.protocols,
    ports: options.port,
    local: options.local,
    queues: options.queue,
    failMode: options.failMode,
    poolSize: options.poolSize,
    ringSlots: options.ringSlots,
    defaultCellMemory: options.defaultCellMemory,
    fastPath: options.fastPath,
    logger: commandLogger('agent', options.logLevel),
    runDir: options.runDir ?? runDir(),
  });
  await ended;
  await agent.stop();
}
