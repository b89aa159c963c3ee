/**
 * A device under more than it can carry: a generator floods it from h1 to h2, while the probes (probes.ts) see how its
 * other users fare: a flow from h3 to h4, and both ends of the control channel.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, type Network, singleSwitch } from '../../mininet/topology.ts';
import { CONTROLLER_PORT, type Datapath, type Running } from './datapaths.ts';
import { newFlowFrame, numberIn } from './frames.ts';
import type { Helper } from './helper.ts';
import { generator, helper, meet, received } from './load-hosts.ts';
import type { NewFlowOptions } from './new-flows.ts';
import type { ProbeOptions, ProbeResult } from './probes.ts';
import { pssBytes } from './processes.ts';
import { Wire } from './wire.ts';

type Net = Network<'s1', string>;

/** Where the device finds the probes as its second controller. */
export const PROBE_PORT = 6700;
const MEMORY_EVERY_MS = 250;
/** What was sent has come through or is lost by then, ms. */
const SETTLE_MS = 1500;
/** After that the device is given up as not coming back. */
export const RECOVERY_LIMIT_MS = 10_000;
const RECOVERY_STEP_MS = 20;

export interface FloodResult {
  offered: number;
  sent: number;
  /** A second, while the flood lasted; and all that came. */
  rate: number;
  delivered: number;
  /** Drops by counter, of what was sent. */
  drops: Record<string, number>;
  /** Bytes of device and controller: before, at most, and a second and a half afterwards. */
  memory: { before: number; peak: number; after: number };
  probes: ProbeResult;
  /** From the end of the flood until a flow never seen before got through, ms. */
  recoveryMs: number;
}

export type FloodKind = 'new flows' | 'packets';

/** Frames of `packets` are of so many flows. */
const FLOWS = 16;
const SIZE = 64 - 4;

/** A device with its controller and the probes, ready to be flooded. */
export class FloodedDevice {
  readonly #net: Net;
  readonly #running: Running;
  readonly #probes: Helper;
  #flows = 0;

  static async start(datapath: Datapath): Promise<FloodedDevice> {
    const net = await singleSwitch(4, { staticArp: true });
    try {
      const { h3, h4 } = net.hosts;
      const end = ({ namespace, interface: name, mac, ip }: Host) => ({
        namespace,
        interface: name,
        mac,
        ip,
      });
      const options: ProbeOptions = {
        flow: { from: end(h3), to: end(h4) },
        listen: PROBE_PORT,
        controller: CONTROLLER_PORT,
      };
      const probes = helper(net.switches.s1, 'probes.ts', options);
      const running = await datapath.start(net.switches.s1);
      // All are heard from, so that their places are known.
      const { h1, h2 } = net.hosts;
      await meet(h1, h2);
      await meet(h3, h4);
      await probes.line();
      return new FloodedDevice(net, running, probes);
    } catch (error) {
      await net.close();
      throw error;
    }
  }

  private constructor(net: Net, running: Running, probes: Helper) {
    this.#net = net;
    this.#running = running;
    this.#probes = probes;
  }

  async stop(): Promise<void> {
    await this.#probes.stop();
    await this.#running.stop();
    await this.#net.close();
  }

