/**
 * The tables, action sets, groups and meters of OpenFlow 1.3 as plainly as they can be written, to test the real pipeline
 * against. Where a switch may choose (the bucket of a select group), all that may come of a packet is told.
 */
import type { Action, Bucket, Instruction, Match, MeterBand } from '../../openflow/index.ts';
import { FIELDS, parseIpv4, parseIpv6, parseMac } from '../../packet/index.ts';
import { type Arrival, conforming } from './reference-groups.ts';
import { type Description, InvalidTtl, NoRoom, ReferencePacket } from './reference-packet.ts';

export interface Entry {
  table_id: number;
  priority: number;
  cookie: bigint;
  match: Match;
  instructions: Instruction[];
}

export interface ReferenceGroup {
  group_id: number;
  type: 'all' | 'select' | 'indirect' | 'ff';
  buckets: Bucket[];
}

export interface ReferenceMeter {
  meter_id: number;
  /** The unit of rates and bursts; neither gives its bands a burst of a tenth of a second. */
  flags: number;
  bands: MeterBand[];
}

/** What the pipeline decides, as GuestHarness.send tells it. */
export interface Outcome {
  kind: 'output' | 'controller';
  /** Port, or packet-in reason. */
  port: number;
  frame: string;
  /** Of an output; 0xffffffff: none. */
  queue: number;
  tableId: number;
  cookie: bigint;
  metadata: bigint;
}

/** A packet from a port, or one that a PACKET_OUT brings. */
export interface Packet {
  description: Description;
  inPort: number;
  /** Actions of the PACKET_OUT. */
  actions?: Action[];
}

const PORT = { NONE: 0xffffffff, TABLE: 0xfffffff9, CONTROLLER: 0xfffffffd };
const METER = { PKTPS: 2, BURST: 4 };
const REASON = { NO_MATCH: 0, ACTION: 1, INVALID_TTL: 2 };
const NO_QUEUE = 0xffffffff;
const NO_COOKIE = 0xffffffffffffffffn;

export function integer(value: unknown): bigint {
  if (typeof value !== 'string') return BigInt(value as number | bigint);
  if (value.includes('.')) return BigInt(parseIpv4(value));
  return value.split(':').length === 6 && !value.includes('::') ? parseMac(value) : parseIpv6(value);
}

export function matches(match: Match, fields: Record<string, bigint>): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const [value, mask] = Array.isArray(wanted) ? wanted : [wanted, undefined];
    const bits = mask === undefined ? -1n : integer(mask);
    return fields[name] !== undefined && (fields[name] & bits) === (integer(value) & bits);
  });
}

/** An action in the action set, and whether a table-miss entry wrote it. */
interface Written {
  action: Action;
  miss: boolean;
}

/** Of each kind of action the last, in the order in which an action set is executed; with a group without output. */
export function inSetOrder<T>(list: readonly T[], actionOf: (one: T) => Pick<Action, 'type'>): T[] {
  const kind = (one: T) => {
    const action = actionOf(one) as Action;
    return action.type === 'set_field' ? `set ${Object.keys(action.field)[0]}` : action.type;
  };
  // Section 5.10 has no order among set-fields, though one can undo what another needs; ours is that of the fields' numbers.
  const rank = (name: string) =>
    name.startsWith('set ')
      ? ORDER.indexOf('set_field') + FIELD_NAMES.indexOf(name.slice(4)) / FIELD_NAMES.length
      : ORDER.indexOf(name);
  const last = new Map(list.map((one) => [kind(one), one]));
  if (last.has('group')) last.delete('output');
  return [...last].sort(([x], [y]) => rank(x) - rank(y)).map(([, one]) => one);
}

const FIELD_NAMES: readonly string[] = FIELDS.map(({ name }) => name);

/** Section 5.10. */
const ORDER = [
  'copy_ttl_in',
  ...['pop_vlan', 'pop_mpls', 'pop_pbb'],
  ...['push_mpls', 'push_pbb', 'push_vlan'],
  'copy_ttl_out',
  ...['dec_mpls_ttl', 'dec_nw_ttl'],
  ...['set_mpls_ttl', 'set_nw_ttl', 'set_field'],
  ...['set_queue', 'group', 'output'],
];

/** What a copy of the packet has of its own. */
interface Copy {
  packet: ReferencePacket;
  queue: number;
  tunnel: bigint;
}

/** A way through the switch that one packet may take. */
class Walk {
  readonly outcomes: Outcome[] = [];
  private readonly world: ReferenceSwitch;
  private readonly inPort: number;
  /** The number of a bucket among so many. */
  private readonly choose: (count: number) => number;
  private readonly length: number;
  private copy: Copy;
  private metadata = 0n;
  private tableId = 0;
  private cookie = NO_COOKIE;

  constructor(world: ReferenceSwitch, { description, inPort }: Packet, choose: (count: number) => number) {
    this.world = world;
    this.inPort = inPort;
    this.choose = choose;
    this.copy = { packet: new ReferencePacket(description), queue: NO_QUEUE, tunnel: 0n };
    this.length = this.copy.packet.bytes.length;
  }

