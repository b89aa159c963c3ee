/**
 * One case against a target, in os-ken's order: empty it, install each prerequisite and find it again in the
 * statistics, then send what the pattern sends and compare the first thing that comes back.
 */
import { PacketInReason } from '../../openflow/index.ts';
import { Channel, Failure, TargetLost } from './channel.ts';
import { sequence } from './frame.ts';
import type { Lab } from './lab.ts';
import type { Case, Check, Group } from './patterns.ts';
import { checkRates } from './rates.ts';
import type { Target } from './target.ts';

export interface Outcome {
  readonly group: Group;
  readonly name: string;
  /** Why it failed; undefined: it passed. */
  readonly failure: string | undefined;
}

export interface RunOptions {
  /** How long to wait for a packet before it counts as lost, ms. */
  readonly timeoutMs: number;
  /** How often each packet is sent and looked for. */
  readonly times: number;
}

const EGRESS_PORT = 2;
/** Between two looks at the counters, ms. */
const LOOK_MS = 5;

interface Arrival {
  readonly from: 'egress' | 'packet-in';
  readonly data: Uint8Array;
  /** Of a packet-in. */
  readonly reason?: number;
}

export async function runCase(lab: Lab, one: Case, options: RunOptions): Promise<Outcome> {
  const { group, name } = one;
  try {
    const { peer, target } = await lab.connection();
    const channel = new Channel(peer, lab.protocol);
    await channel.clear();
    for (const mod of one.prerequisite) await channel.install(mod);
    await target.settle();
    const metered = one.prerequisite.some(({ type }) => type === 'meter_mod');
    for (const check of one.checks) {
      const times = check.kind === 'throughput' ? 1 : options.times;
      for (let i = 0; i < times; i++) await runCheck(lab, channel, target, check, metered, options);
    }
    return { group, name, failure: undefined };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error instanceof TargetLost) lab.hangUp();
    return { group, name, failure: error.message };
  }
}

async function runCheck(
  lab: Lab,
  channel: Channel,
  target: Target,
  check: Check,
  metered: boolean,
  options: RunOptions,
): Promise<void> {
  const random = sequence(1);
  switch (check.kind) {
    case 'throughput':
      return await checkRates({ lab, channel, target, timeoutMs: options.timeoutMs }, check, metered, random);
    case 'table-miss':
      return await checkMiss(lab, channel, target, check.send.build(random), check.tables, options);
    default: {
      const arrival = arrives(lab, channel, options.timeoutMs);
      lab.ports[0].send(check.send.build(random));
      compare(await arrival, check.kind, check.expect.build(random));
    }
  }
}

/** The first frame on the tester's port or the first packet-in; an error message of the target is a failure. */
function arrives(lab: Lab, channel: Channel, timeoutMs: number): Promise<Arrival> {
  const { peer } = channel;
  return new Promise<Arrival>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('nothing came back')), timeoutMs);
    const done = (action: () => void) => {
      clearTimeout(timer);
      action();
    };
    lab.onFrame = (port, frame) => {
      const data = frame.slice();
      if (port === EGRESS_PORT) done(() => resolve({ from: 'egress', data }));
    };
    peer.onMessage = (message) => {
      if (message.type === 'error') done(() => reject(new Failure(channel.errorText(message))));
      if (message.type !== 'packet_in') return;
      const { data, reason } = message;
      done(() => resolve({ from: 'packet-in', data, reason }));
    };
  }).finally(() => {
    lab.onFrame = undefined;
    peer.onMessage = undefined;
  });
}

function compare(arrival: Arrival, expected: 'egress' | 'packet-in', frame: Uint8Array): void {
  if (arrival.from !== expected) throw new Failure(`${arrival.from} instead of ${expected}`);
  if (arrival.reason === PacketInReason.NO_MATCH || arrival.reason === PacketInReason.INVALID_TTL) {
    throw new Failure(`packet-in with reason ${arrival.reason}`);
  }
  const fault = difference(arrival.data, frame);
  if (fault !== undefined) throw new Failure(`another packet: ${fault}`);
}

/** Where two frames differ first, and how they look there. */
export function difference(received: Uint8Array, expected: Uint8Array): string | undefined {
  const at = expected.findIndex((byte, index) => received[index] !== byte);
  if (at < 0 && received.length === expected.length) return undefined;
  if (at < 0 || received.length !== expected.length) {
    const lengths = `${received.length} instead of ${expected.length} bytes`;
    return at < 0 ? lengths : `${lengths}, from byte ${at} on`;
  }
  const show = (frame: Uint8Array) => Buffer.from(frame.subarray(at, at + 8)).toString('hex');
  return `${show(received)} instead of ${show(expected)} at byte ${at}`;
}

/** Looks at the tables until one of them has seen the packet, then for a match counted there. */
async function checkMiss(
  lab: Lab,
  channel: Channel,
  target: Target,
  frame: Uint8Array,
  tables: readonly number[],
  { timeoutMs }: RunOptions,
): Promise<void> {
  const before = await channel.tables();
  lab.ports[0].send(frame);
  const end = performance.now() + timeoutMs;
  for (;;) {
    await target.settle();
    const after = await channel.tables();
    const grown = (table: number, count: 'lookup_count' | 'matched_count') => {
      const [a, b] = [before.get(table), after.get(table)];
      if (a === undefined || b === undefined) throw new Failure(`there are no statistics of table ${table}`);
      return b[count] > a[count];
    };
    const looked = tables.filter((table) => grown(table, 'lookup_count'));
    if (looked.some((table) => grown(table, 'matched_count'))) throw new Failure('table-miss: it matched');
    if (looked.length > 0) return;
    if (performance.now() > end) throw new Failure('table-miss: no look-up was counted');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
