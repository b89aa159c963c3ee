/** One flow entry: what the controller said, what it compiles to, and its counters. */
import {
  type Action,
  BadInstructionCode,
  decode,
  ErrorType,
  encode,
  FLOWCELL_EXPERIMENTER,
  FlowModFlag,
  type Instruction,
  type Match,
  type MessageOf,
  MeterModFailedCode,
  OpenFlowError,
  Table as TableNumber,
} from '../../../openflow/index.ts';
import { type CompiledMatch, compileMatch } from '../../match.ts';
import { type CompileContext, compileActionSet, compileActions, OP, type Op } from './actions.ts';
import type { Path } from './paths.ts';

/** Tables 0 .. 253; goto-table needs one after it. */
export const TABLES = 254;

/** Instructions, ready to execute. */
export interface Compiled {
  readonly apply: readonly Op[] | undefined;
  readonly clear: boolean;
  /** In the action set's order. */
  readonly write: readonly Op[] | undefined;
  readonly writesMetadata: boolean;
  readonly metadataHi: number;
  readonly metadataLo: number;
  readonly metadataMaskHi: number;
  readonly metadataMaskLo: number;
  /** Next table, or -1. */
  readonly goto: number;
  /** Meter, or 0. */
  readonly meter: number;
  /** Which entry goes first when room is made: OpenFlow 1.4's, by an experimenter instruction (docs/protocol.md). */
  readonly importance: number;
  /** Numbers of the groups that its actions forward to. */
  readonly groups: readonly number[];
}

/** Of an entry that applies these actions and does nothing else; compileInstructions() fills in the rest. */
export function newCompiled(apply?: readonly Op[]): {
  -readonly [name in keyof Compiled]: Compiled[name];
} {
  return {
    apply,
    clear: false,
    write: undefined,
    writesMetadata: false,
    metadataHi: 0,
    metadataLo: 0,
    metadataMaskHi: 0,
    metadataMaskLo: 0,
    goto: -1,
    meter: 0,
    importance: 0,
    groups: NO_GROUPS,
  };
}

/** What instructions may refer to. */
export interface References {
  hasGroup(id: number): boolean;
  hasMeter(id: number): boolean;
}

export interface EntryInit {
  tableId: number;
  priority: number;
  cookieHi: number;
  cookieLo: number;
  flags: number;
  idleTimeout: number;
  hardTimeout: number;
  value: Uint32Array;
  mask: Uint32Array;
  compiled: Compiled;
  /** What the controller said: decoded, or as the FLOW_MOD's bytes, which are decoded when somebody wants to know. */
  source: Said | Uint8Array;
}

interface Said {
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

/** Checks what a FLOW_MOD says; throws OpenFlowError. */
export function makeEntry(message: MessageOf<'flow_mod'>, references: References): FlowEntry {
  const { table_id: tableId, priority, cookie, match, instructions } = message;
  const { value, mask } = compileMatch(match);
  return new FlowEntry({
    tableId,
    priority,
    cookieHi: Number(BigInt.asIntN(32, cookie >> 32n)),
    cookieLo: Number(BigInt.asIntN(32, cookie)),
    flags: message.flags,
    idleTimeout: message.idle_timeout,
    hardTimeout: message.hard_timeout,
    value,
    mask,
    compiled: compileInstructions(instructions, { tableId, priority, match, value, mask }, references),
    source: { match, instructions },
  });
}

export class FlowEntry {
  readonly tableId: number;
  readonly priority: number;
  /** The cookie as transmit records carry it. */
  readonly cookieHi: number;
  readonly cookieLo: number;
  readonly flags: number;
  /** Seconds; 0: none. */
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly value: Uint32Array;
  /** Once it is in a table, shared by all that have the same. */
  mask: Uint32Array;
  /** Words of the mask behind which it is zero. */
  readonly maskEnd: number;
  readonly importance: number;
  compiled: Compiled;

  packets = 0;
  bytes = 0;
  readonly countsPackets: boolean;
  readonly countsBytes: boolean;
  /** Clock milliseconds. */
  created = 0;
  lastUsed = 0;
  /** Where packets went by it in the tree of paths. */
  paths: Path[] | undefined;
  /** Its time is up, and the agent was asked about packets that are not counted yet. */
  asked = false;
  private source: Said | Uint8Array;
  private statsBytes = 0;

