/** Receiving bursts with recvmmsg: one set of 64 message headers, shared by all ports of the one thread. */
import { FRAME_CAPACITY, FRAME_HEADROOM, type Frame, type FramePool, RECEIVE_OFFSET } from './frames.ts';
import { readOffload, restoreTag } from './offload.ts';
import type { FrameSink, PortCounters } from './port.ts';
import {
  addressOf,
  EAGAIN,
  EINTR,
  errno,
  highWord,
  IOV_WORDS,
  lowWord,
  MMSG,
  MMSG_WORDS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  sys,
  TP_STATUS_VLAN_TPID_VALID,
  TP_STATUS_VLAN_VALID,
  VNET_HDR_BYTES,
} from './socket.ts';

export const BURST = 64;
/** CMSG_SPACE(sizeof(struct tpacket_auxdata)), in words; the data begins after the 4 words of the header. */
const CONTROL_WORDS = 10;
const AUX = { STATUS: 4, VLAN: 8 } as const;
export const ETHERTYPE_VLAN = 0x8100;

export class BurstReceiver {
  readonly #pool: FramePool;
  readonly #frames: Frame[] = [];
  readonly #headers = new Uint32Array(BURST * MMSG_WORDS);
  readonly #iovs = new Uint32Array(BURST * IOV_WORDS);
  readonly #control = new Uint32Array(BURST * CONTROL_WORDS);
  readonly #headersAddress = addressOf(this.#headers);

  constructor(pool: FramePool) {
    this.#pool = pool;
    const iovs = addressOf(this.#iovs);
    const control = addressOf(this.#control);
    for (let i = 0; i < BURST; i++) {
      const at = i * MMSG_WORDS;
      const iov = iovs + i * IOV_WORDS * 4;
      this.#headers[at + MMSG.IOV] = lowWord(iov);
      this.#headers[at + MMSG.IOV + 1] = highWord(iov);
      this.#headers[at + MMSG.IOVLEN] = 1;
      const aux = control + i * CONTROL_WORDS * 4;
      this.#headers[at + MMSG.CONTROL] = lowWord(aux);
      this.#headers[at + MMSG.CONTROL + 1] = highWord(aux);
      this.#headers[at + MMSG.CONTROLLEN] = CONTROL_WORDS * 4;
      this.#iovs[i * IOV_WORDS + 2] = FRAME_CAPACITY + VNET_HDR_BYTES;
      const frame = pool.take();
      if (frame === null) throw new RangeError(`The frame pool must hold more than ${BURST} frames.`);
      this.#arm(i, frame);
    }
  }

  /**
   * Takes up to `most` frames (BURST at most) from a socket and hands each to the sink. Returns how many there were, or minus the errno of
   * a failure other than "nothing there".
   */
  receive(fd: number, inPort: number, counters: PortCounters, sink: FrameSink, most = BURST): number {
    const count = sys.recvmmsg(fd, this.#headersAddress, most, MSG_DONTWAIT, 0);
    if (count < 0) {
      const error = errno();
      return error === EAGAIN || error === EINTR ? 0 : -error;
    }
    for (let i = 0; i < count; i++) this.#deliver(i, inPort, counters, sink);
    return count;
  }

  /** The same from a character device, which gives one frame with each call. */
  read(fd: number, inPort: number, counters: PortCounters, sink: FrameSink): number {
    for (let count = 0; count < BURST; count++) {
      const length = Number(
        sys.read(fd, this.#frames[0].address + RECEIVE_OFFSET, FRAME_CAPACITY + VNET_HDR_BYTES),
      );
      if (length < 0) {
        const error = errno();
        return error === EAGAIN || error === EINTR ? count : -error;
      }
      this.#headers[MMSG.LEN] = length;
      this.#headers[MMSG.FLAGS] = 0;
      this.#headers[MMSG.CONTROLLEN] = 0;
      this.#deliver(0, inPort, counters, sink);
    }
    return BURST;
  }

  /** Gives back the frames that stand ready. */
  close(): void {
    for (const frame of this.#frames.splice(0)) this.#pool.release(frame);
  }

  #deliver(i: number, inPort: number, counters: PortCounters, sink: FrameSink): void {
    const at = i * MMSG_WORDS;
    const length = this.#headers[at + MMSG.LEN] - VNET_HDR_BYTES;
    const truncated = (this.#headers[at + MMSG.FLAGS] & MSG_TRUNC) !== 0;
    const hasAux = this.#headers[at + MMSG.CONTROLLEN] >= 36;
    this.#headers[at + MMSG.CONTROLLEN] = CONTROL_WORDS * 4;
    counters.rxPackets++;
    counters.rxBytes += length;
    if (truncated || length < 14) {
      counters.rxErrors++;
      return;
    }
    const spare = this.#pool.take();
    if (spare === null) {
      // The frame stays armed: the packet is lost, but the socket is emptied, so poll() does not spin.
      counters.rxDropped++;
      return;
    }
    const frame = this.#frames[i];
    this.#arm(i, spare);
    frame.offset = frame.base + FRAME_HEADROOM;
    frame.length = length;
    frame.inPort = inPort;
    frame.packetOutXid = 0;
    readOffload(frame);
    if (hasAux) this.#restoreTag(frame, i * CONTROL_WORDS);
    sink(frame);
  }

  #arm(i: number, frame: Frame): void {
    this.#frames[i] = frame;
    const at = frame.address + RECEIVE_OFFSET;
    this.#iovs[i * IOV_WORDS] = lowWord(at);
    this.#iovs[i * IOV_WORDS + 1] = highWord(at);
  }

  /** Puts a VLAN tag that the kernel took out of the packet back in its place. */
  #restoreTag(frame: Frame, control: number): void {
    const status = this.#control[control + AUX.STATUS];
    if ((status & TP_STATUS_VLAN_VALID) === 0) return;
    const vlan = this.#control[control + AUX.VLAN];
    restoreTag(frame, status & TP_STATUS_VLAN_TPID_VALID ? vlan >>> 16 : ETHERTYPE_VLAN, vlan & 0xffff);
  }
}
