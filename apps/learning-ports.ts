/**
 * The learning switch in flow mode with one cell per port. Such a cell sees all stations of its port and
 * talks to all others, so it has a MAC table of its own, in two flow tables: table 0 knows the sources at
 * this port and reports new ones, table 1 knows the destinations.
 */

import type {
  CellRecord,
  CellStatus,
  Datapath,
  FlowAnswer,
  FlowDecision,
  FlowEntry,
  FlowQuery,
  PacketIn,
} from '../controller/index.ts';
import { Port } from '../openflow/index.ts';
import { addressesOf, forward } from './forwarding.ts';
import type { Switching, SwitchingOptions } from './learning-switch.ts';
import { MacTable } from './mac-table.ts';

const RESERVED_PRIORITY = 100;
const STATION_PRIORITY = 10;
const SOURCES = 0;
const DESTINATIONS = 1;
const REPORT_BYTES = 64;

interface Station {
  vlan: number;
  mac: string;
  port: number;
}

/** Bridges never forward 01:80:c2:00:00:0x. */
const RESERVED: FlowEntry = {
  table_id: SOURCES,
  priority: RESERVED_PRIORITY,
  match: { eth_dst: ['01:80:c2:00:00:00', 'ff:ff:ff:ff:ff:f0'] },
};
const NEW_SOURCE: FlowEntry = {
  table_id: SOURCES,
  priority: 0,
  instructions: [
    {
      type: 'apply_actions',
      actions: [{ type: 'output', port: Port.CONTROLLER, max_len: REPORT_BYTES }],
    },
    { type: 'goto_table', table_id: DESTINATIONS },
  ],
};
const UNKNOWN_DESTINATION: FlowEntry = {
  table_id: DESTINATIONS,
  priority: 0,
  actions: [{ type: 'output', port: Port.FLOOD }],
};

const sourceMatch = ({ vlan, mac }: Station) => ({ vlan_vid: vlan, eth_src: mac });
const destinationMatch = ({ vlan, mac }: Station) => ({ vlan_vid: vlan, eth_dst: mac });

/** What the cell of port `inPort` has to know about a station. */
function entriesFor(inPort: number, station: Station): FlowEntry[] {
  const here = station.port === inPort;
  const destination: FlowEntry = {
    table_id: DESTINATIONS,
    priority: STATION_PRIORITY,
    match: destinationMatch(station),
    actions: here ? [] : [{ type: 'output', port: station.port }],
  };
  if (!here) return [destination];
  const source: FlowEntry = {
    table_id: SOURCES,
    priority: STATION_PRIORITY,
    match: sourceMatch(station),
    instructions: [{ type: 'goto_table', table_id: DESTINATIONS }],
  };
  return [source, destination];
}

export class PortSwitch implements Switching {
  readonly macs: MacTable;
  readonly #datapath: Datapath;
  readonly #options: SwitchingOptions;
  /** Live cells by the port they serve. */
  readonly #cells = new Map<number, number>();

  constructor(datapath: Datapath, options: SwitchingOptions) {
    this.#datapath = datapath;
    this.#options = options;
    this.macs = new MacTable(options.macs);
  }

  onFlow(query: FlowQuery): FlowDecision {
    this.#learn(query.inPort, query.data);
    const entries = [RESERVED, NEW_SOURCE, UNKNOWN_DESTINATION];
    for (const station of this.macs.entries()) entries.push(...entriesFor(query.inPort, station));
    const answer: FlowAnswer = {
      match: { in_port: query.inPort },
      idle_timeout: this.#options.idle_timeout,
      entries,
    };
    if (this.#options.wall !== undefined) answer.wall = this.#options.wall;
    if (this.#options.memoryMiB !== undefined) answer.cells = [{ memoryMiB: this.#options.memoryMiB }];
    return answer;
  }

  onPacketIn(_datapath: Datapath, packetIn: PacketIn): void {
    const inPort = packetIn.match.in_port;
    if (inPort !== undefined) this.#learn(inPort, packetIn.data);
  }

  onCellStatus(_datapath: Datapath, { state, record }: CellStatus): void {
    const inPort = record.match.in_port;
    if (inPort === undefined) return;
    if (state === 'ready') this.#opened(inPort, record);
    else if (this.#cells.get(inPort) === record.cell || state === 'removed') this.#cells.delete(inPort);
  }

  portGone(port: number): void {
    const gone = [...this.macs.entries()].filter((station) => station.port === port);
    this.macs.forgetPort(port);
    for (const station of gone) this.#forget(station);
  }

  #opened(inPort: number, record: CellRecord): void {
    this.#cells.set(inPort, record.cell);
    if (record.adopted) {
      const now = this.#options.now();
      for (const { table_id, match } of record.entries) {
        if (table_id !== SOURCES || typeof match?.eth_src !== 'string') continue;
        const vlan = typeof match.vlan_vid === 'number' ? match.vlan_vid : 0;
        this.macs.learn(vlan, match.eth_src, inPort, now);
      }
    }
    // Whoever was learned while this cell was being started is not among its entries yet.
    for (const station of this.macs.entries()) {
      for (const entry of entriesFor(inPort, station)) this.#datapath.addFlow(entry, record.cell);
    }
  }

  #learn(inPort: number, data: Uint8Array): void {
    const frame = addressesOf(data);
    if (frame === undefined) return;
    const before = this.macs.lookup(frame.vlan, frame.src, this.#options.now());
    const { learned } = forward(this.macs, inPort, frame, this.#options.now());
    if (learned !== 'new' && learned !== 'moved') return;
    const station: Station = { vlan: frame.vlan, mac: frame.src, port: inPort };
    const oldCell = before === undefined ? undefined : this.#cells.get(before);
    if (learned === 'moved' && oldCell !== undefined) {
      this.#delete(SOURCES, sourceMatch(station), oldCell);
    }
    for (const [port, cell] of this.#cells) {
      for (const entry of entriesFor(port, station)) this.#datapath.addFlow(entry, cell);
    }
  }

  #forget(station: Station): void {
    for (const cell of this.#cells.values()) {
      this.#delete(SOURCES, sourceMatch(station), cell);
      this.#delete(DESTINATIONS, destinationMatch(station), cell);
    }
  }

  #delete(table_id: number, match: FlowEntry['match'], cell: number): void {
    this.#datapath.deleteFlows({ strict: true, table_id, priority: STATION_PRIORITY, match }, cell);
  }
}