  run(): void {
    let set: Written[] = [];
    for (let next: number | undefined = 0; next !== undefined; ) {
      this.tableId = next;
      next = undefined;
      const fields = {
        ...this.copy.packet.fields(),
        in_port: BigInt(this.inPort),
        in_phy_port: BigInt(this.inPort),
        metadata: this.metadata,
        tunnel_id: this.copy.tunnel,
      };
      const entry = this.world.lookup(this.tableId, fields);
      if (entry === undefined) return;
      this.cookie = entry.cookie;
      const of = <T extends Instruction['type']>(type: T) =>
        entry.instructions.find((i): i is Extract<Instruction, { type: T }> => i.type === type);
      const miss = entry.priority === 0 && Object.keys(entry.match).length === 0;
      const meter = of('meter');
      if (meter && !this.passes(meter.meter_id)) return;
      for (const action of of('apply_actions')?.actions ?? []) this.act(action, miss);
      if (of('clear_actions')) set = [];
      for (const action of of('write_actions')?.actions ?? []) set.push({ action, miss });
      const write = of('write_metadata');
      if (write) {
        this.metadata = (this.metadata & ~write.metadata_mask) | (write.metadata & write.metadata_mask);
      }
      next = of('goto_table')?.table_id;
    }
    for (const { action, miss } of inSetOrder(set, ({ action }) => action)) this.act(action, miss);
  }

  packetOut(actions: readonly Action[]): void {
    for (const action of actions) this.act(action, false);
  }

  private passes(meterId: number): boolean {
    const band = this.world.exceeded(meterId, this.length);
    if (band?.type === 'dscp_remark') this.copy.packet.worsenDrop(band.prec_level);
    return band?.type !== 'drop';
  }

  /** `miss`: it is a table-miss entry's action. */
  private act(action: Action, miss: boolean): void {
    const { copy, world } = this;
    world.counts.executed(action);
    if (action.type === 'group') this.group(action.group_id);
    else if (action.type === 'set_queue') copy.queue = action.queue_id;
    else if (action.type === 'experimenter') this.of10(action.data);
    else if (action.type === 'output') this.output(action.port, copy.queue, miss);
    else if (action.type === 'set_field' && 'tunnel_id' in action.field) {
      copy.tunnel = integer(action.field.tunnel_id);
    } else this.edit(action);
  }

  private output(port: number, queue: number, miss: boolean): void {
    if (port === PORT.CONTROLLER) {
      this.emit('controller', miss ? REASON.NO_MATCH : REASON.ACTION, 0);
    } else if (port === PORT.TABLE) {
      this.apart(() => this.run());
      this.metadata = 0n;
      this.tableId = 0;
      this.cookie = NO_COOKIE;
    } else if (port !== this.inPort) {
      this.emit('output', port, queue);
    }
  }

  /** With a copy of the packet: what becomes of that is not seen by what follows. */
  private apart(go: () => void): void {
    const { copy } = this;
    this.copy = { ...copy, packet: copy.packet.copy() };
    try {
      go();
    } catch (error) {
      if (!isEnd(error)) throw error;
    }
    this.copy = copy;
  }

  private group(id: number): void {
    const group = this.world.groups.get(id);
    if (group === undefined) throw new Error(`no group ${id}`);
    for (const bucket of this.bucketsFor(group)) {
      this.apart(() => {
        for (const action of inSetOrder(bucket.actions, (one) => one)) this.act(action, false);
      });
    }
  }

  private bucketsFor({ type, buckets }: ReferenceGroup): Bucket[] {
    if (type === 'all' || type === 'indirect') return buckets;
    const live = buckets.filter((bucket) => this.world.isLive(bucket));
    if (type === 'ff') return live.slice(0, 1);
    const noWeights = buckets.every(({ weight }) => weight === 0);
    const chosen = live.filter(({ weight }) => noWeights || weight > 0);
    return chosen.length === 0 ? [] : [chosen[this.choose(chosen.length)]];
  }

  /** An action of OpenFlow 1.0 (section 5.2.4): 16 bits type, 16 bits length, then its value. */
  private of10(data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const { packet } = this.copy;
    const set = (name: string, value: number | string) =>
      this.edit({ type: 'set_field', field: { [name]: value } } as unknown as Action);
    const ipv4 = () => [...data.subarray(4, 8)].join('.');
    const tag = () => {
      if (!packet.isTagged) this.edit({ type: 'push_vlan', ethertype: 0x8100 });
    };
    const type = view.getUint16(0);
    const port = view.getUint16(4);
    if (type === 1 || type === 2) tag();
    if (type === 1) set('vlan_vid', view.getUint16(4));
    if (type === 2) set('vlan_pcp', data[4]);
    if (type === 3) this.edit({ type: 'pop_vlan' });
    if (type === 6) set('ipv4_src', ipv4());
    if (type === 7) set('ipv4_dst', ipv4());
    if (type === 8) set('ip_dscp', data[4] >> 2);
    if (type === 9) for (const name of ['tcp_src', 'udp_src']) set(name, port);
    if (type === 10) for (const name of ['tcp_dst', 'udp_dst']) set(name, port);
    if (type === 11) this.output(port, view.getUint32(12), false);
  }

