/** Executes the actions that change the packet in hand. */
import { FIELD_BY_NAME } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import { OP, type Op } from './actions.ts';
import { setField } from './edit.ts';
import { popMpls, popPbb, popVlan, pushMpls, pushPbb, pushVlan } from './edit-tags.ts';
import { copyTtlIn, copyTtlOut, setMplsTtl, setTtl } from './edit-ttl.ts';
import { setTransportPort, setVlan } from './of10-actions.ts';
import type { PacketState } from './packet-state.ts';

/** Set-fields after which the rest of the packet is another: the key is extracted anew at once. */
const OP_SET_ETH_TYPE = OP.SET_FIELD + FIELD_BY_NAME.get('eth_type')!.oxm;
const OP_SET_IP_PROTO = OP.SET_FIELD + FIELD_BY_NAME.get('ip_proto')!.oxm;
const OP_SET_TUNNEL_ID = OP.SET_FIELD + FIELD_BY_NAME.get('tunnel_id')!.oxm;

/** False: the packet ends here. */
export function executeEdit(packet: PacketView, state: PacketState, op: Op): boolean {
  if (op.code === OP_SET_TUNNEL_ID) {
    state.setTunnel(op.a, op.b);
    return true;
  }
  packet.edit();
  state.stale = true;
  const { key } = state;
  switch (op.code) {
    case OP.PUSH_VLAN:
      return pushVlan(packet, op.a) || noHeadroom(packet);
    case OP.POP_VLAN:
      popVlan(packet);
      return true;
    case OP.SET_NW_TTL:
      setTtl(packet, key, op.a);
      return true;
    case OP.SET_MPLS_TTL:
      setMplsTtl(packet, key, op.a);
      return true;
    case OP.COPY_TTL_IN:
      copyTtlIn(packet, key);
      return true;
    case OP.COPY_TTL_OUT:
      copyTtlOut(packet, key);
      return true;
    case OP.PUSH_MPLS:
      return pushMpls(packet, key, op.a) ? reshaped(packet, state) : noHeadroom(packet);
    case OP.POP_MPLS:
      popMpls(packet, key, op.a);
      return reshaped(packet, state);
    case OP.PUSH_PBB:
      return pushPbb(packet, key, op.a) ? reshaped(packet, state) : noHeadroom(packet);
    case OP.POP_PBB:
      popPbb(packet, key);
      return reshaped(packet, state);
    case OP.SET_VLAN:
      return setVlan(packet, key, op.a, op.b) || noHeadroom(packet);
    case OP.SET_TRANSPORT_PORT:
      setTransportPort(packet, key, op.a, op.b);
      return true;
    default:
      setField(packet, key, op.code - OP.SET_FIELD, op);
      return op.code === OP_SET_ETH_TYPE || op.code === OP_SET_IP_PROTO ? reshaped(packet, state) : true;
  }
}

/** Headers came or went: the actions that follow meet those that are there now. */
function reshaped(packet: PacketView, state: PacketState): true {
  state.extract(packet);
  return true;
}

/** A header to push finds no room: the packet ends. */
function noHeadroom(packet: PacketView): false {
  packet.countNoHeadroom();
  return false;
}
