/** What happens to a packet: table after table, then the action set (OpenFlow 1.3, section 5). */
import { GroupType, PacketInReason } from '../../../openflow/index.ts';
import { extractKey, FIELD_BY_NAME, K, KEY_WORDS } from '../../../packet/index.ts';
import { type PacketView, type SavedPacket, savedPacket } from '../packet-view.ts';
import { OP, type Op, ORDERS } from './actions.ts';
import { setField } from './edit.ts';
import { ETH_TYPE } from './edit-bytes.ts';
import { popMpls, popPbb, popVlan, pushMpls, pushPbb, pushVlan } from './edit-tags.ts';
import { copyTtlIn, copyTtlOut, mplsTtlOf, setMplsTtl, setTtl, ttlOf } from './edit-ttl.ts';
import type { FlowEntry } from './entry.ts';
import type { Bucket, Groups } from './groups.ts';
import { type Meters, POLICE, remark } from './meters.ts';
import { setPlainField, setTransportPort, setVlan } from './of10-actions.ts';
import type { Parts } from './parts.ts';
import type { Tables } from './table.ts';
import type { Clock } from './timeouts.ts';

/** Set-fields after which the rest of the packet is another: the key is extracted anew at once. */
const OP_SET_ETH_TYPE = OP.SET_FIELD + FIELD_BY_NAME.get('eth_type')!.oxm;
const OP_SET_IP_PROTO = OP.SET_FIELD + FIELD_BY_NAME.get('ip_proto')!.oxm;
const OXM_IP_DSCP = FIELD_BY_NAME.get('ip_dscp')!.oxm;
const OP_SET_TUNNEL_ID = OP.SET_FIELD + FIELD_BY_NAME.get('tunnel_id')!.oxm;

/** Buckets that one packet may go through, in groups that forward to groups. */
const MAX_BUCKETS_OF_PACKET = 1024;

/** No set_queue so far. */
const NO_QUEUE = 0xffffffff | 0;

export type PipelineParts = Pick<Parts, 'tables' | 'clock' | 'groups' | 'meters' | 'settings'>;

/** A packet and what is known of it, while a copy goes its own way. */
interface SavedState {
  readonly packet: SavedPacket;
  key: Uint32Array;
  stale: boolean;
  tunnelHi: number;
  tunnelLo: number;
  queue: number;
}

/** What is protected are the steps a packet takes, which the test kit's trace shows. */
export class Pipeline {
  private readonly tables: Tables;
  private readonly clock: Clock;
  private readonly groups: Groups;
  private readonly meters: Meters;
  private readonly missToController: Uint8Array;

  /** The packet in hand: its key, and whether the packet was edited since that was extracted. */
  private key: Uint32Array = new Uint32Array(KEY_WORDS);
  private stale = false;
  private readonly ownKey = new Uint32Array(KEY_WORDS);
  private metadataHi = 0;
  private metadataLo = 0;
  private tunnelHi = 0;
  private tunnelLo = 0;
  private tableId = 0;
  private cookieHi = 0;
  private cookieLo = 0;
  /** As set_queue set it. */
  private queue = NO_QUEUE;
  /** Groups the packet is in, one inside the other, and buckets it went through altogether. */
  private depth = 0;
  private bucketCount = 0;
  /** Nothing but the key decided so far, and nothing was done that a cache of verdicts could not repeat. */
  private cacheable = true;
  private readonly saved = savedPacket();
  /** By depth; made when first needed. */
  private readonly savedStates: SavedState[] = [];

  /** The action set: one entry's actions as they are, or, when several wrote, merged by place. */
  private single: readonly Op[] | undefined;
  private merged = false;
  private readonly slots = new Array<Op | undefined>(ORDERS).fill(undefined);

  constructor({ tables, clock, groups, meters, settings }: PipelineParts) {
    this.tables = tables;
    this.clock = clock;
    this.groups = groups;
    this.meters = meters;
    this.missToController = settings.missToController;
  }

  /** A packet from a port, from table 0 on. */
  packet(packet: PacketView): void {
    this.begin(packet);
    this.run(packet);
    if (this.cacheable) packet.cacheable();
  }

  /** The actions of a PACKET_OUT. */
  packetOut(packet: PacketView, ops: readonly Op[]): void {
    this.begin(packet);
    this.cookieHi = -1;
    this.cookieLo = -1;
    this.execute(packet, ops, true);
  }

  private begin(packet: PacketView): void {
    this.key = packet.key;
    this.stale = false;
    this.metadataHi = 0;
    this.metadataLo = 0;
    this.tunnelHi = packet.key[K.TUNNEL_HI];
    this.tunnelLo = packet.key[K.TUNNEL_LO];
    this.tableId = 0;
    this.cacheable = true;
    this.queue = NO_QUEUE;
    this.depth = 0;
    this.bucketCount = 0;
  }

