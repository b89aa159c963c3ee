/** Constants of OpenFlow 1.0, names as in the specification without their prefix. */

/** OFP_VERSION of OpenFlow 1.0. */
export const OFP_VERSION = 1;

/** ofp_port: reserved ports, 16 bits. Spec 5.2.1. */
export const Port = {
  MAX: 0xff00,
  IN_PORT: 0xfff8,
  TABLE: 0xfff9,
  NORMAL: 0xfffa,
  FLOOD: 0xfffb,
  ALL: 0xfffc,
  CONTROLLER: 0xfffd,
  LOCAL: 0xfffe,
  NONE: 0xffff,
} as const;

/** The packet is in the message, not in a buffer of the switch. */
export const NO_BUFFER = 0xffffffff;

/** ofp_flow_wildcards: bits. Spec 5.2.3. */
export const Wildcard = {
  IN_PORT: 1,
  DL_VLAN: 2,
  DL_SRC: 4,
  DL_DST: 8,
  DL_TYPE: 16,
  NW_PROTO: 32,
  TP_SRC: 64,
  TP_DST: 128,
  /** Lowest of six bits each: how many low bits of the address are wild. */
  NW_SRC_SHIFT: 8,
  NW_DST_SHIFT: 14,
  DL_VLAN_PCP: 1 << 20,
  NW_TOS: 1 << 21,
  ALL: (1 << 22) - 1,
} as const;

/** OFP_VLAN_NONE: `dl_vlan` of a packet without a VLAN tag. */
export const VLAN_NONE = 0xffff;

/** ofp_flow_mod_command */
export const FlowModCommand = { ADD: 0, MODIFY: 1, MODIFY_STRICT: 2, DELETE: 3, DELETE_STRICT: 4 } as const;

/** ofp_flow_mod_flags: bits. */
export const FlowModFlag = { SEND_FLOW_REM: 1, CHECK_OVERLAP: 2, EMERG: 4 } as const;

/** ofp_flow_removed_reason */
export const FlowRemovedReason = { IDLE_TIMEOUT: 0, HARD_TIMEOUT: 1, DELETE: 2 } as const;

/** ofp_packet_in_reason */
export const PacketInReason = { NO_MATCH: 0, ACTION: 1 } as const;

/** ofp_port_reason */
export const PortReason = { ADD: 0, DELETE: 1, MODIFY: 2 } as const;

/** ofp_port_config: bits. */
export const PortConfig = {
  PORT_DOWN: 1,
  NO_STP: 2,
  NO_RECV: 4,
  NO_RECV_STP: 8,
  NO_FLOOD: 16,
  NO_FWD: 32,
  NO_PACKET_IN: 64,
} as const;

/** ofp_port_state: LINK_DOWN is a bit, the others are values of the bits STP_MASK. */
export const PortState = {
  LINK_DOWN: 1,
  STP_LISTEN: 0,
  STP_LEARN: 0x100,
  STP_FORWARD: 0x200,
  STP_BLOCK: 0x300,
  STP_MASK: 0x300,
} as const;

/** ofp_port_features: bits. */
export const PortFeatures = {
  '10MB_HD': 1,
  '10MB_FD': 2,
  '100MB_HD': 4,
  '100MB_FD': 8,
  '1GB_HD': 16,
  '1GB_FD': 32,
  '10GB_FD': 64,
  COPPER: 128,
  FIBER: 256,
  AUTONEG: 512,
  PAUSE: 1024,
  PAUSE_ASYM: 2048,
} as const;

/** ofp_capabilities: bits. Spec 5.3.1. */
export const Capability = {
  FLOW_STATS: 1,
  TABLE_STATS: 2,
  PORT_STATS: 4,
  STP: 8,
  IP_REASM: 32,
  QUEUE_STATS: 64,
  ARP_MATCH_IP: 128,
} as const;

/** ofp_config_flags. Spec 5.3.2. */
export const ConfigFlag = { FRAG_NORMAL: 0, FRAG_DROP: 1, FRAG_REASM: 2, FRAG_MASK: 3 } as const;

/** OFPSF_REPLY_MORE: bit 0 of `flags` of stats_reply. */
export const StatsFlag = { REPLY_MORE: 1 } as const;

/** OFPQ_ALL: all queues of a port. */
export const QUEUE_ALL = 0xffffffff;
