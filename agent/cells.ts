/** The cells of this device: what the agent knows of each, and how they start, end and start again. */
import type { Logger } from 'pino';
import { TX_KIND } from '../sandbox/channel/layout.ts';
import type {
  CellEnd,
  CellEvents,
  CellHandle,
  CellLimits,
  CellRequest,
  ProgramImage,
  Verdict,
} from '../sandbox/client/types.ts';
import { CellControl } from './cell-control.ts';
import type { Asker, CellReply, ControlCounters } from './cell-conversation.ts';

import { CellLog } from './cell-log.ts';
import type { Clock } from './clock.ts';
import type { FrameQueue, Holding } from './dispatcher/hold.ts';
import type { Output } from './dispatcher/output.ts';
import type { Rule } from './dispatcher/rules.ts';
import type { CellFlows } from './fastpath/cached-flow.ts';
import { CellWatch } from './fastpath/cell-watch.ts';
import type { FastPath } from './fastpath/fast-path.ts';
import type { Frame, FramePool } from './ports/frames.ts';

/** Number of the default cell, and of the one that switches while no controller is there. */
export const DEFAULT_CELL = 0;
export const STANDALONE_CELL = 0xffffffff;

/** A sandbox host as the agent uses it (sandbox/client). */
export interface CellHost {
  open(request: CellRequest<Frame>): void;
  kick(): void;
}

/**
 * opening: the host was asked; waiting: it is there but its entries have yet to come (until its first barrier); primed: they
 * and the barrier are in its ring, and packets wait behind them in the cell itself; running; ended.
 */
export type CellPhase = 'opening' | 'waiting' | 'primed' | 'running' | 'ended';

export class CellRecord {
  readonly id: number;
  readonly tenant: number;
  readonly program: ProgramImage;
  readonly limits: CellLimits;
  readonly rule: Rule | undefined;
  readonly control: CellControl;
  readonly log: CellLog;
  /** Ports whose state it is told of (liveness.ts). */
  readonly watchedPorts: Set<number>;
  /** Packets that wait for the cell to run, or for room in it. */
  readonly queue: FrameQueue;
  readonly openedAt: number;
  phase: CellPhase = 'opening';
  handle: CellHandle<Frame> | undefined;
  setupUs = 0;
  readyAt = 0;
  /** Packets handed to it, and those that the kernel forwarded as it decided. */
  packets = 0;
  bytes = 0;
  /** Those of the kernel alone. */
  kernelPackets = 0;
  /** Flows of it that the kernel forwards. */
  flows: CellFlows | undefined;
  /** Set when the operator ends the cell. */
  killed = false;
  /** The query it is the answer to, 0: none. */
  readonly queryId: number;
  /** It takes the place of one that ended, and is told what that one knew. */
  readonly restored: boolean;

  constructor(id: number, init: CellInit, parts: Pick<CellRecord, 'control' | 'log' | 'queue' | 'openedAt'>) {
    this.id = id;
    this.tenant = init.tenant;
    this.program = init.program;
    this.limits = init.limits;
    this.rule = init.rule;
    this.queryId = init.queryId ?? 0;
    this.restored = init.log !== undefined;
    this.control = parts.control;
    this.log = parts.log;
    this.watchedPorts = init.watchedPorts ?? new Set();
    this.queue = parts.queue;
    this.openedAt = parts.openedAt;
  }
}

export interface CellInit {
  /** Left out, or in use: the next free number. */
  id?: number;
  tenant: number;
  program: ProgramImage;
  limits: CellLimits;
  rule?: Rule;
  queryId?: number;
  /** From the cell that this one replaces. */
  log?: CellLog;
  watchedPorts?: Set<number>;
  queue?: FrameQueue;
}

export interface CellListener {
  /** The cell is there; it is in phase `waiting`. */
  opened(cell: CellRecord): void;
  /** It could not be opened. `code` as the sandbox client's errors have it. */
  failed(cell: CellRecord, code: string, detail: string): void;
  /** It ended by itself or was killed (not: was closed). */
  ended(cell: CellRecord, end: CellEnd, detail: string): void;
  /** There is room in its slots. */
  drained(cell: CellRecord): void;
  /** `asker`: whose request it answers. */
  reply(cell: CellRecord, reply: CellReply, asker: Asker | undefined): void;
}

export interface CellsOptions {
  /** The sandbox host of a tenant; undefined when there is none. */
  hostOf: (tenant: number) => CellHost | undefined;
  output: Output;
  pool: FramePool;
  holding: Holding;
  clock: Clock;
  flush: () => void;
  /** Numbers that cells to come were promised. */
  isPromised: (id: number) => boolean;
  logger: Logger;
}

export class Cells implements CellEvents<Frame> {
  readonly control: ControlCounters = { sent: 0, passed: 0, refused: 0, errors: 0, overflow: 0 };
  readonly counters = {
    opened: 0,
    failed: 0,
    ended: 0,
    /** Frames that were inside a cell when it ended. */
    lostFrames: 0,
    /** Packets a cell let go without sending them anywhere. */
    done: 0,
  };
  /** Set before the first cell is opened. */
  listener: CellListener | undefined;
  /** Set before the first cell is opened, if there is one. */
  fastPath: FastPath | undefined;
  readonly #options: CellsOptions;
  readonly #records = new Map<number, CellRecord>();
  /** Those of cells that messages wait for. */
  readonly #behind = new Set<CellControl>();
  #lastId = 0;

