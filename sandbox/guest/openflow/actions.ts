/**
 * Actions, checked and decoded once when entries change, into records of numbers that the pipeline executes
 * without allocating.
 */
import {
  type Action,
  BadActionCode,
  ErrorType,
  FLOWCELL_EXPERIMENTER,
  type Match,
  OpenFlowError,
  PacketInReason,
  Port,
} from '../../../openflow/index.ts';
import { FIELD_BY_NAME, type Field, isVlanType, OFPVID_PRESENT } from '../../../packet/index.ts';
import { fieldValue, type Plain } from '../../match.ts';
import { decodeOf10, type Of10Action } from './of10-actions.ts';

export const OP = {
  OUTPUT: 0,
  CONTROLLER: 1,
  /** PACKET_OUT only: run the pipeline. */
  TABLE: 2,
  PUSH_VLAN: 3,
  POP_VLAN: 4,
  SET_NW_TTL: 5,
  DEC_NW_TTL: 6,
  /** Set-field of the OXM basic field n is SET_FIELD + n. */
  SET_FIELD: 16,
  GROUP: 80,
  SET_QUEUE: 81,
  /** OpenFlow 1.0: to a port by a queue that counts for this once. */
  ENQUEUE: 82,
  /** OpenFlow 1.0: of OXM field a, in a tag that is pushed if need be, or in TCP or UDP. */
  SET_VLAN: 83,
  SET_TRANSPORT_PORT: 84,
} as const;

/** One action. What a .. d mean depends on the code. */
export interface Op {
  readonly code: number;
  /** Place in the action set, which is also the order of execution (section 5.10). */
  readonly order: number;
  /** Port, Ethernet type, TTL, or the most significant word of a set-field's value (always 32-bit signed). */
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** Order of execution of the action set: each type once, each field of set-field once. */
const ORDER = {
  copy_ttl_in: 0,
  pop_vlan: 1,
  pop_mpls: 2,
  pop_pbb: 3,
  push_mpls: 4,
  push_pbb: 5,
  push_vlan: 6,
  copy_ttl_out: 7,
  dec_mpls_ttl: 8,
  dec_nw_ttl: 9,
  set_mpls_ttl: 10,
  set_nw_ttl: 11,
  /** + OXM field number, 0 .. 39 */
  set_field: 12,
  set_queue: 52,
  group: 53,
  output: 54,
} as const;
export const ORDERS = 55;

/** Fields that set-field may not set here: what is not in the packet, or comes with MPLS and PBB. */
export const NOT_SETTABLE = new Set([
  'in_port',
  'in_phy_port',
  'metadata',
  'ipv6_exthdr',
  'mpls_label',
  'mpls_tc',
  'mpls_bos',
  'pbb_isid',
]);

/** What the packets an action list meets are known to be, from the match and the actions before. */
interface Known {
  match: Record<string, unknown>;
  tagged: boolean | undefined;
}

export interface CompileContext {
  match: Match;
  /** The entry is its table's table-miss entry: packets go to the controller for NO_MATCH. */
  tableMiss: boolean;
  /** Actions of a PACKET_OUT: output to TABLE is allowed, and nothing is known of the packet. */
  packetOut: boolean;
  hasGroup(id: number): boolean;
}

/** Checks an action list and decodes it. Throws OpenFlowError (OFPET_BAD_ACTION). */
export function compileActions(actions: readonly Action[], context: CompileContext): Op[] {
  const match = context.match as Record<string, unknown>;
  const known: Known = { match, tagged: context.packetOut ? undefined : taggedBy(match) };
  return actions.map((action) => compileAction(action, context, known));
}

/** An action list as an action set: of each kind the last, in the set's order. */
export function compileActionSet(actions: readonly Action[], context: CompileContext): Op[] {
  const slots = new Map<number, Op>();
  for (const op of compileActions(actions, context)) slots.set(op.order, op);
  return [...slots.values()].sort((x, y) => x.order - y.order);
}

function badAction(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_ACTION, code, text);
}

function op(code: number, order: number, a = 0, b = 0, c = 0, d = 0): Op {
  return { code, order, a: a | 0, b: b | 0, c: c | 0, d: d | 0 };
}

