/** What of a datapath can be set beyond flow entries. OpenFlow 1.3.5, 7.3.2 to 7.3.4, 7.3.9, 7.3.10. */

import { GroupModCommand, type MessageInit, MeterModCommand, type PortDesc } from '../openflow/index.ts';
import { BundleFlag } from '../openflow/v14/constants.ts';
import {
  type AsyncConfig,
  DatapathStatistics,
  inCell,
  type SwitchConfig,
  unexpected,
  V10,
} from './datapath-statistics.ts';
import { FlowcellError } from './errors.ts';
import { carryOut, confirm } from './exchange.ts';
import {
  type GroupEntry,
  groupDeletion,
  groupMessage,
  type MeterEntry,
  Modifications,
  meterDeletion,
  meterMessage,
  type PortChange,
  portMessage,
} from './modifications.ts';
import type { Session } from './session.ts';

export interface Role {
  /** ControllerRole. */
  readonly role: number;
  readonly generation_id: bigint;
}

/**
 * Every method here resolves when the datapath has done it: a barrier follows what has no reply of its own. They
 * reject as those of DatapathStatistics do, and with EncodeError for a value that cannot be on the wire. With `cell`
 * they concern that cell, else the device's default pipeline.
 */
export class DatapathConfiguration extends DatapathStatistics {
  readonly #session: Session;
  readonly #ports: ReadonlyMap<number, PortDesc>;
  #bundleId = 0;

  constructor(session: Session, ports: ReadonlyMap<number, PortDesc>) {
    super(session);
    this.#session = session;
    this.#ports = ports;
  }

  /** Sends messages that have no reply, and a barrier. The first error counts; the other messages are carried out. */
  confirm(...messages: readonly MessageInit[]): Promise<void> {
    return confirm(this.#session, messages);
  }

  /** How fragments are handled and how much of a packet a table miss sends. */
  setConfig(config: Partial<SwitchConfig>): Promise<void> {
    return this.confirm({ type: 'set_config', ...config });
  }

  /** Rejects with GROUP_MOD_FAILED/GROUP_EXISTS when there is a group of this number. */
  addGroup(group: GroupEntry, cell = 0): Promise<void> {
    return this.#confirmIn(cell, groupMessage(GroupModCommand.ADD, group));
  }

  modifyGroup(group: GroupEntry, cell = 0): Promise<void> {
    return this.#confirmIn(cell, groupMessage(GroupModCommand.MODIFY, group));
  }

  /** Deletes a group and the flow entries that use it; Group.ALL deletes all. */
  deleteGroup(group_id: number, cell = 0): Promise<void> {
    return this.#confirmIn(cell, groupDeletion(group_id));
  }

  /** Rejects with METER_MOD_FAILED/METER_EXISTS when there is a meter of this number. */
  addMeter(meter: MeterEntry, cell = 0): Promise<void> {
    return this.#confirmIn(cell, meterMessage(MeterModCommand.ADD, meter));
  }

  modifyMeter(meter: MeterEntry, cell = 0): Promise<void> {
    return this.#confirmIn(cell, meterMessage(MeterModCommand.MODIFY, meter));
  }

  /** Deletes a meter and the flow entries that use it; Meter.ALL deletes all. */
  deleteMeter(meter_id: number, cell = 0): Promise<void> {
    return this.#confirmIn(cell, meterDeletion(meter_id));
  }

  /** Administrative state of a port. Rejects with FC_PORT_UNKNOWN when there is no such port. */
  async modifyPort(change: PortChange): Promise<void> {
    await this.confirm(portMessage(change, this.#ports));
    // Switches tell others of this, but not all tell the one that asked.
    const { port_no, config = 0, mask = 0 } = change;
    const port = this.#ports.get(port_no);
    if (port !== undefined) port.config = ((port.config & ~mask) | (config & mask)) >>> 0;
  }

  /** ofp_table_config of a table (Table.ALL: of all). */
  modifyTable(table_id: number, config: number, cell = 0): Promise<void> {
    return this.#confirmIn(cell, { type: 'table_mod', table_id, config });
  }

  /**
   * Asks to be EQUAL, MASTER or SLAVE (ControllerRole), or, with NOCHANGE, what the role is. For MASTER and SLAVE
   * `generation_id` must not be older than any the datapath has seen: ROLE_REQUEST_FAILED/STALE.
   */
  async setRole(role: number, generation_id = 0n): Promise<Role> {
    const reply = await this.request({ type: 'role_request', role, generation_id });
    if (reply.type !== 'role_reply') throw unexpected('role_request', reply);
    return { role: reply.role, generation_id: reply.generation_id };
  }

  /** Chooses the asynchronous messages this controller gets: bits 1 << reason, as master or equal, and as slave. */
  setAsync(config: AsyncConfig): Promise<void> {
    return this.confirm({ type: 'set_async', ...config });
  }

  /**
   * Carries out a list of modifications as one: all of them, and no packet sees a part of them, or none. `fill` gets
   * an object to put them into; nothing is sent before it has come to its end, or when it throws. A bundle of
   * OpenFlow 1.4, with 1.3 the ONF's extension of the same name (Open vSwitch has both).
   *
   * Rejects with the error of the message that failed.
   */
  async bundle(
    fill: (modifications: Modifications) => void | Promise<void>,
    flags: number = BundleFlag.ATOMIC | BundleFlag.ORDERED,
  ): Promise<void> {
    if (this.version === V10) {
      throw new FlowcellError(
        'FC_NOT_IN_VERSION',
        'a bundle cannot be sent to a datapath that speaks OpenFlow 1.0; send its messages one by one',
      );
    }
    const modifications = new Modifications(this.#ports);
    await fill(modifications);
    this.#bundleId = (this.#bundleId + 1) >>> 0;
    await carryOut(this.#session, this.#bundleId, flags, modifications.messages);
  }

  #confirmIn(cell: number, message: MessageInit): Promise<void> {
    return confirm(this.#session, [inCell(message, cell)]);
  }
}