  constructor(init: EntryInit) {
    this.tableId = init.tableId;
    this.priority = init.priority;
    this.cookieHi = init.cookieHi;
    this.cookieLo = init.cookieLo;
    this.flags = init.flags;
    this.idleTimeout = init.idleTimeout;
    this.hardTimeout = init.hardTimeout;
    this.value = init.value;
    this.mask = init.mask;
    this.maskEnd = endOf(init.mask);
    this.compiled = init.compiled;
    this.source = init.source;
    this.importance = this.compiled.importance;
    this.countsPackets = (init.flags & FlowModFlag.NO_PKT_COUNTS) === 0;
    this.countsBytes = (init.flags & FlowModFlag.NO_BYT_COUNTS) === 0;
  }

  get cookie(): bigint {
    return (BigInt(this.cookieHi >>> 0) << 32n) | BigInt(this.cookieLo >>> 0);
  }

  get match(): Match {
    return this.said.match;
  }

  get instructions(): readonly Instruction[] {
    return this.said.instructions;
  }

  get sendsFlowRemoved(): boolean {
    return (this.flags & FlowModFlag.SEND_FLOW_REM) !== 0;
  }

  /** Replaces the instructions, as compiled by compileInstructions for this entry. */
  modify(instructions: readonly Instruction[], compiled: Compiled): void {
    this.source = { match: this.match, instructions };
    this.compiled = compiled;
    this.statsBytes = 0;
  }

  resetCounters(): void {
    this.packets = 0;
    this.bytes = 0;
  }

  /** Whether any of its actions sends to the port. */
  outputsTo(port: number): boolean {
    const { apply = NO_OPS, write = NO_OPS } = this.compiled;
    if (actionsOf(this.instructions).some((action) => action.type === 'output' && action.port === port)) {
      return true;
    }
    const enqueues = ({ code, a }: Op) => code === OP.ENQUEUE && a === (port | 0);
    return apply.some(enqueues) || write.some(enqueues);
  }

  /** Whether any of its actions is this group. */
  usesGroup(id: number): boolean {
    return this.compiled.groups.includes(id);
  }

  private get said(): Said {
    if (this.source instanceof Uint8Array) {
      const message = decode(this.source);
      if (message.type !== 'flow_mod') throw new TypeError(`an entry was made of a ${message.type}`);
      const { match, instructions } = message;
      this.source = { match, instructions };
    }
    return this.source;
  }

  /** Size of its ofp_flow_stats. */
  get statsLength(): number {
    if (this.statsBytes === 0) {
      const reply = encode({
        type: 'multipart_reply',
        body: { type: 'flow', flows: [flowStats(this, this.created)] },
      });
      this.statsBytes = reply.length - 16;
    }
    return this.statsBytes;
  }
}

function endOf(mask: Uint32Array): number {
  let end = mask.length;
  while (end > 0 && mask[end - 1] === 0) end--;
  return end;
}

/** ofp_flow_stats of an entry at this time. */
export function flowStats(entry: FlowEntry, now: number) {
  return {
    table_id: entry.tableId,
    ...duration(entry, now),
    priority: entry.priority,
    idle_timeout: entry.idleTimeout,
    hard_timeout: entry.hardTimeout,
    flags: entry.flags,
    cookie: entry.cookie,
    packet_count: counter(entry.packets, entry.countsPackets),
    byte_count: counter(entry.bytes, entry.countsBytes),
    match: entry.match,
    instructions: [...entry.instructions],
  };
}

export function duration(
  entry: { readonly created: number },
  now: number,
): { duration_sec: number; duration_nsec: number } {
  const ms = now - entry.created;
  return { duration_sec: Math.floor(ms / 1000), duration_nsec: (ms % 1000) * 1_000_000 };
}

/** A counter that is not kept is all ones (section 7.2.4). */
export function counter(value: number, kept: boolean): bigint {
  return kept ? BigInt(value) : 0xffffffffffffffffn;
}

interface EntryContext extends CompiledMatch {
  tableId: number;
  priority: number;
  match: Match;
}

function badInstruction(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_INSTRUCTION, code, text);
}

