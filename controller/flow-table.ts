/** The flows of one device, found by everything that names them. No messages, no decisions. */

import type { Match } from '../openflow/index.ts';
import type { Flow } from './flow.ts';
import { matchKey, portlessKey } from './match.ts';

export class FlowTable {
  /** Flows in progress by the key of the match that was asked for, and by that of their other direction. */
  readonly #asked = new Map<string, Flow>();
  readonly #mirrored = new Map<string, Flow>();
  /** Flows whose rule was sent; of equal rules the latest. */
  readonly #byCookie = new Map<bigint, Flow>();
  readonly #byRule = new Map<string, Flow>();
  readonly #byCell = new Map<number, Flow>();
  /** Flows whose rule or entries may still be answered by an error. */
  readonly #byXid = new Map<number, Flow>();
  /** Ended or cancelled flows the device has still to say a word about. */
  readonly lingering = new Set<Flow>();

  get cells(): ReadonlyMap<number, Flow> {
    return this.#byCell;
  }

  get rules(): ReadonlyMap<bigint, Flow> {
    return this.#byCookie;
  }

  /** Flows being set up. */
  get inProgress(): ReadonlyMap<string, Flow> {
    return this.#asked;
  }

  /** The flow in progress that a query for this match belongs to; `key` is the match's key. */
  running(key: string, tenant: number, match: Match): Flow | undefined {
    const flow = this.#asked.get(key);
    if (flow !== undefined || this.#mirrored.size === 0) return flow;
    return this.#mirrored.get(tenantKey(tenant, portlessKey(match)));
  }

  byRule(ruleKey: string): Flow | undefined {
    return this.#byRule.get(ruleKey);
  }

  byXid(xid: number): Flow | undefined {
    return this.#byXid.get(xid);
  }

  addAsked(flow: Flow): void {
    this.#asked.set(flow.askedKey, flow);
  }

  /** Its rule was sent: cookie, rule key, match and transaction id are set. */
  addRule(flow: Flow): void {
    this.#byCookie.set(flow.cookie, flow);
    this.#byRule.set(flow.ruleKey, flow);
    if (flow.ruleXid !== 0) this.#byXid.set(flow.ruleXid, flow);
    if (flow.bothDirections) {
      flow.mirrorKey = tenantKey(flow.tenant, matchKey(flow.match, true));
      this.#mirrored.set(flow.mirrorKey, flow);
    }
  }

  addEntry(flow: Flow, xid: number): void {
    this.#byXid.set(xid, flow);
    flow.entryXids.push(xid);
  }

  /** The device has given it this cell (again). */
  setCell(flow: Flow, cell: number): void {
    this.removeCell(flow);
    flow.cell = cell;
    this.#byCell.set(cell, flow);
  }

  removeCell(flow: Flow): void {
    if (this.#byCell.get(flow.cell) === flow) this.#byCell.delete(flow.cell);
  }

  /** No longer being set up: another query for it is a new one. */
  endProgress(flow: Flow): void {
    if (this.#asked.get(flow.askedKey) === flow) this.#asked.delete(flow.askedKey);
    if (this.#mirrored.get(flow.mirrorKey) === flow) this.#mirrored.delete(flow.mirrorKey);
  }

  /** Equal rules are new ones from now on. */
  releaseRule(flow: Flow): void {
    if (this.#byRule.get(flow.ruleKey) === flow) this.#byRule.delete(flow.ruleKey);
  }

  /** Errors do not concern it any more. */
  forgetXids(flow: Flow): void {
    this.#byXid.delete(flow.ruleXid);
    for (const xid of flow.entryXids) this.#byXid.delete(xid);
    flow.entryXids.length = 0;
  }

  /** Forgets everything about a flow. */
  drop(flow: Flow): void {
    this.endProgress(flow);
    this.removeCell(flow);
    // What was sent behind a rule that failed is still to be refused.
    if (flow.stage !== 'starting' || flow.pushedTo === 0) this.forgetXids(flow);
    this.releaseRule(flow);
    this.#byCookie.delete(flow.cookie);
    this.lingering.delete(flow);
    flow.stage = 'gone';
  }

  clear(): void {
    for (const flow of [...this.#asked.values(), ...this.#byCookie.values()]) this.drop(flow);
  }
}

/** Key of a match within a tenant: tenants may have equal flows. */
export function tenantKey(tenant: number, key: string): string {
  return tenant === 0 ? key : `${tenant}/${key}`;
}
