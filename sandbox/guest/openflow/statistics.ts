/** Multipart requests about the cell's tables, groups and meters (OpenFlow 1.3, section 7.3.5). */
import {
  BadRequestCode,
  ErrorType,
  encode,
  GroupCapability,
  type MessageInitOf,
  type MessageOf,
  Meter as MeterId,
  MeterModFailedCode,
  MultipartFlag,
  OpenFlowError,
  TableFeaturesFailedCode,
  Table as TableNumber,
} from '../../../openflow/index.ts';
import { duration, type FlowEntry, flowStats, TABLES } from './entry.ts';
import { ACTION_BITS, tableFeatures } from './features.ts';
import { type Group, MAX_GROUPS } from './groups.ts';
import { MAX_BANDS, MAX_METERS, type Meter } from './meters.ts';
import type { Parts } from './parts.ts';
import { inPieces, type Steps } from './steps.ts';

type ReplyBody = MessageInitOf<'multipart_reply'>['body'];

const REPLY_HEADER = 16;
/**
 * Length of the list in a multipart reply, unless its first item alone is longer. A quarter of what fits: a reply is a piece of
 * work, and packets go on between two.
 */
const BODY_LENGTH = 16384;
/** Tables described in one reply: a reply of moderate size is less to hold while the controller takes it. */
const FEATURES_PER_REPLY = 16;

/** All four types of groups; drop and DSCP bands; all flags of meters. */
const GROUP_TYPES = 0b1111;
const BAND_TYPES = 0b110;
const METER_FLAGS = 0b1111;

export class Statistics {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Throws OpenFlowError. */
  *answer({ body, xid }: MessageOf<'multipart_request'>): Steps {
    const { tables, groups } = this.parts;
    switch (body.type) {
      case 'flow':
        yield* this.flows(xid, yield* tables.select(checkTable(body)));
        break;
      case 'aggregate':
        this.reply(xid, aggregate(yield* tables.select(checkTable(body))));
        break;
      case 'table':
        this.reply(xid, this.tables());
        break;
      case 'table_features':
        yield* this.tableFeatures(xid, body.tables.length > 0);
        break;
      case 'group':
        yield* this.groups(xid, groups.select(body.group_id));
        break;
      case 'group_desc':
        yield* this.inParts(xid, groups.all(), (part) => ({
          type: 'group_desc',
          groups: part.map(describeGroup),
        }));
        break;
      case 'group_features':
        this.reply(xid, GROUP_FEATURES);
        break;
      case 'meter':
        yield* this.meters(xid, this.selectMeters(body.meter_id));
        break;
      case 'meter_config':
        yield* this.inParts(xid, this.selectMeters(body.meter_id), (part) => ({
          type: 'meter_config',
          meters: part.map(({ id, flags, given }) => ({ meter_id: id, flags, bands: [...given] })),
        }));
        break;
      case 'meter_features':
        this.reply(xid, METER_FEATURES);
        break;
      default:
        throw badRequest(BadRequestCode.BAD_MULTIPART, `a cell has no ${body.type} statistics`);
    }
  }

  private *flows(xid: number, entries: readonly FlowEntry[]): Steps {
    const now = this.parts.clock.ms;
    yield* this.inParts(
      xid,
      entries,
      (part) => ({ type: 'flow', flows: part.map((entry) => flowStats(entry, now)) }),
      (entry) => entry.statsLength,
    );
  }

  private tables(): ReplyBody {
    const { tables } = this.parts;
    const all = Array.from({ length: TABLES }, (_, tableId) => ({
      table_id: tableId,
      active_count: tables.activeCount(tableId),
      lookup_count: BigInt(tables.lookups[tableId] ?? 0),
      matched_count: BigInt(tables.matches[tableId] ?? 0),
    }));
    return { type: 'table', tables: all };
  }

  /** A controller may ask to change features; tables here have them all, and none can be taken away. */
  private *tableFeatures(xid: number, changes: boolean): Steps {
    if (changes) {
      const code = TableFeaturesFailedCode.EPERM;
      throw new OpenFlowError(ErrorType.TABLE_FEATURES_FAILED, code, 'tables cannot be configured');
    }
    for (let first = 0; first < TABLES; first += FEATURES_PER_REPLY) {
      const next = Math.min(first + FEATURES_PER_REPLY, TABLES);
      const tables = [];
      for (let id = first; id < next; id++) tables.push(tableFeatures(id, this.parts.tables.limit));
      this.reply(xid, { type: 'table_features', tables }, next < TABLES);
      if (next < TABLES) yield 'open';
    }
  }

