/** Network interfaces and their state, from rtnetlink: what there is at the start, then every change. */
import { closeFd, errnoName } from '../../sandbox/sys/libc.ts';
import {
  IFINFOMSG,
  type Interface,
  messages,
  NETLINK_ROUTE,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_HEADER,
  parseLink,
  TCMSG,
} from './rtnetlink.ts';
import {
  AF_NETLINK,
  EAGAIN,
  EINTR,
  ENOBUFS,
  errno,
  MSG_DONTWAIT,
  PortError,
  SOCK_CLOEXEC,
  SOCK_RAW,
  sys,
} from './socket.ts';

const RTMGRP_LINK = 1;
const RTMGRP_TC = 8;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
/** RTM_NEWQDISC to RTM_DELTCLASS. */
const FIRST_TC = 36;
const LAST_TC = 41;

export interface LinkEvents {
  /** An interface appeared or changed. */
  changed(link: Interface): void;
  /** An interface is gone (deleted, renamed or moved to another network namespace). */
  gone(name: string): void;
  /** Traffic classes of the interface with this index were made, changed or taken away. */
  queuesChanged(index: number): void;
}

export class LinkMonitor {
  readonly fd: number;
  readonly #events: LinkEvents;
  readonly #links = new Map<number, Interface>();
  readonly #buffer = new Uint8Array(65536);
  /** Indices seen by the dump under way, to find what is gone after messages were lost. */
  #dumped: Set<number> | undefined;

  /** Throws PortError FC_NETLINK. After construction `find` knows every interface of the namespace. */
  constructor(events: LinkEvents) {
    this.#events = events;
    // Blocking, so that the first dump can be read here; later reads say MSG_DONTWAIT.
    this.fd = sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (this.fd < 0) this.#fail('opening');
    const address = new Uint8Array(12);
    const fields = new DataView(address.buffer);
    fields.setUint16(0, AF_NETLINK, true);
    fields.setUint32(8, RTMGRP_LINK | RTMGRP_TC, true);
    if (sys.bind(this.fd, address, 12) < 0) this.#fail('binding');
    this.#requestDump();
    while (this.#dumped !== undefined) this.#read(0);
  }

  find(name: string): Interface | undefined {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return undefined;
  }

  /** Call when the descriptor is readable. */
  receive(): void {
    while (this.#read(MSG_DONTWAIT));
  }

  close(): void {
    closeFd(this.fd);
  }

  #fail(what: string): never {
    throw new PortError(
      'FC_NETLINK',
      `Cannot watch interfaces: ${what} the socket failed (${errnoName(errno())}).`,
    );
  }

  #requestDump(): void {
    const request = new Uint8Array(NLMSG_HEADER + IFINFOMSG);
    const fields = new DataView(request.buffer);
    fields.setUint32(0, request.length, true);
    fields.setUint16(4, RTM_GETLINK, true);
    fields.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
    this.#dumped = new Set();
    if (sys.send(this.fd, request, request.length, 0) < 0) this.#fail('asking on');
  }

  #read(flags: number): boolean {
    const length = Number(sys.recv(this.fd, this.#buffer, this.#buffer.length, flags));
    if (length < 0) {
      const error = errno();
      if (error === ENOBUFS) this.#requestDump();
      else if (error !== EAGAIN && error !== EINTR) this.#fail('reading');
      return error === ENOBUFS || error === EINTR;
    }
    for (const message of messages(this.#buffer, length)) this.#message(message);
    return true;
  }

  #message(message: DataView): void {
    const type = message.getUint16(4, true);
    if (type === NLMSG_DONE) {
      this.#dumpDone();
      return;
    }
    if (type >= FIRST_TC && type <= LAST_TC && message.byteLength >= NLMSG_HEADER + TCMSG) {
      this.#events.queuesChanged(message.getInt32(NLMSG_HEADER + 4, true));
    }
    if (type !== RTM_NEWLINK && type !== RTM_DELLINK) return;
    const link = parseLink(message);
    if (link === undefined) return;
    const before = this.#links.get(link.index);
    if (type === RTM_DELLINK) {
      this.#links.delete(link.index);
      if (before !== undefined) this.#events.gone(before.name);
      return;
    }
    this.#dumped?.add(link.index);
    this.#links.set(link.index, link);
    if (before !== undefined && before.name !== link.name) this.#events.gone(before.name);
    this.#events.changed(link);
  }

  #dumpDone(): void {
    const seen = this.#dumped;
    this.#dumped = undefined;
    if (seen === undefined) return;
    for (const [index, link] of this.#links) {
      if (seen.has(index)) continue;
      this.#links.delete(index);
      this.#events.gone(link.name);
    }
  }
}
