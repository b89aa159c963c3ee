/** Meters (OpenFlow 1.3, sections 5.7 and 7.3.4.4): token buckets on the cell's clock. */
import {
  ErrorType,
  type MessageOf,
  type MeterBand,
  MeterFlag,
  Meter as MeterId,
  MeterModCommand,
  MeterModFailedCode,
  OpenFlowError,
} from '../../../openflow/index.ts';
import type { Journal } from './journal.ts';
import type { Clock } from './timeouts.ts';

/** In one cell. */
export const MAX_METERS = 1024;
/** Of one meter. */
export const MAX_BANDS = 16;
/** Steps of drop precedence in an assured-forwarding class (RFC 2597), less one. */
const MAX_PRECEDENCE_STEPS = 2;

const ALL_FLAGS = MeterFlag.KBPS | MeterFlag.PKTPS | MeterFlag.BURST | MeterFlag.STATS;
/** What a band without a burst size of its own lets through at once: its rate for so long. */
const DEFAULT_BURST_MS = 100;

/** What Meter.police says of a packet; a greater number is the steps of drop precedence to add. */
export const POLICE = { DROP: -1, PASS: 0 } as const;

/**
 * One band: a bucket that fills at the band's rate. A packet that finds too little in it is over the rate. One that is
 * larger than the whole bucket takes a full bucket into debt: it is late, but not shut out for ever.
 *
 * Contents are bits, or thousandths of packets: of both a rate of n means n per millisecond.
 */
class Band {
  readonly rate: number;
  /** POLICE.DROP or the precedence steps. */
  readonly effect: number;
  packets = 0;
  bytes = 0;
  private readonly burst: number;
  // A field that is undefined first gets a new heap number at every write, a number is overwritten in place.
  private content = 0;
  private filledAt = 0;

  constructor(band: MeterBand, hasBurst: boolean, now: number) {
    this.rate = band.rate;
    this.effect = band.type === 'dscp_remark' ? band.prec_level : POLICE.DROP;
    this.burst = hasBurst ? band.burst_size * 1000 : band.rate * DEFAULT_BURST_MS;
    this.content = this.burst;
    this.filledAt = now;
  }

  /** Takes a packet's part out of the bucket; false: the packet is over the rate. */
  conforms(volume: number, now: number): boolean {
    const filled = Math.min(this.burst, this.content + (now - this.filledAt) * this.rate);
    this.filledAt = now;
    const passes = filled >= Math.min(volume, this.burst);
    this.content = passes ? filled - volume : filled;
    return passes;
  }
}

export class Meter {
  readonly id: number;
  readonly flags: number;
  /** As the controller gave them. */
  readonly given: readonly MeterBand[];
  readonly bands: readonly Band[];
  readonly created: number;
  packets = 0;
  bytes = 0;

  constructor({ meter_id, flags, bands }: MessageOf<'meter_mod'>, now: number, created = now) {
    this.id = meter_id;
    this.flags = flags;
    this.given = bands;
    const hasBurst = (flags & MeterFlag.BURST) !== 0;
    this.bands = bands.map((band) => new Band(band, hasBurst, now));
    this.created = created;
  }

  /** Counts a packet of so many bytes; of the bands whose rate it exceeds the highest has its effect. */
  police(length: number, now: number): number {
    this.packets++;
    this.bytes += length;
    const volume = (this.flags & MeterFlag.PKTPS) !== 0 ? 1000 : length * 8;
    let highest: Band | undefined;
    for (let i = 0; i < this.bands.length; i++) {
      const band = this.bands[i];
      if (!band.conforms(volume, now) && (highest === undefined || band.rate > highest.rate)) highest = band;
    }
    if (highest === undefined) return POLICE.PASS;
    highest.packets++;
    highest.bytes += length;
    return highest.effect;
  }
}

/** A DSCP whose drop precedence is so many steps worse; only assured-forwarding classes have one (RFC 2597). */
export function remark(dscp: number, steps: number): number {
  const precedence = (dscp >> 1) & 3;
  const assured = dscp >= 8 && dscp < 40 && (dscp & 1) === 0 && precedence !== 0;
  return assured ? (dscp & 0b111001) | (Math.min(3, precedence + steps) << 1) : dscp;
}

