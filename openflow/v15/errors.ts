/** Errors that OpenFlow 1.5 adds to those of 1.4, names as in the specification without their prefix. Spec 7.5.4. */
import { errorNamer } from '../errors.ts';
import * as v13 from '../v13/errors.ts';
import * as v14 from '../v14/errors.ts';

/** ofp_bad_request_code */
export const BadRequestCode = {
  ...v14.BadRequestCode,
  MULTIPART_BAD_SCHED: 16,
  PIPELINE_FIELDS_ONLY: 17,
  UNKNOWN: 18,
} as const;
/** ofp_bad_action_code */
export const BadActionCode = { ...v13.BadActionCode, BAD_SET_MASK: 16, BAD_METER: 17 } as const;
/** ofp_flow_mod_failed_code */
export const FlowModFailedCode = { ...v14.FlowModFailedCode, IS_SYNC: 10 } as const;
/** ofp_group_mod_failed_code */
export const GroupModFailedCode = {
  ...v13.GroupModFailedCode,
  UNKNOWN_BUCKET: 15,
  BUCKET_EXISTS: 16,
} as const;
/** ofp_role_request_failed_code */
export const RoleRequestFailedCode = { ...v13.RoleRequestFailedCode, ID_UNSUP: 3, ID_IN_USE: 4 } as const;
/** ofp_table_features_failed_code */
export const TableFeaturesFailedCode = {
  ...v14.TableFeaturesFailedCode,
  BAD_CAPA: 6,
  BAD_MAX_ENT: 7,
  BAD_FEATURES: 8,
  BAD_COMMAND: 9,
  TOO_MANY: 10,
} as const;
/** ofp_bundle_failed_code */
export const BundleFailedCode = {
  ...v14.BundleFailedCode,
  SCHED_NOT_SUPPORTED: 16,
  SCHED_FUTURE: 17,
  SCHED_PAST: 18,
} as const;

/** Names of the errors of OpenFlow 1.5. */
export const errorName = /* @__PURE__ */ errorNamer(v14.ErrorType, {
  ...v14.codesOf,
  BAD_REQUEST: BadRequestCode,
  BAD_ACTION: BadActionCode,
  FLOW_MOD_FAILED: FlowModFailedCode,
  GROUP_MOD_FAILED: GroupModFailedCode,
  ROLE_REQUEST_FAILED: RoleRequestFailedCode,
  TABLE_FEATURES_FAILED: TableFeaturesFailedCode,
  BUNDLE_FAILED: BundleFailedCode,
});