  private run(packet: PacketView): void {
    const { tables } = this;
    this.clearActionSet();
    for (let tableId = 0; ; ) {
      this.tableId = tableId;
      if (this.stale) this.extract(packet);
      tables.lookups[tableId]++;
      const entry = this.lookup(tableId);
      if (entry === undefined) {
        this.miss(packet);
        return;
      }
      tables.matches[tableId]++;
      entry.packets++;
      entry.bytes += packet.frameLength;
      entry.lastUsed = this.clock.ms;
      this.cookieHi = entry.cookieHi;
      this.cookieLo = entry.cookieLo;

      const { compiled } = entry;
      if (compiled.meter !== 0 && !this.meter(packet, compiled.meter)) return;
      if (compiled.apply !== undefined && !this.execute(packet, compiled.apply, false)) return;
      if (compiled.clear) this.clearActionSet();
      if (compiled.write !== undefined) this.writeActions(compiled.write);
      if (compiled.writesMetadata) {
        this.metadataHi = (this.metadataHi & ~compiled.metadataMaskHi) | compiled.metadataHi;
        this.metadataLo = (this.metadataLo & ~compiled.metadataMaskLo) | compiled.metadataLo;
        this.writeKey();
      }
      if (compiled.goto < 0) break;
      tableId = compiled.goto;
    }
    this.executeActionSet(packet);
  }

  protected lookup(tableId: number): FlowEntry | undefined {
    return this.tables.at(tableId)?.lookup(this.key);
  }

  /**
   * Without a table-miss entry a packet that matches nothing is dropped (section 5.4), unless the table is told to do as
   * OpenFlow 1.0 does.
   */
  protected miss(packet: PacketView): void {
    if (this.missToController[this.tableId] === 0) return;
    this.cookieHi = -1;
    this.cookieLo = -1;
    this.toController(packet, PacketInReason.NO_MATCH);
  }

  /** False: the meter drops the packet. */
  protected meter(packet: PacketView, id: number): boolean {
    this.cacheable = false;
    const steps = this.meters.get(id)?.police(packet.frameLength, this.clock.ms) ?? POLICE.PASS;
    if (steps <= 0) return steps === POLICE.PASS;
    const dscp = (this.key[K.PROTO] >>> 18) & 63;
    const type = this.key[K.TYPE_VLAN] >>> 16;
    const marked = remark(dscp, steps);
    if (marked === dscp || (type !== ETH_TYPE.IPV4 && type !== ETH_TYPE.IPV6)) return true;
    packet.edit();
    setPlainField(packet, this.key, OXM_IP_DSCP, marked);
    this.extract(packet);
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
    switch (op.code) {
      case OP.OUTPUT:
        // To the port it came from only by OFPP_IN_PORT.
        if (op.a !== (packet.inPort | 0)) packet.output(op.a, this.queue);
        return true;
      case OP.ENQUEUE:
        if (op.a !== (packet.inPort | 0)) packet.output(op.a, op.b);
        return true;
      case OP.SET_QUEUE:
        this.queue = op.a;
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
        return this.decrementTtl(packet, ttlOf(packet, this.key), setTtl);
      case OP.DEC_MPLS_TTL:
        return this.decrementTtl(packet, mplsTtlOf(packet, this.key), setMplsTtl);
      default:
        return this.edit(packet, op);
    }
  }

  private edit(packet: PacketView, op: Op): boolean {
    this.cacheable = false;
    if (op.code === OP_SET_TUNNEL_ID) {
      this.tunnelHi = op.a;
      this.tunnelLo = op.b;
      this.writeKey();
      return true;
    }
    packet.edit();
    this.stale = true;
    switch (op.code) {
      case OP.PUSH_VLAN:
        return pushVlan(packet, op.a) || noHeadroom(packet);
      case OP.POP_VLAN:
        popVlan(packet);
        return true;
      case OP.SET_NW_TTL:
        setTtl(packet, this.key, op.a);
        return true;
      case OP.SET_MPLS_TTL:
        setMplsTtl(packet, this.key, op.a);
        return true;
      case OP.COPY_TTL_IN:
        copyTtlIn(packet, this.key);
        return true;
      case OP.COPY_TTL_OUT:
        copyTtlOut(packet, this.key);
        return true;
      case OP.PUSH_MPLS:
        return pushMpls(packet, this.key, op.a) ? this.reshaped(packet) : noHeadroom(packet);
      case OP.POP_MPLS:
        popMpls(packet, this.key, op.a);
        return this.reshaped(packet);
      case OP.PUSH_PBB:
        return pushPbb(packet, this.key, op.a) ? this.reshaped(packet) : noHeadroom(packet);
      case OP.POP_PBB:
        popPbb(packet, this.key);
        return this.reshaped(packet);
      case OP.SET_VLAN:
        return setVlan(packet, this.key, op.a, op.b) || noHeadroom(packet);
      case OP.SET_TRANSPORT_PORT:
        setTransportPort(packet, this.key, op.a, op.b);
        return true;
      default:
        setField(packet, this.key, op.code - OP.SET_FIELD, op);
        if (op.code === OP_SET_ETH_TYPE || op.code === OP_SET_IP_PROTO) this.extract(packet);
        return true;
    }
  }

