/** Small things that the tables of OpenFlow 1.4 and 1.5 are written with. */
import { FLOW_MOD_UPSERT } from '../flowcell.ts';
import { FlowModFailedCode } from '../v13/errors.ts';
import { BadPropertyCode, ErrorType } from '../v14/errors.ts';
import { fail } from './shared.ts';

/** In a flow_mod: a flag that only the dialect of 1.0 sets is not for controllers. */
export function checkFlags<M extends { readonly flags: number }>(flowMod: M): M {
  if (flowMod.flags & FLOW_MOD_UPSERT) {
    fail(
      ErrorType.FLOW_MOD_FAILED,
      FlowModFailedCode.BAD_FLAGS,
      `flow_mod: flags 0x${flowMod.flags.toString(16)}`,
    );
  }
  return flowMod;
}

interface Property {
  readonly type: string;
}

/** The property of one type, if it is there. */
export const property = <P extends Property, T extends P['type']>(
  properties: readonly P[] | undefined,
  type: T,
): Extract<P, { type: T }> | undefined =>
  properties?.find((one): one is Extract<P, { type: T }> => one.type === type);

/** In a request: only properties of these types, each once. Throws BAD_PROPERTY (OpenFlow 1.4, 7.5.4.14). */
export function onlyProperties(properties: readonly Property[], ...types: string[]): void {
  const seen = new Set<string>();
  for (const { type } of properties) {
    if (!types.includes(type)) {
      const code = type === 'experimenter' ? BadPropertyCode.BAD_EXPERIMENTER : BadPropertyCode.BAD_TYPE;
      fail(ErrorType.BAD_PROPERTY, code, `the property ${type} is not known here`);
    }
    if (seen.has(type)) fail(ErrorType.BAD_PROPERTY, BadPropertyCode.DUP_TYPE, `two properties ${type}`);
    seen.add(type);
  }
}
