/**
 * Actions of OpenFlow 1.0 and of 1.3. Spec: 3.3 and 5.2.4 of 1.0.
 *
 * A device takes most actions of 1.0 as they stand, in the experimenter action of the Flowcell extension: what they do
 * depends on the packet (set_vlan_vid adds a tag where there is none, set_tp_src means TCP and UDP), which no action of
 * 1.3 does. A controller gets them in 1.3's own words, which the entry's match allows to choose.
 */
import type { OpenFlowError } from '../errors.ts';
import { FLOWCELL_EXPERIMENTER } from '../flowcell.ts';
import type { Action, ActionInit, InstructionInit } from '../index.ts';
import * as v10 from '../v10/index.ts';
import { OFPVID_PRESENT } from '../v13/constants.ts';
import { BadActionCode, BadInstructionCode, ErrorType } from '../v13/errors.ts';
import { cannotSay } from './shared.ts';
import { port16Of, port32 } from './v10-ports.ts';

type Fields = Readonly<Record<string, unknown>>;

const BAD_OUT_PORT = [ErrorType.BAD_ACTION, BadActionCode.BAD_OUT_PORT] as const;
const ETHERTYPE_VLAN = 0x8100;
const VID = 0x0fff;

const badAction = (what: string, code: number): OpenFlowError =>
  cannotSay(v10.OFP_VERSION, what, [ErrorType.BAD_ACTION, code]);

// As bytes --------------------------------------------------------------------------------------------------

/** Bytes before the actions of a packet_out. */
const PACKET_OUT_BYTES = 16;
const OFPT_PACKET_OUT = 13;
/** Type and length before an action's vendor. */
const VENDOR_AT = 4;

const bytesOf = (action: v10.ActionInit): Uint8Array =>
  v10.encode({ type: 'packet_out', actions: [action] }).slice(PACKET_OUT_BYTES);

/** The actions of 1.0 that stand in `bytes`. @throws OpenFlowError BAD_ACTION, BAD_REQUEST */
function actionsOf(bytes: Uint8Array): readonly v10.ActionInit[] {
  const length = PACKET_OUT_BYTES + bytes.length;
  const message = new Uint8Array(length);
  message.set([v10.OFP_VERSION, OFPT_PACKET_OUT, length >>> 8, length]);
  message.set([bytes.length >>> 8, bytes.length], PACKET_OUT_BYTES - 2);
  message.set(bytes, PACKET_OUT_BYTES);
  return (v10.decode(message) as v10.MessageOf<'packet_out'>).actions;
}

/** In OpenFlow 1.0 and 1.3 an experimenter's action has the same shape. */
function experimenter(action: v10.ActionInit): Action {
  if (action.type === 'vendor')
    return { type: 'experimenter', experimenter: action.vendor, data: action.data };
  const bytes = bytesOf(action);
  const vendor = new DataView(bytes.buffer).getUint32(VENDOR_AT);
  return { type: 'experimenter', experimenter: vendor, data: bytes.subarray(VENDOR_AT + 4) };
}

const verbatim = (action: v10.Action): Action => ({
  type: 'experimenter',
  experimenter: FLOWCELL_EXPERIMENTER,
  data: bytesOf(action),
});

/** Those of the specification that 1.3 has no equal to. */
const ONLY_10: ReadonlySet<string> = new Set([
  'set_vlan_vid',
  'set_vlan_pcp',
  'strip_vlan',
  'set_nw_src',
  'set_nw_dst',
  'set_nw_tos',
  'set_tp_src',
  'set_tp_dst',
  'enqueue',
]);

// From 1.0 --------------------------------------------------------------------------------------------------

const setField = (field: Extract<Action, { type: 'set_field' }>['field']): Action => ({
  type: 'set_field',
  field,
});

/** Those that mean the same in both. */
function sameIn13(action: v10.Action): Action | undefined {
  switch (action.type) {
    case 'output':
      return { type: 'output', port: port32(action.port), max_len: action.max_len };
    case 'set_dl_src':
      return setField({ eth_src: action.dl_addr });
    case 'set_dl_dst':
      return setField({ eth_dst: action.dl_addr });
    default:
      return ONLY_10.has(action.type) ? undefined : experimenter(action);
  }
}

/** For a device: every action does what it does in 1.0. */
export const actionsForDevice = (actions: readonly v10.Action[]): Action[] =>
  actions.map((action) => sameIn13(action) ?? verbatim(action));

