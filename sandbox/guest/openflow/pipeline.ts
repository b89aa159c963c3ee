/** What happens to a packet: table after table, then the action set (OpenFlow 1.3, section 5). */
import { PacketInReason } from '../../../openflow/index.ts';
import { extractKey, FIELD_BY_NAME, K, KEY_WORDS } from '../../../packet/index.ts';
import { type PacketView, savedPacket } from '../packet-view.ts';
import { OP, type Op, ORDERS } from './actions.ts';
import { setField } from './edit.ts';
import { popMpls, popPbb, popVlan, pushMpls, pushPbb, pushVlan } from './edit-tags.ts';
import { copyTtlIn, copyTtlOut, mplsTtlOf, setMplsTtl, setTtl, ttlOf } from './edit-ttl.ts';
import type { Tables } from './table.ts';
import type { Clock } from './timeouts.ts';

/** Bytes of a packet with invalid TTL that go to the controller (OFP_DEFAULT_MISS_SEND_LEN). */
const INVALID_TTL_LEN = 128;

/** Set-fields after which the rest of the packet is another: the key is extracted anew at once. */
const OP_SET_ETH_TYPE = OP.SET_FIELD + FIELD_BY_NAME.get('eth_type')!.oxm;
const OP_SET_IP_PROTO = OP.SET_FIELD + FIELD_BY_NAME.get('ip_proto')!.oxm;
const OP_SET_TUNNEL_ID = OP.SET_FIELD + FIELD_BY_NAME.get('tunnel_id')!.oxm;

export class Pipeline {
  private readonly tables: Tables;
  private readonly clock: Clock;

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
  /** Nothing but the key decided so far, and nothing was done that a cache of verdicts could not repeat. */
  private cacheable = true;
  private readonly saved = savedPacket();

  /** The action set: one entry's actions as they are, or, when several wrote, merged by place. */
  private single: readonly Op[] | undefined;
  private merged = false;
  private readonly slots = new Array<Op | undefined>(ORDERS).fill(undefined);

  constructor(tables: Tables, clock: Clock) {
    this.tables = tables;
    this.clock = clock;
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
    this.execute(packet, ops);
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
  }

  private run(packet: PacketView): void {
    const { tables } = this;
    this.clearActionSet();
    for (let tableId = 0; ; ) {
      this.tableId = tableId;
      if (this.stale) this.extract(packet);
      tables.lookups[tableId]++;
      const entry = tables.at(tableId)?.lookup(this.key);
      // Without a table-miss entry a packet that matches nothing is dropped (section 5.4).
      if (entry === undefined) return;
      tables.matches[tableId]++;
      entry.packets++;
      entry.bytes += packet.frameLength;
      entry.lastUsed = this.clock.ms;
      this.cookieHi = entry.cookieHi;
      this.cookieLo = entry.cookieLo;

      const { compiled } = entry;
      if (compiled.apply !== undefined && !this.execute(packet, compiled.apply)) return;
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
      this.execute(packet, this.single);
      return;
    }
    if (!this.merged) return;
    for (let order = 0; order < ORDERS; order++) {
      const op = this.slots[order];
      if (op !== undefined && !this.executeOp(packet, op, true)) return;
    }
  }

  /** Executes a list of actions; false: the packet ends here. */
  private execute(packet: PacketView, ops: readonly Op[]): boolean {
    const last = ops.length - 1;
    for (let i = 0; i <= last; i++) if (!this.executeOp(packet, ops[i], i === last)) return false;
    return true;
  }

  private executeOp(packet: PacketView, op: Op, last: boolean): boolean {
    switch (op.code) {
      case OP.OUTPUT:
        // To the port it came from only by OFPP_IN_PORT.
        if (op.a !== (packet.inPort | 0)) packet.output(op.a);
        return true;
      case OP.CONTROLLER:
        this.toController(packet, op.a, op.b);
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
      this.toController(packet, PacketInReason.INVALID_TTL, INVALID_TTL_LEN);
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

  private toController(packet: PacketView, reason: number, maxLen: number): void {
    this.cacheable = false;
    packet.sendToController(
      reason,
      maxLen,
      this.tableId,
      this.cookieHi,
      this.cookieLo,
      this.metadataHi,
      this.metadataLo,
    );
  }

  /** Output to TABLE. What the tables do to the packet, the actions that follow do not see. */
  private table(packet: PacketView, last: boolean): void {
    if (last) {
      this.run(packet);
      return;
    }
    packet.save(this.saved);
    const { cookieHi, cookieLo, tunnelHi, tunnelLo } = this;
    this.run(packet);
    packet.restore(this.saved);
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
