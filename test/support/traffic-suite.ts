/**
 * Traffic whose outcome must be the same on a switch in a virtual network and on a real agent among network interfaces:
 * what a controller says to it, frames that go in, and all that comes out of it.
 */
import type { FlowEntry } from '../../controller/index.ts';
import {
  FlowModFlag,
  GroupModCommand,
  GroupType,
  type MessageInit,
  MeterFlag,
  MeterModCommand,
  Port,
} from '../../openflow/index.ts';
import { arp, ethernet, icmp, ipv4, tcp, udp, vlan } from '../../packet/index.ts';

/** A frame into a port of the switch, or a message of its controller. */
export type Input = { readonly port: number; readonly frame: Uint8Array } | { readonly message: MessageInit };

export interface Scenario {
  readonly name: string;
  /** Before the entries. */
  readonly setup?: readonly MessageInit[];
  readonly entries: readonly FlowEntry[];
  readonly inputs: readonly Input[];
}

/** Between two frames all of the first has come out: a message that changes nothing. */
const PAUSE: Input = { message: { type: 'echo_request' } };

/** The same scenario with each frame several times: enough for its flow to be the kernel's. */
export const repeated = (scenario: Scenario, times: number): Scenario => ({
  ...scenario,
  inputs: scenario.inputs.flatMap((input) =>
    'frame' in input ? Array.from({ length: times }, () => [input, PAUSE]).flat() : [input],
  ),
});

/** What came of a scenario: everything but times. */
export interface Observed {
  /** Frames out of each port in hex, those of port 1 first; sorted, because ports are not heard in an order. */
  readonly frames: readonly (readonly string[])[];
  /** PACKET_INs: reason, table, cookie, in_port, data in hex. */
  readonly packetIns: readonly string[];
  /** Errors: type and code. */
  readonly errors: readonly string[];
  /** Entries with their counters: table, priority, packets, bytes. */
  readonly counters: readonly string[];
  /** Groups: number, packets, and packets of the buckets. */
  readonly groups: readonly string[];
}

/** `plain`: an ordinary switch; `flow`: the entries are those of a cell that a dispatch rule sends everything to. */
export type Mode = 'plain' | 'flow';

/** Where scenarios are carried out: a switch of three ports, with a controller of OpenFlow 1.3. */
export interface TrafficLab {
  run(scenario: Scenario, mode: Mode): Promise<Observed>;
}

export const PORTS = [1, 2, 3] as const;

const output = (port: number) => ({ type: 'output' as const, port, max_len: 0xffff });
const group = (group_id: number) => ({ type: 'group' as const, group_id });
const apply = (...actions: NonNullable<FlowEntry['actions']>) => ({
  type: 'apply_actions' as const,
  actions: [...actions],
});
const write = (...actions: NonNullable<FlowEntry['actions']>) => ({
  type: 'write_actions' as const,
  actions: [...actions],
});
const goto_table = (table_id: number) => ({ type: 'goto_table' as const, table_id });

/** Filled in by the lab. */
const THE_PORTS_OWN = '00:00:00:00:00:00';

// Nobody's addresses: the kernels behind real ports are to answer nothing.
const mac = (n: number): string => `02:00:00:00:aa:0${n}`;
const ip = (n: number): string => `192.0.2.${n}`;
const payload = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index);

const inIp = (from: number, to: number, proto: number, content: Uint8Array, ttl = 64): Uint8Array =>
  ethernet({
    src: mac(from),
    dst: mac(to),
    type: 0x0800,
    payload: ipv4({ src: ip(from), dst: ip(to), proto, ttl, payload: content }),
  });
const udpFrame = (from: number, to: number, dst = 2000, length = 40, ttl = 64): Uint8Array =>
  inIp(from, to, 17, udp({ src: 1000, dst, payload: payload(length) }), ttl);
const tcpFrame = (from: number, to: number, dst: number): Uint8Array =>
  inIp(from, to, 6, tcp({ src: 5000, dst, payload: payload(20) }));
const arpFrame = ethernet({
  src: mac(1),
  dst: 'ff:ff:ff:ff:ff:ff',
  type: 0x0806,
  payload: arp({ sha: mac(1), spa: ip(1), tpa: ip(2) }),
});
const ping = inIp(1, 2, 1, icmp({ payload: payload(56) }));
/** As long as a frame may be: 12,112 bits. */
const largePing = inIp(1, 2, 1, icmp({ payload: payload(1472) }));

