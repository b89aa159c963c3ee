/** Flows that wait for the controller's answer: one query each, however many of their packets arrive. */
import { Classifier, KEY_WORDS } from '../../packet/index.ts';
import { FlowMasks } from '../../sandbox/match.ts';
import type { FrameQueue } from './hold.ts';

export interface PendingFlow {
  readonly queryId: number;
  /** The part of the key that names the flow. */
  readonly value: Uint32Array;
  readonly mask: Uint32Array;
  readonly queue: FrameQueue;
  /** DispatchQuery reason: 0 no match, 1 cell ended. */
  readonly reason: number;
  readonly askedAt: number;
  /** False while there is no controller to ask. */
  asked: boolean;
  /** The controller that was asked. */
  asker?: object;
}

export class PendingFlows {
  #masks: FlowMasks;
  readonly #flows = new Classifier<PendingFlow>();
  /** In the order they were asked. */
  readonly #byQuery = new Map<number, PendingFlow>();

  readonly #nextQuery: () => number;

  /** `fields`: bit n set: OXM basic field n tells flows apart. `nextQuery` gives ids that are not 0 and not in use. */
  constructor(fields: bigint, nextQuery: () => number) {
    this.#nextQuery = nextQuery;
    this.#masks = new FlowMasks(fields);
  }

  get size(): number {
    return this.#byQuery.size;
  }

  /** Flows already waiting stay what they are. */
  configure(fields: bigint): void {
    this.#masks = new FlowMasks(fields);
  }

  find(key: Uint32Array): PendingFlow | undefined {
    return this.#flows.size === 0 ? undefined : this.#flows.lookup(key);
  }

  get(queryId: number): PendingFlow | undefined {
    return this.#byQuery.get(queryId);
  }

  all(): Iterable<PendingFlow> {
    return this.#byQuery.values();
  }

  add(key: Uint32Array, queue: FrameQueue, reason: number, now: number): PendingFlow {
    const mask = this.#masks.maskFor(key);
    const value = new Uint32Array(KEY_WORDS);
    for (let word = 0; word < KEY_WORDS; word++) value[word] = key[word] & mask[word];
    const flow = { queryId: this.#nextQuery(), value, mask, queue, reason, askedAt: now, asked: false };
    this.#flows.insert(value, mask, 0, flow);
    this.#byQuery.set(flow.queryId, flow);
    return flow;
  }

  remove(flow: PendingFlow): void {
    this.#byQuery.delete(flow.queryId);
    this.#flows.remove(flow.value, flow.mask, 0);
  }

  /** The flow that has waited longest, when that is `timeoutMs` or more. */
  expired(now: number, timeoutMs: number): PendingFlow | undefined {
    for (const flow of this.#byQuery.values()) return now - flow.askedAt >= timeoutMs ? flow : undefined;
    return undefined;
  }
}
