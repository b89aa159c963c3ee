/** Names of experimenter errors: those of the ONF's extensions and of Nicira's. Sources: EXT-230 and others, ofp-errors.h. */
import { BadPropertyCode, BundleFailedCode, ErrorType, errorName } from '../v14/errors.ts';
import { NX_EXPERIMENTER, ONF_EXPERIMENTER } from './fields.ts';

/** Errors of later versions that the ONF gave numbers to in 1.3: [number of the code 0, error type, last code]. */
const ONF_RANGES = [
  [2300, ErrorType.BUNDLE_FAILED, BundleFailedCode.BUNDLE_IN_PROGRESS],
  [4440, ErrorType.BAD_PROPERTY, BadPropertyCode.EPERM],
] as const;
const ONF_NAMES: Readonly<Record<number, string>> = {
  2600: 'BAD_INSTRUCTION/DUP_INST',
  4250: 'BAD_ACTION/BAD_SET_MASK',
};
/** Nicira's since OpenFlow 1.2. */
const NX_NAMES: Readonly<Record<number, string>> = {
  2: 'BAD_REQUEST/NXM_INVALID',
  3: 'BAD_REQUEST/NXM_BAD_TYPE',
  4: 'BAD_REQUEST/MUST_BE_ZERO',
  5: 'BAD_REQUEST/BAD_REASON',
  6: 'FLOW_MONITOR_FAILED/MONITOR_EXISTS',
  7: 'FLOW_MONITOR_FAILED/BAD_FLAGS',
  8: 'FLOW_MONITOR_FAILED/UNKNOWN_MONITOR',
  9: 'BAD_REQUEST/FM_BAD_EVENT',
  10: 'BAD_REQUEST/UNENCODABLE_ERROR',
  11: 'BAD_ACTION/MUST_BE_ZERO',
  12: 'FLOW_MOD_FAILED/HARDWARE',
  13: 'FLOW_MOD_FAILED/BAD_TABLE_ID',
  15: 'BAD_ACTION/BAD_CONJUNCTION',
  16: 'TLV_TABLE_MOD_FAILED/BAD_COMMAND',
  17: 'TLV_TABLE_MOD_FAILED/BAD_OPT_LEN',
  18: 'TLV_TABLE_MOD_FAILED/BAD_FIELD_IDX',
  19: 'TLV_TABLE_MOD_FAILED/TABLE_FULL',
  20: 'TLV_TABLE_MOD_FAILED/ALREADY_MAPPED',
  21: 'TLV_TABLE_MOD_FAILED/DUP_ENTRY',
  22: 'BUNDLE_FAILED/BAD_VERSION',
  23: 'QUEUE_OP_FAILED/QUEUE_ERROR',
  34: 'RESUME/NOT_SUPPORTED',
  35: 'RESUME/STALE',
  36: 'STATISTICS/NOT_CONFIGURED',
};

/**
 * Name of an error of type 0xffff, e.g. `ONF/BUNDLE_FAILED/MSG_BAD_XID`; numbers where it is not known.
 * @param code of the error message: the experimenter's type
 * @param data of the error message, whose first four bytes are the experimenter id
 */
export function experimenterErrorName(code: number, data: Uint8Array): string {
  if (data.length < 4) return `EXPERIMENTER/${code}`;
  const id = ((data[0] << 24) | (data[1] << 16) | (data[2] << 8) | data[3]) >>> 0;
  if (id === NX_EXPERIMENTER && NX_NAMES[code] !== undefined) return `NX/${NX_NAMES[code]}`;
  if (id === ONF_EXPERIMENTER) {
    const range = ONF_RANGES.find(([first, , last]) => code >= first && code <= first + last);
    const name = range === undefined ? ONF_NAMES[code] : errorName(range[1], code - range[0]);
    if (name !== undefined) return `ONF/${name}`;
  }
  return `0x${id.toString(16)}/${code}`;
}
