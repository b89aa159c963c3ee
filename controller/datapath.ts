/** A connected device as apps see it: a Flowcell agent, or any switch of OpenFlow 1.0, 1.3, 1.4 or 1.5. */

import { FlowModCommand, type MessageInit } from '../openflow/index.ts';
import type { FlowEntry, PortDesc } from './app.ts';
import type { CellRecord } from './cells.ts';
import { DatapathConfiguration } from './datapath-configuration.ts';
import { FlowcellError } from './errors.ts';
import type { FeaturesReply } from './handshake.ts';
import { type FlowDeletion, flowDeletion, type PacketOut, packetOutMessage } from './modifications.ts';
import type { ProgramSource } from './programs.ts';
import { flowModMessage } from './rules.ts';
import type { Session } from './session.ts';

/** What the controller's inside provides. */
export interface DatapathLink {
  readonly session: Session;
  readonly features: FeaturesReply;
  readonly ports: ReadonlyMap<number, PortDesc>;
  readonly flowMode: boolean;
  readonly cells: ReadonlyMap<number, CellRecord>;
  readonly rules: ReadonlyMap<bigint, CellRecord>;
  removeRule(cookie: bigint): boolean;
  upload(source: ProgramSource): Promise<string>;
}

/**
 * A connected device. Messages and numbers are those of OpenFlow 1.3, whatever version the device speaks: they are
 * translated on the way. What that version cannot say (`openflow` names it) fails with FC_NOT_IN_VERSION: requests
 * reject, and what is sent without waiting comes to `App.onError`.
 */
export class Datapath extends DatapathConfiguration {
  readonly id: bigint;
  /** The id as 16 hex digits. */
  readonly name: string;
  /** Peer's address and port. */
  readonly remote: string;
  /** Milliseconds since the epoch. */
  readonly connectedAt = Date.now();
  readonly features: FeaturesReply;
  readonly #link: DatapathLink;

  constructor(link: DatapathLink) {
    super(link.session, link.ports);
    this.#link = link;
    this.features = link.features;
    this.id = link.features.datapath_id;
    this.name = this.id.toString(16).padStart(16, '0');
    this.remote = link.session.remote;
  }

  /** Ports by number, kept up to date by port_status. Reserved ports are not among them, except LOCAL. */
  get ports(): ReadonlyMap<number, PortDesc> {
    return this.#link.ports;
  }

  /** The device opens a cell per flow (our extension); false for ordinary switches. */
  get flowMode(): boolean {
    return this.#link.flowMode;
  }

  /** False when the connection has ended; nothing can be sent any more. */
  get connected(): boolean {
    return this.#link.session.open;
  }

  /** Cells that are ready, by cell number (flow mode). */
  get cells(): ReadonlyMap<number, CellRecord> {
    return this.#link.cells;
  }

  /** Dispatch rules by cookie, with those on their way (flow mode). */
  get rules(): ReadonlyMap<bigint, CellRecord> {
    return this.#link.rules;
  }

  /**
   * Sends a message without waiting for anything; returns its transaction id. All messages sent in one turn
   * of the event loop leave in one write. Errors of the device come to `App.onError`.
   *
   * @throws EncodeError when the message has a field that cannot be on the wire.
   */
  send(message: MessageInit): number {
    return this.#link.session.send(message);
  }

  /** Adds an entry; one with the same table, match and priority is replaced. With `cell` in that cell. */
  addFlow(entry: FlowEntry, cell = 0): number {
    return this.send(flowModMessage(entry, FlowModCommand.ADD, cell));
  }

  /** Gives other instructions to the entries at least as specific as `entry.match`. */
  modifyFlow(entry: FlowEntry, cell = 0): number {
    return this.send(flowModMessage(entry, FlowModCommand.MODIFY, cell));
  }

  /** Gives other instructions to the entry with exactly this match and priority. */
  modifyFlowStrict(entry: FlowEntry, cell = 0): number {
    return this.send(flowModMessage(entry, FlowModCommand.MODIFY_STRICT, cell));
  }

  /** Deletes the entries the filter means; with `strict` the one with exactly this match and priority. */
  deleteFlows(filter: FlowDeletion = {}, cell = 0): number {
    return this.send(flowDeletion(filter, cell));
  }

  /** Sends a packet out by the device. */
  packetOut(packet: PacketOut): number {
    return this.send(packetOutMessage(packet));
  }

  /** Takes back a dispatch rule, and ends its cell. False when there is no such rule. */
  removeRule(cookie: bigint): boolean {
    return this.#link.removeRule(cookie);
  }

  /**
   * Gives the device a switch program, once per content; cells then name it by `name` or by the hash returned
   * (hex SHA-256).
   *
   * @throws FlowcellError FC_PROGRAM_NAME, FC_PROGRAM_SIZE, FC_PROGRAM_REFUSED, FC_NOT_FLOW_MODE.
   */
  uploadProgram(source: ProgramSource): Promise<string> {
    if (!this.flowMode) {
      return Promise.reject(
        new FlowcellError(
          'FC_NOT_FLOW_MODE',
          `datapath ${this.name} is an ordinary switch and runs no programs; look at datapath.flowMode first`,
        ),
      );
    }
    return this.#link.upload(source);
  }
}
