import * as codes from './v13/errors.ts';

/** Spec names of the code objects, by error type: turns numbers into words for messages and `code`. */
const NAMES: Record<number, readonly [string, Record<string, number>]> = {
  [codes.ErrorType.HELLO_FAILED]: ['HELLO_FAILED', codes.HelloFailedCode],
  [codes.ErrorType.BAD_REQUEST]: ['BAD_REQUEST', codes.BadRequestCode],
  [codes.ErrorType.BAD_ACTION]: ['BAD_ACTION', codes.BadActionCode],
  [codes.ErrorType.BAD_INSTRUCTION]: ['BAD_INSTRUCTION', codes.BadInstructionCode],
  [codes.ErrorType.BAD_MATCH]: ['BAD_MATCH', codes.BadMatchCode],
  [codes.ErrorType.FLOW_MOD_FAILED]: ['FLOW_MOD_FAILED', codes.FlowModFailedCode],
  [codes.ErrorType.GROUP_MOD_FAILED]: ['GROUP_MOD_FAILED', codes.GroupModFailedCode],
  [codes.ErrorType.PORT_MOD_FAILED]: ['PORT_MOD_FAILED', codes.PortModFailedCode],
  [codes.ErrorType.TABLE_MOD_FAILED]: ['TABLE_MOD_FAILED', codes.TableModFailedCode],
  [codes.ErrorType.QUEUE_OP_FAILED]: ['QUEUE_OP_FAILED', codes.QueueOpFailedCode],
  [codes.ErrorType.SWITCH_CONFIG_FAILED]: ['SWITCH_CONFIG_FAILED', codes.SwitchConfigFailedCode],
  [codes.ErrorType.ROLE_REQUEST_FAILED]: ['ROLE_REQUEST_FAILED', codes.RoleRequestFailedCode],
  [codes.ErrorType.METER_MOD_FAILED]: ['METER_MOD_FAILED', codes.MeterModFailedCode],
  [codes.ErrorType.TABLE_FEATURES_FAILED]: ['TABLE_FEATURES_FAILED', codes.TableFeaturesFailedCode],
};

/**
 * The specification's name of an error, e.g. `BAD_MATCH/BAD_FIELD`; numbers where it has none.
 * Spec: OpenFlow 1.3, 7.4.4.
 */
export function errorName(errorType: number, errorCode: number): string {
  const entry = NAMES[errorType];
  if (entry === undefined) return `${errorType}/${errorCode}`;
  for (const name in entry[1]) if (entry[1][name] === errorCode) return `${entry[0]}/${name}`;
  return `${entry[0]}/${errorCode}`;
}

/**
 * A message that breaks the specification (or asks for what is not supported), with the `type` and `code`
 * that an OFPT_ERROR answering it carries. `code` is for programs, e.g. `FC_OF_BAD_MATCH_BAD_FIELD`.
 */
export class OpenFlowError extends Error {
  readonly errorType: number;
  readonly errorCode: number;
  readonly code: string;

  constructor(errorType: number, errorCode: number, text: string) {
    const name = errorName(errorType, errorCode);
    super(`${text} (${name})`);
    this.name = 'OpenFlowError';
    this.errorType = errorType;
    this.errorCode = errorCode;
    this.code = `FC_OF_${name.replace('/', '_')}`;
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
