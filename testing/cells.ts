/**
 * Cells in the process of the test: the runtime and programs that isolates run, over a region of their own, behind the
 * agent's own side of a cell. Only the walls are missing.
 */
import vm from 'node:vm';
import type { CellHost } from '../agent/cells.ts';
import type { Frame } from '../agent/ports/frames.ts';
import { H, NO_QUEUE, REGION_BYTES, RUN, RX_SLOTS } from '../sandbox/channel/layout.ts';
import { type CellOwner, HostCell } from '../sandbox/client/cell.ts';
import type { CellEnd, CellEvents, CellRequest, ProgramImage, Verdict } from '../sandbox/client/types.ts';
import { LearningSwitch } from '../sandbox/guest/learning.ts';
import type { Program } from '../sandbox/guest/program.ts';
import { Runtime } from '../sandbox/guest/runtime.ts';
import type { InstalledEntry, Step } from './steps.ts';
import type { VirtualTime } from './time.ts';
import { TracedProgram } from './traced-program.ts';
import { UploadedProgram } from './uploaded.ts';

/** The programs that a device has, by name; their code is what is imported here. */
export const BUILT_IN: readonly ProgramImage[] = ['openflow', 'learning-switch'].map((name) => ({
  name,
  hash: Buffer.from(name).toString('hex').padEnd(64, '0'),
  code: '',
  trusted: true,
}));

export interface InProcessHostOptions {
  events: CellEvents<Frame>;
  time: VirtualTime;
  /** A cell has something to do. */
  wake: () => void;
  /** Each step of a packet in a cell of the program `openflow`. */
  step: (cell: number, step: Step, frame: Frame | undefined) => void;
}

/** A cell that remembers which packets are inside, in their order, until they begin their way. */
class TracedCell extends HostCell<Frame> {
  readonly inside: Frame[] = [];

  override push(frame: Frame, key: Uint32Array): boolean {
    const taken = super.push(frame, key);
    if (taken) this.inside.push(frame);
    return taken;
  }
}

/** One cell and the memory it shares with the agent's side. */
interface Running {
  readonly cell: TracedCell;
  readonly program: Program;
  readonly runtime: Runtime;
  readonly words: Int32Array;
  /** What its program threw. */
  failure: unknown;
  timerAt: number | undefined;
  endTimer: (() => void) | undefined;
}

