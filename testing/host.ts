/** A host at the end of a link: answers ARP, neighbour solicitations and pings, sends and receives IPv4 and IPv6. */
import type { HostOptions as PlannedHost } from '../mininet/topology.ts';
import {
  formatMac,
  type IcmpInit,
  icmp,
  icmpv6,
  OFPVID_PRESENT,
  type PortsInit,
  type TcpInit,
  tcp,
  udp,
  vlan,
} from '../packet/index.ts';
import { fieldsOf } from './describe.ts';
import { type Addresses, ask, echo, ipFrame, PROTO, type Received, receive, tell } from './internet.ts';
import type { LinkEnd } from './link.ts';
import { type Outcome, TestPacket } from './packet.ts';

/** How a network's spec describes a host. */
export interface VirtualHostOptions extends PlannedHost {
  /** IPv6 address; default `fd00::<n>` for the n-th host. */
  ip6?: string;
  /** Id of the VLAN that it is in: it tags what it sends, and hears what has this tag. Default: it sends and hears no tags. */
  vlan?: number;
}

export interface HostInit extends Addresses {
  readonly name: string;
  readonly vlan: number | undefined;
  readonly network: HostNetwork;
}

/** What a host needs of the network it is in. */
export interface HostNetwork {
  /** A frame goes into the cable. */
  put(host: VirtualHost, bytes: Uint8Array): void;
  send(packet: TestPacket): Promise<Outcome>;
  ping(from: VirtualHost, to: VirtualHost, count?: number): Promise<Outcome>;
  ping6(from: VirtualHost, to: VirtualHost, count?: number): Promise<Outcome>;
}

/** A frame that has arrived, whoever it was for. */
export interface Heard {
  readonly frame: Uint8Array;
  readonly packet: number;
  /** It was for this host: its address, broadcast or multicast, in its VLAN. */
  readonly accepted: boolean;
}

/** A UDP datagram for this host. */
export interface Datagram {
  readonly src: string;
  readonly src_port: number;
  readonly dst_port: number;
  readonly payload: Uint8Array;
}

/** Which Internet protocol a packet is to be of. */
export type IpVersion = 'ipv4' | 'ipv6';

/** Frames and datagrams that are kept; what is older is forgotten. */
const MAX_KEPT = 10_000;
/** Packets that wait for one address. */
const MAX_WAITING = 64;
/** Of data in an echo request, as the command sends. */
const ECHO_BYTES = 56;

export class VirtualHost implements LinkEnd, Addresses {
  readonly name: string;
  /** Without the prefix length: every address is a neighbour's. */
  readonly ip: string;
  readonly ip6: string;
  readonly mac: string;
  readonly vlan: number | undefined;
  /** IPv4 or IPv6 address to MAC address. */
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

  constructor(options: HostInit) {
    this.name = options.name;
    this.ip = options.ip;
    this.ip6 = options.ip6;
    this.vlan = options.vlan;
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
    const body = new Uint8Array(4 + ECHO_BYTES);
    body.set([identifier >> 8, identifier, sequence >> 8, sequence]);
    this.#sendIp(ip, ...echo(ip, false, body));
    return identifier;
  }

  /** Sends a UDP datagram to an address of either kind; its MAC address is asked for if it is not known. */
  sendUdp(ip: string, datagram: PortsInit): void {
    this.#sendIp(ip, PROTO.UDP, udp(datagram));
  }

  /** Pings another host, with ARP before it where that is needed. */
  ping(to: VirtualHost, count = 1): Promise<Outcome> {
    return this.network.ping(this, to, count);
  }

  /** The same over IPv6, with neighbour discovery. */
  ping6(to: VirtualHost, count = 1): Promise<Outcome> {
    return this.network.ping6(this, to, count);
  }

  /** A UDP packet to another host as it would leave here, for `net.send` and the matchers. */
  udp(to: VirtualHost, datagram: PortsInit = {}, over: IpVersion = 'ipv4'): TestPacket {
    return this.#packet(to, over, PROTO.UDP, udp(datagram));
  }

