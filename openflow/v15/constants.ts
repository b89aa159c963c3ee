/** Constants that OpenFlow 1.5 adds to those of 1.4 or changes, names as in the specification without their prefix. */
import * as v13 from '../v13/constants.ts';

/** OFP_VERSION of OpenFlow 1.5. */
export const OFP_VERSION = 6;

/** ofp_port_no: reserved ports. Spec 7.2.1. */
export const Port = { ...v13.Port, UNSET: 0xfffffff7 } as const;
/** ofp_capabilities: bits. Spec 7.3.1. */
export const Capability = { ...v13.Capability, BUNDLES: 512, FLOW_MONITORING: 1024 } as const;
/** ofp_group_mod_command */
export const GroupModCommand = { ...v13.GroupModCommand, INSERT_BUCKET: 3, REMOVE_BUCKET: 5 } as const;
/** ofp_group_bucket: reserved bucket ids. */
export const GroupBucket = {
  MAX: 0xffffff00,
  FIRST: 0xfffffffd,
  LAST: 0xfffffffe,
  ALL: 0xffffffff,
} as const;
/** ofp_stat_trigger_flags: bits. */
export const StatTriggerFlag = { PERIODIC: 1, ONLY_FIRST: 2 } as const;
/** ofp_flow_stats_reason */
export const FlowStatsReason = { STATS_REQUEST: 0, STAT_TRIGGER: 1 } as const;
/** ofp_table_features_command */
export const TableFeaturesCommand = { REPLACE: 0, MODIFY: 1, ENABLE: 2, DISABLE: 3 } as const;
/** ofp_table_feature_flag: bits. */
export const TableFeatureFlag = { INGRESS_TABLE: 1, EGRESS_TABLE: 2, FIRST_EGRESS: 16 } as const;
/** ofp_meter_feature_flags: bits. */
export const MeterFeatureFlag = { ACTION_SET: 1, ANY_POSITION: 2, MULTI_LIST: 4 } as const;
/** ofp_controller_status_reason */
export const ControllerStatusReason = {
  REQUEST: 0,
  CHANNEL_STATUS: 1,
  ROLE: 2,
  CONTROLLER_ADDED: 3,
  CONTROLLER_REMOVED: 4,
  SHORT_ID: 5,
  EXPERIMENTER: 6,
} as const;
/** ofp_control_channel_status */
export const ChannelStatus = { UP: 0, DOWN: 1 } as const;
/** ofp_bundle_flags: bits. */
export const BundleFlag = { ATOMIC: 1, ORDERED: 2, TIME: 4 } as const;
/** ofp_bundle_feature_flags: bits. */
export const BundleFeatureFlag = { TIMESTAMP: 1, TIME_SET_SCHED: 2 } as const;
/** ofp_header_type_namespaces: upper 16 bits of `packet_type`. */
export const HeaderNamespace = {
  ONF: 0,
  ETHERTYPE: 1,
  IP_PROTO: 2,
  UDP_TCP_PORT: 3,
  IPV4_OPTION: 4,
} as const;
