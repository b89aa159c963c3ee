/** Nicira's messages (NXT_*): experimenter messages that Open vSwitch sends and takes. Source: nicira-ext.h. */
import { experimenterMessage } from '../schema/messages.ts';
import type { AnyUnion, Fields, OxmFields } from '../schema/types.ts';
import {
  lengthOf,
  match,
  opt,
  optList,
  optMatch,
  pad,
  rest,
  u8,
  u16,
  u32,
  u64,
  union,
  variant,
  words2,
} from '../schema/types.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { NX_EXPERIMENTER } from './fields.ts';

const nx = <const F extends Fields>(type: number, fields: F) =>
  experimenterMessage(NX_EXPERIMENTER, type, fields);
const NO_DATA = new Uint8Array(0);

/** nx_role */
export const NxRole = { OTHER: 0, MASTER: 1, SLAVE: 2 } as const;
/** nx_flow_format */
export const NxFlowFormat = { OPENFLOW10: 0, NXM: 2 } as const;
/** nx_packet_in_format */
export const NxPacketInFormat = { OPENFLOW10: 0, NXM: 1, NXT_PACKET_IN2: 2 } as const;

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

/** Those of every version. */
export const nxMessages = <F extends OxmFields>(fields: F) => ({
  nx_role_request: nx(10, { role: u32 }),
  nx_role_reply: nx(11, { role: u32 }),
  nx_set_packet_in_format: nx(16, { format: u32 }),
  /** Which reasons, as bits, for master (or other) and for slave. */
  nx_set_async_config: nx(19, {
    packet_in_mask: words2,
    port_status_mask: words2,
    flow_removed_mask: words2,
  }),
  nx_set_controller_id: nx(20, { pad1: pad(6), controller_id: u16 }),
  /** Properties in the order of their numbers, with the packet last or first as the switch likes. */
  nx_packet_in2: nx(30, { properties: optList(packetInProperty(fields)) }),
  nx_resume: nx(28, { properties: optList(packetInProperty(fields)) }),
});

/** Those that only OpenFlow 1.0 needs: matches in NXM, and tables. */
export const nxMessages10 = <F extends OxmFields, A extends AnyUnion>(fields: F, action: A) => {
  const nxMatch = optMatch(match(fields, 'sized'));
  return {
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
      match: nxMatch,
      actions: optList(action),
    }),
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
    nx_flow_mod_table_id: nx(15, { set: u8, pad1: pad(7) }),
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
    nx_flow_age: nx(18, {}),
  };
};
