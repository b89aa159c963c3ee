/** The learning switch on ordinary OpenFlow switches: packet_in, flow_mod, packet_out. */

import type { Datapath, FlowEntry, PacketIn } from '../controller/index.ts';
import { ControllerMaxLen, type Match, NO_BUFFER, Port } from '../openflow/index.ts';
import { type Addresses, addressesIn, addressesOf, forward } from './forwarding.ts';
import type { Switching, SwitchingOptions } from './learning-switch.ts';
import { MacTable, stationKey } from './mac-table.ts';

/** Marks our entries, so that they are found again after a restart and others are left alone. */
const COOKIE = 0xfc1e_a210_0000_0001n;
const EVERY_BIT = 0xffff_ffff_ffff_ffffn;
/** Wire version of OpenFlow 1.0. */
const V10 = 1;
const RESERVED_PRIORITY = 1000;
const FLOW_PRIORITY = 100;

const OURS = { cookie: COOKIE, cookie_mask: EVERY_BIT };

const output = (port: number) => [{ type: 'output' as const, port }];

export class PlainSwitch implements Switching {
  readonly macs: MacTable;
  readonly #datapath: Datapath;
  readonly #options: SwitchingOptions;

  constructor(datapath: Datapath, options: SwitchingOptions) {
    this.#datapath = datapath;
    this.#options = options;
    this.macs = new MacTable(options.macs);
  }

  /** Installs what is always there, and learns from entries that an earlier controller left. */
  async start(): Promise<void> {
    const always: FlowEntry[] = [
      ...reservedAddresses(this.#datapath).map((match) => ({ priority: RESERVED_PRIORITY, match })),
      {
        priority: 0,
        actions: [{ type: 'output', port: Port.CONTROLLER, max_len: ControllerMaxLen.NO_BUFFER }],
      },
    ];
    for (const entry of always) this.#datapath.addFlow({ ...entry, cookie: COOKIE });
    for (const { match } of await this.#datapath.flows(OURS)) {
      const frame = addressesIn(match);
      if (frame !== undefined && match.in_port !== undefined) this.#recall(match.in_port, frame);
    }
  }

  onPacketIn(datapath: Datapath, packetIn: PacketIn): void {
    const inPort = packetIn.match.in_port;
    const frame = addressesOf(packetIn.data);
    if (frame === undefined || inPort === undefined) return;
    const way = forward(this.macs, inPort, frame, this.#options.now());
    if (way.learned === 'moved') this.#deleteStation(stationKey(frame.vlan, frame.src));
    switch (way.to) {
      case 'nowhere':
        return;
      case 'same-port':
        this.#flow(inPort, frame, []);
        return;
      case 'flood':
        this.#send(datapath, packetIn, inPort, Port.FLOOD);
        return;
      case 'port':
        // The way back first, so that it is there when the answer comes.
        this.#flow(way.port, { ...frame, src: frame.dst, dst: frame.src }, output(inPort));
        this.#flow(inPort, frame, output(way.port));
        this.#send(datapath, packetIn, inPort, way.port);
    }
  }

  portGone(port: number): void {
    for (const key of this.macs.forgetPort(port)) this.#deleteStation(key);
  }

  #flow(inPort: number, frame: Addresses, actions: FlowEntry['actions']): void {
    this.#datapath.addFlow({
      cookie: COOKIE,
      priority: FLOW_PRIORITY,
      idle_timeout: this.#options.idle_timeout,
      match: { in_port: inPort, vlan_vid: frame.vlan, eth_src: frame.src, eth_dst: frame.dst },
      actions,
    });
  }

  #send(datapath: Datapath, packetIn: PacketIn, inPort: number, port: number): void {
    if (packetIn.buffer_id !== NO_BUFFER) {
      datapath.packetOut({ in_port: inPort, buffer_id: packetIn.buffer_id, actions: output(port) });
    } else if (packetIn.data.length >= packetIn.total_len) {
      datapath.packetOut({ in_port: inPort, data: packetIn.data, actions: output(port) });
    }
  }

  /** An entry found on the switch: unless a packet has said otherwise since, its source is at that port. */
  #recall(inPort: number, frame: Addresses): void {
    const now = this.#options.now();
    const port = this.macs.lookup(frame.vlan, frame.src, now);
    if (port === undefined) this.macs.learn(frame.vlan, frame.src, inPort, now);
    else if (port !== inPort) this.#deleteStation(stationKey(frame.vlan, frame.src));
  }

  /** Deletes the entries from and to a station. */
  #deleteStation(key: string): void {
    const slash = key.indexOf('/');
    const vlan_vid = Number(key.slice(0, slash));
    const mac = key.slice(slash + 1);
    const matches: Match[] = [
      { vlan_vid, eth_src: mac },
      { vlan_vid, eth_dst: mac },
    ];
    for (const match of matches) {
      if (this.#datapath.version !== V10) this.#datapath.deleteFlows({ ...OURS, match });
      else this.#deleteOneByOne(match);
    }
  }

  /** OpenFlow 1.0 deletes by match alone: those that are ours are looked for, and deleted strictly. */
  #deleteOneByOne(match: Match): void {
    this.#datapath.flows({ ...OURS, match }).then(
      (entries) => {
        for (const { match, priority } of entries) {
          this.#datapath.deleteFlows({ table_id: 0, match, priority, strict: true });
        }
      },
      // The device is gone, or it will say why by itself: entries time out.
      () => undefined,
    );
  }
}

/** 01:80:c2:00:00:00 to 0f, which switches keep to themselves. OpenFlow 1.0 has no masks for addresses. */
function reservedAddresses({ version }: Datapath): Match[] {
  if (version !== V10) return [{ eth_dst: ['01:80:c2:00:00:00', 'ff:ff:ff:ff:ff:f0'] }];
  return Array.from({ length: 16 }, (_, last) => ({ eth_dst: `01:80:c2:00:00:0${last.toString(16)}` }));
}
