/** What a controller app is: an object with a name and the events it wants to hear of. */

import type {
  ActionInit,
  FieldName,
  InstructionInit,
  Match,
  MessageOf,
  PortDesc,
} from '../openflow/index.ts';
import type { CellRecord, CellStatus } from './cells.ts';
import type { Datapath } from './datapath.ts';
import { FlowcellError } from './errors.ts';
import type { RoleStatus } from './onf.ts';

export type PacketIn = MessageOf<'packet_in'>;
export type FlowRemoved = MessageOf<'flow_removed'>;
export type PortStatus = MessageOf<'port_status'>;
export type TableStatus = MessageOf<'table_status'>;
export type { PortDesc, RoleStatus };

/** A flow entry as apps write it; what is left out is 0, and no match is every packet. */
export interface FlowEntry {
  table_id?: number;
  /** Default 32768 (OFP_DEFAULT_PRIORITY). */
  priority?: number;
  match?: Match;
  /** Short for one apply_actions instruction. Without actions and instructions the entry drops. */
  actions?: readonly ActionInit[];
  instructions?: readonly InstructionInit[];
  /** Seconds; 0 is never. */
  idle_timeout?: number;
  hard_timeout?: number;
  /** Default: in a cell the rule's cookie, else 0. */
  cookie?: bigint;
  /** ofp_flow_mod_flags. */
  flags?: number;
}

/** A packet of a flow for which the device has no rule, and which it holds until there is an answer. */
export interface FlowQuery {
  readonly datapath: Datapath;
  /** OpenFlow port the packet came in by. */
  readonly inPort: number;
  /** The fields named by DISPATCH_CONFIG that the packet has, and `in_port`. */
  readonly match: Match;
  /** The first bytes of the packet, from the Ethernet header on. The app may keep it. */
  readonly data: Uint8Array;
  /** Length of the whole packet in bytes. */
  readonly totalLength: number;
  readonly reason: 'no_match' | 'cell_ended';
  readonly tenant: number;
}

/** One cell of a rule. */
export interface CellSpec {
  /** Name or hash of an uploaded program (`Datapath.uploadProgram`); default: the built-in `openflow`. */
  program?: string;
  /** V8 heap, MiB (default 16, at least 8). */
  memoryMiB?: number;
  /** Longest run over one batch of packets, ms (default 50). */
  runMs?: number;
}

export interface FlowAnswer {
  /** Which packets belong to the flow; usually the query's own match. */
  match: Match;
  /** Default 100. Higher wins. */
  priority?: number;
  /** Seconds without a packet after which rule and cell end; default 30, 0 is never. */
  idle_timeout?: number;
  /** Seconds of life; default 0, for ever. */
  hard_timeout?: number;
  /** The rule covers the packets of the other direction too (sources and destinations swapped, any port). */
  bothDirections?: boolean;
  /** Verdicts the cell declares cacheable may be cached in front of it (default true). */
  cacheable?: boolean;
  /**
   * With `bothDirections`: where such a verdict is one port and no change to the packet, packets the other way go back without
   * the cell being asked; they count for the rule, not for entries (default false).
   */
  cacheReverse?: boolean;
  /** The chain of cells; default one cell with the built-in program. */
  cells?: readonly CellSpec[];
  /**
   * What is between the cell and others: default 'isolate', an isolate of its own; 'process', a process of its own; 'context', a
   * share in an isolate with other cells of the tenant (the built-in programs only).
   */
  wall?: 'isolate' | 'process' | 'context';
  /** What the device does when the cell is killed or exits; default 'restart'. */
  onFailure?: 'restart' | 'quarantine' | 'drop';
  /** Flow entries for the cell, pushed when it is ready. */
  entries: readonly FlowEntry[];
}

/** "Drop what you hold": no rule, no cell. The flow's next packet leads to another query. */
export interface FlowRefusal {
  refuse: true;
}

/** `null` leaves the flow to the next app. */
export type FlowDecision = FlowAnswer | FlowRefusal | null | undefined;

/**
 * A controller app. All handlers are optional. What a handler throws (or rejects with) is logged with the
 * app's name, counted, and hurts neither other apps nor the device; a failed `onFlow` counts as `null`.
 * Handlers run on one thread: answer synchronously where you can, it is quicker by far.
 */
export interface App {
  /** Short and unique: it appears in logs, and rules are found again by it after a controller restart. */
  readonly name: string;
  /** Match fields that make up a flow before a rule exists; with several apps their union counts. */
  readonly flowFields?: readonly FieldName[];
  /** A device is connected, its ports are known and `flowMode` is decided. */
  onDatapath?(datapath: Datapath): void | Promise<void>;
  onDatapathGone?(datapath: Datapath, reason: string): void;
  /** Asked in the order of the apps; the first answer that is not null counts. */
  onFlow?(query: FlowQuery): FlowDecision | Promise<FlowDecision>;
  /** The app's answer has gone out as this rule (whose cell is not ready yet). */
  onRule?(datapath: Datapath, rule: CellRecord): void | Promise<void>;
  /** Packets from one of the app's own cells, else all. `data` is the app's to keep. */
  onPacketIn?(datapath: Datapath, packetIn: PacketIn): void | Promise<void>;
  onFlowRemoved?(datapath: Datapath, removed: FlowRemoved): void | Promise<void>;
  /** `datapath.ports` is already up to date. */
  onPortStatus?(datapath: Datapath, status: PortStatus): void | Promise<void>;
  /** The switch has made this controller slave because another became master, or its operator decided so (1.4 and later). */
  onRoleStatus?(datapath: Datapath, status: RoleStatus): void | Promise<void>;
  /** A table is getting full, or empty again, beyond the limits set for it (1.4 and later). */
  onTableStatus?(datapath: Datapath, status: TableStatus): void | Promise<void>;
  /**
   * News of the app's own cells, and of cells that no app of this controller opened. Cells that outlived an
   * earlier connection come as 'ready' with `record.adopted`, their entries read from the device.
   */
  onCellStatus?(datapath: Datapath, status: CellStatus): void | Promise<void>;
  /**
   * OpenFlow errors that no request was waiting for, what was sent and the device's version cannot say, and flow entries
   * a cell refused (then with its record).
   */
  onError?(datapath: Datapath, error: FlowcellError, cell?: CellRecord): void | Promise<void>;
}

/**
 * Checks an app and gives it back typed.
 *
 * @throws FlowcellError FC_APP_INVALID when the name is missing or a handler is not a function.
 */
export function defineApp<T extends App>(app: T): T {
  if (typeof app.name !== 'string' || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(app.name)) {
    throw new FlowcellError(
      'FC_APP_INVALID',
      `an app needs a name of lower-case letters, digits and hyphens, not ${JSON.stringify(app.name)}`,
    );
  }
  for (const [key, value] of Object.entries(app)) {
    if (key.startsWith('on') && value !== undefined && typeof value !== 'function') {
      throw new FlowcellError('FC_APP_INVALID', `app '${app.name}': ${key} must be a function`);
    }
  }
  return app;
}
