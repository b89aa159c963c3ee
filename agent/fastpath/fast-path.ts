/**
 * The kernel fast path of a device: flows whose verdicts may be cached are forwarded by the kernel, as long as nothing
 * changes that their verdicts came from; and everything that counts packets counts theirs (docs/fast-path.md).
 */
import { extractKey } from '../../packet/index.ts';
import { DATA_MAX, SLOT_FLAG, TX_KIND } from '../../sandbox/channel/layout.ts';
import type { Verdict } from '../../sandbox/client/types.ts';
import type { CompiledMatch } from '../../sandbox/match.ts';
import type { CellRecord } from '../cells.ts';
import { isForwarding } from '../dispatcher/output.ts';
import type { Rule } from '../dispatcher/rules.ts';
import type { Frame } from '../ports/frames.ts';
import type { Port } from '../ports/port.ts';
import { answerRelease, fold, MONOTONIC, merged, newCounters, tellCredits, tellMany } from './accounts.ts';
import { BpfError } from './bpf-error.ts';
import { type CachedFlow, CachedFlows, CellFlows, newDispatchKey, newKey } from './cached-flow.ts';
import { Copies } from './copies.ts';
import { Elephants } from './elephants.ts';
import { collect, EntryMaker } from './entry-maker.ts';
import { emptyShape, hashOf, REVERSE_HEAD, reverseHead, shapeOf, writeKey } from './flow-key.ts';
import { ENTRY, KEY, KEY_BYTES } from './layout.ts';
import { DEFAULT_FAST_PATH, type FastPathLimits, type FastPathOptions, type Kernel } from './options.ts';
import { mayCache, mayMatch, mayReverse, namesPaths } from './policy.ts';

/** How many flows are looked at for the one that makes room for another. */
const SAMPLE = 16;
const FOLD_MS = 1000;

/** Of a frame: what finding its cell takes. */
type Seen = Pick<Frame, 'bytes' | 'offset' | 'length' | 'inPort'>;

interface NewFlow {
  readonly index: number;
  readonly hash: number;
  readonly inPort: Port;
  readonly entry: Uint8Array;
  readonly twin?: CachedFlow;
}

export class FastPath {
  readonly counters = newCounters();
  readonly #options: FastPathOptions;
  readonly #limits: FastPathLimits;
  readonly #except: ReadonlySet<number>;
  readonly #elephants: Elephants;
  readonly #flows = new CachedFlows();
  readonly #perTenant = new Map<number, number>();
  readonly #shape = emptyShape();
  readonly #reverse = new Uint8Array(REVERSE_HEAD);
  readonly #key = newKey();
  readonly #keyWords = new Int32Array(this.#key.buffer);
  readonly #dispatchKey = newDispatchKey();
  readonly #maker: EntryMaker;
  #kernel: Kernel | undefined;
  /** BPF cannot be had here: said once, and not tried again. */
  #unavailable = false;
  #free: number[] = [];
  readonly #copies: Copies;
  /** Taken out since the last sweep: packets may be going by their entries still, and are counted then. */
  #leaving: CachedFlow[] = [];
  #foldedAt = 0;