  private *groups(xid: number, groups: readonly Group[]): Steps {
    const { clock } = this.parts;
    const references = yield* this.countEntries((entry) => entry.compiled.groups);
    for (const group of this.parts.groups.all()) for (const id of group.forwardsTo) add(references, id);
    const counts = ({ packets, bytes }: { packets: number; bytes: number }) => ({
      packet_count: BigInt(packets),
      byte_count: BigInt(bytes),
    });
    yield* this.inParts(xid, groups, (part) => ({
      type: 'group',
      groups: part.map((group) => ({
        group_id: group.id,
        ref_count: references.get(group.id) ?? 0,
        ...counts(group),
        ...duration(group, clock.ms),
        bucket_stats: group.buckets.map(counts),
      })),
    }));
  }

  private *meters(xid: number, meters: readonly Meter[]): Steps {
    const { clock } = this.parts;
    const flows = yield* this.countEntries((entry) => [entry.compiled.meter]);
    yield* this.inParts(xid, meters, (part) => ({
      type: 'meter',
      meters: part.map((meter) => ({
        meter_id: meter.id,
        flow_count: flows.get(meter.id) ?? 0,
        packet_in_count: BigInt(meter.packets),
        byte_in_count: BigInt(meter.bytes),
        ...duration(meter, clock.ms),
        band_stats: meter.bands.map(({ packets, bytes }) => ({
          packet_band_count: BigInt(packets),
          byte_band_count: BigInt(bytes),
        })),
      })),
    }));
  }

  /** How many entries there are of each number that `numbersOf` an entry gives. */
  private *countEntries(numbersOf: (entry: FlowEntry) => readonly number[]): Steps<Map<number, number>> {
    const counts = new Map<number, number>();
    yield* inPieces(this.parts.tables.all(), 'closed', (entry) => {
      for (const number of numbersOf(entry)) add(counts, number);
    });
    return counts;
  }

  private selectMeters(id: number): Meter[] {
    const meters = this.parts.meters.select(id);
    if (meters.length > 0 || id === MeterId.ALL) return meters;
    const code = MeterModFailedCode.UNKNOWN_METER;
    throw new OpenFlowError(ErrorType.METER_MOD_FAILED, code, `there is no meter ${id}`);
  }

  /** Items in replies of moderate length, all but the last with the MORE flag. */
  private *inParts<T>(
    xid: number,
    items: readonly T[],
    body: (part: readonly T[]) => ReplyBody,
    sizeOf = (item: T) => encode({ type: 'multipart_reply', body: body([item]) }).length - REPLY_HEADER,
  ): Steps {
    let start = 0;
    for (;;) {
      let end = start;
      for (let size = 0; end < items.length; end++) {
        size += sizeOf(items[end]);
        if (size > BODY_LENGTH && end > start) break;
      }
      this.reply(xid, body(items.slice(start, end)), end < items.length);
      if (end === items.length) return;
      start = end;
      yield 'open';
    }
  }

  private reply(xid: number, body: ReplyBody, more = false): void {
    this.parts.send({ type: 'multipart_reply', xid, flags: more ? MultipartFlag.MORE : 0, body });
  }
}

const GROUP_FEATURES: ReplyBody = {
  type: 'group_features',
  types: GROUP_TYPES,
  capabilities:
    GroupCapability.SELECT_WEIGHT |
    GroupCapability.SELECT_LIVENESS |
    GroupCapability.CHAINING |
    GroupCapability.CHAINING_CHECKS,
  max_groups: [MAX_GROUPS, MAX_GROUPS, MAX_GROUPS, MAX_GROUPS],
  actions: [ACTION_BITS, ACTION_BITS, ACTION_BITS, ACTION_BITS],
};

const METER_FEATURES: ReplyBody = {
  type: 'meter_features',
  max_meter: MAX_METERS,
  band_types: BAND_TYPES,
  capabilities: METER_FLAGS,
  max_bands: MAX_BANDS,
};

function add(counts: Map<number, number>, number: number): void {
  counts.set(number, (counts.get(number) ?? 0) + 1);
}

function describeGroup({ id, type, buckets }: Group) {
  return { group_id: id, group_type: type, buckets: buckets.map(({ given }) => given) };
}

function aggregate(entries: readonly FlowEntry[]): ReplyBody {
  const sum = (of: (entry: FlowEntry) => number) => entries.reduce((total, entry) => total + of(entry), 0);
  return {
    type: 'aggregate',
    packet_count: BigInt(sum((entry) => entry.packets)),
    byte_count: BigInt(sum((entry) => entry.bytes)),
    flow_count: entries.length,
  };
}

function badRequest(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_REQUEST, code, text);
}

function checkTable<T extends { table_id: number }>(body: T): T {
  if (body.table_id < TABLES || body.table_id === TableNumber.ALL) return body;
  throw badRequest(BadRequestCode.BAD_TABLE_ID, `tables go from 0 to ${TABLES - 1}`);
}
