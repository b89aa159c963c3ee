/** Packets sent at a rate, and the rates at which they come out of the target. */
import type { Match } from '../../openflow/index.ts';
import { type Channel, Failure } from './channel.ts';
import type { Lab } from './lab.ts';
import type { Rate, Throughput } from './patterns.ts';
import type { Target } from './target.ts';

/** As os-ken: expected throughput plus and minus 10 %. */
const TOLERANCE = 0.1;
/** kbit/s as os-ken has them. */
const BYTES_PER_KBIT = 1024 / 8;
/** Not counted: a meter's burst. */
const WARM_UP_MS = 1000;
const METERED_MS = 2000;
/** A meter is right if it is in one of so many periods: in others the machine may have had no time for us. */
const PERIODS = 10;
/** Frames that are sent before the target is asked whether it has seen them. */
const BATCH = 250;
/** Between two looks at what has come, ms. */
const LOOK_MS = 5;

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

  /** What is wrong with what was counted, for the pattern's packets of so many seconds. */
  verdict(seconds: number): string | undefined {
    const { unit, value, match } = this.#rate;
    const total = unit === 'kbps' ? this.#bytes / BYTES_PER_KBIT : this.#packets;
    const measured = total / seconds;
    if (Math.abs(measured - value) <= value * TOLERANCE) return undefined;
    return `${measured.toFixed(0)} instead of ${value} ${unit} at ${JSON.stringify(match)}`;
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, LOOK_MS));

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

/** Resolves when the target has looked up so many packets since it counted `before`. */
async function seen(channel: Channel, target: Target, before: number, packets: number, timeoutMs: number) {
  const end = performance.now() + timeoutMs;
  while ((await lookUps(channel, target)) - before < packets) {
    if (performance.now() > end)
      throw new Failure(`throughput: not all of ${packets} packets were looked up`);
    await pause();
  }
}

async function lookUps(channel: Channel, target: Target): Promise<number> {
  await target.settle();
  return Number((await channel.tables()).get(0)?.lookup_count ?? 0);
}

/** Sends what the pattern says; throws Failure if what comes out is not. */
export async function checkRates(
  { lab, channel, target, timeoutMs }: { lab: Lab; channel: Channel; target: Target; timeoutMs: number },
  check: Throughput,
  metered: boolean,
  random: () => number,
): Promise<void> {
  const { packetsPerSecond: perSecond } = check;
  const gauges = check.expected.map((rate) => new Gauge(rate));
  const same = check.packets.random ? undefined : check.packets.build(random);
  let sent = 0;
  const frame = () => {
    sent++;
    return same ?? check.packets.build(random);
  };
  const faults = (seconds: number) =>
    gauges.map((gauge) => gauge.verdict(seconds)).filter((fault) => fault !== undefined);
  const before = await lookUps(channel, target);
  lab.onFrame = (port, received) => {
    for (const gauge of gauges) gauge.count(received, port);
  };
  try {
    let found: string[] = [];
    if (metered) {
      await pump(lab, perSecond, WARM_UP_MS, frame);
      for (let period = 0; period < PERIODS; period++) {
        for (const gauge of gauges) gauge.reset();
        found = faults((await pump(lab, perSecond, METERED_MS, frame)) / 1000);
        if (found.length === 0) break;
      }
      // The next case is not to meet what is still on its way; what was lost on it is no matter here.
      await seen(channel, target, before, sent, timeoutMs).catch(() => undefined);
    } else {
      // Without a meter only the packets' distribution matters, not time.
      while (sent < perSecond * check.seconds) {
        for (let i = 0; i < BATCH; i++) lab.ports[0].send(frame());
        await seen(channel, target, before, sent, timeoutMs);
      }
      const end = performance.now() + timeoutMs;
      for (;;) {
        found = faults(sent / perSecond);
        if (found.length === 0 || performance.now() > end) break;
        await pause();
      }
    }
    if (found.length > 0) throw new Failure(`throughput: ${found.join('; ')}`);
  } finally {
    lab.onFrame = undefined;
  }
}
