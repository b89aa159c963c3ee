/** Frames, matches, actions and messages as a person wants to read them. */
import {
  type ActionInit,
  CellState,
  DispatchCommand,
  decode,
  errorName,
  FlowModCommand,
  FlowRemovedReason,
  GroupModCommand,
  type InstructionInit,
  type Match,
  type Message,
  OFP_VERSION,
  PacketInReason,
  Port,
} from '../openflow/index.ts';
import { decodeAny, versionName } from '../openflow/versions.ts';
import { extractKey, KEY_WORDS } from '../packet/index.ts';
import { keyToMatch } from '../sandbox/match.ts';

const nameIn = (table: Readonly<Record<string, number>>, value: number): string | undefined =>
  Object.keys(table).find((name) => table[name] === value);

/** `2`, `FLOOD`, `CONTROLLER`. */
export const portName = (port: number): string =>
  port > Port.MAX ? (nameIn(Port, port) ?? `0x${port.toString(16)}`) : String(port);

const ALL_FIELDS = (1n << 40n) - 1n;
const ARP_OPS = ['', 'request', 'reply'];
const ICMP_TYPES: Readonly<Record<number, string>> = { 0: 'echo reply', 8: 'echo request' };
const ICMPV6_TYPES: Readonly<Record<number, string>> = {
  128: 'echo request',
  129: 'echo reply',
  135: 'neighbour solicitation',
  136: 'neighbour advertisement',
};

/** The match fields of a frame: every one that it has. */
export const fieldsOf = (frame: Uint8Array, inPort = 0): Match => {
  const key = new Uint32Array(KEY_WORDS);
  extractKey(frame, 0, frame.length, inPort, key, { l3: 0, l4: 0 });
  const { in_port, ...match } = keyToMatch(key, ALL_FIELDS);
  return inPort === 0 ? match : { in_port, ...match };
};

/** `ICMP echo request 10.0.0.1 > 10.0.0.2 (98 bytes)`. */
export const describeFrame = (frame: Uint8Array): string => {
  const m = fieldsOf(frame) as Record<string, number | string>;
  const vlan = m.vlan_vid ? `VLAN ${(m.vlan_vid as number) & 0xfff} ` : '';
  const end = `(${frame.length} bytes)`;
  const src = m.ipv4_src ?? m.ipv6_src;
  const dst = m.ipv4_dst ?? m.ipv6_dst;
  if (m.arp_op !== undefined) {
    const op = ARP_OPS[m.arp_op as number] ?? m.arp_op;
    return `${vlan}ARP ${op} ${m.arp_spa} (${m.arp_sha}) for ${m.arp_tpa} ${end}`;
  }
  if (src === undefined) {
    const type = `0x${(m.eth_type as number).toString(16).padStart(4, '0')}`;
    return `${vlan}Ethernet ${type} ${m.eth_src} > ${m.eth_dst} ${end}`;
  }
  const icmp = m.icmpv4_type as number | undefined;
  if (icmp !== undefined) return `${vlan}ICMP ${ICMP_TYPES[icmp] ?? `type ${icmp}`} ${src} > ${dst} ${end}`;
  const icmpv6 = m.icmpv6_type as number | undefined;
  if (icmpv6 !== undefined) {
    const target = m.ipv6_nd_target === undefined ? '' : ` for ${m.ipv6_nd_target}`;
    return `${vlan}ICMPv6 ${ICMPV6_TYPES[icmpv6] ?? `type ${icmpv6}`} ${src} > ${dst}${target} ${end}`;
  }
  for (const protocol of ['tcp', 'udp', 'sctp']) {
    if (m[`${protocol}_src`] === undefined) continue;
    const [from, to] = [m[`${protocol}_src`], m[`${protocol}_dst`]];
    return `${vlan}${protocol.toUpperCase()} ${src}:${from} > ${dst}:${to} ${end}`;
  }
  return `${vlan}IP protocol ${m.ip_proto} ${src} > ${dst} ${end}`;
};

const valueText = (value: unknown): string => (Array.isArray(value) ? value.join('/') : String(value));

/** `in_port=1 eth_type=0x800`, or `any packet`. */
export const describeMatch = (match: Match = {}): string => {
  const fields = Object.entries(match).filter(([, value]) => value !== undefined);
  if (fields.length === 0) return 'any packet';
  return fields
    .map(([name, value]) => {
      if (name === 'eth_type' && typeof value === 'number') return `${name}=0x${value.toString(16)}`;
      return `${name}=${valueText(value)}`;
    })
    .join(' ');
};

