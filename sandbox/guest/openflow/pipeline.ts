/** What happens to a packet: table after table, then the action set (OpenFlow 1.3, section 5). */
import { GroupType, PacketInReason } from '../../../openflow/index.ts';
import { ETH_TYPE, FIELD_BY_NAME, K } from '../../../packet/index.ts';
import type { PacketView } from '../packet-view.ts';
import { OP, type Op, ORDERS } from './actions.ts';
import { executeEdit } from './edit-actions.ts';
import { mplsTtlOf, setMplsTtl, setTtl, ttlOf } from './edit-ttl.ts';
import type { FlowEntry } from './entry.ts';
import type { Bucket, Groups } from './groups.ts';
import { type Meters, POLICE, remark } from './meters.ts';
import { setPlainField } from './of10-actions.ts';
import { PacketState } from './packet-state.ts';
import type { Parts } from './parts.ts';
import type { Counting, Path, Paths } from './paths.ts';
import type { Tables } from './table.ts';
import type { Clock } from './timeouts.ts';

const OXM_IP_DSCP = FIELD_BY_NAME.get('ip_dscp')!.oxm;

/**
 * Edits that do the same to every packet of a flow: those of fields that the flow cache's key has. (Behind a new Ethernet
 * type or protocol bytes would be looked at that the key does not have; and a TTL is set whatever it was.)
 */
const REPEATABLE = new Uint8Array(128);
for (const code of [OP.PUSH_VLAN, OP.POP_VLAN, OP.SET_VLAN, OP.SET_TRANSPORT_PORT]) REPEATABLE[code] = 1;
for (const name of [
  ...['eth_dst', 'eth_src', 'vlan_vid', 'vlan_pcp', 'ip_dscp', 'ip_ecn', 'ipv4_src', 'ipv4_dst'],
  ...['ipv6_src', 'ipv6_dst', 'tcp_src', 'tcp_dst', 'udp_src', 'udp_dst'],
]) {
  REPEATABLE[OP.SET_FIELD + FIELD_BY_NAME.get(name)!.oxm] = 1;
}

/** Buckets that one packet may go through, in groups that forward to groups. */
const MAX_BUCKETS_OF_PACKET = 1024;

export type PipelineParts = Pick<Parts, 'tables' | 'clock' | 'groups' | 'meters' | 'settings' | 'paths'>;

/** What is protected are the steps a packet takes, which the test kit's trace shows. */
export class Pipeline {
  private readonly tables: Tables;
  private readonly clock: Clock;
  private readonly groups: Groups;
  private readonly meters: Meters;
  private readonly missToController: readonly boolean[];
  private readonly paths: Paths;

  /** The packet in hand. */
  private readonly state = new PacketState();
  private tableId = 0;
  private cookieHi = 0;
  private cookieLo = 0;
  /** Buckets the packet went through. */
  private bucketCount = 0;
  /** Nothing but the key decided so far, and nothing was done that a cache of verdicts could not repeat. */
  private cacheable = true;
  /** What it went through so far, if that is to be named. */
  private path: Path | undefined;

  /** The action set: one entry's actions as they are, or, when several wrote, merged by place. */
  private single: readonly Op[] | undefined;
  private merged = false;
  private readonly slots = new Array<Op | undefined>(ORDERS).fill(undefined);

  constructor({ tables, clock, groups, meters, settings, paths }: PipelineParts) {
    this.tables = tables;
    this.clock = clock;
    this.groups = groups;
    this.meters = meters;
    this.paths = paths;
    this.missToController = settings.missToController;
  }

  /** A packet from a port, from table 0 on. */
  packet(packet: PacketView): void {
    this.begin(packet);
    this.path = this.paths.root;
    this.run(packet);
    if (!this.cacheable) return;
    packet.cacheable(this.path === undefined ? 0 : this.paths.name(this.path));
  }

  /** The actions of a PACKET_OUT. */
  packetOut(packet: PacketView, ops: readonly Op[]): void {
    this.begin(packet);
    this.path = undefined;
    this.cookieHi = -1;
    this.cookieLo = -1;
    this.execute(packet, ops, true);
  }

  private begin(packet: PacketView): void {
    this.state.begin(packet);
    this.tableId = 0;
    this.cacheable = true;
    this.bucketCount = 0;
  }

