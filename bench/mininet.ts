/**
 * Mininet from nothing to the end of pingall, and the memory that switches and controller take then: Flowcell beside Open
 * vSwitch's user-space datapath. The hosts' and Mininet's own share of the time is the same for both.
 */
import { join } from 'node:path';
import { inMininet, PYTHON } from '../test/support/mininet.ts';
import type { Bench, Session } from './lib/bench.ts';
import { median, round, spread } from './lib/report.ts';

const RUNS = 5;
/** Longer than this is no result, ms. */
const LIMIT_MS = 240_000;
const SCRIPT = join(import.meta.dirname, 'peers', 'mininet_pingall.py');
const TOPOLOGIES = ['single,2', 'linear,20', 'tree,3,3'] as const;

/**
 * Open vSwitch's test controller takes 16 switches; beyond that os-ken has to do. A cell for each connection in each
 * switch on its way is not what many switches on one machine are for (docs/mininet.md).
 */
const OURS = 'flowcell';
const PEER = 'ovs user-space';
const PEERS = [
  { name: OURS, setup: () => 'flowcell' },
  {
    name: 'flowcell, a cell for each connection',
    setup: (topology: string) => (topology === 'single,2' ? 'flowcell-five-tuple' : undefined),
  },
  {
    name: PEER,
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

/** Runs of each, round by round; one that fails has no more of them. By name. */
async function inTurn(session: Session, topology: string, rounds: number): Promise<Map<string, Figures[]>> {
  const runs = new Map<string, Figures[]>();
  const failed = new Set<string>();
  for (let round = 1; round <= rounds; round++) {
    for (const { name, setup } of PEERS) {
      const chosen = setup(topology);
      if (chosen === undefined || failed.has(name)) continue;
      const step = `${topology}, ${chosen}`;
      session.progress(`${step}, ${round} of ${rounds}`);
      const figures = await session.attempt(step, () => once(chosen, topology));
      if (figures === undefined) failed.add(name);
      else runs.set(name, [...(runs.get(name) ?? []), figures]);
    }
  }
  return runs;
}

export const mininet: Bench = {
  name: 'mininet',
  title: 'Mininet: seconds to the end of pingall, and MiB of switches and controller',
  needs: ['mn', 'ovs-vswitchd', 'ovs-testcontroller', 'osken-manager'],
  minutes: 7,
  parts: TOPOLOGIES,
  async run(session) {
    const count = session.rounds(RUNS);
    const rows: Record<string, string | number>[] = [];
    const ratios: Record<string, number> = {};
    for (const topology of TOPOLOGIES.filter((name) => session.wants(name))) {
      const runs = await inTurn(session, topology, count);
      for (const [name, figures] of runs) {
        const middle = (pick: (figures: Figures) => number) => round(median(figures.map(pick)), 2);
        rows.push({
          topology,
          switch: name,
          seconds: middle((run) => run.seconds),
          'seconds spread': spread(
            figures.map((run) => run.seconds),
            1,
          ),
          'of them starting': middle((run) => run.start_s),
          'lost %': middle((run) => run.lost_percent),
          MiB: middle((run) => run.mib),
        });
      }
      const seconds = (name: string) =>
        Number(rows.find((row) => row.topology === topology && row.switch === name)?.seconds);
      const ratio = seconds(PEER) / seconds(OURS);
      if (Number.isFinite(ratio)) ratios[`${topology}: time of ${PEER} / ${OURS}`] = round(ratio);
    }
    return { ratios, rows };
  },
};
