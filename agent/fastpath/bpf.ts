/** bpf(2) through koffi: maps, programs and links, with the numbers of Linux's UAPI headers (linux/bpf.h). */
import koffi from 'koffi';
import { addressOf, closeFd, errnoName, MAP_SHARED, PROT_READ, raw } from '../../sandbox/sys/libc.ts';
import { BpfError } from './bpf-error.ts';

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;

const COMMAND = {
  MAP_CREATE: 0,
  MAP_LOOKUP: 1,
  MAP_UPDATE: 2,
  MAP_DELETE: 3,
  PROG_LOAD: 5,
  PROG_TEST_RUN: 10,
  LINK_CREATE: 28,
} as const;

export const MAP_TYPE = { HASH: 1, ARRAY: 2, PERCPU_ARRAY: 6 } as const;
export const PROGRAM_TYPE = { SOCKET_FILTER: 1, SCHED_CLS: 3 } as const;
export const BPF_F_NO_PREALLOC = 1;
export const BPF_F_MMAPABLE = 1 << 10;
/** enum bpf_attach_type */
const BPF_TCX_INGRESS = 46;

const ENOENT = 2;
const ATTRIBUTES = 128;
const LOG_BYTES = 256 * 1024;

/** union bpf_attr: one for all calls, since this thread makes them one after the other. */
const attributes = new DataView(new ArrayBuffer(ATTRIBUTES));
const attributesAddress = Number(addressOf(attributes.buffer));
const clear = new Uint8Array(attributes.buffer);

const bpf = (command: number, fill: (fields: DataView) => void): number => {
  clear.fill(0);
  fill(attributes);
  return Number(raw.syscall(SYS_BPF, command, attributesAddress, ATTRIBUTES, 0, 0, 0));
};

const pointer = (fields: DataView, at: number, memory: ArrayBufferView | undefined): void => {
  if (memory !== undefined) fields.setBigUint64(at, addressOf(memory), true);
};

const checked = (result: number, what: string, detail?: () => string): number => {
  if (result >= 0) return result;
  const errno = koffi.errno();
  throw new BpfError(what, errnoName(errno), detail?.());
};

const writeName = (fields: DataView, at: number, name: string): void => {
  for (let i = 0; i < Math.min(name.length, 15); i++) fields.setUint8(at + i, name.charCodeAt(i));
};

export interface MapSpec {
  readonly name: string;
  readonly type: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly entries: number;
  readonly flags?: number;
}

/** A map; keys and values are read at the time of each call. */
export class BpfMap {
  readonly fd: number;
  readonly #name: string;
  readonly #bytes: number;

  /** Throws BpfError: EPERM where BPF is not permitted. */
  constructor({ name, type, keyBytes, valueBytes, entries, flags = 0 }: MapSpec) {
    this.#name = name;
    this.#bytes = valueBytes * entries;
    this.fd = checked(
      bpf(COMMAND.MAP_CREATE, (fields) => {
        fields.setUint32(0, type, true);
        fields.setUint32(4, keyBytes, true);
        fields.setUint32(8, valueBytes, true);
        fields.setUint32(12, entries, true);
        fields.setUint32(16, flags, true);
        writeName(fields, 28, name);
      }),
      `making the map ${name}`,
    );
  }