  private run(packet: PacketView): void {
    const { state, tables } = this;
    this.clearActionSet();
    for (let tableId = 0; ; ) {
      this.tableId = tableId;
      if (state.stale) state.extract(packet);
      if (tableId >= tables.lookups.length) tables.reach(tableId);
      tables.lookups[tableId]++;
      if (tables.readsFlowLabel(tableId)) this.cacheable = false;
      const entry = this.lookup(tableId);
      if (entry === undefined) {
        if (this.path !== undefined) this.go(this.paths.missed(this.path, tableId));
        this.miss(packet);
        return;
      }
      tables.matches[tableId]++;
      entry.packets++;
      entry.bytes += packet.frameLength;
      entry.lastUsed = this.clock.ms;
      this.count(entry);
      this.cookieHi = entry.cookieHi;
      this.cookieLo = entry.cookieLo;

      const { compiled } = entry;
      if (compiled.meter !== 0 && !this.meter(packet, compiled.meter)) return;
      if (compiled.apply !== undefined && !this.execute(packet, compiled.apply, false)) return;
      if (compiled.clear) this.clearActionSet();
      if (compiled.write !== undefined) this.writeActions(compiled.write);
      if (compiled.writesMetadata) {
        const { metadataHi, metadataLo, metadataMaskHi, metadataMaskLo } = compiled;
        state.writeMetadata(metadataHi, metadataLo, metadataMaskHi, metadataMaskLo);
      }
      if (compiled.goto < 0) break;
      tableId = compiled.goto;
    }
    this.executeActionSet(packet);
  }

  protected lookup(tableId: number): FlowEntry | undefined {
    return this.tables.at(tableId)?.lookup(this.state.key);
  }

  /**
   * Without a table-miss entry a packet that matches nothing is dropped (section 5.4), unless the table is told to do as
   * OpenFlow 1.0 does.
   */
  protected miss(packet: PacketView): void {
    if (this.missToController[this.tableId] !== true) return;
    this.cookieHi = -1;
    this.cookieLo = -1;
    this.cacheable = false;
    this.toController(packet, PacketInReason.NO_MATCH);
  }

  /** False: the meter drops the packet. */
  protected meter(packet: PacketView, id: number): boolean {
    const { state } = this;
    this.cacheable = false;
    const steps = this.meters.get(id)?.police(packet.frameLength, this.clock.ms) ?? POLICE.PASS;
    if (steps <= 0) return steps === POLICE.PASS;
    const dscp = (state.key[K.PROTO] >>> 18) & 63;
    const type = state.key[K.TYPE_VLAN] >>> 16;
    const marked = remark(dscp, steps);
    if (marked === dscp || (type !== ETH_TYPE.IPV4 && type !== ETH_TYPE.IPV6)) return true;
    packet.edit();
    setPlainField(packet, state.key, OXM_IP_DSCP, marked);
    state.extract(packet);
    return true;
  }

  private clearActionSet(): void {
    this.single = undefined;
    if (!this.merged) return;
    this.merged = false;
    this.slots.fill(undefined);
  }

  private writeActions(ops: readonly Op[]): void {
    if (this.single === undefined && !this.merged) {
      this.single = ops;
      return;
    }
    if (this.single !== undefined) {
      this.place(this.single);
      this.single = undefined;
      this.merged = true;
    }
    this.place(ops);
  }

  private place(ops: readonly Op[]): void {
    for (let i = 0; i < ops.length; i++) this.slots[ops[i].order] = ops[i];
  }

  private executeActionSet(packet: PacketView): void {
    if (this.single !== undefined) {
      this.executeSet(packet, this.single);
      return;
    }
    if (!this.merged) return;
    for (let order = 0; order < ORDERS; order++) {
      const op = this.slots[order];
      if (op !== undefined && (!this.executeOp(packet, op, true) || op.code === OP.GROUP)) return;
    }
  }

  /** Executes an action set, in its order: after a group there is no output (section 5.10). */
  private executeSet(packet: PacketView, ops: readonly Op[]): void {
    for (let i = 0; i < ops.length; i++) {
      if (!this.executeOp(packet, ops[i], true) || ops[i].code === OP.GROUP) return;
    }
  }

  /** Executes a list of actions; false: the packet ends here. `final`: nothing comes after it. */
  private execute(packet: PacketView, ops: readonly Op[], final: boolean): boolean {
    const last = final ? ops.length - 1 : ops.length;
    for (let i = 0; i < ops.length; i++) if (!this.executeOp(packet, ops[i], i === last)) return false;
    return true;
  }

