/** Requests to rtnetlink, answered at once by the kernel: setting interfaces up and down, reading traffic classes. */
import { closeFd, errnoName } from '../../sandbox/sys/libc.ts';
import {
  AF_NETLINK,
  addressOf,
  EINTR,
  errno,
  IFREQ_VALUE,
  ifreq,
  PortError,
  SOCK_CLOEXEC,
  SOCK_RAW,
  sys,
} from './socket.ts';

export const NETLINK_ROUTE = 0;
export const NLMSG_HEADER = 16;
/** struct ifinfomsg: family u8, pad u8, type u16, index s32, flags u32, change mask u32. */
export const IFINFOMSG = 16;
/** struct tcmsg: family u8, 3 bytes of padding, ifindex s32, handle u32, parent u32, info u32. */
export const TCMSG = 20;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 1;
export const NLM_F_ACK = 4;
export const NLM_F_DUMP = 0x300;

const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const RTM_GETTCLASS = 42;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_STATS64 = 23;
/** struct rtnl_link_stats64. */
const STATS64_TX_DROPPED = 56;
const IFF_UP = 1;
const IFF_RUNNING = 0x40;

const SIOCGIFINDEX = 0x8933;

const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_STATS2 = 7;
const TCA_HTB_PARMS = 1;
const TCA_HTB_RATE64 = 6;
const TCA_HTB_CEIL64 = 7;
/** struct tc_htb_opt: two struct tc_ratespec of 12 bytes, whose last word is the rate, then buffers, quantum, level. */
const HTB_OPT = { RATE: 8, CEIL: 20, LEVEL: 36, BYTES: 44 } as const;
const TCA_STATS_BASIC = 1;
const TCA_STATS_PKT64 = 8;

export interface Interface {
  index: number;
  name: string;
  address: string;
  up: boolean;
  running: boolean;
  /** Longest packet behind the Ethernet header, bytes. */
  mtu: number;
}

/** An HTB class that packets can be put in (one without classes below it). */
export interface HtbClass {
  /** major << 16 | minor: what SO_PRIORITY names it by. */
  handle: number;
  /** Bits per second. */
  rate: number;
  ceil: number;
  txBytes: bigint;
  txPackets: bigint;
}

const align4 = (value: number): number => (value + 3) & ~3;

/** The attributes in a stretch of a message, each as a view on its value; what is cut off ends the list. */
export function* attributes(message: DataView, from: number): Generator<[type: number, value: DataView]> {
  let at = from;
  while (at + 4 <= message.byteLength) {
    const length = message.getUint16(at, true);
    if (length < 4 || at + length > message.byteLength) return;
    // The two highest bits of the type are flags.
    yield [
      message.getUint16(at + 2, true) & 0x3fff,
      new DataView(message.buffer, message.byteOffset + at + 4, length - 4),
    ];
    at += align4(length);
  }
}

/** The messages in what one recv() gave. */
export function* messages(buffer: Uint8Array, length: number): Generator<DataView> {
  let at = 0;
  while (at + NLMSG_HEADER <= length) {
    const size = new DataView(buffer.buffer, buffer.byteOffset + at, 4).getUint32(0, true);
    if (size < NLMSG_HEADER || at + size > length) return;
    yield new DataView(buffer.buffer, buffer.byteOffset + at, size);
    at += align4(size);
  }
}

const text = (value: DataView): string => {
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** RTM_NEWLINK and RTM_DELLINK; undefined for one that names no interface. */
export const parseLink = (message: DataView): Interface | undefined => {
  if (message.byteLength < NLMSG_HEADER + IFINFOMSG) return undefined;
  const flags = message.getUint32(NLMSG_HEADER + 8, true);
  const link: Interface = {
    index: message.getInt32(NLMSG_HEADER + 4, true),
    name: '',
    address: '00:00:00:00:00:00',
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    mtu: 0,
  };
  for (const [type, value] of attributes(message, NLMSG_HEADER + IFINFOMSG)) {
    if (type === IFLA_IFNAME) link.name = text(value);
    if (type === IFLA_MTU && value.byteLength >= 4) link.mtu = value.getUint32(0, true);
    if (type === IFLA_ADDRESS && value.byteLength === 6) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, 6);
      link.address = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
    }
  }
  return link.name === '' ? undefined : link;
};

/** RTM_NEWTCLASS; undefined for one that is no HTB class, or has classes below it. */
export const parseHtbClass = (message: DataView): HtbClass | undefined => {
  if (message.byteLength < NLMSG_HEADER + TCMSG) return undefined;
  const found: HtbClass = {
    handle: message.getUint32(NLMSG_HEADER + 8, true),
    rate: 0,
    ceil: 0,
    txBytes: 0n,
    txPackets: 0n,
  };
  let isLeaf = false;
  for (const [type, value] of attributes(message, NLMSG_HEADER + TCMSG)) {
    if (type === TCA_KIND && text(value) !== 'htb') return undefined;
    if (type === TCA_OPTIONS) isLeaf = readHtbOptions(value, found);
    if (type === TCA_STATS2) readStats(value, found);
  }
  return isLeaf ? found : undefined;
};

/** Whether the class has none below it. */
const readHtbOptions = (options: DataView, into: HtbClass): boolean => {
  let isLeaf = false;
  for (const [type, value] of attributes(options, 0)) {
    if (type === TCA_HTB_PARMS && value.byteLength >= HTB_OPT.BYTES) {
      into.rate = value.getUint32(HTB_OPT.RATE, true) * 8;
      into.ceil = value.getUint32(HTB_OPT.CEIL, true) * 8;
      isLeaf = value.getUint32(HTB_OPT.LEVEL, true) === 0;
    }
    // Present where 32 bits of bytes per second are not enough.
    if (type === TCA_HTB_RATE64 && value.byteLength >= 8) into.rate = Number(value.getBigUint64(0, true)) * 8;
    if (type === TCA_HTB_CEIL64 && value.byteLength >= 8) into.ceil = Number(value.getBigUint64(0, true)) * 8;
  }
  return isLeaf;
};

