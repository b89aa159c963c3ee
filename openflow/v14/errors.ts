/** Errors that OpenFlow 1.4 adds to those of 1.3, names as in the specification without their prefix. Spec 7.5.4. */
import { errorNamer } from '../errors.ts';
import type { ErrorPair } from '../schema/types.ts';
import * as v13 from '../v13/errors.ts';

/** ofp_error_type */
export const ErrorType = {
  ...v13.ErrorType,
  BAD_PROPERTY: 14,
  ASYNC_CONFIG_FAILED: 15,
  FLOW_MONITOR_FAILED: 16,
  BUNDLE_FAILED: 17,
} as const;

/** ofp_bad_request_code */
export const BadRequestCode = {
  ...v13.BadRequestCode,
  MULTIPART_REQUEST_TIMEOUT: 14,
  MULTIPART_REPLY_TIMEOUT: 15,
} as const;

/** ofp_bad_instruction_code */
export const BadInstructionCode = { ...v13.BadInstructionCode, DUP_INST: 9 } as const;

/** ofp_flow_mod_failed_code */
export const FlowModFailedCode = { ...v13.FlowModFailedCode, CANT_SYNC: 8, BAD_PRIORITY: 9 } as const;

/** ofp_table_features_failed_code: what is wrong with a property is BAD_PROPERTY now. */
export const TableFeaturesFailedCode = { BAD_TABLE: 0, BAD_METADATA: 1, EPERM: 5 } as const;

/** ofp_bad_property_code */
export const BadPropertyCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_VALUE: 2,
  TOO_MANY: 3,
  DUP_TYPE: 4,
  BAD_EXPERIMENTER: 5,
  BAD_EXP_TYPE: 6,
  BAD_EXP_VALUE: 7,
  EPERM: 8,
} as const;

/** ofp_async_config_failed_code */
export const AsyncConfigFailedCode = { INVALID: 0, UNSUPPORTED: 1, EPERM: 2 } as const;

/** ofp_flow_monitor_failed_code */
export const FlowMonitorFailedCode = {
  UNKNOWN: 0,
  MONITOR_EXISTS: 1,
  INVALID_MONITOR: 2,
  UNKNOWN_MONITOR: 3,
  BAD_COMMAND: 4,
  BAD_FLAGS: 5,
  BAD_TABLE_ID: 6,
  BAD_OUT: 7,
} as const;

/** ofp_bundle_failed_code */
export const BundleFailedCode = {
  UNKNOWN: 0,
  EPERM: 1,
  BAD_ID: 2,
  BUNDLE_EXIST: 3,
  BUNDLE_CLOSED: 4,
  OUT_OF_BUNDLES: 5,
  BAD_TYPE: 6,
  BAD_FLAGS: 7,
  MSG_BAD_LEN: 8,
  MSG_BAD_XID: 9,
  MSG_UNSUP: 10,
  MSG_CONFLICT: 11,
  MSG_TOO_MANY: 12,
  MSG_FAILED: 13,
  TIMEOUT: 14,
  BUNDLE_IN_PROGRESS: 15,
} as const;

/** The codes of OpenFlow 1.4 by the names of their types. */
export const codesOf = {
  HELLO_FAILED: v13.HelloFailedCode,
  BAD_REQUEST: BadRequestCode,
  BAD_ACTION: v13.BadActionCode,
  BAD_INSTRUCTION: BadInstructionCode,
  BAD_MATCH: v13.BadMatchCode,
  FLOW_MOD_FAILED: FlowModFailedCode,
  GROUP_MOD_FAILED: v13.GroupModFailedCode,
  PORT_MOD_FAILED: v13.PortModFailedCode,
  TABLE_MOD_FAILED: v13.TableModFailedCode,
  QUEUE_OP_FAILED: v13.QueueOpFailedCode,
  SWITCH_CONFIG_FAILED: v13.SwitchConfigFailedCode,
  ROLE_REQUEST_FAILED: v13.RoleRequestFailedCode,
  METER_MOD_FAILED: v13.MeterModFailedCode,
  TABLE_FEATURES_FAILED: TableFeaturesFailedCode,
  BAD_PROPERTY: BadPropertyCode,
  ASYNC_CONFIG_FAILED: AsyncConfigFailedCode,
  FLOW_MONITOR_FAILED: FlowMonitorFailedCode,
  BUNDLE_FAILED: BundleFailedCode,
} as const;

/** Names of the errors of OpenFlow 1.4. */
export const errorName = /* @__PURE__ */ errorNamer(ErrorType, codesOf);

/** Bad properties of tables, which 1.3 has errors of their own for, are bad properties as all others. */
export function fitError(type: number, code: number): ErrorPair {
  const { BAD_TYPE, BAD_ARGUMENT } = v13.TableFeaturesFailedCode;
  return type === ErrorType.TABLE_FEATURES_FAILED && code >= BAD_TYPE && code <= BAD_ARGUMENT
    ? [ErrorType.BAD_PROPERTY, code - BAD_TYPE]
    : [type, code];
}