  protected executeOp(packet: PacketView, op: Op, last: boolean): boolean {
    const { state } = this;
    switch (op.code) {
      case OP.OUTPUT:
        // To the port it came from only by OFPP_IN_PORT.
        if (op.a !== (packet.inPort | 0)) packet.output(op.a, state.queue);
        return true;
      case OP.ENQUEUE:
        if (op.a !== (packet.inPort | 0)) packet.output(op.a, op.b);
        return true;
      case OP.SET_QUEUE:
        state.queue = op.a;
        return true;
      case OP.GROUP:
        this.group(packet, op.a, last);
        return true;
      case OP.CONTROLLER:
        this.toController(packet, op.a);
        return true;
      case OP.TABLE:
        this.table(packet, last);
        return true;
      case OP.DEC_NW_TTL:
        return this.decrementTtl(packet, ttlOf(packet, state.key), setTtl);
      case OP.DEC_MPLS_TTL:
        return this.decrementTtl(packet, mplsTtlOf(packet, state.key), setMplsTtl);
      default: {
        if (REPEATABLE[op.code] === 0) this.cacheable = false;
        const goesOn = executeEdit(packet, state, op);
        if (!goesOn) this.cacheable = false;
        return goesOn;
      }
    }
  }

  /** A step of the path; undefined: there are too many. */
  private go(path: Path | undefined): void {
    this.path = path;
    if (path === undefined) this.cacheable = false;
  }

  /** `ttl`: what the header has now; negative: there is no such header. */
  private decrementTtl(packet: PacketView, ttl: number, set: typeof setTtl): boolean {
    if (ttl < 0) return true;
    if (ttl <= 1) {
      this.cacheable = false;
      this.toController(packet, PacketInReason.INVALID_TTL);
      return false;
    }
    packet.edit();
    set(packet, this.state.key, ttl - 1);
    return true;
  }

  private toController(packet: PacketView, reason: number): void {
    packet.sendToController(
      reason,
      this.tableId,
      this.cookieHi,
      this.cookieLo,
      this.state.metadataHi,
      this.state.metadataLo,
    );
  }

  /** Section 5.6. What the buckets do to the packet, the actions that follow do not see. */
  protected group(packet: PacketView, id: number, last: boolean): void {
    const group = this.groups.get(id);
    // An action list may have waited, as a PACKET_OUT's does, until the group was gone.
    if (group === undefined) return;
    group.packets++;
    group.bytes += packet.frameLength;
    this.count(group);
    const { buckets } = group;
    if (group.type === GroupType.ALL || group.type === GroupType.INDIRECT) {
      for (let i = 0; i < buckets.length; i++)
        this.bucket(packet, buckets[i], last && i === buckets.length - 1);
      return;
    }
    // Which bucket it is depends on more than the key: on which are live, and fields that no cache looks at.
    this.cacheable = false;
    const { state } = this;
    if (state.stale) state.extract(packet);
    const chosen = this.groups.choose(group, state.key);
    if (chosen !== undefined) this.bucket(packet, chosen, last);
  }

  private count(step: Counting): void {
    if (this.path !== undefined) this.go(this.paths.next(this.path, step));
  }

  /** Executes a bucket's action set: on a copy of the packet, unless nothing comes after it. */
  protected bucket(packet: PacketView, bucket: Bucket, last: boolean): void {
    if (this.bucketCount === MAX_BUCKETS_OF_PACKET) {
      this.cacheable = false;
      packet.cut();
      return;
    }
    this.bucketCount++;
    bucket.packets++;
    bucket.bytes += packet.frameLength;
    this.count(bucket);
    if (last) {
      this.executeSet(packet, bucket.ops);
      return;
    }
    this.state.save(packet);
    this.executeSet(packet, bucket.ops);
    this.state.restore(packet);
  }

  /** Output to TABLE. What the tables do to the packet, the actions that follow do not see. */
  private table(packet: PacketView, last: boolean): void {
    if (last) {
      this.run(packet);
      return;
    }
    const { cookieHi, cookieLo } = this;
    this.state.save(packet);
    this.run(packet);
    this.state.restore(packet);
    this.cookieHi = cookieHi;
    this.cookieLo = cookieLo;
    this.tableId = 0;
  }
}