const into = (port: number, ...frames: Uint8Array[]): Input[] => frames.map((frame) => ({ port, frame }));

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'without entries everything is dropped',
    entries: [],
    inputs: into(1, arpFrame, ping, udpFrame(1, 2)),
  },
  {
    name: 'by port, by address, by priority',
    entries: [
      { priority: 10, match: { in_port: 1 }, actions: [output(2)] },
      { priority: 20, match: { eth_type: 0x800, ipv4_dst: ip(3) }, actions: [output(3)] },
      { priority: 30, match: { eth_type: 0x800, ip_proto: 6, tcp_dst: 22 } },
    ],
    inputs: [
      ...into(1, udpFrame(1, 2), udpFrame(1, 3), tcpFrame(1, 3, 22), tcpFrame(1, 3, 80), arpFrame),
      ...into(2, udpFrame(2, 1)),
    ],
  },
  {
    name: 'flooding, and the port a packet came in by',
    entries: [
      { priority: 1, actions: [output(Port.FLOOD)] },
      { priority: 2, match: { eth_type: 0x806 }, actions: [output(Port.ALL), output(Port.IN_PORT)] },
      { priority: 3, match: { in_port: 3, eth_type: 0x800 }, actions: [output(3), output(1)] },
    ],
    inputs: [...into(1, ping, arpFrame), ...into(3, udpFrame(3, 1))],
  },
  {
    name: 'tables, metadata, and an action set',
    entries: [
      {
        table_id: 0,
        match: { in_port: 1 },
        instructions: [
          write(output(2)),
          { type: 'write_metadata', metadata: 5n, metadata_mask: 0xffn },
          goto_table(1),
        ],
      },
      {
        table_id: 1,
        priority: 2,
        match: { metadata: 5n, eth_type: 0x800, ip_proto: 17 },
        instructions: [write({ type: 'set_field', field: { ipv4_dst: ip(77) } }), goto_table(2)],
      },
      { table_id: 1, priority: 1, instructions: [{ type: 'clear_actions' }] },
      {
        table_id: 2,
        match: { eth_type: 0x800, ip_proto: 17, udp_dst: 53 },
        instructions: [write(output(3))],
      },
      { table_id: 2, priority: 0, instructions: [] },
    ],
    inputs: into(1, udpFrame(1, 2, 53), udpFrame(1, 2, 99), tcpFrame(1, 2, 80)),
  },
  {
    name: 'tags and rewritten headers',
    entries: [
      {
        match: { in_port: 1, eth_type: 0x800, ip_proto: 17 },
        actions: [
          { type: 'push_vlan', ethertype: 0x8100 },
          { type: 'set_field', field: { vlan_vid: 0x1000 | 42 } },
          output(2),
          { type: 'pop_vlan' },
          { type: 'set_field', field: { eth_dst: mac(9) } },
          { type: 'set_field', field: { udp_dst: 5353 } },
          { type: 'dec_nw_ttl' },
          output(3),
        ],
      },
      { match: { in_port: 2, vlan_vid: 0x1000 | 7 }, actions: [{ type: 'pop_vlan' }, output(1)] },
    ],
    inputs: [
      ...into(1, udpFrame(1, 2), udpFrame(1, 2, 2000, 900)),
      ...into(2, vlan(udpFrame(2, 1), { vid: 7 }), vlan(udpFrame(2, 1), { vid: 8 })),
    ],
  },
  {
    name: 'groups of every type',
    setup: [
      {
        type: 'group_mod',
        command: GroupModCommand.ADD,
        group_type: GroupType.ALL,
        group_id: 1,
        buckets: [
          { actions: [{ type: 'set_field', field: { eth_src: mac(8) } }, output(2)] },
          { actions: [output(3)] },
        ],
      },
      {
        type: 'group_mod',
        command: GroupModCommand.ADD,
        group_type: GroupType.SELECT,
        group_id: 2,
        buckets: [
          { weight: 1, actions: [output(2)] },
          { weight: 1, actions: [output(3)] },
        ],
      },
      {
        type: 'group_mod',
        command: GroupModCommand.ADD,
        group_type: GroupType.INDIRECT,
        group_id: 3,
        buckets: [{ actions: [output(3)] }],
      },
      {
        type: 'group_mod',
        command: GroupModCommand.ADD,
        group_type: GroupType.FF,
        group_id: 4,
        buckets: [
          { watch_port: 99, actions: [output(2)] },
          { watch_port: 3, actions: [output(3)] },
        ],
      },
    ],
    entries: [
      { priority: 2, match: { eth_type: 0x800, ip_proto: 17, udp_dst: 1 }, actions: [group(1)] },
      { priority: 2, match: { eth_type: 0x800, ip_proto: 17, udp_dst: 3 }, actions: [group(3)] },
      { priority: 2, match: { eth_type: 0x800, ip_proto: 17, udp_dst: 4 }, instructions: [write(group(4))] },
      { priority: 1, match: { eth_type: 0x800, ip_proto: 17 }, actions: [group(2)] },
    ],
    inputs: into(
      1,
      ...[1, 3, 4].map((port) => udpFrame(1, 2, port)),
      ...Array.from({ length: 16 }, (_, flow) => udpFrame(1, 2, 3000 + flow)),
    ),
  },
  {
    name: 'packet-ins: table miss, action, a TTL that has run out',
    entries: [
      { priority: 0, cookie: 1n, actions: [output(Port.CONTROLLER)] },
      {
        priority: 5,
        cookie: 2n,
        match: { eth_type: 0x800, ip_proto: 17 },
        actions: [{ type: 'dec_nw_ttl' }, output(Port.CONTROLLER), output(2)],
      },
    ],
    inputs: into(1, arpFrame, udpFrame(1, 2), udpFrame(1, 2, 2000, 40, 1)),
  },
  {
    name: 'packet-outs, by actions and through the tables',
    entries: [{ match: { in_port: 1 }, actions: [output(3)] }],
    inputs: [
      { message: { type: 'packet_out', in_port: 1, actions: [output(Port.FLOOD)], data: arpFrame } },
      { message: { type: 'packet_out', in_port: 1, actions: [output(Port.TABLE)], data: ping } },
      { message: { type: 'packet_out', in_port: Port.CONTROLLER, actions: [output(2)], data: ping } },
      { message: { type: 'packet_out', in_port: 1, actions: [output(2)], data: new Uint8Array(3) } },
    ],
  },
  {
    name: 'a meter that lets a burst through and drops the rest',
    setup: [
      {
        type: 'meter_mod',
        command: MeterModCommand.ADD,
        flags: MeterFlag.KBPS | MeterFlag.BURST,
        meter_id: 1,
        // Three of them; a fourth would have to come eleven seconds later.
        bands: [{ type: 'drop', rate: 1, burst_size: 37 }],
      },
    ],
    entries: [{ match: { in_port: 1 }, instructions: [{ type: 'meter', meter_id: 1 }, apply(output(2))] }],
    inputs: into(1, ...Array.from({ length: 8 }, () => largePing)),
  },
  {
    name: 'what a switch refuses',
    entries: [{ match: { in_port: 1 }, actions: [output(2)] }],
    inputs: [
      { message: { type: 'flow_mod', match: { ipv4_src: ip(1) } } },
      { message: { type: 'flow_mod', instructions: [apply(group(9))] } },
      { message: { type: 'flow_mod', instructions: [apply(output(0))] } },
      {
        message: {
          type: 'flow_mod',
          match: { in_port: 1 },
          flags: FlowModFlag.CHECK_OVERLAP,
          priority: 32768,
        },
      },
      { message: { type: 'group_mod', group_id: 1, command: 7 } },
      { message: { type: 'port_mod', port_no: 9, hw_addr: mac(1) } },
      ...into(1, ping),
    ],
  },
  {
    name: 'a port that is configured not to forward, and one that does not receive',
    entries: [{ actions: [output(Port.FLOOD)] }],
    inputs: [
      { message: { type: 'port_mod', hw_addr: THE_PORTS_OWN, port_no: 2, config: 1 << 5, mask: 1 << 5 } },
      ...into(1, ping),
      { message: { type: 'port_mod', hw_addr: THE_PORTS_OWN, port_no: 1, config: 1 << 2, mask: 1 << 2 } },
      ...into(1, ping),
    ],
  },
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Frames and messages as they are compared. */
export const observed = (
  frames: readonly (readonly Uint8Array[])[],
  messages: {
    packetIns: readonly {
      reason: number;
      table_id: number;
      cookie: bigint;
      match: { in_port?: number };
      data: Uint8Array;
    }[];
    errors: readonly { error_type: number; code: number }[];
    flows: readonly { table_id: number; priority: number; packet_count: bigint; byte_count: bigint }[];
    groups: readonly {
      group_id: number;
      packet_count: bigint;
      bucket_stats: readonly { packet_count: bigint }[];
    }[];
  },
): Observed => ({
  frames: frames.map((list) => list.map(hex).sort()),
  packetIns: messages.packetIns.map(
    ({ reason, table_id, cookie, match, data }) =>
      `${reason} ${table_id} ${cookie} ${match.in_port} ${hex(data)}`,
  ),
  errors: messages.errors.map(({ error_type, code }) => `${error_type}/${code}`),
  counters: messages.flows
    .map(
      ({ table_id, priority, packet_count, byte_count }) =>
        `${table_id} ${priority} ${packet_count} ${byte_count}`,
    )
    .sort(),
  groups: messages.groups
    .map(
      ({ group_id, packet_count, bucket_stats }) =>
        `${group_id} ${packet_count} ${bucket_stats.map((bucket) => bucket.packet_count)}`,
    )
    .sort(),
});