const TP_FIELDS: Readonly<Record<number, readonly [src: string, dst: string]>> = {
  6: ['tcp_src', 'tcp_dst'],
  17: ['udp_src', 'udp_dst'],
  132: ['sctp_src', 'sctp_dst'],
};

/** For a controller: as an app of 1.3 says it of packets of this match; as it stands where the match leaves it open. */
export function actionsForController(actions: readonly v10.Action[], match: Fields): Action[] {
  const out: Action[] = [];
  const keepQueues = queuesCannotBeSet(actions);
  let tagged = match.vlan_vid !== undefined && match.vlan_vid !== 0;
  let queue: number | undefined;
  /** A tag that may have to be made first. */
  const tag = (field: Parameters<typeof setField>[0]): void => {
    if (!tagged) out.push({ type: 'push_vlan', ethertype: ETHERTYPE_VLAN });
    tagged = true;
    out.push(setField(field));
  };
  for (const action of actions) {
    switch (action.type) {
      case 'set_vlan_vid':
        tag({ vlan_vid: OFPVID_PRESENT | (action.vlan_vid & VID) });
        break;
      case 'set_vlan_pcp':
        tag({ vlan_pcp: action.vlan_pcp & 7 });
        break;
      case 'strip_vlan':
        tagged = false;
        out.push({ type: 'pop_vlan' });
        break;
      case 'set_nw_src':
        out.push(setField({ ipv4_src: action.nw_addr }));
        break;
      case 'set_nw_dst':
        out.push(setField({ ipv4_dst: action.nw_addr }));
        break;
      case 'set_nw_tos':
        out.push(setField({ ip_dscp: action.nw_tos >>> 2 }));
        break;
      case 'set_tp_src':
      case 'set_tp_dst': {
        const fields = TP_FIELDS[match.ip_proto as number];
        const name = fields?.[action.type === 'set_tp_src' ? 0 : 1];
        out.push(name === undefined ? verbatim(action) : setField({ [name]: action.tp_port } as never));
        break;
      }
      case 'enqueue':
        // A reserved port has no queues: what a switch makes of it is its own.
        if (keepQueues || !hasQueues(action.port)) {
          out.push(verbatim(action));
          break;
        }
        if (queue !== action.queue_id) out.push({ type: 'set_queue', queue_id: action.queue_id });
        queue = action.queue_id;
        out.push({ type: 'output', port: port32(action.port), max_len: 0xffff });
        break;
      default:
        out.push(sameIn13(action) ?? verbatim(action));
    }
  }
  return out;
}

/** set_queue holds for all that is output later: an output to a port after an enqueue would get its queue. */
function queuesCannotBeSet(actions: readonly v10.Action[]): boolean {
  const first = actions.findIndex((action) => action.type === 'enqueue');
  return (
    first >= 0 && actions.slice(first).some((action) => action.type === 'output' && hasQueues(action.port))
  );
}

const hasQueues = (port16: number): boolean => port16 < v10.Port.MAX || port16 === v10.Port.IN_PORT;

// To 1.0 ----------------------------------------------------------------------------------------------------

const SET_FIELD: Readonly<Record<string, (value: never) => v10.ActionInit>> = {
  eth_src: (dl_addr: string) => ({ type: 'set_dl_src', dl_addr }),
  eth_dst: (dl_addr: string) => ({ type: 'set_dl_dst', dl_addr }),
  vlan_vid: (vid: number) => ({ type: 'set_vlan_vid', vlan_vid: vid & VID }),
  vlan_pcp: (vlan_pcp: number) => ({ type: 'set_vlan_pcp', vlan_pcp }),
  ipv4_src: (nw_addr: string) => ({ type: 'set_nw_src', nw_addr }),
  ipv4_dst: (nw_addr: string) => ({ type: 'set_nw_dst', nw_addr }),
  ip_dscp: (dscp: number) => ({ type: 'set_nw_tos', nw_tos: (dscp << 2) & 0xff }),
  ...Object.fromEntries(
    Object.values(TP_FIELDS).flatMap(([src, dst]) => [
      [src, (tp_port: number) => ({ type: 'set_tp_src', tp_port })],
      [dst, (tp_port: number) => ({ type: 'set_tp_dst', tp_port })],
    ]),
  ),
};

/**
 * Actions of 1.3 in 1.0, whose set_vlan_vid and set_vlan_pcp add the tag that push_vlan does.
 * @param match of the entry, as far as it is known; packets of a packet_out are taken to have no tag
 * @throws OpenFlowError BAD_ACTION with a sentence that names the action
 */
