/**
 * OpenFlow 1.0 in terms of 1.3, for both ends of a connection. A device decodes requests and encodes what answers them;
 * a controller encodes requests and decodes what answers those. What either version cannot say is described at the
 * parts: v10-match.ts, v10-actions.ts, v10-stats.ts, v10-ports.ts, v10-errors.ts.
 */
import { HEADER_BYTES } from '../codec.ts';
import { OpenFlowError } from '../errors.ts';
import type { Message, MessageInit, MessageOf, PortDesc } from '../index.ts';
import { NxFlowFormat, NxPacketInFormat, NxRole } from '../nicira/messages.ts';
import * as v10 from '../v10/index.ts';
import { Capability, ControllerRole, PacketInReason, Port } from '../v13/constants.ts';
import { BadRequestCode, ErrorType, QueueOpFailedCode, RoleRequestFailedCode } from '../v13/errors.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { cannotSay } from './shared.ts';
import { actionsForDevice, actionsTo10 } from './v10-actions.ts';
import { errorFrom10, errorTo10 } from './v10-errors.ts';
import { experimenterData, vendorAt, vendorData } from './v10-experimenter.ts';
import { checkLength, flowModFrom10, flowModTo10, flowRemovedTo10 } from './v10-flows.ts';
import { matchFrom10 } from './v10-match.ts';
import {
  features10,
  features13,
  port16,
  port16Of,
  port32,
  portConfig,
  portFrom10,
  portTo10,
} from './v10-ports.ts';
import { statsReplyFrom10, statsReplyTo10, statsRequestFrom10, statsRequestTo10 } from './v10-stats.ts';

const VERSION = v10.OFP_VERSION;

type Decoders = {
  readonly [T in v10.Message['type']]?: (message: v10.MessageOf<T>, bytes: Uint8Array) => Message[];
};
type Init<T extends Message['type']> = Extract<MessageInit, { type: T }>;
type Encoders = { readonly [T in Message['type']]?: (message: Init<T>) => Uint8Array[] };

/** OFPC_*: those that both versions have, under the same bits. */
const SHARED_CAPABILITIES =
  Capability.FLOW_STATS |
  Capability.TABLE_STATS |
  Capability.PORT_STATS |
  Capability.IP_REASM |
  Capability.QUEUE_STATS;
/** Every action of 1.0, as bits. */
const ALL_ACTIONS = 0xfff;
/** Ports that a features_reply has room for. */
const MAX_PORTS = 1364;
/** Where the device does not say how many entries a table holds. */
const DEFAULT_MAX_ENTRIES = 65536;
/** Requests for ports that wait for their features_reply; beyond, the oldest is forgotten. */
const MAX_PORT_REQUESTS = 64;
/** packet_in of 1.0 does not say which entry sent it: what 1.3 says for "none". */
const NO_COOKIE = 0xffffffffffffffffn;
/** Nicira's role messages have no generation: the device takes none from a connection of 1.0. */
const NO_GENERATION = 0xffffffffffffffffn;

// Packets ---------------------------------------------------------------------------------------------------

function packetOutFrom10(message: v10.MessageOf<'packet_out'>): MessageOf<'packet_out'> {
  const actions = actionsForDevice(message.actions);
  checkLength(actions, message.data.length);
  const in_port = message.in_port === v10.Port.NONE ? Port.CONTROLLER : port32(message.in_port);
  return { ...message, in_port, actions };
}

function packetOutTo10(message: Init<'packet_out'>): Uint8Array[] {
  const { xid, buffer_id, in_port: port = Port.CONTROLLER, actions = [], data } = message;
  const in_port = port === Port.CONTROLLER ? v10.Port.NONE : port16Of(port);
  return [v10.encode({ type: 'packet_out', xid, buffer_id, in_port, actions: actionsTo10(actions), data })];
}

/** Nothing for a port that 1.0 has no number for, and for an invalid TTL, of which 1.0 knows nothing. */
function packetInTo10({ xid, buffer_id, total_len, reason, match, data }: Init<'packet_in'>): Uint8Array[] {
  const in_port = port16(match?.in_port ?? Port.ANY);
  if (in_port === undefined || reason > PacketInReason.ACTION) return [];
  return [v10.encode({ type: 'packet_in', xid, buffer_id, total_len, in_port, reason, data })];
}

// Nicira ----------------------------------------------------------------------------------------------------

/** A message of Nicira that has no meaning of its own here, as an experimenter's. */
const experimenterFrom10 = (bytes: Uint8Array, xid: number): Message => ({
  type: 'experimenter',
  xid,
  ...experimenterData(vendorAt(bytes, HEADER_BYTES)),
});

/** What asks for how things are anyway. */
const isDefault = (message: v10.Message): boolean =>
  (message.type === 'nx_set_flow_format' && message.format === NxFlowFormat.OPENFLOW10) ||
  (message.type === 'nx_set_packet_in_format' && message.format === NxPacketInFormat.OPENFLOW10) ||
  (message.type === 'nx_flow_mod_table_id' && message.set === 0);