const describeAction = (action: ActionInit): string => {
  if (action.type === 'output') return `output:${portName(action.port)}`;
  if (action.type === 'group') return `group:${action.group_id}`;
  if (action.type === 'set_field') {
    const [[name, value]] = Object.entries(action.field);
    return `set_field:${name}=${valueText(value)}`;
  }
  const { type, ...rest } = action;
  const values = Object.values(rest).filter((value) => typeof value !== 'object');
  return values.length === 0 ? type : `${type}:${values.join(',')}`;
};

/** `output:2, group:1`, or `drop`. */
export const describeActions = (actions: readonly ActionInit[] = []): string =>
  actions.length === 0 ? 'drop' : actions.map(describeAction).join(', ');

/** `apply output:2; goto_table 1`, or `drop`. */
export const describeInstructions = (instructions: readonly InstructionInit[] = []): string => {
  if (instructions.length === 0) return 'drop';
  return instructions
    .map((instruction) => {
      switch (instruction.type) {
        case 'apply_actions':
          return `apply ${describeActions(instruction.actions)}`;
        case 'write_actions':
          return `write ${describeActions(instruction.actions)}`;
        case 'goto_table':
          return `goto_table ${instruction.table_id}`;
        case 'meter':
          return `meter ${instruction.meter_id}`;
        case 'write_metadata':
          return `write_metadata ${instruction.metadata}/${instruction.metadata_mask}`;
        default:
          return instruction.type;
      }
    })
    .join('; ');
};

const lower = (name: string | undefined, value: number): string => name?.toLowerCase() ?? String(value);

const details = (message: Message): string => {
  switch (message.type) {
    case 'flow_mod': {
      const { table_id, priority, match, instructions } = message;
      const command = lower(nameIn(FlowModCommand, message.command), message.command);
      return `${command} table ${table_id} priority ${priority} {${describeMatch(match)}} ${describeInstructions(instructions)}`;
    }
    case 'flow_removed': {
      const reason = lower(nameIn(FlowRemovedReason, message.reason), message.reason);
      return `${reason} table ${message.table_id} priority ${message.priority} {${describeMatch(message.match)}}`;
    }
    case 'packet_in': {
      const reason = lower(nameIn(PacketInReason, message.reason), message.reason);
      return `${reason} {${describeMatch(message.match)}} ${describeFrame(message.data)}`;
    }
    case 'packet_out': {
      const data = message.data.length === 0 ? '' : ` ${describeFrame(message.data)}`;
      return `${describeActions(message.actions)}${data}`;
    }
    case 'group_mod': {
      const command = lower(nameIn(GroupModCommand, message.command), message.command);
      return `${command} group ${message.group_id}, ${message.buckets.length} buckets`;
    }
    case 'dispatch_query':
      return `${message.query_id} {${describeMatch(message.match)}}`;
    case 'dispatch_rule': {
      const command = lower(nameIn(DispatchCommand, message.command), message.command);
      return `${command} query ${message.query_id} priority ${message.priority} {${describeMatch(message.match)}}`;
    }
    case 'cell_status':
      return `${lower(nameIn(CellState, message.state), message.state)} cell ${message.cell} {${describeMatch(message.match)}}`;
    case 'port_status':
      return `port ${message.desc.port_no} config ${message.desc.config} state ${message.desc.state}`;
    case 'error':
      return errorName(message.error_type, message.code);
    case 'multipart_request':
    case 'multipart_reply':
      return message.body.type;
    default:
      return '';
  }
};

/** A message of any version, given as its bytes: `flow_mod add table 0 priority 1 {in_port=1} apply output:2`. */
export const describeMessage = (bytes: Uint8Array): string => {
  try {
    if (bytes[0] !== OFP_VERSION) {
      const { version, message } = decodeAny(bytes);
      return `${message.type} (OpenFlow ${versionName(version)})`;
    }
    const message = decode(bytes);
    return `${message.type} ${details(message)}`.trimEnd();
  } catch (error) {
    return `message of type ${bytes[1]} that cannot be read: ${(error as Error).message}`;
  }
};
