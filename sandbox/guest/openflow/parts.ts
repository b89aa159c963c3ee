/** What the messages to a cell change, and what its packets meet. */
import type { MessageInit } from '../../../openflow/index.ts';
import type { References } from './entry.ts';
import type { Groups } from './groups.ts';
import type { Journal } from './journal.ts';
import type { Liveness } from './liveness.ts';
import type { Meters } from './meters.ts';
import type { Paths } from './paths.ts';
import type { Tables } from './table.ts';
import type { TableSettings } from './table-settings.ts';
import type { Clock, Timeouts } from './timeouts.ts';

export interface Parts extends References {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly tables: Tables;
  readonly settings: TableSettings;
  readonly timeouts: Timeouts;
  readonly groups: Groups;
  readonly meters: Meters;
  readonly liveness: Liveness;
  readonly paths: Paths;
  /** To the controller; within a transaction once that has succeeded. */
  send(message: MessageInit): void;
}
