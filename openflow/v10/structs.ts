import { fixedMatch } from '../schema/fixed-match.ts';
import type { AnyUnion } from '../schema/types.ts';
import {
  cstring,
  ipv4,
  mac,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  selfLength,
  struct,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
} from '../schema/types.ts';
import { Wildcard } from './constants.ts';
import { BadActionCode, BadRequestCode, ErrorType } from './errors.ts';

/** ofp_match. Spec 5.2.3. */
export const matchNode = fixedMatch({
  size: 40,
  wildcardsAt: 0,
  all: Wildcard.ALL,
  fields: {
    in_port: { type: u16, at: 4, bit: 0 },
    dl_src: { type: mac, at: 6, bit: 2 },
    dl_dst: { type: mac, at: 12, bit: 3 },
    /** VLAN_NONE: no tag. */
    dl_vlan: { type: u16, at: 18, bit: 1 },
    dl_vlan_pcp: { type: u8, at: 20, bit: 20 },
    dl_type: { type: u16, at: 22, bit: 4 },
    nw_tos: { type: u8, at: 24, bit: 21 },
    /** IP protocol, or the lower 8 bits of an ARP opcode. */
    nw_proto: { type: u8, at: 25, bit: 5 },
    nw_src: { type: ipv4, at: 28, prefixAt: Wildcard.NW_SRC_SHIFT },
    nw_dst: { type: ipv4, at: 32, prefixAt: Wildcard.NW_DST_SHIFT },
    /** TCP or UDP port, or the ICMP type. */
    tp_src: { type: u16, at: 36, bit: 6 },
    /** TCP or UDP port, or the ICMP code. */
    tp_dst: { type: u16, at: 38, bit: 7 },
  },
});

export const actionOptions = {
  name: 'action',
  padded: 'inside',
  badType: [ErrorType.BAD_ACTION, BadActionCode.BAD_TYPE],
  badLen: [ErrorType.BAD_ACTION, BadActionCode.BAD_LEN],
} as const;

/** ofp_action_*. Spec 5.2.4. */
export const actionVariants = {
  /** max_len: bytes of the packet for the controller. */
  output: variant(0, { port: u16, max_len: opt(u16, 0xffff) }),
  set_vlan_vid: variant(1, { vlan_vid: u16, pad1: pad(2) }),
  set_vlan_pcp: variant(2, { vlan_pcp: u8, pad1: pad(3) }),
  strip_vlan: variant(3, { pad1: pad(4) }),
  set_dl_src: variant(4, { dl_addr: mac, pad1: pad(6) }),
  set_dl_dst: variant(5, { dl_addr: mac, pad1: pad(6) }),
  set_nw_src: variant(6, { nw_addr: ipv4 }),
  set_nw_dst: variant(7, { nw_addr: ipv4 }),
  set_nw_tos: variant(8, { nw_tos: u8, pad1: pad(3) }),
  set_tp_src: variant(9, { tp_port: u16, pad1: pad(2) }),
  set_tp_dst: variant(10, { tp_port: u16, pad1: pad(2) }),
  enqueue: variant(11, { port: u16, pad1: pad(6), queue_id: u32 }),
  vendor: variant(0xffff, { vendor: u32, data: rest }),
} as const;

/** ofp_phy_port. Spec 5.2.1. config, state and features are bits. */
export const port = struct('port', {
  port_no: u16,
  hw_addr: opt(mac, '00:00:00:00:00:00'),
  name: opt(cstring(16), ''),
  config: opt(u32, 0),
  state: opt(u32, 0),
  curr: opt(u32, 0),
  advertised: opt(u32, 0),
  supported: opt(u32, 0),
  peer: opt(u32, 0),
});

/** ofp_table_stats. Spec 5.3.5. */
export const tableStats = struct('table_stats', {
  table_id: u8,
  pad1: pad(3),
  name: opt(cstring(32), ''),
  /** Bits of Wildcard that the table can do without. */
  wildcards: opt(u32, 0),
  max_entries: opt(u32, 0),
  active_count: opt(u32, 0),
  lookup_count: opt(u64, 0n),
  matched_count: opt(u64, 0n),
});

/** ofp_port_stats. Spec 5.3.5. */
export const portStats = struct('port_stats', {
  port_no: u16,
  pad1: pad(6),
  rx_packets: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  rx_bytes: opt(u64, 0n),
  tx_bytes: opt(u64, 0n),
  rx_dropped: opt(u64, 0n),
  tx_dropped: opt(u64, 0n),
  rx_errors: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
  rx_frame_err: opt(u64, 0n),
  rx_over_err: opt(u64, 0n),
  rx_crc_err: opt(u64, 0n),
  collisions: opt(u64, 0n),
});

/** ofp_queue_stats. Spec 5.3.5. */
export const queueStats = struct('queue_stats', {
  port_no: u16,
  pad1: pad(2),
  queue_id: u32,
  tx_bytes: opt(u64, 0n),
  tx_packets: opt(u64, 0n),
  tx_errors: opt(u64, 0n),
});

/** ofp_queue_prop_*. Spec 5.2.2. The rate in 1/10 of a percent; above 1000: disabled. */
const queueProperty = union(
  {
    name: 'queue property',
    padded: 'none',
    badType: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE],
    badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
  },
  {
    none: variant(0, { pad1: pad(4) }),
    min_rate: variant(1, { pad1: pad(4), rate: u16, pad2: pad(6) }),
  },
);

/** ofp_packet_queue. Spec 5.2.2. */
export const packetQueue = struct('packet_queue', {
  queue_id: u32,
  len: selfLength,
  pad1: pad(2),
  properties: optList(queueProperty),
});

/** ofp_flow_stats. Spec 5.3.5. `A`: the actions, with extensions or without. */
export const flowStatsOf = <A extends AnyUnion>(actions: A) =>
  struct('flow_stats', {
    length: selfLength,
    table_id: opt(u8, 0),
    pad1: pad(1),
    match: optMatch(matchNode),
    duration_sec: opt(u32, 0),
    duration_nsec: opt(u32, 0),
    priority: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    pad2: pad(6),
    cookie: opt(u64, 0n),
    packet_count: opt(u64, 0n),
    byte_count: opt(u64, 0n),
    actions: optList(actions),
  });
