/** Error types and codes of OpenFlow 1.1, names as in the specification without their prefix. Spec A.4.4. */
import { errorNamer } from '../errors.ts';
import type { ErrorPair } from '../schema/types.ts';

/** ofp_error_type */
export const ErrorType = {
  HELLO_FAILED: 0,
  BAD_REQUEST: 1,
  BAD_ACTION: 2,
  BAD_INSTRUCTION: 3,
  BAD_MATCH: 4,
  FLOW_MOD_FAILED: 5,
  GROUP_MOD_FAILED: 6,
  PORT_MOD_FAILED: 7,
  TABLE_MOD_FAILED: 8,
  QUEUE_OP_FAILED: 9,
  SWITCH_CONFIG_FAILED: 10,
} as const;

/** ofp_hello_failed_code */
export const HelloFailedCode = { INCOMPATIBLE: 0, EPERM: 1 } as const;

/** ofp_bad_request_code */
export const BadRequestCode = {
  BAD_VERSION: 0,
  BAD_TYPE: 1,
  BAD_STAT: 2,
  BAD_EXPERIMENTER: 3,
  BAD_SUBTYPE: 4,
  EPERM: 5,
  BAD_LEN: 6,
  BUFFER_EMPTY: 7,
  BUFFER_UNKNOWN: 8,
  BAD_TABLE_ID: 9,
} as const;

/** ofp_bad_action_code */
export const BadActionCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_EXPERIMENTER: 2,
  BAD_EXPERIMENTER_TYPE: 3,
  BAD_OUT_PORT: 4,
  BAD_ARGUMENT: 5,
  EPERM: 6,
  TOO_MANY: 7,
  BAD_QUEUE: 8,
  BAD_OUT_GROUP: 9,
  MATCH_INCONSISTENT: 10,
  UNSUPPORTED_ORDER: 11,
  BAD_TAG: 12,
} as const;

/** ofp_bad_instruction_code */
export const BadInstructionCode = {
  UNKNOWN_INST: 0,
  UNSUP_INST: 1,
  BAD_TABLE_ID: 2,
  UNSUP_METADATA: 3,
  UNSUP_METADATA_MASK: 4,
  UNSUP_EXP_INST: 5,
} as const;

/** ofp_bad_match_code */
export const BadMatchCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_TAG: 2,
  BAD_DL_ADDR_MASK: 3,
  BAD_NW_ADDR_MASK: 4,
  BAD_WILDCARDS: 5,
  BAD_FIELD: 6,
  BAD_VALUE: 7,
} as const;

/** ofp_flow_mod_failed_code */
export const FlowModFailedCode = {
  UNKNOWN: 0,
  TABLE_FULL: 1,
  BAD_TABLE_ID: 2,
  OVERLAP: 3,
  EPERM: 4,
  BAD_TIMEOUT: 5,
  BAD_COMMAND: 6,
} as const;

/** ofp_group_mod_failed_code */
export const GroupModFailedCode = {
  GROUP_EXISTS: 0,
  INVALID_GROUP: 1,
  WEIGHT_UNSUPPORTED: 2,
  OUT_OF_GROUPS: 3,
  OUT_OF_BUCKETS: 4,
  CHAINING_UNSUPPORTED: 5,
  WATCH_UNSUPPORTED: 6,
  LOOP: 7,
  UNKNOWN_GROUP: 8,
} as const;

/** ofp_port_mod_failed_code */
export const PortModFailedCode = { BAD_PORT: 0, BAD_HW_ADDR: 1, BAD_CONFIG: 2, BAD_ADVERTISE: 3 } as const;

/** ofp_table_mod_failed_code */
export const TableModFailedCode = { BAD_TABLE: 0, BAD_CONFIG: 1 } as const;

/** ofp_queue_op_failed_code */
export const QueueOpFailedCode = { BAD_PORT: 0, BAD_QUEUE: 1, EPERM: 2 } as const;

/** ofp_switch_config_failed_code */
export const SwitchConfigFailedCode = { BAD_FLAGS: 0, BAD_LEN: 1 } as const;

/** Names of the errors of OpenFlow 1.1. */
export const errorName = /* @__PURE__ */ errorNamer(ErrorType, {
  HELLO_FAILED: HelloFailedCode,
  BAD_REQUEST: BadRequestCode,
  BAD_ACTION: BadActionCode,
  BAD_INSTRUCTION: BadInstructionCode,
  BAD_MATCH: BadMatchCode,
  FLOW_MOD_FAILED: FlowModFailedCode,
  GROUP_MOD_FAILED: GroupModFailedCode,
  PORT_MOD_FAILED: PortModFailedCode,
  TABLE_MOD_FAILED: TableModFailedCode,
  QUEUE_OP_FAILED: QueueOpFailedCode,
  SWITCH_CONFIG_FAILED: SwitchConfigFailedCode,
});

/** What OpenFlow 1.1 has in place of codes that came later. */
export function fitError(type: number, code: number): ErrorPair {
  if (type === ErrorType.BAD_ACTION && code > BadActionCode.BAD_TAG) {
    return [type, BadActionCode.BAD_ARGUMENT];
  }
  if (type === ErrorType.BAD_INSTRUCTION && code > BadInstructionCode.UNSUP_EXP_INST) {
    return [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN];
  }
  if (type === ErrorType.BAD_MATCH && code > BadMatchCode.BAD_VALUE) return [type, BadMatchCode.BAD_FIELD];
  if (type === ErrorType.GROUP_MOD_FAILED && code > GroupModFailedCode.UNKNOWN_GROUP) {
    return [type, GroupModFailedCode.INVALID_GROUP];
  }
  return type > ErrorType.SWITCH_CONFIG_FAILED
    ? [ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXPERIMENTER]
    : [type, code];
}
