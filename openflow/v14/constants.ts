/** Constants that OpenFlow 1.4 adds to those of 1.3 or changes, names as in the specification without their prefix. */

/** OFP_VERSION of OpenFlow 1.4. */
export const OFP_VERSION = 5;

/** ofp_packet_in_reason */
export const PacketInReason = {
  TABLE_MISS: 0,
  APPLY_ACTION: 1,
  INVALID_TTL: 2,
  ACTION_SET: 3,
  GROUP: 4,
  PACKET_OUT: 5,
} as const;

/** ofp_flow_removed_reason */
export const FlowRemovedReason = {
  IDLE_TIMEOUT: 0,
  HARD_TIMEOUT: 1,
  DELETE: 2,
  GROUP_DELETE: 3,
  METER_DELETE: 4,
  EVICTION: 5,
} as const;

/** ofp_table_config: bits. Spec 7.3.4.1. */
export const TableConfig = { DEPRECATED_MASK: 3, EVICTION: 4, VACANCY_EVENTS: 8 } as const;
/** ofp_table_mod_prop_eviction_flag: bits. */
export const EvictionFlag = { OTHER: 1, IMPORTANCE: 2, LIFETIME: 4 } as const;
/** ofp_table_reason */
export const TableReason = { VACANCY_DOWN: 3, VACANCY_UP: 4 } as const;
/** ofp_controller_role_reason */
export const RoleReason = { MASTER_REQUEST: 0, CONFIG: 1, EXPERIMENTER: 2 } as const;
/** ofp_requestforward_reason */
export const RequestforwardReason = { GROUP_MOD: 0, METER_MOD: 1 } as const;
/** ofp_optical_port_features: bits. */
export const OpticalPortFeatures = { RX_TUNE: 1, TX_TUNE: 2, TX_PWR: 4, USE_FREQ: 8 } as const;
/** ofp_port_stats_optical_flags: bits. */
export const OpticalStatsFlag = {
  RX_TUNE: 1,
  TX_TUNE: 2,
  TX_PWR: 4,
  RX_PWR: 16,
  TX_BIAS: 32,
  TX_TEMP: 64,
} as const;

/** ofp_flow_monitor_command */
export const FlowMonitorCommand = { ADD: 0, MODIFY: 1, DELETE: 2 } as const;
/** ofp_flow_monitor_flags: bits. */
export const FlowMonitorFlag = {
  INITIAL: 1,
  ADD: 2,
  REMOVED: 4,
  MODIFY: 8,
  INSTRUCTIONS: 16,
  NO_ABBREV: 32,
  ONLY_OWN: 64,
} as const;

/** ofp_bundle_ctrl_type */
export const BundleCtrlType = {
  OPEN_REQUEST: 0,
  OPEN_REPLY: 1,
  CLOSE_REQUEST: 2,
  CLOSE_REPLY: 3,
  COMMIT_REQUEST: 4,
  COMMIT_REPLY: 5,
  DISCARD_REQUEST: 6,
  DISCARD_REPLY: 7,
} as const;
/** ofp_bundle_flags: bits. */
export const BundleFlag = { ATOMIC: 1, ORDERED: 2 } as const;
