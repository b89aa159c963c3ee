/**
 * A learning switch. On devices that have cells it opens one per flow and covers both directions of a
 * connection with it; on ordinary OpenFlow switches it is the classic reactive learning switch.
 */

import {
  type App,
  type Datapath,
  defineApp,
  FIVE_TUPLE_FIELDS,
  type FlowAnswer,
  type PortStatus,
} from '../controller/index.ts';
import { type FieldName, PortConfig, PortReason, PortState } from '../openflow/index.ts';
import { FlowSwitch } from './learning-flows.ts';
import { PlainSwitch } from './learning-plain.ts';
import { PortSwitch } from './learning-ports.ts';
import type { MacTableOptions } from './mac-table.ts';

/** What shares a cell: a connection, two hosts' traffic of one kind, all traffic of two hosts, of one port. */
export type Granularity = 'five-tuple' | 'ip-pair' | 'host-pair' | 'port';

export interface LearningSwitchOptions {
  /** Default 'five-tuple'. */
  granularity?: Granularity;
  /** Seconds without a packet after which a flow's rule and cell end; default 30. */
  idle_timeout?: number;
  /** V8 heap per cell, MiB; default the controller's. */
  memoryMiB?: number;
  /** What is between the cells; default 'isolate'. */
  wall?: FlowAnswer['wall'];
  /** Bounds of the MAC table, per device. */
  macs?: MacTableOptions;
  /** Milliseconds, monotonic; for tests. */
  now?: () => number;
}

const MACS: readonly FieldName[] = ['eth_dst', 'eth_src', 'vlan_vid'];

/** The match fields of a flow, by granularity. */
export const GRANULARITY_FIELDS: Readonly<Record<Granularity, readonly FieldName[]>> = {
  'five-tuple': FIVE_TUPLE_FIELDS,
  'ip-pair': [...MACS, 'eth_type', 'ipv4_src', 'ipv4_dst', 'ipv6_src', 'ipv6_dst'],
  'host-pair': MACS,
  port: ['in_port'],
};

/** What the app keeps per device, in whichever mode that is. */
export interface Switching {
  onFlow?: App['onFlow'];
  onRule?: App['onRule'];
  onPacketIn?: App['onPacketIn'];
  onCellStatus?: App['onCellStatus'];
  /** Called once the device is there. */
  start?(): Promise<void>;
  /** Nobody is at this port any more. */
  portGone(port: number): void;
}

export interface SwitchingOptions {
  idle_timeout: number;
  memoryMiB: number | undefined;
  wall: FlowAnswer['wall'];
  fields: readonly FieldName[];
  macs: MacTableOptions;
  now: () => number;
}

/** The app; give it to `Controller.start({ apps: [learningSwitch()] })`. */
export function learningSwitch(options: LearningSwitchOptions = {}): App {
  const granularity = options.granularity ?? 'five-tuple';
  const fields = GRANULARITY_FIELDS[granularity];
  const settings: SwitchingOptions = {
    idle_timeout: options.idle_timeout ?? 30,
    memoryMiB: options.memoryMiB,
    wall: options.wall,
    fields,
    macs: options.macs ?? {},
    now: options.now ?? (() => performance.now()),
  };
  const switches = new Map<Datapath, Switching>();

  /** News of adopted cells may come before onDatapath has run for this app: either makes the state. */
  const at = (datapath: Datapath): Switching => {
    let state = switches.get(datapath);
    if (state === undefined) {
      if (!datapath.flowMode) state = new PlainSwitch(datapath, settings);
      else if (granularity === 'port') state = new PortSwitch(datapath, settings);
      else state = new FlowSwitch(datapath, settings);
      switches.set(datapath, state);
    }
    return state;
  };

  return defineApp({
    name: 'learning-switch',
    flowFields: fields,
    onDatapath: (datapath) => at(datapath).start?.(),
    onDatapathGone: (datapath) => {
      switches.delete(datapath);
    },
    onFlow: (query) => at(query.datapath).onFlow?.(query),
    onRule: (datapath, rule) => at(datapath).onRule?.(datapath, rule),
    onPacketIn: (datapath, packetIn) => at(datapath).onPacketIn?.(datapath, packetIn),
    onCellStatus: (datapath, status) => at(datapath).onCellStatus?.(datapath, status),
    onPortStatus: (datapath, status) => {
      if (isGone(status)) at(datapath).portGone(status.desc.port_no);
    },
  });
}

function isGone({ reason, desc }: PortStatus): boolean {
  if (reason === PortReason.DELETE) return true;
  return (desc.state & PortState.LINK_DOWN) !== 0 || (desc.config & PortConfig.PORT_DOWN) !== 0;
}
