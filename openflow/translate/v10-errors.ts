/** Error types and codes of OpenFlow 1.0 and of 1.3. Spec: 5.4.4 of 1.0, 7.4.4 of 1.3. */
import * as v10 from '../v10/errors.ts';
import * as v13 from '../v13/errors.ts';

type Pair = readonly [type: number, code: number];

const { BAD_REQUEST, BAD_ACTION, FLOW_MOD_FAILED, PORT_MOD_FAILED, QUEUE_OP_FAILED } = v10.ErrorType;
const T = v13.ErrorType;

const request = (code: number): Pair => [BAD_REQUEST, code];
const action = (code: number): Pair => [BAD_ACTION, code];
const flowMod = (code: number): Pair => [FLOW_MOD_FAILED, code];

const NOT_PERMITTED = request(v10.BadRequestCode.EPERM);
const TOO_SHORT = request(v10.BadRequestCode.BAD_LEN);
const UNKNOWN = request(v10.BadRequestCode.BAD_TYPE);
const UNSUPPORTED = flowMod(v10.FlowModFailedCode.UNSUPPORTED);

/** Codes of these have their numbers in 1.0, too, as far as 1.0 goes: highest code, and the type there. */
const ALIKE: Readonly<Record<number, readonly [last: number, type: number]>> = {
  [T.HELLO_FAILED]: [v10.HelloFailedCode.EPERM, v10.ErrorType.HELLO_FAILED],
  [T.BAD_REQUEST]: [v10.BadRequestCode.BUFFER_UNKNOWN, BAD_REQUEST],
  [T.BAD_ACTION]: [v10.BadActionCode.BAD_QUEUE, BAD_ACTION],
  [T.PORT_MOD_FAILED]: [v10.PortModFailedCode.BAD_HW_ADDR, PORT_MOD_FAILED],
  [T.QUEUE_OP_FAILED]: [v10.QueueOpFailedCode.EPERM, QUEUE_OP_FAILED],
};

/** The nearest that 1.0 has, by type and code. */
const NEAREST: Readonly<Record<number, Readonly<Record<number, Pair>>>> = {
  [T.BAD_REQUEST]: {
    [v13.BadRequestCode.BAD_PACKET]: TOO_SHORT,
    [v13.BadRequestCode.MULTIPART_BUFFER_OVERFLOW]: TOO_SHORT,
  },
  [T.BAD_ACTION]: {
    [v13.BadActionCode.BAD_OUT_GROUP]: action(v10.BadActionCode.BAD_OUT_PORT),
    [v13.BadActionCode.UNSUPPORTED_ORDER]: UNSUPPORTED,
    [v13.BadActionCode.BAD_SET_TYPE]: action(v10.BadActionCode.BAD_TYPE),
    [v13.BadActionCode.BAD_SET_LEN]: action(v10.BadActionCode.BAD_LEN),
  },
  [T.BAD_MATCH]: { [v13.BadMatchCode.BAD_LEN]: TOO_SHORT },
  [T.FLOW_MOD_FAILED]: {
    [v13.FlowModFailedCode.TABLE_FULL]: flowMod(v10.FlowModFailedCode.ALL_TABLES_FULL),
    [v13.FlowModFailedCode.OVERLAP]: flowMod(v10.FlowModFailedCode.OVERLAP),
    [v13.FlowModFailedCode.EPERM]: flowMod(v10.FlowModFailedCode.EPERM),
    [v13.FlowModFailedCode.BAD_TIMEOUT]: flowMod(v10.FlowModFailedCode.BAD_EMERG_TIMEOUT),
    [v13.FlowModFailedCode.BAD_COMMAND]: flowMod(v10.FlowModFailedCode.BAD_COMMAND),
  },
  [T.SWITCH_CONFIG_FAILED]: { [v13.SwitchConfigFailedCode.BAD_LEN]: TOO_SHORT },
};

/** What is left of a type. */
const OTHERWISE: Readonly<Record<number, Pair>> = {
  [T.BAD_REQUEST]: NOT_PERMITTED,
  [T.BAD_ACTION]: action(v10.BadActionCode.BAD_ARGUMENT),
  [T.BAD_INSTRUCTION]: UNSUPPORTED,
  [T.BAD_MATCH]: UNSUPPORTED,
  [T.FLOW_MOD_FAILED]: UNSUPPORTED,
  [T.PORT_MOD_FAILED]: NOT_PERMITTED,
  [T.QUEUE_OP_FAILED]: [QUEUE_OP_FAILED, v10.QueueOpFailedCode.EPERM],
  [T.SWITCH_CONFIG_FAILED]: NOT_PERMITTED,
  [T.ROLE_REQUEST_FAILED]: NOT_PERMITTED,
  [T.EXPERIMENTER]: request(v10.BadRequestCode.BAD_VENDOR),
};

/** The error of 1.0 that says what one of 1.3 does, or comes nearest to it. */
export function errorTo10(type: number, code: number): Pair {
  const alike = ALIKE[type];
  if (alike !== undefined && code <= alike[0]) return [alike[1], code];
  return NEAREST[type]?.[code] ?? OTHERWISE[type] ?? UNKNOWN;
}

const FLOW_MOD_FROM_10: Readonly<Record<number, Pair>> = {
  [v10.FlowModFailedCode.ALL_TABLES_FULL]: [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.TABLE_FULL],
  [v10.FlowModFailedCode.OVERLAP]: [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.OVERLAP],
  [v10.FlowModFailedCode.EPERM]: [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.EPERM],
  [v10.FlowModFailedCode.BAD_EMERG_TIMEOUT]: [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.BAD_TIMEOUT],
  [v10.FlowModFailedCode.BAD_COMMAND]: [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.BAD_COMMAND],
  // "Unsupported action list - cannot process in the order specified."
  [v10.FlowModFailedCode.UNSUPPORTED]: [T.BAD_ACTION, v13.BadActionCode.UNSUPPORTED_ORDER],
};

/** Types that go on under another number. */
const TYPE_FROM_10: Readonly<Record<number, number>> = {
  [PORT_MOD_FAILED]: T.PORT_MOD_FAILED,
  [QUEUE_OP_FAILED]: T.QUEUE_OP_FAILED,
};

/** The error of 1.3 for one of 1.0; what 1.0 does not have, either, keeps its code and becomes an experimenter's. */
export function errorFrom10(type: number, code: number): Pair {
  if (type <= BAD_ACTION) return [type, code];
  if (type === FLOW_MOD_FAILED) {
    return FLOW_MOD_FROM_10[code] ?? [T.FLOW_MOD_FAILED, v13.FlowModFailedCode.UNKNOWN];
  }
  return [TYPE_FROM_10[type] ?? T.EXPERIMENTER, code];
}
