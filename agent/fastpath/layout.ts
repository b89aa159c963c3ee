/**
 * What agent and kernel programs share: the flow key, the entries of the flow cache and their counters. Numbers are in
 * the machine's (little-endian) order, what comes from packets as it is on the wire.
 */

/**
 * The flow key: all that a packet's verdict may depend on. Ethernet addresses and type lie as in the frame, and so do
 * the IP addresses with the L4 ports behind them; what follows is zero.
 */
export const KEY = {
  /** Interface the packet came in by, u32. */
  IFINDEX: 0,
  /** VLAN tag: TPID (network order) << 16 | TCI; 0: none. u32. */
  VLAN: 4,
  /** 14 bytes. */
  ETHERNET: 8,
  ETH_TYPE: 20,
  PROTO: 22,
  /** IPv4 TOS, IPv6 traffic class: DSCP and ECN. */
  TOS: 23,
  /** Two addresses of 4 or 16 bytes, and the ports. */
  ADDRESSES: 24,
} as const;
export const KEY_BYTES = 60;
/** In an entry, where it is compared by words of eight bytes. */
export const KEY_SPACE = 64;
export const KEY_WORDS = KEY_SPACE / 4;

/** An entry: a flow's key again, and what is done to its packets. Offsets; u32 but where a length is given. */
export const ENTRY = {
  KEY: 0,
  /** Longest frame that goes by this entry, unless it is segmented later; bytes, tag not counted. */
  MAX_LENGTH: 64,
  /** What is taken off the TTL; packets with no more than that are not the entry's. */
  TTL: 68,
  /** EDIT bits. */
  EDITS: 72,
  /** Interface the packet leaves by after its copies; 0: it is dropped. */
  OUTPUT: 76,
  /** Interfaces that get copies first; 0 ends the list. */
  COPIES: 80,
  /** TPID in network order and TCI of the tag that is pushed. */
  VLAN_PROTO: 108,
  VLAN_TCI: 112,
  /** Differences for checksums: of the IPv4 header; of L4 by the addresses, and by the ports. */
  L3_SUM: 116,
  L4_ADDRESS_SUM: 120,
  L4_SUM: 124,
  /** 12 bytes. */
  MACS: 128,
  /** 4 bytes. */
  PORTS: 140,
  /** 8 or 32 bytes. */
  IPS: 144,
  /** TOS, or traffic class. */
  TOS: 176,
  /** Where the L4 checksum is in the frame, and BPF_F_* flags for changing it. */
  L4_SUM_AT: 180,
  L4_SUM_FLAGS: 184,
  /** Interface that a copy for the controller leaves by, tagged with the number of the entry; 0: there is none. */
  CONTROLLER: 188,
  CONTROLLER_TAG: 192,
} as const;
export const ENTRY_BYTES = 200;
/** Outer tag (TPID) of copies for the controller; its TCI, 16 bits, is the entry's number. */
export const COPY_TPID = 0x88a8;
export const MAX_COPY_TAG = 0xffff;
export const MAX_COPIES = 7;

export const EDIT = {
  VLAN_POP: 1,
  VLAN_PUSH: 2,
  MACS: 4,
  IPS: 8,
  PORTS: 16,
  TOS: 32,
  IPV6: 64,
  L4_SUM: 128,
} as const;

/** The L4 sum takes part of a pseudo-header; and 0 in UDP means that there is no sum. */
export const SUM_FLAG = { PSEUDO: 1 << 4, UDP: 1 << 5 } as const;

/** Counters of an entry, u64 each. */
export const COUNTER = { PACKETS: 0, BYTES: 8, LAST_NS: 16 } as const;
export const COUNTER_BYTES = 32;

/** What the socket's filter found for the packet that tc meets next on the same CPU. u32 each. */
export const DECISION = { ENTRY_PLUS_1: 0, IFINDEX: 4 } as const;
export const DECISION_BYTES = 8;

export const MAC_OFFSET = 0;
export const L3_OFFSET = 14;
export const IPV4_L4_OFFSET = 34;
export const IPV6_L4_OFFSET = 54;
