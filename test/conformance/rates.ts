/** Packets sent at a rate, and the rates at which they come out of the target. */
import type { Match } from '../../openflow/index.ts';
import { Failure } from './channel.ts';
import type { Lab } from './lab.ts';
import type { Rate, Throughput } from './patterns.ts';

/** As os-ken: expected throughput plus and minus 10 %. */
const TOLERANCE = 0.1;
/** kbit/s as os-ken has them. */
const BYTES_PER_KBIT = 1024 / 8;
/** Not counted: a meter's burst. */
const WARM_UP_MS = 1000;
const METERED_MS = 2000;
/** Without a meter only the packets' distribution matters, not time: they are sent that much faster. */
const SPEED_UP = 10;

const ETHERTYPE_IPV4 = 0x0800;
const etherType = (frame: Uint8Array) => (frame[12] << 8) | frame[13];
const trafficClass = (frame: Uint8Array) =>
  etherType(frame) === ETHERTYPE_IPV4 ? frame[15] : ((frame[14] & 15) << 4) | (frame[15] >> 4);

/** The fields by which os-ken's patterns tell frames apart (no VLAN tag before them). */
const FIELDS: Readonly<Record<string, (frame: Uint8Array, port: number) => number>> = {
  in_port: (_, port) => port,
  eth_type: etherType,
  ip_dscp: (frame) => trafficClass(frame) >> 2,
};

/** Whether a frame that left the target by `port` is one that the match means. */
export function frameMatcher(match: Match): (frame: Uint8Array, port: number) => boolean {
  const tests = Object.entries(match).map(([name, value]) => {
    const read = FIELDS[name];
    if (read === undefined) throw new Failure(`rates cannot be told apart by ${name}`);
    return (frame: Uint8Array, port: number) => read(frame, port) === value;
  });
  return (frame, port) => tests.every((test) => test(frame, port));
}

/** Counts what one expected rate is about. */
class Gauge {
  readonly #rate: Rate;
  readonly #matches: (frame: Uint8Array, port: number) => boolean;
  #packets = 0;
  #bytes = 0;

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#matches = frameMatcher(rate.match);
  }

  count(frame: Uint8Array, port: number): void {
    if (!this.#matches(frame, port)) return;
    this.#packets++;
    this.#bytes += frame.length;
  }

  reset(): void {
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** What is wrong with what was counted in `seconds`, at `speedUp` times the pattern's rate. */
  verdict(seconds: number, speedUp: number): string | undefined {
    const { unit, value, match } = this.#rate;
    const total = unit === 'kbps' ? this.#bytes / BYTES_PER_KBIT : this.#packets;
    const measured = total / seconds / speedUp;
    if (Math.abs(measured - value) <= value * TOLERANCE) return undefined;
    return `${measured.toFixed(0)} instead of ${value} ${unit} at ${JSON.stringify(match)}`;
  }
}

/** Sends frames into port 1 for so long; resolves to the time it took, ms. */
function pump(lab: Lab, perSecond: number, milliseconds: number, frame: () => Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let sent = 0;
    const turn = (): boolean => {
      const now = performance.now();
      if (now >= start + milliseconds) {
        lab.loop.remove(turn);
        resolve(now - start);
        return true;
      }
      try {
        for (const due = ((now - start) * perSecond) / 1000; sent < due; sent++) lab.ports[0].send(frame());
      } catch (error) {
        lab.loop.remove(turn);
        reject(error);
      }
      lab.loop.deadline(now + 1);
      return false;
    };
    lab.loop.each(turn);
  });
}

/** Sends at the pattern's rate; throws Failure if what comes out is not what it says. */
export async function checkRates(
  lab: Lab,
  check: Throughput,
  metered: boolean,
  random: () => number,
): Promise<void> {
  const speedUp = metered ? 1 : SPEED_UP;
  const perSecond = check.packetsPerSecond * speedUp;
  const gauges = check.expected.map((rate) => new Gauge(rate));
  const same = check.packets.random ? undefined : check.packets.build(random);
  const frame = () => same ?? check.packets.build(random);
  lab.onFrame = (port, received) => {
    for (const gauge of gauges) gauge.count(received, port);
  };
  try {
    if (metered) await pump(lab, perSecond, WARM_UP_MS, frame);
    for (const gauge of gauges) gauge.reset();
    const took = await pump(lab, perSecond, metered ? METERED_MS : (check.seconds * 1000) / speedUp, frame);
    const faults = gauges.map((gauge) => gauge.verdict(took / 1000, speedUp));
    const found = faults.filter((fault) => fault !== undefined);
    if (found.length > 0) throw new Failure(`throughput: ${found.join('; ')}`);
  } finally {
    lab.onFrame = undefined;
  }
}
