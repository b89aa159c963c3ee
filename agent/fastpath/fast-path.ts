/**
 * The kernel fast path of a device: flows whose verdicts may be cached are forwarded by the kernel, as long as nothing
 * changes that their verdicts came from; and everything that counts packets counts theirs (docs/fast-path.md).
 */
import type { Logger } from 'pino';
import { DispatchFlag, Port as PortNumber } from '../../openflow/index.ts';
import { extractKey, K } from '../../packet/index.ts';
import { DATA_MAX, NO_QUEUE, SLOT_FLAG, TX_KIND } from '../../sandbox/channel/layout.ts';
import type { Verdict } from '../../sandbox/client/types.ts';
import type { CompiledMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';
import type { Clock } from '../clock.ts';
import { isForwarding, type PortSet } from '../dispatcher/output.ts';
import type { Rule, RuleTable } from '../dispatcher/rules.ts';
import type { Frame } from '../ports/frames.ts';
import { NO_FLOOD, type Port } from '../ports/port.ts';
import { BpfError } from './bpf.ts';
import {
  type CachedFlow,
  CachedFlows,
  CellFlows,
  type Credit,
  MAX_OUTPUTS,
  newDispatchKey,
  newKey,
} from './cached-flow.ts';
import { Edits } from './edits.ts';
import { Elephants } from './elephants.ts';
import { emptyShape, hashOf, shapeOf, writeKey } from './flow-key.ts';
import { ENTRY, KEY, KEY_BYTES } from './layout.ts';

/** The kernel's maps and programs (maps.ts); tests have others. */
export interface Kernel {
  readonly size: number;
  insert(key: Uint8Array, index: number, entry: Uint8Array): void;
  remove(key: Uint8Array): void;
  packets(index: number): number;
  bytes(index: number): number;
  lastMs(index: number): number;
  close(): void;
}

/** The network interface behind a port. */
export interface Wire {
  readonly index: number;
  readonly mtu: number;
}

export interface FastPathLimits {
  /** Flows in all, and of one tenant. */
  flows: number;
  perTenant: number;
  /** Packets within `windowMs` that make a flow worth an entry. */
  threshold: number;
  windowMs: number;
  /** An entry that had no packets for so long is taken out, ms. */
  idleMs: number;
}

export const DEFAULT_FAST_PATH: FastPathLimits = {
  flows: 32_768,
  perTenant: 32_768,
  threshold: 8,
  windowMs: 2000,
  idleMs: 10_000,
};

export interface FastPathOptions {
  readonly limits?: Partial<FastPathLimits>;
  readonly rules: RuleTable;
  readonly ports: PortSet;
  readonly clock: Clock;
  /** The cell that takes packets without a rule; undefined: none does. */
  readonly cellWithoutRule: () => CellRecord | undefined;
  mayUse(tenant: number, port: number): boolean;
  /** Undefined: packets of or for this port are not the kernel's. */
  wireOf(port: Port): Wire | undefined;
  /** Makes maps and programs and puts them at the ports. Throws BpfError or PortError. */
  open(flows: number): Kernel;
  readonly logger: Logger;
}

/** How many flows are looked at for the one that makes room for another. */
const SAMPLE = 16;
const FOLD_MS = 1000;

/** CLOCK_MONOTONIC minus the agent's clock, ms. */
const MONOTONIC = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Words of a key that another packet of the same flow may have others of, or that tables write. */
const UNKNOWN_WORDS = new Set<number>([K.METADATA_HI, K.METADATA_LO, K.TUNNEL_HI, K.TUNNEL_LO, K.FLABEL]);

export class FastPath {
  readonly counters = {
    /** Packets and bytes that the kernel forwarded. */
    hitPackets: 0,
    hitBytes: 0,
    /** Packets that were cells' although their verdicts may be cached. */
    missed: 0,
    inserted: 0,
    /** Entries taken out: for another's sake, after a time without packets, by a change. */
    evicted: 0,
    idle: 0,
    flushed: 0,
    /** Flows that were worth it, and stayed with their cell: what it does with them cannot be said in an entry. */
    inexpressible: 0,
    /** The verdict was made before something changed. */
    outdated: 0,
    /** There are as many as there may be, and none of those looked at was idle. */
    refused: 0,
    /** The kernel refused an entry. */
    failed: 0,
  };
  readonly #options: FastPathOptions;
  readonly #limits: FastPathLimits;
  readonly #elephants: Elephants;
  readonly #flows = new CachedFlows();
  readonly #perTenant = new Map<number, number>();
  readonly #shape = emptyShape();
  readonly #key = newKey();
  readonly #keyWords = new Int32Array(this.#key.buffer);
  readonly #dispatchKey = newDispatchKey();
  readonly #edits = new Edits();
  readonly #outputs: Port[] = [];
  #kernel: Kernel | undefined;
  /** BPF cannot be had here: said once, and not tried again. */
  #unavailable = false;
  #free: number[] = [];
  /** Taken out since the last sweep: packets may be going by their entries still, and are counted then. */
  #leaving: CachedFlow[] = [];
  #foldedAt = 0;

  constructor(options: FastPathOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_FAST_PATH, ...options.limits };
    this.#elephants = new Elephants(this.#limits.threshold, this.#limits.windowMs);
  }

  get size(): number {
    return this.#flows.all.length;
  }

  get state(): 'unavailable' | 'waiting' | 'running' {
    if (this.#unavailable) return 'unavailable';
    return this.#kernel === undefined ? 'waiting' : 'running';
  }

  /** A record from a cell, before its frame is let go. */
  observe(cell: CellRecord, verdict: Verdict<Frame>): void {
    if (this.#unavailable) return;
    const { frame } = verdict;
    const state = cell.flows;
    if (!verdict.last) {
      collect(state ?? this.#stateOf(cell), verdict);
      return;
    }
    if (state?.frame === frame) collect(state, verdict);
    if (verdict.cacheable && (frame.flags & SLOT_FLAG.PACKET_OUT) === 0 && mayCache(cell))
      this.#consider(cell, verdict);
    if (state !== undefined) state.frame = undefined;
  }

  /**
   * A message is about to be sent to a cell that may change its verdicts about packets that match in this table;
   * `match` undefined: about any.
   */
  changing(cell: CellRecord, tableId: number, match: CompiledMatch | undefined): void {
    const state = cell.flows;
    if (state === undefined) return;
    // What edits did to a packet before it came to a later table is not known here.
    const near = match === undefined || tableId > 0 ? [...state.flows] : this.#flows.near(match);
    for (const flow of near) {
      if (flow.cell !== cell) continue;
      const isMeant =
        match === undefined || (tableId > 0 && flow.edited) || mayMatch(match, flow.dispatchKey);
      if (isMeant) this.#remove(flow, 'flushed');
    }
    this.#tellCredits(cell, state);
  }

  /** The cell is told what was counted up to now: statistics are asked of it. */
  settle(cell: CellRecord): void {
    const state = cell.flows;
    if (state === undefined) return;
    for (const flow of state.flows) this.#fold(flow);
    this.#tellCredits(cell, state);
  }

  /** A cell asks for paths of its to be forgotten, all of them (`force`) or those without new packets. */
  release(cell: CellRecord, token: number, paths: readonly number[], force: boolean): void {
    const state = cell.flows ?? this.#stateOf(cell);
    const credits = paths.map((path) => {
      const flows = state.byPath.get(path);
      for (const flow of flows ?? []) this.#fold(flow);
      const credit = state.credits.get(path);
      state.credits.delete(path);
      const isKept = flows !== undefined && credit !== undefined && !force;
      if (!isKept) for (const flow of [...(flows ?? [])]) this.#remove(flow, 'flushed');
      // What came in between.
      const rest = state.credits.get(path);
      state.credits.delete(path);
      return { path, cached: isKept, credit: merged(credit, rest) };
    });
    cell.control.credit(token, credits);
  }

  /** The cell is gone, or may not cache any more. */
  drop(cell: CellRecord): void {
    const state = cell.flows;
    if (state === undefined) return;
    for (const flow of state.flows) this.#remove(flow, 'flushed');
    if (cell.phase === 'ended') cell.flows = undefined;
  }

  /** A rule was added: packets that are its own must come to it. */
  ruleAdded(rule: Rule): void {
    if (this.#flows.all.length === 0) return;
    for (const match of [rule.forward, rule.reverse]) {
      if (match === undefined) continue;
      for (const flow of this.#flows.near(match)) {
        if (mayMatch(match, flow.dispatchKey)) this.#remove(flow, 'flushed');
      }
    }
  }

  /** Counts the packets of a rule's flows that the kernel has forwarded. */
  foldCell(cell: CellRecord | undefined): void {
    for (const flow of cell?.flows?.flows ?? []) this.#fold(flow);
  }

  /** Counts everything. */
  fold(): void {
    const { all } = this.#flows;
    for (let i = 0; i < all.length; i++) this.#fold(all[i]);
  }

  /** Ports, or where packets without a rule go, are not what they were. */
  flush(): void {
    for (const flow of [...this.#flows.all]) this.#remove(flow, 'flushed');
  }

  /** A few times a second. */
  sweep(now: number): void {
    for (const flow of this.#leaving.splice(0)) {
      this.#fold(flow);
      this.#free.push(flow.index);
    }
    if (now - this.#foldedAt < FOLD_MS) return;
    this.#foldedAt = now;
    this.fold();
    const idleSince = now + MONOTONIC - this.#limits.idleMs;
    for (const flow of [...this.#flows.all]) if (flow.lastMs < idleSince) this.#remove(flow, 'idle');
  }

  stop(): void {
    this.flush();
    this.#kernel?.close();
    this.#kernel = undefined;
    this.#unavailable = true;
  }

  #stateOf(cell: CellRecord): CellFlows {
    cell.flows ??= new CellFlows();
    return cell.flows;
  }

  #consider(cell: CellRecord, verdict: Verdict<Frame>): void {
    const { frame } = verdict;
    const { bytes, offset, length, inPort } = frame;
    this.counters.missed++;
    if (!shapeOf(bytes, offset, length, this.#shape)) return;
    writeKey(bytes, offset, this.#shape, inPort, this.#key);
    const hash = hashOf(this.#keyWords);
    const { now } = this.#options.clock;
    if (!this.#elephants.seen(hash, now)) return;
    if (!this.#promote(cell, verdict, hash)) this.#elephants.forget(hash, now);
  }

  /** False: not now. */
  #promote(cell: CellRecord, verdict: Verdict<Frame>, hash: number): boolean {
    const state = this.#stateOf(cell);
    if (verdict.path === 0 && !state.told && namesPaths(cell)) {
      state.told = true;
      cell.control.namePaths();
      return true;
    }
    // Named too late, or the cell has seen fewer changes than were sent.
    if ((verdict.path === 0 && namesPaths(cell)) || verdict.modifications !== cell.control.modifications) {
      this.counters.outdated++;
      return false;
    }
    const inPort = this.#options.ports.get(verdict.frame.inPort);
    const from = inPort === undefined ? undefined : this.#options.wireOf(inPort);
    if (inPort === undefined || from === undefined) return false;
    this.#setInterface(from.index);
    if (this.#flows.find(hash, this.#key) !== undefined) return true;
    if (!this.#isItsCells(cell, verdict.frame)) {
      this.counters.outdated++;
      return false;
    }
    const entry = this.#entryFor(cell, verdict);
    if (entry === undefined) {
      this.counters.inexpressible++;
      return false;
    }
    const kernel = this.#kernel ?? this.#open();
    if (kernel === undefined) return false;
    const index = this.#place(cell.tenant);
    if (index === undefined) return false;
    return this.#install(kernel, cell, verdict, { index, hash, inPort, entry });
  }

  #install(
    kernel: Kernel,
    cell: CellRecord,
    verdict: Verdict<Frame>,
    { index, hash, inPort, entry }: { index: number; hash: number; inPort: Port; entry: Uint8Array },
  ): boolean {
    const key = this.#key.slice(0, KEY_BYTES);
    const flow: CachedFlow = {
      index,
      hash,
      key,
      dispatchKey: this.#dispatchKey.slice(),
      cell,
      rule: cell.rule,
      path: verdict.path,
      inPort,
      outputs: [...this.#outputs],
      tagBytes: this.#shape.l3 - ETHERNET,
      growth: this.#edits.growth,
      edited: new DataView(entry.buffer).getUint32(ENTRY.EDITS, true) !== 0,
      packets: kernel.packets(index),
      bytes: kernel.bytes(index),
      lastMs: this.#options.clock.now + MONOTONIC,
      place: 0,
      next: undefined,
    };
    try {
      kernel.insert(key, index, entry);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.counters.failed++;
      this.#free.push(index);
      return false;
    }
    this.counters.inserted++;
    this.#flows.add(flow);
    this.#stateOf(cell).add(flow);
    this.#perTenant.set(cell.tenant, (this.#perTenant.get(cell.tenant) ?? 0) + 1);
    return true;
  }

  /** Whether the dispatcher would still give the packet to this cell. Leaves the dispatcher's key of it. */
  #isItsCells(cell: CellRecord, { bytes, offset, length, inPort }: Frame): boolean {
    const { rules, cellWithoutRule } = this.#options;
    extractKey(bytes, offset, Math.min(length, DATA_MAX), inPort, this.#dispatchKey);
    if (this.#shape.ipv6 && rules.readsFlowLabel) return false;
    const rule = rules.lookup(this.#dispatchKey);
    if (rule === undefined) return cell === cellWithoutRule();
    return rule.state === 'active' && rule.cell === cell;
  }

  #entryFor(cell: CellRecord, verdict: Verdict<Frame>): Uint8Array | undefined {
    const { frame, region, headOffset, headLength, headConsumed } = verdict;
    if (!this.#resolve(cell, verdict)) return undefined;
    // A drop has no head, and a packet that leaves as it came none of its own.
    const isUntouched = verdict.kind === TX_KIND.DONE || headLength === 0;
    const head = isUntouched
      ? { bytes: frame.bytes, offset: frame.offset, length: frame.length, consumed: frame.length }
      : { bytes: region, offset: headOffset, length: headLength, consumed: headConsumed };
    if (!this.#edits.derive(frame.bytes, frame.offset, this.#shape, head)) return undefined;
    const { entry } = this.#edits;
    entry.set(this.#key, ENTRY.KEY);
    const fields = new DataView(entry.buffer);
    let mtu = 0xffff;
    this.#outputs.forEach((port, i) => {
      const wire = this.#options.wireOf(port)!;
      mtu = Math.min(mtu, wire.mtu);
      const isLast = i === this.#outputs.length - 1;
      fields.setUint32(isLast ? ENTRY.OUTPUT : ENTRY.COPIES + 4 * i, wire.index, true);
    });
    fields.setUint32(ENTRY.MAX_LENGTH, mtu + ETHERNET, true);
    return entry;
  }

  /** Ports the packet leaves by; false: one of them is not the kernel's, or refuses it (which is to be counted). */
  #resolve(cell: CellRecord, verdict: Verdict<Frame>): boolean {
    const outputs = this.#outputs;
    outputs.length = 0;
    if (verdict.kind === TX_KIND.DONE) return cell.flows?.frame !== verdict.frame;
    const state = cell.flows;
    if (state?.frame !== verdict.frame) {
      return verdict.queue === NO_QUEUE && this.#addOutput(cell, verdict.port, verdict.frame.inPort);
    }
    if (!state.plain) return false;
    for (let i = 0; i < state.count; i++) {
      if (!this.#addOutput(cell, state.ports[i], verdict.frame.inPort)) return false;
    }
    return outputs.length <= MAX_OUTPUTS;
  }

  #addOutput(cell: CellRecord, number: number, inPort: number): boolean {
    const { ports } = this.#options;
    if (number === PortNumber.FLOOD || number === PortNumber.ALL) {
      for (const port of ports.list) {
        if (port.number === inPort || !this.#options.mayUse(cell.tenant, port.number)) continue;
        if (!isForwarding(port) || (number === PortNumber.FLOOD && port.config & NO_FLOOD)) continue;
        if (!this.#addPort(port)) return false;
      }
      return true;
    }
    const port = ports.get(number === PortNumber.IN_PORT ? inPort : number);
    if (port === undefined || number === inPort || !this.#options.mayUse(cell.tenant, port.number))
      return false;
    return isForwarding(port) && this.#addPort(port);
  }

  #addPort(port: Port): boolean {
    if (this.#outputs.length === MAX_OUTPUTS || !port.link.running) return false;
    if (this.#options.wireOf(port) === undefined) return false;
    this.#outputs.push(port);
    return true;
  }

  #setInterface(index: number): void {
    new DataView(this.#key.buffer).setUint32(KEY.IFINDEX, index, true);
  }

  #open(): Kernel | undefined {
    const { open, logger } = this.#options;
    const { flows } = this.#limits;
    try {
      this.#kernel = open(flows);
    } catch (error) {
      this.#unavailable = true;
      logger.warn({ err: error }, 'no kernel fast path here: every packet goes through its cell');
      return undefined;
    }
    this.#free = Array.from({ length: flows }, (_, i) => flows - 1 - i);
    logger.info({ flows }, 'kernel fast path is in use');
    return this.#kernel;
  }

  /** A number for a new entry, if need be of one that was used least recently. */
  #place(tenant: number): number | undefined {
    const isOver = (this.#perTenant.get(tenant) ?? 0) >= this.#limits.perTenant;
    const isFull = this.#free.length === 0 && this.#leaving.length < SAMPLE;
    if (isOver || isFull) {
      const { all } = this.#flows;
      let victim: CachedFlow | undefined;
      for (let i = 0; i < SAMPLE && all.length > 0; i++) {
        const flow = all[Math.floor(Math.random() * all.length)];
        if (isOver && flow.cell.tenant !== tenant) continue;
        this.#fold(flow);
        if (victim === undefined || flow.lastMs < victim.lastMs) victim = flow;
      }
      // One as busy is no better than the one it would make room for: taking turns costs both.
      const recent = this.#options.clock.now + MONOTONIC - this.#limits.windowMs;
      if (victim === undefined || victim.lastMs > recent) {
        this.counters.refused++;
        return undefined;
      }
      this.#remove(victim, 'evicted');
    }
    // The entry of the one that left can be used again after the next sweep.
    return this.#free.pop();
  }

  #remove(flow: CachedFlow, why: 'evicted' | 'idle' | 'flushed'): void {
    this.#kernel?.remove(flow.key);
    this.#fold(flow);
    this.counters[why]++;
    this.#flows.delete(flow);
    flow.cell.flows?.delete(flow);
    this.#perTenant.set(flow.cell.tenant, (this.#perTenant.get(flow.cell.tenant) ?? 1) - 1);
    this.#leaving.push(flow);
  }

  /** Counts the flow's packets since the last time: for its rule, its cell, its ports, and its path. */
  #fold(flow: CachedFlow): void {
    const kernel = this.#kernel;
    if (kernel === undefined) return;
    const packets = kernel.packets(flow.index) - flow.packets;
    if (packets === 0) return;
    const bytes = kernel.bytes(flow.index) - flow.bytes;
    flow.packets += packets;
    flow.bytes += bytes;
    flow.lastMs = kernel.lastMs(flow.index);
    this.counters.hitPackets += packets;
    this.counters.hitBytes += bytes;
    const { rule, cell, inPort, outputs } = flow;
    if (rule !== undefined) {
      rule.packets += packets;
      rule.bytes += bytes;
      rule.lastUsed = Math.max(rule.lastUsed, flow.lastMs - MONOTONIC);
    }
    cell.packets += packets;
    cell.bytes += bytes;
    inPort.counters.rxPackets += packets;
    inPort.counters.rxBytes += bytes - flow.tagBytes * packets;
    for (let i = 0; i < outputs.length; i++) {
      outputs[i].counters.txPackets += packets;
      outputs[i].counters.txBytes += bytes + flow.growth * packets;
    }
    if (flow.path === 0 || cell.flows === undefined) return;
    const credit = cell.flows.credits.get(flow.path);
    const more = { packets, bytes, lastMs: flow.lastMs };
    cell.flows.credits.set(flow.path, merged(credit, more)!);
  }

  #tellCredits(cell: CellRecord, state: CellFlows): void {
    if (state.credits.size === 0) return;
    const credits = [...state.credits].map(([path, credit]) => ({ path, cached: true, credit }));
    state.credits.clear();
    cell.control.credit(0, credits);
  }
}

const ETHERNET = 14;

const merged = (a: Credit | undefined, b: Credit | undefined): Credit | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes, lastMs: Math.max(a.lastMs, b.lastMs) };
};

/** Other programs' verdicts have no paths: they keep no counters. */
const namesPaths = ({ program }: CellRecord): boolean => program.trusted && program.name === 'openflow';

/** The rule allows it; what has no rule is an ordinary switch's. */
const mayCache = ({ rule }: CellRecord): boolean =>
  rule === undefined || (rule.flags & DispatchFlag.CACHEABLE) !== 0;

const collect = (state: CellFlows, { frame, kind, port, headOffset, queue }: Verdict<Frame>): void => {
  if (state.frame !== frame) {
    state.frame = frame;
    state.count = 0;
    state.plain = true;
    state.headOffset = headOffset;
  }
  if (
    kind !== TX_KIND.OUTPUT ||
    queue !== NO_QUEUE ||
    headOffset !== state.headOffset ||
    state.count === MAX_OUTPUTS
  ) {
    state.plain = false;
    return;
  }
  state.ports[state.count++] = port;
};

/** Whether a packet of a flow with this key may be one that the match means, whatever tables did to it. */
const mayMatch = ({ value, mask }: CompiledMatch, key: Uint32Array): boolean => {
  for (let word = 0; word < key.length; word++) {
    if (UNKNOWN_WORDS.has(word)) continue;
    if (((key[word] & mask[word]) ^ value[word]) !== 0) return false;
  }
  return true;
};
