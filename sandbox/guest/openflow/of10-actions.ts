/**
 * OpenFlow 1.0 actions as they stand, in experimenter actions of the Flowcell extension (docs/protocol.md): what
 * OpenFlow 1.3 has no action for. A packet without the header is left alone.
 */
import { BadActionCode, ErrorType, OpenFlowError, Port } from '../../../openflow/index.ts';
import { FIELD_BY_NAME } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import { setField } from './edit.ts';
import { hasVlanTag } from './edit-bytes.ts';
import { pushVlan } from './edit-tags.ts';

/** ofp_action_type of OpenFlow 1.0, section 5.2.4. */
const OFPAT10 = {
  SET_VLAN_VID: 1,
  SET_VLAN_PCP: 2,
  STRIP_VLAN: 3,
  SET_NW_SRC: 6,
  SET_NW_DST: 7,
  SET_NW_TOS: 8,
  SET_TP_SRC: 9,
  SET_TP_DST: 10,
  ENQUEUE: 11,
} as const;

const VLAN_TYPE = 0x8100;

export type Of10Kind = 'set_vlan' | 'pop_vlan' | 'set_field' | 'set_tp' | 'enqueue';

/** An action decoded: `field` is the OXM number that it sets (of a port, TCP's), `value` what it is set to. */
export interface Of10Action {
  readonly kind: Of10Kind;
  readonly field: number;
  readonly value: number;
  readonly queue: number;
}

const oxm = (name: string): number => FIELD_BY_NAME.get(name)!.oxm;
const TCP_SRC = oxm('tcp_src');
const UDP_SRC = oxm('udp_src');
const UDP_DST = oxm('udp_dst');

/** Throws OpenFlowError (OFPET_BAD_ACTION). */
export function decodeOf10(data: Uint8Array): Of10Action {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const type = data.length >= 4 ? view.getUint16(0) : -1;
  const length = type === OFPAT10.ENQUEUE ? 16 : 8;
  if (data.length !== length || view.getUint16(2) !== length) {
    throw badAction(BadActionCode.BAD_LEN, 'an OpenFlow 1.0 action of another length than it says');
  }
  const u8 = data[4];
  const u16 = view.getUint16(4);
  switch (type) {
    case OFPAT10.SET_VLAN_VID:
      return sets('set_vlan', 'vlan_vid', atMost(0xfff, u16));
    case OFPAT10.SET_VLAN_PCP:
      return sets('set_vlan', 'vlan_pcp', atMost(7, u8));
    case OFPAT10.STRIP_VLAN:
      return sets('pop_vlan', 'vlan_vid', 0);
    case OFPAT10.SET_NW_SRC:
      return sets('set_field', 'ipv4_src', view.getUint32(4));
    case OFPAT10.SET_NW_DST:
      return sets('set_field', 'ipv4_dst', view.getUint32(4));
    case OFPAT10.SET_NW_TOS:
      if ((u8 & 3) !== 0) throw badAction(BadActionCode.BAD_ARGUMENT, 'set_nw_tos sets the upper 6 bits');
      return sets('set_field', 'ip_dscp', u8 >> 2);
    case OFPAT10.SET_TP_SRC:
      return sets('set_tp', 'tcp_src', u16);
    case OFPAT10.SET_TP_DST:
      return sets('set_tp', 'tcp_dst', u16);
    case OFPAT10.ENQUEUE:
      return { ...sets('enqueue', 'in_port', queuedPort(u16)), queue: view.getUint32(12) };
    default:
      throw badAction(BadActionCode.BAD_TYPE, `OpenFlow 1.0 action ${type} is not taken here`);
  }
}

function sets(kind: Of10Kind, field: string, value: number): Of10Action {
  return { kind, field: oxm(field), value, queue: 0 };
}

function atMost(most: number, value: number): number {
  if (value > most) throw badAction(BadActionCode.BAD_ARGUMENT, `${value} is more than ${most}`);
  return value;
}

/** Port numbers of OpenFlow 1.0 have 16 bits, the reserved ones the same lower bits as later. */
function queuedPort(port: number): number {
  const wide = port >= 0xff00 ? (0xffff0000 | port) >>> 0 : port;
  if (port === 0 || (wide > Port.MAX && wide !== Port.IN_PORT)) {
    throw badAction(BadActionCode.BAD_OUT_PORT, `port ${port} has no queues`);
  }
  return wide;
}

function badAction(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.BAD_ACTION, code, text);
}

/** The value of a set-field, as Op has it; one object serves all. */
const value = { code: 0, order: 0, a: 0, b: 0, c: 0, d: 0 };

/** Sets VLAN number or priority, in a tag of its own if the packet has none. False: no headroom left. */
export function setVlan(packet: PacketView, key: Uint32Array, field: number, to: number): boolean {
  if (!hasVlanTag(packet) && !pushVlan(packet, VLAN_TYPE)) return false;
  value.a = to;
  setField(packet, key, field, value);
  return true;
}

/** Sets the source (OXM field tcp_src) or destination port of TCP or UDP. */
export function setTransportPort(packet: PacketView, key: Uint32Array, field: number, to: number): void {
  value.a = to;
  setField(packet, key, field, value);
  setField(packet, key, field === TCP_SRC ? UDP_SRC : UDP_DST, value);
}

/** Sets a field of one word. */
export function setPlainField(packet: PacketView, key: Uint32Array, field: number, to: number): void {
  value.a = to;
  setField(packet, key, field, value);
}