  private edit(action: Action): void {
    try {
      this.copy.packet.edit(action);
    } catch (error) {
      if (error instanceof InvalidTtl) this.emit('controller', REASON.INVALID_TTL, 0);
      throw error;
    }
  }

  private emit(kind: Outcome['kind'], port: number, queue: number): void {
    const toController = kind === 'controller';
    this.outcomes.push({
      kind,
      port,
      frame: Buffer.from(this.copy.packet.bytes).toString('hex'),
      queue,
      tableId: toController ? this.tableId : 0,
      cookie: toController ? this.cookie : 0n,
      metadata: toController ? this.metadata : 0n,
    });
  }
}

/** The actions executed, by name: to see that a test tests something. */
export class Counts {
  readonly actions = new Map<string, number>();

  executed(action: Action): void {
    const [field] = action.type === 'set_field' ? Object.keys(action.field) : [];
    let name: string = field === undefined ? action.type : `set ${field}`;
    if (action.type === 'experimenter') name = `of10 ${action.data[1]}`;
    this.actions.set(name, (this.actions.get(name) ?? 0) + 1);
  }
}

const isEnd = (error: unknown) => error instanceof NoRoom || error instanceof InvalidTtl;

/** Beyond this many different outcomes of one packet nothing is said of it. */
const MAX_ALTERNATIVES = 64;

export class ReferenceSwitch {
  readonly groups: ReadonlyMap<number, ReferenceGroup>;
  readonly counts: Counts;
  /** Milliseconds. */
  now = 0;
  /** Packets over a rate. */
  policed = 0;
  private readonly entries: readonly Entry[];
  private readonly meters: ReadonlyMap<number, ReferenceMeter>;
  private readonly livePorts: ReadonlySet<number>;
  /** Packets so far that met a meter. */
  private met = new Map<number, Arrival[]>();

  constructor(
    entries: readonly Entry[],
    more: { groups?: ReferenceGroup[]; meters?: ReferenceMeter[]; livePorts?: number[] } = {},
    counts = new Counts(),
  ) {
    this.entries = entries;
    this.groups = new Map(more.groups?.map((group) => [group.group_id, group]));
    this.meters = new Map(more.meters?.map((meter) => [meter.meter_id, meter]));
    this.livePorts = new Set(more.livePorts);
    this.counts = counts;
  }

  /** All that may become of a packet. Throws Unspecified where the specification leaves it open, or there is too much. */
  through(packet: Packet): Outcome[][] {
    const alternatives: Outcome[][] = [];
    const before = this.met;
    // Numbers of the buckets chosen on the way, and how many there were to choose from: the next way is the next number.
    let way: { chosen: number; of: number }[] = [];
    do {
      this.met = new Map(before);
      let step = 0;
      const walk = new Walk(this, packet, (count) => {
        way[step] ??= { chosen: 0, of: count };
        return way[step++].chosen;
      });
      try {
        if (packet.actions === undefined) walk.run();
        else walk.packetOut(packet.actions);
      } catch (error) {
        if (!isEnd(error)) throw error;
      }
      alternatives.push(walk.outcomes);
      way = way.slice(0, way.findLastIndex(({ chosen, of }) => chosen < of - 1) + 1);
      if (way.length > 0) way[way.length - 1].chosen++;
    } while (way.length > 0 && alternatives.length < MAX_ALTERNATIVES);
    if (way.length > 0) throw new TooMany();
    return alternatives;
  }

  lookup(tableId: number, fields: Record<string, bigint>): Entry | undefined {
    return this.entries
      .filter((entry) => entry.table_id === tableId && matches(entry.match, fields))
      .sort((x, y) => y.priority - x.priority)[0];
  }

  /** One of what it watches is enough; a group is live if one of its buckets is (section 6.5). */
  isLive({ watch_port, watch_group }: Bucket): boolean {
    if (watch_port === PORT.NONE && watch_group === PORT.NONE) return true;
    const watched = this.groups.get(watch_group)?.buckets ?? [];
    return this.livePorts.has(watch_port) || watched.some((bucket) => this.isLive(bucket));
  }

  /** Of the bands that a packet of so many bytes exceeds the one of the highest rate. */
  exceeded(meterId: number, length: number): MeterBand | undefined {
    const { flags, bands } = this.meters.get(meterId)!;
    // Bits, or thousandths of packets: in both a rate of n is n a millisecond.
    const volume = (flags & METER.PKTPS) !== 0 ? 1000 : length * 8;
    const arrivals = [...(this.met.get(meterId) ?? []), { at: this.now, volume }];
    this.met.set(meterId, arrivals);
    const burstOf = ({ rate, burst_size }: MeterBand) =>
      (flags & METER.BURST) !== 0 ? burst_size * 1000 : rate * 100;
    const [highest] = bands
      .filter((band) => !conforming(arrivals, band.rate, burstOf(band)).at(-1))
      .sort((x, y) => y.rate - x.rate);
    if (highest !== undefined) this.policed++;
    return highest;
  }
}

/** More may become of the packet than is worth looking at. */
export class TooMany extends Error {}
