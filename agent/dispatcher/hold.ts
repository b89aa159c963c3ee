/** Frames that wait: in order, linked through themselves, and bounded per flow, per tenant and in all. */
import type { Frame } from '../ports/frames.ts';

export interface HoldLimits {
  perFlow: number;
  /** Per flow whose cell runs and is only busy: bursts, not unanswered questions. */
  perRunningFlow: number;
  perTenant: number;
  total: number;
}

export class TenantUsage {
  held = 0;
}

/** First in, first out. Frames enter and leave through a Holding, which keeps the counts. */
export class FrameQueue {
  readonly usage: TenantUsage;
  head: Frame | null = null;
  tail: Frame | null = null;
  count = 0;

  constructor(usage: TenantUsage) {
    this.usage = usage;
  }
}

export class Holding {
  limits: HoldLimits;
  held = 0;
  /** Frames not taken in, by the limit that was reached. */
  readonly refused = { perFlow: 0, perTenant: 0, total: 0 };
  readonly #tenants = new Map<number, TenantUsage>();

  constructor(limits: HoldLimits) {
    this.limits = limits;
  }

  queueFor(tenant: number): FrameQueue {
    let usage = this.#tenants.get(tenant);
    if (usage === undefined) {
      usage = new TenantUsage();
      this.#tenants.set(tenant, usage);
    }
    return new FrameQueue(usage);
  }

  /** False when a limit is reached: the frame stays the caller's. */
  push(queue: FrameQueue, frame: Frame, running = false): boolean {
    const { limits, refused } = this;
    if (queue.count >= (running ? limits.perRunningFlow : limits.perFlow)) {
      refused.perFlow++;
      return false;
    }
    if (queue.usage.held >= limits.perTenant) {
      refused.perTenant++;
      return false;
    }
    if (this.held >= limits.total) {
      refused.total++;
      return false;
    }
    this.#link(queue, frame);
    return true;
  }

  shift(queue: FrameQueue): Frame | null {
    const frame = queue.head;
    if (frame === null) return null;
    queue.head = frame.next;
    if (queue.head === null) queue.tail = null;
    frame.next = null;
    queue.count--;
    queue.usage.held--;
    this.held--;
    return frame;
  }

  /** Moves all frames of one queue behind those of another; what was taken in once is not refused now. */
  move(from: FrameQueue, to: FrameQueue): void {
    for (let frame = this.shift(from); frame !== null; frame = this.shift(from)) this.#link(to, frame);
  }

  #link(queue: FrameQueue, frame: Frame): void {
    frame.next = null;
    if (queue.tail === null) queue.head = frame;
    else queue.tail.next = frame;
    queue.tail = frame;
    queue.count++;
    queue.usage.held++;
    this.held++;
  }
}
