/**
 * Packet sockets in given network namespaces, for generators and probes. setns() moves only the calling
 * thread, and a socket stays where it was made: so one process can hold both ends of a network and time a
 * packet by one clock.
 */
import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import {
  AF_PACKET,
  int32,
  PACKET_IGNORE_OUTGOING,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  sys,
} from '../../agent/ports/socket.ts';
import { NETNS_DIR } from '../../mininet/owner.ts';
import { addressOf, check, POLLIN, raw } from '../../sandbox/sys/libc.ts';

const libc = koffi.load('libc.so.6');
const setns = libc.func('int setns(int fd, int type)');
const ifNametoindex = libc.func('uint32_t if_nametoindex(const char *name)');

const CLONE_NEWNET = 0x40000000;
const ETH_P_ALL_BE = 0x0300;
const PACKET_QDISC_BYPASS = 20;
const MMSG_BYTES = 64;
const IOV_BYTES = 16;

/** Runs `fn` with the calling thread inside a namespace made by `ip netns`. */
export function inNamespace<T>(namespace: string, fn: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`${NETNS_DIR}/${namespace}`, 'r');
  try {
    check('setns', setns(there, CLONE_NEWNET));
    return fn();
  } finally {
    check('setns', setns(home, CLONE_NEWNET));
    closeSync(there);
    closeSync(home);
  }
}

/** One end of a wire. */
export class Wire {
  readonly fd: number;
  readonly #pollfd = new Int32Array(new ArrayBuffer(8));
  readonly #pollfdAddress = addressOf(this.#pollfd);
  readonly received = new Uint8Array(new ArrayBuffer(65536));
  readonly #receivedAddress = addressOf(this.received);

  /** `receive: false` makes a socket that only sends, and sees nothing of what arrives. */
  constructor(namespace: string, interfaceName: string, receive = true) {
    this.fd = inNamespace(namespace, () => {
      const fd = check('socket', sys.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0));
      const index = ifNametoindex(interfaceName);
      if (index === 0) throw new Error(`There is no interface ${interfaceName} in ${namespace}.`);
      const address = new Uint8Array(20);
      const view = new DataView(address.buffer);
      view.setUint16(0, AF_PACKET, true);
      view.setUint16(2, receive ? ETH_P_ALL_BE : 0, true);
      view.setInt32(4, index, true);
      check('setsockopt', sys.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int32(1), 4));
      check('setsockopt', sys.setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, int32(1), 4));
      check('bind', sys.bind(fd, address, 20));
      return fd;
    });
    this.#pollfd[0] = this.fd;
    this.#pollfd[1] = POLLIN;
  }

  close(): void {
    closeSync(this.fd);
  }

  send(frame: Uint8Array): void {
    check('write', raw.write(this.fd, frame, frame.length));
  }

  /** The next frame's length (bytes in `received`), or 0 when none comes within `timeoutMs`. */
  receive(timeoutMs: number): number {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const length = Number(raw.read(this.fd, this.#receivedAddress, this.received.length));
      if (length > 0) return length;
      const left = Math.ceil(until - performance.now());
      if (left <= 0) return 0;
      raw.poll(this.#pollfdAddress, 1, left);
    }
  }
}

/** Sends prepared frames over and over, 64 to a system call. */
export class Blaster {
  readonly #wire: Wire;
  readonly #keep: unknown[] = [];
  readonly #messages: bigint;
  readonly #count: number;
  #next = 0;

  constructor(wire: Wire, frames: readonly Uint8Array[]) {
    this.#wire = wire;
    this.#count = Math.max(64, Math.floor(frames.length / 64) * 64);
    const memory = new Uint8Array(this.#count * (MMSG_BYTES + IOV_BYTES));
    const view = new DataView(memory.buffer);
    const base = addressOf(memory);
    for (let i = 0; i < this.#count; i++) {
      const frame = frames[i % frames.length];
      const iov = this.#count * MMSG_BYTES + i * IOV_BYTES;
      view.setBigUint64(i * MMSG_BYTES + 16, base + BigInt(iov), true);
      view.setBigUint64(i * MMSG_BYTES + 24, 1n, true);
      view.setBigUint64(iov, addressOf(frame), true);
      view.setBigUint64(iov + 8, BigInt(frame.length), true);
    }
    this.#keep.push(memory, frames);
    this.#messages = base;
  }

  /** Sends up to 64 frames; how many went. */
  burst(): number {
    const sent = sys.sendmmsg(this.#wire.fd, Number(this.#messages) + this.#next * MMSG_BYTES, 64, 0);
    this.#next = (this.#next + 64) % this.#count;
    return Math.max(0, sent);
  }
}
