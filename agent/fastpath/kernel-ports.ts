/** The kernel's half of a device's flow cache at the device's ports, which come and go. */
import type { InterfacePort } from '../ports/interface-port.ts';
import { PacketPort } from '../ports/packet-socket.ts';
import { Rtnetlink } from '../ports/rtnetlink.ts';
import { type Attachment, attachFilter, attachIngress, detachFilter } from './attach.ts';
import type { Kernel, Wire } from './fast-path.ts';
import { KernelCache } from './maps.ts';

/** Only what comes from a packet socket passes the kernel's ingress. */
export const wireOf = (port: object): Wire | undefined =>
  port instanceof PacketPort && port.index !== 0 && port.fd >= 0
    ? { index: port.index, mtu: port.mtu }
    : undefined;

export class KernelPorts {
  readonly #clsact: boolean;
  #cache: KernelCache | undefined;
  #rtnetlink: Rtnetlink | undefined;
  readonly #attached = new Map<InterfacePort, Attachment>();

  /** `clsact`: as on kernels without tcx. */
  constructor(clsact = false) {
    this.#clsact = clsact;
  }

  /** Throws BpfError and PortError; then nothing is attached. */
  open(flows: number, ports: readonly InterfacePort[]): Kernel {
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

  #close(): void {
    for (const port of [...this.#attached.keys()]) this.detach(port);
    this.#cache?.close();
    this.#cache = undefined;
    this.#rtnetlink?.close();
    this.#rtnetlink = undefined;
  }
}
