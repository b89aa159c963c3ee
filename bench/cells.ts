/**
 * Forwarding rate: UDP flat out from h1 to h2 through one flow and through many, each datapath in turn on the
 * same topology. Delivered frames are h2's interface counter over the middle of the run.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type Host, type Network, singleSwitch } from '../mininet/topology.ts';
import { type Datapath, flowcellDatapath, linuxBridge, ovsDatapath } from './lib/datapaths.ts';
import { median, round } from './lib/report.ts';
import type { SenderOptions } from './lib/sender.ts';
import { cpuSeconds } from './lib/wire.ts';
import type { Bench } from './run.ts';

const node = new URL('../bin/node', import.meta.url).pathname;
const sender = new URL('./lib/sender.ts', import.meta.url).pathname;

const RUNS = 3;
const SECONDS = 3;
const FLOWS = [1, 100];
const SIZE = 64 - 4;

type Net = Network<'s1', string>;

async function received(host: Host): Promise<number> {
  const { stdout } = await host.exec(['ip', '-s', '-j', 'link', 'show', 'dev', host.interface]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
}

interface Sample {
  kpps: number;
  offeredKpps: number;
  cpuPerMpkt: number;
}

async function measure(net: Net, pids: () => number[], flows: number): Promise<Sample> {
  const { h1, h2 } = net.hosts;
  const options: SenderOptions = {
    ...{ namespace: h1.namespace, interface: h1.interface, size: SIZE, flows, seconds: SECONDS, rate: 0 },
    ...{ srcMac: h1.mac, dstMac: h2.mac, srcIp: h1.ip, dstIp: h2.ip },
  };
  const child = h1.spawn([node, sender, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  const total = once(lines, 'line');
  const cpu = () => pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  child.stdin!.write('go\n');
  // The first half second is start-up: new flows are set up and code is compiled in it.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const [packets0, cpu0, time0] = [await received(h2), cpu(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, (SECONDS - 1) * 1000));
  const [packets1, cpu1, time1] = [await received(h2), cpu(), performance.now()];
  const sent = Number((await total)[0]);
  const packets = packets1 - packets0;
  return {
    kpps: packets / (time1 - time0),
    offeredKpps: sent / SECONDS / 1000,
    cpuPerMpkt: ((cpu1 - cpu0) / packets) * 1e6,
  };
}

interface Row extends Record<string, string | number> {
  datapath: string;
  flows: number;
  kpps: number;
  offered_kpps: number;
  cpu_s_per_mpkt: number;
}

async function run(datapath: Datapath): Promise<Row[]> {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    try {
      const { h1, h2 } = net.hosts;
      // Both ends are heard from before the load, so that a learning switch knows where they are.
      await h1.exec(['ping', '-c', '2', '-i', '0.2', h2.ip], { anyExit: true });
      const rows: Row[] = [];
      for (const flows of FLOWS) {
        const samples: Sample[] = [];
        for (let i = 0; i < RUNS; i++) samples.push(await measure(net, running.pids, flows));
        rows.push({
          datapath: datapath.name,
          flows,
          kpps: round(median(samples.map((s) => s.kpps)), 1),
          offered_kpps: round(median(samples.map((s) => s.offeredKpps)), 1),
          cpu_s_per_mpkt: round(median(samples.map((s) => s.cpuPerMpkt))),
        });
      }
      return rows;
    } finally {
      await running.stop();
    }
  } finally {
    await net.close();
  }
}

export const cells: Bench = {
  name: 'cells',
  title: '64-byte UDP, one generator flat out, h1 -> h2; medians of 3 runs of 3 s',
  needs: ['ovs-vswitchd'],
  async run(progress) {
    const rows: Row[] = [];
    for (const datapath of [flowcellDatapath({ poolSize: 128 }), ovsDatapath('none'), linuxBridge]) {
      progress(datapath.name);
      rows.push(...(await run(datapath)));
    }
    const rate = (name: string, flows: number) =>
      rows.find((row) => row.datapath === name && row.flows === flows)!.kpps;
    const ratios = Object.fromEntries(
      FLOWS.flatMap((flows) =>
        ['ovs-userspace', 'linux-bridge'].map((peer) => [
          `flowcell/${peer}, ${flows} ${flows === 1 ? 'flow' : 'flows'}`,
          round(rate('flowcell', flows) / rate(peer, flows)),
        ]),
      ),
    );
    return { ratios, rows };
  },
};
