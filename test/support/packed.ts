/** Packages as others install them: packed by npm and unpacked, without the network. */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

/** npm and the tools put the repository's own Node first in PATH; others have the system's. */
export const SYSTEM_PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

export interface Packed {
  /** Folder of the package in the repository: '' or 'openflow'. */
  readonly source: string;
  /** What of it its building takes; default: all. */
  readonly parts?: readonly string[];
  /** Where the package is unpacked to. */
  readonly to: string;
  /** Scratch space. */
  readonly temporary: string;
}

/** Built from a copy: the repository's own folders stay as they are, whoever else is reading them. */
export async function unpackPackage({ source, parts, to, temporary }: Packed): Promise<void> {
  const copy = join(temporary, 'source');
  const from = join(root, source);
  if (parts === undefined) await cp(from, copy, { recursive: true });
  else for (const part of parts) await cp(join(from, part), join(copy, part), { recursive: true });
  await rm(join(copy, 'dist'), { recursive: true, force: true });
  await symlink(join(root, 'node_modules'), join(temporary, 'node_modules'));
  await run('npm', ['pack', '--offline', '--no-update-notifier', '--pack-destination', temporary], {
    cwd: copy,
  });
  const [tarball] = (await readdir(temporary)).filter((name) => name.endsWith('.tgz'));
  await mkdir(to, { recursive: true });
  await run('tar', ['-xzf', join(temporary, tarball), '--strip-components=1', '-C', to]);
  // The tools of the repository are not the project's: nothing above it may be found by accident.
  await rm(join(temporary, 'node_modules'));
}
