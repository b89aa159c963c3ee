/** The flow tables of a cell: entries by match and priority, and what FLOW_MOD and statistics select of them. */
import {
  ErrorType,
  FlowModFailedCode,
  Group,
  type Match,
  OpenFlowError,
  Port,
  Table as TableNumber,
} from '../../../openflow/index.ts';
import { Classifier, K } from '../../../packet/index.ts';
import { type CompiledMatch, compileMatch } from '../../match.ts';
import { directLookup, MAX_DIRECT_ENTRIES } from './direct-lookup.ts';
import { type FlowEntry, meansTable, TABLES } from './entry.ts';
import { type Steps, selectInPieces } from './steps.ts';

/** Entries in all tables of one cell. */
export const MAX_ENTRIES = 65536;

/** Look-ups since its last change after which a small table is compiled. */
export const COMPILE_AFTER = 256;

export class Table {
  readonly entries = new Set<FlowEntry>();
  /** All of them by descending priority, as long as there are no more than it takes no longer to compare one by one. */
  private few: FlowEntry[] | undefined = [];
  /** All of them, once there were more. */
  private classifier: Classifier<FlowEntry> | undefined;
  private direct: ((key: Uint32Array) => FlowEntry | undefined) | undefined;
  /** Look-ups till the table is compiled; 0: it has too many entries. */
  private untilDirect = 0;
  private readonly compileAfter: number;
  /** Entries that match on the IPv6 flow label. */
  flowLabels = 0;

  constructor(compileAfter: number) {
    this.compileAfter = compileAfter;
  }

  /** The entry of highest priority that matches. */
  lookup(key: Uint32Array): FlowEntry | undefined {
    if (this.direct !== undefined) return this.direct(key);
    if (this.untilDirect > 0 && --this.untilDirect === 0) this.direct = directLookup(this.entries);
    return this.few === undefined ? this.classifier!.lookup(key) : firstMatch(this.few, key);
  }

  /** The entry with this very match and priority. */
  find(match: CompiledMatch, priority: number): FlowEntry | undefined {
    if (this.few === undefined) return this.classifier!.get(match.value, match.mask, priority);
    for (const entry of this.few) if (entry.priority === priority && sameMatch(entry, match)) return entry;
    return undefined;
  }

  /** Adds an entry, in place of one with the same match and priority, which is returned. */
  insert(entry: FlowEntry): FlowEntry | undefined {
    const old = this.few === undefined ? this.classify(entry) : this.insertFew(this.few, entry);
    if (old !== undefined) this.entries.delete(old);
    else if (entry.mask[K.FLABEL] !== 0) this.flowLabels++;
    this.entries.add(entry);
    this.changed();
    return old;
  }

  private insertFew(few: FlowEntry[], entry: FlowEntry): FlowEntry | undefined {
    let at = 0;
    for (; at < few.length && few[at].priority >= entry.priority; at++) {
      const other = few[at];
      if (other.priority !== entry.priority || !sameMatch(other, entry)) continue;
      few[at] = entry;
      return other;
    }
    if (few.length === MAX_DIRECT_ENTRIES) {
      this.few = undefined;
      this.classifier = new Classifier<FlowEntry>();
      for (const other of few) this.classify(other);
      return this.classify(entry);
    }
    few.splice(at, 0, entry);
    return undefined;
  }

  private classify(entry: FlowEntry): FlowEntry | undefined {
    const classifier = this.classifier!;
    const old = classifier.insert(entry.value, entry.mask, entry.priority, entry);
    // A quarter of what a simple entry takes.
    entry.mask = classifier.sharedMask(entry.mask);
    return old;
  }

  /** False: it is not (any more) in the table. */
  remove(entry: FlowEntry): boolean {
    if (!this.entries.delete(entry)) return false;
    if (entry.mask[K.FLABEL] !== 0) this.flowLabels--;
    this.changed();
    if (this.few === undefined) this.classifier!.remove(entry.value, entry.mask, entry.priority);
    else this.few.splice(this.few.indexOf(entry), 1);
    return true;
  }

