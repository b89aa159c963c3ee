/**
 * OpenFlow 1.3 as plainly as it can be written, to test the real pipeline against: a packet is a description,
 * edits change the description, and what is sent is built anew from it, all checksums included.
 */
import type { Action, Instruction, Match } from '../../openflow/index.ts';
import {
  arp,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  parseIpv4,
  parseIpv6,
  parseMac,
  tcp,
  udp,
  vlan,
} from '../../packet/index.ts';

export interface Description {
  src: string;
  dst: string;
  /** Outermost first. */
  tags: { tpid: number; vid: number; pcp: number }[];
  l3:
    | { kind: 'ipv4' | 'ipv6'; src: string; dst: string; dscp: number; ecn: number; ttl: number; l4: L4 }
    | { kind: 'arp'; op: number; sha: string; spa: string; tha: string; tpa: string };
}

type L4 =
  | { kind: 'tcp' | 'udp'; src: number; dst: number; payload: Uint8Array }
  | { kind: 'icmp'; type: number; code: number; payload: Uint8Array };

export interface Entry {
  table_id: number;
  priority: number;
  cookie: bigint;
  match: Match;
  instructions: Instruction[];
}

/** What the pipeline decides, as GuestHarness.send tells it. */
export interface Outcome {
  kind: 'output' | 'controller';
  /** Port, or packet-in reason. */
  port: number;
  frame: string;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

const CONTROLLER = 0xfffffffd;
const PROTO = { icmp: 1, tcp: 6, udp: 17 } as const;

export function buildFrame(packet: Description): Uint8Array {
  const { l3 } = packet;
  let frame: Uint8Array;
  if (l3.kind === 'arp') {
    frame = ethernet({ src: packet.src, dst: packet.dst, type: 0x0806, payload: arp(l3) });
  } else {
    const { l4 } = l3;
    const payload = l4.kind === 'tcp' ? tcp(l4) : l4.kind === 'udp' ? udp(l4) : icmp(l4);
    const common = { src: l3.src, dst: l3.dst, proto: PROTO[l4.kind], payload };
    const bytes =
      l3.kind === 'ipv4'
        ? ipv4({ ...common, ttl: l3.ttl, dscp: l3.dscp, ecn: l3.ecn })
        : ipv6({ ...common, hopLimit: l3.ttl, trafficClass: (l3.dscp << 2) | l3.ecn });
    frame = ethernet({
      src: packet.src,
      dst: packet.dst,
      type: l3.kind === 'ipv4' ? 0x0800 : 0x86dd,
      payload: bytes,
    });
  }
  return packet.tags.reduceRight((inner, tag) => vlan(inner, tag), frame);
}

/** Every match field this packet has, as an integer. */
function fieldsOf(packet: Description, inPort: number, metadata: bigint): Record<string, bigint> {
  const { l3, tags } = packet;
  const fields: Record<string, bigint> = {
    in_port: BigInt(inPort),
    metadata,
    eth_src: parseMac(packet.src),
    eth_dst: parseMac(packet.dst),
    eth_type: { ipv4: 0x0800n, ipv6: 0x86ddn, arp: 0x0806n }[l3.kind],
    vlan_vid: tags.length > 0 ? BigInt(0x1000 | tags[0].vid) : 0n,
  };
  if (tags.length > 0) fields.vlan_pcp = BigInt(tags[0].pcp);
  if (l3.kind === 'arp') {
    fields.arp_op = BigInt(l3.op);
    fields.arp_spa = BigInt(parseIpv4(l3.spa));
    fields.arp_tpa = BigInt(parseIpv4(l3.tpa));
    return fields;
  }
  fields.ip_dscp = BigInt(l3.dscp);
  fields.ip_ecn = BigInt(l3.ecn);
  fields.ip_proto = BigInt(PROTO[l3.l4.kind]);
  const parse = l3.kind === 'ipv4' ? (text: string) => BigInt(parseIpv4(text)) : parseIpv6;
  fields[`${l3.kind}_src`] = parse(l3.src);
  fields[`${l3.kind}_dst`] = parse(l3.dst);
  if (l3.l4.kind === 'icmp') {
    fields.icmpv4_type = BigInt(l3.l4.type);
  } else {
    fields[`${l3.l4.kind}_src`] = BigInt(l3.l4.src);
    fields[`${l3.l4.kind}_dst`] = BigInt(l3.l4.dst);
  }
  return fields;
}

function integer(name: string, value: unknown): bigint {
  if (typeof value !== 'string') return BigInt(value as number | bigint);
  if (value.includes('.')) return BigInt(parseIpv4(value));
  return name.startsWith('ipv6') ? parseIpv6(value) : parseMac(value);
}

function matches(match: Match, fields: Record<string, bigint>): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const [value, mask] = Array.isArray(wanted) ? wanted : [wanted, undefined];
    const bits = mask === undefined ? -1n : integer(name, mask);
    return fields[name] !== undefined && (fields[name] & bits) === (integer(name, value) & bits);
  });
}

/** Tags that can be pushed onto a packet: what there is headroom for in a slot. Beyond, the packet is dropped. */
const MAX_PUSHED = 16;

/** An action in the action set, and whether a table-miss entry wrote it. */
interface Written {
  action: Action;
  miss: boolean;
}

/** Thrown where a packet ends in the middle of its actions. */
class End extends Error {}

class Walk {
  readonly outcomes: Outcome[] = [];
  private readonly packet: Description;
  private readonly inPort: number;
  private metadata = 0n;
  private tableId = 0;
  private pushed = 0;
  private entry: Entry | undefined;

