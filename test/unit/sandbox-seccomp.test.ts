import { describe, expect, test } from 'vitest';
import { architecture, deniedCall, earlyFilter, hostFilter } from '../../sandbox/host/seccomp.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const PID = 4321;

/** What the kernel would answer: a classic BPF machine for the instructions that filters have. */
function run(filter: Uint8Array, arch: number, call: number, argument = 0): number {
  const view = new DataView(filter.buffer);
  const data = new Map([
    [0, call],
    [4, arch],
    [16, argument],
  ]);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const code = view.getUint16(at * 8, true);
    const k = view.getUint32(at * 8 + 4, true);
    const jump = (taken: boolean): void => {
      at += view.getUint8(at * 8 + (taken ? 2 : 3));
    };
    if (code === 0x20) accumulator = data.get(k)!;
    else if (code === 0x15) jump(accumulator === k);
    else if (code === 0x35) jump(accumulator >= k);
    else if (code === 0x45) jump((accumulator & k) !== 0);
    else if (code === 0x06) return k;
    else throw new Error(`unknown instruction ${code}`);
  }
}

describe.each(['x64', 'arm64'])('the filter for %s', (name) => {
  const { audit, clone, clone3, kill, tgkill } = architecture(name);
  const filter = hostFilter(name, PID);
  const answer = (call: number, argument = 0) => run(filter, audit, call, argument);

  test.each([
    'socket',
    'connect',
    'execve',
    'execveat',
    'ptrace',
    'process_vm_readv',
    'mount',
    'bpf',
    'unshare',
  ])('refuses %s', (call) => expect(answer(deniedCall(call, name))).toBe(EPERM));
  test.each([
    'setns',
    'keyctl',
    'io_uring_setup',
    'io_uring_enter',
    'open_by_handle_at',
    'openat',
    'pidfd_getfd',
  ])('refuses %s', (call) => expect(answer(deniedCall(call, name))).toBe(EPERM));

  test('lets clone make threads only, and says that clone3 is not there', () => {
    expect(answer(clone, 0x00010000 | 0x100)).toBe(ALLOW);
    expect(answer(clone, 17)).toBe(EPERM);
    expect(answer(clone3)).toBe(ENOSYS);
  });

  test('lets it signal itself only', () => {
    for (const call of [kill, tgkill]) {
      expect(answer(call, PID)).toBe(ALLOW);
      expect(answer(call, 1)).toBe(EPERM);
      expect(answer(call, 0)).toBe(EPERM);
      expect(answer(call, 0xffffffff)).toBe(EPERM);
    }
  });

  test('lets through what a host does', () => {
    // read, write, poll/ppoll, mmap, munmap, futex, fallocate
    const calls = name === 'x64' ? [0, 1, 7, 9, 11, 202, 285] : [63, 64, 73, 222, 215, 98, 47];
    expect(calls.map((call) => answer(call))).toEqual(calls.map(() => ALLOW));
  });

  test('kills what calls by another architecture', () => {
    expect(run(filter, 0x40000003, 0)).toBe(KILL);
    expect(answer(0x40000000 | 41)).toBe(KILL);
  });

  test('before the start says that there is no io_uring, and nothing else', () => {
    const early = earlyFilter(name);
    expect(run(early, audit, deniedCall('io_uring_setup', name))).toBe(ENOSYS);
    expect(run(early, audit, deniedCall('execve', name))).toBe(ALLOW);
  });
});

test('an unknown architecture is named', () => {
  expect(() => hostFilter('mips', PID)).toThrow('mips');
});
