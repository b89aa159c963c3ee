/**
 * Errors. OpenFlow 1.4 and 1.5 added types and codes, so numbers stay as they are, but for bundles, whose errors 1.3
 * knows as the ONF's, and for properties of tables, whose errors 1.3 has apart.
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType as ErrorType13 } from '../index.ts';
import { ONF_BUNDLE_ERROR } from '../nicira/onf.ts';
import { ErrorType, fitError } from '../v14/errors.ts';
import { fail } from './shared.ts';

/** How many codes OFPET_BUNDLE_FAILED has in OpenFlow 1.5. */
const BUNDLE_CODES = 19;
const ONF_BYTES = new Uint8Array([0x4f, 0x4e, 0x46, 0x00]);

export function errorTo13<E extends Pick<MessageOf<'error'>, 'error_type' | 'code' | 'data'>>(error: E): E {
  if (error.error_type !== ErrorType.BUNDLE_FAILED || error.code >= BUNDLE_CODES) return error;
  const data = new Uint8Array(4 + error.data.length);
  data.set(ONF_BYTES);
  data.set(error.data, 4);
  return { ...error, error_type: ErrorType13.EXPERIMENTER, code: ONF_BUNDLE_ERROR + error.code, data };
}

export function errorFrom13(error: MessageInitOf<'error'>): MessageInitOf<'error'> {
  const { data } = error;
  if (error.error_type !== ErrorType13.EXPERIMENTER) {
    const [error_type, code] = fitError(error.error_type, error.code);
    return { ...error, error_type, code };
  }
  const code = error.code - ONF_BUNDLE_ERROR;
  if (code < 0 || code >= BUNDLE_CODES) return error;
  if (data === undefined || ONF_BYTES.some((byte, i) => data[i] !== byte)) return error;
  return { ...error, error_type: ErrorType.BUNDLE_FAILED, code, data: data.subarray(4) };
}

/** Throws OFPET_BUNDLE_FAILED with `code`, as 1.3 has it. */
export const bundleFail = (code: number, text: string): never =>
  fail(ErrorType13.EXPERIMENTER, ONF_BUNDLE_ERROR + code, text);
