/** Errors of the versions other than 1.3: their names, and the numbers that they have no others for. */
import type { Codec } from './codec.ts';
import { type ErrorNamer, OpenFlowError } from './errors.ts';
import type { ErrorPair } from './schema/types.ts';

/**
 * The codec with the errors of its version. The compilers share the checks of matches and messages, which
 * throw the numbers of OpenFlow 1.3.
 * @param fit the error that stands for one which this version does not have
 */
export function withErrorsOf<T>(
  codec: Codec<T>,
  namer: ErrorNamer,
  fit: (errorType: number, errorCode: number) => ErrorPair = (type, code) => [type, code],
): Codec<T> {
  const { decode } = codec;
  return {
    ...codec,
    decode(bytes) {
      try {
        return decode(bytes);
      } catch (error) {
        if (!(error instanceof OpenFlowError)) throw error;
        const [errorType, errorCode] = fit(error.errorType, error.errorCode);
        throw new OpenFlowError(errorType, errorCode, error.text, namer);
      }
    },
  };
}