/** EQUAL, MASTER and SLAVE of 1.3 are Nicira's OTHER, MASTER and SLAVE. */
const ROLE_OFFSET = ControllerRole.EQUAL - NxRole.OTHER;

function roleFrom10(role: number): number {
  if (role <= NxRole.SLAVE) return role + ROLE_OFFSET;
  throw new OpenFlowError(ErrorType.ROLE_REQUEST_FAILED, RoleRequestFailedCode.BAD_ROLE, `no role ${role}`);
}

function roleTo10(type: 'nx_role_request' | 'nx_role_reply', { xid, role }: { xid?: number; role: number }) {
  if (role === ControllerRole.NOCHANGE) {
    throw cannotSay(VERSION, 'a question for the role', [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE]);
  }
  return [v10.encode({ type, xid, role: role - ROLE_OFFSET })];
}

// The dialect -----------------------------------------------------------------------------------------------

/** What is malformed has the numbers of 1.3, as the rest does. */
function decode10(bytes: Uint8Array): v10.Message {
  try {
    return v10.decode(bytes);
  } catch (error) {
    if (!(error instanceof OpenFlowError)) throw error;
    const [type, code] = errorFrom10(error.errorType, error.errorCode);
    throw new OpenFlowError(type, code, error.text);
  }
}

/** Messages that are the same in both versions. */
const UNCHANGED = [
  'echo_request',
  'echo_reply',
  'features_request',
  'get_config_request',
  'get_config_reply',
  'set_config',
  'barrier_request',
  'barrier_reply',
] as const;

const unchanged = <F>(same: F) =>
  Object.fromEntries(UNCHANGED.map((type) => [type, same])) as Record<(typeof UNCHANGED)[number], F>;

class Dialect10 implements Dialect {
  readonly version = VERSION;
  readonly #context: DialectContext | undefined;
  /** xids of features_requests that ask for ports. */
  readonly #portRequests = new Set<number>();
  readonly #decoders: Decoders = this.#decodeTable();
  readonly #encoders: Encoders = this.#encodeTable();

  constructor(context: DialectContext | undefined) {
    this.#context = context;
  }

  decode(bytes: Uint8Array): Message[] {
    const message = decode10(bytes);
    if (isDefault(message)) return [];
    const decoder = this.#decoders[message.type] as
      | ((message: v10.Message, bytes: Uint8Array) => Message[])
      | undefined;
    return decoder === undefined ? [experimenterFrom10(bytes, message.xid)] : decoder(message, bytes);
  }

  encode(message: MessageInit): Uint8Array[] {
    const encoder = this.#encoders[message.type] as ((message: MessageInit) => Uint8Array[]) | undefined;
    if (encoder !== undefined) return encoder(message);
    throw cannotSay(VERSION, `message ${message.type}`, [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE]);
  }