  /** A TCP segment (default: a SYN). */
  tcp(to: VirtualHost, segment: TcpInit = {}, over: IpVersion = 'ipv4'): TestPacket {
    return this.#packet(to, over, PROTO.TCP, tcp({ flags: 2, ...segment }));
  }

  /** An ICMP message (default: an echo request). */
  icmp(to: VirtualHost, message: IcmpInit = {}): TestPacket {
    return this.#packet(to, 'ipv4', PROTO.ICMP, icmp(message));
  }

  /** An ICMPv6 message (default: an echo request). */
  icmpv6(to: VirtualHost, message: IcmpInit = {}): TestPacket {
    return this.#packet(to, 'ipv6', PROTO.ICMPV6, icmpv6(message));
  }

  /** Any frame. */
  frame(bytes: Uint8Array): TestPacket {
    return new TestPacket(this, bytes);
  }

  deliver(bytes: Uint8Array, packet: number): void {
    const accepted = isFor(this.mac, bytes) && this.#isInVlan(bytes);
    keep(this.heard, { frame: bytes, packet, accepted });
    this.onFrame?.(bytes);
    if (!accepted || !this.answers) return;
    const received = receive(this, bytes);
    if (received !== undefined) this.#take(received);
  }

  #take(received: Received): void {
    switch (received.type) {
      case 'neighbour':
        this.#neighbour(received);
        return;
      case 'echo': {
        const { isReply, src, body } = received;
        if (!isReply) {
          this.#sendIp(src, ...echo(src, true, body));
          return;
        }
        const identifier = (body[0] << 8) | body[1];
        const sequences = this.echoes.get(identifier) ?? new Set();
        this.echoes.set(identifier, sequences.add((body[2] << 8) | body[3]));
        return;
      }
      case 'datagram': {
        const { type: _, ...datagram } = received;
        keep(this.datagrams, datagram);
      }
    }
  }

  #neighbour({ asks, ip, mac, target }: Extract<Received, { type: 'neighbour' }>): void {
    const forUs = target === this.ip || target === this.ip6;
    if (!forUs && !this.neighbours.has(ip)) return;
    this.neighbours.set(ip, mac);
    for (const send of this.#waiting.get(ip) ?? []) send(mac);
    this.#waiting.delete(ip);
    if (asks && forUs) this.send(this.#tagged(tell(this, { ip, mac })));
  }

  #isInVlan(frame: Uint8Array): boolean {
    const { vlan_vid = 0 } = fieldsOf(frame) as { vlan_vid?: number };
    // VLAN 0 is a priority without a VLAN.
    return this.vlan === undefined
      ? vlan_vid === 0 || vlan_vid === OFPVID_PRESENT
      : vlan_vid === (OFPVID_PRESENT | this.vlan);
  }

  #tagged(frame: Uint8Array): Uint8Array {
    return this.vlan === undefined ? frame : vlan(frame, { vid: this.vlan });
  }

  #sendIp(ip: string, proto: number, payload: Uint8Array): void {
    const send = (mac: string): void => this.send(this.#tagged(ipFrame(this, ip, mac, proto, payload)));
    const known = this.neighbours.get(ip);
    if (known !== undefined) {
      send(known);
      return;
    }
    const waiting = this.#waiting.get(ip) ?? [];
    this.#waiting.set(ip, [...waiting, send].slice(-MAX_WAITING));
    this.send(this.#tagged(ask(this, ip)));
  }

  #packet(to: VirtualHost, over: IpVersion, proto: number, payload: Uint8Array): TestPacket {
    const ip = over === 'ipv4' ? to.ip : to.ip6;
    return this.frame(this.#tagged(ipFrame(this, ip, to.mac, proto, payload)));
  }
}

const isFor = (mac: string, frame: Uint8Array): boolean =>
  (frame[0] & 1) !== 0 ||
  formatMac(frame.subarray(0, 6).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)) === mac;

const keep = <T>(list: T[], item: T): void => {
  list.push(item);
  if (list.length > MAX_KEPT) list.shift();
};