  /** `ttl`: what the header has now; negative: there is no such header. */
  private decrementTtl(packet: PacketView, ttl: number, set: typeof setTtl): boolean {
    this.cacheable = false;
    if (ttl < 0) return true;
    if (ttl <= 1) {
      this.toController(packet, PacketInReason.INVALID_TTL);
      return false;
    }
    packet.edit();
    set(packet, this.key, ttl - 1);
    return true;
  }

  /** Headers came or went: the actions that follow meet those that are there now. */
  private reshaped(packet: PacketView): true {
    this.extract(packet);
    return true;
  }

  private toController(packet: PacketView, reason: number): void {
    this.cacheable = false;
    packet.sendToController(
      reason,
      this.tableId,
      this.cookieHi,
      this.cookieLo,
      this.metadataHi,
      this.metadataLo,
    );
  }

  /** Section 5.6. What the buckets do to the packet, the actions that follow do not see. */
  protected group(packet: PacketView, id: number, last: boolean): void {
    this.cacheable = false;
    const group = this.groups.get(id);
    // An action list may have waited, as a PACKET_OUT's does, until the group was gone.
    if (group === undefined) return;
    group.packets++;
    group.bytes += packet.frameLength;
    const { buckets } = group;
    if (group.type === GroupType.ALL || group.type === GroupType.INDIRECT) {
      for (let i = 0; i < buckets.length; i++)
        this.bucket(packet, buckets[i], last && i === buckets.length - 1);
      return;
    }
    if (this.stale) this.extract(packet);
    const chosen = this.groups.choose(group, this.key);
    if (chosen !== undefined) this.bucket(packet, chosen, last);
  }

  /** Executes a bucket's action set: on a copy of the packet, unless nothing comes after it. */
  protected bucket(packet: PacketView, bucket: Bucket, last: boolean): void {
    if (this.bucketCount === MAX_BUCKETS_OF_PACKET) {
      packet.cut();
      return;
    }
    this.bucketCount++;
    bucket.packets++;
    bucket.bytes += packet.frameLength;
    if (last) {
      this.executeSet(packet, bucket.ops);
      return;
    }
    const state = this.save(packet);
    this.depth++;
    this.executeSet(packet, bucket.ops);
    this.depth--;
    this.restore(packet, state);
  }

  private save(packet: PacketView): SavedState {
    const { depth, key, stale, tunnelHi, tunnelLo, queue, savedStates } = this;
    if (depth === savedStates.length) {
      savedStates.push({ packet: savedPacket(), key, stale, tunnelHi, tunnelLo, queue });
    }
    const state = savedStates[depth];
    packet.save(state.packet);
    state.key = key;
    state.stale = stale;
    state.tunnelHi = tunnelHi;
    state.tunnelLo = tunnelLo;
    state.queue = queue;
    return state;
  }

  private restore(packet: PacketView, state: SavedState): void {
    packet.restore(state.packet);
    this.tunnelHi = state.tunnelHi;
    this.tunnelLo = state.tunnelLo;
    this.queue = state.queue;
    if (state.key === this.ownKey) {
      // The copy's key may have been written over it.
      this.extract(packet);
      return;
    }
    this.key = state.key;
    this.stale = state.stale;
  }

  /** Output to TABLE. What the tables do to the packet, the actions that follow do not see. */
  private table(packet: PacketView, last: boolean): void {
    if (last) {
      this.run(packet);
      return;
    }
    packet.save(this.saved);
    const { cookieHi, cookieLo, tunnelHi, tunnelLo, queue } = this;
    this.run(packet);
    packet.restore(this.saved);
    this.queue = queue;
    this.cookieHi = cookieHi;
    this.cookieLo = cookieLo;
    this.tunnelHi = tunnelHi;
    this.tunnelLo = tunnelLo;
    this.metadataHi = 0;
    this.metadataLo = 0;
    this.tableId = 0;
    this.extract(packet);
  }

  /** The key of the packet as it is now. */
  private extract(packet: PacketView): void {
    extractKey(packet.bytes, packet.offset, packet.length, packet.inPort, this.ownKey, packet.at);
    this.key = this.ownKey;
    this.stale = false;
    this.writeKey();
  }

  /** Puts what is not in the packet into the key; the one in the slot belongs to the agent, so it is copied. */
  private writeKey(): void {
    const own = this.ownKey;
    if (this.key !== own) {
      own.set(this.key);
      this.key = own;
    }
    own[K.METADATA_HI] = this.metadataHi;
    own[K.METADATA_LO] = this.metadataLo;
    own[K.TUNNEL_HI] = this.tunnelHi;
    own[K.TUNNEL_LO] = this.tunnelLo;
  }
}

/** A header to push finds no room: the packet ends. */
function noHeadroom(packet: PacketView): false {
  packet.countNoHeadroom();
  return false;
}