  private changed(): void {
    this.direct = undefined;
    this.untilDirect = this.entries.size <= MAX_DIRECT_ENTRIES ? this.compileAfter : 0;
  }
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
  readonly limit: number;
  private readonly compileAfter: number;

  constructor(compileAfter = COMPILE_AFTER, limit = MAX_ENTRIES) {
    this.compileAfter = compileAfter;
    this.limit = limit;
  }

  at(tableId: number): Table | undefined {
    return this.tables[tableId];
  }

  /** Whether what comes of a look-up in the table may depend on the IPv6 flow label. */
  readsFlowLabel(tableId: number): boolean {
    const table = this.tables[tableId];
    return table !== undefined && table.flowLabels > 0;
  }

  activeCount(tableId: number): number {
    return this.tables[tableId]?.entries.size ?? 0;
  }

  get full(): boolean {
    return this.size >= this.limit;
  }

  /** Percent of the entries that are free. */
  get vacancy(): number {
    return Math.floor(((this.limit - this.size) * 100) / this.limit);
  }

  *all(): Generator<FlowEntry> {
    for (const table of this.tables) if (table !== undefined) yield* table.entries;
  }

  /** The entry with this very match and priority. */
  find(tableId: number, match: CompiledMatch, priority: number): FlowEntry | undefined {
    return this.tables[tableId]?.find(match, priority);
  }

  /** Adds an entry, in place of one with the same match and priority, which is returned. */
  insert(entry: FlowEntry): FlowEntry | undefined {
    this.tables[entry.tableId] ??= new Table(this.compileAfter);
    const table = this.tables[entry.tableId]!;
    if (this.full && this.find(entry.tableId, entry, entry.priority) === undefined) {
      throw new OpenFlowError(
        ErrorType.FLOW_MOD_FAILED,
        FlowModFailedCode.TABLE_FULL,
        `a cell holds ${this.limit} entries at most`,
      );
    }
    const old = table.insert(entry);
    if (old === undefined) this.size++;
    return old;
  }

  remove(entry: FlowEntry): void {
    if (this.tables[entry.tableId]?.remove(entry)) this.size--;
  }

  /** Whether a packet could match both this and an entry of the same table and priority. */
  *overlaps(tableId: number, match: CompiledMatch, priority: number): Steps<boolean> {
    const overlapping = yield* selectInPieces(
      this.tables[tableId]?.entries ?? [],
      (entry) => entry.priority === priority && overlap(entry, match),
    );
    return overlapping.length > 0;
  }

  /** Entries at least as specific as the filter's match, with its cookie and outputs. */
  *select(filter: Filter): Steps<FlowEntry[]> {
    const wanted = compileMatch(filter.match);
    const entries = filter.table_id === TableNumber.ALL ? this.all() : this.at(filter.table_id)?.entries;
    return yield* selectInPieces(entries ?? [], (entry) => covers(wanted, entry) && passes(filter, entry));
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
  return filter.out_group === Group.ANY || entry.usesGroup(filter.out_group);
}

function firstMatch(entries: readonly FlowEntry[], key: Uint32Array): FlowEntry | undefined {
  search: for (let i = 0; i < entries.length; i++) {
    const { value, mask, maskEnd } = entries[i];
    for (let word = 0; word < maskEnd; word++) {
      if ((((key[word] & mask[word]) ^ value[word]) | 0) !== 0) continue search;
    }
    return entries[i];
  }
  return undefined;
}

function sameMatch(x: CompiledMatch, y: CompiledMatch): boolean {
  for (let i = 0; i < x.mask.length; i++) {
    if (x.mask[i] !== y.mask[i] || x.value[i] !== y.value[i]) return false;
  }
  return true;
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
