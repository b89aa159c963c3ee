/** The learning switch in flow mode: one cell per flow. */

import type {
  CellRecord,
  CellStatus,
  Datapath,
  FlowAnswer,
  FlowDecision,
  FlowEntry,
  FlowQuery,
  PacketIn,
} from '../controller/index.ts';
import { type Match, Port } from '../openflow/index.ts';
import { addressesIn, addressesOf, type Forwarding, forward } from './forwarding.ts';
import type { Switching, SwitchingOptions } from './learning-switch.ts';
import { isGroup, type Learned, MacTable, stationKey } from './mac-table.ts';

/** More specific matches win: a rule for fragments (no ports in its match) must not swallow a connection. */
const BASE_PRIORITY = 100;
const ENTRY_PRIORITY = 10;
/** Bytes of a packet that comes by an unexpected port: enough for the addresses. */
const MISS_BYTES = 64;

/** Entry for whatever comes by a port no entry names: a station has moved, the controller wants to know. */
const REPORT_MOVE: FlowEntry = {
  priority: 0,
  actions: [{ type: 'output', port: Port.CONTROLLER, max_len: MISS_BYTES }],
};

const output = (port: number) => [{ type: 'output' as const, port }];

export class FlowSwitch implements Switching {
  readonly macs: MacTable;
  readonly #datapath: Datapath;
  readonly #options: SwitchingOptions;
  readonly #wanted: ReadonlySet<string>;
  /** Cookies of the rules that concern a station, and of those that flood because it was unknown. */
  readonly #rules = new Map<string, Set<bigint>>();
  readonly #floods = new Map<string, Set<bigint>>();

  constructor(datapath: Datapath, options: SwitchingOptions) {
    this.#datapath = datapath;
    this.#options = options;
    this.#wanted = new Set(['in_port', ...options.fields]);
    this.macs = new MacTable(options.macs);
  }

