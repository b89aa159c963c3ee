/**
 * Errors. OpenFlow 1.4 and 1.5 only added types and codes, so numbers stay as they are, but for bundles: 1.3 knows
 * their errors as the ONF's.
 */
import type { MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType as ErrorType13 } from '../index.ts';
import { BadPropertyCode, ErrorType } from '../v14/errors.ts';
import { BUNDLE_CODES, FIRST_BUNDLE_CODE } from './onf.ts';
import { fail } from './shared.ts';

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

interface Property {
  readonly type: string;
}

/** The property of one type, if it is there. */
export const property = <P extends Property, T extends P['type']>(
  properties: readonly P[] | undefined,
  type: T,
): Extract<P, { type: T }> | undefined =>
  properties?.find((one): one is Extract<P, { type: T }> => one.type === type);

/** In a request: only properties of these types, each once. Throws BAD_PROPERTY (OpenFlow 1.4, 7.5.4.14). */
export function onlyProperties(properties: readonly Property[], ...types: string[]): void {
  const seen = new Set<string>();
  for (const { type } of properties) {
    if (!types.includes(type)) {
      const code = type === 'experimenter' ? BadPropertyCode.BAD_EXPERIMENTER : BadPropertyCode.BAD_TYPE;
      fail(ErrorType.BAD_PROPERTY, code, `the property ${type} is not known here`);
    }
    if (seen.has(type)) fail(ErrorType.BAD_PROPERTY, BadPropertyCode.DUP_TYPE, `two properties ${type}`);
    seen.add(type);
  }
}
