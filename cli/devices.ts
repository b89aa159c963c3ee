/**
 * `flowcell devices`: the switches of a network emulated on this machine, in one process.
 *
 * Requests and answers are lines of JSON on standard input and output. An answer has its request's `id`, and either
 * `ok: true` or `error` (a sentence) and `code`. See docs/cli.md for the requests.
 */

import type { Command } from 'commander';
import { exec } from '../mininet/run.ts';
import { Devices, requested } from './lib/devices.ts';
import { commandLogger } from './lib/log.ts';
import { integer, LOG_LEVELS, oneOf } from './lib/options.ts';
import { runDir } from './lib/run-dir.ts';
import { untilSignal } from './lib/service.ts';
import { supervised, tell } from './lib/supervised.ts';

interface Options {
  poolSize: number;
  frames: number;
  removeInterfaces?: boolean;
  logLevel: string;
  runDir?: string;
}

export function configure(command: Command): void {
  command
    .option(
      '--pool-size <cells>',
      'cells kept warm for new flows, for the switches of a tenant',
      integer(0, 2000),
      32,
    )
    .option('--frames <count>', 'packets that each switch can hold', integer(64, 65536), 2048)
    .option(
      '--remove-interfaces',
      'when standard input ends, remove the interfaces of switches that were not stopped before',
    )
    .option('--log-level <level>', `one of ${LOG_LEVELS.join(', ')}`, oneOf(LOG_LEVELS), 'info')
    .option('--run-dir <folder>', 'folder for the local sockets (default: $FLOWCELL_RUN_DIR)')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const signal = untilSignal();
  // Requests that come before the group is there wait for it.
  const early: string[] = [];
  let take = (line: string): unknown => early.push(line);
  await supervised(
    (ended) =>
      serve(options, Promise.race([signal, ended]), (devices) => {
        take = async (line) => tell(await devices.answer(line));
        for (const line of early) take(line);
      }),
    (line) => take(line),
  );
}

async function serve(
  options: Options,
  ended: Promise<unknown>,
  ready: (devices: Devices) => void,
): Promise<void> {
  const logger = commandLogger('devices', options.logLevel);
  const { AgentGroup } = await import('../agent/index.ts');
  const group = await AgentGroup.start({ poolSize: options.poolSize, logger });
  const devices = new Devices(group, (request, inCharge) => ({
    ...requested(request),
    frames: options.frames,
    runDir: options.runDir ?? runDir(),
    inCharge,
    logger: logger.child({ datapath: request.datapath_id }),
  }));
  ready(devices);
  await ended;
  const left = options.removeInterfaces ? devices.interfaces() : [];
  await group.stop();
  if (left.length > 0) await removeInterfaces(left);
}

/** Those that are gone already (the peers of removed ones, too) are no matter. */
async function removeInterfaces(names: readonly string[]): Promise<void> {
  const input = names.map((name) => `link delete ${name}\n`).join('');
  await exec(['ip', '-force', '-batch', '-'], { input, anyExit: true });
}
