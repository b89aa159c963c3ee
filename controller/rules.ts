/** From what apps say to what the wire carries: dispatch rules and flow entries. */

import {
  BUILT_IN_PROGRAM,
  DispatchCommand,
  DispatchFlag,
  FlowModCommand,
  type InstructionInit,
  type MessageInit,
  OnFailure,
  Wall,
} from '../openflow/index.ts';
import type { CellSpec, FlowAnswer, FlowEntry } from './app.ts';
import { FlowcellError } from './errors.ts';

export const DEFAULT_PRIORITY = 100;
/** OFP_DEFAULT_PRIORITY, of flow entries. */
const DEFAULT_ENTRY_PRIORITY = 0x8000;
export const DEFAULT_IDLE_TIMEOUT = 30;
const DEFAULT_MEMORY_MIB = 16;
const DEFAULT_RUN_MS = 50;
const BUILT_IN_NAME = 'openflow';

const ON_FAILURE = {
  restart: OnFailure.RESTART,
  quarantine: OnFailure.QUARANTINE,
  drop: OnFailure.DROP,
} as const;

const WALLS = { isolate: Wall.ISOLATE, process: Wall.PROCESS, context: Wall.CONTEXT } as const;
const ONE_CELL: readonly CellSpec[] = [{}];

export interface RuleFrame {
  cookie: bigint;
  queryId: number;
  tenant: number;
}

/** Name or hash of a program to its hash on this device; undefined if it is not there. */
export type ProgramLookup = (program: string) => string | undefined;

/**
 * DISPATCH_RULE add for an answer.
 *
 * @throws FlowcellError FC_PROGRAM_UNKNOWN, FC_ANSWER_INVALID.
 */
export function ruleMessage(answer: FlowAnswer, frame: RuleFrame, programs: ProgramLookup): MessageInit {
  if (typeof answer.match !== 'object' || answer.match === null || !Array.isArray(answer.entries)) {
    throw new FlowcellError('FC_ANSWER_INVALID', 'an answer to onFlow needs at least `match` and `entries`');
  }
  let flags: number = DispatchFlag.NOTIFY_REMOVED;
  if (answer.bothDirections) flags |= DispatchFlag.BOTH_DIRECTIONS;
  if (answer.cacheable !== false) flags |= DispatchFlag.CACHEABLE;
  if (answer.cacheReverse) flags |= DispatchFlag.CACHE_REVERSE;
  return {
    type: 'dispatch_rule',
    command: DispatchCommand.ADD,
    wall: WALLS[answer.wall ?? 'isolate'],
    flags,
    query_id: frame.queryId,
    cookie: frame.cookie,
    priority: answer.priority ?? DEFAULT_PRIORITY,
    idle_timeout: answer.idle_timeout ?? DEFAULT_IDLE_TIMEOUT,
    hard_timeout: answer.hard_timeout ?? 0,
    on_failure: ON_FAILURE[answer.onFailure ?? 'restart'],
    tenant: frame.tenant,
    cell: 0,
    match: answer.match,
    cells: (answer.cells ?? ONE_CELL).map((cell) => ({
      program: programHash(cell.program, programs),
      memory_mib: cell.memoryMiB ?? DEFAULT_MEMORY_MIB,
      run_ms: cell.runMs ?? DEFAULT_RUN_MS,
    })),
  };
}

function programHash(program: string | undefined, programs: ProgramLookup): string {
  if (program === undefined || program === BUILT_IN_NAME) return BUILT_IN_PROGRAM;
  const hash = programs(program);
  if (hash === undefined) {
    throw new FlowcellError(
      'FC_PROGRAM_UNKNOWN',
      `program '${program}' is not on this device; upload it first (datapath.uploadProgram)`,
    );
  }
  return hash;
}

/** DISPATCH_RULE without cells: delete, refuse. */
export function bareRule(
  command: number,
  fields: {
    queryId?: number;
    cookie?: bigint;
    priority?: number;
    cell?: number;
    match?: FlowAnswer['match'];
  },
): MessageInit {
  return {
    type: 'dispatch_rule',
    command,
    wall: Wall.ISOLATE,
    flags: 0,
    query_id: fields.queryId ?? 0,
    cookie: fields.cookie ?? 0n,
    priority: fields.priority ?? 0,
    idle_timeout: 0,
    hard_timeout: 0,
    on_failure: 0,
    tenant: 0,
    cell: 0,
    match: fields.match ?? {},
    cells: [],
  };
}

/** The instructions of an entry: its own, or its actions applied at once. */
export function instructionsOf(entry: FlowEntry): readonly InstructionInit[] {
  if (entry.instructions !== undefined) return entry.instructions;
  if (entry.actions === undefined || entry.actions.length === 0) return [];
  return [{ type: 'apply_actions', actions: entry.actions }];
}

/** FLOW_MOD add; with `cell` for that cell, else for the default pipeline. */
export function flowModMessage(
  entry: FlowEntry,
  command: number = FlowModCommand.ADD,
  cell = 0,
  cookie = 0n,
): MessageInit {
  return {
    type: 'flow_mod',
    command,
    cookie: entry.cookie ?? cookie,
    table_id: entry.table_id ?? 0,
    idle_timeout: entry.idle_timeout ?? 0,
    hard_timeout: entry.hard_timeout ?? 0,
    priority: entry.priority ?? DEFAULT_ENTRY_PRIORITY,
    flags: entry.flags ?? 0,
    match: cell === 0 ? (entry.match ?? {}) : { ...entry.match, cell },
    instructions: instructionsOf(entry),
  };
}
