/** The kernel's half of a device's flow cache at the device's ports, which come and go. */
import type { Logger } from 'pino';
import type { InterfacePort } from '../ports/interface-port.ts';
import { PacketPort } from '../ports/packet-socket.ts';
import { Rtnetlink } from '../ports/rtnetlink.ts';
import { PortError } from '../ports/socket.ts';
import { type Attachment, attachFilter, attachIngress, detachFilter } from './attach.ts';
import { CopyTap, type CopyTapOptions } from './copy-tap.ts';
import { KernelCache } from './maps.ts';
import type { CopySink, Kernel, Wire } from './options.ts';

/** Only what comes from a packet socket passes the kernel's ingress. */
export const wireOf = (port: object): Wire | undefined =>
  port instanceof PacketPort && port.index !== 0 && port.fd >= 0
    ? { index: port.index, mtu: port.mtu }
    : undefined;

/** Where copies of packets go, and what taking them needs. */
export interface Copying extends Omit<CopyTapOptions, 'gone'> {
  readonly copied: CopySink;
  /** There can be no copies any more. */
  readonly lost: () => void;
  readonly logger: Logger;
}

export class KernelPorts {
  readonly #clsact: boolean;
  #cache: KernelCache | undefined;
  #rtnetlink: Rtnetlink | undefined;
  readonly #attached = new Map<InterfacePort, Attachment>();
  /** Made when the first flow of which the controller gets copies is worth an entry; null: there can be none. */
  #tap: CopyTap | null | undefined;

  /** `clsact`: as on kernels without tcx. */
  constructor(clsact = false) {
    this.#clsact = clsact;
  }

  /** Throws BpfError and PortError; then nothing is attached. */
  open(flows: number, ports: readonly InterfacePort[], copying: Copying): Kernel {
    const cache = new KernelCache(flows);
    this.#cache = cache;
    try {
      this.#rtnetlink = new Rtnetlink();
      for (const port of ports) this.attach(port);
    } catch (error) {
      this.#close();
      throw error;
    }
    return {
      size: flows,
      insert: (key, index, entry) => cache.insert(key, index, entry),
      remove: (key) => cache.remove(key),
      packets: (index) => cache.packets(index),
      bytes: (index) => cache.bytes(index),
      lastMs: (index) => cache.lastMs(index),
      copiesTo: () => this.#copyTap(copying)?.index,
      takeCopies: () => this.#tap?.take(),
      lostCopies: () => this.#lostCopies(),
      close: () => this.#close(),
    };
  }

  /** A port has a socket now. */
  attach(port: InterfacePort): void {
    const cache = this.#cache;
    const wire = wireOf(port);
    if (cache === undefined || this.#rtnetlink === undefined || wire === undefined) return;
    // The filter last: what it keeps from the socket, the other program must be there for.
    const attachment = attachIngress(this.#rtnetlink, cache.forward, wire.index, this.#clsact);
    this.#attached.set(port, attachment);
    attachFilter(port.fd, cache.filter);
  }

  /** Its socket is about to be closed. */
  detach(port: InterfacePort): void {
    const attachment = this.#attached.get(port);
    if (attachment === undefined) return;
    this.#attached.delete(port);
    if (port.fd >= 0) detachFilter(port.fd);
    attachment.detach();
  }

  #copyTap({ copied, lost, loop, pool, logger }: Copying): CopyTap | null {
    if (this.#tap !== undefined || this.#rtnetlink === undefined) return this.#tap ?? null;
    const doWithout = (why: object, what: string) => {
      this.#tap = null;
      logger.warn(why, `${what}: packets that the controller gets as well go through their cells`);
    };
    try {
      const gone = () => {
        doWithout({}, 'the TAP device for copies is gone');
        // It may be found out while a flow is being taken out.
        queueMicrotask(lost);
      };
      this.#tap = new CopyTap(this.#rtnetlink, { loop, pool, gone }, copied);
    } catch (error) {
      if (!(error instanceof PortError)) throw error;
      doWithout({ err: error }, 'no TAP device for copies');
    }
    return this.#tap ?? null;
  }

  #lostCopies(): number {
    try {
      return this.#tap?.lost ?? 0;
    } catch (error) {
      // It has just gone.
      if (error instanceof PortError) return 0;
      throw error;
    }
  }

  #close(): void {
    for (const port of [...this.#attached.keys()]) this.detach(port);
    this.#tap?.close();
    this.#tap = undefined;
    this.#cache?.close();
    this.#cache = undefined;
    this.#rtnetlink?.close();
    this.#rtnetlink = undefined;
  }
}