export class InProcessHost implements CellHost {
  readonly #options: InProcessHostOptions;
  readonly #cells = new Map<HostCell<Frame>, Running>();
  /** By index: where the heads of packets are that ports are given the addresses of. */
  readonly #regions = new Map<number, Uint8Array>();
  readonly #dirty = new Set<HostCell<Frame>>();
  readonly #counters = { frames: 0, records: 0, messages: 0 };
  readonly #verdict = {
    queue: NO_QUEUE,
    tableId: 0,
    cookie: 0n,
    metadata: 0n,
  } as Verdict<Frame>;
  #lastIndex = 0;

  constructor(options: InProcessHostOptions) {
    this.#options = options;
  }

  open({ id, program, callback }: CellRequest<Frame>): void {
    let behaviour: Program;
    let frame: Frame | undefined;
    const step = (taken: Step): void => {
      if (taken.type === 'begin') frame = cell.inside.shift();
      this.#options.step(id, taken, frame);
    };
    try {
      behaviour = load(program, step);
    } catch (error) {
      callback(Object.assign(new Error(String(error)), { code: 'FC_BAD_PROGRAM' }), null, 0);
      return;
    }
    const memory = new SharedArrayBuffer(REGION_BYTES);
    const words = new Int32Array(memory);
    const bytes = new Uint8Array(memory);
    const index = ++this.#lastIndex;
    const owner: CellOwner<Frame> = {
      words,
      bytes,
      address: BigInt(index * REGION_BYTES),
      verdict: this.#verdict,
      counters: this.#counters,
      dirty: (cell) => this.#mark(cell),
      closeCell: (cell) => this.#end(cell, 'closed', ''),
    };
    const cell: TracedCell = new TracedCell(owner, index, 0, { id, program, events: this.#options.events });
    words[H.CELL_ID] = id;
    words[H.NOW_MS] = this.#options.time.now();
    const running: Running = {
      cell,
      program: behaviour,
      words,
      failure: undefined,
      timerAt: undefined,
      endTimer: undefined,
      runtime: new Runtime(
        behaviour,
        memory,
        0,
        (error) => {
          running.failure = error;
        },
        // How much a run does is not to depend on the machine.
        () => 0,
      ),
    };
    this.#cells.set(cell, running);
    this.#regions.set(index, bytes);
    running.runtime.attach();
    callback(null, cell, 0);
    this.#mark(cell);
  }

  kick(): void {
    this.#options.wake();
  }

  /** The bytes at an address that a port was given. */
  bytesAt(address: number, length: number): Uint8Array {
    const offset = address % REGION_BYTES;
    const region = this.#regions.get((address - offset) / REGION_BYTES);
    if (region === undefined || offset + length > REGION_BYTES) {
      throw new RangeError(`no cell has ${length} bytes at ${address}`);
    }
    return region.subarray(offset, offset + length);
  }

  /** Runs the cells that have something to do; false when none has. */
  run(): boolean {
    if (this.#dirty.size === 0) return false;
    for (const cell of this.#dirty) {
      this.#dirty.delete(cell);
      cell.isDirty = false;
      const running = this.#cells.get(cell);
      if (running !== undefined) this.#run(running);
    }
    return true;
  }

  /** Flow entries of the cells that run `openflow`, by the cell's number. */
  entries(): Map<number, InstalledEntry[]> {
    const found = new Map<number, InstalledEntry[]>();
    for (const { cell, program } of this.#cells.values()) {
      if (program instanceof TracedProgram) found.set(cell.id, program.entries());
    }
    return found;
  }

  close(): void {
    for (const { cell } of [...this.#cells.values()]) this.#forget(cell);
  }

  #mark(cell: HostCell<Frame>): void {
    cell.isDirty = true;
    this.#dirty.add(cell);
    this.#options.wake();
  }

  /** Until there is nothing left for it to do. */
  #run(running: Running): void {
    const { cell, runtime, words } = running;
    const { events, time } = this.#options;
    let more: boolean;
    do {
      words[H.NOW_MS] = time.now();
      const bits = runtime.run(RX_SLOTS);
      const wrong = cell.take();
      events.batchEnd?.();
      if (wrong !== null || (bits & RUN.FAILED) !== 0) {
        this.#end(cell, 'exception', wrong ?? String(running.failure));
        return;
      }
      if (!cell.alive) return;
      const moved = cell.settle();
      // Programs other than openflow do not say when a packet begins.
      if (!cell.busy) cell.inside.length = 0;
      more = moved || (bits & (RUN.MORE | RUN.BLOCKED)) !== 0;
    } while (more && cell.alive);
    this.#setTimer(running);
  }

  #setTimer(running: Running): void {
    const { cell, words } = running;
    const at = words[H.TIMER_SET] === 0 ? undefined : words[H.TIMER_MS];
    if (at === running.timerAt) return;
    running.endTimer?.();
    running.timerAt = at;
    if (at === undefined) return;
    const { time } = this.#options;
    running.endTimer = time.after((at - time.now()) | 0, () => {
      running.timerAt = undefined;
      this.#mark(cell);
    });
  }

  #end(cell: HostCell<Frame>, end: CellEnd, detail: string): void {
    if (!cell.alive) return;
    cell.alive = false;
    cell.lose();
    this.#forget(cell);
    this.#options.events.ended(cell, end, detail);
  }

  #forget(cell: HostCell<Frame>): void {
    this.#cells.get(cell)?.endTimer?.();
    this.#cells.delete(cell);
    this.#regions.delete(cell.index);
    this.#dirty.delete(cell);
  }
}

const load = ({ name, code, trusted }: ProgramImage, step: (step: Step) => void): Program => {
  if (trusted && name === 'learning-switch') return new LearningSwitch();
  if (trusted) return new TracedProgram(step);
  const uploaded = new UploadedProgram();
  vm.runInNewContext(code, { flowcell: uploaded.global }, { filename: name });
  uploaded.check();
  return uploaded;
};
