/** The flow tables of a cell: entries by match and priority, and what FLOW_MOD and statistics select of them. */
import {
  ErrorType,
  FlowModFailedCode,
  Group,
  type Match,
  OpenFlowError,
  Port,
} from '../../../openflow/index.ts';
import { Classifier } from '../../../packet/index.ts';
import { type CompiledMatch, compileMatch } from '../../match.ts';
import { type FlowEntry, meansTable, TABLES } from './entry.ts';

/** Entries in all tables of one cell. */
export const MAX_ENTRIES = 65536;

export class Table {
  readonly classifier = new Classifier<FlowEntry>();
  readonly entries = new Set<FlowEntry>();
}

/** Which entries a delete, modify or statistics request means. */
export interface Filter {
  table_id: number;
  out_port: number;
  out_group: number;
  cookie: bigint;
  cookie_mask: bigint;
  match: Match;
}

export class Tables {
  /** Made when first used. */
  private readonly tables = new Array<Table | undefined>(TABLES).fill(undefined);
  /** Packets looked up and matched, per table. */
  readonly lookups = new Float64Array(TABLES);
  readonly matches = new Float64Array(TABLES);
  size = 0;

  at(tableId: number): Table | undefined {
    return this.tables[tableId];
  }

  activeCount(tableId: number): number {
    return this.tables[tableId]?.entries.size ?? 0;
  }

  /** The entry with this very match and priority. */
  find(tableId: number, match: CompiledMatch, priority: number): FlowEntry | undefined {
    return this.tables[tableId]?.classifier.get(match.value, match.mask, priority);
  }

  /** Adds an entry, in place of one with the same match and priority, which is returned. */
  insert(entry: FlowEntry): FlowEntry | undefined {
    this.tables[entry.tableId] ??= new Table();
    const table = this.tables[entry.tableId]!;
    const old = this.find(entry.tableId, entry, entry.priority);
    if (old === undefined && this.size >= MAX_ENTRIES) {
      throw new OpenFlowError(
        ErrorType.FLOW_MOD_FAILED,
        FlowModFailedCode.TABLE_FULL,
        `a cell holds ${MAX_ENTRIES} entries at most`,
      );
    }
    table.classifier.insert(entry.value, entry.mask, entry.priority, entry);
    if (old !== undefined) table.entries.delete(old);
    else this.size++;
    table.entries.add(entry);
    return old;
  }

  remove(entry: FlowEntry): void {
    const table = this.tables[entry.tableId];
    if (table === undefined || !table.entries.delete(entry)) return;
    table.classifier.remove(entry.value, entry.mask, entry.priority);
    this.size--;
  }

  /** Whether a packet could match both this and an entry of the same table and priority. */
  overlaps(tableId: number, match: CompiledMatch, priority: number): boolean {
    for (const entry of this.tables[tableId]?.entries ?? []) {
      if (entry.priority === priority && overlap(entry, match)) return true;
    }
    return false;
  }

  /** Entries at least as specific as the filter's match, with its cookie and outputs. */
  select(filter: Filter): FlowEntry[] {
    const wanted = compileMatch(filter.match);
    const selected: FlowEntry[] = [];
    for (let tableId = 0; tableId < TABLES; tableId++) {
      if (!meansTable(filter.table_id, tableId)) continue;
      for (const entry of this.tables[tableId]?.entries ?? []) {
        if (covers(wanted, entry) && passes(filter, entry)) selected.push(entry);
      }
    }
    return selected;
  }

  /** The one entry with the filter's match and this priority in each table meant. */
  selectStrict(filter: Filter, priority: number): FlowEntry[] {
    const wanted = compileMatch(filter.match);
    const selected: FlowEntry[] = [];
    for (let tableId = 0; tableId < TABLES; tableId++) {
      if (!meansTable(filter.table_id, tableId)) continue;
      const entry = this.find(tableId, wanted, priority);
      if (entry !== undefined && passes(filter, entry)) selected.push(entry);
    }
    return selected;
  }
}

function passes(filter: Filter, entry: FlowEntry): boolean {
  if (((entry.cookie ^ filter.cookie) & filter.cookie_mask) !== 0n) return false;
  if (filter.out_port !== Port.ANY && !entry.outputsTo(filter.out_port)) return false;
  // There are no groups, so no entry sends to one.
  return filter.out_group === Group.ANY;
}

/** Every packet of `inner` is one of `outer` too, field by field. */
function covers(outer: CompiledMatch, inner: CompiledMatch): boolean {
  for (let i = 0; i < outer.mask.length; i++) {
    const mask = outer.mask[i];
    if (((inner.mask[i] & mask) ^ mask) !== 0 || ((inner.value[i] ^ outer.value[i]) & mask) !== 0)
      return false;
  }
  return true;
}

function overlap(x: CompiledMatch, y: CompiledMatch): boolean {
  for (let i = 0; i < x.mask.length; i++) {
    if (((x.value[i] ^ y.value[i]) & x.mask[i] & y.mask[i]) !== 0) return false;
  }
  return true;
}
