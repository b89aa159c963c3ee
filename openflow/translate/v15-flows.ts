/**
 * Matches, actions, instructions and statistics of OpenFlow 1.5. Match fields are those of 1.3, pbb_uca, and packet_type, which
 * can only say Ethernet.
 */
import type { Action, ActionInit, Instruction, InstructionInit, Match } from '../index.ts';
import { BadActionCode, BadInstructionCode, BadMatchCode, ErrorType } from '../index.ts';
import type { In, Out } from '../schema/types.ts';
import { match, union } from '../schema/types.ts';
import { actionOptions, instructionOptions, oxmFields } from '../v13/actions.ts';
import { actionVariants, instructionVariants, newFields, type stats } from '../v15/actions.ts';
import { BadActionCode as BadActionCode15 } from '../v15/errors.ts';
import { fail } from './shared.ts';
import { type Translation, translate } from './table.ts';

/** pbb_uca is an extension of 1.3, under the same name. */
const fields = { ...oxmFields, pbb_uca: newFields.pbb_uca } as const;
const action = union(actionOptions, actionVariants(fields));
/** Of messages that are read: with packet_type. Nothing is written with it. */
export const kit15 = {
  match: match({ ...fields, packet_type: newFields.packet_type }),
  action,
  instruction: union(instructionOptions, instructionVariants(action)),
} as const;

type Action15 = Out<typeof kit15.action>;
type Instruction15 = Out<typeof kit15.instruction>;
type InstructionInit15 = In<typeof kit15.instruction>;
type Stats = Out<typeof stats>;

/** @throws OpenFlowError BAD_MATCH/BAD_VALUE for packets that are not Ethernet */
export function matchTo13(match: Out<typeof kit15.match>): Match {
  if (match.packet_type === undefined) return match;
  const { packet_type, ...rest } = match;
  if (packet_type === 0) return rest;
  const text = `packets of type 0x${packet_type.toString(16)}: there are only those of Ethernet`;
  return fail(ErrorType.BAD_MATCH, BadMatchCode.BAD_VALUE, text);
}

const actions: Translation<Action15, Action> = {
  set_field({ type, field }) {
    const [[name, value]] = Object.entries(field);
    if (!Array.isArray(value)) return { type, field } as Action;
    return fail(
      ErrorType.BAD_ACTION,
      BadActionCode15.BAD_SET_MASK,
      `set_field: ${name} can only be set as a whole`,
    );
  },
  copy_field: () => fail(ErrorType.BAD_ACTION, BadActionCode.BAD_TYPE, 'copy_field is not supported'),
  meter({ meter_id }) {
    const text = `meter ${meter_id}: a meter can only be the first of apply_actions`;
    return fail(ErrorType.BAD_ACTION, BadActionCode.UNSUPPORTED_ORDER, text);
  },
};

/** @throws OpenFlowError BAD_ACTION for what 1.3 cannot do: meters among actions, copy_field, masked set_field */
export const actionsTo13 = (list: readonly Action15[]): Action[] =>
  list.map((one) => translate(actions, one));

const instructions: Translation<Instruction15, Instruction, Instruction[]> = {
  /** A meter at the beginning is 1.3's instruction, which comes before all actions, too. */
  apply_actions({ type, actions: [first, ...rest] }) {
    if (first?.type !== 'meter')
      return [{ type, actions: actionsTo13(first === undefined ? [] : [first, ...rest]) }];
    const meter = { type: 'meter' as const, meter_id: first.meter_id };
    return rest.length === 0 ? [meter] : [meter, { type, actions: actionsTo13(rest) }];
  },
  write_actions: ({ type, actions }) => [{ type, actions: actionsTo13(actions) }],
  stat_trigger: () =>
    fail(ErrorType.BAD_INSTRUCTION, BadInstructionCode.UNSUP_INST, 'stat_trigger is not supported'),
};

/** @throws OpenFlowError BAD_ACTION as `actionsTo13`, BAD_INSTRUCTION/UNSUP_INST for stat_trigger */
export const instructionsTo13 = (list: readonly Instruction15[]): Instruction[] =>
  list.flatMap((one) => translate(instructions, one));

/** The meter instruction becomes the first of the actions that are applied. */
export function instructionsFrom13(list: readonly InstructionInit[]): InstructionInit15[] {
  const meters: ActionInit15[] = [];
  const others: InstructionInit15[] = [];
  for (const one of list) {
    if (one.type === 'meter') meters.push(one);
    else others.push(one);
  }
  if (meters.length === 0) return others;
  const at = others.findIndex(({ type }) => type === 'apply_actions');
  if (at < 0) return [{ type: 'apply_actions', actions: meters }, ...others];
  const { actions } = others[at] as Extract<InstructionInit15, { type: 'apply_actions' }>;
  return others.with(at, { type: 'apply_actions', actions: [...meters, ...actions] });
}
type ActionInit15 = In<typeof kit15.action> | ActionInit;

const NO_DURATION = { sec: 0, nsec: 0 };

export function statsTo13({ duration = NO_DURATION, packet_count = 0n, byte_count = 0n }: Stats) {
  return { duration_sec: duration.sec, duration_nsec: duration.nsec, packet_count, byte_count };
}

interface Stats13 {
  readonly duration_sec?: number;
  readonly duration_nsec?: number;
  readonly packet_count?: bigint;
  readonly byte_count?: bigint;
}

/** Takes 1.3's figures out of a structure: `stats` in place of them. */
export function withStats<T extends Stats13>({
  duration_sec = 0,
  duration_nsec = 0,
  packet_count = 0n,
  byte_count = 0n,
  ...kept
}: T): Omit<T, keyof Stats13> & { stats: Stats } {
  return {
    ...kept,
    stats: { duration: { sec: duration_sec, nsec: duration_nsec }, packet_count, byte_count },
  };
}
