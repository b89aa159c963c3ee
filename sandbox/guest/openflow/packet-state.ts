/** What is known of the packet in hand beyond its bytes: its key, and what the actions keep outside of it. */
import { extractKey, K, KEY_WORDS } from '../../../packet/index.ts';
import { NO_QUEUE } from '../../channel/layout.ts';
import { type PacketView, type SavedPacket, savedPacket } from '../packet-view.ts';

/** A packet and its state, while a copy goes its own way. */
interface Saved {
  readonly packet: SavedPacket;
  key: Uint32Array;
  stale: boolean;
  metadataHi: number;
  metadataLo: number;
  tunnelHi: number;
  tunnelLo: number;
  queue: number;
}

export class PacketState {
  /** The slot's, or, once anything was changed, `ownKey`: the slot's belongs to the agent. */
  key: Uint32Array;
  /** The packet was edited since the key was extracted. */
  stale = false;
  metadataHi = 0;
  metadataLo = 0;
  /** As set_queue set it. */
  queue = NO_QUEUE;
  private tunnelHi = 0;
  private tunnelLo = 0;
  private readonly ownKey = new Uint32Array(KEY_WORDS);
  /** States saved, one inside the other; each is made when first needed. */
  private readonly saved: Saved[] = [];
  private depth = 0;

  constructor() {
    this.key = this.ownKey;
  }

  begin({ key }: PacketView): void {
    this.key = key;
    this.stale = false;
    this.metadataHi = 0;
    this.metadataLo = 0;
    this.tunnelHi = key[K.TUNNEL_HI];
    this.tunnelLo = key[K.TUNNEL_LO];
    this.queue = NO_QUEUE;
    this.depth = 0;
  }

  writeMetadata(high: number, low: number, maskHigh: number, maskLow: number): void {
    this.metadataHi = (this.metadataHi & ~maskHigh) | high;
    this.metadataLo = (this.metadataLo & ~maskLow) | low;
    this.writeKey();
  }

  setTunnel(high: number, low: number): void {
    this.tunnelHi = high;
    this.tunnelLo = low;
    this.writeKey();
  }

  /** The key of the packet as it is now. */
  extract(packet: PacketView): void {
    extractKey(packet.bytes, packet.offset, packet.length, packet.inPort, this.ownKey, packet.at);
    this.key = this.ownKey;
    this.stale = false;
    this.writeKey();
  }

  /** Puts what is not in the packet into the key. */
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

  /** Whatever is done to packet and state then, the restore() that belongs to it takes back. */
  save(packet: PacketView): void {
    const { key, stale, metadataHi, metadataLo, tunnelHi, tunnelLo, queue } = this;
    if (this.depth === this.saved.length) {
      const rest = { key, stale, metadataHi, metadataLo, tunnelHi, tunnelLo, queue };
      this.saved.push({ packet: savedPacket(), ...rest });
    }
    const state = this.saved[this.depth++];
    packet.save(state.packet);
    state.key = key;
    state.stale = stale;
    state.metadataHi = metadataHi;
    state.metadataLo = metadataLo;
    state.tunnelHi = tunnelHi;
    state.tunnelLo = tunnelLo;
    state.queue = queue;
  }

  restore(packet: PacketView): void {
    const state = this.saved[--this.depth];
    packet.restore(state.packet);
    this.metadataHi = state.metadataHi;
    this.metadataLo = state.metadataLo;
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
}
