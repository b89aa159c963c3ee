import { EncodeError } from './errors.ts';
import type { CustomNode } from './schema/types.ts';
import { union, variant } from './schema/types.ts';
import { BadRequestCode, ErrorType } from './v13/errors.ts';

/** Versions have 8 bits; bitmaps beyond that say nothing. */
const MAX_BYTES = 32;
const BAD_LEN = [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN] as const;

/** Bit n of word n / 32 set: wire version n is spoken. */
const versionBitmap: CustomNode<number[], readonly number[]> = {
  kind: 'custom',
  describe: 'bitmaps u32: bit n of word n / 32 stands for wire version n',
  decode(bytes, offset, end) {
    const versions: number[] = [];
    const stop = Math.min(end, offset + MAX_BYTES);
    for (let at = offset; at + 4 <= stop; at += 4) {
      for (let bit = 0; bit < 32; bit++) {
        if (bytes[at + 3 - (bit >> 3)] & (1 << (bit & 7))) versions.push((at - offset) * 8 + bit);
      }
    }
    return versions;
  },
  encode(bytes, offset, versions) {
    let highest = 0;
    for (const version of versions) {
      if ((version & 0xff) !== version) {
        throw new EncodeError(
          'FC_OF_BAD_FIELD',
          'versions',
          `versions must be numbers of 0..255, not ${version}`,
        );
      }
      highest = Math.max(highest, version);
    }
    const end = offset + ((highest >> 5) + 1) * 4;
    bytes.fill(0, offset, end);
    for (const version of versions) {
      bytes[offset + (version >> 5) * 4 + 3 - ((version >> 3) & 3)] |= 1 << (version & 7);
    }
    return end;
  },
};

/** ofp_hello_elem_*: the same in every version since 1.3.1. Spec 7.5.1. */
export const helloElement = union(
  { name: 'hello element', padded: 'outside', badType: BAD_LEN, badLen: BAD_LEN, skipUnknown: true },
  { versionbitmap: variant(1, { versions: versionBitmap }) },
);
