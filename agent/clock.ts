/** The time, read once per burst of packets instead of once per packet. */
export class Clock {
  /** Milliseconds, monotonic. */
  now = performance.now();

  tick(): number {
    this.now = performance.now();
    return this.now;
  }
}
