/** One flow on its way from the query to the live cell, and the record of it afterwards. */

import type { Match } from '../openflow/index.ts';
import type { FlowEntry } from './app.ts';
import type { CellRecord, CellStage } from './cells.ts';

const MAX_WAITING_QUERIES = 16;

export class Flow implements CellRecord {
  cookie = 0n;
  app: string | undefined;
  stage: CellStage = 'asking';
  cell = 0;
  match: Match;
  priority = 0;
  bothDirections = false;
  readonly tenant: number;
  entries: readonly FlowEntry[] = [];
  readonly adopted: boolean;
  readonly since = Date.now();
  setupUs = 0;

  /** Keys under which it is found while in progress (match.ts). */
  readonly askedKey: string;
  mirrorKey = '';
  /** Priority and match: what makes two rules the same rule for the device. */
  ruleKey = '';
  /** The query its rule answers: the newest, because the device may have forgotten older ones. */
  queryId: number;
  /** The device numbers cells by the query they answer, so that entries need not wait for the cell. */
  numbered = false;
  /** The cell its entries were last sent to; 0: not yet. */
  pushedTo = 0;
  /** Further queries that this rule answers as well. */
  readonly waiting: number[] = [];
  /** Time of the query, and when patience ends: ms (Time). */
  readonly startedAt: number;
  deadline = 0;
  /** Transaction ids of its rule and of the entries not yet confirmed: errors name them. */
  ruleXid = 0;
  readonly entryXids: number[] = [];
  /** Entries the cell refused. */
  entryErrors = 0;

  constructor(
    match: Match,
    tenant: number,
    queryId: number,
    askedKey: string,
    adopted: boolean,
    now: number,
  ) {
    this.match = match;
    this.tenant = tenant;
    this.queryId = queryId;
    this.askedKey = askedKey;
    this.adopted = adopted;
    this.startedAt = now;
  }

  get inProgress(): boolean {
    return this.stage === 'asking' || this.stage === 'starting';
  }

  /** Another query for this flow. While the app is being asked the newest one is what gets the answer. */
  join(queryId: number): void {
    if (queryId === this.queryId || this.waiting.includes(queryId)) return;
    if (this.stage === 'asking') {
      this.waiting.push(this.queryId);
      this.queryId = queryId;
    } else {
      this.waiting.push(queryId);
    }
    if (this.waiting.length > MAX_WAITING_QUERIES) this.waiting.shift();
  }
}
