/** Flow entries of OpenFlow 1.0 (flow_mod, flow_removed) and of 1.3. Spec: 3.4, 4.6 and 5.3.3 of 1.0. */
import { OpenFlowError } from '../errors.ts';
import { FLOW_MOD_UPSERT } from '../flowcell.ts';
import type { Action, MessageInit, MessageOf } from '../index.ts';
import * as v10 from '../v10/index.ts';
import { FlowModCommand, FlowModFlag, FlowRemovedReason, Group, Port, Table } from '../v13/constants.ts';
import { BadActionCode, BadMatchCode, ErrorType, FlowModFailedCode } from '../v13/errors.ts';
import { cannotSay } from './shared.ts';
import { actionsForDevice, instructionsTo10 } from './v10-actions.ts';
import { HIGHEST_PRIORITY, isExact, matchFrom10, matchTo10 } from './v10-match.ts';
import { port16Of, port32 } from './v10-ports.ts';

type Init<T extends MessageInit['type']> = Extract<MessageInit, { type: T }>;

// Sizes -----------------------------------------------------------------------------------------------------

/** Room for what stands before the actions of a flow_mod or packet_out of 1.3, match and data not counted. */
const FIXED_BYTES = 256;
const MAX_BYTES = 65535;

/** Actions are longer in 1.3: what has no room in a message of 1.3 is refused here. */
export function checkLength(actions: readonly Action[], data = 0): void {
  let length = FIXED_BYTES + data;
  for (const action of actions) length += action.type === 'experimenter' ? 8 + action.data.length : 16;
  if (length <= MAX_BYTES) return;
  const text = `${actions.length} actions are more than an entry or a packet_out takes`;
  throw new OpenFlowError(ErrorType.BAD_ACTION, BadActionCode.TOO_MANY, text);
}

// Flow entries ----------------------------------------------------------------------------------------------

function flowFlagsFrom10({ command, flags }: v10.MessageOf<'flow_mod'>): number {
  const known = v10.FlowModFlag.SEND_FLOW_REM | v10.FlowModFlag.CHECK_OVERLAP | v10.FlowModFlag.EMERG;
  if ((flags & ~known) !== 0) {
    const text = `flags 0x${flags.toString(16)}`;
    throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_FLAGS, text);
  }
  const shared = flags & (FlowModFlag.SEND_FLOW_REM | FlowModFlag.CHECK_OVERLAP);
  switch (command) {
    // An entry that is replaced takes its counters with it (4.6 of 1.0).
    case FlowModCommand.ADD:
      return shared | FlowModFlag.RESET_COUNTS;
    // "If no entry matches, MODIFY acts like an ADD" (4.6 of 1.0).
    case FlowModCommand.MODIFY:
    case FlowModCommand.MODIFY_STRICT:
      return shared | FLOW_MOD_UPSERT;
    default:
      return shared;
  }
}

/** Refused as a full table: there are no emergency entries here. Theirs must have no timeouts (5.3.3 of 1.0). */
function refuseEmergency({ idle_timeout, hard_timeout }: v10.MessageOf<'flow_mod'>): never {
  const timed = idle_timeout !== 0 || hard_timeout !== 0;
  throw new OpenFlowError(
    ErrorType.FLOW_MOD_FAILED,
    timed ? FlowModFailedCode.BAD_TIMEOUT : FlowModFailedCode.TABLE_FULL,
    timed ? 'an emergency entry with a timeout' : 'this switch keeps no emergency entries',
  );
}

export function flowModFrom10(message: v10.MessageOf<'flow_mod'>): MessageOf<'flow_mod'> {
  if ((message.flags & v10.FlowModFlag.EMERG) !== 0) refuseEmergency(message);
  if (message.command > FlowModCommand.DELETE_STRICT) {
    const text = `command ${message.command}`;
    throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_COMMAND, text);
  }
  const actions = actionsForDevice(message.actions);
  checkLength(actions);
  return {
    type: 'flow_mod',
    xid: message.xid,
    cookie: message.cookie,
    cookie_mask: 0n,
    table_id: 0,
    command: message.command,
    idle_timeout: message.idle_timeout,
    hard_timeout: message.hard_timeout,
    priority: isExact(message.match) ? HIGHEST_PRIORITY : message.priority,
    buffer_id: message.buffer_id,
    out_port: port32(message.out_port),
    out_group: Group.ANY,
    flags: flowFlagsFrom10(message),
    match: matchFrom10(message.match),
    instructions: actions.length === 0 ? [] : [{ type: 'apply_actions', actions }],
  };
}

