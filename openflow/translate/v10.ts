/**
 * OpenFlow 1.0 in terms of 1.3, for both ends of a connection. A device decodes requests and encodes what answers them;
 * a controller encodes requests and decodes what answers those. What either version cannot say is described at the
 * parts: v10-match.ts, v10-actions.ts, v10-stats.ts, v10-ports.ts, v10-errors.ts.
 */
import { HEADER_BYTES } from '../codec.ts';
import { OpenFlowError } from '../errors.ts';
import { FLOW_MOD_UPSERT } from '../flowcell.ts';
import type { Action, Message, MessageInit, MessageOf, PortDesc } from '../index.ts';
import { NxFlowFormat, NxPacketInFormat, NxRole } from '../nicira/messages.ts';
import * as v10 from '../v10/index.ts';
import {
  Capability,
  ControllerRole,
  FlowModCommand,
  FlowModFlag,
  FlowRemovedReason,
  Group,
  PacketInReason,
  Port,
  Table,
} from '../v13/constants.ts';
import {
  BadActionCode,
  BadMatchCode,
  BadRequestCode,
  ErrorType,
  FlowModFailedCode,
  QueueOpFailedCode,
} from '../v13/errors.ts';
import type { Dialect, DialectContext } from './dialect.ts';
import { cannotSay } from './shared.ts';
import { actionsForDevice, actionsTo10, instructionsTo10 } from './v10-actions.ts';
import { errorFrom10, errorTo10 } from './v10-errors.ts';
import { experimenterData, vendorData } from './v10-experimenter.ts';
import { HIGHEST_PRIORITY, isExact, matchFrom10, matchTo10 } from './v10-match.ts';
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

type Decoders = { readonly [T in v10.Message['type']]?: (message: v10.MessageOf<T>) => Message[] };
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
const MAX_PORTS = 1365;
/** Where the device does not say how many entries a table holds. */
const DEFAULT_MAX_ENTRIES = 65536;
/** Requests for ports that wait for their features_reply; beyond, the oldest is forgotten. */
const MAX_PORT_REQUESTS = 64;
/** packet_in of 1.0 does not say which entry sent it: what 1.3 says for "none". */
const NO_COOKIE = 0xffffffffffffffffn;
/** Nicira's role messages have no generation. */
const NO_GENERATION = 0xffffffffffffffffn;

// Sizes -----------------------------------------------------------------------------------------------------

/** Room for what stands before the actions of a flow_mod or packet_out of 1.3, match and data not counted. */
const FIXED_BYTES = 256;
const MAX_BYTES = 65535;

/** Actions are longer in 1.3: what has no room in a message of 1.3 is refused here. */
function checkLength(actions: readonly Action[], data = 0): void {
  let length = FIXED_BYTES + data;
  for (const action of actions) length += action.type === 'experimenter' ? 8 + action.data.length : 16;
  if (length <= MAX_BYTES) return;
  const text = `${actions.length} actions are more than an entry or a packet_out takes`;
  throw new OpenFlowError(ErrorType.BAD_ACTION, BadActionCode.TOO_MANY, text);
}

// Flow entries ----------------------------------------------------------------------------------------------

function flowFlagsFrom10({ command, flags }: v10.MessageOf<'flow_mod'>): number {
  const known = v10.FlowModFlag.SEND_FLOW_REM | v10.FlowModFlag.CHECK_OVERLAP | v10.FlowModFlag.EMERG;
  if ((flags & ~known) !== 0) {
    const text = `flags 0x${flags.toString(16)}`;
    throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_FLAGS, text);
  }
  const shared = flags & (FlowModFlag.SEND_FLOW_REM | FlowModFlag.CHECK_OVERLAP);
  switch (command) {
    // An entry that is replaced takes its counters with it (4.6 of 1.0).
    case FlowModCommand.ADD:
      return shared | FlowModFlag.RESET_COUNTS;
    // "If no entry matches, MODIFY acts like an ADD" (4.6 of 1.0).
    case FlowModCommand.MODIFY:
    case FlowModCommand.MODIFY_STRICT:
      return shared | FLOW_MOD_UPSERT;
    default:
      return shared;
  }
}

/** Refused as a full table: there are no emergency entries here. Theirs must have no timeouts (5.3.3 of 1.0). */
function refuseEmergency({ idle_timeout, hard_timeout }: v10.MessageOf<'flow_mod'>): never {
  const timed = idle_timeout !== 0 || hard_timeout !== 0;
  throw new OpenFlowError(
    ErrorType.FLOW_MOD_FAILED,
    timed ? FlowModFailedCode.BAD_TIMEOUT : FlowModFailedCode.TABLE_FULL,
    timed ? 'an emergency entry with a timeout' : 'this switch keeps no emergency entries',
  );
}

