/**
 * The system call filter of a sandbox host, as a classic BPF program for seccomp(2).
 *
 * What the host still does after start is: compute, map memory, punch holes, poll, read and write descriptors
 * it has, start threads. Everything that reaches out of the process (files, sockets, other processes, kernel
 * facilities) is refused with EPERM. clone3 is refused with ENOSYS, since its flags are out of a filter's
 * sight: glibc then uses clone, which is allowed for threads.
 */

/** [x86_64, arm64] numbers; -1 where the architecture has no such call. */
const DENIED: Record<string, readonly [number, number]> = {
  // files
  open: [2, -1],
  creat: [85, -1],
  openat: [257, 56],
  openat2: [437, 437],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  truncate: [76, 45],
  rename: [82, -1],
  renameat: [264, 38],
  renameat2: [316, 276],
  mkdir: [83, -1],
  mkdirat: [258, 34],
  rmdir: [84, -1],
  link: [86, -1],
  linkat: [265, 37],
  unlink: [87, -1],
  unlinkat: [263, 35],
  symlink: [88, -1],
  symlinkat: [266, 36],
  chmod: [90, -1],
  fchmodat: [268, 53],
  fchmodat2: [452, 452],
  chown: [92, -1],
  lchown: [94, -1],
  fchownat: [260, 54],
  mknod: [133, -1],
  mknodat: [259, 33],
  chroot: [161, 51],
  // sockets
  socket: [41, 198],
  connect: [42, 203],
  accept: [43, 202],
  accept4: [288, 242],
  bind: [49, 200],
  listen: [50, 201],
  socketpair: [53, 199],
  // processes
  fork: [57, -1],
  vfork: [58, -1],
  execve: [59, 221],
  execveat: [322, 281],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  kcmp: [312, 272],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  pidfd_send_signal: [424, 424],
  tkill: [200, 130],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  // namespaces, mounts, identities
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  setuid: [105, 146],
  setgid: [106, 144],
  setreuid: [113, 145],
  setregid: [114, 143],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setgroups: [116, 159],
  // System V and POSIX message passing
  shmget: [29, 194],
  shmat: [30, 196],
  semget: [64, 190],
  msgget: [68, 186],
  mq_open: [240, 180],
  // kernel facilities
  bpf: [321, 280],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  userfaultfd: [323, 282],
  perf_event_open: [298, 241],
  fanotify_init: [300, 262],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  quotactl: [179, 60],
  personality: [135, 92],
  iopl: [172, -1],
  ioperm: [173, -1],
  modify_ldt: [154, -1],
};

interface Architecture {
  /** Column of the table above. */
  column: 0 | 1;
  /** AUDIT_ARCH_* of <linux/audit.h>. */
  audit: number;
  clone: number;
  clone3: number;
  kill: number;
  tgkill: number;
  seccomp: number;
}

const ARCHITECTURES: Record<string, Architecture> = {
  x64: { column: 0, audit: 0xc000003e, clone: 56, clone3: 435, kill: 62, tgkill: 234, seccomp: 317 },
  arm64: { column: 1, audit: 0xc00000b7, clone: 220, clone3: 435, kill: 129, tgkill: 131, seccomp: 277 },
};

export function architecture(name: string): Architecture {
  const found = ARCHITECTURES[name];
  if (!found) {
    throw new Error(`no system call table for ${name}; sandbox hosts run on ${Object.keys(ARCHITECTURES)}`);
  }
  return found;
}

/** Number of a denied call by name, for tests; -1 where the architecture lacks it. */
export function deniedCall(name: string, arch: string): number {
  return DENIED[name]?.[architecture(arch).column] ?? -1;
}

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JEQ = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JGE = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JSET = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RET = 0x06; // BPF_RET | BPF_K

// Offsets in struct seccomp_data; arguments are little-endian u64.
const NR = 0;
const ARCH = 4;
const ARG0 = 16;

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const ERRNO = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;
const CLONE_THREAD = 0x00010000;
const X32_SYSCALL_BIT = 0x40000000;

type Instruction = readonly [code: number, jt: number, jf: number, k: number];

/** Checks the architecture and leaves the call's number in the accumulator. */
function prologue(audit: number): Instruction[] {
  return [
    [LOAD, 0, 0, ARCH],
    [JEQ, 1, 0, audit],
    [RET, 0, 0, KILL_PROCESS],
    [LOAD, 0, 0, NR],
  ];
}

function refuse(call: number, errno: number): Instruction[] {
  return [
    [JEQ, 0, 1, call],
    [RET, 0, 0, ERRNO | errno],
  ];
}

/** An array of struct sock_filter. */
function assemble(program: Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jt, jf, k], i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, jt);
    view.setUint8(i * 8 + 3, jf);
    view.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return bytes;
}

/**
 * For before Node starts: no io_uring. libuv makes one for each loop, which could do past any filter whatever
 * the filter refuses, and libuv aborts when it is refused later.
 */
export function earlyFilter(arch: string): Uint8Array {
  const { column, audit } = architecture(arch);
  return assemble([
    ...prologue(audit),
    ...refuse(DENIED.io_uring_setup![column], ENOSYS),
    [RET, 0, 0, ALLOW],
  ]);
}

/** The filter of a running host; `pid` is the only process it may signal: itself. */
export function hostFilter(arch: string, pid: number): Uint8Array {
  const { column, audit, clone, clone3, kill, tgkill } = architecture(arch);
  const program: Instruction[] = [
    ...prologue(audit),
    [JGE, 0, 1, X32_SYSCALL_BIT],
    [RET, 0, 0, KILL_PROCESS],
    ...refuse(clone3, ENOSYS),
    [JEQ, 0, 4, clone],
    [LOAD, 0, 0, ARG0],
    [JSET, 0, 1, CLONE_THREAD],
    [RET, 0, 0, ALLOW],
    [RET, 0, 0, ERRNO | EPERM],
  ];
  for (const signal of [kill, tgkill]) {
    program.push(
      [JEQ, 0, 4, signal],
      [LOAD, 0, 0, ARG0],
      [JEQ, 0, 1, pid],
      [RET, 0, 0, ALLOW],
      [RET, 0, 0, ERRNO | EPERM],
    );
  }
  for (const numbers of Object.values(DENIED)) {
    if (numbers[column] !== -1) program.push(...refuse(numbers[column], EPERM));
  }
  program.push([RET, 0, 0, ALLOW]);
  return assemble(program);
}
