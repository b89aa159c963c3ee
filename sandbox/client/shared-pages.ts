/** The agent's side of the memory it shares with one sandbox host: the control page and its two rings. */
import {
  C,
  CELL_BLOCKED,
  CELL_DONE,
  CELL_ID,
  CELL_READY,
  CELL_RUN_MS,
  CELL_TAKEN,
  CELL_WANT,
  CONTROL_BYTES,
  DONE_RING,
  READY_RING,
  RING_SIZE,
  TAKEN,
} from '../channel/control.ts';
import { REGION_BYTES } from '../channel/layout.ts';
import { closeFd, EventFd, memfdCreate, punchHole } from '../sys/libc.ts';
import { MappedMemory } from '../sys/memory.ts';

const RING_MASK = RING_SIZE - 1;

export class SharedPages {
  readonly fd: number;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly address: bigint;
  readonly toHost = new EventFd();
  readonly toAgent = new EventFd();
  readonly #memory: MappedMemory;
  readonly #capacity: number;
  /** This side's own positions: what the host writes there is only ever checked. */
  #readyHead = 0;
  #doneTail = 0;

  /** `name` is what /proc shows of the memory; `capacity`: cells, whose pages take memory when they are used. */
  constructor(name: string, capacity: number) {
    const bytes = CONTROL_BYTES + capacity * REGION_BYTES;
    this.#capacity = capacity;
    this.fd = memfdCreate(name, bytes);
    this.#memory = new MappedMemory(this.fd, bytes);
    this.words = new Int32Array(this.#memory.buffer);
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.address = this.#memory.address;
  }

  get heartbeat(): number {
    return Atomics.load(this.words, C.HEARTBEAT);
  }

  /** Index of the cell that runs, -1 for none. Whatever the host wrote there: it may be no index at all. */
  get running(): number {
    return Atomics.load(this.words, C.RUNNING) - 1;
  }

  /** The host has not yet taken all that is ready. */
  get pending(): boolean {
    return Atomics.load(this.words, C.READY_TAIL) !== this.#readyHead;
  }

  /** The host has produced something. */
  get produced(): boolean {
    return Atomics.load(this.words, C.DONE_HEAD) !== this.#doneTail;
  }

  /** Makes a cell of a warm isolate, from its next run on. */
  take(index: number, id: number, runMs: number): void {
    this.words[CELL_ID + index] = id | 0;
    this.words[CELL_RUN_MS + index] = runMs;
    Atomics.store(this.words, CELL_TAKEN + index, TAKEN.CELL);
  }

  /** Ends a cell whose isolate is to be used again. */
  giveBack(index: number): void {
    Atomics.store(this.words, CELL_TAKEN + index, TAKEN.BACK);
    this.ready(index);
  }

  /** An isolate that was given back is warm. */
  isBack(index: number): boolean {
    return Atomics.load(this.words, CELL_TAKEN + index) === TAKEN.AGAIN;
  }

  /** The cell has something to do. Tell the host by wake() when all are marked. */
  ready(index: number): void {
    const words = this.words;
    if (Atomics.exchange(words, CELL_READY + index, 1) === 1) return;
    words[READY_RING + (this.#readyHead & RING_MASK)] = index;
    this.#readyHead = (this.#readyHead + 1) | 0;
    Atomics.store(words, C.READY_HEAD, this.#readyHead);
  }

  wake(): void {
    if (Atomics.compareExchange(this.words, C.HOST_SLEEPING, 1, 0) === 1) this.toHost.signal();
  }

  /** From here on the host signals `toAgent`; look at `produced` once more before sleeping. */
  sleeping(): void {
    Atomics.store(this.words, C.AGENT_SLEEPING, 1);
  }

  awake(): void {
    Atomics.store(this.words, C.AGENT_SLEEPING, 0);
  }

  /** The cell's next run must be told even if it produces nothing. */
  want(index: number): void {
    Atomics.store(this.words, CELL_WANT + index, 1);
  }

  /** Whether the cell waited for room in a ring; asked after making some. */
  takeBlocked(index: number): boolean {
    return Atomics.exchange(this.words, CELL_BLOCKED + index, 0) === 1;
  }

  /**
   * Writes the indexes of the cells that produced something to `taken`; returns how many, or -1 when the host
   * has written nonsense.
   */
  takeDone(taken: Uint16Array): number {
    const words = this.words;
    const head = Atomics.load(words, C.DONE_HEAD);
    if ((head - this.#doneTail) >>> 0 > RING_SIZE) return -1;
    let count = 0;
    while (this.#doneTail !== head) {
      const index = words[DONE_RING + (this.#doneTail & RING_MASK)]! >>> 0;
      this.#doneTail = (this.#doneTail + 1) | 0;
      if (index >= this.#capacity) return -1;
      Atomics.store(words, CELL_DONE + index, 0);
      taken[count++] = index;
    }
    Atomics.store(words, C.DONE_TAIL, this.#doneTail);
    return count;
  }

  /** All zero, as for a new host process. No process may have it mapped but this one. */
  reset(): void {
    punchHole(this.fd, 0, this.#memory.bytes);
    this.#readyHead = 0;
    this.#doneTail = 0;
    this.toHost.drain();
    this.toAgent.drain();
  }

  /** Views still held become empty. */
  release(): void {
    this.toAgent.close();
    this.toHost.close();
    this.#memory.unmap();
    closeFd(this.fd);
  }
}
