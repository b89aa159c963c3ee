/** The match field pbb_uca as an extension of OpenFlow 1.3 (EXT-256); since 1.4 it is one of the specification's own. */
import * as R from './schema/runtime.ts';
import type { CustomNode, OxmField } from './schema/types.ts';
import { OXM_CLASS_EXPERIMENTER } from './schema/types.ts';
import { BadMatchCode, ErrorType } from './v13/errors.ts';

/** Experimenter id of the ONF's extensions. */
export const ONF_EXPERIMENTER = 0x4f4e4600;

/** The field's number stands in 16 bits before the value. */
const PBB_UCA = 2560;
const value: CustomNode<number> & { readonly size: number } = {
  kind: 'custom',
  size: 3,
  describe: 'exp_type u16 2560, pbb_uca u8',
  decode(b, o) {
    const type = (b[o] << 8) | b[o + 1];
    if (type !== PBB_UCA) {
      R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_FIELD, `match: the ONF has no field ${type}`);
    }
    return b[o + 2];
  },
  encode(b, o, uca) {
    if ((uca & 255) !== uca) R.bad('match.pbb_uca', uca, '0 or 1');
    b[o] = PBB_UCA >>> 8;
    b[o + 1] = PBB_UCA & 255;
    b[o + 2] = uca;
    return o + 3;
  },
};

/** Use customer address: bit 4 of the first byte of an I-TAG. */
export const pbbUcaField: OxmField<typeof value, false> = {
  oxmClass: OXM_CLASS_EXPERIMENTER,
  field: 0,
  experimenter: ONF_EXPERIMENTER,
  type: value,
  maskable: false,
  bits: 24,
  settable: true,
};
