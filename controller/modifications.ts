/** From what apps say to the messages that modify a switch: flow entries, groups, meters, ports. */

import {
  type ActionInit,
  FlowModCommand,
  GroupModCommand,
  GroupType,
  type Match,
  type MessageInit,
  type MessageInitOf,
  MeterModCommand,
  NO_BUFFER,
  Port,
  Table,
} from '../openflow/index.ts';
import type { FlowEntry, PortDesc } from './app.ts';
import { FlowcellError } from './errors.ts';
import { flowModMessage } from './rules.ts';

const NO_DATA = new Uint8Array(0);

/** Which flow entries are meant: those at least as specific as the match, with this cookie under the mask. */
export interface FlowFilter {
  /** Default: all tables. */
  table_id?: number;
  match?: Match;
  cookie?: bigint;
  cookie_mask?: bigint;
  /** Only entries with an output to this port. */
  out_port?: number;
  /** Only entries that use this group. */
  out_group?: number;
}

/** With `strict` the one entry with exactly this match and priority. */
export type FlowDeletion = FlowFilter & { strict?: boolean; priority?: number };

export interface GroupEntry {
  group_id: number;
  /** GroupType; default ALL. */
  group_type?: number;
  /** weight for SELECT; watch_port and watch_group for FF. */
  buckets: NonNullable<MessageInitOf<'group_mod'>['buckets']>;
}

export interface MeterEntry {
  meter_id: number;
  /** Bits of MeterFlag: what rates and bursts are in; KBPS (kbit/s) or PKTPS (packets/s) must be there. */
  flags: number;
  bands: NonNullable<MessageInitOf<'meter_mod'>['bands']>;
}

export interface PortChange {
  port_no: number;
  /** Bits of PortConfig as they are to be, and which of them change. */
  config?: number;
  mask?: number;
  /** Bits of PortFeatures to advertise; 0 leaves them as they are. */
  advertise?: number;
  /** Must be the port's own; default what the switch has told. */
  hw_addr?: string;
}

export interface PacketOut {
  actions: readonly ActionInit[];
  /** Default: CONTROLLER. */
  in_port?: number;
  data?: Uint8Array;
  /** Instead of data: a packet that the switch has buffered. */
  buffer_id?: number;
}

export function packetOutMessage(packet: PacketOut): MessageInit {
  return {
    type: 'packet_out',
    buffer_id: packet.buffer_id ?? NO_BUFFER,
    in_port: packet.in_port ?? Port.CONTROLLER,
    actions: packet.actions,
    data: packet.data ?? NO_DATA,
  };
}

export function flowDeletion(filter: FlowDeletion, cell = 0): MessageInit {
  const { strict, match, ...rest } = filter;
  return {
    type: 'flow_mod',
    command: strict ? FlowModCommand.DELETE_STRICT : FlowModCommand.DELETE,
    table_id: Table.ALL,
    priority: 0,
    ...rest,
    match: cell === 0 ? (match ?? {}) : { ...match, cell },
  };
}

export function groupMessage(command: number, group: GroupEntry): MessageInit {
  return { type: 'group_mod', command, group_type: GroupType.ALL, ...group };
}

export function groupDeletion(group_id: number): MessageInit {
  return { type: 'group_mod', command: GroupModCommand.DELETE, group_id };
}

export function meterMessage(command: number, meter: MeterEntry): MessageInit {
  return { type: 'meter_mod', command, ...meter };
}

export function meterDeletion(meter_id: number): MessageInit {
  return { type: 'meter_mod', command: MeterModCommand.DELETE, meter_id };
}

/** @throws FlowcellError FC_PORT_UNKNOWN: the switch has no such port, and no hw_addr is given. */
export function portMessage(change: PortChange, ports: ReadonlyMap<number, PortDesc>): MessageInit {
  const hw_addr = change.hw_addr ?? ports.get(change.port_no)?.hw_addr;
  if (hw_addr === undefined) {
    throw new FlowcellError(
      'FC_PORT_UNKNOWN',
      `the datapath has no port ${change.port_no}; look at datapath.ports for those it has`,
    );
  }
  return { type: 'port_mod', ...change, hw_addr };
}

/** What builds up a list of modifications: a bundle. Each call appends one message. */
export class Modifications {
  readonly messages: MessageInit[] = [];
  readonly #ports: ReadonlyMap<number, PortDesc>;

  constructor(ports: ReadonlyMap<number, PortDesc>) {
    this.#ports = ports;
  }

  /** Any message that the switch takes in a bundle. */
  send(message: MessageInit): void {
    this.messages.push(message);
  }

  addFlow(entry: FlowEntry, cell = 0): void {
    this.send(flowModMessage(entry, FlowModCommand.ADD, cell));
  }

  modifyFlow(entry: FlowEntry, cell = 0): void {
    this.send(flowModMessage(entry, FlowModCommand.MODIFY, cell));
  }

  deleteFlows(filter: FlowDeletion = {}, cell = 0): void {
    this.send(flowDeletion(filter, cell));
  }

  addGroup(group: GroupEntry): void {
    this.send(groupMessage(GroupModCommand.ADD, group));
  }

  modifyGroup(group: GroupEntry): void {
    this.send(groupMessage(GroupModCommand.MODIFY, group));
  }

  deleteGroup(group_id: number): void {
    this.send(groupDeletion(group_id));
  }

  /** @throws FlowcellError FC_PORT_UNKNOWN */
  modifyPort(change: PortChange): void {
    this.send(portMessage(change, this.#ports));
  }

  /** A packet that leaves when the bundle is carried out. */
  packetOut(packet: PacketOut): void {
    this.send(packetOutMessage(packet));
  }
}
