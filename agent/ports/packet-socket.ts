/** A port over an AF_PACKET socket: raw Ethernet frames of one network interface, offloads and all. */

import { NO_QUEUE } from '../../sandbox/channel/layout.ts';
import { closeFd, errnoName } from '../../sandbox/sys/libc.ts';
import type { Clock } from '../clock.ts';
import type { Frame, FramePool } from './frames.ts';
import { InterfacePort } from './interface-port.ts';
import type { FrameSink, PortQueue } from './port.ts';
import { MAX_QUEUE, queueOf } from './queues.ts';
import type { BurstReceiver } from './receive.ts';
import { ReceiveRing } from './ring.ts';
import type { HtbClass, Interface, Rtnetlink } from './rtnetlink.ts';
import {
  AF_PACKET,
  ETH_P_ALL,
  errno,
  int32,
  PACKET_ADD_MEMBERSHIP,
  PACKET_AUXDATA,
  PACKET_IGNORE_OUTGOING,
  PACKET_MR_PROMISC,
  PACKET_STATISTICS,
  PACKET_VNET_HDR,
  PortError,
  SO_PRIORITY,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_PACKET,
  SOL_SOCKET,
  sys,
} from './socket.ts';
import { BatchSender } from './transmit.ts';

/** Frames taken from a ring in one go. */
const RING_BURST = 128;
const RECEIVE_BUFFER_BYTES = 16 << 20;
const SEND_BUFFER_BYTES = 8 << 20;

const check = (result: number, what: string, name: string): void => {
  if (result >= 0) return;
  const error = errnoName(errno());
  const hint = error === 'EPERM' ? ' The agent needs CAP_NET_RAW: run it as root.' : '';
  throw new PortError('FC_PORT_OPEN', `Port ${name}: ${what} failed (${error}).${hint}`);
};

/** Asks for a big buffer, past the administrator's limit where we may. */
const setBuffer = (fd: number, force: number, plain: number, bytes: number, name: string): void => {
  if (sys.setsockopt(fd, SOL_SOCKET, force, int32(bytes), 4) === 0) return;
  check(sys.setsockopt(fd, SOL_SOCKET, plain, int32(bytes), 4), 'setting the buffer size', name);
};

/** struct sockaddr_ll: family, protocol (network order), ifindex, hatype, pkttype, halen, addr[8]. */
const linkAddress = (index: number, protocol: number): Uint8Array => {
  const address = new Uint8Array(20);
  const fields = new DataView(address.buffer);
  fields.setUint16(0, AF_PACKET, true);
  fields.setUint16(2, protocol, false);
  fields.setInt32(4, index, true);
  return address;
};

/** A packet socket with what is particular to it set by `prepare`, bound last: it gets no frame before it is ready. */
const openSocket = (name: string, index: number, protocol: number, prepare: (fd: number) => void): number => {
  const fd = sys.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(fd, 'opening a packet socket', name);
  try {
    check(sys.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, int32(1), 4), 'PACKET_VNET_HDR', name);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES, name);
    prepare(fd);
    check(sys.bind(fd, linkAddress(index, protocol), 20), 'binding', name);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
};

const openPort = (name: string, index: number, prepare: (fd: number) => void): number =>
  openSocket(name, index, ETH_P_ALL, (fd) => {
    const set = (option: number, what: string, value: Uint8Array) =>
      check(sys.setsockopt(fd, SOL_PACKET, option, value, value.length), what, name);
    set(PACKET_AUXDATA, 'PACKET_AUXDATA', int32(1));
    set(PACKET_IGNORE_OUTGOING, 'PACKET_IGNORE_OUTGOING', int32(1));
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES, name);
    const membership = new Uint8Array(16);
    const fields = new DataView(membership.buffer);
    fields.setInt32(0, index, true);
    fields.setUint16(4, PACKET_MR_PROMISC, true);
    set(PACKET_ADD_MEMBERSHIP, 'promiscuous mode', membership);
    prepare(fd);
  });

/** Sends only (protocol 0 receives nothing); the qdisc puts what it sends in the class that the priority names. */
const openQueue = (name: string, index: number, handle: number): number =>
  openSocket(name, index, 0, (fd) => {
    check(sys.setsockopt(fd, SOL_SOCKET, SO_PRIORITY, int32(handle), 4), 'SO_PRIORITY', name);
  });

/** A traffic class, and the socket that sends into it once something is to be sent. */
class ClassQueue {
  readonly handle: number;
  readonly since: number;
  readonly sender: BatchSender;
  /** Packets it had no room for. The class's own count has some twice: sendmmsg tries a refused one again. */
  lost = 0;
  fd = -1;

  constructor(handle: number, pool: FramePool, now: number) {
    this.handle = handle;
    this.since = now;
    this.sender = new BatchSender(pool);
  }
}

