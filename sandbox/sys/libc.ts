/**
 * The C library through koffi: the few calls that Node has no function for. Each wrapper checks the result
 * and throws a SystemCallError; `raw` holds the bare functions for hot paths that look at `koffi.errno()`
 * themselves (at once, before any other call).
 *
 * Pointers are bigints: koffi passes them in half the time a typed array takes.
 */
import os from 'node:os';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

/** The bare functions. Results are numbers; -1 means `koffi.errno()` says why. */
export const raw = {
  mmap: libc.func('intptr_t mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)'),
  munmap: libc.func('int munmap(void *addr, size_t length)'),
  memfd_create: libc.func('int memfd_create(const char *name, unsigned int flags)'),
  ftruncate: libc.func('int ftruncate(int fd, int64_t length)'),
  fallocate: libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)'),
  fcntl: libc.func('int fcntl(int fd, int command, long argument)'),
  eventfd: libc.func('int eventfd(unsigned int initial, int flags)'),
  read: libc.func('intptr_t read(int fd, void *buffer, size_t count)'),
  write: libc.func('intptr_t write(int fd, void *buffer, size_t count)'),
  close: libc.func('int close(int fd)'),
  poll: libc.func('int poll(void *fds, unsigned long count, int timeout)'),
  ppoll: libc.func('int ppoll(void *fds, unsigned long count, void *timeout, void *sigmask)'),
  prctl: libc.func(
    'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
  ),
  syscall: libc.func('long syscall(long number, long a, long b, long c, long d, long e, long f)'),
  getpid: libc.func('int getpid()'),
  getppid: libc.func('int getppid()'),
  setgroups: libc.func('int setgroups(size_t size, void *list)'),
  setresgid: libc.func('int setresgid(unsigned int rgid, unsigned int egid, unsigned int sgid)'),
  setresuid: libc.func('int setresuid(unsigned int ruid, unsigned int euid, unsigned int suid)'),
  malloc_trim: libc.func('int malloc_trim(size_t pad)'),
  memchr: libc.func('intptr_t memchr(void *s, int c, size_t n)'),
};

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const MAP_SHARED = 0x01;
export const MAP_PRIVATE = 0x02;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_NORESERVE = 0x4000;
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_SETFD = 2;
export const F_ADD_SEALS = 1033;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const FALLOC_FL_KEEP_SIZE = 1;
export const FALLOC_FL_PUNCH_HOLE = 2;
export const EFD_CLOEXEC = 0o2000000;
export const EFD_NONBLOCK = 0o4000;
export const POLLIN = 1;
export const PAGE_BYTES = 4096;

const errnoNames = new Map<number, string>(
  Object.entries(os.constants.errno).map(([name, number]) => [number, name]),
);

/** 'EPERM' for 1 and so on. */
export const errnoName = (errno: number): string => errnoNames.get(errno) ?? `errno ${errno}`;

/** A system call failed. `code` is the errno's name, e.g. 'EPERM', as in Node's own errors. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number, detail = '') {
    const code = errnoName(errno);
    super(`${syscall} failed: ${code}${detail ? ` (${detail})` : ''}`);
    this.name = 'SystemCallError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** Returns the result of a call, or throws if it is -1. Call at once: it reads errno. */
export function check(syscall: string, result: number | bigint, detail?: string): number {
  const value = Number(result);
  if (value === -1) throw new SystemCallError(syscall, koffi.errno(), detail);
  return value;
}

/** Address of memory that V8 does not move: an ArrayBuffer, a SharedArrayBuffer or a view on one. */
export function addressOf(memory: ArrayBufferLike | ArrayBufferView): bigint {
  const bytes = ArrayBuffer.isView(memory)
    ? new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength)
    : new Uint8Array(memory);
  if (bytes.length === 0) throw new RangeError('memory without a byte has no address');
  // memchr finds the first byte (whatever its value) where it is: its result is the address.
  return BigInt(raw.memchr(bytes, bytes[0]!, 1));
}

/** Anonymous shared file whose size can never change again, so that no holder can pull pages away. */
export function memfdCreate(name: string, bytes: number): number {
  const fd = check('memfd_create', raw.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  check('ftruncate', raw.ftruncate(fd, bytes));
  check('fcntl', raw.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'F_ADD_SEALS');
  return fd;
}

/** Gives pages back to the system; they read as zeros from then on, in every mapping. */
export function punchHole(fd: number, offset: number, bytes: number): void {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  check('fallocate', raw.fallocate(fd, mode, offset, bytes), 'PUNCH_HOLE');
}

export function closeFd(fd: number): void {
  check('close', raw.close(fd));
}

/**
 * Gives the pages of freed memory that the C library keeps back to the system. On another thread: it takes tens of milliseconds when
 * there is much.
 */
export function trimMemory(): void {
  raw.malloc_trim.async(0, (error: unknown) => {
    if (error) throw error;
  });
}

/** A counter descriptor to wake a poll() with; never blocks, allocates nothing per call. */
export class EventFd {
  readonly fd: number;
  readonly #word = new BigUint64Array(new ArrayBuffer(128), 0, 1);
  readonly #address: bigint;
  readonly #one = new BigUint64Array(new ArrayBuffer(128), 0, 1).fill(1n);
  readonly #oneAddress: bigint;

  /** Takes over an inherited descriptor, or makes a new one. */
  constructor(fd?: number) {
    this.fd = fd ?? check('eventfd', raw.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    this.#address = addressOf(this.#word);
    this.#oneAddress = addressOf(this.#one);
  }

  /** Makes the descriptor readable. (EAGAIN means that it is, 2^64 signals deep.) */
  signal(): void {
    raw.write(this.fd, this.#oneAddress, 8);
  }

  /** Makes it unreadable again. */
  drain(): void {
    raw.read(this.fd, this.#address, 8);
  }

  close(): void {
    closeFd(this.fd);
  }
}