/** Checks instructions for an entry with this match, in this table. Throws OpenFlowError. */
export function compileInstructions(
  instructions: readonly Instruction[],
  entry: EntryContext,
  references: References,
): Compiled {
  const tableMiss = entry.priority === 0 && entry.mask.every((word) => word === 0);
  const context: CompileContext = {
    match: entry.match,
    tableMiss,
    packetOut: false,
    hasGroup: (id) => references.hasGroup(id),
  };
  const seen = new Set<string>();
  const compiled = newCompiled();
  for (const instruction of instructions) {
    if (seen.has(instruction.type)) {
      throw badInstruction(BadInstructionCode.UNSUP_INST, `${instruction.type} twice in one entry`);
    }
    seen.add(instruction.type);
    switch (instruction.type) {
      case 'apply_actions':
        compiled.apply = compileActions(instruction.actions, context);
        break;
      case 'write_actions':
        compiled.write = compileActionSet(instruction.actions, context, applied(instructions));
        break;
      case 'clear_actions':
        compiled.clear = true;
        break;
      case 'write_metadata': {
        const { metadata, metadata_mask: mask } = instruction;
        compiled.writesMetadata = true;
        compiled.metadataHi = Number(BigInt.asIntN(32, (metadata & mask) >> 32n));
        compiled.metadataLo = Number(BigInt.asIntN(32, metadata & mask));
        compiled.metadataMaskHi = Number(BigInt.asIntN(32, mask >> 32n));
        compiled.metadataMaskLo = Number(BigInt.asIntN(32, mask));
        break;
      }
      case 'goto_table':
        if (instruction.table_id <= entry.tableId || instruction.table_id >= TABLES) {
          throw badInstruction(
            BadInstructionCode.BAD_TABLE_ID,
            `goto_table ${instruction.table_id} from table ${entry.tableId}: tables go up, to ${TABLES - 1}`,
          );
        }
        compiled.goto = instruction.table_id;
        break;
      case 'meter':
        if (!references.hasMeter(instruction.meter_id)) {
          throw new OpenFlowError(
            ErrorType.METER_MOD_FAILED,
            MeterModFailedCode.UNKNOWN_METER,
            `there is no meter ${instruction.meter_id}`,
          );
        }
        compiled.meter = instruction.meter_id;
        break;
      case 'experimenter':
        compiled.importance = importanceOf(instruction);
        break;
    }
  }
  compiled.groups = groupsOf(instructions);
  return compiled;
}

function applied(instructions: readonly Instruction[]): readonly Action[] {
  for (const instruction of instructions)
    if (instruction.type === 'apply_actions') return instruction.actions;
  return [];
}

export const NO_GROUPS: readonly number[] = [];

/** The actions of all its instructions, with those that others in the same write-actions take the place of. */
function actionsOf(instructions: readonly Instruction[]): readonly Action[] {
  return instructions.flatMap((one) =>
    one.type === 'apply_actions' || one.type === 'write_actions' ? one.actions : [],
  );
}

function groupsOf(instructions: readonly Instruction[]): readonly number[] {
  const ids = actionsOf(instructions).flatMap((action) => (action.type === 'group' ? [action.group_id] : []));
  return ids.length === 0 ? NO_GROUPS : [...new Set(ids)];
}

const NO_OPS: readonly Op[] = [];

/** The one experimenter instruction there is: 16 bits, padded to 8 bytes. */
function importanceOf({ experimenter, data }: Extract<Instruction, { type: 'experimenter' }>): number {
  if (experimenter !== FLOWCELL_EXPERIMENTER) {
    throw badInstruction(
      BadInstructionCode.BAD_EXPERIMENTER,
      'no instructions of this experimenter are known here',
    );
  }
  if (data.length !== 8) throw badInstruction(BadInstructionCode.BAD_LEN, 'importance takes 8 bytes');
  return (data[0] << 8) | data[1];
}

/** Whether a FLOW_MOD or statistics request means the table: its own number, or all. */
export function meansTable(wanted: number, tableId: number): boolean {
  return wanted === TableNumber.ALL || wanted === tableId;
}