export function actionsTo10(actions: readonly ActionInit[], match: Fields = {}): v10.ActionInit[] {
  const out: v10.ActionInit[] = [];
  let tagged = match.vlan_vid !== undefined && match.vlan_vid !== 0;
  /** A tag was pushed that no action of `out` has made yet. */
  let pushed = false;
  let queue: number | undefined;
  /** A tag as push_vlan leaves it: all zero. */
  const makeTag = (): void => {
    if (pushed) out.push({ type: 'set_vlan_vid', vlan_vid: 0 });
    pushed = false;
  };
  for (const action of actions) {
    switch (action.type) {
      case 'output': {
        makeTag();
        const port = port16Of(action.port, BAD_OUT_PORT);
        if (queue !== undefined && hasQueues(port)) out.push({ type: 'enqueue', port, queue_id: queue });
        else out.push({ type: 'output', port, max_len: action.max_len });
        break;
      }
      case 'set_queue':
        queue = action.queue_id;
        break;
      case 'set_field':
        for (const [name, value] of Object.entries(action.field as Fields)) {
          const make = Object.hasOwn(SET_FIELD, name) ? SET_FIELD[name] : undefined;
          if (make === undefined) throw badAction(`set_field of ${name}`, BadActionCode.BAD_SET_TYPE);
          if (name === 'vlan_vid' || name === 'vlan_pcp') pushed = false;
          out.push(make(value as never));
        }
        break;
      case 'push_vlan':
        if (action.ethertype !== ETHERTYPE_VLAN || tagged) {
          throw badAction('push_vlan of a second tag, or of an 802.1ad tag', BadActionCode.BAD_TYPE);
        }
        tagged = true;
        pushed = true;
        break;
      case 'pop_vlan':
        if (!pushed) out.push({ type: 'strip_vlan' });
        pushed = false;
        tagged = false;
        break;
      case 'experimenter':
        out.push(...experimenterTo10(action));
        break;
      default:
        throw badAction(`action ${action.type}`, BadActionCode.BAD_TYPE);
    }
  }
  makeTag();
  return out;
}

function experimenterTo10({ experimenter: vendor, data }: Extract<ActionInit, { type: 'experimenter' }>) {
  if (vendor !== FLOWCELL_EXPERIMENTER) return [{ type: 'vendor' as const, vendor, data }];
  return actionsOf(data);
}

// Instructions ----------------------------------------------------------------------------------------------

/** The order in which an action set is carried out, of what 1.0 can say. Spec: 5.10 of 1.3. */
const SET_ORDER = ['pop_vlan', 'push_vlan', 'set_field', 'experimenter', 'set_queue', 'output'];

/** An action set has one action of each kind, of set_field one for each field; the last written holds. */
function inSetOrder(actions: readonly ActionInit[]): ActionInit[] {
  const set = new Map<string, ActionInit>();
  for (const action of actions) {
    if (!SET_ORDER.includes(action.type)) {
      throw badAction(`action ${action.type} in write_actions`, BadActionCode.BAD_TYPE);
    }
    const key = action.type === 'set_field' ? `set_field ${Object.keys(action.field)[0]}` : action.type;
    set.set(key, action);
  }
  return [...set.values()].sort((a, b) => SET_ORDER.indexOf(a.type) - SET_ORDER.indexOf(b.type));
}

/**
 * Instructions of 1.3 as the one list of actions of 1.0: what is applied, then what is written.
 * @throws OpenFlowError BAD_INSTRUCTION, BAD_ACTION with a sentence that names what there is not
 */
export function instructionsTo10(
  instructions: readonly InstructionInit[] = [],
  match: Fields = {},
): v10.ActionInit[] {
  let applied: readonly ActionInit[] = [];
  let written: readonly ActionInit[] = [];
  for (const instruction of instructions) {
    if (instruction.type === 'apply_actions') applied = instruction.actions;
    else if (instruction.type === 'write_actions') written = instruction.actions;
    else if (instruction.type !== 'clear_actions') {
      throw cannotSay(v10.OFP_VERSION, `instruction ${instruction.type}`, [
        ErrorType.BAD_INSTRUCTION,
        BadInstructionCode.UNSUP_INST,
      ]);
    }
  }
  return actionsTo10(written.length === 0 ? applied : [...applied, ...inSetOrder(written)], match);
}
