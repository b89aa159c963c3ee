/** The controller's inside of one device: from the features reply on, what comes in goes where it belongs. */

import {
  ConfigFlag,
  ControllerMaxLen,
  DispatchConfigFlag,
  DispatchMiss,
  type Message,
  OFP_VERSION,
  PortReason,
} from '../openflow/index.ts';
import type { FlowEntry, PortDesc, PortStatus } from './app.ts';
import type { AppsHost } from './apps-host.ts';
import type { CellRecord, CookieJar } from './cells.ts';
import { Datapath, type DatapathLink } from './datapath.ts';
import { Dispatch } from './dispatch.ts';
import { DeviceError, type FlowcellError } from './errors.ts';
import type { EventHub } from './events.ts';
import type { Flow } from './flow.ts';
import type { FeaturesReply } from './handshake.ts';
import type { Limits } from './limits.ts';
import { LogGate, type Logger } from './log.ts';
import type { Counters, Durations } from './metrics.ts';
import { roleStatus } from './onf.ts';
import { type ProgramSource, Programs } from './programs.ts';
import type { Session } from './session.ts';
import type { Time } from './time.ts';

/** DISPATCH_CONFIG as the controller asks for it; the device may answer with less. */
export interface DispatchSettings {
  /** Packets held per flow and in all. */
  held_per_flow: number;
  held_total: number;
  /** Bytes of the packet in a query. */
  query_bytes: number;
  query_timeout_ms: number;
  /** New flows a second and port; 0: no limit. */
  new_flows_per_sec: number;
  /** Match fields of a flow before there is a rule: bit n is OXM basic field n. */
  fields: bigint;
}

export const DEFAULT_DISPATCH: Omit<DispatchSettings, 'fields'> = {
  held_per_flow: 64,
  held_total: 8192,
  query_bytes: 128,
  query_timeout_ms: 2000,
  new_flows_per_sec: 0,
};

export interface DeviceContext {
  apps: AppsHost;
  cookies: CookieJar;
  limits: Limits;
  counters: Counters;
  setup: Durations;
  events: EventHub;
  log: Logger;
  dispatch: DispatchSettings;
  time: Time;
  /** Its ports are known and its mode is decided: apps may have it. */
  ready(device: Device): void;
}

/** How many adopted cells are asked for their entries at a time. */
const VERIFY_AT_ONCE = 32;

export class Device implements DatapathLink {
  readonly session: Session;
  readonly features: FeaturesReply;
  readonly datapath: Datapath;
  readonly dispatch: Dispatch;
  readonly #c: DeviceContext;
  readonly #ports = new Map<number, PortDesc>();
  readonly #programs: Programs;
  readonly #gate = new LogGate();
  #flowMode = false;
  #ready = false;

  constructor(session: Session, features: FeaturesReply, context: DeviceContext) {
    this.session = session;
    this.features = features;
    this.#c = context;
    this.#programs = new Programs(session, context.counters);
    this.datapath = new Datapath(this);
    this.dispatch = new Dispatch({
      ...context,
      session,
      datapath: this.datapath,
      programs: this.#programs.lookup,
    });
  }

  get ports(): ReadonlyMap<number, PortDesc> {
    return this.#ports;
  }

  get flowMode(): boolean {
    return this.#flowMode;
  }

  get cells(): ReadonlyMap<number, CellRecord> {
    return this.dispatch.cells;
  }

  get rules(): ReadonlyMap<bigint, CellRecord> {
    return this.dispatch.rules;
  }

  removeRule(cookie: bigint): boolean {
    return this.dispatch.remove(cookie);
  }

  upload(source: ProgramSource): Promise<string> {
    return this.#programs.upload(source);
  }

  /** Asks for ports and for flow mode, in one write; the answers come in this order. */
  start(): void {
    this.session.send({
      type: 'set_config',
      flags: ConfigFlag.FRAG_NORMAL,
      miss_send_len: ControllerMaxLen.NO_BUFFER,
    });
    const extended = this.session.version === OFP_VERSION;
    this.session.call({ type: 'multipart_request', body: { type: 'port_desc' } }, (error, reply) => {
      this.#portsKnown(error, reply);
      // The extension is one of OpenFlow 1.3: all others are ordinary switches.
      if (!extended) this.#modeKnown(error, undefined);
    });
    if (!extended) return;
    this.session.call(
      {
        type: 'dispatch_config',
        miss: DispatchMiss.QUERY,
        flags: DispatchConfigFlag.SYNC,
        ...this.#c.dispatch,
      },
      (error, reply) => this.#modeKnown(error, reply),
      this.#c.limits.dispatchProbeMs,
    );
  }