  update(key: ArrayBufferView, value: ArrayBufferView): void {
    checked(this.#element(COMMAND.MAP_UPDATE, key, value), `an update of ${this.#name}`);
  }

  /** False: there is no such key. */
  delete(key: ArrayBufferView): boolean {
    const result = this.#element(COMMAND.MAP_DELETE, key, undefined);
    if (result === 0) return true;
    if (koffi.errno() === ENOENT) return false;
    return checked(result, `a deletion in ${this.#name}`) === 0;
  }

  /** Fills in `value`; false: there is no such key. */
  lookup(key: ArrayBufferView, value: ArrayBufferView): boolean {
    const result = this.#element(COMMAND.MAP_LOOKUP, key, value);
    if (result === 0) return true;
    if (koffi.errno() === ENOENT) return false;
    return checked(result, `a look-up in ${this.#name}`) === 0;
  }

  /** A BPF_F_MMAPABLE array's memory, to be read without system calls. `unmap` before the view is let go. */
  mapped(): { view: ArrayBuffer; unmap: () => void } {
    const address = raw.mmap(0n, this.#bytes, PROT_READ, MAP_SHARED, this.fd, 0);
    if (Number(address) === -1) throw new BpfError(`mapping ${this.#name}`, errnoName(koffi.errno()));
    const view = koffi.view(BigInt(address), this.#bytes);
    return {
      view,
      unmap: () => {
        view.transfer();
        raw.munmap(BigInt(address), this.#bytes);
      },
    };
  }

  close(): void {
    closeFd(this.fd);
  }

  #element(command: number, key: ArrayBufferView, value: ArrayBufferView | undefined): number {
    return bpf(command, (fields) => {
      fields.setUint32(0, this.fd, true);
      pointer(fields, 8, key);
      pointer(fields, 16, value);
    });
  }
}

/** Loads a program and returns its descriptor. Throws BpfError, with what the verifier says of a program it refuses. */
export const loadProgram = (type: number, name: string, code: Uint8Array): number => {
  const license = new TextEncoder().encode('MIT\0');
  const load = (log?: Uint8Array) =>
    bpf(COMMAND.PROG_LOAD, (fields) => {
      fields.setUint32(0, type, true);
      fields.setUint32(4, code.length / 8, true);
      pointer(fields, 8, code);
      pointer(fields, 16, license);
      if (log !== undefined) {
        fields.setUint32(24, 1, true);
        fields.setUint32(28, log.length, true);
        pointer(fields, 32, log);
      }
      writeName(fields, 48, name);
    });
  const fd = load();
  if (fd >= 0) return fd;
  const errno = koffi.errno();
  const log = new Uint8Array(LOG_BYTES);
  const again = load(log);
  if (again >= 0) return again;
  const text = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0)))).trimEnd();
  throw new BpfError(`loading ${name}`, errnoName(errno), text.split('\n').slice(-4).join(' | '));
};

/** Attaches a SCHED_CLS program to an interface's ingress (Linux 6.6 and later); it goes when the descriptor is closed. */
export const attachTcx = (program: number, ifindex: number): number =>
  checked(
    bpf(COMMAND.LINK_CREATE, (fields) => {
      fields.setUint32(0, program, true);
      fields.setUint32(4, ifindex, true);
      fields.setUint32(8, BPF_TCX_INGRESS, true);
    }),
    'attaching to tcx',
  );

export interface TestRun {
  readonly result: number;
  readonly frame: Uint8Array;
  /** Of one run, ns. */
  readonly duration: number;
}

/** Runs a program on a frame (BPF_PROG_TEST_RUN). `context`: struct __sk_buff, of which the kernel takes some fields. */
export const testRun = (program: number, frame: Uint8Array, context?: Uint8Array, repeat = 1): TestRun => {
  const out = new Uint8Array(frame.length + 256);
  checked(
    bpf(COMMAND.PROG_TEST_RUN, (fields) => {
      fields.setUint32(0, program, true);
      fields.setUint32(8, frame.length, true);
      fields.setUint32(12, out.length, true);
      pointer(fields, 16, frame);
      pointer(fields, 24, out);
      fields.setUint32(32, repeat, true);
      if (context === undefined) return;
      fields.setUint32(40, context.length, true);
      pointer(fields, 48, context);
    }),
    'a test run',
  );
  const length = attributes.getUint32(12, true);
  return {
    result: attributes.getInt32(4, true),
    frame: out.subarray(0, length),
    duration: attributes.getUint32(36, true),
  };
};
