/** A host at the end of a link: answers ARP and pings, sends and receives IPv4. */
import {
  arp,
  ethernet,
  formatMac,
  type IcmpInit,
  icmp,
  ipv4,
  type PortsInit,
  type TcpInit,
  tcp,
  udp,
} from '../packet/index.ts';
import { fieldsOf } from './describe.ts';
import type { LinkEnd } from './link.ts';
import { type Outcome, TestPacket } from './packet.ts';

export interface HostOptions {
  readonly name: string;
  readonly ip: string;
  readonly mac: string;
  readonly network: HostNetwork;
}

/** What a host needs of the network it is in. */
export interface HostNetwork {
  /** A frame goes into the cable. */
  put(host: VirtualHost, bytes: Uint8Array): void;
  send(packet: TestPacket): Promise<Outcome>;
  ping(from: VirtualHost, to: VirtualHost, count?: number): Promise<Outcome>;
}

/** A frame that has arrived, whoever it was for. */
export interface Heard {
  readonly frame: Uint8Array;
  readonly packet: number;
  /** It was for this host: its address, broadcast or multicast. */
  readonly accepted: boolean;
}

/** A UDP datagram for this host. */
export interface Datagram {
  readonly src: string;
  readonly src_port: number;
  readonly dst_port: number;
  readonly payload: Uint8Array;
}

const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const TYPE = { IPV4: 0x0800, ARP: 0x0806 } as const;
const PROTO = { ICMP: 1, TCP: 6, UDP: 17 } as const;
const ARP_OP = { REQUEST: 1, REPLY: 2 } as const;
const ECHO = { REPLY: 0, REQUEST: 8 } as const;
const ETHERNET_BYTES = 14;
const ICMP_HEADER_BYTES = 8;
/** Frames and datagrams that are kept; what is older is forgotten. */
const MAX_KEPT = 10_000;
/** Packets that wait for one address. */
const MAX_WAITING = 64;

export class VirtualHost implements LinkEnd {
  readonly name: string;
  /** Without the prefix length: every address is reached by ARP. */
  readonly ip: string;
  readonly mac: string;
  /** IPv4 address to MAC address. */
  readonly neighbours = new Map<string, string>();
  /** What has arrived, in its order. */
  readonly heard: Heard[] = [];
  readonly datagrams: Datagram[] = [];
  /** False: it keeps what it hears, and neither answers nor learns. */
  answers = true;
  /** Called for every frame that arrives, before the host itself looks at it. */
  onFrame: ((frame: Uint8Array) => void) | undefined;
  /** Sequence numbers of the echo replies that came, by identifier. */
  readonly echoes = new Map<number, Set<number>>();
  stateChanged: (() => void) | undefined;
  readonly network: HostNetwork;
  readonly #waiting = new Map<string, ((mac: string) => void)[]>();
  #up = true;
  #lastIdentifier = 0;

  constructor(options: HostOptions) {
    this.name = options.name;
    this.ip = options.ip;
    this.mac = options.mac;
    this.network = options.network;
  }

  get up(): boolean {
    return this.#up;
  }

  setUp(up: boolean): void {
    this.#up = up;
    this.stateChanged?.();
  }

  /** Linux keeps its neighbours for a while as well. */
  carrier(): void {}

  /** Sends a frame as it is. */
  send(frame: Uint8Array): void {
    this.network.put(this, frame);
  }

  /** Sends an echo request to an address; replies are found in `echoes`. Returns its identifier. */
  echo(ip: string, sequence = 1): number {
    const identifier = ++this.#lastIdentifier & 0xffff;
    const payload = Uint8Array.from([
      identifier >> 8,
      identifier,
      sequence >> 8,
      sequence,
      ...new Uint8Array(56),
    ]);
    this.#sendIp(ip, PROTO.ICMP, icmp({ type: ECHO.REQUEST, payload }));
    return identifier;
  }

  /** Sends a UDP datagram to an address, which is asked for by ARP if it is not known. */
  sendUdp(ip: string, datagram: PortsInit): void {
    this.#sendIp(ip, PROTO.UDP, udp(datagram));
  }

  /** Pings another host, with ARP before it where that is needed. */
  ping(to: VirtualHost, count = 1): Promise<Outcome> {
    return this.network.ping(this, to, count);
  }

  /** A UDP packet to another host as it would leave here, for `net.send` and the matchers. */
  udp(to: VirtualHost, datagram: PortsInit = {}): TestPacket {
    return this.#packet(to, PROTO.UDP, udp(datagram));
  }

  /** A TCP segment (default: a SYN). */
  tcp(to: VirtualHost, segment: TcpInit = {}): TestPacket {
    return this.#packet(to, PROTO.TCP, tcp({ flags: 2, ...segment }));
  }

