/** Which messages a device sends, and which of them answer something. */

import type { Message } from '../openflow/index.ts';

/** What can be a reply; a device's own messages have transaction ids of its own, which may be equal to ours. */
export const REPLIES: ReadonlySet<Message['type']> = new Set<Message['type']>([
  'error',
  'features_reply',
  'get_config_reply',
  'barrier_reply',
  'role_reply',
  'multipart_reply',
  'queue_get_config_reply',
  'get_async_reply',
  'dispatch_config',
  'program_reply',
]);

/**
 * ofp_type, in every version, of what may come without a request, with whatever xid: experimenter, packet_in,
 * flow_removed, port_status; role_status, table_status and requestforward.
 */
export const UNASKED: ReadonlySet<number> = new Set([4, 10, 11, 12, 30, 31, 32]);

/** What a device may send to a controller beyond replies (table of section 7.1.1, and our extension). */
export const FROM_DEVICE: ReadonlySet<Message['type']> = new Set<Message['type']>([
  ...REPLIES,
  'packet_in',
  'flow_removed',
  'port_status',
  'table_status',
  'dispatch_query',
  'cell_status',
]);
