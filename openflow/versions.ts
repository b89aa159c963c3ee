/** Every version by its wire number, and messages of any version. */
import { type ErrorNamer, OpenFlowError } from './errors.ts';
import { experimenterErrorName } from './nicira/errors.ts';
import * as v10 from './v10/index.ts';
import * as v11 from './v11/index.ts';
import * as v12 from './v12/index.ts';
import { BadRequestCode, ErrorType } from './v13/errors.ts';
import * as v13 from './v13/index.ts';
import * as v14 from './v14/index.ts';
import * as v15 from './v15/index.ts';
import type { WireVersion } from './version-name.ts';

export { versionName, type WireVersion } from './version-name.ts';

/** The codecs by wire version: 1 is OpenFlow 1.0, 4 is 1.3. */
export const codecs = {
  1: v10.codec,
  2: v11.codec,
  3: v12.codec,
  4: v13.codec,
  5: v14.codec,
  6: v15.codec,
} as const satisfies Record<WireVersion, unknown>;

export type Codecs = typeof codecs;
/** A decoded message of version V. */
export type MessageIn<V extends WireVersion> = ReturnType<Codecs[V]['decode']>;
/** What the `encode` of version V takes. */
export type MessageInitIn<V extends WireVersion> = Parameters<Codecs[V]['encode']>[0];
/** A message and the version that it is in: a union told apart by `version`. */
export type AnyMessage = {
  [V in WireVersion]: { readonly version: V; readonly message: MessageIn<V> };
}[WireVersion];

const NAMERS: Readonly<Record<WireVersion, ErrorNamer>> = {
  1: v10.errorName,
  2: v11.errorName,
  3: v12.errorName,
  4: v13.errorName,
  5: v14.errorName,
  6: v15.errorName,
};
/** OFPET_EXPERIMENTER */
const EXPERIMENTER_ERROR = 0xffff;

/**
 * The specification's name of what an `error` message of some version says, e.g. `BUNDLE_FAILED/MSG_BAD_XID`;
 * with the experimenter before it, where it is the ONF's or Nicira's: `ONF/BUNDLE_FAILED/MSG_BAD_XID`.
 */
export function errorMessageName(
  version: WireVersion,
  error: { readonly error_type: number; readonly code: number; readonly data: Uint8Array },
): string {
  return error.error_type === EXPERIMENTER_ERROR
    ? experimenterErrorName(error.code, error.data)
    : NAMERS[version](error.error_type, error.code);
}

const NEWEST = 6;

export const hasCodec = (version: number): version is WireVersion => Object.hasOwn(codecs, version);

/**
 * Decodes a message of the version that its header names. A hello of a version that is not known is given as
 * one of the newest that is (its `message.version` is that of the header).
 * @throws OpenFlowError; BAD_REQUEST/BAD_VERSION for any other message of an unknown version
 */
export function decodeAny(bytes: Uint8Array): AnyMessage {
  const version = bytes[0];
  if (hasCodec(version)) return { version, message: codecs[version].decode(bytes) } as AnyMessage;
  if (bytes[1] === 0) return { version: NEWEST, message: codecs[NEWEST].decode(bytes) };
  throw new OpenFlowError(
    ErrorType.BAD_REQUEST,
    BadRequestCode.BAD_VERSION,
    `there is no OpenFlow of wire version ${version}`,
  );
}

export { bundledMessage, forwardedRequest } from './nested.ts';
