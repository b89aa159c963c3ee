import * as codes from './v13/errors.ts';

/** The specification's name of an error, e.g. `BAD_MATCH/BAD_FIELD`; numbers where it has none. */
export type ErrorNamer = (errorType: number, errorCode: number) => string;

const nameOf = (numbers: Readonly<Record<string, number>>, wanted: number): string | undefined => {
  for (const name in numbers) if (numbers[name] === wanted) return name;
  return undefined;
};

/**
 * Names errors of a version from its tables.
 * @param types ofp_error_type
 * @param codesOf the codes by the name of their type; a type that is not in it has none that are named
 */
export const errorNamer =
  (
    types: Readonly<Record<string, number>>,
    codesOf: Readonly<Record<string, Readonly<Record<string, number>>>>,
  ): ErrorNamer =>
  (errorType, errorCode) => {
    const type = nameOf(types, errorType);
    if (type === undefined) return `${errorType}/${errorCode}`;
    return `${type}/${nameOf(codesOf[type] ?? {}, errorCode) ?? errorCode}`;
  };

/** Names of the errors of OpenFlow 1.3. Spec 7.4.4. */
export const errorName: ErrorNamer = /* @__PURE__ */ errorNamer(codes.ErrorType, {
  HELLO_FAILED: codes.HelloFailedCode,
  BAD_REQUEST: codes.BadRequestCode,
  BAD_ACTION: codes.BadActionCode,
  BAD_INSTRUCTION: codes.BadInstructionCode,
  BAD_MATCH: codes.BadMatchCode,
  FLOW_MOD_FAILED: codes.FlowModFailedCode,
  GROUP_MOD_FAILED: codes.GroupModFailedCode,
  PORT_MOD_FAILED: codes.PortModFailedCode,
  TABLE_MOD_FAILED: codes.TableModFailedCode,
  QUEUE_OP_FAILED: codes.QueueOpFailedCode,
  SWITCH_CONFIG_FAILED: codes.SwitchConfigFailedCode,
  ROLE_REQUEST_FAILED: codes.RoleRequestFailedCode,
  METER_MOD_FAILED: codes.MeterModFailedCode,
  TABLE_FEATURES_FAILED: codes.TableFeaturesFailedCode,
});

/**
 * A message that breaks the specification (or asks for what is not supported), with the `type` and `code`
 * that an OFPT_ERROR answering it carries. `code` is for programs, e.g. `FC_OF_BAD_MATCH_BAD_FIELD`.
 */
export class OpenFlowError extends Error {
  readonly errorType: number;
  readonly errorCode: number;
  readonly code: string;
  /** What is wrong, without the name of the error. */
  readonly text: string;

  /** @param namer names the numbers, which are those of OpenFlow 1.3 unless said otherwise */
  constructor(errorType: number, errorCode: number, text: string, namer: ErrorNamer = errorName) {
    const name = namer(errorType, errorCode);
    super(`${text} (${name})`);
    this.name = 'OpenFlowError';
    this.errorType = errorType;
    this.errorCode = errorCode;
    this.code = `FC_OF_${name.replace('/', '_')}`;
    this.text = text;
  }
}

/** What went wrong in `encode`: always the caller's mistake. */
export type EncodeErrorCode = 'FC_OF_BAD_FIELD' | 'FC_OF_UNKNOWN_TYPE' | 'FC_OF_TOO_LONG';

/** `encode` was given something that has no place on the wire; `field` names it. */
export class EncodeError extends Error {
  readonly code: EncodeErrorCode;
  readonly field: string;

  constructor(code: EncodeErrorCode, field: string, text: string) {
    super(text);
    this.name = 'EncodeError';
    this.code = code;
    this.field = field;
  }
}