  receive(message: Message): void {
    switch (message.type) {
      case 'dispatch_query':
        if (this.#flowMode) this.dispatch.query(message);
        else this.#c.counters.unexpected_messages++;
        return;
      case 'cell_status':
        this.dispatch.status(message);
        return;
      case 'packet_in': {
        this.#c.counters.packet_ins++;
        if (!this.#ready) return;
        message.data = message.data.slice();
        this.#c.apps.notify(this.#ownerOf(message.match.cell), 'onPacketIn', this.datapath, message);
        return;
      }
      case 'flow_removed':
        if (!this.#ready) return;
        this.#c.apps.notify(this.#ownerOf(message.match.cell), 'onFlowRemoved', this.datapath, message);
        return;
      case 'port_status':
        this.#portStatus(message);
        return;
      case 'error': {
        if (this.dispatch.error(message)) return;
        const error = new DeviceError(message.error_type, message.code, message.xid, message.data.slice());
        this.#report(error);
        return;
      }
      case 'experimenter': {
        const status = roleStatus(message);
        if (status === undefined || !this.#ready) this.#c.counters.unexpected_messages++;
        else this.#c.apps.notify(undefined, 'onRoleStatus', this.datapath, status);
        return;
      }
      case 'table_status':
        if (this.#ready) this.#c.apps.notify(undefined, 'onTableStatus', this.datapath, message);
        return;
      default:
        // A reply that came after its request's time limit.
        this.#c.counters.unexpected_messages++;
    }
  }

  /** Something sent without waiting could not be said in the version of the connection. */
  unsent(error: FlowcellError): void {
    this.#report(error);
  }

  closed(reason: string): void {
    this.dispatch.close();
    if (this.#ready) this.#c.apps.notify(undefined, 'onDatapathGone', this.datapath, reason);
    this.#ready = false;
  }

  /** An error that nobody waits for. */
  #report(error: FlowcellError): void {
    const held = this.#gate.pass(error.code);
    if (held >= 0) {
      this.#c.log.warn({ code: error.code, datapath: this.datapath.name, held }, error.message);
    }
    this.#c.events.emit('error', { datapath: this.datapath.name, message: error.message });
    this.#c.apps.notify(undefined, 'onError', this.datapath, error);
  }

  #ownerOf(cell: number | undefined): string | undefined {
    return cell === undefined ? undefined : this.dispatch.cells.get(cell)?.app;
  }

  #portsKnown(error: FlowcellError | undefined, reply: Message | undefined): void {
    if (error === undefined && reply?.type === 'multipart_reply' && reply.body.type === 'port_desc') {
      for (const port of reply.body.ports) this.#setPort(port);
      return;
    }
    if (error?.code === 'FC_DISCONNECTED') return;
    this.#c.log.warn(
      { code: error?.code ?? 'FC_UNEXPECTED_REPLY', datapath: this.datapath.name },
      `the device does not say which ports it has (${error?.message ?? reply?.type}); going on without`,
    );
  }

  #modeKnown(error: FlowcellError | undefined, reply: Message | undefined): void {
    if (error?.code === 'FC_DISCONNECTED') return;
    this.#flowMode = error === undefined && reply?.type === 'dispatch_config';
    this.#ready = true;
    this.#c.ready(this);
    this.#c.apps.notify(undefined, 'onDatapath', this.datapath);
    if (this.#flowMode) this.#verify(this.dispatch.adopted());
  }

  /**
   * A cell may have been opened by a controller that ended before it pushed the entries: such a flow would
   * hang until its timeout. So adopted cells are asked for their entries. Those without any are taken back
   * (the next packet starts afresh); the others' apps learn of them.
   */
  #verify(adopted: Flow[]): void {
    const next = () => {
      const flow = adopted.pop();
      if (flow === undefined) return;
      const body = { type: 'flow' as const, match: { cell: flow.cell } };
      this.session.call({ type: 'multipart_request', body }, (error, reply) => {
        if (error?.code === 'FC_DISCONNECTED') return;
        if (flow.stage === 'live') {
          const entries = entriesIn(reply);
          if (entries?.length === 0) {
            this.#c.counters.cells_incomplete++;
            this.dispatch.remove(flow.cookie);
          } else {
            this.dispatch.announce(flow, entries ?? []);
          }
        }
        next();
      });
    };
    for (let i = 0; i < VERIFY_AT_ONCE; i++) next();
  }

  #setPort(port: PortDesc): boolean {
    if (!this.#ports.has(port.port_no) && this.#ports.size >= this.#c.limits.maxPorts) {
      this.#c.counters.port_limit++;
      return false;
    }
    this.#ports.set(port.port_no, port);
    return true;
  }

  #portStatus(message: PortStatus): void {
    if (message.reason === PortReason.DELETE) this.#ports.delete(message.desc.port_no);
    else if (!this.#setPort(message.desc)) return;
    this.#c.events.emit('port', {
      datapath: this.datapath.name,
      port: message.desc.port_no,
      name: message.desc.name,
      reason: message.reason,
      state: message.desc.state,
    });
    if (this.#ready) this.#c.apps.notify(undefined, 'onPortStatus', this.datapath, message);
  }
}

/** The flow entries in a reply; undefined when there is no such reply (a program need not have entries). */
function entriesIn(reply: Message | undefined): FlowEntry[] | undefined {
  if (reply?.type !== 'multipart_reply' || reply.body.type !== 'flow') return undefined;
  return reply.body.flows.map((stats) => {
    const { cell: _, ...match } = stats.match;
    const { table_id, priority, idle_timeout, hard_timeout, cookie, flags, instructions } = stats;
    return { table_id, priority, idle_timeout, hard_timeout, cookie, flags, match, instructions };
  });
}