  /** New flows a second with `window` of them under way, over the last `countMs`. */
  sustainableFlows(window: number, warmUpMs: number, countMs: number): number {
    const { h1, h2 } = this.#net.hosts;
    const a = new Wire(h1.namespace, h1.interface, false);
    const b = new Wire(h2.namespace, h2.interface);
    let outstanding = 0;
    let counted = 0;
    const start = performance.now();
    const from = start + warmUpMs;
    const until = from + countMs;
    for (let now = start; now < until; now = performance.now()) {
      for (; outstanding < window; outstanding++) a.send(newFlowFrame(this.#flows++, h2.mac, h2.ip));
      const length = b.receive(1000);
      // Nothing in a second: all that was under way is lost.
      if (length === 0) outstanding = 0;
      else if (numberIn(b.received, length) >= 0) {
        outstanding--;
        if (performance.now() >= from) counted++;
      }
    }
    a.close();
    b.close();
    return counted / (countMs / 1000);
  }

  /** `rate`: frames a second; 0: flat out. */
  async flood(kind: FloodKind, rate: number, seconds: number): Promise<FloodResult> {
    const { h2 } = this.#net.hosts;
    const generator = this.#generator(kind, rate, seconds);
    await generator.line();
    const pids = Object.values(this.#running.parts()).flat();
    const before = pssBytes(...pids);
    const drops = await this.#drops();
    const arrived = await received(h2);
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, pssBytes(...pids));
    }, MEMORY_EVERY_MS);
    this.#probes.say('begin');
    const start = performance.now();
    generator.say('go');
    const sent = Number(await generator.line());
    const lasted = (performance.now() - start) / 1000;
    const during = (await received(h2)) - arrived;
    this.#probes.say('end');
    const probes = JSON.parse(await this.#probes.line()) as ProbeResult;
    clearInterval(watch);
    const recovery = this.#recovery();
    await sleep(SETTLE_MS);
    const delivered = (await received(h2)) - arrived;
    const dropsAfter = await this.#drops();
    const after = pssBytes(...pids);
    return {
      offered: sent / lasted,
      sent: sent + recovery.sent,
      rate: during / lasted,
      delivered,
      drops: difference(dropsAfter, drops),
      memory: { before, peak: Math.max(peak, after), after },
      probes,
      recoveryMs: recovery.ms,
    };
  }

  #generator(kind: FloodKind, rate: number, seconds: number): Helper {
    const { h1, h2 } = this.#net.hosts;
    if (kind === 'packets') return generator(h1, h2, { size: SIZE, flows: FLOWS, seconds, rate });
    const ends = { namespace: h1.namespace, interface: h1.interface, dstMac: h2.mac, dstIp: h2.ip };
    const first = this.#flows;
    this.#flows += Math.round(rate * seconds);
    return helper(h1, 'new-flows.ts', { ...ends, first, rate, seconds } satisfies NewFlowOptions);
  }

  /** Sends one new flow after the other until one gets through. */
  #recovery(): { ms: number; sent: number } {
    const { h1, h2 } = this.#net.hosts;
    const a = new Wire(h1.namespace, h1.interface, false);
    const b = new Wire(h2.namespace, h2.interface);
    const start = performance.now();
    const first = this.#flows;
    let sent = 0;
    let ms = Number.POSITIVE_INFINITY;
    while (ms === Number.POSITIVE_INFINITY && performance.now() - start < RECOVERY_LIMIT_MS) {
      a.send(newFlowFrame(this.#flows++, h2.mac, h2.ip));
      sent++;
      const next = performance.now() + RECOVERY_STEP_MS;
      for (let left = RECOVERY_STEP_MS; left > 0; left = next - performance.now()) {
        const length = b.receive(left);
        if (length === 0 || numberIn(b.received, length) < first) continue;
        ms = performance.now() - start;
        break;
      }
    }
    a.close();
    b.close();
    return { ms, sent };
  }

  /** Everything the device has dropped so far, by counter. */
  async #drops(): Promise<Record<string, number>> {
    const { state } = this.#running;
    if (state === undefined) return {};
    const ports = (await state('/ports')) as {
      name: string;
      rxDropped: number;
      txDropped: number;
      rxErrors: number;
    }[];
    const counters = (await state('/counters')) as Counters;
    const sum = (pick: (port: (typeof ports)[number]) => number) =>
      ports.reduce((all, port) => all + pick(port), 0);
    return {
      'port rx': sum((port) => port.rxDropped + port.rxErrors),
      'port tx': sum((port) => port.txDropped),
      ...counters.dispatcher.dropped,
      'in ended cell': counters.cells.lostFrames,
      'by cell': counters.cells.done,
    };
  }
}

interface Counters {
  dispatcher: { dropped: Record<string, number> };
  cells: { lostFrames: number; done: number };
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const names = Object.keys(after).filter((name) => after[name] !== before[name]);
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]]));
}
