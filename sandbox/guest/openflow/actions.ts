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
import { ETH_TYPE, FIELD_BY_NAME, type Field, isVlanType } from '../../../packet/index.ts';
import { fieldValue, type Plain } from '../../match.ts';
import { FIRST_ETH_TYPE, isMplsType } from './edit-bytes.ts';
import { Known } from './known.ts';
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
  /** Set-field of field n of FIELDS is SET_FIELD + n. */
  SET_FIELD: 16,
  PUSH_MPLS: 64,
  POP_MPLS: 65,
  PUSH_PBB: 66,
  POP_PBB: 67,
  SET_MPLS_TTL: 68,
  DEC_MPLS_TTL: 69,
  COPY_TTL_OUT: 70,
  COPY_TTL_IN: 71,
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
export const ORDER = {
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
  /** + number of the field in FIELDS, 0 .. 40 */
  set_field: 12,
  set_queue: 53,
  group: 54,
  output: 55,
} as const;
export const ORDERS = 56;

/** Fields that set-field may not set: they are not in the packet, or follow from it. */
export const NOT_SETTABLE = new Set(['in_port', 'in_phy_port', 'metadata', 'ipv6_exthdr']);

export interface CompileContext {
  match: Match;
  /** The entry is its table's table-miss entry: packets go to the controller for NO_MATCH. */
  tableMiss: boolean;
  /** Actions of a PACKET_OUT (output to TABLE is allowed) or a bucket: nothing is known of the packet. */
  packetOut: boolean;
  hasGroup(id: number): boolean;
}

/** Of what a PACKET_OUT or a group's bucket meets nothing is known. */
const knownOf = ({ packetOut, match }: CompileContext): Known => new Known(packetOut ? undefined : match);

/** Checks an action list and decodes it. Throws OpenFlowError (OFPET_BAD_ACTION). */
export function compileActions(actions: readonly Action[], context: CompileContext): Op[] {
  const known = knownOf(context);
  return actions.map((action) => compileAction(action, context, known));
}

/**
 * An action list as an action set: of each kind the last, in the set's order. `before`: what apply-actions of
 * the same entry does, which comes first. Throws OpenFlowError (OFPET_BAD_ACTION).
 */
export function compileActionSet(
  actions: readonly Action[],
  context: CompileContext,
  before: readonly Action[] = [],
): Op[] {
  const slots = new Map<number, Action>();
  // All are checked; whether one fits the packets only where it comes to be executed.
  for (const action of actions) {
    const { order } = compileAction(action, context, new Known(undefined));
    slots.set(order, action);
  }
  const set = [...slots].sort(([x], [y]) => x - y).map(([, action]) => action);
  const known = knownOf(context);
  for (const action of before) compileAction(action, context, known);
  return set.map((action) => compileAction(action, context, known));
}

function badAction(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_ACTION, code, text);
}

function op(code: number, order: number, a = 0, b = 0, c = 0, d = 0): Op {
  return { code, order, a: a | 0, b: b | 0, c: c | 0, d: d | 0 };
}

/** Decodes one action, and keeps in `known` what packets are behind it. */
function compileAction(action: Action, context: CompileContext, known: Known): Op {
  known.checkAction(action.type);
  switch (action.type) {
    case 'output':
      return compileOutput(action.port, context);
    case 'set_field':
      return compileSetField(action.field, known);
    case 'push_vlan':
      checkType(action, isVlanType(action.ethertype));
      known.pushedVlan();
      return op(OP.PUSH_VLAN, ORDER.push_vlan, action.ethertype);
    case 'pop_vlan':
      known.poppedVlan();
      return op(OP.POP_VLAN, ORDER.pop_vlan);
    case 'push_mpls':
      checkType(action, isMplsType(action.ethertype));
      known.pushed(action.ethertype);
      return op(OP.PUSH_MPLS, ORDER.push_mpls, action.ethertype);
    case 'pop_mpls':
      checkType(action, action.ethertype >= FIRST_ETH_TYPE);
      known.poppedMpls(action.ethertype);
      return op(OP.POP_MPLS, ORDER.pop_mpls, action.ethertype);
    case 'push_pbb':
      checkType(action, action.ethertype === ETH_TYPE.PBB);
      known.pushed(action.ethertype);
      return op(OP.PUSH_PBB, ORDER.push_pbb, action.ethertype);
    case 'pop_pbb':
      known.poppedPbb();
      return op(OP.POP_PBB, ORDER.pop_pbb);
    case 'set_mpls_ttl':
      return op(OP.SET_MPLS_TTL, ORDER.set_mpls_ttl, action.mpls_ttl);
    case 'dec_mpls_ttl':
      return op(OP.DEC_MPLS_TTL, ORDER.dec_mpls_ttl);
    case 'set_nw_ttl':
      return op(OP.SET_NW_TTL, ORDER.set_nw_ttl, action.nw_ttl);
    case 'dec_nw_ttl':
      return op(OP.DEC_NW_TTL, ORDER.dec_nw_ttl);
    case 'copy_ttl_out':
      return op(OP.COPY_TTL_OUT, ORDER.copy_ttl_out);
    case 'copy_ttl_in':
      return op(OP.COPY_TTL_IN, ORDER.copy_ttl_in);
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
  }
}

function compileOf10({ kind, field, value, queue }: Of10Action, known: Known): Op {
  switch (kind) {
    case 'enqueue':
      return op(OP.ENQUEUE, ORDER.output, value, queue);
    case 'pop_vlan':
      known.poppedVlan();
      return op(OP.POP_VLAN, ORDER.pop_vlan);
    case 'set_vlan':
      known.pushedVlan();
      return op(OP.SET_VLAN, ORDER.set_field + field, field, value);
    case 'set_tp':
      return op(OP.SET_TRANSPORT_PORT, ORDER.set_field + field, field, value);
    case 'set_field':
      return op(OP.SET_FIELD + field, ORDER.set_field + field, value);
  }
}

function checkType(action: { type: string; ethertype: number }, valid: boolean): void {
  if (valid) return;
  throw badAction(
    BadActionCode.BAD_ARGUMENT,
    `${action.type} does not take the Ethernet type 0x${action.ethertype.toString(16)}`,
  );
}

function compileOutput(port: number, context: CompileContext): Op {
  switch (port) {
    case Port.CONTROLLER:
      // max_len is for packets of which the switch keeps a copy, which this one does not.
      return op(
        OP.CONTROLLER,
        ORDER.output,
        context.tableMiss ? PacketInReason.NO_MATCH : PacketInReason.ACTION,
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

function compileSetField(given: object, known: Known): Op {
  const [[name, value], ...more] = Object.entries(given as Record<string, Plain>);
  const field = FIELD_BY_NAME.get(name);
  if (field === undefined || more.length > 0 || NOT_SETTABLE.has(name)) {
    throw badAction(BadActionCode.BAD_SET_TYPE, `set_field cannot set ${name}`);
  }
  if (Array.isArray(value)) throw badAction(BadActionCode.BAD_SET_TYPE, 'set_field takes no mask');
  known.checkField(field);
  const [a, b, c, d] = fieldWords(field, value);
  known.set(name, value);
  return op(OP.SET_FIELD + field.oxm, ORDER.set_field + field.oxm, a, b, c, d);
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