const readStats = (stats: DataView, into: HtbClass): void => {
  for (const [type, value] of attributes(stats, 0)) {
    if (type === TCA_STATS_BASIC && value.byteLength >= 12) {
      into.txBytes = value.getBigUint64(0, true);
      into.txPackets = BigInt(value.getUint32(8, true));
    }
    if (type === TCA_STATS_PKT64 && value.byteLength >= 8) into.txPackets = value.getBigUint64(0, true);
  }
};

export class Rtnetlink {
  /** Other requests about interfaces (ioctl) may use the socket too. */
  readonly fd: number;
  readonly #buffer = new Uint8Array(65536);
  #sequence = 0;

  /** Throws PortError FC_NETLINK. */
  constructor() {
    this.fd = sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (this.fd < 0) throw failure('opening a socket', errno());
  }

  /** Sets an interface administratively up or down. Throws PortError FC_NETLINK. */
  setUp(index: number, up: boolean): void {
    const body = new DataView(new ArrayBuffer(IFINFOMSG));
    body.setInt32(4, index, true);
    body.setUint32(8, up ? IFF_UP : 0, true);
    body.setUint32(12, IFF_UP, true);
    this.#request(RTM_SETLINK, NLM_F_ACK, body, () => {});
  }

  /** An interface as it is now. Throws PortError FC_NETLINK, for one that is gone too. */
  link(index: number): Interface | undefined {
    let found: Interface | undefined;
    this.#link(index, (message) => {
      found ??= parseLink(message);
    });
    return found;
  }

  /** The index of an interface. Throws PortError FC_NETLINK. */
  indexOf(name: string): number {
    const request = ifreq(name);
    if (sys.ioctl(this.fd, SIOCGIFINDEX, addressOf(request)) < 0) throw failure(`finding ${name}`, errno());
    return new DataView(request.buffer).getInt32(IFREQ_VALUE, true);
  }

  /** Packets that an interface was given and did not send. Throws PortError FC_NETLINK. */
  txDropped(index: number): number {
    let dropped = 0;
    this.#link(index, (message) => {
      for (const [type, value] of attributes(message, NLMSG_HEADER + IFINFOMSG)) {
        if (type === IFLA_STATS64 && value.byteLength >= STATS64_TX_DROPPED + 8)
          dropped = Number(value.getBigUint64(STATS64_TX_DROPPED, true));
      }
    });
    return dropped;
  }

  /** The HTB classes of an interface that packets can be put in. Throws PortError FC_NETLINK. */
  htbClasses(index: number): HtbClass[] {
    const body = new DataView(new ArrayBuffer(TCMSG));
    body.setInt32(4, index, true);
    const found: HtbClass[] = [];
    this.#request(RTM_GETTCLASS, NLM_F_DUMP, body, (message) => {
      const one = parseHtbClass(message);
      if (one !== undefined) found.push(one);
    });
    return found;
  }

  /** A request that is answered by success alone; `body` from the family's own header on. Throws PortError FC_NETLINK. */
  change(type: number, flags: number, body: DataView): void {
    this.#request(type, NLM_F_ACK | flags, body, () => {});
  }

  close(): void {
    closeFd(this.fd);
  }

  #link(index: number, each: (message: DataView) => void): void {
    const body = new DataView(new ArrayBuffer(IFINFOMSG));
    body.setInt32(4, index, true);
    this.#request(RTM_GETLINK, NLM_F_ACK, body, each);
  }

  /** Sends a request and reads its answer to the end, which the kernel has ready when send() returns. */
  #request(type: number, flags: number, body: DataView, each: (message: DataView) => void): void {
    const request = new Uint8Array(NLMSG_HEADER + body.byteLength);
    const header = new DataView(request.buffer);
    const sequence = ++this.#sequence >>> 0;
    header.setUint32(0, request.length, true);
    header.setUint16(4, type, true);
    header.setUint16(6, NLM_F_REQUEST | flags, true);
    header.setUint32(8, sequence, true);
    request.set(new Uint8Array(body.buffer), NLMSG_HEADER);
    if (sys.send(this.fd, request, request.length, 0) < 0) throw failure('asking', errno());
    while (!this.#readAnswer(sequence, each));
  }

  /** True when the answer is complete. Throws what the kernel says is wrong. */
  #readAnswer(sequence: number, each: (message: DataView) => void): boolean {
    const length = Number(sys.recv(this.fd, this.#buffer, this.#buffer.length, 0));
    if (length < 0) {
      const error = errno();
      if (error === EINTR) return false;
      throw failure('reading', error);
    }
    for (const message of messages(this.#buffer, length)) {
      // What is left of an answer that was given up.
      if (message.getUint32(8, true) !== sequence) continue;
      const type = message.getUint16(4, true);
      if (type === NLMSG_DONE) return true;
      if (type === NLMSG_ERROR) {
        const error = message.byteLength >= NLMSG_HEADER + 4 ? -message.getInt32(NLMSG_HEADER, true) : 0;
        if (error !== 0) throw failure('the request', error);
        return true;
      }
      each(message);
    }
    return false;
  }
}

const failure = (what: string, error: number): PortError => {
  const name = errnoName(error);
  const hint = name === 'EPERM' ? ' The agent needs CAP_NET_ADMIN: run it as root.' : '';
  return new PortError('FC_NETLINK', `rtnetlink: ${what} failed (${name}).${hint}`);
};
