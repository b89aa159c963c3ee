/** Requests the agent answers from what it knows itself: features, configuration, ports, roles. */
import os from 'node:os';
import {
  BadRequestCode,
  Capability,
  ConfigFlag,
  ErrorType,
  type MessageInit,
  type MessageOf,
  OpenFlowError,
  Port as PortNumber,
  SwitchConfigFailedCode,
} from '../../openflow/index.ts';
import type { Clock } from '../clock.ts';
import type { Port } from '../ports/port.ts';
import { countPort, describePort } from './port-messages.ts';
import { checkPortMod, modifyPort } from './port-mod.ts';
import { type PortSet, queueConfigs, queueStats } from './queue-messages.ts';
import type { Session } from './session.ts';

export interface RequestsOptions {
  datapathId: bigint;
  description: string;
  version: string;
  tables: number;
  ports: PortSet;
  clock: Clock;
  dispatcher: { dropFragments: boolean };
  portModified?: () => void;
}

type Multipart = MessageOf<'multipart_request'>;
type ReplyBody = Extract<MessageInit, { type: 'multipart_reply' }>['body'];

/** Parts of a reply stay well below the 65,535 bytes of a message. */
const PER_PART = 400;

const CAPABILITIES =
  Capability.FLOW_STATS |
  Capability.TABLE_STATS |
  Capability.PORT_STATS |
  Capability.GROUP_STATS |
  Capability.QUEUE_STATS;

export class Requests {
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  features(session: Session, xid: number): void {
    session.send({
      type: 'features_reply',
      xid,
      datapath_id: this.#options.datapathId,
      n_buffers: 0,
      n_tables: this.#options.tables,
      capabilities: CAPABILITIES,
    });
  }

  getConfig(session: Session, xid: number): void {
    const flags = this.#fragments;
    session.send({ type: 'get_config_reply', xid, flags, miss_send_len: session.missSendLen });
  }

  /** How fragments are treated is the device's matter, miss_send_len the controller's own. */
  setConfig(session: Session, { flags, miss_send_len }: MessageOf<'set_config'>): void {
    if (flags !== ConfigFlag.FRAG_NORMAL && flags !== ConfigFlag.FRAG_DROP) {
      const text = `fragments are not reassembled here, and there is no flag but those: 0x${flags.toString(16)}`;
      throw new OpenFlowError(ErrorType.SWITCH_CONFIG_FAILED, SwitchConfigFailedCode.BAD_FLAGS, text);
    }
    if (flags !== this.#fragments && session.role.isSlave) {
      const text = 'a slave cannot change how fragments are treated';
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.IS_SLAVE, text);
    }
    this.#options.dispatcher.dropFragments = flags === ConfigFlag.FRAG_DROP;
    session.missSendLen = miss_send_len;
  }

  getAsync(session: Session, xid: number): void {
    session.send({ type: 'get_async_reply', xid, ...session.role.masks });
  }

  setAsync(
    session: Session,
    { packet_in_mask, port_status_mask, flow_removed_mask }: MessageOf<'set_async'>,
  ): void {
    session.role.masks = { packet_in_mask, port_status_mask, flow_removed_mask };
  }

  /** Throws OpenFlowError PORT_MOD_FAILED. */
  checkPortMod({ version }: Session, message: MessageOf<'port_mod'>): void {
    checkPortMod(this.#options.ports.get(message.port_no), message, version);
  }

  portMod({ version }: Session, message: MessageOf<'port_mod'>): Port {
    const port = modifyPort(this.#options.ports.get(message.port_no), message, version);
    this.#options.portModified?.();
    return port;
  }

  queueConfig(session: Session, { xid, port }: MessageOf<'queue_get_config_request'>): void {
    const queues = queueConfigs(this.#options.ports, port);
    session.send({ type: 'queue_get_config_reply', xid, port, queues });
  }

  /** Answers a multipart request about the device. False when it is a matter of a cell. */
  multipart(session: Session, message: Multipart): boolean {
    const { ports } = this.#options;
    switch (message.body.type) {
      case 'desc':
        this.#reply(session, message.xid, this.#description());
        return true;
      case 'port_desc':
        this.#inParts(session, message.xid, ports.list, (part) => ({
          type: 'port_desc',
          ports: part.map(describePort),
        }));
        return true;
      case 'port_stats':
        this.#portStats(session, message.xid, message.body.port_no);
        return true;
      case 'queue':
        this.#queueStats(session, message.xid, message.body);
        return true;
      case 'experimenter':
        throw new OpenFlowError(
          ErrorType.BAD_REQUEST,
          BadRequestCode.BAD_EXPERIMENTER,
          `no multipart experimenter ${message.body.experimenter}`,
        );
      default:
        return false;
    }
  }

  get #fragments(): number {
    return this.#options.dispatcher.dropFragments ? ConfigFlag.FRAG_DROP : ConfigFlag.FRAG_NORMAL;
  }

  #description(): ReplyBody {
    return {
      type: 'desc',
      mfr_desc: 'Flowcell',
      hw_desc: `${os.type()} ${os.release()} ${os.arch()}`,
      sw_desc: `Flowcell agent ${this.#options.version}, Node ${process.versions.node}`,
      serial_num: this.#options.datapathId.toString(16).padStart(16, '0'),
      dp_desc: this.#options.description,
    };
  }

  #portStats(session: Session, xid: number, number: number): void {
    const { ports, clock } = this.#options;
    const one = ports.get(number);
    if (number !== PortNumber.ANY && one === undefined) {
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_PORT, `no port ${number}`);
    }
    const wanted = one === undefined ? ports.list : [one];
    this.#inParts(session, xid, wanted, (part) => ({
      type: 'port_stats',
      ports: part.map((port) => countPort(port, clock.now)),
    }));
  }

  #queueStats(
    session: Session,
    xid: number,
    { port_no, queue_id }: { port_no: number; queue_id: number },
  ): void {
    const { ports, clock } = this.#options;
    const stats = queueStats(ports, port_no, queue_id, clock.now);
    this.#inParts(session, xid, stats, (queues) => ({ type: 'queue', queues }));
  }

  #inParts<T>(session: Session, xid: number, items: readonly T[], body: (part: T[]) => ReplyBody): void {
    let at = 0;
    do {
      const next = at + PER_PART;
      this.#reply(session, xid, body(items.slice(at, next)), next < items.length);
      at = next;
    } while (at < items.length);
  }

  #reply(session: Session, xid: number, body: ReplyBody, more = false): void {
    session.send({ type: 'multipart_reply', xid, flags: more ? 1 : 0, body });
  }
}
