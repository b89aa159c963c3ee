/**
 * Flow set-up: every frame is a flow never seen before (new source MAC, source address, source port). Closed
 * loop: one frame, its arrival at h2, the next. Window: so many under way at once.
 */
import { type Network, singleSwitch } from '../mininet/topology.ts';
import { type Datapath, flowcellDatapath, ovsDatapath } from './lib/datapaths.ts';
import { newFlowFrame, numberIn } from './lib/frames.ts';
import { quantile, round } from './lib/report.ts';
import { Wire } from './lib/wire.ts';
import type { Bench } from './run.ts';

const WARM_UP = 50;
const FLOWS = 1000;
const WINDOW = 16;
const WINDOW_FLOWS = 300;
const LOST_AFTER_MS = 1000;

type Net = Network<'s1', string>;

/** Reads frames at h2 until the one numbered `number`; false if it does not come. */
function awaitNumber(wire: Wire, number: number): boolean {
  for (;;) {
    const length = wire.receive(LOST_AFTER_MS);
    if (length === 0) return false;
    if (numberIn(wire.received, length) === number) return true;
  }
}

function probe(net: Net) {
  const { h1, h2 } = net.hosts;
  const a = new Wire(h1.namespace, h1.interface);
  const b = new Wire(h2.namespace, h2.interface);
  let number = 0;
  const frame = () => newFlowFrame(number++, h2.mac, h2.ip);

  const closedLoop = (count: number) => {
    const latencies: number[] = [];
    let lost = 0;
    for (let i = 0; i < count; i++) {
      const expected = number;
      const bytes = frame();
      const start = performance.now();
      a.send(bytes);
      if (awaitNumber(b, expected)) latencies.push((performance.now() - start) * 1000);
      else lost++;
    }
    return { latencies, lost };
  };

  closedLoop(WARM_UP);
  const { latencies, lost } = closedLoop(FLOWS);

  // Window: the rate at which new flows get through with WINDOW of them under way.
  const start = performance.now();
  let sent = 0;
  let arrived = 0;
  while (arrived < WINDOW_FLOWS) {
    while (sent < WINDOW_FLOWS && sent - arrived < WINDOW) {
      a.send(frame());
      sent++;
    }
    const length = b.receive(LOST_AFTER_MS);
    if (length === 0) break;
    if (numberIn(b.received, length) >= 0) arrived++;
  }
  const rate = arrived / ((performance.now() - start) / 1000);
  return { latencies, lost: lost + WINDOW_FLOWS - arrived, rate };
}

async function run(label: string, datapath: Datapath) {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    try {
      // Both ends are heard from first, so that h2's place is known.
      await net.hosts.h1.exec(['ping', '-c', '2', '-i', '0.2', net.hosts.h2.ip], { anyExit: true });
      const { latencies, lost, rate } = probe(net);
      return {
        datapath: label,
        p50_us: Math.round(quantile(latencies, 0.5)),
        p99_us: Math.round(quantile(latencies, 0.99)),
        [`flows_per_s_window_${WINDOW}`]: Math.round(rate),
        lost,
      };
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

export const setup: Bench = {
  name: 'setup',
  title: `First packet in to first packet out, ${FLOWS} new flows after ${WARM_UP} to warm up`,
  needs: ['ovs-vswitchd', 'ovs-testcontroller', 'osken-manager'],
  async run(progress) {
    const cases: [string, Datapath][] = [
      ['flowcell (pool holds all)', flowcellDatapath({ poolSize: 1900 })],
      ['flowcell (default pool)', flowcellDatapath()],
      ['ovs-userspace + testcontroller', ovsDatapath('testcontroller')],
      ['ovs-userspace + os-ken', ovsDatapath('os-ken')],
    ];
    const rows = [];
    for (const [label, datapath] of cases) {
      progress(label);
      rows.push(await run(label, datapath));
    }
    const [ours, , ...peers] = rows;
    const ratios = Object.fromEntries(
      peers.map((peer) => [`p50 flowcell/${peer.datapath}`, round(ours.p50_us / peer.p50_us)]),
    );
    return { ratios, rows };
  },
};
