/** Nicira's messages (NXT_*): experimenter messages that Open vSwitch sends and takes. Source: nicira-ext.h. */
import { experimenterMessage } from '../schema/messages.ts';
import type { AnyUnion, Fields, OxmFields } from '../schema/types.ts';
import {
  ipv6,
  lengthOf,
  list,
  match,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  struct,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
  words2,
} from '../schema/types.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { asyncVariants } from '../v14/structs.ts';
import { NX_EXPERIMENTER } from './fields.ts';

const nx = <const F extends Fields>(type: number, fields: F) =>
  experimenterMessage(NX_EXPERIMENTER, type, fields, 'nicira-ext.h');
const NO_DATA = new Uint8Array(0);

/** nx_role */
export const NxRole = { OTHER: 0, MASTER: 1, SLAVE: 2 } as const;
/** nx_flow_format */
export const NxFlowFormat = { OPENFLOW10: 0, NXM: 2 } as const;
/** nx_packet_in_format */
export const NxPacketInFormat = { OPENFLOW10: 0, NXM: 1, NXT_PACKET_IN2: 2 } as const;
/** nx_tlv_table_mod_command */
export const NxTlvTableCommand = { ADD: 0, DELETE: 1, CLEAR: 2 } as const;

/** nx_packet_in2_prop_type */
const packetInProperty = <F extends OxmFields>(fields: F) =>
  union(
    {
      name: 'packet_in2 property',
      padded: 'outside',
      badType: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE],
      badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
    },
    {
      packet: variant(0, { data: rest }),
      full_len: variant(1, { full_len: u32 }),
      buffer_id: variant(2, { buffer_id: u32 }),
      table_id: variant(3, { table_id: u8 }),
      cookie: variant(4, { pad1: pad(4), cookie: u64 }),
      reason: variant(5, { reason: u8 }),
      metadata: variant(6, { match: match(fields, 'bare') }),
      userdata: variant(7, { data: rest }),
      continuation: variant(8, { data: rest }),
    },
  );

/** An entry of the table that says which Geneve option a field tun_metadata<index> is. */
const tlvMap = struct('tlv_map', {
  option_class: u16,
  option_type: u8,
  /** Bytes of the option's value: 4 to 124, a multiple of 4. */
  option_len: u8,
  index: u16,
  pad1: pad(2),
});

const BAD = {
  badType: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_EXP_TYPE],
  badLen: [ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN],
} as const;

/** nx_ct_flush_tuple_tlv_type: one direction of a connection; addresses as IPv6, IPv4 in ::ffff:0:0/96. */
const tuple = {
  pad1: pad(4),
  tuple: list(
    union(
      { name: 'ct_flush tuple', padded: 'outside', ...BAD },
      {
        src: variant(0, { address: ipv6 }),
        dst: variant(1, { address: ipv6 }),
        src_port: variant(2, { port: u16 }),
        dst_port: variant(3, { port: u16 }),
        icmp_id: variant(4, { id: u16 }),
        icmp_type: variant(5, { value: u8 }),
        icmp_code: variant(6, { value: u8 }),
      },
    ),
  ),
} as const;

