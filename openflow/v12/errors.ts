/** Errors of OpenFlow 1.2 as differences to those of 1.3, names as in the specification without their prefix. Spec A.4.4. */
import { errorNamer } from '../errors.ts';
import * as v13 from '../v13/errors.ts';

const { METER_MOD_FAILED: _meterMod, TABLE_FEATURES_FAILED: _tableFeatures, ...errorTypes } = v13.ErrorType;
/** ofp_error_type */
export const ErrorType = errorTypes;

const {
  BAD_MULTIPART: _badMultipart,
  MULTIPART_BUFFER_OVERFLOW: _overflow,
  ...badRequestCodes
} = v13.BadRequestCode;
/** ofp_bad_request_code */
export const BadRequestCode = { ...badRequestCodes, BAD_STAT: 2 } as const;

/** Names of the errors of OpenFlow 1.2. */
export const errorName = /* @__PURE__ */ errorNamer(ErrorType, {
  HELLO_FAILED: v13.HelloFailedCode,
  BAD_REQUEST: BadRequestCode,
  BAD_ACTION: v13.BadActionCode,
  BAD_INSTRUCTION: v13.BadInstructionCode,
  BAD_MATCH: v13.BadMatchCode,
  FLOW_MOD_FAILED: v13.FlowModFailedCode,
  GROUP_MOD_FAILED: v13.GroupModFailedCode,
  PORT_MOD_FAILED: v13.PortModFailedCode,
  TABLE_MOD_FAILED: v13.TableModFailedCode,
  QUEUE_OP_FAILED: v13.QueueOpFailedCode,
  SWITCH_CONFIG_FAILED: v13.SwitchConfigFailedCode,
  ROLE_REQUEST_FAILED: v13.RoleRequestFailedCode,
});
