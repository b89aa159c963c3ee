/** A port over an AF_PACKET socket: raw Ethernet frames of one network interface, offloads and all. */
import { closeFd, errnoName } from '../../sandbox/sys/libc.ts';
import type { Frame, FramePool } from './frames.ts';
import type { FrameSink, LinkState, Port, PortCounters } from './port.ts';
import type { BurstReceiver } from './receive.ts';
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

const openSocket = (name: string, index: number): number => {
  const protocol = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
  // Protocol 0 until everything is set: frames that arrive before the vnet header is on would be misread.
  const fd = sys.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(fd, 'opening a packet socket', name);
  try {
    check(sys.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, int32(1), 4), 'PACKET_VNET_HDR', name);
    check(sys.setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, int32(1), 4), 'PACKET_AUXDATA', name);
    check(
      sys.setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int32(1), 4),
      'PACKET_IGNORE_OUTGOING',
      name,
    );
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES, name);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES, name);
    const membership = new Uint8Array(16);
    const fields = new DataView(membership.buffer);
    fields.setInt32(0, index, true);
    fields.setUint16(4, PACKET_MR_PROMISC, true);
    check(sys.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, 16), 'promiscuous mode', name);
    // struct sockaddr_ll: family, protocol (network order), ifindex, hatype, pkttype, halen, addr[8].
    const address = new Uint8Array(20);
    const link = new DataView(address.buffer);
    link.setUint16(0, AF_PACKET, true);
    link.setUint16(2, protocol, true);
    link.setInt32(4, index, true);
    check(sys.bind(fd, address, 20), 'binding', name);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
};

const emptyCounters = (): PortCounters => ({
  rxPackets: 0,
  rxBytes: 0,
  rxDropped: 0,
  rxErrors: 0,
  txPackets: 0,
  txBytes: 0,
  txDropped: 0,
  txErrors: 0,
  errors: {},
});

export class PacketPort implements Port {
  readonly number: number;
  readonly name: string;
  readonly since: number;
  readonly link: LinkState = { present: false, up: false, running: false };
  readonly counters = emptyCounters();
  hardwareAddress = '00:00:00:00:00:00';
  speed = 0;
  config = 0;
  /** -1 while the interface is away. */
  fd = -1;
  readonly #sender: BatchSender;
  readonly #statistics = new Uint8Array(8);

  constructor(number: number, name: string, pool: FramePool, now: number) {
    this.number = number;
    this.name = name;
    this.since = now;
    this.#sender = new BatchSender(pool);
  }

  /** Opens the socket on the interface with this index; throws PortError FC_PORT_OPEN. */
  open(index: number): void {
    this.close();
    this.fd = openSocket(this.name, index);
  }

  /** One burst; returns the number of frames, or minus an errno. */
  receive(receiver: BurstReceiver, sink: FrameSink): number {
    return receiver.receive(this.fd, this.number, this.counters, sink);
  }

  send(frame: Frame, headAddress: number, headLength: number, consumed: number): void {
    if (!this.#sender.add(frame, headAddress, headLength, consumed)) {
      this.counters.txErrors++;
      this.counters.errors.offload = (this.counters.errors.offload ?? 0) + 1;
      return;
    }
    if (this.#sender.full) this.flush();
  }

  flush(): void {
    if (this.#sender.pending > 0) this.#sender.flush(this.fd, this.counters);
  }

  /** PACKET_STATISTICS counts since the last time it was read. */
  refreshCounters(): void {
    if (this.fd < 0) return;
    if (sys.getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, this.#statistics, [8]) !== 0) return;
    this.counters.rxDropped += new DataView(this.#statistics.buffer).getUint32(4, true);
  }

  close(): void {
    if (this.fd < 0) return;
    this.flush();
    this.refreshCounters();
    closeFd(this.fd);
    this.fd = -1;
  }
}
