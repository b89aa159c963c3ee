/** All controllers that are connected: who is told what, and who is asked. */
import {
  ControllerRole,
  DispatchQueryFlag,
  type MessageInit,
  type MessageInitOf,
  type MessageOf,
  PacketInReason,
  PortReason,
} from '../../openflow/index.ts';
import { keyToMatch } from '../../sandbox/match.ts';
import { DEFAULT_CELL } from '../cells.ts';
import type { PacketIn } from '../dispatcher/output.ts';
import type { PendingFlow } from '../dispatcher/pending.ts';
import type { Frame } from '../ports/frames.ts';
import type { Port } from '../ports/port.ts';
import type { PortChange } from '../ports/ports.ts';
import type { DispatchConfig } from './dispatch-settings.ts';
import { roleStatus } from './onf.ts';
import { describePort } from './port-messages.ts';
import { type AsyncMasks, Roles } from './roles.ts';
import type { Session } from './session.ts';

const REASONS: Record<PortChange, number> = {
  add: PortReason.ADD,
  delete: PortReason.DELETE,
  modify: PortReason.MODIFY,
};

/** Cookie of packets that matched no entry, which only controllers of OpenFlow 1.0 get (table-settings.ts). */
const NO_ENTRY = 0xffffffffffffffffn;
/** OpenFlow 1.0 has one role for all, and no generation where an extension gives it roles. */
const OPENFLOW_10 = 1;
/** The first version that tells a controller of tables' vacancy, and when it loses the mastership. */
const OPENFLOW_14 = 5;

export class Sessions {
  readonly counters = { packetIns: 0, queriesUnsent: 0, unsendable: 0, demoted: 0 };
  readonly #open = new Set<Session>();
  readonly #roles = new Roles();

  get size(): number {
    return this.#open.size;
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#open.values();
  }

  add(session: Session): void {
    this.#open.add(session);
  }

  delete(session: Session): void {
    session.open = false;
    this.#open.delete(session);
  }

  some(fits: (session: Session) => boolean): boolean {
    for (const session of this.#open) if (fits(session)) return true;
    return false;
  }

  /** Asks a controller about a flow, if one is there that wants to be asked. */
  ask(flow: PendingFlow, frame: Frame, key: Uint32Array, config: DispatchConfig): boolean {
    const session = this.#decider();
    const { fields, query_bytes } = config;
    const length = Math.min(frame.length, query_bytes);
    const sent = session?.offer({
      type: 'dispatch_query',
      query_id: flow.queryId,
      in_port: frame.inPort,
      total_len: Math.min(frame.length, 0xffff),
      reason: flow.reason,
      flags: DispatchQueryFlag.NUMBERED,
      match: keyToMatch(key, fields),
      data: frame.bytes.subarray(frame.offset, frame.offset + length),
    });
    if (sent === true) flow.asker = session;
    else this.counters.queriesUnsent++;
    return sent === true;
  }

  packetIn(packet: PacketIn): void {
    const unasked = packet.reason === PacketInReason.NO_MATCH && packet.cookie === NO_ENTRY;
    let message: MessageInitOf<'packet_in'> | undefined;
    for (const session of this.#open) {
      if (!session.role.wants('packet_in_mask', packet.reason)) continue;
      if (unasked && session.version !== OPENFLOW_10) continue;
      message ??= packetInOf(packet);
      if (session.offer(message)) this.counters.packetIns++;
    }
  }

  portChanged(port: Port, change: PortChange): void {
    const reason = REASONS[change];
    this.#tell('port_status_mask', reason, { type: 'port_status', reason, desc: describePort(port) });
  }

  flowRemoved(message: MessageOf<'flow_removed'>): void {
    for (const session of this.#open) {
      if (session.role.wants('flow_removed_mask', message.reason)) session.report(message);
    }
  }

  /** To those whose version knows of it; which of them want it is for their dialects to say. */
  tableStatus(message: MessageOf<'table_status'>): void {
    for (const session of this.#open) if (session.version >= OPENFLOW_14) session.report(message);
  }

  /** What became of cells, to all who decide about flows. */
  cellStatus(message: MessageInit): void {
    for (const session of this.#open) if (session.decides) session.send(message);
  }

  /** A ROLE_REQUEST: answers it. True when a controller may no longer be asked, or may again. */
  requestRole(session: Session, message: MessageOf<'role_request'>): boolean {
    const decided = session.decides;
    const generation = session.version === OPENFLOW_10 ? undefined : message.generation_id;
    const others = [...this.#open].map(({ role }) => role);
    const demoted = this.#roles.request(session.role, message.role, generation, others);
    const generation_id = this.#roles.generation;
    session.send({ type: 'role_reply', xid: message.xid, role: session.role.current, generation_id });
    for (const other of this.#open) {
      if (!demoted.includes(other.role)) continue;
      this.counters.demoted++;
      if (other.version >= OPENFLOW_14) other.send(roleStatus(ControllerRole.SLAVE, generation_id));
    }
    return demoted.length > 0 || session.decides !== decided;
  }

  #tell(kind: keyof AsyncMasks, reason: number, message: MessageInit): void {
    for (const session of this.#open) if (session.role.wants(kind, reason)) session.send(message);
  }

  /** The master, else whoever came first. */
  #decider(): Session | undefined {
    let first: Session | undefined;
    for (const session of this.#open) {
      if (!session.decides) continue;
      if (session.role.isMaster) return session;
      first ??= session;
    }
    return first;
  }
}

const packetInOf = (packet: PacketIn): MessageInitOf<'packet_in'> => {
  const match: MessageOf<'packet_in'>['match'] = { in_port: packet.inPort };
  if (packet.metadata !== 0n) match.metadata = packet.metadata;
  if (packet.cell !== DEFAULT_CELL) match.cell = packet.cell;
  return {
    type: 'packet_in',
    total_len: packet.totalLength,
    reason: packet.reason,
    table_id: packet.tableId,
    cookie: packet.cookie,
    match,
    data: packet.data,
  };
};