function flowModFrom10(message: v10.MessageOf<'flow_mod'>): MessageOf<'flow_mod'> {
  if ((message.flags & v10.FlowModFlag.EMERG) !== 0) refuseEmergency(message);
  if (message.command > FlowModCommand.DELETE_STRICT) {
    const text = `command ${message.command}`;
    throw new OpenFlowError(ErrorType.FLOW_MOD_FAILED, FlowModFailedCode.BAD_COMMAND, text);
  }
  const actions = actionsForDevice(message.actions);
  checkLength(actions);
  return {
    type: 'flow_mod',
    xid: message.xid,
    cookie: message.cookie,
    cookie_mask: 0n,
    table_id: 0,
    command: message.command,
    idle_timeout: message.idle_timeout,
    hard_timeout: message.hard_timeout,
    priority: isExact(message.match) ? HIGHEST_PRIORITY : message.priority,
    buffer_id: message.buffer_id,
    out_port: port32(message.out_port),
    out_group: Group.ANY,
    flags: flowFlagsFrom10(message),
    match: matchFrom10(message.match),
    instructions: actions.length === 0 ? [] : [{ type: 'apply_actions', actions }],
  };
}

const flowModError = (what: string, code: number): OpenFlowError =>
  cannotSay(VERSION, what, [ErrorType.FLOW_MOD_FAILED, code]);

/** Flags that save a switch work, and no controller can tell whether it did. */
const HINTS = FlowModFlag.NO_PKT_COUNTS | FlowModFlag.NO_BYT_COUNTS;

function flowFlagsTo10(command: number, flags: number): number {
  const shared = flags & (FlowModFlag.SEND_FLOW_REM | FlowModFlag.CHECK_OVERLAP);
  const implied =
    command === FlowModCommand.ADD
      ? FlowModFlag.RESET_COUNTS
      : command === FlowModCommand.MODIFY || command === FlowModCommand.MODIFY_STRICT
        ? FLOW_MOD_UPSERT
        : 0;
  const rest = flags & ~(shared | implied | HINTS);
  if (rest === 0) return shared;
  throw flowModError(`flow_mod with flags 0x${rest.toString(16)}`, FlowModFailedCode.BAD_FLAGS);
}

/**
 * Of 1.0's differences only those are taken for granted that its adds and modifies cannot be without: an add resets the
 * counters, a modify adds what is not there, an exact entry has the highest priority.
 */
function flowModTo10(message: Init<'flow_mod'>): Uint8Array[] {
  const {
    command = FlowModCommand.ADD,
    table_id = 0,
    cookie_mask = 0n,
    out_group = Group.ANY,
    out_port = Port.ANY,
    match,
    instructions,
  } = message;
  const deletes = command === FlowModCommand.DELETE || command === FlowModCommand.DELETE_STRICT;
  if (table_id !== 0 && !(deletes && table_id === Table.ALL)) {
    throw flowModError(`table ${table_id}`, FlowModFailedCode.BAD_TABLE_ID);
  }
  if (command !== FlowModCommand.ADD && BigInt(cookie_mask) !== 0n) {
    throw flowModError('entries by cookie', FlowModFailedCode.UNKNOWN);
  }
  if (deletes && out_group !== Group.ANY) throw flowModError('entries by group', FlowModFailedCode.UNKNOWN);
  if (match?.cell !== undefined) {
    throw cannotSay(VERSION, 'match field cell', [ErrorType.BAD_MATCH, BadMatchCode.BAD_FIELD]);
  }
  return [
    v10.encode({
      type: 'flow_mod',
      xid: message.xid,
      match: matchTo10(match, message.priority),
      cookie: message.cookie,
      command,
      idle_timeout: message.idle_timeout,
      hard_timeout: message.hard_timeout,
      priority: message.priority,
      buffer_id: message.buffer_id,
      out_port: port16Of(out_port, [ErrorType.BAD_ACTION, BadActionCode.BAD_OUT_PORT]),
      flags: flowFlagsTo10(command, message.flags ?? 0),
      actions: instructionsTo10(instructions, match),
    }),
  ];
}

/** An entry's end; nothing for one that 1.0 could not have added. */
function flowRemovedTo10(message: Init<'flow_removed'>): Uint8Array[] {
  if ((message.table_id ?? 0) !== 0) return [];
  const { table_id: _, reason, ...rest } = message;
  let match: v10.Match;
  try {
    match = matchTo10(message.match, message.priority);
  } catch (error) {
    if (error instanceof OpenFlowError) return [];
    throw error;
  }
  return [v10.encode({ ...rest, match, reason: Math.min(reason, FlowRemovedReason.DELETE) })];
}

// Packets ---------------------------------------------------------------------------------------------------