  /** An ICMP message (default: an echo request). */
  icmp(to: VirtualHost, message: IcmpInit = {}): TestPacket {
    return this.#packet(to, PROTO.ICMP, icmp(message));
  }

  /** Any frame. */
  frame(bytes: Uint8Array): TestPacket {
    return new TestPacket(this, bytes);
  }

  deliver(bytes: Uint8Array, packet: number): void {
    const accepted = isFor(this.mac, bytes);
    keep(this.heard, { frame: bytes, packet, accepted });
    this.onFrame?.(bytes);
    if (!accepted || !this.answers) return;
    const fields = fieldsOf(bytes);
    // Tagged frames are for nobody here.
    if (fields.vlan_vid !== undefined && fields.vlan_vid !== 0) return;
    if (fields.arp_op !== undefined) this.#arp(fields as ArpFields);
    else if (fields.ipv4_dst === this.ip) this.#ip(bytes, fields as IpFields);
  }

  #arp({ arp_op, arp_spa, arp_sha, arp_tpa }: ArpFields): void {
    if (arp_tpa !== this.ip && !this.neighbours.has(arp_spa)) return;
    this.neighbours.set(arp_spa, arp_sha);
    for (const send of this.#waiting.get(arp_spa) ?? []) send(arp_sha);
    this.#waiting.delete(arp_spa);
    if (arp_op !== ARP_OP.REQUEST || arp_tpa !== this.ip) return;
    const reply = { op: ARP_OP.REPLY, sha: this.mac, spa: this.ip, tha: arp_sha, tpa: arp_spa };
    this.send(ethernet({ dst: arp_sha, src: this.mac, type: TYPE.ARP, payload: arp(reply) }));
  }

  #ip(bytes: Uint8Array, { ipv4_src, icmpv4_type, udp_src, udp_dst }: IpFields): void {
    const at = ETHERNET_BYTES + (bytes[ETHERNET_BYTES] & 15) * 4;
    const end = ETHERNET_BYTES + ((bytes[ETHERNET_BYTES + 2] << 8) | bytes[ETHERNET_BYTES + 3]);
    const body = bytes.subarray(at, end);
    if (icmpv4_type === ECHO.REQUEST) {
      this.#sendIp(ipv4_src, PROTO.ICMP, icmp({ type: ECHO.REPLY, payload: body.slice(4) }));
    } else if (icmpv4_type === ECHO.REPLY && body.length >= ICMP_HEADER_BYTES) {
      const identifier = (body[4] << 8) | body[5];
      const sequences = this.echoes.get(identifier) ?? new Set();
      this.echoes.set(identifier, sequences.add((body[6] << 8) | body[7]));
    } else if (udp_src !== undefined && udp_dst !== undefined) {
      const payload = body.slice(ICMP_HEADER_BYTES);
      keep(this.datagrams, { src: ipv4_src, src_port: udp_src, dst_port: udp_dst, payload });
    }
  }

  #sendIp(ip: string, proto: number, payload: Uint8Array): void {
    const send = (mac: string): void => {
      const packet = ipv4({ src: this.ip, dst: ip, proto, payload });
      this.send(ethernet({ dst: mac, src: this.mac, type: TYPE.IPV4, payload: packet }));
    };
    const known = this.neighbours.get(ip);
    if (known !== undefined) {
      send(known);
      return;
    }
    const waiting = this.#waiting.get(ip) ?? [];
    this.#waiting.set(ip, [...waiting, send].slice(-MAX_WAITING));
    const request = { op: ARP_OP.REQUEST, sha: this.mac, spa: this.ip, tpa: ip };
    this.send(ethernet({ dst: BROADCAST, src: this.mac, type: TYPE.ARP, payload: arp(request) }));
  }

  #packet(to: VirtualHost, proto: number, payload: Uint8Array): TestPacket {
    const packet = ipv4({ src: this.ip, dst: to.ip, proto, payload });
    return this.frame(ethernet({ dst: to.mac, src: this.mac, type: TYPE.IPV4, payload: packet }));
  }
}

interface ArpFields {
  arp_op: number;
  arp_spa: string;
  arp_sha: string;
  arp_tpa: string;
}

interface IpFields {
  ipv4_src: string;
  icmpv4_type?: number;
  udp_src?: number;
  udp_dst?: number;
}

const isFor = (mac: string, frame: Uint8Array): boolean =>
  (frame[0] & 1) !== 0 ||
  formatMac(frame.subarray(0, 6).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)) === mac;

const keep = <T>(list: T[], item: T): void => {
  list.push(item);
  if (list.length > MAX_KEPT) list.shift();
};
