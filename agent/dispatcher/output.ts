/** From what a cell decided to what leaves: every verdict is checked here, because cells are not trusted. */
import { PacketInReason, PortConfig, Port as PortNumber } from '../../openflow/index.ts';
import { fold16, sum16 } from '../../packet/index.ts';
import { NO_QUEUE, SLOT_FLAG, TX_KIND } from '../../sandbox/channel/layout.ts';
import type { Verdict } from '../../sandbox/client/types.ts';
import type { Frame } from '../ports/frames.ts';
import { NO_FLOOD, type Port } from '../ports/port.ts';

/** What output needs of the device's ports. */
export interface PortSet {
  readonly list: readonly Port[];
  get(number: number): Port | undefined;
}

/** A packet for the controller; `data` is the caller's to keep. */
export interface PacketIn {
  cell: number;
  inPort: number;
  reason: number;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
  totalLength: number;
  data: Uint8Array;
}

/** The fields of Verdict that count here. */
export type OutputVerdict = Pick<
  Verdict<Frame>,
  | 'kind'
  | 'frame'
  | 'port'
  | 'region'
  | 'regionAddress'
  | 'headOffset'
  | 'headLength'
  | 'headConsumed'
  | 'queue'
  | 'tableId'
  | 'cookie'
  | 'metadata'
>;

const FORWARDING_OFF = PortConfig.PORT_DOWN | PortConfig.NO_FWD;

/** Whether packets may leave by the port. */
export const isForwarding = ({ config }: Port): boolean => (config & FORWARDING_OFF) === 0;

const FLOODING_OFF = FORWARDING_OFF | NO_FLOOD;

export class Output {
  readonly counters = {
    sent: 0,
    toController: 0,
    /** There is no such port (any more), or the kind of verdict is unknown. */
    noPort: 0,
    /** OFPP_LOCAL, and this device has no local port. */
    local: 0,
    /** Sent without a queue, because the port has none of that number. */
    noQueue: 0,
    /** Back to the port it came in by without saying OFPP_IN_PORT (OpenFlow 1.3, section 5.12). */
    inPort: 0,
    /** A port that the cell's tenant may not use. */
    notAllowed: 0,
    /** The port is configured down or not to forward. */
    portDown: 0,
    /** Packets for the controller from a port that is configured to send none. */
    noPacketIn: 0,
  };
  readonly #ports: PortSet;
  readonly #packetIn: (packet: PacketIn) => void;
  /** Ports each tenant may send to. The default tenant (0) has all. */
  readonly #allowed: ReadonlyMap<number, ReadonlySet<number>>;

  constructor(
    ports: PortSet,
    packetIn: (packet: PacketIn) => void,
    allowed: ReadonlyMap<number, ReadonlySet<number>> = new Map(),
  ) {
    this.#ports = ports;
    this.#packetIn = packetIn;
    this.#allowed = allowed;
  }

  /** Carries out one verdict of kind OUTPUT or TO_CONTROLLER. */
  handle(cell: number, tenant: number, verdict: OutputVerdict): void {
    if (verdict.kind === TX_KIND.TO_CONTROLLER) this.#toController(cell, verdict);
    else if (verdict.kind === TX_KIND.OUTPUT) this.#output(tenant, verdict);
  }

  #output(tenant: number, verdict: OutputVerdict): void {
    const { inPort } = verdict.frame;
    switch (verdict.port) {
      case PortNumber.IN_PORT:
        this.#send(inPort, tenant, verdict);
        return;
      case PortNumber.FLOOD:
      case PortNumber.ALL:
        // Every standard port, the local one too (section 4.5). They differ where ports are not to be flooded.
        this.#sendAll(
          inPort,
          tenant,
          verdict,
          verdict.port === PortNumber.FLOOD ? FLOODING_OFF : FORWARDING_OFF,
        );
        return;
      case inPort:
        this.counters.inPort++;
        return;
      default:
        this.#send(verdict.port, tenant, verdict);
    }
  }

  /** Whether the tenant's packets may go to the port. */
  mayUse(tenant: number, port: number): boolean {
    return tenant === 0 || this.#allowed.get(tenant)?.has(port) === true;
  }

  #send(number: number, tenant: number, verdict: OutputVerdict): void {
    const port = this.#ports.get(number);
    if (port === undefined) {
      if (number === PortNumber.LOCAL) this.counters.local++;
      else this.counters.noPort++;
    } else if (!this.mayUse(tenant, number)) this.counters.notAllowed++;
    else if (port.config & FORWARDING_OFF) this.counters.portDown++;
    else this.#queue(port, verdict);
  }

  /** A flood goes to the ports the tenant may use; the others are not refused, they are not meant. */
  #sendAll(inPort: number, tenant: number, verdict: OutputVerdict, off: number): void {
    const { list } = this.#ports;
    for (let i = 0; i < list.length; i++) {
      const port = list[i];
      if (port.number === inPort || port.config & off || !this.mayUse(tenant, port.number)) continue;
      this.#queue(port, verdict);
    }
  }

  #queue(port: Port, verdict: OutputVerdict): void {
    const head = Number(verdict.regionAddress) + verdict.headOffset;
    this.counters.sent++;
    if (verdict.queue !== NO_QUEUE && !port.hasQueue(verdict.queue)) this.counters.noQueue++;
    port.send(verdict.frame, head, verdict.headLength, verdict.headConsumed, verdict.queue);
  }

  #toController(cell: number, verdict: OutputVerdict): void {
    const { frame } = verdict;
    if ((this.#ports.get(frame.inPort)?.config ?? 0) & PortConfig.NO_PACKET_IN) {
      this.counters.noPacketIn++;
      return;
    }
    const packet = assemble(verdict);
    if (frame.flags & SLOT_FLAG.CSUM_PARTIAL) {
      finishChecksum(packet, frame.csumStart + verdict.headLength - verdict.headConsumed, frame.csumOffset);
    }
    this.counters.toController++;
    this.#packetIn({
      cell,
      inPort: frame.inPort,
      reason: verdict.port <= PacketInReason.INVALID_TTL ? verdict.port : PacketInReason.ACTION,
      tableId: verdict.tableId,
      cookie: verdict.cookie,
      metadata: verdict.metadata,
      totalLength: Math.min(packet.length, 0xffff),
      // Whole, whatever max_len says: that is for packets of which the switch keeps a copy (section 7.4.1).
      data: packet.subarray(0, MAX_PACKET_IN_DATA),
    });
  }
}

/** A message has 16 bits of length; this leaves room for the rest of a PACKET_IN. */
const MAX_PACKET_IN_DATA = 65000;

/** The whole packet as it would leave: a copy of the cell's head and the rest of the frame. */
const assemble = (verdict: OutputVerdict): Uint8Array => {
  const { frame, region, headOffset, headLength, headConsumed } = verdict;
  const tail = frame.length - headConsumed;
  const packet = new Uint8Array(headLength + tail);
  packet.set(region.subarray(headOffset, headOffset + headLength));
  packet.set(frame.bytes.subarray(frame.offset + headConsumed, frame.offset + frame.length), headLength);
  return packet;
};

/** Completes a checksum that holds only the pseudo-header's sum, as a network card would. */
const finishChecksum = (packet: Uint8Array, start: number, offset: number): void => {
  const field = start + offset;
  if (start < 14 || field + 2 > packet.length) return;
  // 0 would mean "no checksum" in UDP; 0xffff is the same number in ones' complement.
  const sum = ~fold16(sum16(packet, start, packet.length - start)) & 0xffff || 0xffff;
  packet[field] = sum >>> 8;
  packet[field + 1] = sum;
};
