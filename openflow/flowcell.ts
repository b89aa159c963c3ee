/**
 * Flowcell's extension of OpenFlow: identifiers, constants and the match field `cell`. The byte layouts are in
 * docs/protocol.md; the tables of the messages are in flowcell-messages.ts.
 */
import type { OxmField, UIntNode } from './schema/types.ts';
import { OXM_CLASS_EXPERIMENTER, u32 } from './schema/types.ts';

/** Experimenter id of the extension. Not registered with the ONF; no OUI (its top byte is not zero). */
export const FLOWCELL_EXPERIMENTER = 0xf10cce11;

/** Match field `cell`: which cell on the device a message is about. Absent: the default cell. */
export const cellField: OxmField<UIntNode, false> = {
  oxmClass: OXM_CLASS_EXPERIMENTER,
  field: 0,
  experimenter: FLOWCELL_EXPERIMENTER,
  type: u32,
  maskable: false,
  bits: 32,
  settable: false,
};

/** dispatch_config.miss: what happens to a packet that no dispatch rule matches. */
export const DispatchMiss = {
  /** Hold it and ask the controller. */
  QUERY: 0,
  /** Give it to the default cell: the device is an ordinary OpenFlow switch. */
  DEFAULT_CELL: 1,
  DROP: 2,
} as const;

/** dispatch_config.flags: bits. */
export const DispatchConfigFlag = {
  /** Report all live cells by cell_status before answering. */
  SYNC: 1,
} as const;

/** dispatch_query.reason */
export const DispatchQueryReason = { NO_MATCH: 0, CELL_ENDED: 1 } as const;

/** dispatch_query.flags: bits. */
export const DispatchQueryFlag = {
  /** The cell of the rule that answers will have the number query_id, and cell_message takes barriers. */
  NUMBERED: 1,
} as const;

/** dispatch_rule.command */
export const DispatchCommand = {
  ADD: 0,
  MODIFY: 1,
  /** All rules at least as specific as the match (and of this cell, if not 0). */
  DELETE: 2,
  /** The one rule of the same match and priority. */
  DELETE_STRICT: 3,
  /** Answers a query: drop what is held. */
  REFUSE: 4,
} as const;

/** dispatch_rule.flags: bits. */
export const DispatchFlag = {
  /** The rule also covers the match with source and destination exchanged. */
  BOTH_DIRECTIONS: 1,
  /** Verdicts may be cached in front of the cell. */
  CACHEABLE: 2,
  /** Report by cell_status when the rule ends. */
  NOTIFY_REMOVED: 4,
} as const;

/** dispatch_rule.wall: what separates this cell from others of its tenant. */
export const Wall = { ISOLATE: 0, PROCESS: 1, CONTEXT: 2 } as const;

/** dispatch_rule.on_failure */
export const OnFailure = { RESTART: 0, QUARANTINE: 1, DROP: 2 } as const;

/** cell_status.state */
export const CellState = { READY: 0, FAILED: 1, REMOVED: 2, KILLED: 3, EXITED: 4, QUARANTINED: 5 } as const;

/** cell_status.reason */
export const CellReason = {
  NONE: 0,
  IDLE_TIMEOUT: 1,
  HARD_TIMEOUT: 2,
  DELETE: 3,
  MEMORY: 4,
  CPU: 5,
  EXCEPTION: 6,
  HOST_DIED: 7,
  NO_RESOURCES: 8,
  BAD_PROGRAM: 9,
  UNSUPPORTED: 10,
} as const;

/** program_reply.state */
export const ProgramState = { STORED: 0, BAD_HASH: 1, TOO_LARGE: 2, BAD_OFFSET: 3 } as const;

/** dispatch_rule.cells[].program: the built-in `openflow` program. */
export const BUILT_IN_PROGRAM = '0'.repeat(64);

/** table_config.flags: bits. */
export const TableConfigFlag = {
  /** Packets that match nothing go to the controller, as OpenFlow 1.0 has it. */
  MISS_TO_CONTROLLER: 1,
  /** OFPTC_EVICTION and OFPTC_VACANCY_EVENTS of OpenFlow 1.4. */
  EVICTION: 4,
  VACANCY_EVENTS: 8,
  /** Nothing is changed; the cell answers with what is in force. */
  QUERY: 128,
} as const;

/** transaction.phase */
export const TransactionPhase = { BEGIN: 0, COMMIT: 1, ABORT: 2 } as const;

/**
 * A bit of flow_mod.flags that only agent and cell know: a MODIFY that finds no entry adds one, as OpenFlow 1.0 has it.
 */
export const FLOW_MOD_UPSERT = 0x8000;

/** path_release.flags and path_credit.flags: bits. */
export const PathMessageFlag = {
  /** path_release: also those that are in use. */
  FORCE: 1,
  /** path_credit: from now on the cell names the path of each verdict that may be cached. */
  NAME_PATHS: 2,
} as const;

/** path_credit's credits[].flags: bits. */
export const PathFlag = {
  /** Packets of this path are still forwarded without the cell. */
  CACHED: 1,
} as const;
