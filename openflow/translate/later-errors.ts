/**
 * Errors. OpenFlow 1.4 and 1.5 only added types and codes, so numbers stay as they are, but for bundles: 1.3 knows
 * their errors as the ONF's.
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType as ErrorType13 } from '../index.ts';
import { ErrorType } from '../v14/errors.ts';
import { fail } from './later-helpers.ts';
import { BUNDLE_CODES, FIRST_BUNDLE_CODE } from './onf.ts';

const ONF_BYTES = new Uint8Array([0x4f, 0x4e, 0x46, 0x00]);

export function errorTo13<E extends Pick<MessageOf<'error'>, 'error_type' | 'code' | 'data'>>(error: E): E {
  if (error.error_type !== ErrorType.BUNDLE_FAILED || error.code >= BUNDLE_CODES) return error;
  const data = new Uint8Array(4 + error.data.length);
  data.set(ONF_BYTES);
  data.set(error.data, 4);
  return { ...error, error_type: ErrorType13.EXPERIMENTER, code: FIRST_BUNDLE_CODE + error.code, data };
}

export function errorFrom13(error: MessageInitOf<'error'>): MessageInitOf<'error'> {
  const { error_type, code, data } = error;
  const bundleCode = code - FIRST_BUNDLE_CODE;
  if (error_type !== ErrorType13.EXPERIMENTER || bundleCode < 0 || bundleCode >= BUNDLE_CODES) return error;
  if (data === undefined || ONF_BYTES.some((byte, i) => data[i] !== byte)) return error;
  return { ...error, error_type: ErrorType.BUNDLE_FAILED, code: bundleCode, data: data.subarray(4) };
}

/** Throws OFPET_BUNDLE_FAILED with `code`, as 1.3 has it. */
export const bundleFail = (code: number, text: string): never =>
  fail(ErrorType13.EXPERIMENTER, FIRST_BUNDLE_CODE + code, text);
