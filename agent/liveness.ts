/**
 * What cells know of the state of ports: fast-failover groups ask for it (watch_port, spec 5.6.1). A cell is told of a port
 * by a PORT_STATUS as a switch sends it, when a group that it gets watches the port first, and at each change from then on.
 */
import { encode, type MessageOf, PortReason } from '../openflow/index.ts';
import type { CellRecord } from './cells.ts';
import { describePort } from './channel/port-messages.ts';
import type { Port } from './ports/port.ts';

type GroupMod = MessageOf<'group_mod'>;

export interface LivenessOptions {
  ports: { get(number: number): Port | undefined };
  cells: () => Iterable<CellRecord>;
}

export class Liveness {
  readonly #options: LivenessOptions;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  /** Call before the cell gets this message: it is to know the ports' state when it makes the group. */
  watch(cell: CellRecord, { buckets }: GroupMod): void {
    for (const { watch_port: number } of buckets) {
      const port = this.#options.ports.get(number);
      // Ports that the device does not have are never live, and there are no others to come.
      if (port === undefined || cell.watchedPorts.has(number)) continue;
      cell.watchedPorts.add(number);
      tell(cell, port);
    }
  }

  /** A port's state or configuration has changed. */
  changed(port: Port): void {
    for (const cell of this.#options.cells()) if (cell.watchedPorts.has(port.number)) tell(cell, port);
  }

  /** The cell takes the place of one that had ended: what that one knew, as it is now. Call before its groups come. */
  restored(cell: CellRecord): void {
    for (const number of cell.watchedPorts) {
      const port = this.#options.ports.get(number);
      if (port !== undefined) tell(cell, port);
    }
  }
}

const tell = (cell: CellRecord, port: Port): void => {
  cell.control.tell(encode({ type: 'port_status', reason: PortReason.MODIFY, desc: describePort(port) }));
};
