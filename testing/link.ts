/** A cable between two ends, each of which can be set down. */

export interface LinkEnd {
  readonly name: string;
  /** It is not set down. */
  readonly up: boolean;
  setUp(up: boolean): void;
  /** Both ends are up, or not; `changed`: this end itself was set up or down. */
  carrier(running: boolean, changed: boolean): void;
  /** A frame comes out of the cable. */
  deliver(bytes: Uint8Array, packet: number): void;
  /** Set by the link: to be called when `up` has changed. */
  stateChanged: (() => void) | undefined;
}

interface InFlight {
  readonly to: LinkEnd;
  readonly bytes: Uint8Array;
  readonly packet: number;
}

/** Frames on their way, of all links of a network: first in, first out. */
export class Cables {
  #inFlight: InFlight[] = [];
  /** Frames delivered since this was last set to 0. */
  delivered = 0;
  readonly #wake: () => void;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  put(to: LinkEnd, bytes: Uint8Array, packet: number): void {
    this.#inFlight.push({ to, bytes, packet });
    this.#wake();
  }

  /** Delivers what is on its way now. */
  deliver(): boolean {
    if (this.#inFlight.length === 0) return false;
    const arriving = this.#inFlight;
    this.#inFlight = [];
    this.delivered += arriving.length;
    for (const { to, bytes, packet } of arriving) to.deliver(bytes, packet);
    return true;
  }
}

export class VirtualLink {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  readonly #cables: Cables;

  constructor(a: LinkEnd, b: LinkEnd, cables: Cables) {
    this.a = a;
    this.b = b;
    this.#cables = cables;
    a.stateChanged = () => this.#refresh(a);
    b.stateChanged = () => this.#refresh(b);
    this.#refresh();
  }

  /** Frames get through. */
  get running(): boolean {
    return this.a.up && this.b.up;
  }

  /** Sets one end down: the other stays up and loses its carrier. */
  down(end: 'a' | 'b' = 'a'): void {
    this[end].setUp(false);
  }

  /** Sets one end up again. */
  up(end: 'a' | 'b' = 'a'): void {
    this[end].setUp(true);
  }

  /** False: the frame is lost. */
  carry(from: LinkEnd, bytes: Uint8Array, packet: number): boolean {
    if (!this.running) return false;
    this.#cables.put(from === this.a ? this.b : this.a, bytes, packet);
    return true;
  }

  #refresh(changed?: LinkEnd): void {
    const { running } = this;
    for (const end of [this.a, this.b]) end.carrier(running, end === changed);
  }
}