function packetOutFrom10(message: v10.MessageOf<'packet_out'>): MessageOf<'packet_out'> {
  const actions = actionsForDevice(message.actions);
  checkLength(actions, message.data.length);
  const in_port = message.in_port === v10.Port.NONE ? Port.CONTROLLER : port32(message.in_port);
  return { ...message, in_port, actions };
}

function packetOutTo10(message: Init<'packet_out'>): Uint8Array[] {
  const { in_port = Port.CONTROLLER, actions = [] } = message;
  const port = in_port === Port.CONTROLLER ? v10.Port.NONE : port16Of(in_port);
  return [v10.encode({ ...message, in_port: port, actions: actionsTo10(actions) })];
}

/** Nothing for a port that 1.0 has no number for, and for an invalid TTL, of which 1.0 knows nothing. */
function packetInTo10({ xid, buffer_id, total_len, reason, match, data }: Init<'packet_in'>): Uint8Array[] {
  const in_port = port16(match?.in_port ?? Port.ANY);
  if (in_port === undefined || reason > PacketInReason.ACTION) return [];
  return [v10.encode({ type: 'packet_in', xid, buffer_id, total_len, in_port, reason, data })];
}

// Nicira ----------------------------------------------------------------------------------------------------

/** A message of Nicira that has no meaning of its own here, as an experimenter's. */
function experimenterFrom10(bytes: Uint8Array, xid: number): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const vendor = view.getUint32(HEADER_BYTES);
  return {
    type: 'experimenter',
    xid,
    ...experimenterData({ vendor, data: bytes.subarray(HEADER_BYTES + 4) }),
  };
}

/** What asks for how things are anyway. */
const isDefault = (message: v10.Message): boolean =>
  (message.type === 'nx_set_flow_format' && message.format === NxFlowFormat.OPENFLOW10) ||
  (message.type === 'nx_set_packet_in_format' && message.format === NxPacketInFormat.OPENFLOW10) ||
  (message.type === 'nx_flow_mod_table_id' && message.set === 0);

/** EQUAL, MASTER and SLAVE of 1.3 are Nicira's OTHER, MASTER and SLAVE. */
const ROLE_OFFSET = ControllerRole.EQUAL - NxRole.OTHER;

function roleTo10(type: 'nx_role_request' | 'nx_role_reply', { xid, role }: { xid?: number; role: number }) {
  if (role === ControllerRole.NOCHANGE) {
    throw cannotSay(VERSION, 'a question for the role', [ErrorType.BAD_REQUEST, BadRequestCode.BAD_TYPE]);
  }
  return [v10.encode({ type, xid, role: role - ROLE_OFFSET })];
}

// The dialect -----------------------------------------------------------------------------------------------

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
    const message = v10.decode(bytes);
    if (isDefault(message)) return [];
    const decoder = this.#decoders[message.type] as ((message: v10.Message) => Message[]) | undefined;
    return decoder === undefined ? [experimenterFrom10(bytes, message.xid)] : decoder(message);
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
      echo_request: same,
      echo_reply: same,
      features_request: same,
      get_config_request: same,
      get_config_reply: same,
      set_config: same,
      barrier_request: same,
      barrier_reply: same,
      error: ({ xid, error_type, code, data }) => {
        this.#portRequests.delete(xid);
        const [type, code13] = errorFrom10(error_type, code);
        return [{ type: 'error', xid, error_type: type, code: code13, data }];
      },
      vendor: ({ xid, vendor, data }) => [
        { type: 'experimenter', xid, ...experimenterData({ vendor, data }) },
      ],
      features_reply: (message) => [this.#featuresFrom10(message)],
      packet_in: ({ in_port, ...rest }) => [
        { ...rest, table_id: 0, cookie: NO_COOKIE, match: { in_port: port32(in_port) } },
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
      stats_request: (message) => [statsRequestFrom10(message)],
      stats_reply: (message) => [statsReplyFrom10(message)],
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
          role: role + ROLE_OFFSET,
          generation_id: this.#context?.generationId?.() ?? 0n,
        },
      ],
      nx_role_reply: ({ xid, role }) => [
        { type: 'role_reply', xid, role: role + ROLE_OFFSET, generation_id: NO_GENERATION },
      ],
      nx_set_async_config: (message) => [{ ...message, type: 'set_async' }],
    };
  }

  #encodeTable(): Encoders {
    const same = (message: v10.MessageInit): Uint8Array[] => [v10.encode(message)];
    return {
      hello: (message) => same({ ...message, version: VERSION }),
      echo_request: same,
      echo_reply: same,
      features_request: same,
      get_config_request: same,
      get_config_reply: same,
      set_config: same,
      barrier_request: same,
      barrier_reply: same,
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
