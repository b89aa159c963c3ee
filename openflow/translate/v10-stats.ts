/** Statistics of OpenFlow 1.0 and multipart messages of 1.3. Spec: 5.3.5 of 1.0, 7.3.5 of 1.3. */
import { OpenFlowError } from '../errors.ts';
import type { FlowStats, Message, MessageInit } from '../index.ts';
import * as v10 from '../v10/index.ts';
import { Group, Port } from '../v13/constants.ts';
import { BadRequestCode, ErrorType } from '../v13/errors.ts';
import { cannotSay, encodeInParts, type MultipartReply, type MultipartReplyInit } from './shared.ts';
import { actionsForController, instructionsTo10 } from './v10-actions.ts';
import { experimenterData, vendorAt, vendorData } from './v10-experimenter.ts';
import { matchFrom10, matchTo10 } from './v10-match.ts';
import { port16, port16Of, port32 } from './v10-ports.ts';

type MultipartRequest = Extract<Message, { type: 'multipart_request' }>;
type MultipartRequestInit = Extract<MessageInit, { type: 'multipart_request' }>;
type StatsRequest = v10.MessageOf<'stats_request'>;
type StatsReply = v10.MessageOf<'stats_reply'>;
type RequestBody<T> = Extract<MultipartRequestInit['body'], { type: T }>;
type ReplyBody<T> = Extract<MultipartReplyInit['body'], { type: T }>;

/** ofp_flow_stats_request.table_id of 1.0: the emergency table, which nothing here has. */
const EMERGENCY_TABLE = 0xfe;
/** The vendor in statistics; Nicira's, which have names of their own in 1.0, are an experimenter's in 1.3. */
const VENDOR_AT = 12;
/** What 1.3 says for times that are not known. */
const UNKNOWN_AGE = { duration_sec: 0xffffffff, duration_nsec: 0xffffffff } as const;

const badMultipart = (what: string): OpenFlowError =>
  cannotSay(v10.OFP_VERSION, what, [ErrorType.BAD_REQUEST, BadRequestCode.BAD_MULTIPART]);

// Requests --------------------------------------------------------------------------------------------------

function filterFrom10(body: Extract<StatsRequest['body'], { type: 'flow' | 'aggregate' }>) {
  if (body.table_id === EMERGENCY_TABLE) {
    const text = 'this switch has no emergency table';
    throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_TABLE_ID, text);
  }
  return {
    table_id: body.table_id,
    out_port: port32(body.out_port),
    out_group: Group.ANY,
    cookie: 0n,
    cookie_mask: 0n,
    match: matchFrom10(body.match),
  };
}

function requestBodyFrom10(body: StatsRequest['body'], bytes: Uint8Array): MultipartRequest['body'] {
  switch (body.type) {
    case 'desc':
    case 'table':
      return body;
    case 'flow':
    case 'aggregate':
      return { type: body.type, ...filterFrom10(body) };
    case 'port':
      return { type: 'port_stats', port_no: port32(body.port_no) };
    case 'queue':
      return {
        type: 'queue',
        port_no: body.port_no === v10.Port.ALL ? Port.ANY : port32(body.port_no),
        queue_id: body.queue_id,
      };
    case 'vendor':
      return { type: 'experimenter', ...experimenterData(body) };
    default:
      return { type: 'experimenter', ...experimenterData(vendorAt(bytes, VENDOR_AT)) };
  }
}

/** @throws OpenFlowError for the emergency table and for vendors without a type of request */
export const statsRequestFrom10 = (
  { xid, flags, body }: StatsRequest,
  bytes: Uint8Array,
): MultipartRequest => ({
  type: 'multipart_request',
  xid,
  flags,
  body: requestBodyFrom10(body, bytes),
});

function filterTo10({
  table_id,
  out_port = Port.ANY,
  out_group = Group.ANY,
  cookie_mask = 0n,
  match,
}: RequestBody<'flow' | 'aggregate'>) {
  if (out_group !== Group.ANY) throw badMultipart('entries by group');
  if (BigInt(cookie_mask) !== 0n) throw badMultipart('entries by cookie');
  return { table_id, out_port: port16Of(out_port), match: matchTo10(match) };
}

function requestBodyTo10(body: MultipartRequestInit['body']) {
  switch (body.type) {
    case 'desc':
    case 'table':
      return { type: body.type };
    case 'flow':
    case 'aggregate':
      return { type: body.type, ...filterTo10(body) };
    case 'port_stats':
      return { type: 'port' as const, port_no: port16Of(body.port_no ?? Port.ANY) };
    case 'queue': {
      const { port_no = Port.ANY, queue_id } = body;
      return {
        type: 'queue' as const,
        port_no: port_no === Port.ANY ? v10.Port.ALL : port16Of(port_no),
        queue_id,
      };
    }
    case 'experimenter':
      return { type: 'vendor' as const, ...vendorData(body) };
    default:
      throw badMultipart(`multipart request ${body.type}`);
  }
}

/** @throws OpenFlowError BAD_MULTIPART, BAD_MATCH with a sentence that says what cannot be asked */
export const statsRequestTo10 = ({ xid, flags, body }: MultipartRequestInit): Uint8Array =>
  v10.encode({ type: 'stats_request', xid, flags, body: requestBodyTo10(body) });

// Replies ---------------------------------------------------------------------------------------------------

type FlowStats10 = Extract<StatsReply['body'], { type: 'flow' }>['flows'][number];

