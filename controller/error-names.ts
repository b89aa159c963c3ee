/** Names of the errors that a device answers with. */

import { ErrorType } from '../openflow/index.ts';
import { experimenterErrorName } from '../openflow/nicira/errors.ts';
import { errorName } from '../openflow/v15/errors.ts';

/**
 * The specification's name of an error, the same whatever version the device speaks: what the ONF's extensions of 1.3
 * have as errors of theirs is named as in 1.4. `data` is that of the error message.
 */
export function deviceErrorName(type: number, code: number, data: Uint8Array): string {
  return type === ErrorType.EXPERIMENTER
    ? experimenterErrorName(code, data).replace(/^ONF\//, '')
    : errorName(type, code);
}
