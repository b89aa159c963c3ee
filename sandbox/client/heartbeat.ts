/** Whether a host's thread still gets on: it raises a number in shared memory at each of its turns. */

const WATCH_MS = 100;
/** Ticks without a heartbeat after which it is given up: while it has something to do, and in any case. */
const STUCK_TICKS = 10;
const SILENT_TICKS = 20;

export interface HeartbeatOptions {
  /** The number, as it is now. */
  read(): number;
  /** The host has something to do. */
  busy(): boolean;
  stuck(seconds: number): void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #last = 0;
  #silentTicks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    this.#last = this.#options.read();
    this.#silentTicks = 0;
    this.#timer = setInterval(() => this.#check(), WATCH_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const { read, busy, stuck } = this.#options;
    const now = read();
    if (now !== this.#last) {
      this.#last = now;
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks++;
    if (this.#silentTicks < (busy() ? STUCK_TICKS : SILENT_TICKS)) return;
    const seconds = (this.#silentTicks * WATCH_MS) / 1000;
    this.#silentTicks = 0;
    stuck(seconds);
  }
}
