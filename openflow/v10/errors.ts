/** Error types and codes of OpenFlow 1.0, names as in the specification without their prefix. Spec 5.4.4. */
import { errorNamer } from '../errors.ts';
import type { ErrorPair } from '../schema/types.ts';

/** ofp_error_type */
export const ErrorType = {
  HELLO_FAILED: 0,
  BAD_REQUEST: 1,
  BAD_ACTION: 2,
  FLOW_MOD_FAILED: 3,
  PORT_MOD_FAILED: 4,
  QUEUE_OP_FAILED: 5,
} as const;

/** ofp_hello_failed_code */
export const HelloFailedCode = { INCOMPATIBLE: 0, EPERM: 1 } as const;

/** ofp_bad_request_code */
export const BadRequestCode = {
  BAD_VERSION: 0,
  BAD_TYPE: 1,
  BAD_STAT: 2,
  BAD_VENDOR: 3,
  BAD_SUBTYPE: 4,
  EPERM: 5,
  BAD_LEN: 6,
  BUFFER_EMPTY: 7,
  BUFFER_UNKNOWN: 8,
} as const;

/** ofp_bad_action_code */
export const BadActionCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_VENDOR: 2,
  BAD_VENDOR_TYPE: 3,
  BAD_OUT_PORT: 4,
  BAD_ARGUMENT: 5,
  EPERM: 6,
  TOO_MANY: 7,
  BAD_QUEUE: 8,
} as const;

/** ofp_flow_mod_failed_code */
export const FlowModFailedCode = {
  ALL_TABLES_FULL: 0,
  OVERLAP: 1,
  EPERM: 2,
  BAD_EMERG_TIMEOUT: 3,
  BAD_COMMAND: 4,
  UNSUPPORTED: 5,
} as const;

/** ofp_port_mod_failed_code */
export const PortModFailedCode = { BAD_PORT: 0, BAD_HW_ADDR: 1 } as const;

/** ofp_queue_op_failed_code */
export const QueueOpFailedCode = { BAD_PORT: 0, BAD_QUEUE: 1, EPERM: 2 } as const;

/** Names of the errors of OpenFlow 1.0. */
export const errorName = /* @__PURE__ */ errorNamer(ErrorType, {
  HELLO_FAILED: HelloFailedCode,
  BAD_REQUEST: BadRequestCode,
  BAD_ACTION: BadActionCode,
  FLOW_MOD_FAILED: FlowModFailedCode,
  PORT_MOD_FAILED: PortModFailedCode,
  QUEUE_OP_FAILED: QueueOpFailedCode,
});

/** What Nicira's matches and actions can be refused with has no number of its own in OpenFlow 1.0. */
export function fitError(type: number, code: number): ErrorPair {
  if (type > ErrorType.BAD_ACTION) return [ErrorType.BAD_REQUEST, BadRequestCode.BAD_VENDOR];
  return type === ErrorType.BAD_ACTION && code > BadActionCode.BAD_QUEUE
    ? [type, BadActionCode.BAD_VENDOR]
    : [type, code];
}
