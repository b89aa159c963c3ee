/** What this machine lets tests do, found once. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether a command is installed (PATH, and the folders of system administration). */
export function hasCommand(name: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Network namespaces, packet sockets and other users' ids are to be had. */
export const isRoot = process.geteuid?.() === 0;