export class PacketPort extends InterfacePort {
  readonly #pool: FramePool;
  readonly #ringSlots: number;
  readonly #clock: Clock;
  readonly #sender: BatchSender;
  readonly #statistics = new Uint8Array(8);
  readonly #queues = new Map<number, ClassQueue>();
  /** Those with packets to be sent. */
  readonly #waiting: ClassQueue[] = [];
  /** Undefined where the kernel has no memory for one: then every burst is a system call. */
  #ring: ReceiveRing | undefined;

  /** `ringSlots`: frames that may wait in the kernel. */
  constructor(
    number: number,
    name: string,
    rtnetlink: Rtnetlink,
    pool: FramePool,
    clock: Clock,
    ringSlots: number,
  ) {
    super(number, name, rtnetlink, clock.now);
    this.#pool = pool;
    this.#ringSlots = ringSlots;
    this.#clock = clock;
    this.#sender = new BatchSender(pool);
  }

  open(link: Interface): void {
    this.close();
    this.fd = openPort(this.name, link.index, (fd) => {
      this.#ring = ReceiveRing.attach(fd, this.#ringSlots);
    });
    this.index = link.index;
    this.findQueues();
  }

  receive(receiver: BurstReceiver, sink: FrameSink): number {
    const count =
      this.#ring?.receive(RING_BURST, this.#pool, receiver, this.number, this.counters, sink) ?? 0;
    // No ring; or readable without a frame in it, which is an error that is fetched like this.
    return count > 0 ? count : receiver.receive(this.fd, this.number, this.counters, sink);
  }

  override get ready(): boolean {
    return this.#ring?.ready === true;
  }

  send(frame: Frame, headAddress: number, headLength: number, consumed: number, id: number): void {
    const queue = id === NO_QUEUE ? undefined : this.#queues.get(id);
    const sender = queue === undefined ? this.#sender : queue.sender;
    if (!sender.add(frame, headAddress, headLength, consumed)) {
      this.counters.txErrors++;
      this.counters.errors.offload = (this.counters.errors.offload ?? 0) + 1;
      return;
    }
    if (queue !== undefined && sender.pending === 1) this.#waiting.push(queue);
    if (sender.full) this.flush();
  }

  flush(): void {
    if (this.#sender.pending > 0) this.#sender.flush(this.fd, this.counters);
    for (let queue = this.#waiting.pop(); queue !== undefined; queue = this.#waiting.pop()) {
      this.#flushQueue(queue);
    }
  }

  /** PACKET_STATISTICS counts since the last time it was read. */
  refreshCounters(): void {
    this.onRefresh?.();
    if (this.fd < 0) return;
    if (sys.getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, this.#statistics, [8]) !== 0) return;
    this.counters.rxDropped += new DataView(this.#statistics.buffer).getUint32(4, true);
  }

  hasQueue(id: number): boolean {
    return this.#queues.has(id);
  }

  queues(): readonly PortQueue[] {
    const found: PortQueue[] = [];
    for (const one of this.#classes()) {
      const id = queueOf(one);
      const queue = this.#queues.get(id);
      if (queue?.handle !== one.handle) continue;
      const { rate: minRate, ceil: maxRate, txPackets, txBytes } = one;
      found.push({ id, minRate, maxRate, since: queue.since, txPackets, txBytes, drops: queue.lost });
    }
    return found.sort((a, b) => a.id - b.id);
  }

  findQueues(): void {
    const found = new Map<number, number>();
    for (const one of this.#classes()) {
      const id = queueOf(one);
      if (id >= 0 && id <= MAX_QUEUE && !found.has(id)) found.set(id, one.handle);
    }
    for (const [id, queue] of this.#queues) if (found.get(id) !== queue.handle) this.#closeQueue(id, queue);
    for (const [id, handle] of found) {
      if (this.#queues.has(id)) continue;
      this.#queues.set(id, new ClassQueue(handle, this.#pool, this.#clock.now));
    }
  }

  close(): void {
    if (this.fd < 0) return;
    this.flush();
    this.refreshCounters();
    for (const [id, queue] of this.#queues) this.#closeQueue(id, queue);
    this.#ring?.close();
    this.#ring = undefined;
    closeFd(this.fd);
    this.fd = -1;
  }

  /** None for an interface that has just gone. */
  #classes(): HtbClass[] {
    if (this.index === 0) return [];
    try {
      return this.rtnetlink.htbClasses(this.index);
    } catch (error) {
      if (error instanceof PortError) return [];
      throw error;
    }
  }

  #flushQueue(queue: ClassQueue): void {
    if (queue.fd < 0 && this.fd >= 0) {
      try {
        queue.fd = openQueue(this.name, this.index, queue.handle);
      } catch (error) {
        if (!(error instanceof PortError)) throw error;
        // Without a descriptor the packets are counted as lost, and the next ones try again.
        this.counters.errors.queue = (this.counters.errors.queue ?? 0) + 1;
      }
    }
    queue.lost += queue.sender.flush(queue.fd, this.counters);
  }

  #closeQueue(id: number, queue: ClassQueue): void {
    if (queue.sender.pending > 0) this.flush();
    if (queue.fd >= 0) closeFd(queue.fd);
    this.#queues.delete(id);
  }
}