  #featuresFrom10(message: v10.MessageOf<'features_reply'>): Message {
    const { xid, datapath_id, n_buffers, n_tables } = message;
    if (this.#portRequests.delete(xid)) {
      const ports = message.ports.map(portFrom10);
      return { type: 'multipart_reply', xid, flags: 0, body: { type: 'port_desc', ports } };
    }
    const capabilities = message.capabilities & SHARED_CAPABILITIES;
    return { type: 'features_reply', xid, datapath_id, n_buffers, n_tables, auxiliary_id: 0, capabilities };
  }

  #featuresTo10({ xid, datapath_id, n_buffers, n_tables, capabilities = 0 }: Init<'features_reply'>) {
    const ports = this.#context?.ports() ?? [];
    return v10.encode({
      type: 'features_reply',
      xid,
      datapath_id,
      n_buffers,
      n_tables,
      capabilities: (capabilities & SHARED_CAPABILITIES) | v10.Capability.ARP_MATCH_IP,
      actions: ALL_ACTIONS,
      ports: portsTo10(ports),
    });
  }

  /** 1.0 has the ports in the features_reply alone. */
  #askForPorts(xid = 0): Uint8Array[] {
    if (this.#portRequests.size >= MAX_PORT_REQUESTS) {
      this.#portRequests.delete(this.#portRequests.values().next().value as number);
    }
    this.#portRequests.add(xid);
    return [v10.encode({ type: 'features_request', xid })];
  }

  #decodeTable(): Decoders {
    const same = (message: Message): Message[] => [message];
    return {
      hello: same,
      ...unchanged(same),
      error: ({ xid, error_type, code, data }) => {
        this.#portRequests.delete(xid);
        const [type, code13] = errorFrom10(error_type, code);
        return [{ type: 'error', xid, error_type: type, code: code13, data }];
      },
      vendor: ({ xid, vendor, data }) => [
        { type: 'experimenter', xid, ...experimenterData({ vendor, data }) },
      ],
      features_reply: (message) => [this.#featuresFrom10(message)],
      packet_in: ({ xid, buffer_id, total_len, reason, in_port, data }) => [
        {
          type: 'packet_in',
          xid,
          buffer_id,
          total_len,
          reason,
          table_id: 0,
          cookie: NO_COOKIE,
          match: { in_port: port32(in_port) },
          data,
        },
      ],
      flow_removed: ({ match, ...rest }) => [
        { ...rest, table_id: 0, hard_timeout: 0, match: matchFrom10(match) },
      ],
      port_status: ({ desc, ...rest }) => [{ ...rest, desc: portFrom10(desc) }],
      packet_out: (message) => [packetOutFrom10(message)],
      flow_mod: (message) => [flowModFrom10(message)],
      port_mod: ({ port_no, config, mask, advertise, ...rest }) => [
        {
          ...rest,
          port_no: port32(port_no),
          config: portConfig(config),
          mask: portConfig(mask),
          advertise: features13(advertise),
        },
      ],
      stats_request: (message, bytes) => [statsRequestFrom10(message, bytes)],
      stats_reply: (message, bytes) => [statsReplyFrom10(message, bytes)],
      queue_get_config_request: ({ port, ...rest }) => [{ ...rest, port: port32(port) }],
      queue_get_config_reply: ({ xid, port, queues }) => [
        {
          type: 'queue_get_config_reply',
          xid,
          port: port32(port),
          queues: queues.map(({ queue_id, properties }) => ({
            queue_id,
            port: port32(port),
            properties: properties.filter((property) => property.type === 'min_rate'),
          })),
        },
      ],
      nx_role_request: ({ xid, role }) => [
        {
          type: 'role_request',
          xid,
          role: roleFrom10(role),
          generation_id: NO_GENERATION,
        },
      ],
      nx_role_reply: ({ xid, role }) => [
        { type: 'role_reply', xid, role: roleFrom10(role), generation_id: NO_GENERATION },
      ],
      nx_set_async_config: (message) => [{ ...message, type: 'set_async' }],
    };
  }

  #encodeTable(): Encoders {
    const same = (message: v10.MessageInit): Uint8Array[] => [v10.encode(message)];
    return {
      hello: (message) => same({ ...message, version: VERSION }),
      ...unchanged(same),
      error: ({ xid, error_type, code, data }) => {
        const [type, code10] = errorTo10(error_type, code);
        return same({ type: 'error', xid, error_type: type, code: code10, data });
      },
      experimenter: (message) => same({ type: 'vendor', xid: message.xid, ...vendorData(message) }),
      features_reply: (message) => [this.#featuresTo10(message)],
      packet_in: packetInTo10,
      flow_removed: flowRemovedTo10,
      port_status: ({ xid, reason, desc: desc13 }) => {
        const desc = portTo10(desc13);
        return desc === undefined ? [] : same({ type: 'port_status', xid, reason, desc });
      },
      packet_out: packetOutTo10,
      flow_mod: flowModTo10,
      port_mod: ({ port_no, advertise, ...rest }) =>
        same({ ...rest, port_no: port16Of(port_no), advertise: features10(advertise) }),
      multipart_request: (message) =>
        message.body.type === 'port_desc' ? this.#askForPorts(message.xid) : [statsRequestTo10(message)],
      multipart_reply: (message) =>
        statsReplyTo10(message, { maxEntries: this.#context?.maxEntries ?? DEFAULT_MAX_ENTRIES }),
      queue_get_config_request: ({ xid, port = Port.ANY }) => {
        if (port === Port.ANY) {
          const error = [ErrorType.QUEUE_OP_FAILED, QueueOpFailedCode.BAD_PORT] as const;
          throw cannotSay(VERSION, 'queues of all ports', error);
        }
        return same({ type: 'queue_get_config_request', xid, port: port16Of(port) });
      },
      queue_get_config_reply: ({ xid, port, queues = [] }) =>
        same({
          type: 'queue_get_config_reply',
          xid,
          port: port16Of(port),
          queues: queues.map(({ queue_id, properties = [] }) => ({
            queue_id,
            properties: properties.filter((property) => property.type === 'min_rate'),
          })),
        }),
      role_request: (message) => roleTo10('nx_role_request', message),
      role_reply: (message) => roleTo10('nx_role_reply', message),
      set_async: (message) => same({ ...message, type: 'nx_set_async_config' }),
    };
  }
}

const portsTo10 = (ports: readonly PortDesc[]): v10.PortDesc[] =>
  ports
    .map(portTo10)
    .filter((port) => port !== undefined)
    .slice(0, MAX_PORTS);

/** OpenFlow 1.0 with the extensions of Nicira that change nothing else: roles and asynchronous configuration. */
export const createDialect10 = (context?: DialectContext): Dialect => new Dialect10(context);