const flowModError = (what: string, code: number): OpenFlowError =>
  cannotSay(v10.OFP_VERSION, what, [ErrorType.FLOW_MOD_FAILED, code]);

/** Flags that save a switch work, and no controller can tell whether it did. */
const HINTS = FlowModFlag.NO_PKT_COUNTS | FlowModFlag.NO_BYT_COUNTS;

function flowFlagsTo10(command: number, flags: number): number {
  const shared = flags & (FlowModFlag.SEND_FLOW_REM | FlowModFlag.CHECK_OVERLAP);
  const implied =
    command === FlowModCommand.ADD
      ? FlowModFlag.RESET_COUNTS
      : command === FlowModCommand.MODIFY || command === FlowModCommand.MODIFY_STRICT
        ? FLOW_MOD_UPSERT
        : 0;
  const rest = flags & ~(shared | implied | HINTS);
  if (rest === 0) return shared;
  throw flowModError(`flow_mod with flags 0x${rest.toString(16)}`, FlowModFailedCode.BAD_FLAGS);
}

/**
 * Of 1.0's differences only those are taken for granted that its adds and modifies cannot be without: an add resets the
 * counters, a modify adds what is not there, an exact entry has the highest priority.
 */
export function flowModTo10(message: Init<'flow_mod'>): Uint8Array[] {
  const {
    command = FlowModCommand.ADD,
    table_id = 0,
    cookie_mask = 0n,
    out_group = Group.ANY,
    out_port = Port.ANY,
    match,
    instructions,
  } = message;
  const deletes = command === FlowModCommand.DELETE || command === FlowModCommand.DELETE_STRICT;
  if (table_id !== 0 && !(deletes && table_id === Table.ALL)) {
    throw flowModError(`table ${table_id}`, FlowModFailedCode.BAD_TABLE_ID);
  }
  if (command !== FlowModCommand.ADD && BigInt(cookie_mask) !== 0n) {
    throw flowModError('entries by cookie', FlowModFailedCode.UNKNOWN);
  }
  if (deletes && out_group !== Group.ANY) throw flowModError('entries by group', FlowModFailedCode.UNKNOWN);
  if (match?.cell !== undefined) {
    throw cannotSay(v10.OFP_VERSION, 'match field cell', [ErrorType.BAD_MATCH, BadMatchCode.BAD_FIELD]);
  }
  return [
    v10.encode({
      type: 'flow_mod',
      xid: message.xid,
      match: matchTo10(match, message.priority),
      cookie: message.cookie,
      command,
      idle_timeout: message.idle_timeout,
      hard_timeout: message.hard_timeout,
      priority: message.priority,
      buffer_id: message.buffer_id,
      out_port: port16Of(out_port, [ErrorType.BAD_ACTION, BadActionCode.BAD_OUT_PORT]),
      flags: flowFlagsTo10(command, message.flags ?? 0),
      actions: instructionsTo10(instructions, match),
    }),
  ];
}

/** An entry's end; nothing for one that 1.0 could not have added. */
export function flowRemovedTo10(message: Init<'flow_removed'>): Uint8Array[] {
  if ((message.table_id ?? 0) !== 0) return [];
  const { table_id: _, reason, ...rest } = message;
  let match: v10.Match;
  try {
    match = matchTo10(message.match, message.priority);
  } catch (error) {
    if (error instanceof OpenFlowError) return [];
    throw error;
  }
  return [v10.encode({ ...rest, match, reason: Math.min(reason, FlowRemovedReason.DELETE) })];
}
