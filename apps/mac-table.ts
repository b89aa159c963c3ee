/** Where stations are: VLAN and MAC address to port, as a learning switch keeps it (IEEE 802.1Q, 8.7 and 8.8). */

export type Learned =
  /** Was there already, at this port. */
  | 'known'
  | 'new'
  /** Was at another port until now. */
  | 'moved'
  /** Keeps coming from several ports (a loop, or two stations with one address): stays where it was. */
  | 'flapping'
  /** The table is full, or the address cannot be a station's. */
  | 'ignored';

export interface MacTableOptions {
  /** Entries kept. */
  capacity?: number;
  /** Time after which a station that was not heard is forgotten, ms. */
  ageMs?: number;
  /** More moves than this within a second count as flapping; the station then stays where it is for holdMs. */
  movesPerSecond?: number;
  holdMs?: number;
}

interface Station {
  port: number;
  heard: number;
  moves: number;
  windowStart: number;
  holdUntil: number;
}

const ZERO_MAC = '00:00:00:00:00:00';

export function stationKey(vlan: number, mac: string): string {
  return `${vlan}/${mac}`;
}

/** Broadcast and multicast: the lowest bit of the first byte. */
export function isGroup(mac: string): boolean {
  // The last bit of a hexadecimal digit: 0 to 9 are 0x30 to 0x39, the letters 0x41 to 0x46 and 0x61 to 0x66.
  const code = mac.charCodeAt(1);
  return ((code > 0x39 ? code - 1 : code) & 1) === 1;
}

/** 01:80:c2:00:00:0x, which a bridge never forwards (802.1Q, table 8-1): spanning tree, LACP, LLDP, pause. */
export function isReserved(mac: string): boolean {
  return mac.startsWith('01:80:c2:00:00:0');
}

export class MacTable {
  /** By VLAN and address: a key of both together would have to be made for every packet. */
  readonly #vlans = new Map<number, Map<string, Station>>();
  #size = 0;
  /** No station is too old before this time, ms. */
  #noneOldBefore = 0;
  readonly #capacity: number;
  readonly #ageMs: number;
  readonly #movesPerSecond: number;
  readonly #holdMs: number;
  /** Stations not learned because the table was full; moves; moves ignored as flapping. */
  readonly counters = { full: 0, moves: 0, flapping: 0 };

  constructor(options: MacTableOptions = {}) {
    this.#capacity = options.capacity ?? 65_536;
    this.#ageMs = options.ageMs ?? 300_000;
    this.#movesPerSecond = options.movesPerSecond ?? 5;
    this.#holdMs = options.holdMs ?? 10_000;
  }

  get size(): number {
    return this.#size;
  }

  learn(vlan: number, mac: string, port: number, now: number): Learned {
    if (isGroup(mac) || mac === ZERO_MAC) return 'ignored';
    const station = this.#vlans.get(vlan)?.get(mac);
    if (station === undefined) {
      if (this.#size >= this.#capacity && !this.#makeRoom(now)) {
        this.counters.full++;
        return 'ignored';
      }
      this.#add(vlan, mac, { port, heard: now, moves: 0, windowStart: now, holdUntil: 0 });
      return 'new';
    }
    if (station.port === port) {
      station.heard = now;
      return 'known';
    }
    if (now < station.holdUntil) {
      this.counters.flapping++;
      return 'flapping';
    }
    if (now - station.windowStart >= 1000) {
      station.windowStart = now;
      station.moves = 0;
    }
    if (++station.moves > this.#movesPerSecond) {
      station.holdUntil = now + this.#holdMs;
      this.counters.flapping++;
      return 'flapping';
    }
    station.port = port;
    station.heard = now;
    this.counters.moves++;
    return 'moved';
  }

  /** The port a station is at; undefined when it is not known (any more). */
  lookup(vlan: number, mac: string, now: number): number | undefined {
    const station = this.#vlans.get(vlan)?.get(mac);
    if (station === undefined) return undefined;
    if (now - station.heard > this.#ageMs) {
      this.#delete(vlan, mac);
      return undefined;
    }
    return station.port;
  }

  /** Forgets everybody at a port; returns their keys (stationKey). */
  forgetPort(port: number): string[] {
    const keys: string[] = [];
    for (const [vlan, stations] of this.#vlans) {
      for (const [mac, station] of stations) {
        if (station.port !== port) continue;
        keys.push(stationKey(vlan, mac));
        this.#delete(vlan, mac);
      }
    }
    return keys;
  }

  *entries(): Generator<{ vlan: number; mac: string; port: number }> {
    for (const [vlan, stations] of this.#vlans) {
      for (const [mac, { port }] of stations) yield { vlan, mac, port };
    }
  }

  #add(vlan: number, mac: string, station: Station): void {
    let stations = this.#vlans.get(vlan);
    if (stations === undefined) {
      stations = new Map();
      this.#vlans.set(vlan, stations);
    }
    stations.set(mac, station);
    this.#size++;
  }

  #delete(vlan: number, mac: string): void {
    const stations = this.#vlans.get(vlan);
    if (stations?.delete(mac) !== true) return;
    this.#size--;
    if (stations.size === 0) this.#vlans.delete(vlan);
  }

  /** Drops what is too old; false when nothing was. A full table is not searched for every new address. */
  #makeRoom(now: number): boolean {
    if (now < this.#noneOldBefore) return false;
    let oldest = now;
    for (const [vlan, stations] of this.#vlans) {
      for (const [mac, { heard }] of stations) {
        if (now - heard > this.#ageMs) this.#delete(vlan, mac);
        else if (heard < oldest) oldest = heard;
      }
    }
    this.#noneOldBefore = oldest + this.#ageMs;
    return this.#size < this.#capacity;
  }
}