/** Those of every version. */
export const nxMessages = <F extends OxmFields>(fields: F) => {
  const nxMatch = optMatch(match(fields, 'sized'));
  return {
    /** role: NxRole. */
    nx_role_request: nx(10, { role: u32 }),
    nx_role_reply: nx(11, { role: u32 }),
    /** Counters as in flow_removed; times in seconds. */
    nx_flow_removed: nx(14, {
      cookie: opt(u64, 0n),
      priority: opt(u16, 0),
      reason: u8,
      /** The table's number + 1, or 0. */
      table_id: opt(u8, 0),
      duration_sec: opt(u32, 0),
      duration_nsec: opt(u32, 0),
      idle_timeout: opt(u16, 0),
      match_len: lengthOf('match'),
      packet_count: opt(u64, 0n),
      byte_count: opt(u64, 0n),
      match: nxMatch,
    }),
    /** set: 1 if the upper 8 bits of a flow_mod's command are a table, 0 if not. */
    nx_flow_mod_table_id: nx(15, { set: u8, pad1: pad(7) }),
    /** format: NxPacketInFormat. */
    nx_set_packet_in_format: nx(16, { format: u32 }),
    /** match: what is known about the packet besides its bytes (in_port, registers, tunnel). */
    nx_packet_in: nx(17, {
      buffer_id: opt(u32, 0xffffffff),
      total_len: u16,
      reason: u8,
      table_id: opt(u8, 0),
      cookie: opt(u64, 0n),
      match_len: lengthOf('match'),
      pad1: pad(6),
      match: nxMatch,
      pad2: pad(2),
      data: opt(rest, NO_DATA),
    }),
    /** Asks for the ages of entries in nx_flow. */
    nx_flow_age: nx(18, {}),
    /** Which reasons, as bits, for master (or other) and for slave. */
    nx_set_async_config: nx(19, {
      packet_in_mask: words2,
      port_status_mask: words2,
      flow_removed_mask: words2,
    }),
    /** controller_id: what the action nx_controller sends packets to. */
    nx_set_controller_id: nx(20, { pad1: pad(6), controller_id: u16 }),
    nx_flow_monitor_cancel: nx(21, { id: u32 }),
    /** No updates until there is room for them again. */
    nx_flow_monitor_paused: nx(22, {}),
    nx_flow_monitor_resumed: nx(23, {}),
    /** command: NxTlvTableCommand. */
    nx_tlv_table_mod: nx(24, { command: u16, pad1: pad(6), mappings: optList(tlvMap) }),
    nx_tlv_table_request: nx(25, {}),
    /** max_option_space in bytes. */
    nx_tlv_table_reply: nx(26, {
      max_option_space: opt(u32, 0),
      max_fields: opt(u16, 0),
      pad1: pad(10),
      mappings: optList(tlvMap),
    }),
    /** Goes on with the packet of an nx_packet_in2 that was paused: its properties, as they came. */
    nx_resume: nx(28, { properties: optList(packetInProperty(fields)) }),
    /** Forgets the connections of a zone. */
    nx_ct_flush_zone: nx(29, { pad1: pad(6), zone_id: u16 }),
    /** Properties in the order of their numbers, with the packet last or first as the switch likes. */
    nx_packet_in2: nx(30, { properties: optList(packetInProperty(fields)) }),
    /** Forgets the connections that all properties apply to. */
    nx_ct_flush: nx(32, {
      ip_proto: opt(u8, 0),
      pad1: pad(7),
      properties: optList(
        union(
          { name: 'ct_flush property', padded: 'outside', ...BAD },
          {
            orig_tuple: variant(0, tuple),
            reply_tuple: variant(1, tuple),
            zone_id: variant(2, { zone_id: u16 }),
          },
        ),
      ),
    }),
  };
};

/** Those of versions before 1.4, which has the same as its own set_async. */
export const nxMessagesBefore14 = {
  /** mask: bits 1 << reason. */
  nx_set_async_config2: nx(27, {
    properties: optList(union({ name: 'async_config property', padded: 'outside', ...BAD }, asyncVariants)),
  }),
} as const;

/** Those that only OpenFlow 1.0 needs: matches in NXM, and tables. */
export const nxMessages10 = <F extends OxmFields, A extends AnyUnion>(fields: F, action: A) => ({
  /** format: NxFlowFormat. */
  nx_set_flow_format: nx(12, { format: u32 }),
  /** command: in its upper 8 bits the table, if nx_flow_mod_table_id has been set. */
  nx_flow_mod: nx(13, {
    cookie: opt(u64, 0n),
    command: opt(u16, 0),
    idle_timeout: opt(u16, 0),
    hard_timeout: opt(u16, 0),
    priority: opt(u16, 0x8000),
    buffer_id: opt(u32, 0xffffffff),
    out_port: opt(u16, 0xffff),
    flags: opt(u16, 0),
    match_len: lengthOf('match'),
    pad1: pad(6),
    match: optMatch(match(fields, 'sized')),
    actions: optList(action),
  }),
});
