/** `flowcell version` */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';

export function packageVersion(): string {
  const file = join(import.meta.dirname, '..', 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

export function configure(command: Command): void {
  command.action(() => {
    process.stdout.write(`flowcell ${packageVersion()} (node ${process.versions.node})\n`);
  });
}
