/** How many errors a device gets: a flood of malformed messages must not become a flood of answers. */

export class ErrorReplies {
  readonly #perSecond: number;
  #second = 0;
  #sent = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether one more may be sent now. `now` in ms. */
  allow(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#sent = 0;
    }
    return ++this.#sent <= this.#perSecond;
  }
}
