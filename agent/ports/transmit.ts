/**
 * Sending in batches with sendmmsg: a frame as it was received, the vnet header in front of it, in one piece; or
 * [vnet header][head from the cell's memory][rest of the received frame].
 */
import { SLOT_FLAG } from '../../sandbox/channel/layout.ts';
import { errnoName } from '../../sandbox/sys/libc.ts';
import type { Frame, FramePool } from './frames.ts';
import type { PortCounters } from './port.ts';
import {
  addressOf,
  EAGAIN,
  EINTR,
  EIO,
  ENETDOWN,
  ENOBUFS,
  errno,
  highWord,
  IOV_WORDS,
  lowWord,
  MMSG,
  MMSG_WORDS,
  MSG_DONTWAIT,
  sys,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VNET_HDR_BYTES,
} from './socket.ts';

export const BATCH = 64;
const IOVS_EACH = 3;
/** Words between two vnet headers: 10 bytes, rounded up to keep them aligned. */
const VNET_STRIDE = 6;

/** Sends some of `count` messages from the `from`th on: how many, or -1 with errno set. Fills in MMSG.LEN. */
export type SendCall = (
  fd: number,
  headers: Uint32Array,
  address: number,
  from: number,
  count: number,
) => number;

const sendToSocket: SendCall = (fd, _headers, address, from, count) =>
  sys.sendmmsg(fd, address + from * MMSG_WORDS * 4, count, MSG_DONTWAIT);

/** A character device takes one frame with each call. */
export const writeToDevice: SendCall = (fd, headers, _address, from) => {
  const at = from * MMSG_WORDS;
  const parts = headers[at + MMSG.IOV] + headers[at + MMSG.IOV + 1] * 4294967296;
  const written = Number(sys.writev(fd, parts, headers[at + MMSG.IOVLEN]));
  if (written < 0) return -1;
  headers[at + MMSG.LEN] = written;
  return 1;
};

export class BatchSender {
  readonly #pool: FramePool;
  readonly #frames: (Frame | null)[] = new Array(BATCH).fill(null);
  readonly #headers = new Uint32Array(BATCH * MMSG_WORDS);
  readonly #iovs = new Uint32Array(BATCH * IOVS_EACH * IOV_WORDS);
  readonly #vnet = new Uint16Array(BATCH * VNET_STRIDE);
  readonly #vnetBytes = new Uint8Array(this.#vnet.buffer);
  readonly #headersAddress = addressOf(this.#headers);
  readonly #vnetAddress = addressOf(this.#vnet);
  readonly #send: SendCall;
  #count = 0;

  constructor(pool: FramePool, send: SendCall = sendToSocket) {
    this.#pool = pool;
    this.#send = send;
    const iovs = addressOf(this.#iovs);
    for (let i = 0; i < BATCH; i++) {
      const iov = iovs + i * IOVS_EACH * IOV_WORDS * 4;
      this.#headers[i * MMSG_WORDS + MMSG.IOV] = lowWord(iov);
      this.#headers[i * MMSG_WORDS + MMSG.IOV + 1] = highWord(iov);
    }
  }

  get pending(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === BATCH;
  }

  /**
   * Queues one packet; `headLength` 0: the frame as it was received. False when its offload data cannot be right any more;
   * it is not queued then.
   */
  add(frame: Frame, headAddress: number, headLength: number, consumed: number): boolean {
    const i = this.#count;
    let parts = 1;
    if (headLength === 0) this.#setPart(i, 0, frame.vnetAddress, VNET_HDR_BYTES + frame.length);
    else {
      const tail = frame.length - consumed;
      if (!this.#writeOffload(i, frame, headLength - consumed, headLength + tail)) return false;
      this.#setPart(i, 0, this.#vnetAddress + i * VNET_STRIDE * 2, VNET_HDR_BYTES);
      this.#setPart(i, parts++, headAddress, headLength);
      if (tail > 0) {
        this.#setPart(i, parts++, frame.address + (frame.offset - frame.base) + consumed, tail);
      }
    }
    this.#headers[i * MMSG_WORDS + MMSG.IOVLEN] = parts;
    this.#frames[i] = frame;
    frame.refs++;
    this.#count = i + 1;
    return true;
  }

  #setPart(i: number, part: number, address: number, length: number): void {
    const at = (i * IOVS_EACH + part) * IOV_WORDS;
    this.#iovs[at] = lowWord(address);
    this.#iovs[at + 1] = highWord(address);
    this.#iovs[at + 2] = length;
  }

  /** The packet's headers grew by `growth` bytes in front of what the offload data points at. */
  #writeOffload(i: number, frame: Frame, growth: number, total: number): boolean {
    const at = i * VNET_STRIDE;
    const vnet = this.#vnet;
    vnet[at] = 0;
    vnet[at + 1] = 0;
    vnet[at + 2] = 0;
    vnet[at + 3] = 0;
    vnet[at + 4] = 0;
    if ((frame.flags & (SLOT_FLAG.CSUM_PARTIAL | SLOT_FLAG.GSO)) === 0) return true;
    if (frame.flags & SLOT_FLAG.CSUM_PARTIAL) {
      const start = frame.csumStart + growth;
      if (start < 14 || start + frame.csumOffset + 2 > total) return false;
      this.#vnetBytes[at * 2] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
      vnet[at + 3] = start;
      vnet[at + 4] = frame.csumOffset;
    }
    if (frame.flags & SLOT_FLAG.GSO) {
      const headerLength = frame.headerLength + growth;
      if (headerLength < 14 || headerLength > total) return false;
      this.#vnetBytes[at * 2 + 1] = frame.gsoType;
      vnet[at + 1] = headerLength;
      vnet[at + 2] = frame.gsoSize;
    }
    return true;
  }

  /** Sends what is queued; every frame loses the reference add() took, sent or not. Returns how many were not sent. */
  flush(fd: number, counters: PortCounters): number {
    const count = this.#count;
    let done = 0;
    let allLost = 0;
    while (done < count) {
      const sent = fd < 0 ? -1 : this.#send(fd, this.#headers, this.#headersAddress, done, count - done);
      if (sent > 0) {
        counters.txBatches++;
        this.#finish(done, done + sent, counters);
        done += sent;
        continue;
      }
      const error = fd < 0 ? ENETDOWN : errno();
      if (error === EINTR) continue;
      // A full socket or a port that is down (a device says EIO then) takes none of the others either.
      const closed = error === EAGAIN || error === ENETDOWN || error === EIO;
      const lost = closed ? count - done : 1;
      if (closed || error === ENOBUFS) counters.txDropped += lost;
      else counters.txErrors += lost;
      const name = errnoName(error);
      counters.errors[name] = (counters.errors[name] ?? 0) + lost;
      this.#drop(done, done + lost);
      done += lost;
      allLost += lost;
    }
    this.#count = 0;
    return allLost;
  }

  #finish(from: number, to: number, counters: PortCounters): void {
    for (let i = from; i < to; i++) {
      counters.txPackets++;
      counters.txBytes += this.#headers[i * MMSG_WORDS + MMSG.LEN] - VNET_HDR_BYTES;
      this.#release(i);
    }
  }

  #drop(from: number, to: number): void {
    for (let i = from; i < to; i++) this.#release(i);
  }

  #release(i: number): void {
    const frame = this.#frames[i];
    this.#frames[i] = null;
    if (frame !== null) this.#pool.release(frame);
  }
}
