/** Packets that the kernel counted, for all that counts packets; and what cells are told of them. */
import type { PathCredit } from '../cell-conversation.ts';
import type { CellRecord } from '../cells.ts';
import type { CachedFlow, CellFlows, Credit } from './cached-flow.ts';
import type { Kernel } from './options.ts';

/** CLOCK_MONOTONIC minus the agent's clock, ms. */
export const MONOTONIC = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const newCounters = () => ({
  /** Packets and bytes that the kernel forwarded. */
  hitPackets: 0,
  hitBytes: 0,
  /** Packets that were cells' although their verdicts may be cached. */
  missed: 0,
  inserted: 0,
  /** Of those: made by a packet of the other direction. */
  reversed: 0,
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
  /** Packets of paths beyond those that a cell may have: it is not told of them. */
  uncredited: 0,
});

type Totals = Pick<ReturnType<typeof newCounters>, 'hitPackets' | 'hitBytes' | 'uncredited'>;

/** Paths that a cell has not been told of. An honest one names no more at a time (docs/architecture.md). */
const MAX_CREDITS = 16_384;
/** So many are told without being asked for. */
const MANY_CREDITS = MAX_CREDITS / 2;

/** Counts the flow's packets since the last time: in `totals`, for its rule, its cell, its ports, and its path. */
export const fold = (kernel: Kernel, flow: CachedFlow, totals: Totals): void => {
  const packets = kernel.packets(flow.index) - flow.packets;
  if (packets === 0) return;
  const bytes = kernel.bytes(flow.index) - flow.bytes;
  flow.packets += packets;
  flow.bytes += bytes;
  flow.lastMs = kernel.lastMs(flow.index);
  totals.hitPackets += packets;
  totals.hitBytes += bytes;
  const { rule, cell, inPort, outputs } = flow;
  if (rule !== undefined) {
    rule.packets += packets;
    rule.bytes += bytes;
    rule.lastUsed = Math.max(rule.lastUsed, flow.lastMs - MONOTONIC);
  }
  cell.packets += packets;
  cell.kernelPackets += packets;
  cell.bytes += bytes;
  inPort.counters.rxPackets += packets;
  inPort.counters.rxBytes += bytes - flow.tagBytes * packets;
  for (let i = 0; i < outputs.length; i++) {
    outputs[i].counters.txPackets += packets;
    outputs[i].counters.txBytes += bytes + flow.growth * packets;
  }
  if (flow.path === 0 || cell.flows === undefined) return;
  const credit = cell.flows.credits.get(flow.path);
  if (credit === undefined && cell.flows.credits.size >= MAX_CREDITS) {
    totals.uncredited += packets;
    return;
  }
  const more = { packets, bytes, lastMs: flow.lastMs };
  cell.flows.credits.set(flow.path, merged(credit, more)!);
};

export const merged = (a: Credit | undefined, b: Credit | undefined): Credit | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes, lastMs: Math.max(a.lastMs, b.lastMs) };
};

/** A flow is gone: what is known of many is told, lest there be too many. */
export const tellMany = (cell: CellRecord): void => {
  const { flows } = cell;
  if (flows === undefined || flows.credits.size < MANY_CREDITS || cell.control.crowded) return;
  tellCredits(cell, flows);
};

/** Tells the cell what it has not been told. What it cannot take in now is told with the next. */
export const tellCredits = (cell: CellRecord, state: CellFlows): void => {
  if (state.credits.size === 0) return;
  const credits = [...state.credits].map(([path, credit]) => ({ path, cached: true, credit }));
  state.credits.clear();
  keep(state, credits, cell.control.credit(0, credits));
};

/** Answers a path_release. The packets stay to be told if the cell cannot take the answer in. */
export const answerRelease = (
  cell: CellRecord,
  state: CellFlows,
  token: number,
  credits: readonly PathCredit[],
): void => keep(state, credits, cell.control.credit(token, credits));

/** Puts back the credits from this one on. */
const keep = (state: CellFlows, credits: readonly PathCredit[], from: number): void => {
  for (const { path, credit } of credits.slice(from)) {
    const both = merged(state.credits.get(path), credit);
    if (both !== undefined) state.credits.set(path, both);
  }
};
