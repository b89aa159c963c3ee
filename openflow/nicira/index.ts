/**
 * Constants of the extensions of Nicira (Open vSwitch) and the ONF, whose messages, fields and actions are in the
 * entries of the versions.
 */
export { experimenterErrorName } from './errors.ts';
export { NX_EXPERIMENTER, NX_NSH_EXPERIMENTER, ONF_EXPERIMENTER } from './fields.ts';
export { NxFlowFormat, NxPacketInFormat, NxRole, NxTlvTableCommand } from './messages.ts';
export { ONF_BUNDLE_ERROR } from './onf.ts';
