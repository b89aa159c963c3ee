/** What a sandbox host is started with, and what it says of itself. */
import type { Logger } from 'pino';
import type { PollLoop } from '../sys/loop.ts';
import type { Bans } from './bans.ts';
import type { SandboxHost } from './host.ts';
import type { CellEnd, CellEvents, FrameRef, ProgramImage } from './types.ts';

export interface SandboxHostOptions<F extends FrameRef> {
  tenant: number;
  loop: PollLoop;
  events: CellEvents<F>;
  /** Kept warm; the first is the default program. */
  programs: ProgramImage[];
  /** Isolates to keep warm of each program. Default 32. */
  poolSize?: number;
  /** User and group id of the host. Default 64000 + tenant. */
  uid?: number;
  /** Cells it takes. Default and most: HOST_CELLS. */
  cells?: number;
  /** In place of `events.batchEnd`, where cells report to several. */
  batchEnd?: () => void;
  /** Kept by several hosts together: what took one down is not to take down the next. */
  bans?: Bans;
  /** A process that dies is replaced. Default true. */
  restarts?: boolean;
  /** The last cell has ended. */
  emptied?: (host: SandboxHost<F>) => void;
  logger: Logger;
}

export interface SandboxHostStats {
  /** Cells now, and warm isolates. */
  live: number;
  warm: number;
  /** Requests waiting for an isolate. */
  waiting: number;
  opened: number;
  openFailed: number;
  ended: Record<CellEnd, number>;
  /** Isolates reset to be used again, and those that were not fit for it, by the reason. */
  recycled: number;
  notRecycled: Record<string, number>;
  /** Warm isolates that were too many for too long. */
  trimmed: number;
  /** Frames pushed into cells, records and control messages taken from them. */
  frames: number;
  records: number;
  messages: number;
  /** Times that a cell was taken from: records for each of them says how much came of one run. */
  batches: number;
  /** Cells that were ended because what they wrote into shared memory was nonsense. */
  badRecords: number;
  /** Times the host process was started again. */
  restarts: number;
}