export class Meters {
  private readonly clock: Clock;
  private readonly journal: Journal;
  /** By number as a signed 32-bit integer. */
  private readonly byId = new Map<number, Meter>();

  constructor(clock: Clock, journal: Journal) {
    this.clock = clock;
    this.journal = journal;
  }

  get(id: number): Meter | undefined {
    return this.byId.get(id | 0);
  }

  /** The meters a number means: one, all (OFPM_ALL), none. */
  select(id: number): Meter[] {
    if (id === MeterId.ALL) return [...this.byId.values()];
    const meter = this.get(id);
    return meter === undefined ? [] : [meter];
  }

  /** Carries out a METER_MOD; returns the meters that are gone. Throws OpenFlowError (OFPET_METER_MOD_FAILED). */
  mod(message: MessageOf<'meter_mod'>): Meter[] {
    switch (message.command) {
      case MeterModCommand.ADD:
        this.check(message);
        if (this.get(message.meter_id) !== undefined) {
          throw failed(MeterModFailedCode.METER_EXISTS, `there is a meter ${message.meter_id} already`);
        }
        if (this.byId.size >= MAX_METERS) {
          throw failed(MeterModFailedCode.OUT_OF_METERS, `a cell has ${MAX_METERS} meters at most`);
        }
        this.set(message.meter_id, new Meter(message, this.clock.ms));
        return [];
      case MeterModCommand.MODIFY:
        this.modify(message);
        return [];
      case MeterModCommand.DELETE: {
        const gone = this.select(message.meter_id);
        for (const { id } of gone) this.set(id, undefined);
        return gone;
      }
      default:
        throw failed(MeterModFailedCode.BAD_COMMAND, `command ${message.command}`);
    }
  }

  /** The meter's own counters go on; its bands are new (section 6.5 has it so for groups). */
  private modify(message: MessageOf<'meter_mod'>): void {
    this.check(message);
    const old = this.get(message.meter_id);
    if (old === undefined) {
      throw failed(MeterModFailedCode.UNKNOWN_METER, `there is no meter ${message.meter_id}`);
    }
    const meter = new Meter(message, this.clock.ms, old.created);
    meter.packets = old.packets;
    meter.bytes = old.bytes;
    this.set(meter.id, meter);
  }

  private set(id: number, meter: Meter | undefined): void {
    const before = this.get(id);
    this.put(id, meter);
    this.journal.note(() => this.put(id, before));
  }

  private put(id: number, meter: Meter | undefined): void {
    if (meter === undefined) this.byId.delete(id | 0);
    else this.byId.set(id | 0, meter);
  }

  private check({ meter_id: id, flags, bands }: MessageOf<'meter_mod'>): void {
    if (id === 0 || id > MeterId.MAX) throw failed(MeterModFailedCode.INVALID_METER, `no meter may be ${id}`);
    const both = MeterFlag.KBPS | MeterFlag.PKTPS;
    if ((flags & ~ALL_FLAGS) !== 0 || (flags & both) === both) {
      throw failed(MeterModFailedCode.BAD_FLAGS, `flags 0x${flags.toString(16)}`);
    }
    if (bands.length > MAX_BANDS) {
      throw failed(MeterModFailedCode.OUT_OF_BANDS, `a meter has ${MAX_BANDS} bands at most`);
    }
    for (const band of bands) {
      if (band.type === 'experimenter') {
        throw failed(MeterModFailedCode.BAD_BAND, 'no experimenter bands are known here');
      }
      if (band.type !== 'dscp_remark') continue;
      if (band.prec_level === 0 || band.prec_level > MAX_PRECEDENCE_STEPS) {
        throw failed(MeterModFailedCode.BAD_BAND_VALUE, `drop precedence cannot grow by ${band.prec_level}`);
      }
    }
  }
}

function failed(code: number, text: string): OpenFlowError {
  return new OpenFlowError(ErrorType.METER_MOD_FAILED, code, text);
}
