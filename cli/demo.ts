/** `flowcell demo` */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import { inUserNamespace, runInUserNamespace, whyNoUserNamespaces } from '../mininet/userns.ts';
import { UserError } from './lib/errors.ts';
import { integer } from './lib/options.ts';
import { command } from './lib/package.ts';
import { runDir } from './lib/run-dir.ts';

interface Options {
  json?: boolean;
  keep?: boolean;
  connections: number;
  megabytes: number;
}

export function configure(command: Command): void {
  command
    .option('--json', 'print one JSON object as the last line')
    .option('--keep', 'leave it running at the end, to look around; Ctrl-C ends it')
    .option('--connections <count>', 'parallel TCP connections', integer(1, 1000), 10)
    .option('--megabytes <count>', 'bytes they transfer in all, in millions', integer(1, 100_000), 200)
    .action(run);
}

/** What the demo takes from the system; everything else comes with `npm ci`. */
const NEEDED = [
  { command: 'ip', debian: 'iproute2' },
  { command: 'nsenter', debian: 'util-linux' },
  { command: 'unshare', debian: 'util-linux' },
] as const;

function checkCommands(): void {
  // A user's PATH often lacks the folders of system administration.
  process.env.PATH = [process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin']
    .filter(Boolean)
    .join(delimiter);
  const folders = process.env.PATH.split(delimiter);
  const missing = NEEDED.filter(
    ({ command }) => !folders.some((folder) => existsSync(join(folder, command))),
  );
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(({ debian }) => debian))].join(' ');
  throw new UserError(
    'FC_COMMAND_NOT_FOUND',
    `the demo needs the command${missing.length > 1 ? 's' : ''} ${missing.map((m) => m.command).join(' and ')}; ` +
      `install it (Debian: apt-get install ${packages}).`,
  );
}

async function run(options: Options): Promise<void> {
  if (process.platform !== 'linux') {
    throw new UserError('FC_NOT_LINUX', 'the demo makes Linux network namespaces; run it on Linux.');
  }
  checkCommands();
  const folder = runDir();
  if (process.geteuid?.() === 0) {
    const { demo } = await import('./demo/run.ts');
    process.exitCode = await demo({
      runDir: folder,
      json: options.json === true,
      keep: options.keep === true,
      unprivileged: inUserNamespace(),
      connections: options.connections,
      megabytes: options.megabytes,
    });
    return;
  }
  const why = await whyNoUserNamespaces();
  if (why !== undefined) {
    throw new UserError(
      'FC_NO_NAMESPACES',
      `the demo makes network namespaces, which this kernel does not let you do without root (${why}); ` +
        'run it as root (sudo npm run demo).',
    );
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Inside we are root; the sockets stay where this user's other terminals look for them.
  process.env.FLOWCELL_RUN_DIR = folder;
  process.exitCode = await runInUserNamespace([command('flowcell'), ...process.argv.slice(2)], folder);
}
