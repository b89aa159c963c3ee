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
import { modifyPort } from './port-mod.ts';
import { type PortSet, queueConfigs, queueStats } from './queue-messages.ts';
import type { Role } from './roles.ts';

export interface RequestsOptions {
  datapathId: bigint;
  description: string;
  version: string;
  tables: number;
  ports: PortSet;
  clock: Clock;
  role: Role;
  send: (message: MessageInit) => void;
}

type Multipart = MessageOf<'multipart_request'>;
type ReplyBody = Extract<MessageInit, { type: 'multipart_reply' }>['body'];

/** Parts of a reply stay well below the 65,535 bytes of a message. */
const PER_PART = 400;

export class Requests {
  /** Bytes of a packet that a table-miss sends (the cells' entries say it themselves: kept for the answer). */
  #missSendLen = 128;
  readonly #options: RequestsOptions;

  constructor(options: RequestsOptions) {
    this.#options = options;
  }

  features(xid: number): void {
    this.#options.send({
      type: 'features_reply',
      xid,
      datapath_id: this.#options.datapathId,
      n_buffers: 0,
      n_tables: this.#options.tables,
      capabilities:
        Capability.FLOW_STATS | Capability.TABLE_STATS | Capability.PORT_STATS | Capability.QUEUE_STATS,
    });
  }

  getConfig(xid: number): void {
    const miss_send_len = this.#missSendLen;
    this.#options.send({ type: 'get_config_reply', xid, flags: ConfigFlag.FRAG_NORMAL, miss_send_len });
  }

  setConfig(message: MessageOf<'set_config'>): void {
    if (message.flags !== ConfigFlag.FRAG_NORMAL) {
      const code = SwitchConfigFailedCode.BAD_FLAGS;
      throw new OpenFlowError(
        ErrorType.SWITCH_CONFIG_FAILED,
        code,
        'fragments are not reassembled or dropped',
      );
    }
    this.#missSendLen = message.miss_send_len;
  }

  role(message: MessageOf<'role_request'>): void {
    const answer = this.#options.role.request(message.role, message.generation_id);
    this.#options.send({ type: 'role_reply', xid: message.xid, ...answer });
  }

  getAsync(xid: number): void {
    this.#options.send({ type: 'get_async_reply', xid, ...this.#options.role.masks });
  }

  setAsync({ packet_in_mask, port_status_mask, flow_removed_mask }: MessageOf<'set_async'>): void {
    this.#options.role.masks = { packet_in_mask, port_status_mask, flow_removed_mask };
  }

  portMod(message: MessageOf<'port_mod'>): Port {
    return modifyPort(this.#options.ports.get(message.port_no), message);
  }

  queueConfig({ xid, port }: MessageOf<'queue_get_config_request'>): void {
    const queues = queueConfigs(this.#options.ports, port);
    this.#options.send({ type: 'queue_get_config_reply', xid, port, queues });
  }

  /** Answers a multipart request about the device. False when it is a matter of a cell. */
  multipart(message: Multipart): boolean {
    const { ports } = this.#options;
    switch (message.body.type) {
      case 'desc':
        this.#reply(message.xid, this.#description());
        return true;
      case 'port_desc':
        this.#inParts(message.xid, ports.list, (part) => ({
          type: 'port_desc',
          ports: part.map(describePort),
        }));
        return true;
      case 'port_stats':
        this.#portStats(message.xid, message.body.port_no);
        return true;
      case 'queue':
        this.#queueStats(message.xid, message.body);
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

  #portStats(xid: number, number: number): void {
    const { ports, clock } = this.#options;
    const one = ports.get(number);
    if (number !== PortNumber.ANY && one === undefined) {
      throw new OpenFlowError(ErrorType.BAD_REQUEST, BadRequestCode.BAD_PORT, `no port ${number}`);
    }
    const wanted = one === undefined ? ports.list : [one];
    this.#inParts(xid, wanted, (part) => ({
      type: 'port_stats',
      ports: part.map((port) => countPort(port, clock.now)),
    }));
  }

  #queueStats(xid: number, { port_no, queue_id }: { port_no: number; queue_id: number }): void {
    const { ports, clock } = this.#options;
    this.#inParts(xid, queueStats(ports, port_no, queue_id, clock.now), (queues) => ({
      type: 'queue',
      queues,
    }));
  }

  #inParts<T>(xid: number, items: readonly T[], body: (part: T[]) => ReplyBody): void {
    let at = 0;
    do {
      const next = at + PER_PART;
      this.#reply(xid, body(items.slice(at, next)), next < items.length);
      at = next;
    } while (at < items.length);
  }

  #reply(xid: number, body: ReplyBody, more = false): void {
    this.#options.send({ type: 'multipart_reply', xid, flags: more ? 1 : 0, body });
  }
}
