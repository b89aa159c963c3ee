/** Constants of OpenFlow 1.3, names as in the specification without their prefix. */

/** OFP_VERSION of OpenFlow 1.3. */
export const OFP_VERSION = 4;

/** ofp_port_no: reserved ports. Spec 7.2.1. */
export const Port = {
  /** Highest number of a physical or logical port. */
  MAX: 0xffffff00,
  IN_PORT: 0xfffffff8,
  TABLE: 0xfffffff9,
  NORMAL: 0xfffffffa,
  FLOOD: 0xfffffffb,
  ALL: 0xfffffffc,
  CONTROLLER: 0xfffffffd,
  LOCAL: 0xfffffffe,
  ANY: 0xffffffff,
} as const;

/** OFP_NO_BUFFER: the packet is in the message, not in a buffer of the switch. */
export const NO_BUFFER = 0xffffffff;

/** ofp_controller_max_len. Spec 7.2.5. */
export const ControllerMaxLen = {
  MAX: 0xffe5,
  /** Send the whole packet, do not buffer it. */
  NO_BUFFER: 0xffff,
} as const;

/** ofp_table */
export const Table = { MAX: 0xfe, ALL: 0xff } as const;

/** ofp_group: reserved group numbers. */
export const Group = { MAX: 0xffffff00, ALL: 0xfffffffc, ANY: 0xffffffff } as const;

/** ofp_meter: reserved meter numbers. */
export const Meter = {
  MAX: 0xffff0000,
  SLOWPATH: 0xfffffffd,
  CONTROLLER: 0xfffffffe,
  ALL: 0xffffffff,
} as const;

/** OFPQ_ALL: all queues of a port. */
export const QUEUE_ALL = 0xffffffff;

/** ofp_vlan_id: bit of `vlan_vid` that is set where the packet has a VLAN tag. Spec 7.2.3.7. */
export const OFPVID_PRESENT = 0x1000;
export const OFPVID_NONE = 0;

/** ofp_flow_mod_command */
export const FlowModCommand = {
  ADD: 0,
  MODIFY: 1,
  MODIFY_STRICT: 2,
  DELETE: 3,
  DELETE_STRICT: 4,
} as const;

/** ofp_flow_mod_flags: bits. */
export const FlowModFlag = {
  SEND_FLOW_REM: 1,
  CHECK_OVERLAP: 2,
  RESET_COUNTS: 4,
  NO_PKT_COUNTS: 8,
  NO_BYT_COUNTS: 16,
} as const;

/** ofp_flow_removed_reason */
export const FlowRemovedReason = {
  IDLE_TIMEOUT: 0,
  HARD_TIMEOUT: 1,
  DELETE: 2,
  GROUP_DELETE: 3,
} as const;

/** ofp_packet_in_reason */
export const PacketInReason = { NO_MATCH: 0, ACTION: 1, INVALID_TTL: 2 } as const;

/** ofp_port_reason */
export const PortReason = { ADD: 0, DELETE: 1, MODIFY: 2 } as const;

/** ofp_port_config: bits. */
export const PortConfig = { PORT_DOWN: 1, NO_RECV: 4, NO_FWD: 32, NO_PACKET_IN: 64 } as const;

/** ofp_port_state: bits. */
export const PortState = { LINK_DOWN: 1, BLOCKED: 2, LIVE: 4 } as const;

/** ofp_port_features: bits. */
export const PortFeatures = {
  '10MB_HD': 1,
  '10MB_FD': 2,
  '100MB_HD': 4,
  '100MB_FD': 8,
  '1GB_HD': 16,
  '1GB_FD': 32,
  '10GB_FD': 64,
  '40GB_FD': 128,
  '100GB_FD': 256,
  '1TB_FD': 512,
  OTHER: 1024,
  COPPER: 2048,
  FIBER: 4096,
  AUTONEG: 8192,
  PAUSE: 16384,
  PAUSE_ASYM: 32768,
} as const;

/** ofp_capabilities: bits. Spec 7.3.1. */
export const Capability = {
  FLOW_STATS: 1,
  TABLE_STATS: 2,
  PORT_STATS: 4,
  GROUP_STATS: 8,
  IP_REASM: 32,
  QUEUE_STATS: 64,
  PORT_BLOCKED: 256,
} as const;

/** ofp_config_flags. Spec 7.3.2. */
export const ConfigFlag = { FRAG_NORMAL: 0, FRAG_DROP: 1, FRAG_REASM: 2, FRAG_MASK: 3 } as const;

/** ofp_controller_role. Spec 7.3.9. */
export const ControllerRole = { NOCHANGE: 0, EQUAL: 1, MASTER: 2, SLAVE: 3 } as const;

/** OFPMPF_*_MORE: bit 0 of `flags` of multipart messages: more requests or replies follow. */
export const MultipartFlag = { MORE: 1 } as const;

/** ofp_group_mod_command */
export const GroupModCommand = { ADD: 0, MODIFY: 1, DELETE: 2 } as const;

/** ofp_group_type */
export const GroupType = { ALL: 0, SELECT: 1, INDIRECT: 2, FF: 3 } as const;

/** ofp_group_capabilities: bits. */
export const GroupCapability = {
  SELECT_WEIGHT: 1,
  SELECT_LIVENESS: 2,
  CHAINING: 4,
  CHAINING_CHECKS: 8,
} as const;

/** ofp_meter_mod_command */
export const MeterModCommand = { ADD: 0, MODIFY: 1, DELETE: 2 } as const;

/** ofp_meter_flags: bits. */
export const MeterFlag = { KBPS: 1, PKTPS: 2, BURST: 4, STATS: 8 } as const;

/** ofp_ipv6exthdr_flags: bits of the match field `ipv6_exthdr`. */
export const Ipv6ExthdrFlag = {
  NONEXT: 1,
  ESP: 2,
  AUTH: 4,
  DEST: 8,
  FRAG: 16,
  ROUTER: 32,
  HOP: 64,
  UNREP: 128,
  UNSEQ: 256,
} as const;
