/** OpenFlow 1.1 as differences to 1.2: a match of fixed size, and an action for each field that can be set. */
import { fixedMatch } from '../schema/fixed-match.ts';
import { message } from '../schema/messages.ts';
import * as R from '../schema/runtime.ts';
import type { AnyMatch, AnyUnion, Kit } from '../schema/types.ts';
import {
  choice,
  cstring,
  ipv4,
  mac,
  opt,
  optList,
  pad,
  rest,
  struct,
  tagOf,
  u8,
  u16,
  u32,
  u64,
  variant,
} from '../schema/types.ts';
import { packetQueue } from '../v10/structs.ts';
import {
  actionVariants as actionVariants12,
  earlierMessages,
  replyVariants as replyVariants12,
  requestVariants as requestVariants12,
} from '../v12/messages.ts';
import { NO_BUFFER } from '../v13/constants.ts';
import { BadMatchCode, ErrorType } from '../v13/errors.ts';
import { BAD_MULTIPART } from '../v13/multipart.ts';
import { basicFields } from '../v13/oxm.ts';

const MATCH_BYTES = 88;

/** ofp_match of type OFPMT_STANDARD. Spec A.2.3. In [value, mask] ones are compared, as in other versions. */
export const matchNode = fixedMatch({
  size: MATCH_BYTES,
  wildcardsAt: 8,
  all: 0x3ff,
  header: {
    type: 0,
    check(type, length) {
      if (type !== 0) R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_TYPE, `match: its type is ${type}`);
      if (length !== MATCH_BYTES) {
        R.fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_LEN, `match: ${length} bytes, not ${MATCH_BYTES}`);
      }
    },
  },
  fields: {
    in_port: { type: u32, at: 4, bit: 0 },
    dl_src: { type: mac, at: 12, maskAt: 18 },
    dl_dst: { type: mac, at: 24, maskAt: 30 },
    dl_vlan: { type: u16, at: 36, bit: 1 },
    dl_vlan_pcp: { type: u8, at: 38, bit: 2 },
    dl_type: { type: u16, at: 40, bit: 3 },
    nw_tos: { type: u8, at: 42, bit: 4 },
    nw_proto: { type: u8, at: 43, bit: 5 },
    nw_src: { type: ipv4, at: 44, maskAt: 48 },
    nw_dst: { type: ipv4, at: 52, maskAt: 56 },
    tp_src: { type: u16, at: 60, bit: 6 },
    tp_dst: { type: u16, at: 62, bit: 7 },
    mpls_label: { type: u32, at: 64, bit: 8 },
    mpls_tc: { type: u8, at: 68, bit: 9 },
    metadata: { type: u64, at: 72, maskAt: 80 },
  },
});

const { set_field: _, ...kept } = actionVariants12(basicFields);
/** ofp_action_*. Spec A.2.5. */
export const actionVariants = {
  ...kept,
  set_vlan_vid: variant(1, { vlan_vid: u16, pad1: pad(2) }),
  set_vlan_pcp: variant(2, { vlan_pcp: u8, pad1: pad(3) }),
  set_dl_src: variant(3, { dl_addr: mac, pad1: pad(6) }),
  set_dl_dst: variant(4, { dl_addr: mac, pad1: pad(6) }),
  set_nw_src: variant(5, { nw_addr: ipv4 }),
  set_nw_dst: variant(6, { nw_addr: ipv4 }),
  set_nw_tos: variant(7, { nw_tos: u8, pad1: pad(3) }),
  set_nw_ecn: variant(8, { nw_ecn: u8, pad1: pad(3) }),
  set_tp_src: variant(9, { tp_port: u16, pad1: pad(2) }),
  set_tp_dst: variant(10, { tp_port: u16, pad1: pad(2) }),
  set_mpls_label: variant(13, { mpls_label: u32 }),
  set_mpls_tc: variant(14, { mpls_tc: u8, pad1: pad(3) }),
} as const;

/** ofp_table_stats: bits by number of match field, action and instruction. Spec A.3.6.5. */
const tableStats = struct('table_stats', {
  table_id: u8,
  pad1: pad(7),
  name: opt(cstring(32), ''),
  wildcards: opt(u32, 0),
  match: opt(u32, 0),
  instructions: opt(u32, 0),
  write_actions: opt(u32, 0),
  apply_actions: opt(u32, 0),
  config: opt(u32, 0),
  max_entries: opt(u32, 0),
  active_count: opt(u32, 0),
  lookup_count: opt(u64, 0n),
  matched_count: opt(u64, 0n),
});

/** Every message of OpenFlow 1.1. Spec section A.3. Times in seconds, lengths in bytes. */
export const messagesOf = <M extends AnyMatch, A extends AnyUnion, I extends AnyUnion>(kit: Kit<M, A, I>) => {
  const { role_request: _request, role_reply: _reply, ...earlier } = earlierMessages(kit, 2);
  const { group_features: _features, ...requests } = requestVariants12(kit.match);
  const { group_features: _featuresReply, ...replies } = replyVariants12(kit, tableStats);
  return {
    ...earlier,
    packet_in: message(10, 'A.4.1', {
      buffer_id: opt(u32, NO_BUFFER),
      in_port: u32,
      in_phy_port: opt(u32, 0),
      total_len: u16,
      reason: u8,
      table_id: opt(u8, 0),
      data: opt(rest, new Uint8Array(0)),
    }),
    stats_request: message(18, 'A.3.6', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('stats_request', BAD_MULTIPART, requests),
    }),
    stats_reply: message(19, 'A.3.6', {
      body_type: tagOf('body'),
      flags: opt(u16, 0),
      pad1: pad(4),
      body: choice('stats_reply', BAD_MULTIPART, replies),
    }),
    queue_get_config_reply: message(23, 'A.3.5', {
      port: u32,
      pad1: pad(4),
      queues: optList(packetQueue),
    }),
  };
};
