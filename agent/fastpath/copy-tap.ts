/** A TAP device by which the kernel gives the agent copies of packets that it forwards, as far as the device's queue goes. */
import { closeFd } from '../../sandbox/sys/libc.ts';
import type { PollLoop } from '../../sandbox/sys/loop.ts';
import type { Frame, FramePool } from '../ports/frames.ts';
import { emptyCounters } from '../ports/port.ts';
import { BURST, BurstReceiver } from '../ports/receive.ts';
import type { Rtnetlink } from '../ports/rtnetlink.ts';
import { openTap } from '../ports/tap.ts';
import { COPY_TPID } from './layout.ts';
import type { CopySink } from './options.ts';

/** The kernel puts the first free number there. */
const NAME = 'flowcell-in%d';
const TAG_BYTES = 4;
const TAG_AT = 12;
/** More than the queue of a TAP device holds (1,000): whoever waits for its end waits for what was there. */
const MOST_BURSTS = 32;

export interface CopyTapOptions {
  readonly loop: PollLoop;
  readonly pool: FramePool;
  /** Called when somebody has taken the device away; it is closed then. */
  readonly gone: () => void;
}

export class CopyTap {
  readonly index: number;
  readonly #fd: number;
  readonly #options: CopyTapOptions;
  readonly #rtnetlink: Rtnetlink;
  readonly #receiver: BurstReceiver;
  readonly #counters = emptyCounters();
  readonly #sink: (frame: Frame) => void;

  /** Throws PortError where there can be no such device. */
  constructor(rtnetlink: Rtnetlink, options: CopyTapOptions, copied: CopySink) {
    const { fd, name } = openTap(NAME);
    this.#fd = fd;
    this.#options = options;
    this.#rtnetlink = rtnetlink;
    try {
      this.index = rtnetlink.indexOf(name);
      rtnetlink.setUp(this.index, true);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
    this.#receiver = new BurstReceiver(options.pool);
    this.#sink = (frame) => {
      const index = takeTag(frame);
      // What else is there the machine itself has sent.
      if (index >= 0) copied(index, frame);
      options.pool.release(frame);
    };
    options.loop.watch(fd, () => this.#receive());
  }

  /** Hands on everything that is there. */
  take(): void {
    for (let i = 0; i < MOST_BURSTS && this.#receive() === BURST; i++);
  }

  /** Copies that found its queue full, or no frame free. Throws PortError for a device that is gone. */
  get lost(): number {
    return this.#rtnetlink.txDropped(this.index) + this.#counters.rxDropped;
  }

  close(): void {
    this.#options.loop.unwatch(this.#fd);
    this.#receiver.close();
    closeFd(this.#fd);
  }

  #receive(): number {
    const count = this.#receiver.read(this.#fd, 0, this.#counters, this.#sink);
    if (count >= 0) return count;
    this.close();
    this.#options.gone();
    return 0;
  }
}

/** Takes the outermost tag off a frame; returns its TCI, or -1 if that is no tag of ours. */
const takeTag = (frame: Frame): number => {
  const { bytes, offset } = frame;
  const at = offset + TAG_AT;
  if (frame.length < TAG_AT + TAG_BYTES + 2 || ((bytes[at] << 8) | bytes[at + 1]) !== COPY_TPID) return -1;
  const tci = (bytes[at + 2] << 8) | bytes[at + 3];
  bytes.copyWithin(offset + TAG_BYTES, offset, at);
  frame.offset += TAG_BYTES;
  frame.length -= TAG_BYTES;
  frame.csumStart -= TAG_BYTES;
  return tci;
};