  constructor(options: FastPathOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_FAST_PATH, ...options.limits };
    this.#except = new Set(this.#limits.exceptTenants);
    this.#maker = new EntryMaker(options);
    this.#copies = new Copies(options.handle);
    this.#elephants = new Elephants(this.#limits.threshold, this.#limits.windowMs);
  }

  get size(): number {
    return this.#flows.all.length;
  }

  get state(): 'unavailable' | 'waiting' | 'running' {
    if (this.#unavailable) return 'unavailable';
    return this.#kernel === undefined ? 'waiting' : 'running';
  }

  /** Everything that is counted, up to now. */
  view() {
    this.fold();
    return {
      state: this.state,
      flows: this.size,
      ...this.counters,
      /** Copies of packets that the kernel forwarded, for the controller; and those there was no room for. */
      copies: this.#copies.taken,
      lostCopies: this.#kernel?.lostCopies() ?? 0,
    };
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
    // A packet that goes to the controller alone is the cell's.
    const isPacketIn = verdict.kind === TX_KIND.TO_CONTROLLER && state?.frame !== frame;
    if (
      verdict.cacheable &&
      !isPacketIn &&
      (frame.flags & SLOT_FLAG.PACKET_OUT) === 0 &&
      this.#mayCache(cell)
    )
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
    tellCredits(cell, state);
  }

  /** The cell is told what was counted up to now: statistics are asked of it. */
  settle(cell: CellRecord): void {
    const state = cell.flows;
    if (state === undefined) return;
    for (const flow of state.flows) this.#fold(flow);
    tellCredits(cell, state);
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
    answerRelease(cell, state, token, credits);
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
    if (this.#leaving.length > 0) this.#copies.take(this.#kernel);
    for (const flow of this.#leaving.splice(0)) {
      this.#fold(flow);
      this.#copies.delete(flow);
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

  /** The rule allows it, and nobody has turned it off for the tenant. */
  #mayCache(cell: CellRecord): boolean {
    return mayCache(cell) && !this.#except.has(cell.tenant);
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
    if (!this.#promote(cell, verdict, hash)) this.#elephants.forget(hash);
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
    const entry = this.#maker.make(cell, verdict, this.#shape, this.#key);
    if (entry === undefined) {
      this.counters.inexpressible++;
      return false;
    }
    const kernel = this.#kernel ?? this.#open();
    if (kernel === undefined) return false;
    if (this.#maker.copy !== undefined && !this.#copies.begin(kernel, entry)) {
      this.counters.inexpressible++;
      return false;
    }
    const index = this.#place(cell.tenant);
    if (index === undefined) return false;
    const flow = this.#install(kernel, cell, verdict.path, { index, hash, inPort, entry });
    if (flow === undefined) return false;
    if (mayReverse(cell) && this.#maker.isPlain) this.#promoteReverse(kernel, verdict.frame, flow);
    return true;
  }

  /** Packets the other way are the kernel's as well, if they would come to the same cell. */
  #promoteReverse(kernel: Kernel, { bytes, offset, length }: Frame, flow: CachedFlow): void {
    const { cell, inPort: to } = flow;
    const [from] = flow.outputs;
    const [toWire, fromWire] = [to, from].map(this.#options.wireOf);
    if (toWire === undefined || fromWire === undefined || !to.link.running || !isForwarding(to)) return;
    if (!this.#options.mayUse(cell.tenant, to.number)) return;
    const head = this.#reverse;
    const kept = reverseHead(bytes, offset, length, this.#shape, head);
    writeKey(head, 0, this.#shape, fromWire.index, this.#key);
    // Others know the flow by its port's number.
    this.#setInterface(from.number);
    const hash = hashOf(this.#keyWords);
    this.#setInterface(fromWire.index);
    if (this.#flows.find(hash, this.#key) !== undefined) return;
    if (!this.#isItsCells(cell, { bytes: head, offset: 0, length: kept, inPort: from.number })) return;
    const index = this.#place(cell.tenant);
    if (index === undefined) return;
    const entry = this.#maker.plain(this.#key, to, toWire);
    // The cell has no path that these packets went.
    const reverse = this.#install(kernel, cell, 0, { index, hash, inPort: from, entry, twin: flow });
    if (reverse === undefined) return;
    flow.twin = reverse;
    this.counters.reversed++;
  }

  #install(
    kernel: Kernel,
    cell: CellRecord,
    path: number,
    { index, hash, inPort, entry, twin }: NewFlow,
  ): CachedFlow | undefined {
    const key = this.#key.slice(0, KEY_BYTES);
    const flow: CachedFlow = {
      index,
      hash,
      key,
      dispatchKey: this.#dispatchKey.slice(),
      cell,
      rule: cell.rule,
      path,
      inPort,
      outputs: [...this.#maker.outputs],
      copy: this.#maker.copy,
      tagBytes: this.#shape.l3 - UNTAGGED_L3,
      growth: this.#maker.growth,
      edited: new DataView(entry.buffer).getUint32(ENTRY.EDITS, true) !== 0,
      packets: kernel.packets(index),
      bytes: kernel.bytes(index),
      lastMs: this.#options.clock.now + MONOTONIC,
      place: 0,
      twin,
      isReverse: twin !== undefined,
      next: undefined,
    };
    this.#copies.add(flow, entry);
    try {
      kernel.insert(key, index, entry);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.counters.failed++;
      this.#copies.delete(flow);
      this.#free.push(index);
      return undefined;
    }
    this.counters.inserted++;
    this.#elephants.forget(hash);
    this.#flows.add(flow);
    this.#stateOf(cell).add(flow);
    this.#perTenant.set(cell.tenant, (this.#perTenant.get(cell.tenant) ?? 0) + 1);
    return flow;
  }

  /** Whether the dispatcher would still give the packet to this cell. Leaves the dispatcher's key of it. */
  #isItsCells(cell: CellRecord, { bytes, offset, length, inPort }: Seen): boolean {
    const { rules, cellWithoutRule } = this.#options;
    extractKey(bytes, offset, Math.min(length, DATA_MAX), inPort, this.#dispatchKey);
    if (this.#shape.ipv6 && rules.readsFlowLabel) return false;
    const rule = rules.lookup(this.#dispatchKey);
    if (rule === undefined) return cell === cellWithoutRule();
    return rule.state === 'active' && rule.cell === cell;
  }

  #setInterface(index: number): void {
    new DataView(this.#key.buffer).setUint32(KEY.IFINDEX, index, true);
  }

  #open(): Kernel | undefined {
    const { open, logger } = this.#options;
    const { flows } = this.#limits;
    try {
      this.#kernel = open(flows, this.#copies.copied);
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

  #fold(flow: CachedFlow): void {
    if (this.#kernel !== undefined) fold(this.#kernel, flow, this.counters);
  }

  #remove(flow: CachedFlow, why: 'evicted' | 'idle' | 'flushed'): void {
    this.#kernel?.remove(flow.key);
    if (flow.copy !== undefined) this.#copies.take(this.#kernel);
    this.#fold(flow);
    this.counters[why]++;
    this.#flows.delete(flow);
    flow.cell.flows?.delete(flow);
    tellMany(flow.cell);
    this.#perTenant.set(flow.cell.tenant, (this.#perTenant.get(flow.cell.tenant) ?? 1) - 1);
    this.#leaving.push(flow);
    const { twin } = flow;
    if (twin === undefined) return;
    twin.twin = undefined;
    flow.twin = undefined;
    // It may not go on without the verdict that it came from.
    if (twin.isReverse) this.#remove(twin, why);
  }
}

/** Where L3 is in a frame without tags. */
const UNTAGGED_L3 = 14;