  onFlow(query: FlowQuery): FlowDecision {
    const frame = addressesIn(query.match) ?? addressesOf(query.data);
    if (frame === undefined) return { refuse: true };
    const way = forward(this.macs, query.inPort, frame, this.#options.now());
    this.#relearned(way.learned, stationKey(frame.vlan, frame.src));
    return way.to === 'nowhere' ? { refuse: true } : this.#answer(query, way);
  }

  onRule(_datapath: Datapath, rule: CellRecord): void {
    const frame = addressesIn(rule.match);
    if (frame === undefined) return;
    const dst = stationKey(frame.vlan, frame.dst);
    index(this.#rules, stationKey(frame.vlan, frame.src), rule.cookie);
    if (isGroup(frame.dst)) return;
    index(this.#rules, dst, rule.cookie);
    if (rule.entries.some(floods)) index(this.#floods, dst, rule.cookie);
  }

  onCellStatus(_datapath: Datapath, { state, record }: CellStatus): void {
    if (state === 'ready') {
      if (record.adopted) this.#adopt(record);
    } else if (state === 'removed' || state === 'failed') {
      this.#forgetRule(record);
    }
  }

  /** A cell got a packet by a port that its entries do not name. */
  onPacketIn(_datapath: Datapath, packetIn: PacketIn): void {
    const inPort = packetIn.match.in_port;
    const frame = addressesOf(packetIn.data);
    if (frame === undefined || inPort === undefined) return;
    const learned = this.macs.learn(frame.vlan, frame.src, inPort, this.#options.now());
    this.#relearned(learned, stationKey(frame.vlan, frame.src));
  }

  portGone(port: number): void {
    for (const key of this.macs.forgetPort(port)) this.#removeAll(this.#rules, key);
  }

  #answer(query: FlowQuery, way: Exclude<Forwarding, { to: 'nowhere' }>): FlowAnswer {
    const { inPort } = query;
    const match = this.#project(query.match);
    const answer: FlowAnswer = {
      match,
      priority: BASE_PRIORITY + Object.keys(match).length,
      idle_timeout: this.#options.idle_timeout,
      entries: [],
    };
    if (this.#options.wall !== undefined) answer.wall = this.#options.wall;
    if (this.#options.memoryMiB !== undefined) answer.cells = [{ memoryMiB: this.#options.memoryMiB }];
    if (way.to === 'port') {
      answer.bothDirections = true;
      answer.entries = [
        { priority: ENTRY_PRIORITY, match: { in_port: inPort }, actions: output(way.port) },
        { priority: ENTRY_PRIORITY, match: { in_port: way.port }, actions: output(inPort) },
        REPORT_MOVE,
      ];
    } else {
      const actions = way.to === 'flood' ? output(Port.FLOOD) : [];
      answer.entries = [{ priority: ENTRY_PRIORITY, match: { in_port: inPort }, actions }];
    }
    return answer;
  }

  /** The query's match without fields that only other apps asked for. */
  #project(match: Match): Match {
    const fields = match as Record<string, unknown>;
    let same = true;
    for (const name in fields) same &&= this.#wanted.has(name);
    if (same) return match;
    return Object.fromEntries(Object.entries(fields).filter(([name]) => this.#wanted.has(name))) as Match;
  }

  /** After a restart of the controller: the entries of living cells say where stations are. */
  #adopt(record: CellRecord): void {
    const frame = addressesIn(record.match);
    if (frame === undefined) return;
    this.onRule(this.#datapath, record);
    const now = this.#options.now();
    let stale = record.entries.some(floods) && this.macs.lookup(frame.vlan, frame.dst, now) !== undefined;
    for (const { match } of record.entries) {
      const inPort = match?.in_port;
      if (inPort === undefined) continue;
      const mac = inPort === record.match.in_port ? frame.src : frame.dst;
      const port = this.macs.lookup(frame.vlan, mac, now);
      if (port === undefined)
        this.#relearned(this.macs.learn(frame.vlan, mac, inPort, now), stationKey(frame.vlan, mac));
      else if (port !== inPort) stale = true;
    }
    if (stale) this.#remove(record.cookie);
  }

  /** Rules that are wrong now go; the flows' next packets lead to new ones. */
  #relearned(learned: Learned, key: string): void {
    if (learned === 'new') this.#removeAll(this.#floods, key);
    else if (learned === 'moved') this.#removeAll(this.#rules, key);
  }

  #removeAll(indexed: Map<string, Set<bigint>>, key: string): void {
    const cookies = indexed.get(key);
    if (cookies === undefined) return;
    for (const cookie of [...cookies]) this.#remove(cookie);
    indexed.delete(key);
  }

  #remove(cookie: bigint): void {
    const rule = this.#datapath.rules.get(cookie);
    this.#datapath.removeRule(cookie);
    if (rule !== undefined) this.#forgetRule(rule);
  }

  #forgetRule(rule: CellRecord): void {
    const frame = addressesIn(rule.match);
    if (frame === undefined) return;
    for (const mac of [frame.src, frame.dst]) {
      const key = stationKey(frame.vlan, mac);
      unindex(this.#rules, key, rule.cookie);
      unindex(this.#floods, key, rule.cookie);
    }
  }
}

function floods(entry: FlowEntry): boolean {
  const actions =
    entry.actions ??
    entry.instructions?.flatMap((instruction) =>
      instruction.type === 'apply_actions' ? instruction.actions : [],
    );
  return actions?.some((action) => action.type === 'output' && action.port === Port.FLOOD) ?? false;
}

function index(indexed: Map<string, Set<bigint>>, key: string, cookie: bigint): void {
  const cookies = indexed.get(key);
  if (cookies === undefined) indexed.set(key, new Set([cookie]));
  else cookies.add(cookie);
}

function unindex(indexed: Map<string, Set<bigint>>, key: string, cookie: bigint): void {
  const cookies = indexed.get(key);
  if (cookies === undefined) return;
  cookies.delete(cookie);
  if (cookies.size === 0) indexed.delete(key);
}
