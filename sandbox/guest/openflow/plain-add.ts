/**
 * The FLOW_MOD that most flows are set up with, read in one go: an ADD for the packets of a port, or for all, that sends
 * them to ports. What a cell does first it does with memory that is in no cache, and then every function and every object
 * costs more than the work in it: by way of the codec an entry takes some 80 us, like this 10.
 *
 * Everything that is not as plain as this, and everything that is wrong, is left to the codec; a test holds both against
 * each other.
 */
import { FLOWCELL_EXPERIMENTER, OFP_VERSION, PacketInReason, Port } from '../../../openflow/index.ts';
import { K, KEY_WORDS } from '../../../packet/index.ts';
import { OP, type Op, ORDER } from './actions.ts';
import { u16 } from './edit-bytes.ts';
import { FlowEntry, newCompiled, TABLES } from './entry.ts';

/** ofp_flow_mod (OpenFlow 1.3.5, section 7.3.4.1): offsets in the message. */
const AT = { TABLE: 24, COMMAND: 25, PRIORITY: 30, BUFFER: 32, FLAGS: 44, MATCH: 48 } as const;
/** ofp_match without its fields; ofp_instruction_actions without its actions; ofp_action_output. */
const MATCH_HEAD = 4;
const APPLY_HEAD = 8;
const OUTPUT_BYTES = 16;
/** Words: OXM headers (oxm_class, oxm_field, length), and the heads of ofp_match, instruction and action. */
const OXM_IN_PORT = 0x80000004 | 0;
const OXM_CELL = 0xffff0008 | 0;
const OFPMT_OXM = 1;
const OFPIT_APPLY_ACTIONS = 4;
const OUTPUT_HEAD = OUTPUT_BYTES;

const ALL_PACKETS = new Uint32Array(KEY_WORDS);
const OF_A_PORT = new Uint32Array(KEY_WORDS);
OF_A_PORT[K.IN_PORT] = 0xffffffff;

/** The entry; undefined: it takes the codec to say. The bytes are the entry's to keep. */
export function readPlainAdd(b: Uint8Array): FlowEntry | undefined {
  const length = b.length;
  if (
    b[0] !== OFP_VERSION ||
    length < AT.MATCH + 8 ||
    (length & 7) !== 0 ||
    b[AT.COMMAND] !== 0 ||
    b[AT.TABLE] >= TABLES ||
    word(b, AT.BUFFER) !== -1 ||
    b[AT.FLAGS] !== 0 ||
    b[AT.FLAGS + 1] !== 0 ||
    u16(b, AT.MATCH) !== OFPMT_OXM
  )
    return undefined;
  const matchEnd = AT.MATCH + u16(b, AT.MATCH + 2);
  let at = AT.MATCH + MATCH_HEAD;
  // In this order, as every encoder has them; each once.
  let value = ALL_PACKETS;
  let mask = ALL_PACKETS;
  if (matchEnd >= at + 8 && matchEnd <= length && word(b, at) === OXM_IN_PORT) {
    value = new Uint32Array(KEY_WORDS);
    value[K.IN_PORT] = word(b, at + 4);
    mask = OF_A_PORT;
    at += 8;
  }
  if (matchEnd >= at + 12 && matchEnd <= length && word(b, at) === OXM_CELL) {
    if (word(b, at + 4) !== (FLOWCELL_EXPERIMENTER | 0)) return undefined;
    at += 12;
  }
  if (at !== matchEnd) return undefined;
  at = (at + 7) & ~7;
  const priority = u16(b, AT.PRIORITY);
  let apply: Op[] | undefined;
  if (at < length) {
    if (length < at + APPLY_HEAD) return undefined;
    if (u16(b, at) !== OFPIT_APPLY_ACTIONS || u16(b, at + 2) !== length - at) return undefined;
    apply = readOutputs(b, at + APPLY_HEAD, mask === ALL_PACKETS && priority === 0);
    if (apply === undefined) return undefined;
  }
  return new FlowEntry({
    tableId: b[AT.TABLE],
    priority,
    cookieHi: word(b, 8),
    cookieLo: word(b, 12),
    flags: 0,
    idleTimeout: u16(b, 26),
    hardTimeout: u16(b, 28),
    value,
    mask,
    compiled: newCompiled(apply),
    source: b,
  });
}

/** The output actions up to the end of the message; undefined: there is something else among them. */
function readOutputs(b: Uint8Array, start: number, tableMiss: boolean): Op[] | undefined {
  const ops: Op[] = [];
  for (let at = start; at < b.length; at += OUTPUT_BYTES) {
    if (b.length - at < OUTPUT_BYTES || word(b, at) !== OUTPUT_HEAD) return undefined;
    const port = word(b, at + 4);
    if (port > 0) ops.push(outputOp(OP.OUTPUT, port));
    else if (port === (Port.CONTROLLER | 0)) {
      ops.push(outputOp(OP.CONTROLLER, tableMiss ? PacketInReason.NO_MATCH : PacketInReason.ACTION));
    } else if (port === (Port.FLOOD | 0)) ops.push(outputOp(OP.OUTPUT, port));
    else return undefined;
  }
  return ops;
}

function outputOp(code: number, a: number): Op {
  return { code, order: ORDER.output, a, b: 0, c: 0, d: 0 };
}

/** Signed. */
function word(b: Uint8Array, at: number): number {
  return (b[at] << 24) | (b[at + 1] << 16) | (b[at + 2] << 8) | b[at + 3];
}
