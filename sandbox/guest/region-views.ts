/** Views of a cell's region. They hold nothing themselves: what one cell leaves in the region is all that the next could see. */
import { KEY_WORDS, REGION_BYTES, RX_OFFSET, RX_SLOTS, SLOT, SLOT_BYTES } from '../channel/layout.ts';

export interface RegionViews {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /** Of each receive slot, the flow key. */
  readonly keys: readonly Uint32Array[];
}

export function regionViews(buffer: SharedArrayBuffer, offset: number): RegionViews {
  const keyOf = (_: unknown, slot: number) =>
    new Uint32Array(buffer, offset + RX_OFFSET + slot * SLOT_BYTES + SLOT.KEY * 4, KEY_WORDS);
  return {
    words: new Int32Array(buffer, offset, REGION_BYTES / 4),
    bytes: new Uint8Array(buffer, offset, REGION_BYTES),
    keys: Array.from({ length: RX_SLOTS }, keyOf),
  };
}
