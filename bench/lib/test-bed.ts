/** Datapaths side by side, each between hosts of its own, that are measured in turn: what else the machine does meets all of them. */
import { type Network, singleSwitch } from '../../mininet/topology.ts';
import type { Session } from './bench.ts';
import type { Datapath, Running } from './datapaths.ts';
import { meet } from './load-hosts.ts';

export interface TestBed {
  readonly name: string;
  readonly net: Network<'s1', string>;
  readonly running: Running;
  stop(): Promise<void>;
}

/** A datapath on one switch with two hosts that have heard of each other. `name`: default the datapath's. */
export async function startTestBed(datapath: Datapath, name = datapath.name): Promise<TestBed> {
  const net = await singleSwitch(2, { staticArp: true });
  try {
    const running = await datapath.start(net.switches.s1);
    await meet(net.hosts.h1, net.hosts.h2);
    const stop = async () => {
      try {
        await running.stop();
      } finally {
        await net.close();
      }
    };
    return { name, net, running, stop };
  } catch (error) {
    await net.close();
    throw error;
  }
}

/** Starts these datapaths, by name, and stops them after `use`. Those that do not start are left out. */
export async function withTestBeds<T>(
  session: Session,
  datapaths: readonly (readonly [name: string, Datapath])[],
  use: (beds: readonly TestBed[]) => Promise<T>,
): Promise<T> {
  const beds: TestBed[] = [];
  try {
    for (const [name, datapath] of datapaths) {
      session.progress(`starting ${name}`);
      const bed = await session.attempt(`${name}, starting`, () => startTestBed(datapath, name));
      if (bed !== undefined) beds.push(bed);
    }
    return await use(beds);
  } finally {
    for (const bed of beds) await session.attempt(`${bed.name}, stopping`, () => bed.stop());
  }
}

/** So many rounds of a measurement, in each of which the beds have their turn; one that fails has none any more. By bed, in order. */
export async function inTurn<T>(
  session: Session,
  what: string,
  beds: readonly TestBed[],
  rounds: number,
  measure: (bed: TestBed) => Promise<T>,
): Promise<Map<TestBed, T[]>> {
  const samples = new Map<TestBed, T[]>(beds.map((bed) => [bed, []]));
  const failed = new Set<TestBed>();
  for (let round = 1; round <= rounds; round++) {
    session.progress(`${what}, round ${round} of ${rounds}`);
    for (const bed of beds) {
      if (failed.has(bed)) continue;
      const sample = await session.attempt(`${bed.name}, ${what}`, () => measure(bed));
      if (sample === undefined) failed.add(bed);
      else samples.get(bed)!.push(sample);
    }
  }
  for (const [bed, list] of samples) if (list.length === 0) samples.delete(bed);
  return samples;
}
