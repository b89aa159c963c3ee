/** Shared memory: a memfd mapped as an ArrayBuffer, and its pages mapped over a SharedArrayBuffer. */
import koffi from 'koffi';
import { addressOf, check, MAP_FIXED, MAP_SHARED, PAGE_BYTES, PROT_READ, PROT_WRITE, raw } from './libc.ts';

/** A mapping of a memfd. Atomics work on its views as on a SharedArrayBuffer's. */
export class MappedMemory {
  readonly buffer: ArrayBuffer;
  readonly address: bigint;
  readonly bytes: number;
  #mapped = true;

  constructor(fd: number, bytes: number) {
    this.bytes = bytes;
    this.address = BigInt(check('mmap', raw.mmap(0n, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
    this.buffer = koffi.view(this.address, bytes);
  }

  /** Views still held become empty instead of pointing at nothing. */
  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.buffer.transfer();
    check('munmap', raw.munmap(this.address, this.bytes));
  }
}

/**
 * A SharedArrayBuffer with room for `bytes` of page-aligned memory, over which pages of a memfd can be
 * mapped. V8 frees the buffer's memory with free() when it is collected, which must never happen to memory
 * with foreign pages in it: keep every PageWindow for ever and use it again.
 */
export class PageWindow {
  readonly shared: SharedArrayBuffer;
  /** Where the page-aligned inside begins in `shared`. */
  readonly offset: number;
  readonly bytes: number;
  readonly #address: bigint;

  constructor(bytes: number) {
    if (bytes % PAGE_BYTES !== 0) throw new RangeError(`a window is whole pages, not ${bytes} bytes`);
    this.bytes = bytes;
    this.shared = new SharedArrayBuffer(bytes + PAGE_BYTES);
    const address = addressOf(this.shared);
    this.offset = Number((BigInt(PAGE_BYTES) - (address % BigInt(PAGE_BYTES))) % BigInt(PAGE_BYTES));
    this.#address = address + BigInt(this.offset);
  }

  /** Shows `fd[fileOffset .. fileOffset+bytes)` through the window from now on. */
  map(fd: number, fileOffset: number): void {
    const protection = PROT_READ | PROT_WRITE;
    check(
      'mmap',
      raw.mmap(this.#address, this.bytes, protection, MAP_SHARED | MAP_FIXED, fd, fileOffset),
      'over a SharedArrayBuffer',
    );
  }
}
