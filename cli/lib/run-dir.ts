/** The folder with the local sockets of the agents and controllers that run here. */

import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** $FLOWCELL_RUN_DIR, else /run/flowcell for root, else in the user's own run-time folder. */
export function runDir(env: NodeJS.ProcessEnv = process.env, uid = process.geteuid?.()): string {
  if (env.FLOWCELL_RUN_DIR) return env.FLOWCELL_RUN_DIR;
  if (uid === 0) return '/run/flowcell';
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'flowcell');
  return join(tmpdir(), `flowcell-${uid}`);
}

export interface LocalSocket {
  readonly kind: 'agent' | 'controller';
  /** Datapath id (16 hexadecimal digits) of an agent, TCP port of a controller. */
  readonly name: string;
  readonly path: string;
}

/** Socket files in the folder; whether anybody still listens, only connecting tells. */
export async function localSockets(folder: string): Promise<LocalSocket[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const sockets: LocalSocket[] = [];
  for (const file of names.sort()) {
    const match = /^(agent)-([0-9a-f]{16})\.sock$/.exec(file) ?? /^(controller)-(\d+)\.sock$/.exec(file);
    if (match === null) continue;
    sockets.push({ kind: match[1] as LocalSocket['kind'], name: match[2], path: join(folder, file) });
  }
  return sockets;
}

export function agentSocket(folder: string, dpidHex: string): string {
  return join(folder, `agent-${dpidHex}.sock`);
}

export function controllerSocket(folder: string, port: number): string {
  return join(folder, `controller-${port}.sock`);
}
