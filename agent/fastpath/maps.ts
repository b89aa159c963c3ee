/** The kernel's half of the flow cache: its maps and programs, made when the first flow is worth it. */
import { closeFd } from '../../sandbox/sys/libc.ts';
import { BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BpfMap, loadProgram, MAP_TYPE, PROGRAM_TYPE } from './bpf.ts';
import { COUNTER, COUNTER_BYTES, DECISION_BYTES, ENTRY_BYTES, KEY_BYTES } from './layout.ts';
import { filterProgram, forwardProgram } from './programs.ts';

const TWO_32 = 4294967296;

export class KernelCache {
  readonly size: number;
  readonly flows: BpfMap;
  readonly entries: BpfMap;
  readonly counters: BpfMap;
  readonly decision: BpfMap;
  /** Descriptors of the programs. */
  readonly filter: number;
  readonly forward: number;
  readonly #words: Uint32Array;
  readonly #close: (() => void)[] = [];
  readonly #index = new Uint32Array(1);

  /** Throws BpfError. */
  constructor(size: number) {
    this.size = size;
    try {
      const map = (
        name: string,
        type: number,
        keyBytes: number,
        valueBytes: number,
        flags = 0,
        entries = size,
      ) => {
        const made = new BpfMap({ name, type, keyBytes, valueBytes, entries, flags });
        this.#close.push(() => made.close());
        return made;
      };
      this.flows = map('fc_flows', MAP_TYPE.HASH, KEY_BYTES, 4, BPF_F_NO_PREALLOC);
      this.entries = map('fc_entries', MAP_TYPE.ARRAY, 4, ENTRY_BYTES);
      this.counters = map('fc_counters', MAP_TYPE.ARRAY, 4, COUNTER_BYTES, BPF_F_MMAPABLE);
      this.decision = map('fc_decision', MAP_TYPE.PERCPU_ARRAY, 4, DECISION_BYTES, 0, 1);
      const { view, unmap } = this.counters.mapped();
      this.#close.push(unmap);
      this.#words = new Uint32Array(view);
      const fds = {
        flows: this.flows.fd,
        entries: this.entries.fd,
        counters: this.counters.fd,
        decision: this.decision.fd,
      };
      const program = (type: number, name: string, code: Uint8Array) => {
        const fd = loadProgram(type, name, code);
        this.#close.push(() => closeFd(fd));
        return fd;
      };
      this.filter = program(PROGRAM_TYPE.SOCKET_FILTER, 'fc_filter', filterProgram(fds));
      this.forward = program(PROGRAM_TYPE.SCHED_CLS, 'fc_forward', forwardProgram(fds));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Puts an entry in place, then makes its key lead there. */
  insert(key: Uint8Array, index: number, entry: Uint8Array): void {
    this.#index[0] = index;
    this.entries.update(this.#index, entry);
    this.flows.update(key, this.#index);
  }

  remove(key: Uint8Array): void {
    this.flows.delete(key);
  }

  packets(index: number): number {
    return this.#counter(index, COUNTER.PACKETS);
  }

  bytes(index: number): number {
    return this.#counter(index, COUNTER.BYTES);
  }

  /** When the last packet was counted, ms of CLOCK_MONOTONIC. */
  lastMs(index: number): number {
    return this.#counter(index, COUNTER.LAST_NS) / 1e6;
  }

  close(): void {
    for (const close of this.#close.splice(0).reverse()) close();
  }

  /** 64 bits that the kernel may be adding to. */
  #counter(index: number, field: number): number {
    const at = (index * COUNTER_BYTES + field) / 4;
    const words = this.#words;
    for (;;) {
      const high = words[at + 1];
      const low = words[at];
      if (words[at + 1] === high) return high * TWO_32 + low;
    }
  }
}
