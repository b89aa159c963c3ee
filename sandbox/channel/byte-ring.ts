/** One side's view of a control byte ring in a region: a stream of OpenFlow messages, in pieces as they fit. */

export class ByteRing {
  private readonly header: Int32Array;
  private readonly headIndex: number;
  private readonly tailIndex: number;
  private readonly bytes: Uint8Array;
  private readonly offset: number;
  private readonly size: number;
  /** This side's own positions: what the other side writes is only ever read. */
  private head = 0;
  private tail = 0;

  /**
   * `header`: words of the region; `headIndex`, `tailIndex`: where the positions are in it (layout.ts, H);
   * `bytes[offset .. offset + size)`: the ring, size a power of two.
   */
  constructor(
    header: Int32Array,
    headIndex: number,
    tailIndex: number,
    bytes: Uint8Array,
    offset: number,
    size: number,
  ) {
    this.header = header;
    this.headIndex = headIndex;
    this.tailIndex = tailIndex;
    this.bytes = bytes;
    this.offset = offset;
    this.size = size;
    this.attach();
  }

  /** Takes both positions from the header, as at the start of a region's life. */
  attach(): void {
    this.head = Atomics.load(this.header, this.headIndex);
    this.tail = Atomics.load(this.header, this.tailIndex);
  }

  /** Consumer: bytes there are to read. -1: the producer's position makes no sense. */
  readable(): number {
    this.head = Atomics.load(this.header, this.headIndex);
    const used = (this.head - this.tail) >>> 0;
    return used <= this.size ? used : -1;
  }

  /** Consumer: takes `length` bytes (no more than readable()) into `target` at `at`. */
  read(target: Uint8Array, at: number, length: number): void {
    const from = this.tail & (this.size - 1);
    const first = Math.min(length, this.size - from);
    const start = this.offset + from;
    target.set(this.bytes.subarray(start, start + first), at);
    if (first < length)
      target.set(this.bytes.subarray(this.offset, this.offset + length - first), at + first);
    this.tail = (this.tail + length) | 0;
    Atomics.store(this.header, this.tailIndex, this.tail);
  }

  /** Producer: room for this many bytes (0 when the consumer's position makes no sense). */
  writable(): number {
    this.tail = Atomics.load(this.header, this.tailIndex);
    const used = (this.head - this.tail) >>> 0;
    return used <= this.size ? this.size - used : 0;
  }

  /** Producer: writes as much of `source[at ..)` as fits; returns how much that was. */
  write(source: Uint8Array, at: number): number {
    const length = Math.min(source.length - at, this.writable());
    if (length === 0) return 0;
    const to = this.head & (this.size - 1);
    const first = Math.min(length, this.size - to);
    this.bytes.set(source.subarray(at, at + first), this.offset + to);
    if (first < length) this.bytes.set(source.subarray(at + first, at + length), this.offset);
    this.head = (this.head + length) | 0;
    Atomics.store(this.header, this.headIndex, this.head);
    return length;
  }
}
