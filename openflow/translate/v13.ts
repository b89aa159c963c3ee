/** OpenFlow 1.3 needs no translation. */

import { FLOW_MOD_UPSERT } from '../flowcell.ts';
import { decode, encode, type Message, OpenFlowError } from '../index.ts';
import { ErrorType, FlowModFailedCode } from '../v13/errors.ts';
import type { Dialect } from './dialect.ts';

/** What only another version's flow_mods mean is not for controllers of 1.3. */
function check(message: Message): Message {
  if (message.type !== 'flow_mod' || (message.flags & FLOW_MOD_UPSERT) === 0) return message;
  const text = `flags 0x${message.flags.toString(16)}`;
  throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_FLAGS, text);
}

export const dialect13: Dialect = {
  version: 4,
  decode: (bytes) => [check(decode(bytes))],
  encode: (message) => [encode(message)],
};