  constructor(packet: Description, inPort: number) {
    this.packet = structuredClone(packet);
    this.inPort = inPort;
  }

  run(entries: readonly Entry[]): void {
    let set: Written[] = [];
    for (let next: number | undefined = 0; next !== undefined; ) {
      this.tableId = next;
      next = undefined;
      const fields = fieldsOf(this.packet, this.inPort, this.metadata);
      this.entry = entries
        .filter((entry) => entry.table_id === this.tableId && matches(entry.match, fields))
        .sort((x, y) => y.priority - x.priority)[0];
      if (this.entry === undefined) return;
      const of = <T extends Instruction['type']>(type: T) =>
        this.entry?.instructions.find((i): i is Extract<Instruction, { type: T }> => i.type === type);
      const miss = this.entry.priority === 0 && Object.keys(this.entry.match).length === 0;
      for (const action of of('apply_actions')?.actions ?? []) this.act(action, miss);
      if (of('clear_actions')) set = [];
      for (const action of of('write_actions')?.actions ?? []) set.push({ action, miss });
      const write = of('write_metadata');
      if (write) {
        this.metadata = (this.metadata & ~write.metadata_mask) | (write.metadata & write.metadata_mask);
      }
      next = of('goto_table')?.table_id;
    }
    this.runSet(set);
  }

  private runSet(set: Written[]): void {
    const kind = ({ action }: Written) =>
      action.type === 'set_field' ? `set ${Object.keys(action.field)[0]}` : action.type;
    const last = new Map(set.map((written) => [kind(written), written]));
    const order = ['pop_vlan', 'push_vlan', 'dec_nw_ttl', 'set_nw_ttl'];
    const rank = (name: string) =>
      name === 'output' ? 99 : name.startsWith('set ') ? 50 : order.indexOf(name);
    for (const [, { action, miss }] of [...last].sort(([x], [y]) => rank(x) - rank(y)))
      this.act(action, miss);
  }

  /** `miss`: it is a table-miss entry's action. */
  private act(action: Action, miss: boolean): void {
    const { packet } = this;
    const { l3 } = packet;
    switch (action.type) {
      case 'output':
        if (action.port === CONTROLLER) {
          this.emit('controller', miss ? 0 : 1);
        } else if (action.port !== this.inPort) {
          this.emit('output', action.port);
        }
        break;
      case 'push_vlan': {
        const { vid, pcp } = packet.tags[0] ?? { vid: 0, pcp: 0 };
        if (++this.pushed > MAX_PUSHED) throw new End();
        packet.tags.unshift({ tpid: action.ethertype, vid, pcp });
        break;
      }
      case 'pop_vlan':
        if (packet.tags.shift() !== undefined) this.pushed--;
        break;
      case 'set_nw_ttl':
        if (l3.kind !== 'arp') l3.ttl = action.nw_ttl;
        break;
      case 'dec_nw_ttl':
        if (l3.kind === 'arp') break;
        if (l3.ttl <= 1) {
          this.emit('controller', 2);
          throw new End();
        }
        l3.ttl--;
        break;
      case 'set_field':
        this.set(action.field as unknown as Record<string, never>);
        break;
      default:
        throw new Error(`the reference knows no ${action.type}`);
    }
  }

  private set(field: Record<string, never>): void {
    const { packet } = this;
    const { l3, tags } = packet;
    const [[name, value]] = Object.entries(field);
    const ip = l3.kind !== 'arp' ? l3 : undefined;
    if (name === 'eth_src') packet.src = value;
    if (name === 'eth_dst') packet.dst = value;
    if (name === 'vlan_vid' && tags.length > 0) tags[0].vid = value & 0xfff;
    if (name === 'vlan_pcp' && tags.length > 0) tags[0].pcp = value;
    if (ip !== undefined && name === 'ip_dscp') ip.dscp = value;
    if (ip !== undefined && name === 'ip_ecn') ip.ecn = value;
    if (ip !== undefined && name === `${ip.kind}_src`) ip.src = value;
    if (ip !== undefined && name === `${ip.kind}_dst`) ip.dst = value;
    if (ip !== undefined && ip.l4.kind !== 'icmp' && name === `${ip.l4.kind}_src`) ip.l4.src = value;
    if (ip !== undefined && ip.l4.kind !== 'icmp' && name === `${ip.l4.kind}_dst`) ip.l4.dst = value;
    if (ip?.l4.kind === 'icmp' && name === 'icmpv4_type') ip.l4.type = value;
    if (l3.kind === 'arp' && name === 'arp_op') l3.op = value;
    if (l3.kind === 'arp' && name === 'arp_spa') l3.spa = value;
    if (l3.kind === 'arp' && name === 'arp_tpa') l3.tpa = value;
    if (l3.kind === 'arp' && name === 'arp_sha') l3.sha = value;
    if (l3.kind === 'arp' && name === 'arp_tha') l3.tha = value;
  }

  private emit(kind: Outcome['kind'], port: number): void {
    const toController = kind === 'controller';
    this.outcomes.push({
      kind,
      port,
      frame: Buffer.from(buildFrame(this.packet)).toString('hex'),
      tableId: toController ? this.tableId : 0,
      cookie: toController ? this.entry!.cookie : 0n,
      metadata: toController ? this.metadata : 0n,
    });
  }
}

/** What becomes of a packet. */
export function referencePipeline(entries: readonly Entry[], packet: Description, inPort: number): Outcome[] {
  const walk = new Walk(packet, inPort);
  try {
    walk.run(entries);
  } catch (error) {
    if (!(error instanceof End)) throw error;
  }
  return walk.outcomes;
}