  constructor(options: CellsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#records.size;
  }

  get(id: number): CellRecord | undefined {
    return this.#records.get(id);
  }

  all(): Iterable<CellRecord> {
    return this.#records.values();
  }

  /** A number for a cell to be, now or as the answer to a query. None comes again before all others have. */
  nextNumber(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (
      this.#lastId === DEFAULT_CELL ||
      this.#lastId === STANDALONE_CELL ||
      this.#records.has(this.#lastId) ||
      this.#options.isPromised(this.#lastId)
    );
    return this.#lastId;
  }

  /** Messages that wait for room in their cells go on. */
  pump(): void {
    for (const control of this.#behind) control.pump();
  }

  /** The listener may hear of it before this returns. */
  open(init: CellInit): CellRecord {
    const { holding, clock } = this.#options;
    const id = init.id !== undefined && !this.#records.has(init.id) ? init.id : this.nextNumber();
    const reply = (message: CellReply, asker: Asker | undefined): void =>
      this.listener?.reply(record, message, asker);
    const control = new CellControl(id, this.control, reply, this.#behind);
    const log = init.log ?? new CellLog();
    const queue = init.queue ?? holding.queueFor(init.tenant);
    const record: CellRecord = new CellRecord(id, init, { control, log, queue, openedAt: clock.now });
    this.#records.set(id, record);
    if (this.fastPath !== undefined) control.watch = new CellWatch(this.fastPath, record);
    if (init.rule !== undefined) init.rule.cell = record;
    const host = this.#options.hostOf(init.tenant);
    if (host === undefined) this.#failed(record, 'FC_NO_HOST', `tenant ${init.tenant} has no sandbox host`);
    else {
      const { program, limits } = init;
      host.open({
        ...{ id, program, limits },
        callback: (error, cell, us) => this.#opened(record, error, cell, us),
        wanted: () => record.phase === 'opening',
      });
    }
    return record;
  }

  /** Closes a cell that is not needed any more; its waiting packets are the caller's matter first. */
  close(record: CellRecord): void {
    if (this.#records.get(record.id) === record) this.#records.delete(record.id);
    if (record.phase === 'ended') return;
    record.phase = 'ended';
    record.control.ended();
    record.handle?.close(true);
  }

  /** Makes a cell end as if it had crashed. */
  kill(record: CellRecord): void {
    record.killed = true;
    record.handle?.close();
  }

  verdict(handle: CellHandle<Frame>, verdict: Verdict<Frame>): void {
    const record = this.#records.get(handle.id);
    if (verdict.kind === TX_KIND.DONE) this.counters.done++;
    else if (record !== undefined) this.#options.output.handle(record.id, record.tenant, verdict);
    if (this.fastPath !== undefined && record !== undefined) this.fastPath.observe(record, verdict);
    if (verdict.last) this.#options.pool.release(verdict.frame);
  }

  batchEnd(): void {
    this.#options.flush();
  }

  message(handle: CellHandle<Frame>, message: Uint8Array): void {
    const record = this.#records.get(handle.id);
    if (record?.handle === handle) record.control.receive(message);
  }

  lost(_handle: CellHandle<Frame>, frame: Frame): void {
    this.counters.lostFrames++;
    this.#options.pool.release(frame);
  }

  ended(handle: CellHandle<Frame>, end: CellEnd, detail: string): void {
    const record = this.#records.get(handle.id);
    if (record?.handle !== handle || record.phase === 'ended') return;
    this.counters.ended++;
    this.#options.logger.info(
      { cell: record.id, program: record.program.name, end: record.killed ? 'killed' : end, detail },
      'cell ended',
    );
    this.#records.delete(record.id);
    record.phase = 'ended';
    record.control.ended();
    if (record.killed) this.listener?.ended(record, 'exception', 'killed by the operator');
    else this.listener?.ended(record, end, detail);
  }

  drained(handle: CellHandle<Frame>): void {
    const record = this.#records.get(handle.id);
    if (record?.handle === handle) this.listener?.drained(record);
  }

  #opened(record: CellRecord, error: Error | null, handle: CellHandle<Frame> | null, setupUs: number): void {
    if (record.phase === 'ended') {
      handle?.close();
      return;
    }
    if (error !== null || handle === null) {
      const code = error !== null && 'code' in error ? String(error.code) : 'FC_NO_RESOURCES';
      this.#failed(record, code, error?.message ?? 'no cell');
      return;
    }
    this.counters.opened++;
    record.handle = handle;
    record.phase = 'waiting';
    record.setupUs = Math.round(setupUs);
    record.readyAt = this.#options.clock.now;
    record.control.attach(handle);
    this.#options.logger.debug({ cell: record.id, program: record.program.name, setupUs }, 'cell ready');
    this.listener?.opened(record);
  }

  #failed(record: CellRecord, code: string, detail: string): void {
    this.counters.failed++;
    this.#records.delete(record.id);
    record.phase = 'ended';
    record.control.ended();
    this.#options.logger.warn({ cell: record.id, program: record.program.name, code, detail }, 'cell failed');
    this.listener?.failed(record, code, detail);
  }
}
