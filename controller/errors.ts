/**
 * Errors of the controller. `code` is for programs (it never changes once released), the message is one
 * sentence for people that says what to do.
 */

import { deviceErrorName } from './error-names.ts';

export class FlowcellError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FlowcellError';
    this.code = code;
  }
}

/** A device answered a request with an OpenFlow `error` message. */
export class DeviceError extends FlowcellError {
  /** ofp_error_type, e.g. 1 (BAD_REQUEST); numbers are those of OpenFlow 1.3 whatever version the device speaks. */
  readonly errorType: number;
  /** Code within the type. */
  readonly errorCode: number;
  /** The specification's name of both, e.g. `BAD_MATCH/BAD_FIELD`; numbers where it has none. */
  readonly errorName: string;
  readonly xid: number;
  /** At least the first 64 bytes of the request the device complains about, as they were sent. */
  readonly data: Uint8Array;

  constructor(errorType: number, errorCode: number, xid: number, data: Uint8Array) {
    const name = deviceErrorName(errorType, errorCode, data);
    super(
      'FC_DEVICE_ERROR',
      `the device answered with OpenFlow error ${name} (type ${errorType} code ${errorCode}, request xid ${xid}); ` +
        'see ofp_error_msg in the specification for what it objects to',
    );
    this.name = 'DeviceError';
    this.errorType = errorType;
    this.errorCode = errorCode;
    this.errorName = name;
    this.xid = xid;
    this.data = data;
  }
}

/** The message of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of anything that was thrown: its own `code`, else the fallback. */
export function errorCode(error: unknown, fallback: string): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return fallback;
}
