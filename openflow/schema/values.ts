/** Values with encodings of their own that several versions have. */
import * as R from './runtime.ts';
import type { CustomNode } from './types.ts';

/** Longest value that an OXM TLV has room for: one byte says its length. */
const MOST_BYTES = 255;

export interface Duration {
  sec: number;
  nsec: number;
}

/** A duration: seconds and nanoseconds, 32 bits each. */
export const duration: CustomNode<Duration> & { readonly size: number } = {
  kind: 'custom',
  size: 8,
  describe: 'seconds u32, nanoseconds u32',
  decode(b, o) {
    const value = R.u64(b, o);
    return { sec: Number(value >> 32n), nsec: Number(value & 0xffffffffn) };
  },
  encode(b, o, value) {
    R.object(value, 'duration');
    R.putWords(b, o, 2, [value.sec, value.nsec], 'duration');
    return o + 8;
  },
};

/** As many bytes as there are, as lower-case hexadecimal digits. */
export const hexBytes: CustomNode<string> = {
  kind: 'custom',
  describe: 'bytes',
  decode: (b, o, end) => R.hex(b, o, end - o),
  encode(b, o, value) {
    const size = String(value).length >> 1;
    if (size > MOST_BYTES) R.bad('value of any length', value, `of at most ${MOST_BYTES} bytes`);
    R.putHex(b, o, size, value, 'value of any length');
    return o + size;
  },
};

/** 128 bits as 32 lower-case hexadecimal digits. */
export const hex128: CustomNode<string> & { readonly size: number } = {
  kind: 'custom',
  size: 16,
  describe: '128 bits',
  decode: (b, o) => R.hex(b, o, 16),
  encode(b, o, value) {
    R.putHex(b, o, 16, value, 'value of 128 bits');
    return o + 16;
  },
};
