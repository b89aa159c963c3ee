/**
 * Memory per live cell: 1,000 flows, each with a cell of its own and its flow entries, on one device. Counted
 * is what all processes of the device grew by (proportional set size), pool included in neither reading.
 */
import { singleSwitch } from '../mininet/topology.ts';
import { flowcellDatapath, until } from './lib/datapaths.ts';
import { newFlowFrame } from './lib/frames.ts';
import { round } from './lib/report.ts';
import { memoryBytes, Wire } from './lib/wire.ts';
import type { Bench } from './run.ts';

const CELLS = 1000;
const POOL = 16;
const BURST = 10;

export const scale: Bench = {
  name: 'scale',
  title: `Memory of ${CELLS} live cells on one device`,
  needs: [],
  async run(progress) {
    const net = await singleSwitch(2, { staticArp: true });
    try {
      const running = await flowcellDatapath({ poolSize: POOL }).start(net.switches.s1);
      try {
        const { h1, h2 } = net.hosts;
        await h1.exec(['ping', '-c', '2', '-i', '0.2', h2.ip], { anyExit: true });
        const wire = new Wire(h1.namespace, h1.interface, false);
        // Isolates that are cells, not flows that wait for one.
        const live = async (): Promise<number> =>
          ((await running.state!('/hosts')) as { live: number }[])[0].live;
        const memory = () => running.pids().map(memoryBytes);
        const sum = (key: 'pss' | 'rss') => memory().reduce((total, of) => total + of[key], 0);
        const before = await live();
        const pss0 = sum('pss');
        progress(`${CELLS} new flows`);
        const start = performance.now();
        for (let i = 0; i < CELLS; i += BURST) {
          for (let j = 0; j < BURST; j++) wire.send(newFlowFrame(i + j, h2.mac, h2.ip));
          await until('the cells starting', async () => (await live()) >= before + i + BURST);
        }
        const seconds = (performance.now() - start) / 1000;
        // The pool fills up again; then the figure is of live cells and the same pool as before.
        await new Promise((resolve) => setTimeout(resolve, 3000));
        const cells = (await live()) - before;
        const bytes = sum('pss') - pss0;
        return {
          ratios: {},
          rows: [
            {
              cells,
              MiB_per_cell: round(bytes / cells / 2 ** 20, 3),
              total_MiB: round(sum('pss') / 2 ** 20, 1),
              seconds: round(seconds),
            },
          ],
        };
      } finally {
        await running.stop();
      }
    } finally {
      await net.close();
    }
  },
};
