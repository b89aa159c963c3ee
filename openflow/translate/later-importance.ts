/** The importance of an entry (OpenFlow 1.4): in the canonical form an instruction of the Flowcell extension. */
import type { InstructionInit } from '../index.ts';
import { FLOWCELL_EXPERIMENTER } from '../index.ts';

type Experimenter = Extract<InstructionInit, { type: 'experimenter' }>;

/** 16 bits, and padding. */
const IMPORTANCE_BYTES = 8;

function isImportance(one: { type: string }): boolean {
  if (one.type !== 'experimenter') return false;
  const { experimenter, data } = one as Experimenter;
  return experimenter === FLOWCELL_EXPERIMENTER && data.length === IMPORTANCE_BYTES;
}

export function withImportance<I>(instructions: I[], importance: number): (I | Experimenter)[] {
  if (importance === 0) return instructions;
  const data = new Uint8Array(IMPORTANCE_BYTES);
  data[0] = importance >>> 8;
  data[1] = importance;
  return [...instructions, { type: 'experimenter', experimenter: FLOWCELL_EXPERIMENTER, data }];
}

export function splitImportance<I extends { type: string }>(
  instructions: readonly I[] = [],
): { importance: number; instructions: readonly I[] } {
  const found = instructions.find(isImportance);
  if (found === undefined) return { importance: 0, instructions };
  const { data } = found as unknown as Experimenter;
  const importance = (data[0] << 8) | data[1];
  return { importance, instructions: instructions.filter((one) => !isImportance(one)) };
}
