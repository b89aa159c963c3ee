/** The agents that run here, as the listing commands ask for them. */

import { UserError } from './errors.ts';
import { get, LocalError } from './local.ts';
import { datapathHex } from './options.ts';
import { type LocalSocket, localSockets } from './run-dir.ts';

/** What one agent answered. */
export interface Answer<T> {
  /** Datapath id, 16 hexadecimal digits. */
  readonly device: string;
  readonly state: T;
}

/**
 * GET `path` from every agent whose socket is in the folder, or from the one with this datapath id. Sockets
 * nobody listens on any more are passed over. Throws UserError when nobody is left to answer.
 */
export async function askAgents<T>(
  folder: string,
  path: string,
  device: bigint | undefined,
): Promise<Answer<T>[]> {
  const all = (await localSockets(folder)).filter((socket) => socket.kind === 'agent');
  const wanted = device === undefined ? undefined : datapathHex(device);
  const asked = all.filter((socket) => wanted === undefined || socket.name === wanted);
  const answers = (await Promise.all(asked.map((socket) => ask<T>(socket, path)))).filter(
    (answer) => answer !== undefined,
  );
  if (answers.length > 0) return answers;
  if (wanted !== undefined) {
    const others = all.map((socket) => socket.name).join(', ');
    throw new UserError(
      'FC_AGENT_NOT_FOUND',
      `no agent with datapath id ${wanted} runs here${others === '' ? '' : ` (there is ${others})`}; ` +
        `its socket would be in ${folder}.`,
    );
  }
  throw new UserError(
    'FC_AGENT_NOT_FOUND',
    `no agent runs here (none has its socket in ${folder}); start one with 'flowcell agent' or 'flowcell demo ` +
      "--keep', or name its folder with --run-dir.",
  );
}

async function ask<T>(socket: LocalSocket, path: string): Promise<Answer<T> | undefined> {
  try {
    return { device: socket.name, state: await get<T>(socket.path, path) };
  } catch (error) {
    if (error instanceof LocalError && error.code === 'FC_LOCAL_GONE') return undefined;
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new UserError(
        'FC_NOT_PERMITTED',
        `${socket.path} is another user's; run this as that user or root.`,
      );
    }
    throw error;
  }
}
