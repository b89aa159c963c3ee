/**
 * Groups as plainly as they can be written: from a packet to all that may become of it (a select group may choose any of
 * its buckets), and a meter's band by what a token bucket is, without one.
 */

/** What the test's actions change of a frame. */
export interface Shape {
  dst: string;
  /** VLAN tags on it. */
  tags: number;
}

export type Step =
  | { do: 'output'; port: number }
  | { do: 'set_dst'; dst: string }
  | { do: 'push' }
  | { do: 'group'; id: number };

export interface ReferenceBucket {
  weight: number;
  /** undefined: it watches nothing. */
  watchPort: number | undefined;
  watchGroup: number | undefined;
  /** At most one of each kind. */
  steps: Step[];
}

export interface ReferenceGroup {
  type: 'all' | 'select' | 'indirect' | 'ff';
  buckets: ReferenceBucket[];
}

/** Port and shape of each copy that leaves, as text. */
export type Outcome = string[];

/** The order of an action set. */
const ORDER = ['push', 'set_dst', 'group', 'output'] as const;

export class ReferenceGroups {
  readonly groups: ReadonlyMap<number, ReferenceGroup>;
  readonly livePorts: ReadonlySet<number>;
  readonly inPort: number;

  constructor(groups: ReadonlyMap<number, ReferenceGroup>, livePorts: ReadonlySet<number>, inPort: number) {
    this.groups = groups;
    this.livePorts = livePorts;
    this.inPort = inPort;
  }

  isLive({ watchPort, watchGroup }: ReferenceBucket): boolean {
    if (watchPort === undefined && watchGroup === undefined) return true;
    const group = watchGroup === undefined ? undefined : this.groups.get(watchGroup);
    return (
      (watchPort !== undefined && this.livePorts.has(watchPort)) ||
      group?.buckets.some((bucket) => this.isLive(bucket)) === true
    );
  }

  /** All that may become of a packet in the group. */
  through(id: number, shape: Shape): Outcome[] {
    const group = this.groups.get(id);
    if (group === undefined) return [[]];
    const { type, buckets } = group;
    const run = (bucket: ReferenceBucket) => this.actionSet(bucket.steps, { ...shape });
    if (type === 'all' || type === 'indirect') {
      return buckets
        .map(run)
        .reduce((before, after) => before.flatMap((x) => after.map((y) => [...x, ...y])), [[]]);
    }
    const live = buckets.filter((bucket) => this.isLive(bucket));
    if (type === 'ff') return live.length === 0 ? [[]] : run(live[0]);
    const weighted = buckets.every(({ weight }) => weight === 0)
      ? live
      : live.filter(({ weight }) => weight > 0);
    return weighted.length === 0 ? [[]] : weighted.flatMap(run);
  }

  private actionSet(steps: readonly Step[], shape: Shape): Outcome[] {
    for (const kind of ORDER) {
      const step = steps.find((one) => one.do === kind);
      if (step === undefined) continue;
      if (step.do === 'push') shape.tags++;
      else if (step.do === 'set_dst') shape.dst = step.dst;
      else if (step.do === 'group') return this.through(step.id, shape);
      else return step.port === this.inPort ? [[]] : [[`${step.port} ${shape.dst} ${shape.tags}`]];
    }
    return [[]];
  }
}

/** A packet that a meter meets: when, in ms, and its volume (bits, or thousandths of a packet). */
export interface Arrival {
  at: number;
  volume: number;
}

/**
 * Which packets are within a rate: one is if, since no earlier moment, more than the burst and what the rate allows for
 * the time have passed with it. One larger than the burst counts for as much as the burst.
 */
export function conforming(arrivals: readonly Arrival[], rate: number, burst: number): boolean[] {
  const passed: Arrival[] = [];
  return arrivals.map((packet) => {
    const conforms = [...passed, packet].every(({ at: since }) => {
      const volume = passed.filter(({ at }) => at >= since).reduce((sum, one) => sum + one.volume, 0);
      return volume + Math.min(packet.volume, burst) <= burst + rate * (packet.at - since);
    });
    if (conforms) passed.push(packet);
    return conforms;
  });
}
