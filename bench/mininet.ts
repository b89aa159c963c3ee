/**
 * Mininet from nothing to the end of pingall, and the memory that switches and controller take then: Flowcell beside Open
 * vSwitch's user-space datapath. The hosts' and Mininet's own share of the time is the same for both.
 */
import { join } from 'node:path';
import { inMininet, PYTHON } from '../test/support/mininet.ts';
import { median, round } from './lib/report.ts';
import type { Bench } from './run.ts';

const RUNS = 5;
/** Longer than this is no result, ms. */
const LIMIT_MS = 240_000;
const SCRIPT = join(import.meta.dirname, 'peers', 'mininet_pingall.py');
const TOPOLOGIES = ['single,2', 'linear,20', 'tree,3,3'] as const;

/**
 * Open vSwitch's test controller takes 16 switches; beyond that os-ken has to do. A cell for each connection in each
 * switch on its way is not what many switches on one machine are for (docs/mininet.md).
 */
const PEERS = [
  { name: 'flowcell', setup: () => 'flowcell' },
  {
    name: 'flowcell, a cell for each connection',
    setup: (topology: string) => (topology === 'single,2' ? 'flowcell-five-tuple' : undefined),
  },
  {
    name: 'ovs user-space',
    setup: (topology: string) => (topology === 'linear,20' ? 'ovs-osken' : 'ovs-testcontroller'),
  },
] as const;

interface Figures {
  seconds: number;
  start_s: number;
  lost_percent: number;
  mib: number;
}

async function once(setup: string, topology: string): Promise<Figures> {
  const { output, stderr } = await inMininet([PYTHON, SCRIPT, setup, topology], {
    ovs: setup.startsWith('ovs'),
    timeoutMs: LIMIT_MS,
  });
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`${setup} on ${topology} gave no figures: ${stderr.slice(-500)}`);
  return JSON.parse(line) as Figures;
}

export const mininet: Bench = {
  name: 'mininet',
  title: 'Mininet: seconds to the end of pingall, and MiB of switches and controller',
  needs: ['mn', 'ovs-vswitchd', 'ovs-testcontroller', 'osken-manager'],
  async run(progress, quick = false) {
    const count = quick ? 1 : RUNS;
    const rows: Record<string, string | number>[] = [];
    const ratios: Record<string, number> = {};
    for (const topology of TOPOLOGIES) {
      const seconds: Record<string, number> = {};
      for (const { name, setup } of PEERS) {
        const chosen = setup(topology);
        if (chosen === undefined) continue;
        const runs: Figures[] = [];
        for (let run = 1; run <= count; run++) {
          progress(`${topology}, ${chosen}, ${run} of ${count}`);
          runs.push(await once(chosen, topology));
        }
        const middle = (pick: (figures: Figures) => number) => round(median(runs.map(pick)), 2);
        seconds[name] = middle((run) => run.seconds);
        rows.push({
          topology,
          switch: name === 'ovs user-space' ? chosen : name,
          seconds: seconds[name],
          'of them starting': middle((run) => run.start_s),
          'lost %': middle((run) => run.lost_percent),
          MiB: middle((run) => run.mib),
        });
      }
      ratios[`${topology}: time of ovs / flowcell`] = round(seconds['ovs user-space'] / seconds.flowcell);
    }
    return { ratios, rows };
  },
};
