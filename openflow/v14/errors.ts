/** Errors that OpenFlow 1.4 adds to those of 1.3, names as in the specification without their prefix. Spec 7.5.4. */
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