function compileAction(action: Action, context: CompileContext, known: Known): Op {
  switch (action.type) {
    case 'output':
      return compileOutput(action.port, action.max_len, context);
    case 'set_field':
      return compileSetField(action.field, known, context);
    case 'push_vlan':
      if (!isVlanType(action.ethertype)) {
        throw badAction(BadActionCode.BAD_ARGUMENT, 'push_vlan takes the Ethernet types 0x8100 and 0x88a8');
      }
      known.tagged = true;
      return op(OP.PUSH_VLAN, ORDER.push_vlan, action.ethertype);
    case 'pop_vlan':
      if (known.tagged === false) throw badAction(BadActionCode.MATCH_INCONSISTENT, 'pop_vlan: no VLAN tag');
      known.tagged = undefined;
      return op(OP.POP_VLAN, ORDER.pop_vlan);
    case 'set_nw_ttl':
      return op(OP.SET_NW_TTL, ORDER.set_nw_ttl, action.nw_ttl);
    case 'dec_nw_ttl':
      return op(OP.DEC_NW_TTL, ORDER.dec_nw_ttl);
    case 'group':
      if (!context.hasGroup(action.group_id)) {
        throw badAction(BadActionCode.BAD_OUT_GROUP, `there is no group ${action.group_id}`);
      }
      return op(OP.GROUP, ORDER.group, action.group_id);
    case 'set_queue':
      // Which queues a port has the agent knows: a packet for another goes out without one.
      return op(OP.SET_QUEUE, ORDER.set_queue, action.queue_id);
    case 'experimenter':
      if (action.experimenter !== FLOWCELL_EXPERIMENTER) {
        throw badAction(BadActionCode.BAD_EXPERIMENTER, 'no actions of this experimenter are known here');
      }
      return compileOf10(decodeOf10(action.data), known);
    default:
      throw badAction(BadActionCode.BAD_TYPE, `action ${action.type} is not supported`);
  }
}

function compileOf10({ kind, field, value, queue }: Of10Action, known: Known): Op {
  switch (kind) {
    case 'enqueue':
      return op(OP.ENQUEUE, ORDER.output, value, queue);
    case 'pop_vlan':
      known.tagged = undefined;
      return op(OP.POP_VLAN, ORDER.pop_vlan);
    case 'set_vlan':
      known.tagged = true;
      return op(OP.SET_VLAN, ORDER.set_field + field, field, value);
    case 'set_tp':
      return op(OP.SET_TRANSPORT_PORT, ORDER.set_field + field, field, value);
    case 'set_field':
      return op(OP.SET_FIELD + field, ORDER.set_field + field, value);
  }
}

function compileOutput(port: number, maxLen: number, context: CompileContext): Op {
  switch (port) {
    case Port.CONTROLLER:
      return op(
        OP.CONTROLLER,
        ORDER.output,
        context.tableMiss ? PacketInReason.NO_MATCH : PacketInReason.ACTION,
        maxLen,
      );
    case Port.TABLE:
      if (!context.packetOut)
        throw badAction(BadActionCode.BAD_OUT_PORT, 'output to TABLE is for PACKET_OUT');
      return op(OP.TABLE, ORDER.output);
    case Port.IN_PORT:
    case Port.FLOOD:
    case Port.ALL:
    case Port.LOCAL:
      return op(OP.OUTPUT, ORDER.output, port);
    default:
      if (port === 0 || port > Port.MAX)
        throw badAction(BadActionCode.BAD_OUT_PORT, `no output to port ${port}`);
      return op(OP.OUTPUT, ORDER.output, port);
  }
}

function compileSetField(given: object, known: Known, context: CompileContext): Op {
  const [[name, value], ...more] = Object.entries(given as Record<string, Plain>);
  const field = FIELD_BY_NAME.get(name);
  if (field === undefined || more.length > 0 || NOT_SETTABLE.has(name)) {
    throw badAction(BadActionCode.BAD_SET_TYPE, `set_field cannot set ${name}`);
  }
  if (Array.isArray(value)) throw badAction(BadActionCode.BAD_SET_TYPE, 'set_field takes no mask');
  if (!context.packetOut) checkPrerequisites(field, known);
  const [a, b, c, d] = fieldWords(field, value);
  // What later actions may rely on.
  known.match = { ...known.match, [name]: value };
  return op(OP.SET_FIELD + field.oxm, ORDER.set_field + field.oxm, a, b, c, d);
}

/** The match must say that packets have the field (section 7.2.5, set-field), or an action before it. */
function checkPrerequisites(field: Field, known: Known): void {
  const inconsistent = () =>
    badAction(
      BadActionCode.MATCH_INCONSISTENT,
      `set_field ${field.name}: the match does not say packets have it`,
    );
  if (field.name === 'vlan_vid' && known.tagged === false) throw inconsistent();
  if (field.name === 'vlan_pcp' && known.tagged !== true) throw inconsistent();
  if (field.prerequisites.length === 0 || field.name === 'vlan_pcp') return;
  const holds = field.prerequisites.some(({ field: name, value }) => known.match[name] === value);
  if (!holds) throw inconsistent();
}

function taggedBy(match: Record<string, unknown>): boolean | undefined {
  const given = match.vlan_vid;
  if (given === undefined) return undefined;
  const [vid, mask] = Array.isArray(given) ? given : [given, 0xffff];
  if ((Number(mask) & OFPVID_PRESENT) === 0) return undefined;
  return (Number(vid) & OFPVID_PRESENT) !== 0;
}

/** The value as up to four words, most significant first. */
function fieldWords(field: Field, value: Plain): number[] {
  let number: bigint;
  try {
    number = fieldValue(field, value);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    throw badAction(
      BadActionCode.BAD_SET_ARGUMENT,
      `set_field ${field.name}: '${value}' is not a valid value`,
    );
  }
  const words: number[] = [];
  for (let shift = Math.ceil(field.bits / 32) - 1; shift >= 0; shift--) {
    words.push(Number(BigInt.asIntN(32, number >> BigInt(32 * shift))));
  }
  return words;
}
