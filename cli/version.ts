/** `flowcell version` */

import type { Command } from 'commander';
import { packageVersion } from './lib/package.ts';

export function configure(command: Command): void {
  command.action(() => {
    process.stdout.write(`flowcell ${packageVersion()} (node ${process.versions.node})\n`);
  });
}