function flowFrom10(flow: FlowStats10): FlowStats {
  const { match: match10, actions, ...rest } = flow;
  const match = matchFrom10(match10);
  const applied = actionsForController(actions, match);
  return {
    ...rest,
    flags: 0,
    match,
    instructions: applied.length === 0 ? [] : [{ type: 'apply_actions', actions: applied }],
  };
}

function replyBodyFrom10(body: StatsReply['body'], bytes: Uint8Array): MultipartReply['body'] {
  switch (body.type) {
    case 'desc':
    case 'aggregate':
      return body;
    case 'flow':
      return { type: 'flow', flows: body.flows.map(flowFrom10) };
    case 'table':
      return {
        type: 'table',
        tables: body.tables.map(({ table_id, active_count, lookup_count, matched_count }) => ({
          table_id,
          active_count,
          lookup_count,
          matched_count,
        })),
      };
    case 'port':
      return {
        type: 'port_stats',
        ports: body.ports.map((port) => ({ ...port, port_no: port32(port.port_no), ...UNKNOWN_AGE })),
      };
    case 'queue':
      return {
        type: 'queue',
        queues: body.queues.map((queue) => ({ ...queue, port_no: port32(queue.port_no), ...UNKNOWN_AGE })),
      };
    case 'vendor':
      return { type: 'experimenter', ...experimenterData(body) };
    default:
      return { type: 'experimenter', ...experimenterData(vendorAt(bytes, VENDOR_AT)) };
  }
}

export const statsReplyFrom10 = ({ xid, flags, body }: StatsReply, bytes: Uint8Array): MultipartReply => ({
  type: 'multipart_reply',
  xid,
  flags,
  body: replyBodyFrom10(body, bytes),
});

/** Undefined: an entry that 1.0 has no words for, or of a table that a controller of 1.0 does not see. */
function flowTo10(flow: ReplyBody<'flow'>['flows'][number]) {
  if ((flow.table_id ?? 0) !== 0) return undefined;
  try {
    const { match, instructions, flags: _, ...rest } = flow;
    return {
      ...rest,
      match: matchTo10(match, flow.priority),
      actions: instructionsTo10(instructions, match),
    };
  } catch (error) {
    if (error instanceof OpenFlowError) return undefined;
    throw error;
  }
}

const isDefined = <T>(value: T | undefined): value is T => value !== undefined;

/** Undefined: a port whose number 1.0 has not. */
function numbered<T extends { port_no: number }>(counted: T): T | undefined {
  const port_no = port16(counted.port_no);
  return port_no === undefined ? undefined : { ...counted, port_no };
}

/** Without the times that 1.0 does not count. */
function ageless<T extends { duration_sec?: number; duration_nsec?: number }>({
  duration_sec: _,
  duration_nsec: __,
  ...rest
}: T) {
  return rest;
}

/** What every table of 1.0 is told to have, that 1.3 says by table features. */
export interface TableFacts {
  /** Entries that a table holds. */
  readonly maxEntries: number;
}

const tableTo10 = (table: ReplyBody<'table'>['tables'][number], { maxEntries }: TableFacts) => ({
  ...table,
  name: `table${table.table_id}`,
  wildcards: v10.Wildcard.ALL,
  max_entries: maxEntries,
});

/** Body of the reply with the list as a function of where it begins and ends. */
function replyBodyTo10(
  body: MultipartReplyInit['body'],
  facts: TableFacts,
): [length: number, part: (start: number, end: number) => v10StatsBody] | undefined {
  switch (body.type) {
    case 'desc':
    case 'aggregate':
      return [1, () => body];
    case 'experimenter':
      return [1, () => ({ type: 'vendor', ...vendorData(body) })];
    case 'flow': {
      const flows = body.flows.map(flowTo10).filter(isDefined);
      return [flows.length, (start, end) => ({ type: 'flow', flows: flows.slice(start, end) })];
    }
    case 'table': {
      const tables = body.tables.map((table) => tableTo10(table, facts));
      return [tables.length, (start, end) => ({ type: 'table', tables: tables.slice(start, end) })];
    }
    case 'port_stats': {
      const ports = body.ports.map(numbered).filter(isDefined).map(ageless);
      return [ports.length, (start, end) => ({ type: 'port', ports: ports.slice(start, end) })];
    }
    case 'queue': {
      const queues = body.queues.map(numbered).filter(isDefined).map(ageless);
      return [queues.length, (start, end) => ({ type: 'queue', queues: queues.slice(start, end) })];
    }
    default:
      return undefined;
  }
}
type v10StatsBody = Extract<v10.MessageInit, { type: 'stats_reply' }>['body'];

/**
 * Entries that 1.0 cannot say (of other tables than the first, with groups, IPv6 matches and so on) are left out of
 * flow statistics; aggregates count them.
 * @throws OpenFlowError BAD_MULTIPART for statistics that 1.0 does not have
 */
export function statsReplyTo10(message: MultipartReplyInit, facts: TableFacts): Uint8Array[] {
  const { xid, body } = message;
  const list = replyBodyTo10(body, facts);
  if (list === undefined) throw badMultipart(`multipart reply ${body.type}`);
  const [length, part] = list;
  return encodeInParts(length, ((message.flags ?? 0) & v10.StatsFlag.REPLY_MORE) !== 0, (start, end, flags) =>
    v10.encode({ type: 'stats_reply', xid, flags, body: part(start, end) }),
  );
}
