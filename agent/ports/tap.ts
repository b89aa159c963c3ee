/** OFPP_LOCAL: a TAP device, by which the switch's own machine takes part in the network. It lives as long as the agent. */
import { closeSync, constants, openSync } from 'node:fs';
import { errnoName } from '../../sandbox/sys/libc.ts';
import type { Clock } from '../clock.ts';
import type { Frame, FramePool } from './frames.ts';
import { InterfacePort } from './interface-port.ts';
import type { FrameSink, PortQueue } from './port.ts';
import type { BurstReceiver } from './receive.ts';
import type { Interface, Rtnetlink } from './rtnetlink.ts';
import { addressOf, errno, IFREQ_VALUE, ifreq, PortError, sys } from './socket.ts';
import { BatchSender, writeToDevice } from './transmit.ts';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
/** A TAP whose frames have the vnet header of packet sockets in front (10 bytes unless told otherwise). */
const IFF_TAP_NO_PI_VNET_HDR = 0x0002 | 0x1000 | 0x4000;
/** Checksums and TCP segmentation are left to us, who leave them to the port that sends. */
const TUN_F_CSUM_TSO4_TSO6_ECN = 1 | 2 | 4 | 8;

const check = (result: number, what: string, name: string): void => {
  if (result >= 0) return;
  const error = errnoName(errno());
  const hint =
    error === 'EPERM'
      ? ' The agent needs CAP_NET_ADMIN: run it as root.'
      : error === 'EBUSY' || error === 'EINVAL'
        ? ' There may be an interface of that name that is no free TAP device.'
        : '';
  throw new PortError('FC_PORT_OPEN', `TAP device ${name}: ${what} failed (${error}).${hint}`);
};

/**
 * Makes the device, or takes over the TAP of that name, in which the kernel puts a number for %d. Throws PortError
 * FC_PORT_OPEN.
 */
export const openTap = (name: string): { fd: number; name: string } => {
  const { O_RDWR, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync('/dev/net/tun', O_RDWR | O_NONBLOCK);
  } catch (error) {
    throw new PortError(
      'FC_PORT_OPEN',
      `TAP device ${name}: there are none here (${(error as Error).message}).`,
    );
  }
  const request = ifreq(name);
  try {
    new DataView(request.buffer).setUint16(IFREQ_VALUE, IFF_TAP_NO_PI_VNET_HDR, true);
    check(sys.ioctl(fd, TUNSETIFF, addressOf(request)), 'making the TAP device', name);
    check(sys.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM_TSO4_TSO6_ECN), 'setting offloads', name);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { fd, name: new TextDecoder().decode(request.subarray(0, request.indexOf(0))) };
};

export class TapPort extends InterfacePort {
  readonly #sender: BatchSender;

  constructor(number: number, name: string, rtnetlink: Rtnetlink, pool: FramePool, clock: Clock) {
    super(number, name, rtnetlink, clock.now);
    this.#sender = new BatchSender(pool, writeToDevice);
  }

  /** Makes the device; open() is for when its interface is known. Throws PortError FC_PORT_OPEN. */
  create(): void {
    this.fd = openTap(this.name).fd;
  }

  /** For a TAP made by somebody else after ours was taken away. */
  open(link: Interface): void {
    if (this.fd < 0) this.create();
    this.index = link.index;
  }

  receive(receiver: BurstReceiver, sink: FrameSink): number {
    return receiver.read(this.fd, this.number, this.counters, sink);
  }

  /** The device's own queues are for what the machine sends; to it there are none. */
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

  refreshCounters(): void {}

  hasQueue(): boolean {
    return false;
  }

  queues(): readonly PortQueue[] {
    return [];
  }

  findQueues(): void {}

  close(): void {
    if (this.fd < 0) return;
    this.flush();
    closeSync(this.fd);
    this.fd = -1;
  }
}
